// SPDX-License-Identifier: MIT
// What the tests of stitching and registration share: a run over a plate of overlapping fields, and what it found.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Alignment } from "../../lib/orchestrator/alignment.js";
import type { Pipeline } from "../../lib/orchestrator/pipeline.js";
import { type RunOptions, run } from "../../lib/orchestrator/run.js";
import { openPlate } from "../../lib/plates/index.js";
import { type MosaicField, type MosaicPlateOptions, mosaicPlate } from "./mosaic-plate.js";

export const alignmentsOf = (out: string): Alignment[] =>
  (JSON.parse(readFileSync(join(out, "run.json"), "utf8")) as { alignments?: Alignment[] }).alignments ?? [];

/** Writes a plate below `at` and runs the pipeline over it. */
export async function runOver(
  at: string,
  plate: MosaicPlateOptions,
  pipeline: Pipeline,
  options: Partial<RunOptions> = {},
) {
  const root = join(at, "plate");
  const fields = mosaicPlate(root, plate);
  const out = join(at, "out");
  const report = await run(pipeline, await openPlate(root), { out, threads: 2, ...options });
  return { root, fields, out, report, found: alignmentsOf(out) };
}

/** The greatest distance of found places from true ones, px; an offset of all does not count. */
export function farthest(found: Alignment, fields: readonly MosaicField[]): number {
  const off = found.images.map((i) => {
    const truth = fields.find((f) => f.well === found.well && f.site === i.member) as MosaicField;
    return { y: i.y - truth.y, x: i.x - truth.x };
  });
  const mean = (axis: "y" | "x") => off.reduce((s, d) => s + d[axis], 0) / off.length;
  const [y, x] = [mean("y"), mean("x")];
  return Math.max(...off.map((d) => Math.hypot(d.y - y, d.x - x)));
}

export const states = (found: Alignment): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const p of found.pairs) counts[p.state] = (counts[p.state] ?? 0) + 1;
  return counts;
};
