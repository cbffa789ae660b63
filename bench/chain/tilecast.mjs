// SPDX-License-Identifier: MIT
// tilecast's part of the chain benchmark: jobs of the native executor that read an uncompressed plane and run a chain, without a write.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { median } from "../../dist/bench/result.js";
import { native } from "../../dist/native.js";

const task = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { side, cores, seconds } = task;
const addon = native();
const planes = 4 * cores;
const encoding = {
  version: "0.5",
  codec: "none",
  level: 0,
  chunk: 512,
  sharded: true,
  separator: ".",
  format: 3,
};

const flatField = {
  op: "apply",
  stage: "chain",
  name: "flatField",
  arguments: { background: 100 },
  resource: 0,
};
const apply = (name, parameters) => ({ op: "apply", stage: "chain", name, arguments: parameters });
const chains = {
  "point-wise": [
    flatField,
    apply("rescale", { scale: 1.5, offset: 10, dtype: "float32" }),
    apply("clip", { low: 0, high: 6000 }),
    apply("convert", { dtype: "uint16" }),
  ],
  smooth: [
    flatField,
    apply("gaussian", { sigma: 1.5 }),
    apply("subtractBackground", { value: 50 }),
    apply("clip", { low: 0, high: 6000 }),
    apply("convert", { dtype: "uint16" }),
  ],
  standard: [
    flatField,
    apply("gaussian", { sigma: 1.5 }),
    { op: "label", stage: "chain", method: "otsu", a: 0, minArea: 20, clearBorder: false },
    {
      op: "measure",
      stage: "chain",
      columns: [
        { kind: "label", image: -1 },
        { kind: "area", image: -1 },
        { kind: "centroid_y", image: -1 },
        { kind: "centroid_x", image: -1 },
        { kind: "mean_intensity", image: 0 },
      ],
    },
  ],
};

/** Register 0 is the plane; every op makes the next one. */
function programOf(ops) {
  const code = [{ op: "read", stage: "read", sources: [0], out: 0 }];
  let last = 0;
  for (const op of ops) {
    if (op.op === "measure") code.push({ ...op, in: last, inputs: [1], part: 0 });
    else code.push({ ...op, in: last, out: ++last });
  }
  return { registers: last + 1, code };
}

const results = {};
for (const name of task.chains) {
  const pool = addon.TilePool.create(side * side * 4, 5 * cores);
  const runner = new addon.Runner(pool, {
    threads: cores,
    image: encoding,
    labels: encoding,
    thumbnailPx: 160,
  });
  const field = new Float32Array(side * side).map((_, i) => 0.8 + 0.0001 * (i % 4096));
  runner.addField(side, side, field);
  runner.addProgram(programOf(chains[name]));
  const source = {
    path: join(task.folder, "plane.tif"),
    page: 0,
    sample: 0,
    height: side,
    width: side,
    dtype: "uint16",
  };
  const job = (index) => ({
    program: 0,
    index,
    thumbnail: false,
    sources: [source],
    outputs: [],
    rowPrefixes: [`${index},`],
    planePrefixes: [],
    files: [],
  });
  const once = () =>
    new Promise((done, fail) => {
      const began = performance.now();
      runner.start(
        Array.from({ length: planes }, (_, i) => job(i)),
        (list, finished) => {
          const error = list.find((r) => r.error)?.error;
          if (error) fail(new Error(error.message));
          if (finished) done((performance.now() - began) / 1000 / planes);
        },
        () => {},
      );
    });
  await once();
  const before = runner.timings();
  const times = [];
  const until = performance.now() + seconds * 1000;
  while (times.length < 3 || performance.now() < until) times.push(await once());
  // Seconds of a plane that its slowest op took, on one thread.
  const spent = runner.timings().map((t, i) => t.seconds - before[i].seconds);
  results[name] = { s: median(times), slowest: Math.max(...spent) / (times.length * planes) / cores };
  runner.close();
  pool.close();
}
process.stdout.write(`${JSON.stringify(results)}\n`);
