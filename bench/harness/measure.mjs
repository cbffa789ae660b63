// SPDX-License-Identifier: MIT
// How a reader in JavaScript is timed: the same steps as measure.py.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { median } from "../../dist/bench/result.js";

/** What the trial is to do: `folder`, `items` in it, `sha256` of their pixels, `seconds` for each. */
export const task = () => JSON.parse(readFileSync(process.argv[2], "utf8"));

/**
 * `open(path)` is not timed; `read(opened)` resolves with pixels, `pixelsOf` gives their typed arrays, which follow each other in C order, and `done`
 * takes them back. The first read is checked and not counted.
 */
export async function measure({
  open = (path) => path,
  read,
  pixelsOf = (pixels) => [pixels],
  done = () => {},
}) {
  const { folder, items, sha256, seconds } = task();
  const results = {};
  for (const item of items) {
    try {
      const opened = await open(join(folder, item));
      const first = await read(opened);
      const hash = createHash("sha256");
      for (const p of pixelsOf(first)) hash.update(new Uint8Array(p.buffer, p.byteOffset, p.byteLength));
      done(first);
      if (hash.digest("hex") !== sha256) throw new Error("wrong pixels");
      const times = [];
      const until = performance.now() + seconds * 1000;
      while (times.length < 3 || performance.now() < until) {
        const began = performance.now();
        done(await read(opened));
        times.push((performance.now() - began) / 1000);
      }
      results[item] = { s: median(times), reads: times.length };
    } catch (error) {
      results[item] = { error: `${error.name}: ${error.message.split("\n")[0]}` };
    }
  }
  process.stdout.write(`${JSON.stringify(results)}\n`);
}
