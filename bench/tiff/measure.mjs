// SPDX-License-Identifier: MIT
// How a reader in JavaScript is timed: the same steps as `measure` in readers.py.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { median } from "../harness/stats.mjs";

/** `read(path)` resolves with the pixels in C order as an array of 16 bits; `done(pixels)`, if any, takes them back. */
export async function measure(read, done = () => {}) {
  const task = JSON.parse(readFileSync(process.argv[2], "utf8"));
  const results = {};
  for (const file of task.files) {
    const path = join(task.folder, file);
    try {
      const pixels = await read(path);
      const bytes = new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength);
      if (createHash("sha256").update(bytes).digest("hex") !== task.sha256) throw new Error("wrong pixels");
      done(pixels);
    } catch (error) {
      results[file] = { error: `${error.name}: ${error.message}` };
      continue;
    }
    const times = [];
    const until = performance.now() + task.seconds * 1000;
    while (times.length < 3 || performance.now() < until) {
      const began = performance.now();
      done(await read(path));
      times.push((performance.now() - began) / 1000);
    }
    results[file] = { s: median(times), reads: times.length };
  }
  process.stdout.write(`${JSON.stringify(results)}\n`);
}
