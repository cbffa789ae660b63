// SPDX-License-Identifier: MIT
// What the garbage collector does to tiles and pools that nobody released.

import { readdirSync, readFileSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, it, vi } from "vitest";
import { type Tile, TilePool, type TypedArray } from "../../lib/image/index.js";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;

/** Collects until `done`. No deadline of its own: a defect shows as the test's timeout. */
async function collectUntil(done: () => boolean): Promise<void> {
  while (!done()) {
    gc();
    await turn();
  }
}

it("gives a collected tile's slot back, counts it, and warns once", async () => {
  const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  using pool = TilePool.create({ slotBytes: 4096, slots: 3 });
  const kept = pool.tryLoan([2, 2], "uint8");
  (() => {
    pool.tryLoan([2, 2], "uint8");
    pool.tryLoan([3, 3], "float32");
  })();
  expect(pool.stats.free).toBe(0);
  await collectUntil(() => pool.stats.leaked === 2);
  expect(pool.stats.free).toBe(2);
  expect(kept?.view().length).toBe(4);
  expect(warn).toHaveBeenCalledTimes(1);
  expect(warn.mock.calls[0]?.[0]).toMatch(/^A tile \[\d, \d\] \w+ was garbage-collected while on loan; /);
  expect(warn.mock.calls[0]?.[1]).toEqual({ type: "TilecastWarning", code: "TILECAST_TILE_LEAKED" });
  warn.mockRestore();
});

it("a collected tile lets a waiting loan through", async () => {
  const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  using pool = TilePool.create({ slotBytes: 4096, slots: 1 });
  (() => pool.tryLoan([1, 1], "uint8"))();
  let arrived = false;
  const waiting = pool.loan([1, 1], "uint8").then((tile) => {
    arrived = true;
    tile.release();
  });
  await collectUntil(() => arrived);
  await waiting;
  warn.mockRestore();
});

it("does not count released tiles as leaked", async () => {
  using pool = TilePool.create({ slotBytes: 4096, slots: 1 });
  let collected = 0;
  const registry = new FinalizationRegistry(() => collected++);
  for (let i = 0; i < 10; i++) {
    const tile = pool.tryLoan([1, 1], "uint8");
    registry.register(tile as object, undefined);
    tile?.release();
  }
  await collectUntil(() => collected >= 9);
  expect(pool.stats.leaked).toBe(0);
});

it("a pool that nobody closed goes with its object, and its memory with the last view of it", async () => {
  const { id, view } = ((): { id: string; view: { pixels?: TypedArray } } => {
    const pool = TilePool.create({ slotBytes: 4096, slots: 2 });
    const tile = pool.tryLoan([4, 4], "uint8") as Tile;
    return { id: pool.id, view: { pixels: tile.view().fill(3) } };
  })();
  const names = () => readdirSync("/dev/shm").filter((name) => name.startsWith(`tc-${id}-`)).length;
  const mappings = () => readFileSync("/proc/self/maps", "utf8").split(`tc-${id}-`).length - 1;
  await collectUntil(() => names() === 0);
  expect([...(view.pixels ?? [])]).toEqual(new Array(16).fill(3));
  expect(mappings()).toBe(3);
  delete view.pixels;
  await collectUntil(() => mappings() === 0);
});
