// SPDX-License-Identifier: MIT
// The addon's ZarrArray: what it refuses, and the lease that a read holds.

import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { type NativeTilePool, type NativeZarrDescription, native } from "../../lib/native.js";
import { temporaryFolders } from "../helpers/folder.js";

const folder = temporaryFolders();
const open: NativeTilePool[] = [];
afterEach(() => {
  for (const pool of open.splice(0)) pool.close();
});

function loaned(slotBytes: number) {
  const pool = native().TilePool.create(slotBytes, 1);
  open.push(pool);
  const loan = pool.tryLoan();
  if (loan === undefined) throw new Error("no free slot");
  return { pool, loan };
}

const description = (change: object = {}): NativeZarrDescription => ({
  path: folder(),
  keyPrefix: "",
  separator: "/",
  dtype: "uint16",
  bigEndian: false,
  fill: 0,
  shape: [2, 64, 64],
  chunk: [1, 32, 64],
  shards: [],
  codecs: [],
  ...change,
});

function refused(value: unknown): Record<string, unknown> {
  try {
    new (native().ZarrArray)(value as NativeZarrDescription);
  } catch (error) {
    return { code: (error as { code?: string }).code, message: (error as Error).message };
  }
  throw new Error("expected an error");
}

async function rejected(promise: Promise<unknown>): Promise<Record<string, unknown>> {
  const error = await promise.then(
    () => undefined,
    (e: unknown) => e,
  );
  if (!(error instanceof Error)) throw new Error("expected a rejection");
  return { code: (error as { code?: string }).code, message: error.message };
}

describe("ZarrArray", () => {
  it("names what is wrong with a description", () => {
    const invalid = (message: string) => ({ code: "ERR_INVALID_ARGUMENT", message });
    expect(refused(7)).toEqual(invalid("expected an array's description"));
    expect(refused({})).toEqual(invalid("path must be a string"));
    expect(refused(description({ dtype: "int64" }))).toEqual(invalid('unknown dtype "int64"'));
    expect(refused(description({ shape: [2, -64, 64] }))).toEqual(
      invalid("shape must be an integer of at least 0"),
    );
    expect(refused(description({ chunk: "1" }))).toEqual(invalid("chunk must be an array of integers"));
    expect(refused(description({ codecs: ["bz2"] }))).toEqual(invalid('unknown codec "bz2"'));
    expect(refused(description({ shards: [7] }))).toEqual(invalid("every shard must be an object"));
  });

  it("reads into a slot and gives shape and dtype; the read keeps the slot while JavaScript lets it go", async () => {
    const d = description();
    mkdirSync(join(d.path, "1/0"), { recursive: true });
    writeFileSync(join(d.path, "1/0/0"), Buffer.from(new Uint16Array(32 * 64).fill(513).buffer));
    const { pool, loan } = loaned(64 * 64 * 2);
    const array = new (native().ZarrArray)(d);
    const read = array.readPlane(pool, loan.slot, loan.generation, [1], 16, 0, 32, 64);
    pool.release(loan.slot, loan.generation);
    expect(await read).toMatchObject({ width: 64, height: 32, dtype: "uint16" });
    const pixels = new Uint16Array(pool.buffers[0] as ArrayBuffer, 0, 32 * 64);
    expect([pixels[0], pixels[16 * 64 - 1], pixels[16 * 64]]).toEqual([513, 513, 0]);
    expect(pool.stats().free).toBe(1);
  });

  it("rejects a slot that is too small, a loan that is over, places that are none", async () => {
    const d = description({ shape: [2, 640, 640], chunk: [1, 640, 640] });
    const array = new (native().ZarrArray)(d);
    const { pool, loan } = loaned(4096);
    const { slot, generation } = loan;
    expect(await rejected(array.readPlane(pool, slot, generation, [0], 0, 0, 640, 640))).toEqual({
      code: "ERR_SLOT_TOO_SMALL",
      message: `${d.path}: a region of 640 x 640 px of uint16 does not fit into a slot of 4096 bytes; create the pool with larger slots`,
    });
    expect(await rejected(array.readPlane(pool, slot, generation, [0], 0, 0, 2 ** 40, 2 ** 40))).toEqual({
      code: "ERR_OP_SHAPE",
      message: `${d.path}: the region is larger than the plane`,
    });
    expect((await rejected(array.readPlane(pool, slot, generation, [0.5], 0, 0, 1, 1))).code).toBe(
      "ERR_INVALID_ARGUMENT",
    );
    expect((await rejected(array.readPlane(pool, 9, generation, [0], 0, 0, 1, 1))).code).toBe(
      "ERR_INVALID_ARGUMENT",
    );
    pool.release(slot, generation);
    expect((await rejected(array.readPlane(pool, slot, generation, [0], 0, 0, 1, 1))).code).toBe(
      "ERR_SLOT_RELEASED",
    );
  });

  it("gives size and newest time of each plane's files", async () => {
    const d = description();
    mkdirSync(join(d.path, "0/0"), { recursive: true });
    mkdirSync(join(d.path, "0/1"), { recursive: true });
    writeFileSync(join(d.path, "0/0/0"), "abc");
    writeFileSync(join(d.path, "0/1/0"), "de");
    const times = [statSync(join(d.path, "0/0/0")).mtimeMs, statSync(join(d.path, "0/1/0")).mtimeMs];
    expect([...(await new (native().ZarrArray)(d).statPlanes())]).toEqual([5, Math.max(...times), 0, 0]);
  });
});
