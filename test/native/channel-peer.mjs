// SPDX-License-Identifier: MIT
// The other process of channel.test.ts: sends numbered messages, or sends back what it receives.
import { TileChannel } from "../../dist/image/index.js";

const [way, id, count] = process.argv.slice(2);
const channel = TileChannel.open(id);

if (way === "send") {
  let batch = [];
  for (let tag = 1; tag <= Number(count); tag++) {
    batch.push({ slot: tag % 5, generation: tag, shape: [tag, 7], dtype: "uint16", tag });
    if (batch.length === 1 + (tag % 30) || tag === Number(count)) {
      await channel.send(batch);
      batch = [];
    }
  }
} else {
  // Waits for what never comes: only a kill, or the channel's end, ends it.
  for await (const batch of channel) process.stdout.write(`${batch.length}\n`);
  process.stdout.write("end\n");
}
