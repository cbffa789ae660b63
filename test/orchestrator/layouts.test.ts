// SPDX-License-Identifier: MIT
// A run over each microscope's layout: the projections that are written hold the planes that the layout says, and lost planes are in run.json.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { op } from "../../lib/ops/index.js";
import { pipeline } from "../../lib/orchestrator/pipeline.js";
import { temporaryFolders } from "../helpers/folder.js";
import { omeImage, omeXml, writePages } from "../helpers/ome-tiff.js";
import { phenixPlate } from "../helpers/phenix-plate.js";
import { pixels, runJson } from "../helpers/results.js";
import { writeTiff } from "../helpers/tiff.js";
import { yokogawaPlate } from "../helpers/yokogawa-plate.js";
import { go } from "./small-runs.js";

const folder = temporaryFolders();
const project = pipeline("project").step("project", op.maxProject());

/** First pixel of each channel of a written field: all pixels of a plane are equal in these plates. */
async function written(out: string, field: string): Promise<number[]> {
  const { shape, data } = await pixels(out, `${field}/0`);
  const [height, width] = shape.slice(-2) as [number, number];
  const planes = shape.slice(0, -2).reduce((a, b) => a * b, 1);
  return Array.from({ length: planes }, (_, i) => data[i * height * width] as number);
}

describe("a run over", () => {
  test("an Opera Phenix plate projects its planes, and says what the microscope did not take", async () => {
    const [root, out] = [folder(), join(folder(), "out")];
    const planes = phenixPlate(root, { planes: 3, fields: 2, withhold: (p) => p.value === 24 });
    await go(root, out, {}, project);
    const highest = (column: number, field: number) =>
      [1, 2].map((channel) =>
        Math.max(
          ...planes
            .filter(
              (p) => p.column === column && p.field === field && p.channel === channel && p.value !== 24,
            )
            .map((p) => p.value),
        ),
      );
    expect(await written(out, "A/1/0")).toEqual(highest(1, 1));
    expect(await written(out, "A/1/1")).toEqual(highest(1, 2));
    expect(await written(out, "A/2/1")).toEqual(highest(2, 2));
    expect(runJson(out).planeStates.filter((p) => p.state === "missing")).toEqual([
      expect.objectContaining({
        well: "A02",
        site: 2,
        channel: 2,
        z_index: 3,
        reason: "listed in Images/Index.idx.xml and not in the folder",
      }),
    ]);
  });

  test("a Yokogawa plate", async () => {
    const [root, out] = [folder(), join(folder(), "out")];
    yokogawaPlate(root);
    await go(root, out, {}, project);
    expect([await written(out, "D/8/0"), await written(out, "E/3/1")]).toEqual([
      [2, 3],
      [11, 12],
    ]);
  });

  test("OME-TIFF files with channels and slices in their pages", async () => {
    const [root, out] = [folder(), join(folder(), "out")];
    const description = omeXml(omeImage({ sizes: { z: 3, c: 2 }, order: "XYZCT" }));
    for (const [i, well] of ["A01", "B02"].entries())
      writePages(
        root,
        `${well}.ome.tif`,
        description,
        [5, 9, 7, 2, 4, 3].map((v) => v + 10 * i),
      );
    await go(root, out, {}, project);
    expect([await written(out, "A/1/0"), await written(out, "B/2/0")]).toEqual([
      [9, 4],
      [19, 14],
    ]);
  });

  test("an OpenHCS workspace", async () => {
    const [root, out] = [folder(), join(folder(), "out")];
    mkdirSync(join(root, "deep"));
    for (const value of [1, 2])
      writeTiff(join(root, "deep", `${value}.tif`), {
        width: 16,
        height: 12,
        dtype: "uint16",
        value: () => value,
      });
    const mapping = { "A01_s001_w1_z001_t001.tif": "deep/2.tif", "A01_s001_w2_z001_t001.tif": "deep/1.tif" };
    writeFileSync(
      join(root, "openhcs_metadata.json"),
      JSON.stringify({ subdirectories: { ".": { main: true, workspace_mapping: mapping } } }),
    );
    await go(root, out, {}, project);
    expect(await written(out, "A/1/0")).toEqual([2, 1]);
  });
});
