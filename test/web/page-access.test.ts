// SPDX-License-Identifier: MIT
// The page for everyone: axe finds nothing against WCAG 2.2 AA in any view, light or dark, and what the views do that needs no run.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { op, openPlate, pipeline, run } from "../../dist/index.js";
import { Gateway } from "../../dist/web/gateway.js";
import { addPath, addPlate } from "../../dist/web/open-source.js";
import { temporaryFolders } from "../helpers/folder.js";
import { needsPeer } from "../helpers/shared.js";
import { smallPlate } from "../helpers/small-plate.js";
import { chromiumPath, drawn, pages, screenOf } from "./browser.js";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const folder = temporaryFolders();
const show = pages();
const showWithoutWebGl = pages(["--disable-3d-apis"]);
const gateways: Gateway[] = [];
afterEach(async () => {
  for (const g of gateways.splice(0)) await g.close();
});

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

/** One server as lib/manager describes it, with a plate that it works on. */
const tree = {
  version: 1,
  scanned: true,
  error: null,
  servers: [
    {
      ...{ kind: "server", key: "ipc-tilecast-7777", label: "ExecutionServer 7777", type: "execution" },
      ...{ state: "ready", missed: 0, why: null, busy: null, actions: ["quit", "force-quit"], hasLog: true },
      ...{ app: "tilecast", version: "0.1.0", server: "ExecutionServer", role: "execution", mode: "ipc" },
      ...{ port: 7777, address: "socket", generation: "C", pid: 4711, startedAt: null, memoryMb: 310 },
      ...{ cpuPercent: 180, running: 1, queued: 1, workers: [], viewer: null, percent: 50, failed: 0 },
      children: [
        {
          ...{ kind: "execution", key: "e1", label: "2023-02-21", executionId: "e1", plateId: "p" },
          ...{ state: "running", position: null, compileOnly: false, startedAt: null, endedAt: null },
          ...{ error: null, wells: { total: 2, done: 1, failed: 0 }, percent: 50, failed: 0 },
          children: [
            {
              ...{ kind: "worker", key: "w1", label: "worker_0", state: "running" },
              ...{ percent: 50, failed: 0, children: [] },
            },
          ],
        },
      ],
    },
  ],
};

describe("the page", () => {
  needsPeer(chromiumPath(), "Chromium");

  let out = "";
  beforeAll(async () => {
    const plate = join(folder(), "plate");
    smallPlate(plate, { sites: 2, channels: [0, 0], names: ["DAPI", "GFP"], width: 200, height: 160 });
    out = join(folder(), "results");
    const steps = pipeline("spots")
      .step("segment", op.threshold({ value: 40 }), op.label({ name: "spots" }))
      .step("measure", op.measure(["area", "mean_intensity"]));
    await run(steps, await openPlate(plate), { out, threads: 1 });
  });

  test.each([false, true])("has nothing that axe objects to (dark: %s)", async (dark) => {
    const g = await new Gateway().start();
    gateways.push(g);
    await addPath(g, out);
    g.query("instances", () => tree);
    const { page } = await show(g.url, { dark });
    await drawn(page);
    const check = async () => {
      const found = (await page.evaluate(
        `${axe}; axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"] }).then((r) => r.violations)`,
      )) as Violation[];
      // The two sliders of a range lie on one line, which axe takes for one covering the other; their thumbs are what is dragged.
      const isRange = (html: string) => /aria-label="(?:Black|White) of/.test(html);
      const real = found
        .map((v) => ({
          ...v,
          nodes: v.id === "target-size" ? v.nodes.filter((n) => !isRange(n.html)) : v.nodes,
        }))
        .filter((v) => v.nodes.length > 0);
      return real.map((v) => `${v.id}: ${v.nodes[0]?.html} ${v.nodes[0]?.failureSummary}`);
    };
    expect(await check()).toEqual([]);
    await page.getByRole("button", { name: "Measurements" }).click();
    await page.locator(".listing td").first().waitFor();
    expect(await check()).toEqual([]);
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await page.getByRole("heading", { name: "Complete" }).waitFor();
    expect(await check()).toEqual([]);
    await page.getByRole("button", { name: "Machine" }).click();
    await page.getByText("ExecutionServer 7777").waitFor();
    expect(await check()).toEqual([]);
  });

  test("a slider goes through the slices of a stack, and the address remembers which", async () => {
    const root = join(folder(), "stack");
    smallPlate(root, {
      wells: ["A01"],
      channels: [3],
      width: 64,
      height: 64,
      value: (x, _y, p) => 100 * p.z + x,
    });
    const g = await new Gateway().start();
    gateways.push(g);
    await addPlate(g, await openPlate(root), {});
    const { page } = await show(g.url);
    await drawn(page);
    const at = await screenOf(page, [64, 64], 10, 20);
    const status = page.getByLabel("Pixel under the pointer").locator("[data-channel='0'] b");
    for (const [slice, value] of [
      [0, 110],
      [2, 310],
    ] as const) {
      await page.getByLabel("Slice").fill(String(slice));
      await drawn(page);
      await expect
        .poll(
          async () => {
            await page.mouse.move(at.x + 3, at.y);
            await page.mouse.move(at.x, at.y);
            return status.innerText().catch(() => "");
          },
          { timeout: 40_000 },
        )
        .toBe(String(value));
    }
    expect(page.url()).toContain("z=2");
    await page.reload();
    await drawn(page);
    expect(await page.getByLabel("Slice").inputValue()).toBe("2");
  });

  test.each([
    ["0.4", "zstd"],
    ["0.4", "blosc-lz4"],
    ["0.5", "blosc-zstd"],
    ["0.5", "none"],
  ] as const)("pixels of OME-Zarr %s with %s are read as they are", async (zarr, compression) => {
    const root = join(folder(), "plate");
    smallPlate(root, { wells: ["A01"], width: 96, height: 96, value: (x, y) => 7 * x + 600 * (y % 90) });
    const results = join(folder(), "results");
    const copy = pipeline("copy").step("project", op.maxProject());
    await run(copy, await openPlate(root), { out: results, threads: 1, zarr, compression, chunk: 32 });
    const g = await new Gateway().start();
    gateways.push(g);
    await addPath(g, results);
    const { page } = await show(g.url);
    await drawn(page);
    // In different chunks.
    for (const [x, y] of [
      [5, 5],
      [70, 40],
      [95, 89],
    ] as const) {
      const at = await screenOf(page, [96, 96], x, y);
      await page.mouse.move(at.x, at.y);
      await expect
        .poll(() => page.getByLabel("Pixel under the pointer").innerText(), { timeout: 40_000 })
        .toMatch(new RegExp(`x ${x} y ${y}\\s+\\S.*\\s${7 * x + 600 * y}$`));
    }
  });

  test("servers are told to quit only when that is confirmed, and stay folded as they were", async () => {
    const g = await new Gateway().start();
    gateways.push(g);
    const asked: string[][] = [];
    let version = 1;
    g.query("instances", () => ({ ...tree, version: version++ }));
    g.control("instances", (parts) => {
      asked.push([...parts]);
    });
    const { page } = await show(`${g.url}#view=machine`);
    await page.getByRole("button", { name: "Open 2023-02-21" }).click();
    await page.getByText("worker_0").waitFor();
    await page.getByRole("button", { name: "Force quit ExecutionServer 7777" }).click();
    await page.getByRole("button", { name: "Keep" }).click();
    await page.getByRole("button", { name: "Quit ExecutionServer 7777", exact: true }).click();
    expect(asked).toEqual([]);
    await page.getByRole("button", { name: "Quit", exact: true }).click();
    await expect.poll(() => asked).toEqual([["ipc-tilecast-7777", "quit", "4711"]]);
    const trees = version;
    await expect.poll(() => version, { timeout: 40_000 }).toBeGreaterThan(trees);
    expect(await page.getByText("worker_0").isVisible()).toBe(true);
  });

  test("says what is not there, instead of showing nothing", async () => {
    const g = await new Gateway().start();
    gateways.push(g);
    const { page } = await show(g.url);
    await page.getByText("No plate is open").waitFor();
    await page.getByRole("button", { name: "Machine" }).click();
    await page.getByText("Servers are not listed here").waitFor();
    const root = join(folder(), "late");
    smallPlate(root, { wells: ["A01"] });
    await addPlate(g, await openPlate(root), {});
    await page.getByRole("button", { name: "Measurements" }).click();
    await page.getByText("No measurements", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await page.getByText("No run", { exact: true }).waitFor();
  });

  test("a browser without WebGL2 shows all but images, and says why", async () => {
    const g = await new Gateway().start();
    gateways.push(g);
    await addPath(g, out);
    const { page } = await showWithoutWebGl(g.url);
    await page.getByText("Images need WebGL2").waitFor();
    await page.getByRole("button", { name: "Measurements" }).click();
    await page.locator(".listing td").first().waitFor();
    expect(await page.getByRole("gridcell").count()).toBeGreaterThan(1);
  });
});
