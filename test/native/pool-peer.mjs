// SPDX-License-Identifier: MIT
// The other process of pool-process.test.ts: does what each line of JSON says to a pool, and answers in one line.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const addon = createRequire(import.meta.url)("node-gyp-build")(root);

let pool;
let held;

function act(task) {
  if (task.create) {
    pool = addon.TilePool.create(4096, 2);
    return { id: pool.id };
  }
  if (task.open) {
    pool = addon.TilePool.open(task.open, "write");
    return pool.stats();
  }
  if (task.lease) {
    const { slot, generation } = task.lease;
    pool.addLease(slot, generation);
    held = task.lease;
    return { head: [...new Uint16Array(pool.buffers[0], slot * pool.slotBytes, 3)] };
  }
  if (task.loan) {
    held = pool.tryLoan();
    return { held };
  }
  if (task.release) {
    pool.release(held.slot, held.generation);
    return {};
  }
  pool.close();
  return {};
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = act(JSON.parse(line));
  } catch (error) {
    answer = { code: error.code };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
