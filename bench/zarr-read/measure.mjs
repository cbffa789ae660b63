// SPDX-License-Identifier: MIT
// How a reader in JavaScript is timed: the same steps as `measure` in readers.py.

import { createHash } from "node:crypto";
import { median } from "../harness/stats.mjs";

/** `pixelsOf` gives typed arrays that follow each other in C order; `done` takes back what a read gave. */
export async function measure(task, open, read, pixelsOf, done = () => {}) {
  const results = {};
  for (const name of task.arrays) {
    const array = await open(name);
    const got = await read(array);
    const hash = createHash("sha256");
    for (const p of pixelsOf(got)) hash.update(new Uint8Array(p.buffer, p.byteOffset, p.byteLength));
    done(got);
    if (hash.digest("hex") !== task.sha256) {
      results[name] = { error: "Error: wrong pixels" };
      continue;
    }
    const times = [];
    const until = performance.now() + task.seconds * 1000;
    while (times.length < 3 || performance.now() < until) {
      const began = performance.now();
      done(await read(array));
      times.push((performance.now() - began) / 1000);
    }
    results[name] = { s: median(times), reads: times.length };
  }
  process.stdout.write(`${JSON.stringify(results)}\n`);
}
