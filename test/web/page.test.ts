// SPDX-License-Identifier: MIT
// The page in a real browser, on the results of a real run: what it shows is what the files say.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { op, openPlate, pipeline, run } from "../../dist/index.js";
import { Gateway } from "../../dist/web/gateway.js";
import { addPath, addPlate } from "../../dist/web/open-source.js";
import { temporaryFolders } from "../helpers/folder.js";
import { needsPeer, python, runPython, shared } from "../helpers/shared.js";
import { smallPlate } from "../helpers/small-plate.js";
import { chromiumPath, drawn, pages, pixelOf, screenOf } from "./browser.js";

const folder = temporaryFolders();
const show = pages();
const gateways: Gateway[] = [];
afterEach(async () => {
  for (const g of gateways.splice(0)) await g.close();
});

async function gateway(...paths: string[]): Promise<Gateway> {
  const g = await new Gateway().start();
  gateways.push(g);
  for (const path of paths) await addPath(g, path);
  return g;
}

/** Rows of a measurements.csv, none of whose fields is quoted. */
function csvRows(out: string): Record<string, string>[] {
  const [head = "", ...lines] = readFileSync(join(out, "measurements.csv"), "utf8").trimEnd().split("\n");
  const names = head.split(",");
  return lines.map((line) => {
    const values = line.split(",");
    return Object.fromEntries(names.map((name, i) => [name, values[i] ?? ""]));
  });
}

describe("the page", () => {
  needsPeer(chromiumPath(), "Chromium");
  needsPeer(python(), "Python");

  let plate = "";
  let out = "";
  const wells = ["O05", "O06"];

  beforeAll(async () => {
    const real = shared("data", "transfluor-plate");
    plate = real ?? join(folder(), "plate");
    if (real === undefined) smallPlate(plate, { wells, sites: 2, width: 512, height: 512, dtype: "uint8" });
    out = join(folder(), "results");
    const steps = pipeline("spots")
      .step("smooth", op.gaussian({ sigma: 1.5 }))
      .step("segment", op.otsu(), op.label({ minArea: 30, name: "nuclei" }))
      .step("measure", op.measure(["area", "centroid", "mean_intensity"]));
    const report = await run(steps, await openPlate(plate), { out, wells, threads: 2 });
    expect(report.outcome).toBe("complete");
  });

  test("shows the pixel's value as it is in the file, and its colour as contrast says", async () => {
    const g = await gateway();
    const id = await addPlate(g, await openPlate(plate), {});
    const { page } = await show(`${g.url}#source=${id}&well=O05`);
    await drawn(page);
    const file = (await openPlate(plate)).planes.find((p) => p.well === "O05");
    const values = runPython(
      "import json, sys, tifffile; a = tifffile.imread(sys.argv[1]); print(json.dumps([int(a[200, 100]), int(a[311, 402]), int(a.argmax())]))",
      [file?.path as string],
    ) as [number, number, number];
    const status = page.getByLabel("Pixel under the pointer");
    for (const [x, y, value] of [
      [100, 200, values[0]],
      [402, 311, values[1]],
    ] as const) {
      const at = await screenOf(page, [512, 512], x, y);
      await page.mouse.move(at.x, at.y);
      await expect.poll(() => status.innerText(), { timeout: 30_000 }).toContain(`x ${x} y ${y}`);
      expect(await status.locator("[data-channel='0'] b").innerText()).toBe(String(value));
    }
    // The brightest pixel, which no other range than the one set here shows in this colour.
    const [x, y] = [values[2] % 512, Math.floor(values[2] / 512)];
    const brightest = runPython(
      "import json, sys, tifffile; print(json.dumps(int(tifffile.imread(sys.argv[1]).max())))",
      [file?.path as string],
    ) as number;
    await page.getByLabel("Colour of", { exact: false }).first().fill("#ff8000");
    const white = page.getByLabel("White of", { exact: false });
    const black = page.getByLabel("Black of", { exact: false });
    const top = Number(await white.getAttribute("max"));
    await white.fill(String(top));
    await black.fill(await black.getAttribute("min").then(String));
    const low = Number(await black.inputValue());
    const part = Math.min(1, (brightest - low) / (top - low));
    const at = await screenOf(page, [512, 512], x, y);
    const expected = [255 * part, 128 * part, 0];
    await expect
      .poll(
        async () => {
          const color = await pixelOf(page, at.x, at.y);
          return Math.max(...color.map((v, i) => Math.abs(v - (expected[i] as number))));
        },
        { timeout: 30_000 },
      )
      .toBeLessThanOrEqual(2);
    // Half of the range: everything from there on is as bright as can be.
    await white.fill(String(Math.round(low + (brightest - low) / 2)));
    await expect.poll(() => pixelOf(page, at.x, at.y), { timeout: 30_000 }).toEqual([255, 128, 0]);
  });

  test("a click on an object shows its row of the measurements, and the table has it marked", async () => {
    const [first] = csvRows(out)
      .filter((r) => r.well === "O05")
      .sort((a, b) => Number(b.area) - Number(a.area));
    const row = first as Record<string, string>;
    const g = await gateway(out);
    const source = g.catalog().sources[0];
    const index = source?.sites.O05?.indexOf(Number(row.site)) ?? -1;
    const path = source?.fields.O05?.[index] as string;
    const [y, x] = runPython(
      `import json, sys, numpy as np, zarr
a = zarr.open_array(sys.argv[1], mode="r")[0]
ys, xs = np.nonzero(a == int(sys.argv[2]))
middle = len(ys) // 2
print(json.dumps([int(ys[middle]), int(xs[middle]), int(len(ys))]))`,
      [join(out, "plate.ome.zarr", path, "labels", "nuclei", "0"), row.label as string],
    ) as [number, number, number];
    const { page } = await show(`${g.url}#well=O05&field=${index}`);
    await drawn(page);
    const at = await screenOf(page, [512, 512], x, y);
    // Objects come after the image: until theirs have, there is nothing under the pointer.
    const heading = page.getByRole("heading", { name: `Object ${row.label}` });
    const chosen = async () => {
      await page.mouse.click(at.x, at.y);
      return heading.waitFor({ timeout: 2000 }).then(
        () => true,
        () => false,
      );
    };
    await expect.poll(chosen, { timeout: 30_000, interval: 100 }).toBe(true);
    await page.locator("td[data-column=area]").waitFor();
    expect((await page.locator("td[data-column=area]").innerText()).replaceAll(",", "")).toBe(row.area);
    expect(await page.locator("td[data-column=site]").innerText()).toBe(row.site);
    await page.getByRole("button", { name: "Show in the table" }).click();
    const marked = page.locator(".listing tr[aria-selected=true]");
    await marked.waitFor();
    // Among others, too: the last of the largest.
    await page.getByRole("columnheader", { name: "area" }).getByRole("button").click();
    // The rows are drawn again when they are sorted.
    await expect
      .poll(async () => (await marked.locator("td").allInnerTexts()).map((c) => c.replaceAll(",", "")))
      .toEqual(expect.arrayContaining([row.well, row.area]));
    // Back from the table to the image.
    await page.goBack();
    await page.locator(".image-canvas").waitFor();
  });

  test("wells chosen by pointer, header and keys narrow the table, as the file's rows say", async () => {
    const rows = csvRows(out);
    const count = (...of: string[]) =>
      rows.filter((r) => of.includes(r.well as string)).length.toLocaleString("en");
    const g = await gateway(out);
    const { page } = await show(`${g.url}#view=table`);
    const cell = (well: string) => page.locator(`[data-well=${well}]`);
    const total = page.locator(".table-bar .number");
    await expect.poll(() => total.innerText()).toBe(`${rows.length.toLocaleString("en")} objects`);
    await cell("O05").click();
    await expect.poll(() => total.innerText()).toBe(`${count("O05")} objects in 1 wells`);
    await cell("O06").click({ modifiers: ["Control"] });
    await expect.poll(() => total.innerText()).toBe(`${count("O05", "O06")} objects in 2 wells`);
    await cell("O05").click({ modifiers: ["Control"] });
    await expect.poll(() => total.innerText()).toBe(`${count("O06")} objects in 1 wells`);
    const selected = () => page.locator("[role=gridcell][aria-selected=true]").count();
    await page.getByRole("button", { name: "Select column 5", exact: true }).click();
    expect(await cell("O05").getAttribute("aria-selected")).toBe("true");
    expect(await selected()).toBe(1);
    await page.getByRole("button", { name: "Select row O", exact: true }).click();
    expect(await selected()).toBe(2);
    // A rectangle, drawn from right to left.
    await page.keyboard.press("Escape");
    const [from, to] = [await cell("P07").boundingBox(), await cell("N06").boundingBox()];
    if (from === null || to === null) throw new Error("no wells");
    await page.mouse.move(from.x + 4, from.y + 4);
    await page.mouse.down();
    await page.mouse.move(to.x + 4, to.y + 4, { steps: 4 });
    await page.mouse.up();
    expect(await selected()).toBe(1);
    expect(await cell("O06").getAttribute("aria-selected")).toBe("true");
    // Keys: from O06 one to the left, chosen with Space; then both with Shift; then all; then none.
    await cell("O06").focus();
    await page.keyboard.press("Escape");
    expect(await selected()).toBe(0);
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("Space");
    expect(await cell("O05").getAttribute("aria-selected")).toBe("true");
    await page.keyboard.press("Shift+ArrowRight");
    expect(await selected()).toBe(2);
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+a");
    expect(await selected()).toBe(2);
    // The row of a well that was not imaged, then its column.
    await page.keyboard.press("Escape");
    await page.keyboard.press("Shift+Space");
    expect(await selected()).toBe(2);
    await page.keyboard.press("Escape");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Shift+Space");
    expect(await selected()).toBe(0);
    await page.keyboard.press("Control+Space");
    expect(await selected()).toBe(1);
  });

  test("sorts and filters rows, selects objects in the chart, and saves what is left as CSV", async () => {
    const rows = csvRows(out);
    const g = await gateway(out);
    const { page } = await show(`${g.url}#view=table`);
    const areas = rows.map((r) => Number(r.area)).sort((a, b) => a - b);
    const firstArea = async () =>
      Number(
        (
          await page.locator(".listing tbody:not([aria-hidden]) tr").first().locator("td").nth(6).innerText()
        ).replaceAll(",", ""),
      );
    await page.getByRole("columnheader", { name: "area" }).getByRole("button").click();
    await expect.poll(firstArea).toBe(areas[0]);
    await page.getByRole("columnheader", { name: "area" }).getByRole("button").click();
    await expect.poll(firstArea).toBe(areas.at(-1));
    const middle = areas[areas.length >> 1] as number;
    await page.getByLabel("Filter").fill(`area > ${middle}`);
    await page.getByLabel("Filter").press("Enter");
    const left = areas.filter((a) => a > middle).length;
    const total = page.locator(".table-bar .number");
    await expect.poll(() => total.innerText()).toBe(`${left.toLocaleString("en")} objects`);
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "These as CSV" }).click();
    const saved = readFileSync(await (await download).path(), "utf8")
      .trimEnd()
      .split("\n");
    expect(saved[0]).toBe(readFileSync(join(out, "measurements.csv"), "utf8").split("\n")[0]);
    expect(saved).toHaveLength(left + 1);
    await page.getByLabel("Filter").fill("nothing>1");
    await page.getByLabel("Filter").press("Enter");
    await page.getByRole("alert").getByText("column: expected one of").waitFor();
    await page.getByLabel("Filter").fill("");
    await page.getByLabel("Filter").press("Enter");
    await expect.poll(() => total.innerText()).toBe(`${rows.length.toLocaleString("en")} objects`);
    const box = await page.locator(".chart canvas").boundingBox();
    if (box === null) throw new Error("no chart");
    await page.mouse.move(box.x + 1, box.y + 1);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width - 1, box.y + box.height - 1, { steps: 3 });
    await page.mouse.up();
    const all = rows.length.toLocaleString("en");
    await expect.poll(() => total.innerText()).toBe(`${all} objects, ${all} selected`);
  });

  test("draws input and results side by side, which pan and zoom together, and saves the view", async () => {
    const g = await gateway(out);
    const { page } = await show(`${g.url}#well=O05&beside=1`);
    await drawn(page);
    const names = await page.locator(".pane-names span").allInnerTexts();
    expect(names.map((n) => n.replace(/.*\((\w+)\)$/, "$1"))).toEqual(["input", "results"]);
    const canvas = page.locator(".image-canvas");
    const box = await canvas.boundingBox();
    if (box === null) throw new Error("no canvas");
    await canvas.focus();
    await page.keyboard.press("1");
    for (let i = 0; i < 3; i++) await page.keyboard.press("ArrowRight");
    const status = page.getByLabel("Pixel under the pointer");
    const at = async (part: number) => {
      await page.mouse.move(box.x + box.width * part, box.y + box.height / 2);
      await expect.poll(() => status.innerText(), { timeout: 30_000 }).toMatch(/^x \d+/);
      return /x (\d+) y (\d+)/
        .exec(await status.innerText())
        ?.slice(1)
        .map(Number);
    };
    expect(await at(0.25)).toEqual([256 + 150, 256]);
    expect(await at(0.75)).toEqual([256 + 150, 256]);
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Save PNG" }).click();
    const png = readFileSync(await (await download).path());
    expect(png.subarray(1, 4).toString()).toBe("PNG");
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([
      Math.round(box.width),
      Math.round(box.height),
    ]);
  });

  test("a plate of 1536 wells is drawn, walked through and opened by keys", async () => {
    const root = join(folder(), "large");
    const rowNames = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ", "AA", "AB", "AC", "AD", "AE", "AF"];
    const large = rowNames.flatMap((r) =>
      Array.from({ length: 48 }, (_, c) => `${r}${String(c + 1).padStart(2, "0")}`),
    );
    smallPlate(root, { wells: large, width: 16, height: 16, value: (_x, _y, p) => p.well.length });
    const g = await gateway();
    await addPlate(g, await openPlate(root), {});
    const { page } = await show(g.url);
    await page.getByRole("grid").waitFor();
    expect(await page.getByRole("gridcell").count()).toBe(1536);
    // Headers stand beside what they select.
    const header = await page.getByRole("button", { name: "Select row AF", exact: true }).boundingBox();
    const last = await page.locator("[data-well=AF01]").boundingBox();
    if (header === null || last === null) throw new Error("no plate");
    expect(Math.abs(header.y + header.height / 2 - last.y - last.height / 2)).toBeLessThan(last.height / 2);
    await page.locator("[data-well=A01]").focus();
    await page.keyboard.press("Control+End");
    await page.keyboard.press("Enter");
    await expect.poll(() => page.url()).toContain("well=AF48");
    await drawn(page);
    expect(await page.locator(".image-title").innerText()).toBe("AF48");
    await page.keyboard.press("Control+Home");
    await page.keyboard.press("Shift+PageDown");
    expect(await page.locator("[role=gridcell][aria-selected=true]").count()).toBe(32);
  });

  test("without the token there is nothing, and an old address is told from a server that is away", async () => {
    const g = await gateway();
    const { page } = await show(`${g.url}`);
    await page.getByText("No plate is open").waitFor();
    const { port } = g;
    const answer = await fetch(`http://127.0.0.1:${port}/${"0".repeat(32)}/`);
    expect([answer.status, await answer.text()]).toEqual([404, ""]);
    await g.close();
    await page.getByText("The server does not answer").waitFor();
    gateways.push(await new Gateway({ port }).start());
    await page.getByRole("button", { name: "Try now" }).click();
    await page.getByText("This address is no longer valid").waitFor();
  });
});
