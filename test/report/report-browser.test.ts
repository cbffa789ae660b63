// SPDX-License-Identifier: MIT
// The report as a person meets it: opened from disk in Chromium, used with the mouse and the keyboard.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { renderReport } from "../../lib/orchestrator/report/report.js";
import { temporaryFolders } from "../helpers/folder.js";
import { needsPeer } from "../helpers/shared.js";
import { chromium, Page } from "./chromium.js";
import { makeReport } from "./report-fixture.js";

const executable = chromium();
const folder = temporaryFolders();

describe("the report in Chromium", () => {
  needsPeer(executable, "Chromium");
  let page: Page;
  let url: string;

  beforeAll(async () => {
    page = await Page.open(executable as string, folder());
    const file = join(folder(), "report.html");
    const data = makeReport({
      rows: 4,
      columns: 6,
      side: 64,
      keep: (row, column) => !(row === 0 && column === 1),
      status: (row, column) => (row === 1 && column === 2 ? "failed" : "done"),
    });
    writeFileSync(file, renderReport(data));
    url = pathToFileURL(file).href;
  });
  afterAll(() => page.close());
  beforeEach(() => {
    page.errors.length = 0;
    page.requests.length = 0;
  });

  const fills = () =>
    page.evaluate<string[]>(
      `[...document.querySelectorAll("#plate-map .well rect")].map((r) => getComputedStyle(r).fill)`,
    );
  const text = (id: string) =>
    page.evaluate<string>(`document.getElementById(${JSON.stringify(id)}).textContent`);
  const focused = () =>
    page.evaluate<string>(`document.activeElement.getAttribute("aria-label") ?? document.activeElement.id`);
  const change = (id: string, value: string) =>
    page.evaluate(
      `{ const e = document.getElementById("${id}"); e.value = "${value}"; e.dispatchEvent(new Event("change", { bubbles: true })); }`,
    );

  test("runs its script without an error and asks for nothing but itself", async () => {
    await page.goto(url);
    expect(await page.evaluate("document.documentElement.hasAttribute('data-ready')")).toBe(true);
    expect(await page.evaluate("document.documentElement.getAttribute('data-error')")).toBeNull();
    expect(page.errors).toEqual([]);
    expect(page.requests.filter((r) => !r.startsWith("data:image/png") && r !== "about:blank")).toEqual([
      url,
    ]);
  });

  test("every picture decodes", async () => {
    await page.goto(url);
    const broken = await page.evaluate<number>(`(async () => {
      const images = [...document.images];
      for (const i of images) i.loading = "eager";
      const results = await Promise.allSettled(images.map((i) => i.decode()));
      return results.filter((r) => r.status === "rejected").length;
    })()`);
    expect(broken).toBe(0);
    // 22 wells with nuclei, their outlines, and cells.
    expect(await page.evaluate("document.images.length")).toBe(22 * 3);
  });

  test("selecting another measurement recolours the wells, the legend and the labels", async () => {
    await page.goto(url);
    const before = await fills();
    expect(await text("legend-name")).toBe("DAPI: objects");
    await change("measure", "3");
    const after = await fills();
    expect(after).not.toEqual(before);
    expect(await text("legend-name")).toBe("GFP: mean_intensity (mean)");
    // Cells die where GFP rises: the ends of row A swap dark and bright.
    expect([before[4], after[0]].every((c) => /^rgb\((6|7)\d, [0-9]{1,2}, /.test(c as string))).toBe(true);
    expect(
      await page.evaluate<string>(`document.querySelector("#plate-map .well").getAttribute("aria-label")`),
    ).toMatch(/^A01, done, GFP: mean_intensity \(mean\): /);
    expect(page.errors).toEqual([]);
  });

  test("the address keeps the view: measurement, channel, outlines, theme and well", async () => {
    await page.goto(url);
    await change("measure", "1");
    await page.evaluate(`document.querySelector('[name=view][value="1"]').click()`);
    await page.evaluate(`document.getElementById("outlines").click()`);
    const hash = await page.evaluate<string>("location.hash");
    expect(hash).toBe("#measure=1&view=1&outlines=0");

    await page.goto(`${url}${hash}&theme=dark&well=C04`);
    expect(await text("legend-name")).toBe("DAPI: area (mean)");
    expect(await page.evaluate(`document.getElementById("pictures").dataset.view`)).toBe("1");
    expect(
      await page.evaluate(
        `[...document.querySelectorAll("#pictures .outline")].every((e) => e.checkVisibility() === false)`,
      ),
    ).toBe(true);
    expect(await page.evaluate(`getComputedStyle(document.body).backgroundColor`)).toBe("rgb(12, 16, 20)");
    expect(await page.evaluate(`document.getElementById("well").open`)).toBe(true);
    expect(await text("well-name")).toBe("C04");
    expect(page.errors).toEqual([]);
  });

  test("arrow keys move between wells over a gap, and Enter goes to the picture", async () => {
    await page.goto(url);
    await page.evaluate(`document.querySelector('#plate-map [tabindex="0"]').focus()`);
    expect(await focused()).toMatch(/^A01,/);
    await page.press("ArrowRight");
    expect(await focused()).toMatch(/^A03,/);
    await page.press("ArrowDown");
    expect(await focused()).toMatch(/^B03, failed, 3 of 12 planes failed, DAPI: objects: no value$/);
    expect(await page.evaluate(`document.getElementById("tip").hidden`)).toBe(false);
    expect(await text("tip-name")).toBe("B03 (failed, 3 of 12 planes failed)");
    await page.press("Enter");
    const tile = await page.evaluate<string>("document.activeElement.id");
    expect(
      await page.evaluate(`document.getElementById("${tile}").querySelector(".caption b").textContent`),
    ).toBe("B03");
    expect(await page.evaluate(`document.querySelectorAll('#plate-map [tabindex="0"]').length`)).toBe(1);
    await page.press("Enter");
    expect(await text("well-failures")).toBe(
      "ERR_TIFF_DAMAGED: strip 12 ends at byte 284112, but the file has 131072 bytes",
    );
    await page.press("ArrowRight");
    expect(await text("well-name")).toBe("B04");
    await page.press("Escape");
    expect(await page.evaluate(`document.getElementById("well").open`)).toBe(false);
    expect(page.errors).toEqual([]);
  });

  test("nothing is wider than a telephone", async () => {
    await page.send("Emulation.setDeviceMetricsOverride", {
      width: 390,
      height: 844,
      deviceScaleFactor: 2,
      mobile: true,
    });
    await page.goto(url);
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(390);
    await page.send("Emulation.clearDeviceMetricsOverride");
  });

  test("hostile names stay text and run nothing", async () => {
    const evil = `"><img src=x onerror="document.title='owned'"></script><script>document.title='owned'</script>`;
    const base = makeReport({ rows: 1, columns: 2, side: 16 });
    const file = join(folder(), "hostile.html");
    const data = {
      ...base,
      plate: {
        ...base.plate,
        name: evil,
        root: evil,
        channels: [
          { channel: 1, name: evil },
          { channel: 2, name: evil },
        ],
      },
      run: { ...base.run, steps: [evil], command: evil, pipeline: evil, machine: evil },
      wells: base.wells.map((w) => ({ ...w, values: { ...w.values, [evil]: 3 } })),
      measurements: [evil, ...base.measurements],
      failures: [{ well: evil, site: 1, channel: 1, timepoint: 1, code: evil, message: evil, path: evil }],
      notices: [evil],
    };
    writeFileSync(file, renderReport(data));
    await page.goto(pathToFileURL(file).href);
    expect(await page.evaluate("document.documentElement.hasAttribute('data-ready')")).toBe(true);
    expect(await page.evaluate("document.title")).toBe(`${evil} · complete · tilecast`);
    expect(await page.evaluate("document.querySelector('h1').textContent")).toBe(evil);
    expect(await text("legend-name")).toBe(evil);
    expect(await page.evaluate("document.querySelectorAll('[onerror], img[src=x]').length")).toBe(0);
    expect(await page.evaluate("document.scripts.length")).toBe(2);
    expect(page.errors).toEqual([]);
  });
});
