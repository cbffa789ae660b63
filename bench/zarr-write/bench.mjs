// SPDX-License-Identifier: MIT
// The zarr-write benchmark: pixels to Zarr arrays on one core and on all, by tilecast and by the writers people use. See README.md.

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { shuffled } from "../../dist/bench/shuffle.js";
import { bench } from "../harness/bench.mjs";
import { output } from "../harness/launch.mjs";
import { coresName, fileSystemOf, python } from "../harness/machine.mjs";
import { isLimitProgram } from "../harness/programs.mjs";
import { arraysOption, caseOf, corpus, headingOf, turnsOf } from "../zarr-read/corpus.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const inPython = (name) => (task) => [python(), join(here, "writers.py"), name, task];
const writer = (title, command, needs = {}) => ({ title, command, limit: "files", ...needs });

const programs = {
  tilecast: writer("tilecast", (task) => [process.execPath, join(here, "tilecast.mjs"), task]),
  tensorstore: writer("tensorstore", inPython("tensorstore"), { modules: ["tensorstore"] }),
  zarrs: writer("zarrs", inPython("zarrs"), { modules: ["zarr", "zarrs"] }),
  zarr: writer("zarr-python", inPython("zarr"), { modules: ["zarr"] }),
  numcodecs: writer("by hand + numcodecs", inPython("numcodecs"), {
    modules: ["numcodecs", "google_crc32c"],
  }),
  encode: { title: "limit: encode", command: inPython("encode"), modules: ["numcodecs"] },
  files: { title: "limit: files", command: inPython("files") },
};

/** What tensorstore, the judge, reads in the arrays that a writer kept. */
async function check(task) {
  const [command, ...args] = inPython("check")(task);
  return JSON.parse((await output(command, args)).stdout);
}

await bench({
  name: "zarr-write",
  unit: "MB/s",
  own: {
    arrays: arraysOption,
    folder: {
      kind: "text",
      value: "DIR",
      help: "where arrays are written, default below $TILECAST_BENCH_DIR",
    },
  },
  defaults: { rounds: 3, seconds: 0.4 },
  quick: { arrays: "lz4" },
  programs: () => programs,
  async prepare({ options, folder: temporary, say }) {
    const all = await corpus(options.arrays, say);
    const folder = join(
      options.folder === undefined ? all.folder : resolve(options.folder),
      `written-${process.pid}`,
    );
    mkdirSync(folder, { recursive: true });
    const fileSystem = fileSystemOf(folder);
    return { ...all, source: all.folder, folder, fileSystem, count: 0, task: join(temporary, "task.json") };
  },
  close: ({ folder }) => rmSync(folder, { recursive: true, force: true }),
  turns: ({ context, programs: names }) => turnsOf(names, context.arrays),
  labelOf: ({ cores }) => coresName(cores),
  async trial({ options, context, turn: { cores }, program, random, run }) {
    const { arrays, task, ...about } = context;
    // A folder each, all removed at the end: see README.md for what deleting between trials does.
    const folder = join(context.folder, String(context.count++));
    mkdirSync(folder);
    const kinds = shuffled(arrays, random);
    writeFileSync(task, JSON.stringify({ ...about, folder, kinds, cores, seconds: options.seconds }));
    const { said, cost } = await run(program.command(task), { oneCore: cores === 1 });
    const checked = isLimitProgram(program) ? undefined : await check(task);
    const figures = arrays.map((a) => {
      const { s, error } = said[a.array];
      if (error !== undefined) return [caseOf(a, cores), { error }];
      if (checked !== undefined && !checked[a.array]?.good)
        return [caseOf(a, cores), { error: "tensorstore reads other pixels in what it wrote" }];
      return [caseOf(a, cores), context.megabytes / s];
    });
    const bytes = Object.fromEntries(Object.entries(checked ?? {}).map(([name, c]) => [name, c.bytes]));
    return { cost, figures: Object.fromEntries(figures), bytes };
  },
  heading: (context) => `${headingOf("Pixels to Zarr", context)}, no fsync, on ${context.fileSystem}`,
  notes: ({ context: { arrays, megabytes }, trials }) => {
    const share = (program, array) => {
      const bytes = trials.find((t) => t.program === program && t.bytes?.[array])?.bytes[array];
      return bytes === undefined ? "?" : `${((100 * bytes) / (megabytes * 1e6)).toFixed(0)} %`;
    };
    const lines = arrays.map(
      (a) => `${a.array} ${share("tilecast", a.array)} (tensorstore ${share("tensorstore", a.array)})`,
    );
    return `Stored, of the pixels' bytes: ${lines.join(", ")}.`;
  },
  facts: ({ context: { fileSystem } }) => ({ fileSystem }),
});
