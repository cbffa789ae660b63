// SPDX-License-Identifier: MIT
// How a hand-over in JavaScript is timed: the same steps as `measure` in peers.py.

import { readFileSync } from "node:fs";
import { median } from "../../dist/bench/result.js";

export const task = () => JSON.parse(readFileSync(process.argv.at(-1), "utf8"));

/** What the receiver looks at, and answers: the first and the last byte. */
export const look = (bytes) => bytes[0] * 256 + bytes[bytes.length - 1];

/** Marks an image, outside of what is timed; gives what the receiver must find. */
export function mark(bytes, n) {
  bytes[0] = n & 0xff;
  bytes[bytes.length - 1] = (n >> 8) & 0xff;
  return look(bytes);
}

/**
 * `open(bytes)` gives `{ prepare(n), handOver(), close() }`: `prepare` marks an image and gives what is to be answered; `handOver` gives it to the
 * other side and comes back with the answer. Prints the median microseconds of `handOver` by size.
 */
export async function measure({ sizes, seconds }, open) {
  const results = {};
  for (const [name, bytes] of Object.entries(sizes)) {
    const { prepare, handOver, close } = await open(bytes);
    const times = [];
    let until = 0;
    for (let n = 1; times.length < 40 || performance.now() < until; n++) {
      const expected = prepare(n);
      const began = performance.now();
      const answer = await handOver();
      const spent = (performance.now() - began) * 1000;
      if (answer !== expected) throw new Error(`${name}: image ${n} arrived as ${answer}, not ${expected}`);
      if (n === 20) until = performance.now() + seconds * 1000;
      if (n > 20) times.push(spent);
    }
    await close();
    results[name] = { us: median(times), images: times.length };
  }
  process.stdout.write(`${JSON.stringify(results)}\n`);
}
