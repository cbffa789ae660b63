// SPDX-License-Identifier: MIT
// op.stitch through run(): places against known ones, what it does where they cannot be found, and what it writes.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { op } from "../../lib/ops/index.js";
import type { Alignment } from "../../lib/orchestrator/alignment.js";
import { pipeline } from "../../lib/orchestrator/pipeline.js";
import { run } from "../../lib/orchestrator/run.js";
import type { RunOptions } from "../../lib/orchestrator/run-options.js";
import { openPlate } from "../../lib/plates/index.js";
import { temporaryFolders } from "../helpers/folder.js";
import { type MosaicField, type MosaicPlateOptions, mosaicPlate } from "../helpers/mosaic-plate.js";
import { pixels, runJson } from "../helpers/results.js";

const folder = temporaryFolders();
type Stitch = Parameters<typeof op.stitch>[0];

const alignments = (out: string): Alignment[] =>
  (JSON.parse(readFileSync(join(out, "run.json"), "utf8")) as { alignments: Alignment[] }).alignments;

async function stitched(
  plate: MosaicPlateOptions,
  stitch: Stitch = { overlap: 10 },
  options: Partial<RunOptions> = {},
) {
  const at = folder();
  const fields = mosaicPlate(join(at, "plate"), plate);
  const out = join(at, "out");
  const report = await run(
    pipeline("stitch").step("stitch", op.stitch(stitch)),
    await openPlate(join(at, "plate")),
    { out, threads: 2, ...options },
  );
  return { fields, out, report, found: alignments(out) };
}

/** The greatest distance of found places from true ones, px; a common offset does not count. */
function farthest(found: Alignment, fields: readonly MosaicField[], sites?: readonly number[]): number {
  const both = found.images
    .filter((i) => sites === undefined || sites.includes(i.member))
    .map((i) => {
      const truth = fields.find((f) => f.well === found.well && f.site === i.member) as MosaicField;
      return { y: i.y - truth.y, x: i.x - truth.x };
    });
  const mean = (axis: "y" | "x") => both.reduce((s, d) => s + d[axis], 0) / both.length;
  return Math.max(...both.map((d) => Math.hypot(d.y - mean("y"), d.x - mean("x"))));
}

const only = (found: readonly Alignment[]) => {
  expect(found).toHaveLength(1);
  return found[0] as Alignment;
};

describe("places of fields", () => {
  test("whole-pixel jitter is found exactly", async () => {
    const { found, fields, report } = await stitched({ rows: 3, columns: 3 });
    expect(report.outcome).toBe("complete");
    expect(only(found).pairs.map((p) => p.state)).toEqual(Array(12).fill("used"));
    expect(farthest(only(found), fields)).toBeLessThan(0.15);
  });
});
