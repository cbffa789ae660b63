// SPDX-License-Identifier: MIT
// The arrays that the zarr-read benchmark reads and the zarr-write benchmark writes; made at the first need.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError } from "../harness/args.mjs";
import { output } from "../harness/launch.mjs";
import { cacheFolder, coreCounts, coresName, python } from "../harness/machine.mjs";

const maker = fileURLToPath(new URL("make_arrays.py", import.meta.url));

/** The option that chooses among the arrays. */
export const arraysOption = {
  kind: "text",
  value: "TEXT",
  fallback: "",
  help: "only arrays whose name has this in it: none, blosc-lz4, zstd, shards",
};

export const caseOf = ({ codec, layout }, cores) => `${codec}, ${layout}, ${coresName(cores)}`;

/** The listing that make_arrays.py writes, `folder`, and the `megabytes` of pixels. */
export async function corpus(filter, say) {
  const folder = join(cacheFolder(), "zarr");
  const listing = join(folder, "arrays.json");
  if (!existsSync(listing)) {
    say("writing the arrays ...");
    await output(python(), [maker, folder]);
  }
  const all = JSON.parse(readFileSync(listing, "utf8"));
  const arrays = all.arrays.filter((a) => a.array.includes(filter));
  if (arrays.length === 0)
    throw new UsageError(`--arrays: none of ${all.arrays.map((a) => a.array).join(", ")}`);
  return { ...all, folder, arrays, megabytes: (all.shape.reduce((a, b) => a * b) * 2) / 1e6 };
}

/** Every program on one core and on all. */
export const turnsOf = (programs, arrays) =>
  coreCounts.flatMap((cores) =>
    programs.map((program) => ({ program, cores, cases: arrays.map((a) => caseOf(a, cores)) })),
  );

export const headingOf = (what, { shape, dtype, chunk }) =>
  `${what}: ${shape.join("x")} ${dtype}, chunks ${chunk.join("x")}`;
