// SPDX-License-Identifier: MIT
// tilecast's part of the handoff benchmark: a tile of a pool to another process, which leases it. `poll` has both sides poll instead of await.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { TileChannel, TilePool } from "../../dist/image/index.js";
import { look, mark, measure, task } from "./common.mjs";

const program = fileURLToPath(import.meta.url);

/** The next message, by awaiting or by polling. */
async function next(channel, poll) {
  if (!poll) return (await channel.receive({ most: 1 }))?.[0];
  const parent = process.ppid;
  for (let idle = 1; idle % 1e6 !== 0 || process.ppid === parent; idle++) {
    const [message] = channel.tryReceive(1);
    if (message !== undefined) return message;
  }
  return undefined;
}

async function answer({ pool: poolId, from: fromId, to: toId, poll }) {
  const pool = TilePool.open(poolId);
  const from = TileChannel.open(fromId);
  const to = TileChannel.open(toId);
  process.stdout.write("\n");
  for (;;) {
    const message = await next(from, poll);
    if (message === undefined || message.tag === 0) break;
    const tile = pool.lease(message);
    const tag = look(tile.view());
    tile.release();
    to.trySend([{ ...message, tag }]);
  }
  for (const resource of [pool, from, to]) resource.close();
}

async function open(bytes, poll) {
  const pool = TilePool.create({ slotBytes: bytes, slots: 2 });
  const to = TileChannel.create({ capacity: 8 });
  const from = TileChannel.create({ capacity: 8 });
  const ids = JSON.stringify({ pool: pool.id, from: to.id, to: from.id, poll });
  const child = spawn(process.execPath, [program, "--answer", ids], { stdio: ["ignore", "pipe", "inherit"] });
  const gone = once(child, "exit");
  await once(child.stdout, "data");
  let tile;
  return {
    prepare(n) {
      tile = pool.tryLoan([1, bytes], "uint8");
      return mark(tile.view(), n);
    },
    async handOver() {
      const { slot, generation, shape, dtype } = tile;
      to.trySend([{ slot, generation, shape, dtype, tag: 1 }]);
      const { tag } = await next(from, poll);
      tile.release();
      return tag;
    },
    async close() {
      to.trySend([{ slot: 0, generation: 0, shape: [1, 1], dtype: "uint8", tag: 0 }]);
      await gone;
      for (const resource of [pool, to, from]) resource.close();
    },
  };
}

if (process.argv[2] === "--answer") await answer(JSON.parse(process.argv[3]));
else await measure(task(), (bytes) => open(bytes, process.argv[2] === "poll"));
