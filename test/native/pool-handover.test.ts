// SPDX-License-Identifier: MIT
// Slots handed over to a process that keeps them: a real Python reader's pixels stay, the pool goes on with others.

import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { crc32 } from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import { apposeNDArray, type Tile, TilePool } from "../../lib/image/index.js";
import { python } from "../helpers/shared.js";
import { thrown } from "../helpers/throws.js";
import { killPeers, Peer } from "./peer.js";

const open: TilePool[] = [];

function makePool(slotBytes: number, slots: number): TilePool {
  const pool = TilePool.create({ slotBytes, slots });
  open.push(pool);
  return pool;
}

afterEach(() => {
  for (const pool of open.splice(0)) pool.close();
  killPeers();
});

const names = (id: string) => readdirSync("/dev/shm").filter((name) => name.startsWith(`tc-${id}-`));

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5); // the test's deadline says "never"
}

const interpreter = python();

describe.runIf(interpreter)("TilePool.handOver", () => {
  it("leaves Python its pixels while the pool is used thousands of times", async () => {
    const pool = makePool(1 << 18, 2);
    const keeper = Peer.python("shm-keeper.py");
    const crcs: number[] = [];
    for (let n = 0; n < 5; n++) {
      const tile = await pool.loan([256, 256], "uint16");
      const view = tile.view();
      for (let i = 0; i < view.length; i++) view[i] = n * 7919 + i;
      crcs.push(crc32(view as Uint16Array));
      const exported = pool.exportSlot(tile.slot, tile.generation);
      tile.release();
      const keep = apposeNDArray(exported, tile.shape, tile.dtype);
      expect(await keeper.ask({ keep })).toEqual({ first: n * 7919, crc: crcs[n] });
      expect(pool.handOver(exported.name)).toBe(true);
      expect(pool.handOver(exported.name)).toBe(false);
    }
    for (let n = 0; n < 4000; n++) {
      const tile = await pool.loan([512, 256], "uint16");
      tile.view().fill(n);
      tile.release();
    }
    expect(await keeper.ask({ check: true })).toEqual({ same: [true, true, true, true, true] });
    await until(() => pool.stats.free === 2);
    expect(pool.stats).toMatchObject({ handedOver: 5, slotsMissing: 0, leaked: 0 });
    pool.close();
    expect(names(pool.id)).toEqual([]);
    expect(await keeper.ask({ check: true })).toEqual({ same: [true, true, true, true, true] });
  });

  it("shows another process the new pixels of a slot that it had mapped before", async () => {
    const pool = makePool(4096, 1);
    const peer = Peer.node("pool-peer.mjs");
    await peer.ask({ open: pool.id });
    for (let n = 1; n < 20; n++) {
      const tile = await pool.loan([4, 5], "uint16");
      tile.view().set([n, n + 1, n + 2]);
      const { slot, generation } = tile;
      expect(await peer.ask({ lease: { slot, generation } })).toEqual({ head: [n, n + 1, n + 2] });
      const { name } = pool.exportSlot(slot, generation);
      tile.release();
      expect(pool.handOver(name)).toBe(true);
      expect(pool.stats.slotsMissing).toBe(0); // the other process reads it still
      await peer.ask({ release: true });
    }
    const reader = TilePool.open(pool.id, { observe: true });
    const tile = await pool.loan([1, 2], "uint8");
    tile.view().set([3, 4]);
    expect([...(reader.read(tile) ?? [])]).toEqual([3, 4]);
    const { name } = pool.exportSlot(tile.slot, tile.generation);
    tile.release();
    pool.handOver(name);
    const next = await pool.loan([1, 2], "uint8");
    next.view().set([5, 6]);
    expect(reader.read(tile)).toBeUndefined();
    expect([...(reader.read(next) ?? [])]).toEqual([5, 6]);
    reader.close();
    next.release();
  });

  it("says no to names that are none, and after close", async () => {
    const pool = makePool(4096, 1);
    expect(pool.handOver("tc-nothing")).toBe(false);
    expect((await thrown(() => pool.handOver(7 as unknown as string))).message).toBe(
      "name must be a string, got 7",
    );
    pool.close();
    expect(pool.handOver("tc-nothing")).toBe(false);
  });
});

describe("a loan that waits in one process", () => {
  it("ends when the process that made the pool closes it", async () => {
    const peer = Peer.node("pool-peer.mjs");
    const { id } = (await peer.ask({ create: true })) as { id: string };
    const pool = TilePool.open(id);
    open.push(pool);
    const tiles = [pool.tryLoan([1, 1], "uint8"), pool.tryLoan([1, 1], "uint8")] as Tile[];
    const waiting = pool.loan([1, 1], "uint8");
    const ended = expect(waiting).rejects.toMatchObject({ code: "ERR_POOL_CLOSED" });
    await peer.ask({ close: true });
    await ended;
    for (const tile of tiles) tile.release();
  });
});
