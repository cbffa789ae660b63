// SPDX-License-Identifier: MIT
// The page beside a run that goes on: wells and planes appear as they are made, the run is stopped, the server goes and comes back.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { openPlate } from "../../dist/index.js";
import { Gateway } from "../../dist/web/gateway.js";
import { addPlate } from "../../dist/web/open-source.js";
import { temporaryFolders } from "../helpers/folder.js";
import { needsPeer } from "../helpers/shared.js";
import { smallPlate } from "../helpers/small-plate.js";
import { chromiumPath, drawn, pages } from "./browser.js";
import { startRun as startWaitingRun, wells } from "./waiting-run.js";

const folder = temporaryFolders();
const show = pages();
const gateways: Gateway[] = [];
afterEach(async () => {
  for (const g of gateways.splice(0)) await g.close();
});

async function startRun() {
  const g = await new Gateway().start();
  gateways.push(g);
  const plate = { channels: [2, 2], names: ["DAPI", "GFP"], width: 320, height: 240 };
  return { g, ...(await startWaitingRun(g, folder(), plate)) };
}

describe("the page beside a run", () => {
  needsPeer(chromiumPath(), "Chromium");

  test("wells fill in, planes appear in the open image, and measurements come with the end", async () => {
    const { g, ended, go, out } = await startRun();
    const { page } = await show(`${g.url}#well=B01`);
    const well = (name: string) => page.locator(`[data-well=${name}]`);
    await expect.poll(() => well("A01").getAttribute("aria-label"), { timeout: 40_000 }).toContain("done");
    expect(await well("B01").getAttribute("aria-label")).toContain("waiting");
    // The field that is open has not been written; it appears without being asked for.
    const histogram = page.locator("svg.histogram");
    await page.getByText("This field has not been written yet").waitFor();
    expect(await histogram.count()).toBe(0);
    // Values come with the wells, before there is a table.
    await page.getByLabel("Colour by").selectOption("live:DAPI: objects");
    const objects = async (name: string) =>
      /DAPI: objects (\S+),/.exec((await well(name).getAttribute("aria-label")) ?? "")?.[1];
    expect(Number(await objects("A01"))).toBeGreaterThan(0);
    expect(await objects("A02")).toBe("\u2013");
    expect(existsSync(join(out, "measurements.csv"))).toBe(false);
    go("A02");
    await expect.poll(() => well("A02").getAttribute("aria-label"), { timeout: 40_000 }).toContain("done");
    expect(Number(await objects("A02"))).toBeGreaterThan(0);
    expect(await histogram.count()).toBe(0);
    go("B01");
    await expect.poll(() => histogram.count(), { timeout: 40_000 }).toBe(2);
    await drawn(page);
    expect(await page.locator(".run-chip").innerText()).toContain("Running");
    await page.getByRole("button", { name: "Measurements" }).click();
    await page.getByText("No measurements yet").waitFor();
    go("B02");
    const report = await ended;
    expect(report.outcome).toBe("complete");
    await expect
      .poll(() => page.locator(".table-bar .number").innerText(), { timeout: 40_000 })
      .toBe(`${report.objects.toLocaleString("en")} objects`);
    expect(await page.locator(".run-chip").innerText()).toBe("Complete");
    for (const name of wells) expect(await well(name).getAttribute("aria-label")).toContain("done");
  });

  test("a run is cancelled only when that is confirmed, and says so", async () => {
    const { g, ended, go } = await startRun();
    const { page } = await show(`${g.url}#view=run`);
    await page.getByRole("button", { name: "Cancel run" }).click();
    await page.getByRole("button", { name: "Go on" }).click();
    expect(await page.getByRole("heading", { level: 1 }).innerText()).toBe("Running");
    await page.getByRole("button", { name: "Cancel run" }).click();
    await page.getByRole("button", { name: "Cancel it" }).click();
    // A function that runs is not torn out of its well.
    go(...wells);
    expect((await ended).outcome).toBe("cancelled");
    await page.getByRole("heading", { name: "Cancelled" }).waitFor();
    expect(await page.getByRole("button", { name: "Cancel run" }).count()).toBe(0);
  });

  test("comes back by itself when the server does, and shows what that has", async () => {
    const root = join(folder(), "plate");
    smallPlate(root, { wells: ["A01"] });
    const plate = await openPlate(root);
    const first = await new Gateway().start();
    gateways.push(first);
    await addPlate(first, plate, { name: "before" });
    const { page } = await show(first.url);
    await drawn(page);
    const source = page.getByLabel("Plate or image");
    const { port, token } = first;
    await first.close();
    await page.getByRole("alert").getByText("The server does not answer").waitFor();
    await page.getByText("not connected").waitFor();
    const second = await new Gateway({ port, token }).start();
    gateways.push(second);
    await addPlate(second, await openPlate(root), { name: "after" });
    await page.getByRole("alert").waitFor({ state: "detached" });
    await expect
      .poll(() => page.locator("select.source").innerText(), { timeout: 40_000 })
      .toContain("after");
    expect(await source.count()).toBe(1);
    expect(await page.locator(".connection").innerText()).toBe("live");
  });

  test("10 000 planes are counted, and only those of the open field are fetched", async () => {
    const root = join(folder(), "plate");
    smallPlate(root, { wells: ["A01", "A02"] });
    const g = await new Gateway().start();
    gateways.push(g);
    const source = await addPlate(g, await openPlate(root), { run: "r1", role: "output", live: true });
    g.events.publish({
      type: "run",
      key: "r1",
      run: "r1",
      state: "running",
      planesDone: 0,
      planesTotal: 10_000,
    });
    g.events.publish({ type: "well", key: "A02", run: "r1", well: "A02", state: "waiting" });
    const { page, requests } = await show(`${g.url}#well=A01`);
    await drawn(page);
    expect(await page.locator("[data-well=A02]").getAttribute("aria-label")).toContain("waiting");
    const chunks = () => requests.filter((r) => /\/c\//.test(r)).length;
    const before = chunks();
    for (let i = 0; i < 10_000; i++) {
      g.events.publish({ type: "tile", key: `A/2/0/${i}`, source, path: "A/2/0", index: [i], well: "A02" });
      if (i % 500 === 499) await new Promise((resolve) => setTimeout(resolve, 20));
    }
    g.events.publish({
      type: "run",
      key: "r1",
      run: "r1",
      state: "complete",
      planesDone: 10_000,
      planesTotal: 10_000,
    });
    await page.getByRole("button", { name: "Complete" }).click();
    await expect
      .poll(() => page.locator(".numbers").innerText(), { timeout: 40_000 })
      .toMatch(/Planes shown live\s+10,000/);
    expect(chunks()).toBe(before);
    expect(await page.locator("[data-well=A02]").getAttribute("aria-label")).toContain("running");
    g.events.publish({ type: "tile", key: "A/1/0/0", source, path: "A/1/0", index: [0], well: "A01" });
    await page.getByRole("button", { name: "Image" }).click();
    await expect.poll(chunks, { timeout: 40_000 }).toBeGreaterThan(before);
  });
});
