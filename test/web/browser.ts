// SPDX-License-Identifier: MIT
// A real Chromium for tests of the page: software WebGL, and an account of every request and error.

import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { inflateSync } from "node:zlib";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, expect } from "vitest";
import { leftOut, repository } from "../helpers/shared.js";

/** Debian's or another installed Chromium; `undefined`, with a printed line, where there is none. */
export function chromiumPath(): string | undefined {
  for (const folder of (process.env.PATH ?? "").split(delimiter))
    for (const name of ["chromium", "chromium-browser", "google-chrome"])
      if (existsSync(join(folder, name))) return join(folder, name);
  leftOut("tests of the page", "no Chromium (scripts/setup installs it)");
  return undefined;
}

export const pageRoot = join(repository, "dist", "page");

export interface Shown {
  readonly page: Page;
  /** Addresses that were asked for, of this page's origin or not. */
  readonly requests: string[];
}

/**
 * Opens pages for the tests of a file, with software WebGL unless told otherwise. After each test its pages are closed, and no error of a script and no request to another origin may
 * have happened in them.
 */
export function pages(
  graphics = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
) {
  let browser: Promise<Browser> | undefined;
  const open: (Shown & { readonly errors: string[]; readonly origin: string })[] = [];
  afterEach(async () => {
    for (const { page, errors, requests, origin } of open.splice(0)) {
      await page.context().close();
      expect(errors).toEqual([]);
      expect(requests.filter((r) => !r.startsWith(origin) && !/^(?:blob|data):/.test(r))).toEqual([]);
    }
  });
  afterAll(async () => {
    await (await browser)?.close();
  });
  return async (
    url: string,
    options: { width?: number; height?: number; dark?: boolean } = {},
  ): Promise<Shown> => {
    if (!existsSync(join(pageRoot, "index.html")))
      throw new Error("the page is not built: npm run build:page");
    browser ??= chromium.launch({
      executablePath: chromiumPath() as string,
      args: ["--no-sandbox", ...graphics],
    });
    const context = await (await browser).newContext({
      viewport: { width: options.width ?? 1280, height: options.height ?? 800 },
      colorScheme: options.dark ? "dark" : "light",
      deviceScaleFactor: 1,
      reducedMotion: "reduce",
      acceptDownloads: true,
    });
    const page = await context.newPage();
    // A machine with a few busy cores draws in software.
    page.setDefaultTimeout(40_000);
    const requests: string[] = [];
    const errors: string[] = [];
    page.on("request", (r) => requests.push(r.url()));
    page.on("pageerror", (e) => errors.push(String(e)));
    page.on("console", (m) => {
      // What is not there (yet) is 404, which the browser reports; Content-Security-Policy's refusals are errors.
      if (m.type() === "error" && !/Failed to load resource|WebSocket connection/.test(m.text()))
        errors.push(m.text());
    });
    open.push({ page, requests, errors, origin: new URL(url).origin });
    await page.goto(url);
    return { page, requests };
  };
}

/** Colour of one pixel of what the page shows, read from a screenshot of just that. */
export async function pixelOf(page: Page, x: number, y: number): Promise<[number, number, number]> {
  const png = await page.screenshot({ clip: { x: Math.floor(x), y: Math.floor(y), width: 1, height: 1 } });
  const parts: Buffer[] = [];
  for (let at = 8; at < png.length; ) {
    const length = png.readUInt32BE(at);
    if (png.toString("latin1", at + 4, at + 8) === "IDAT") parts.push(png.subarray(at + 8, at + 8 + length));
    at += length + 12;
  }
  // One row of one pixel: the filter has nothing to refer to.
  const [, r, g, b] = inflateSync(Buffer.concat(parts));
  return [r as number, g as number, b as number];
}

/** Where a pixel of an image is on screen, when the whole of it fits the pane. */
export async function screenOf(page: Page, size: [number, number], x: number, y: number) {
  const box = await page.locator(".image-canvas").boundingBox();
  if (box === null) throw new Error("no image is shown");
  const [width, height] = size;
  const scale = 0.98 * Math.min(box.width / width, box.height / height);
  return {
    x: box.x + box.width / 2 + (x + 0.5 - width / 2) * scale,
    y: box.y + box.height / 2 + (y + 0.5 - height / 2) * scale,
  };
}

/** Waits until the image has been drawn, with all that is to be seen of it. */
export async function drawn(page: Page): Promise<void> {
  await page.locator(".image-canvas[data-drawn]:not([data-drawn=''])").waitFor();
  await page.waitForLoadState("networkidle");
}
