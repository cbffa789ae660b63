// SPDX-License-Identifier: MIT
// Images that are no plates, from files and from URLs, and colour maps: what is on screen is what the file and the map say.

import { readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { op, openPlate, pipeline, run } from "../../dist/index.js";
import { Gateway } from "../../dist/web/gateway.js";
import { addPath } from "../../dist/web/open-source.js";
import { colorAt, cutColors } from "../../web/color-maps.js";
import { temporaryFolders } from "../helpers/folder.js";
import { needsPeer, python, runPython } from "../helpers/shared.js";
import { smallPlate } from "../helpers/small-plate.js";
import { writeTiff } from "../helpers/tiff.js";
import { chromiumPath, drawn, pages, pixelOf, screenOf } from "./browser.js";

const folder = temporaryFolders();
const show = pages();
const gateways: Gateway[] = [];
const servers: Server[] = [];
afterEach(async () => {
  for (const g of gateways.splice(0)) await g.close();
  for (const s of servers.splice(0)) {
    s.closeAllConnections();
    s.close();
  }
});

async function gateway(path: string): Promise<Gateway> {
  const g = await new Gateway().start();
  gateways.push(g);
  await addPath(g, path);
  return g;
}

/** A server of one file, with ranges, as object stores are. */
async function serveFile(path: string, name: string): Promise<string> {
  const bytes = readFileSync(path);
  const server = createServer((request, response) => {
    if (request.url !== `/${name}`) return response.writeHead(404).end();
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
    const headers = { ETag: '"1"', "Accept-Ranges": "bytes" };
    if (first === undefined)
      return response
        .writeHead(200, { ...headers, "Content-Length": bytes.length })
        .end(request.method === "HEAD" ? undefined : bytes);
    const end = Math.min(Number(last), bytes.length - 1);
    response.writeHead(206, { ...headers, "Content-Range": `bytes ${first}-${end}/${bytes.length}` });
    response.end(bytes.subarray(Number(first), end + 1));
  }).listen(0, "127.0.0.1");
  servers.push(server);
  await new Promise((resolve) => server.once("listening", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/${name}`;
}

const size = 96;
const value = (x: number, y: number) => 7 * x + 600 * (y % 90);

function tiff(): string {
  const path = join(folder(), "cells.tif");
  writeTiff(path, { width: size, height: size, dtype: "uint16", value });
  return path;
}

/** An OME-Zarr image, written by a run. */
async function zarrImage(): Promise<string> {
  const root = join(folder(), "plate");
  smallPlate(root, { wells: ["A01"], width: size, height: size, value });
  const out = join(folder(), "results");
  await run(pipeline("copy").step("project", op.maxProject()), await openPlate(root), {
    out,
    threads: 1,
    chunk: 32,
  });
  return join(out, "plate.ome.zarr/A/1/0");
}

describe("an image that is no plate", () => {
  needsPeer(chromiumPath(), "Chromium");

  test.each([
    ["a TIFF file", async () => tiff(), "cells.tif"],
    ["a TIFF file behind a URL", async () => serveFile(tiff(), "cells.tif"), undefined],
    ["an OME-Zarr image", zarrImage, "0"],
    [
      "an OME-Zarr image behind a URL",
      async () => {
        const remote = await gateway(await zarrImage());
        return `${remote.url}data/s1`;
      },
      undefined,
    ],
  ])("%s is shown without a plate, its pixels as they are", async (_, path, name) => {
    const g = await gateway(await path());
    expect(g.catalog().sources[0]).toMatchObject({ kind: "image", ...(name && { name }) });
    const { page } = await show(g.url);
    await drawn(page);
    expect(await page.getByRole("grid").count()).toBe(0);
    for (const [x, y] of [
      [5, 5],
      [70, 40],
    ] as const) {
      const at = await screenOf(page, [size, size], x, y);
      await page.mouse.move(at.x, at.y);
      await expect
        .poll(() => page.getByLabel("Pixel under the pointer").innerText(), { timeout: 40_000 })
        .toMatch(new RegExp(`x ${x} y ${y}\\s+\\S.*\\s${value(x, y)}$`));
    }
  });

  test("what is neither is refused, and says what it is", async () => {
    const path = join(folder(), "notes.tif");
    writeFileSync(path, "no image");
    const g = await new Gateway().start();
    gateways.push(g);
    await expect(addPath(g, path)).rejects.toMatchObject({ code: "ERR_PLATE_FORMAT", argument: "path" });
    await expect(addPath(g, join(folder(), "absent.tif"))).rejects.toMatchObject({
      code: "ERR_PLATE_NOT_FOUND",
    });
  });
});

describe("colour maps", () => {
  needsPeer(chromiumPath(), "Chromium");
  needsPeer(python(), "Python with OpenCV");

  test("are OpenCV's, nowhere more than 3 of 255 away", () => {
    const tables = runPython(`
import json, cv2, numpy as np
ramp = np.arange(256, dtype="u1").reshape(256, 1)
print(json.dumps({n: cv2.applyColorMap(ramp, getattr(cv2, "COLORMAP_" + n.upper()))[:, 0, ::-1].tolist()
  for n in ["viridis", "magma", "inferno", "turbo"]}))`) as Record<
      "viridis" | "magma" | "inferno" | "turbo",
      number[][]
    >;
    for (const [name, table] of Object.entries(tables) as ["viridis", number[][]][])
      for (const [i, rgb] of table.entries())
        for (const [c, v] of colorAt(name, i / 255).entries())
          expect(Math.abs(v - (rgb[c] as number)), `${name} ${i}`).toBeLessThanOrEqual(3);
  });

  test.each(["uint8", "uint16", "int16", "float32"] as const)(
    "colour the pixels of an image of %s, and HiLo marks what is cut off",
    async (dtype) => {
      const path = join(folder(), "ramp.tif");
      // Columns of 10, 20, ... 120.
      writeTiff(path, { width: size, height: size, dtype, value: (x) => 10 * (1 + Math.floor(x / 8)) });
      const { page } = await show((await gateway(path)).url);
      await drawn(page);
      await page.getByLabel(/^Black of/).fill("20");
      await page.getByLabel(/^White of/).fill("100");
      const colorOfColumn = async (column: number) => {
        const { x, y } = await screenOf(page, [size, size], 8 * column + 4, 50);
        return pixelOf(page, x, y);
      };
      const near = (a: readonly number[], b: readonly number[]) =>
        a.every((v, i) => Math.abs(v - (b[i] as number)) <= 2);
      for (const map of ["viridis", "turbo", "grey", "HiLo"] as const) {
        await page.getByLabel(/^Colour map of/).selectOption(map);
        for (const column of [3, 6, 8]) {
          const part = (10 * (column + 1) - 20) / 80;
          await expect
            .poll(async () => near(await colorOfColumn(column), colorAt(map, part)), { timeout: 20_000 })
            .toBe(true);
        }
      }
      expect(await colorOfColumn(0)).toEqual(cutColors[0]);
      expect(await colorOfColumn(11)).toEqual(cutColors[1]);
      expect(await page.getByLabel(/^Colour of/).count()).toBe(0);
    },
  );
});
