// SPDX-License-Identifier: MIT
// One trial of tilecast's stream: node sender.mjs TASK (JSON). Prints the seconds of every call of every case as JSON.

import { setTimeout as delay } from "node:timers/promises";
import { TilePool } from "../../dist/image/index.js";
import { Endpoint, zmqConfigs } from "../../dist/runtime/index.js";
import { ViewerStream } from "../../dist/streaming/index.js";

const { port, program, cases, seconds } = JSON.parse(process.argv[2]);
const endpoint = new Endpoint({ mode: "ipc", port, config: zmqConfigs.openhcs });
const producer = { stepName: "Blur", position: 0, kind: "main", output: "main" };
const components = (z) => ({ site: 1, channel: 1, z_index: z, timepoint: 1, well: "A01" });

/** Sends the pixels of slots that are ready, as a run does. */
function fromSlots(stream, size, batch) {
  const pool = TilePool.create({ slotBytes: 2 * size * size, slots: batch });
  const native = pool.native;
  return {
    async send() {
      for (let z = 1; z <= batch; z++) {
        let loan = native.tryLoan();
        // A viewer that keeps pixels keeps the slot's memory, and the slot comes back with fresh memory.
        for (; loan === undefined; loan = native.tryLoan()) await delay(0);
        const { slot, generation } = loan;
        const pixels = { pool: native, slot, generation };
        stream.send({
          kind: "image",
          shape: [size, size],
          dtype: "uint16",
          producer,
          components: components(z),
          pixels,
        });
      }
      return stream.flush();
    },
    close: () => pool.close(),
  };
}

/** Sends arrays of JavaScript, which are copied once, as upstream's are. */
function fromArrays(stream, size, batch) {
  const data = new Uint16Array(size * size).fill(7);
  return {
    async send() {
      for (let z = 1; z <= batch; z++)
        await stream.sendImage({ data, shape: [size, size] }, { name: "main", components: components(z) });
      await stream.flush();
    },
    close: () => undefined,
  };
}

const results = [];
for (const { size, batch } of cases) {
  const stream = await ViewerStream.connect({ endpoint, slots: 2 * batch, timeoutMs: 30_000 });
  const feed = (program === "arrays" ? fromArrays : fromSlots)(stream, size, batch);
  await feed.send();
  const calls = [];
  const end = performance.now() + 1000 * seconds;
  do {
    const begin = performance.now();
    await feed.send();
    calls.push((performance.now() - begin) / 1000);
  } while (performance.now() < end);
  await stream.drain({ timeoutMs: 20_000 });
  const { accepted, given, copiedBytes, pixelBytes, latency, lastError } = stream.stats;
  if (accepted !== given)
    throw new Error(`${given - accepted} of ${given} images were not accepted: ${lastError}`);
  await stream.controls.clear();
  await stream.close();
  feed.close();
  results.push({ size, batch, calls, copiedBytes, pixelBytes, shown: latency.shown });
}
console.log(JSON.stringify(results));
