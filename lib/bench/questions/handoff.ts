// SPDX-License-Identifier: MIT
// What handing a tile to another process costs: natively, as JavaScript sees it, in batches; and the pieces that it consists of.

import { TileChannel, TilePool } from "../../image/index.js";
import { native } from "../../native.js";
import { type HandoffKind, JsEnd, withPeer } from "../handoff-peer.js";
import { limit, type Measurement, type Question, type Setting, us } from "../question.js";
import { median } from "../result.js";

const hotUs = 100_000; // spins for longer than any pause of a measurement

const sizes = [
  ["4 KiB", 2 ** 12],
  ["2 MiB", 2 ** 21],
  ["64 MiB", 2 ** 26],
] as const;

/** Median nanoseconds of one call, timed in groups so that the clock does not count. */
function medianCall(seconds: number, group: number, call: () => void): number {
  for (let i = 0; i < 20 * group; i++) call();
  const times: number[] = [];
  const until = performance.now() + seconds * 1000;
  do {
    const began = performance.now();
    for (let i = 0; i < group; i++) call();
    times.push(((performance.now() - began) * 1e6) / group);
  } while (performance.now() < until);
  return median(times);
}

const nativeWay = (kind: HandoffKind, slotBytes: number, spinUs: number, { seconds }: Setting) =>
  withPeer({ mode: "native", kind, slotBytes, spinUs }, async ({ pool, out, into }) =>
    native().bench.handoffPing(kind, pool.id, out.id, into.id, spinUs, seconds),
  );

/** Two processes of JavaScript that both poll. */
const polled = ({ seconds }: Setting) =>
  withPeer({ mode: "poll", kind: "tile", slotBytes: 4096, spinUs: 0 }, async ({ pool, out, into }) => {
    const end = new JsEnd(pool, out);
    let n = 0;
    return (
      medianCall(seconds, 32, () => {
        end.send(++n);
        for (const deadline = performance.now() + 10_000; ; ) {
          const [message] = into.tryReceive(1);
          if (message !== undefined) {
            end.take(message);
            return;
          }
          if (performance.now() > deadline) throw new Error("the other process does not answer");
        }
      }) / 2
    );
  });

/** Two processes of JavaScript that both await. */
const awaited = ({ seconds }: Setting) =>
  withPeer({ mode: "await", kind: "tile", slotBytes: 4096, spinUs: 0 }, async ({ pool, out, into }) => {
    const end = new JsEnd(pool, out);
    const times: number[] = [];
    const until = performance.now() + seconds * 1000;
    for (let n = 1; times.length < 200 || performance.now() < until; n++) {
      const began = performance.now();
      end.send(n);
      for (const message of (await into.receive()) ?? []) end.take(message);
      times.push(((performance.now() - began) * 1e6) / 2);
    }
    return median(times.slice(20));
  });

/** Descriptors a second that arrive as objects in JavaScript, from a native sender on another thread. */
async function batched({ seconds }: Setting): Promise<number> {
  using channel = TileChannel.create({ capacity: 4096 });
  const flood = native().bench.handoffFlood(channel.id);
  const rates: number[] = [];
  let received = 0;
  let began = performance.now();
  const until = began + 1000 * seconds;
  for await (const batch of channel) {
    received += batch.length;
    if (received < 20_000) continue;
    const now = performance.now();
    rates.push(received / ((now - began) / 1000));
    received = 0;
    began = now;
    if (now > until && rates.length >= 20) break;
  }
  channel.close();
  await flood;
  return median(rates.slice(5));
}

function withTile(call: (pool: TilePool) => () => void, { seconds }: Setting): number {
  using pool = TilePool.create({ slotBytes: 2 ** 21, slots: 4 });
  return medianCall(seconds, 1000, call(pool));
}

type TileCall = (pool: TilePool) => () => void;

const viewed: TileCall = (pool) => {
  const tile = pool.tryLoan([1024, 1024], "uint16");
  if (tile === undefined) throw new Error("no slot is free");
  return () => tile.view();
};
const typedArray: TileCall = (pool) => {
  const [buffer] = pool.native.buffers;
  return () => new Uint16Array(buffer as ArrayBuffer, 0, 1024 * 1024);
};
const loaned: TileCall = (pool) => () => pool.tryLoan([1024, 1024], "uint16")?.release();
const nativeLoan: TileCall = (pool) => () => {
  const loan = pool.native.tryLoan();
  if (loan !== undefined) pool.native.release(loan.slot, loan.generation);
};

/** As many objects as a received descriptor consists of, kept for a while as a batch is. */
const kept: object[] = [];
let made = 0;
function makeDescriptor(): void {
  const n = made++ % 1024;
  kept[n] = { slot: n, generation: made, dtype: "uint8", shape: [n, made], components: {}, tag: made };
}

export const handoff: Question = {
  name: "handoff",
  title: "tiles from process to process: natively, in JavaScript, in batches; views and loans",
  how: "Two processes send each other a tile to and fro: loan, write, send, receive, lease, read, release. A figure is half of a round trip, the median of groups of them. Hot: both poll; asleep: both wait for the kernel to wake them. The limits are a word of shared memory that goes to and fro between two processes, polled or with a futex. Descriptors in batches come from a native thread and arrive as JavaScript objects. Slots are filled with stores that bypass the caches, and a page fault there is an error.",
  measurements(setting) {
    const out: Measurement[] = [];
    const line = "a cache line to and fro";
    const futex = "a futex to and fro";
    const ns = { unit: "ns", lowerIsBetter: true } as const;
    for (const [name, bytes] of sizes) {
      if (bytes * 4 > setting.sharedBytes) continue;
      const of = { case: `native, hot, ${name}`, ...ns };
      out.push({
        ...of,
        subject: us,
        limit: { case: of.case, subject: limit(line), name: line },
        measure: () => nativeWay("tile", bytes, hotUs, setting),
      });
      out.push({ ...of, subject: limit(line), measure: () => nativeWay("line", bytes, hotUs, setting) });
    }
    const pairs: readonly (readonly [string, () => Promise<number>, HandoffKind])[] = [
      ["native, asleep", () => nativeWay("tile", 4096, 0, setting), "futex"],
      ["JavaScript, hot", () => polled(setting), "line"],
      ["JavaScript, asleep", () => awaited(setting), "futex"],
    ];
    for (const [name, measure, kind] of pairs) {
      const what = kind === "line" ? line : futex;
      out.push({
        case: name,
        ...ns,
        subject: us,
        limit: { case: name, subject: limit(what), name: what },
        measure,
      });
      out.push({
        case: name,
        ...ns,
        subject: limit(what),
        measure: () => nativeWay(kind, 4096, 0, setting),
      });
    }
    const objects = "making the objects";
    const descriptors = { case: "descriptors into JavaScript", unit: "M/s" };
    out.push({
      ...descriptors,
      subject: us,
      limit: { case: descriptors.case, subject: limit(objects), name: objects },
      measure: async () => (await batched(setting)) / 1e6,
    });
    out.push({
      ...descriptors,
      subject: limit(objects),
      measure: async () => 1e3 / medianCall(setting.seconds, 1000, makeDescriptor),
    });
    const bare: readonly (readonly [string, TileCall, string, TileCall])[] = [
      ["tile.view()", viewed, "a typed array", typedArray],
      ["tryLoan and release", loaned, "the native calls", nativeLoan],
    ];
    for (const [name, call, what, least] of bare) {
      const of = { case: name, ...ns };
      out.push({
        ...of,
        subject: us,
        limit: { case: name, subject: limit(what), name: what },
        measure: async () => withTile(call, setting),
      });
      out.push({ ...of, subject: limit(what), measure: async () => withTile(least, setting) });
    }
    if (native().bench.hasStreamCopy) {
      const copy = "non-temporal copy";
      const slots = Math.max(
        4,
        Math.floor(Math.min(setting.beyondCaches, setting.sharedBytes) / 2 ** 23 / 2),
      );
      const of = { case: "fill warm slots, 8 MiB", unit: "GB/s" };
      out.push({
        ...of,
        subject: us,
        limit: { case: of.case, subject: limit(copy), name: copy },
        measure: async () => (await native().bench.fillSlots(2 ** 23, slots, true, setting.seconds)) / 1e9,
      });
      out.push({
        ...of,
        subject: limit(copy),
        measure: async () => (await native().bench.fillSlots(2 ** 23, slots, false, setting.seconds)) / 1e9,
      });
    }
    return out;
  },
};
