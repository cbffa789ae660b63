// SPDX-License-Identifier: MIT
// The zarr-read benchmark: Zarr arrays to pixels on one core and on all, by tilecast and by the readers people use. See README.md.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { shuffled } from "../../dist/bench/shuffle.js";
import { bench } from "../harness/bench.mjs";
import { coresName, python } from "../harness/machine.mjs";
import { arraysOption, caseOf, corpus, headingOf, turnsOf } from "./corpus.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const inNode = (file) => (task) => [process.execPath, join(here, file), task];
const inPython = (name) => (task) => [python(), join(here, "readers.py"), name, task];
const reader = (title, command, needs = {}) => ({ title, command, limit: "decode", ...needs });

const programs = {
  tilecast: reader("tilecast", inNode("tilecast.mjs")),
  tensorstore: reader("tensorstore", inPython("tensorstore"), { modules: ["tensorstore"] }),
  zarrs: reader("zarrs", inPython("zarrs"), { modules: ["zarr", "zarrs"] }),
  zarr: reader("zarr-python", inPython("zarr"), { modules: ["zarr"] }),
  numcodecs: reader("by hand + numcodecs", inPython("numcodecs"), { modules: ["numcodecs"] }),
  zarrita: reader("zarrita", inNode("zarrita.mjs"), { npm: ["zarrita", "@zarrita/storage"] }),
  read: { title: "limit: read", command: inPython("read") },
  decode: { title: "limit: decode", command: inPython("decode"), modules: ["numcodecs"] },
  copy: { title: "limit: copy", command: inPython("copy") },
};

await bench({
  name: "zarr-read",
  unit: "MB/s",
  own: { arrays: arraysOption },
  defaults: { rounds: 3, seconds: 0.4 },
  quick: { arrays: "lz4" },
  programs: () => programs,
  prepare: async ({ options, folder, say }) => ({
    ...(await corpus(options.arrays, say)),
    task: join(folder, "task.json"),
  }),
  turns: ({ context, programs: names }) => turnsOf(names, context.arrays),
  labelOf: ({ cores }) => coresName(cores),
  async trial({ options, context, turn: { cores }, program, random, run }) {
    const { arrays, task, ...about } = context;
    const items = shuffled(arrays, random).map((a) => a.array);
    writeFileSync(task, JSON.stringify({ ...about, items, seconds: options.seconds }));
    const { said, cost } = await run(program.command(task), { oneCore: cores === 1 });
    const figures = arrays.map((a) => [
      caseOf(a, cores),
      said[a.array].error ? said[a.array] : context.megabytes / said[a.array].s,
    ]);
    return { cost, figures: Object.fromEntries(figures) };
  },
  heading: (context) => `${headingOf("Zarr to pixels", context)}, page cache warm`,
  facts: ({ context: { arrays, megabytes } }) => ({
    arrays: arrays.map((a) => ({ ...a, storedShare: a.bytes / (megabytes * 1e6) })),
  }),
});
