// SPDX-License-Identifier: MIT
// TilePool and Tile: loans, views, waiting, closing.

import { readdirSync, readFileSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { TilecastError } from "../../lib/errors.js";
import { type DType, dtypeSize, dtypes, type Shape, type Tile, TilePool } from "../../lib/image/index.js";

const open: TilePool[] = [];

function makePool(slotBytes: number, slots: number): TilePool {
  const pool = TilePool.create({ slotBytes, slots });
  open.push(pool);
  return pool;
}

afterEach(() => {
  for (const pool of open.splice(0)) pool.close();
});

function caught(f: () => unknown): TilecastError {
  try {
    f();
  } catch (error) {
    if (error instanceof TilecastError) return error;
    throw error;
  }
  throw new Error("expected an error");
}

async function rejected(promise: Promise<unknown>): Promise<TilecastError> {
  const error = await promise.then(
    () => new Error("expected a rejection"),
    (e: unknown) => e,
  );
  if (error instanceof TilecastError) return error;
  throw error;
}

function names(id: string): string[] {
  return readdirSync("/dev/shm").filter((name) => name.startsWith(`tc-${id}-`));
}

describe("TilePool.create", () => {
  it("rounds slots up to pages and reports its size", () => {
    const pool = makePool(5000, 3);
    expect(pool.slotBytes).toBe(8192);
    expect(pool.slots).toBe(3);
    expect(pool.stats).toEqual({
      slots: 3,
      free: 3,
      slotBytes: 8192,
      loans: 0,
      waits: 0,
      peakInUse: 0,
      processes: 1,
      handedOver: 0,
      slotsMissing: 0,
      spares: 0,
      leaked: 0,
    });
    expect(names(pool.id)).toHaveLength(4);
  });

  it.each([
    [undefined, "options must be { slotBytes, slots }, got undefined"],
    [{ slotBytes: 0, slots: 1 }, "slotBytes must be an integer of at least 1, got 0"],
    [{ slotBytes: 1.5, slots: 1 }, "slotBytes must be an integer of at least 1, got 1.5"],
    [{ slotBytes: "4096", slots: 1 }, 'slotBytes must be an integer of at least 1, got "4096"'],
    [{ slotBytes: 4096, slots: 0 }, "slots must be an integer from 1 to 32768, got 0"],
    [{ slotBytes: 4096, slots: 32769 }, "slots must be an integer from 1 to 32768, got 32769"],
    [{ slotBytes: 4096 }, "slots must be an integer from 1 to 32768, got undefined"],
  ])("refuses %o", (options, message) => {
    const error = caught(() => TilePool.create(options as never));
    expect(error.message).toBe(message);
    expect(error.code).toBe("ERR_INVALID_ARGUMENT");
  });

  it("says how much shared memory is missing, and leaves nothing behind", () => {
    // Names that hold our pid as their creator's; other tests make pools at the same time.
    const own = () =>
      readdirSync("/dev/shm").filter((name) => {
        if (!/^tc-\w{16}-c$/.test(name)) return false;
        try {
          return readFileSync(`/dev/shm/${name}`).readUInt32LE(96) === process.pid;
        } catch {
          return false; // gone meanwhile
        }
      });
    const before = own();
    const error = caught(() => TilePool.create({ slotBytes: 2 ** 31, slots: 16384 }));
    expect(error.code).toBe("ERR_POOL_MEMORY");
    expect(error.message).toMatch(
      /^a pool of 16384 slots of 2\.0 GiB needs 32\.0 TiB of shared memory, but \/dev\/shm has [\d.]+ \w+ free\. /,
    );
    expect(error.message).toContain("docker run --shm-size=32770g");
    expect(own()).toEqual(before);
  });
});

describe("Tile", () => {
  it("is a view of its slot's shared memory", () => {
    const pool = makePool(4096, 2);
    pool.tryLoan([1, 1], "uint8");
    const tile = pool.tryLoan([2, 3], "uint16", { well: "A01", site: 2 }) as Tile;
    const view = tile.view();
    expect(view).toBeInstanceOf(Uint16Array);
    expect(view.length).toBe(6);
    view.set([1, 2, 3, 4, 5, 65535]);
    const bytes = readFileSync(`/dev/shm/tc-${pool.id}-${tile.slot}`);
    expect([...new Uint16Array(bytes.buffer, bytes.byteOffset, 6)]).toEqual([1, 2, 3, 4, 5, 65535]);
    expect(tile.shape).toEqual([2, 3]);
    expect(tile.dtype).toBe("uint16");
    expect(tile.components).toEqual({ well: "A01", site: 2 });
  });

  it.each(dtypes)("takes stacks of %s", (dtype) => {
    const pool = makePool(4096, 1);
    const tile = pool.tryLoan([2, 3, 4], dtype) as Tile;
    expect(tile.view().byteLength).toBe(24 * dtypeSize(dtype));
  });

  it("throws ERR_SLOT_RELEASED when it is used after its release", () => {
    const pool = makePool(4096, 1);
    const tile = pool.tryLoan([1, 1], "uint8") as Tile;
    tile.release();
    expect(tile.released).toBe(true);
    const error = caught(() => tile.view());
    expect(error.code).toBe("ERR_SLOT_RELEASED");
    expect(error.message).toBe(
      "view: the loan of slot 0 (generation 1) was released already. Use a tile only before its release",
    );
  });

  it("throws ERR_SLOT_RELEASED at the second release, also when the slot is on loan again", () => {
    const pool = makePool(4096, 1);
    const first = pool.tryLoan([1, 1], "uint8") as Tile;
    first.release();
    const second = pool.tryLoan([1, 1], "uint8") as Tile;
    const error = caught(() => first.release());
    expect(error.code).toBe("ERR_SLOT_RELEASED");
    expect(error.message).toBe(
      "release: the loan of slot 0 (generation 1) was released already; the slot is on loan again at generation 2. Use a tile only before its release, and release it once",
    );
    expect(second.view().length).toBe(1);
  });

  it("is given back by Symbol.dispose, once", () => {
    const pool = makePool(4096, 1);
    const tile = pool.tryLoan([1, 1], "uint8") as Tile;
    tile[Symbol.dispose]();
    tile[Symbol.dispose]();
    expect(pool.stats.free).toBe(1);
  });

  it.each([
    [[0, 5], "shape must be [y, x] or [n, y, x] of positive integers, got [0, 5]"],
    [[5], "shape must be [y, x] or [n, y, x] of positive integers, got [5]"],
    [[1, 2, 3, 4], "shape must be [y, x] or [n, y, x] of positive integers, got [1, 2, 3, 4]"],
    ["5x5", 'shape must be [y, x] or [n, y, x] of positive integers, got "5x5"'],
    [[2 ** 30, 2 ** 30], "shape must be of fewer than 2^53 pixels, got [1073741824, 1073741824]"],
  ])("refuses the shape %o", (shape, message) => {
    const pool = makePool(4096, 1);
    const error = caught(() => pool.tryLoan(shape as never, "uint8"));
    expect(error.message).toBe(message);
    expect(error.code).toBe("ERR_INVALID_ARGUMENT");
    expect(pool.stats.free).toBe(1);
  });

  it("refuses a dtype that does not exist, and one that does not fit", () => {
    const pool = makePool(4096, 1);
    expect(caught(() => pool.tryLoan([1, 1], "float16" as DType)).message).toBe(
      'dtype must be one of uint8, int8, uint16, int16, uint32, int32, float32, float64, got "float16"',
    );
    const error = caught(() => pool.tryLoan([64, 65], "uint8"));
    expect(error.code).toBe("ERR_SLOT_TOO_SMALL");
    expect(error.message).toBe(
      "a tile of shape [64, 65] and dtype uint8 has 4160 bytes, but the slots of this pool have 4096: make the pool with slotBytes of at least 4160",
    );
    expect(pool.tryLoan([64, 64], "uint8")?.view().length).toBe(4096);
  });

  it("never shares pixels with another tile on loan", () => {
    const pool = makePool(4096, 6);
    const shape = fc.tuple(fc.integer({ min: 1, max: 16 }), fc.integer({ min: 1, max: 32 }));
    const action = fc.oneof(
      fc.record({ kind: fc.constant("loan" as const), shape, dtype: fc.constantFrom(...dtypes) }),
      fc.record({ kind: fc.constant("release" as const), at: fc.nat(5) }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
        const held: { tile: Tile; stamp: number }[] = [];
        let stamp = 0;
        for (const step of actions) {
          if (step.kind === "loan") {
            const tile = pool.tryLoan(step.shape as Shape, step.dtype);
            expect(tile === undefined).toBe(held.length === 6);
            if (tile === undefined) continue;
            stamp = (stamp + 1) % 127;
            tile.view().fill(stamp);
            held.push({ tile, stamp });
          } else if (held.length > 0) {
            held.splice(step.at % held.length, 1)[0]?.tile.release();
          }
          for (const { tile, stamp } of held) expect(tile.view().every((v) => v === stamp)).toBe(true);
        }
        for (const { tile } of held) tile.release();
      }),
      { numRuns: 50 },
    );
    expect(pool.stats.free).toBe(6);
  });
});

describe("TilePool.loan", () => {
  it("waits for a release, in the order of the calls", async () => {
    const pool = makePool(4096, 1);
    const held = await pool.loan([1, 1], "uint8");
    const order: number[] = [];
    const waiting = [0, 1, 2].map(async (n) => {
      const tile = await pool.loan([1, 1], "uint8");
      order.push(n);
      expect(pool.tryLoan([1, 1], "uint8")).toBeUndefined();
      tile.release();
    });
    await turn();
    expect(order).toEqual([]);
    held.release();
    await Promise.all(waiting);
    expect(order).toEqual([0, 1, 2]);
    expect(pool.stats).toMatchObject({ free: 1, waits: 3, loans: 4, leaked: 0 });
  });

  it("does not let a newcomer overtake a waiter", async () => {
    const pool = makePool(4096, 1);
    const held = pool.tryLoan([1, 1], "uint8") as Tile;
    const waiting = pool.loan([1, 1], "uint8");
    held.release();
    expect(pool.tryLoan([1, 1], "uint8")).toBeUndefined();
    (await waiting).release();
    pool.tryLoan([1, 1], "uint8")?.release();
    expect(pool.stats.free).toBe(1);
  });

  it("rejects with ERR_CANCELLED when its signal aborts, and the slot goes to the next", async () => {
    const pool = makePool(4096, 1);
    const held = pool.tryLoan([1, 1], "uint8") as Tile;
    const controller = new AbortController();
    const first = rejected(pool.loan([1, 1], "uint8", { signal: controller.signal }));
    const second = pool.loan([1, 1], "uint8");
    const reason = new Error("enough");
    controller.abort(reason);
    const error = await first;
    expect(error.code).toBe("ERR_CANCELLED");
    expect(error.cause).toBe(reason);
    expect(error.message).toBe("waiting for a free slot was cancelled");
    held.release();
    (await second).release();
    expect(pool.stats.free).toBe(1);
  });

  it("loses no slot when the signal aborts while the slot is on its way", async () => {
    const pool = makePool(4096, 1);
    const held = pool.tryLoan([1, 1], "uint8") as Tile;
    const controller = new AbortController();
    const first = rejected(pool.loan([1, 1], "uint8", { signal: controller.signal }));
    held.release(); // granted already, the callback not yet run
    controller.abort();
    expect((await first).code).toBe("ERR_CANCELLED");
    (await pool.loan([1, 1], "uint8")).release();
    expect(pool.stats.free).toBe(1);
  });

  it("rejects at once when its signal is aborted already", async () => {
    const pool = makePool(4096, 1);
    const error = await rejected(pool.loan([1, 1], "uint8", { signal: AbortSignal.abort() }));
    expect(error.code).toBe("ERR_CANCELLED");
    expect(pool.stats).toMatchObject({ free: 1, loans: 0 });
  });

  it("leaves no abort listener behind", async () => {
    const pool = makePool(4096, 1);
    const { signal } = new AbortController();
    let listeners = 0;
    const { addEventListener: add, removeEventListener: remove } = signal;
    signal.addEventListener = (...args: unknown[]) => {
      listeners++;
      Reflect.apply(add, signal, args);
    };
    signal.removeEventListener = (...args: unknown[]) => {
      listeners--;
      Reflect.apply(remove, signal, args);
    };
    const held = pool.tryLoan([1, 1], "uint8") as Tile;
    const waiting = pool.loan([1, 1], "uint8", { signal });
    expect(listeners).toBe(1);
    held.release();
    (await waiting).release();
    expect(listeners).toBe(0);
  });
});

describe("TilePool.close", () => {
  it("is idempotent, removes the names and frees the memory without waiting for the garbage collector", async () => {
    const pool = makePool(1 << 20, 4);
    const { id } = pool;
    const mappings = () =>
      readFileSync("/proc/self/maps", "utf8")
        .split("\n")
        .filter((line) => line.includes(`tc-${id}-`));
    expect(mappings()).toHaveLength(5);
    pool.close();
    pool.close();
    pool[Symbol.dispose]();
    await pool[Symbol.asyncDispose]();
    expect(pool.closed).toBe(true);
    expect(names(id)).toEqual([]);
    // The buffer's finalizer runs on a later turn of the loop.
    while (mappings().length > 0) await turn();
    expect(pool.stats).toMatchObject({ slots: 4, free: 4 });
  });

  it("empties views instead of leaving them dangling", () => {
    const pool = makePool(4096, 1);
    const tile = pool.tryLoan([8, 8], "uint8") as Tile;
    const view = tile.view();
    pool.close();
    expect(view.length).toBe(0);
    expect(view[0]).toBeUndefined();
    expect(caught(() => tile.view()).code).toBe("ERR_POOL_CLOSED");
    expect(caught(() => pool.tryLoan([1, 1], "uint8")).message).toBe(`the tile pool ${pool.id} is closed`);
    tile.release(); // what was lent is given back already: finally blocks need no order
  });

  it("rejects waiting loans with ERR_POOL_CLOSED", async () => {
    const pool = makePool(4096, 1);
    pool.tryLoan([1, 1], "uint8");
    const waiting = [pool.loan([1, 1], "uint8"), pool.loan([1, 1], "uint8")].map(rejected);
    pool.close();
    for (const error of await Promise.all(waiting)) expect(error.code).toBe("ERR_POOL_CLOSED");
    expect((await rejected(pool.loan([1, 1], "uint8"))).code).toBe("ERR_POOL_CLOSED");
  });

  it("closes a pool whose slot is on its way to a waiter", async () => {
    const pool = makePool(4096, 1);
    const held = pool.tryLoan([1, 1], "uint8") as Tile;
    const waiting = rejected(pool.loan([1, 1], "uint8"));
    held.release();
    pool.close();
    expect((await waiting).code).toBe("ERR_POOL_CLOSED");
  });

  it("does not crash when somebody transferred the buffer away", () => {
    const pool = makePool(4096, 1);
    const tile = pool.tryLoan([2, 2], "uint8") as Tile;
    tile.view().fill(9);
    const buffer = pool.native.buffers[0] as ArrayBuffer;
    const taken = structuredClone(buffer, { transfer: [buffer] });
    pool.close();
    expect([...new Uint8Array(taken, 0, 4)]).toEqual([9, 9, 9, 9]);
  });
});

describe("the native pool", () => {
  it("cannot be constructed or called on other objects", () => {
    const pool = makePool(4096, 1);
    const NativeTilePool = pool.native.constructor as new () => unknown;
    expect(() => new NativeTilePool()).toThrow("a TilePool is made by TilePool.create(slotBytes, slots)");
    expect(() => Reflect.apply(pool.native.tryLoan, {}, [])).toThrow("Illegal invocation");
  });

  it.each([
    [[], "slot and generation must be numbers, got undefined and undefined"],
    [["0", 1], 'slot and generation must be numbers, got "0" and 1'],
    [[-1, 1], "slot and generation must be unsigned 32-bit integers, got -1 and 1"],
    [[0, Number.NaN], "slot and generation must be unsigned 32-bit integers, got 0 and NaN"],
    [[7, 1], /^release: slot 7 does not exist, pool \w{16} has 1$/],
  ])("refuses release(%o)", (args, message) => {
    const pool = makePool(4096, 1);
    const error = caught(() => {
      try {
        Reflect.apply(pool.native.release, pool.native, args);
      } catch (e) {
        throw new TilecastError((e as { code: "ERR_INTERNAL" }).code, (e as Error).message);
      }
    });
    expect(error.code).toBe("ERR_INVALID_ARGUMENT");
    expect(error.message).toMatch(message);
  });

  it("counts leases: the slot is free only after the last release", () => {
    const pool = makePool(4096, 1);
    const loan = pool.native.tryLoan() as { slot: number; generation: number };
    pool.native.addLease(loan.slot, loan.generation);
    pool.native.release(loan.slot, loan.generation);
    expect(pool.native.isCurrent(loan.slot, loan.generation)).toBe(true);
    expect(pool.native.tryLoan()).toBeUndefined();
    pool.native.release(loan.slot, loan.generation);
    expect(pool.native.isCurrent(loan.slot, loan.generation)).toBe(false);
  });

  it("gives a slot back that a whenFree callback did not take", async () => {
    const pool = makePool(4096, 1);
    await new Promise<void>((resolve) => pool.native.whenFree(resolve));
    expect(pool.stats.free).toBe(1);
  });

  it("has one ArrayBuffer where it is small", () => {
    const pool = makePool(4096, 3);
    expect(pool.native.buffers).toBe(pool.native.buffers);
    expect(pool.native.buffers.map((b) => b.byteLength)).toEqual([3 * 4096]);
  });

  it("has several ArrayBuffers of whole slots where it is beyond what one can hold", () => {
    const slotBytes = 768 * 2 ** 20;
    let pool: TilePool;
    try {
      pool = makePool(slotBytes, 6);
    } catch (error) {
      // 4.5 GiB of memory, which not every machine has.
      expect(error).toMatchObject({ code: "ERR_POOL_MEMORY" });
      return;
    }
    expect(pool.native.buffers.map((b) => b.byteLength)).toEqual([
      2 * slotBytes,
      2 * slotBytes,
      2 * slotBytes,
    ]);
    const tiles = Array.from({ length: 6 }, () => pool.tryLoan([1, 2], "uint16") as Tile);
    for (const tile of tiles) tile.view().set([tile.slot, 7]);
    for (const tile of tiles) {
      expect([...pool.lease(tile).view()]).toEqual([tile.slot, 7]);
      expect([...(pool.read(tile) ?? [])]).toEqual([tile.slot, 7]);
    }
  });

  it("refuses slots that no ArrayBuffer can hold", () => {
    expect(caught(() => TilePool.create({ slotBytes: 2 ** 33, slots: 1 }))).toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message: expect.stringContaining("4 GiB"),
    });
  });
});
