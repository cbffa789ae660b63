// SPDX-License-Identifier: MIT
// What the tests of run() share: small plates, a short pipeline, the results' account.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { op } from "../../lib/ops/index.js";
import { pipeline } from "../../lib/orchestrator/pipeline.js";
import { type RunOptions, run } from "../../lib/orchestrator/run.js";
import { openPlate } from "../../lib/plates/index.js";
import { runJson } from "../helpers/results.js";
import { type SmallPlateOptions, smallPlate } from "../helpers/small-plate.js";

export const wells = ["A01", "A02", "B01", "B02"] as const;

export const segment = pipeline("segment")
  .step("project", op.maxProject())
  .step("segment", op.threshold({ value: 40 }), op.label())
  .step("measure", op.measure(["area", "centroid", "mean_intensity"]));

/** Writes a plate (one channel of two slices unless said otherwise) below `folder()`, and names an output folder that is not there. */
export function plateIn(folder: () => string, options: SmallPlateOptions = {}) {
  const root = join(folder(), "plate");
  const planes = smallPlate(root, { wells, channels: [2], ...options });
  return { root, planes, out: join(folder(), "out") };
}

/** Opens the plate and runs a pipeline over it on two threads. */
export const go = async (root: string, out: string, options: Partial<RunOptions> = {}, p = segment) =>
  run(p, await openPlate(root), { out, threads: 2, ...options });

export const csv = (out: string) => readFileSync(join(out, "measurements.csv"), "utf8");

/** State of each well, "reused" where it was. */
export const statusOf = (out: string) =>
  Object.fromEntries(runJson(out).wells.map((w) => [w.well, w.reused ? "reused" : w.status]));
