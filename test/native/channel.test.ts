// SPDX-License-Identifier: MIT
// TileChannel: messages between processes, waiting, cancelling, closing, and the death of a peer.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { setImmediate as turn } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import {
  channelComponents,
  dtypes,
  type ReceivedTile,
  type Shape,
  TileChannel,
  type TileMessage,
} from "../../lib/image/index.js";
import { thrown } from "../helpers/throws.js";

const open: TileChannel[] = [];
const children: ChildProcess[] = [];

function makeChannel(capacity: number): TileChannel {
  const channel = TileChannel.create({ capacity });
  open.push(channel);
  return channel;
}

function peer(way: string, channel: TileChannel, count = 0): ChildProcess {
  const script = fileURLToPath(new URL("./channel-peer.mjs", import.meta.url));
  const child = spawn(process.execPath, [script, way, channel.id, String(count)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  return child;
}

afterEach(() => {
  for (const channel of open.splice(0)) channel.close();
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

const message = (tag: number): TileMessage => ({
  slot: 1,
  generation: 2,
  shape: [3, 4],
  dtype: "uint8",
  tag,
});

describe("TileChannel", () => {
  it("brings every message out as it went in", () => {
    const channel = makeChannel(64);
    const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
    const size = fc.integer({ min: 1, max: 2 ** 32 - 1 });
    const component = fc.option(fc.integer({ min: 0, max: 2 ** 31 - 1 }), { nil: undefined });
    const any: fc.Arbitrary<TileMessage> = fc.record({
      slot: u32,
      generation: u32,
      dtype: fc.constantFrom(...dtypes),
      shape: fc.oneof(fc.tuple(size, size), fc.tuple(size, size, size)) as fc.Arbitrary<Shape>,
      tag: fc.maxSafeNat(),
      components: fc.record(
        Object.fromEntries(channelComponents.map((name) => [name, component])),
      ) as fc.Arbitrary<NonNullable<TileMessage["components"]>>,
    });
    fc.assert(
      fc.property(fc.array(any, { maxLength: 64 }), (batch) => {
        expect(channel.trySend(batch)).toBe(batch.length);
        expect(channel.tryReceive()).toEqual(batch);
      }),
      { numRuns: 50 },
    );
  });

  it("takes no more than it holds, and waits", async () => {
    const channel = makeChannel(4);
    const batch = [1, 2, 3, 4, 5, 6].map(message);
    expect(channel.trySend(batch)).toBe(4);
    let sent = false;
    const sending = channel.send(batch.slice(4)).then(() => {
      sent = true;
    });
    await turn();
    expect(sent).toBe(false);
    const tags: number[] = [];
    while (tags.length < 6) tags.push(...((await channel.receive({ most: 3 })) ?? []).map(({ tag }) => tag));
    await sending;
    expect(tags).toEqual([1, 2, 3, 4, 5, 6]);
    expect(channel.stats).toMatchObject({ capacity: 4, sent: 6, received: 6, skipped: 0, lost: 0 });
  });

  it("iterates over batches of another process, in order, until it is closed", async () => {
    const channel = makeChannel(32);
    const child = peer("send", channel, 5000);
    const got: ReceivedTile[] = [];
    let batches = 0;
    for await (const batch of channel) {
      got.push(...batch);
      batches++;
      if (got.length === 5000) break;
    }
    expect(got.map(({ tag }) => tag)).toEqual(Array.from({ length: 5000 }, (_, i) => i + 1));
    expect(got[4999]).toEqual({
      slot: 0,
      generation: 5000,
      shape: [5000, 7],
      dtype: "uint16",
      components: {},
      tag: 5000,
    });
    expect(batches).toBeLessThanOrEqual(5000);
    if (child.exitCode === null) await once(child, "exit");
    expect(child.exitCode).toBe(0);
  });

  it("ends the iteration of other processes when its maker closes it", async () => {
    const channel = makeChannel(8);
    const child = peer("receive", channel);
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
    await channel.send([message(1)]);
    expect((await lines.next()).value).toBe("1");
    channel.close();
    expect((await lines.next()).value).toBe("end");
    expect(readdirSync("/dev/shm").filter((name) => name.includes(channel.id))).toEqual([]);
  });

  it("goes on when a receiver is killed", async () => {
    const channel = makeChannel(8);
    const child = peer("receive", channel);
    await channel.send([message(1)]);
    await once(child.stdout as NodeJS.ReadableStream, "data");
    child.kill("SIGKILL");
    await once(child, "exit");
    await channel.send([message(2)]);
    expect((await channel.receive())?.map(({ tag }) => tag)).toEqual([2]);
  });

  it("rejects with ERR_CANCELLED on abort, and when this side closes", async () => {
    const channel = makeChannel(2);
    const controller = new AbortController();
    const reason = new Error("enough");
    const first = thrown(() => channel.receive({ signal: controller.signal }));
    const second = thrown(() => channel.receive());
    controller.abort(reason);
    const error = await first;
    expect(error).toMatchObject({
      code: "ERR_CANCELLED",
      message: "waiting on a tile channel was cancelled",
    });
    expect(error.cause).toBe(reason);
    channel.close();
    channel.close();
    expect((await second).code).toBe("ERR_CANCELLED");
    expect((await thrown(() => channel.receive())).code).toBe("ERR_POOL_CLOSED");
    expect((await thrown(() => channel.trySend([]))).message).toBe(
      `the tile channel ${channel.id} is closed`,
    );
  });

  it("lets the process and its workers end while they wait", async () => {
    const channel = makeChannel(2);
    const module = new URL("../../dist/image/index.js", import.meta.url).href;
    const source = `
      import(${JSON.stringify(module)}).then(({ TileChannel }) => {
        const channel = TileChannel.open(${JSON.stringify(channel.id)});
        channel.receive().catch(() => {});
        require("node:worker_threads").parentPort.postMessage("waiting");
      });`;
    const worker = new Worker(source, { eval: true });
    await once(worker, "message");
    expect(channel.stats.processes).toBe(2);
    await worker.terminate();
    expect(channel.stats.processes).toBe(1);
  });

  it.each([
    [[{ ...message(1), dtype: "float16" }], "batch[0].dtype must be one of"],
    [
      [message(1), { ...message(1), slot: -1 }],
      "batch[1].slot must be an integer from 0 to 4294967295, got -1",
    ],
    [
      [{ ...message(1), components: { z_index: 1.5 } }],
      "batch[0].components.z_index must be an integer from 0 to 2147483647, got 1.5",
    ],
    [7, "batch must be an array of tile messages, got 7"],
  ])("refuses %o", async (batch, text) => {
    const channel = makeChannel(2);
    const error = await thrown(() => channel.trySend(batch as never));
    expect(error.code).toBe("ERR_INVALID_ARGUMENT");
    expect(error.message).toContain(text);
  });

  it.each([0, 1, 2 ** 20 + 1, 2.5])("refuses a capacity of %d", async (capacity) => {
    expect((await thrown(() => TileChannel.create({ capacity }))).message).toBe(
      `capacity must be an integer from 2 to 1048576, got ${capacity}`,
    );
  });
});
