// SPDX-License-Identifier: MIT
// A pool between processes, as JavaScript sees it: opening by id, descriptors, exports to Python, what a killed process leaves.

import { once } from "node:events";
import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { apposeNDArray, type Tile, type TileDescriptor, TilePool } from "../../lib/image/index.js";
import { native } from "../../lib/native.js";
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

const nodePeer = () => Peer.node("pool-peer.mjs");

function describeTile(tile: Tile): TileDescriptor {
  const { slot, generation, shape, dtype } = tile;
  return { slot, generation, shape, dtype };
}

const names = (id: string) => readdirSync("/dev/shm").filter((name) => name.startsWith(`tc-${id}-`));

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(10); // the test's deadline says "never"
}

describe("TilePool.open", () => {
  it("leases a tile of another process, whose release comes last", async () => {
    const pool = makePool(4096, 2);
    const tile = pool.tryLoan([4, 5], "uint16") as Tile;
    tile.view().set([7, 8, 9]);
    const peer = nodePeer();
    expect(await peer.ask({ open: pool.id })).toMatchObject({ slots: 2, slotBytes: 4096, processes: 2 });
    const descriptor = describeTile(tile);
    expect(await peer.ask({ lease: descriptor })).toEqual({ head: [7, 8, 9] });
    tile.release();
    expect(pool.stats.free).toBe(1);
    await peer.ask({ release: true });
    expect(pool.stats.free).toBe(2);
    expect(await peer.ask({ lease: descriptor })).toEqual({ code: "ERR_SLOT_RELEASED" });
    await peer.ask({ close: true });
    await until(() => pool.stats.processes === 1);
  });

  it("gets a slot that the other process releases, and what it held when it is killed", async () => {
    const pool = makePool(4096, 1);
    const peer = nodePeer();
    await peer.ask({ open: pool.id });
    await peer.ask({ loan: true });
    const first = pool.loan([1, 1], "uint8");
    await peer.ask({ release: true });
    (await first).release();
    await peer.ask({ loan: true });
    const second = pool.loan([1, 1], "uint8");
    await peer.kill();
    (await second).release();
    expect(pool.stats).toMatchObject({ free: 1, processes: 1 });
  });

  it("reads without a lease, and not what was replaced", async () => {
    const pool = makePool(4096, 1);
    const tile = pool.tryLoan([2, 2], "uint8") as Tile;
    tile.view().set([1, 2, 3, 4]);
    const observer = TilePool.open(pool.id, { observe: true });
    const descriptor = describeTile(tile);
    expect([...(observer.read(descriptor) ?? [])]).toEqual([1, 2, 3, 4]);
    expect(pool.stats.processes).toBe(1);
    expect((await thrown(() => observer.lease(descriptor))).code).toBe("ERR_INVALID_ARGUMENT");
    tile.release();
    expect(observer.read(descriptor)).toBeUndefined();
    observer.close();
    expect(names(pool.id)).toHaveLength(2); // only the maker removes names
  });

  it("is refused by native work that would write into a read-only pool", async () => {
    const pool = makePool(4096, 1);
    const reader = TilePool.open(pool.id, { readOnly: true });
    await expect(native().readPlane(reader.native, 0, 1, "x.tif", 0, 0)).rejects.toThrow(
      `pool must be writable: ${pool.id} was opened read-only`,
    );
    expect((await thrown(() => reader.tryLoan([1, 1], "uint8"))).message).toContain("leases but no loans");
    reader.close();
  });

  it.each([
    [7, {}, "ERR_INVALID_ARGUMENT", "id must be a string, got 7"],
    ["x", {}, "ERR_INVALID_ARGUMENT", 'id must be 16 characters of a-z and 2-7, got "x"'],
    [
      "aaaaaaaaaaaaaaaa",
      { readOnly: true },
      "ERR_POOL_NOT_FOUND",
      "the tile pool aaaaaaaaaaaaaaaa cannot be opened: there is no /tc-aaaaaaaaaaaaaaaa-c on this machine. It was closed, or its process ended",
    ],
  ])("says why %o cannot be opened", async (id, options, code, message) => {
    expect(await thrown(() => TilePool.open(id as string, options))).toMatchObject({ code, message });
  });
});

describe("a killed process", () => {
  it("leaves nothing once the next one makes a pool", async () => {
    const peer = nodePeer();
    const { id } = (await peer.ask({ create: true })) as { id: string };
    expect(names(id)).toHaveLength(3);
    await peer.kill();
    expect(names(id)).toHaveLength(3);
    makePool(4096, 1);
    expect(names(id)).toEqual([]);
  });
});

const interpreter = python();

describe.runIf(interpreter)("an exported slot", () => {
  const reader = () => Peer.python("shm-reader.py");

  it("is read and written by Python without a copy, and outlives Python's removal of the name", async () => {
    const pool = makePool(1 << 20, 2);
    const tile = pool.tryLoan([300, 200], "uint32") as Tile;
    const view = tile.view();
    for (let y = 0; y < 300; y++) for (let x = 0; x < 200; x++) view[y * 200 + x] = y * 1000 + x * 3;
    const peer = reader();
    const exported = pool.exportSlot(tile.slot, tile.generation, { reader: peer.child.pid as number });
    expect(exported).toMatchObject({ copied: false, reason: "", bytes: 1 << 20 });
    const array = apposeNDArray(exported, tile.shape, tile.dtype);
    expect(array).toEqual({
      appose_type: "ndarray",
      dtype: "uint32",
      shape: [300, 200],
      shm: { appose_type: "shm", name: exported.name, rsize: 240_000 },
    });
    expect(await peer.ask(array)).toEqual({ equal: true });
    expect(view[0]).toBe(299 * 1000 + 199 * 3); // what Python wrote
    tile.release();
    expect(pool.stats.free).toBe(1);
    // At Python's end its resource tracker removes the name that it opened (CPython issue 82300).
    const ended = once(peer.child, "exit");
    peer.child.stdin?.end();
    await ended;
    // The lease goes with the reader.
    await until(() => pool.stats.free === 2);
    expect(pool.unexport(exported.name)).toBe(false);
    await until(() => names(pool.id).length === 3);
    const next = pool.tryLoan([300, 200], "uint32") as Tile;
    next.view().fill(5);
    expect(next.view()[0]).toBe(5);
  });

  it("takes a name of the caller's choice, and gives it up", async () => {
    const pool = makePool(4096, 1);
    const tile = pool.tryLoan([1, 1], "uint8") as Tile;
    const name = `tct_js_${process.pid}`;
    expect(pool.exportSlot(tile.slot, tile.generation, { name }).name).toBe(name);
    expect((await thrown(() => pool.exportSlot(tile.slot, tile.generation, { name }))).message).toBe(
      `name "${name}" is taken: shared memory of that name exists`,
    );
    expect(pool.unexport(name)).toBe(true);
    expect(readdirSync("/dev/shm")).not.toContain(name);
  });
});
