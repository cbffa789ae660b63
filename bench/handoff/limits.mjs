// SPDX-License-Identifier: MIT
// The limits of the handoff benchmark: a word of shared memory that goes to another process and back, awaited with a futex or polled.

import { withPeer } from "../../dist/bench/handoff-peer.js";
import { native } from "../../dist/native.js";
import { task } from "./common.mjs";

const kind = process.argv[2];
const { sizes, seconds } = task();
const results = {};
for (const name of Object.keys(sizes)) {
  const oneWay = await withPeer({ mode: "native", kind, slotBytes: 4096, spinUs: 0 }, ({ pool, out, into }) =>
    native().bench.handoffPing(kind, pool.id, out.id, into.id, 0, seconds),
  );
  results[name] = { us: (2 * oneWay) / 1000 };
}
process.stdout.write(`${JSON.stringify(results)}\n`);
