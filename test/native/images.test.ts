// SPDX-License-Identifier: MIT
// The addon's image functions: headers of many files, planes into loaned slots, codec versions.

import { statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { type NativeFailure, type NativeImageInfo, type NativeTilePool, native } from "../../lib/native.js";
import { temporaryFolders } from "../helpers/folder.js";
import { writeTiff } from "../helpers/tiff.js";

const folder = temporaryFolders();
const open: NativeTilePool[] = [];

function makePool(slotBytes: number, slots: number): NativeTilePool {
  const pool = native().TilePool.create(slotBytes, slots);
  open.push(pool);
  return pool;
}

function loan(pool: NativeTilePool) {
  const loan = pool.tryLoan();
  if (loan === undefined) throw new Error("no free slot");
  return loan;
}

afterEach(() => {
  for (const pool of open.splice(0)) pool.close();
});

async function rejected(promise: Promise<unknown>): Promise<Record<string, unknown>> {
  const error = await promise.then(
    () => undefined,
    (e: unknown) => e,
  );
  if (!(error instanceof Error)) throw new Error("expected a rejection");
  return { ...error, message: error.message };
}

const info = (result: NativeImageInfo | NativeFailure | undefined): NativeImageInfo => {
  if (result === undefined || "error" in result)
    throw new Error(result === undefined ? "no result" : result.error.message);
  return result;
};

const all = { pages: true, description: true, threads: 2 };

describe("scanImages", () => {
  it("gives what the headers say", async () => {
    const path = join(folder(), "a.tif");
    const page = { width: 5, height: 7, dtype: "uint16", compression: "deflate", rowsPerStrip: 2 } as const;
    writeTiff(path, [{ ...page, description: "<µm>", pixelSizeUm: 0.65 }, page], { bigEndian: true });
    const [result] = await native().scanImages([path], all);
    const { mtimeMs, pixelSizeXUm, pixelSizeYUm, ...rest } = info(result);
    expect(rest).toEqual({
      width: 5,
      height: 7,
      samples: 1,
      dtype: "uint16",
      compression: "deflate",
      predictor: 1,
      tiled: false,
      chunkWidth: 5,
      chunkHeight: 2,
      bigEndian: true,
      pages: 2,
      thumbnail: false,
      fastPath: true,
      description: "<µm>",
      bytes: statSync(path).size,
    });
    expect(pixelSizeXUm).toBeCloseTo(0.65, 6);
    expect(pixelSizeYUm).toBeCloseTo(0.65, 6);
    expect(mtimeMs).toBeCloseTo(statSync(path).mtimeMs, 0);
  });

  it("leaves pages and descriptions out unless asked", async () => {
    const path = join(folder(), "a.tif");
    writeTiff(path, { width: 1, height: 1, description: "text" });
    const [result] = await native().scanImages([path], { pages: false, description: false, threads: 1 });
    expect(info(result)).toMatchObject({ pages: -1, description: "" });
  });

  it("keeps the order of the paths, and a file that fails does not fail the others", async () => {
    const dir = folder();
    const paths = Array.from({ length: 200 }, (_, i) => join(dir, `${i}.tif`));
    for (const [i, path] of paths.entries()) writeTiff(path, { width: i + 1, height: 1 });
    truncateSync(paths[50] as string, 30);
    writeFileSync(paths[60] as string, "no image");
    paths.push(join(dir, "missing.tif"), dir);
    const results = await native().scanImages(paths, all);
    expect(results).toHaveLength(202);
    for (const [i, result] of results.slice(0, 200).entries()) {
      if (i !== 50 && i !== 60) expect(info(result).width).toBe(i + 1);
    }
    expect(results[50]).toMatchObject({ error: { code: "ERR_TIFF_DAMAGED", path: paths[50], page: 0 } });
    expect(results[60]).toEqual({
      error: {
        code: "ERR_TIFF_DAMAGED",
        message: `${paths[60]}, byte 0: not a TIFF: it starts with neither II nor MM`,
        path: paths[60],
        offset: 0,
      },
    });
    expect(results[200]).toEqual({
      error: {
        code: "ERR_IO",
        message: `${dir}/missing.tif: open failed: No such file or directory`,
        path: `${dir}/missing.tif`,
      },
    });
    expect(results[201]).toMatchObject({
      error: { code: "ERR_IO", message: `${dir}: is a directory, not a file` },
    });
  });

  it("resolves an empty list, and rejects what is not a list of paths", async () => {
    expect(await native().scanImages([], all)).toEqual([]);
    expect(await rejected(native().scanImages([7 as unknown as string], all))).toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message: "every path must be a string",
    });
    expect(await rejected(native().scanImages([], { ...all, threads: 0 }))).toMatchObject({
      message: "threads must be at least 1",
    });
  });
});

describe("readPlane", () => {
  it("decodes a sample of a page into the slot", async () => {
    const path = join(folder(), "a.tif");
    const page = { width: 6, height: 4, dtype: "uint16", samples: 3, compression: "deflate" } as const;
    writeTiff(path, [page, { ...page, value: (x, y, s) => 1000 * s + 10 * y + x }]);
    const pool = makePool(4096, 3);
    loan(pool);
    const { slot, generation } = loan(pool);
    const shape = await native().readPlane(pool, slot, generation, path, 1, 2);
    expect(shape).toMatchObject({ width: 6, height: 4, dtype: "uint16" });
    const pixels = new Uint16Array(pool.buffers[0] as ArrayBuffer, slot * pool.slotBytes, 24);
    expect([...pixels]).toEqual(
      Array.from({ length: 24 }, (_, i) => 2000 + 10 * Math.floor(i / 6) + (i % 6)),
    );
  });

  it("says which file does not fit a slot", async () => {
    const path = join(folder(), "a.tif");
    writeTiff(path, { width: 100, height: 100 });
    const pool = makePool(4096, 1);
    const { slot, generation } = loan(pool);
    expect(await rejected(native().readPlane(pool, slot, generation, path, 0, 0))).toMatchObject({
      code: "ERR_SLOT_TOO_SMALL",
      path,
      page: 0,
      message: `${path}, page 0: the image needs 10000 bytes, a slot has ${pool.slotBytes}; create the pool with larger slots`,
    });
  });

  it("rejects pages, samples and files that are not there", async () => {
    const path = join(folder(), "a.tif");
    writeTiff(path, { width: 3, height: 3 });
    const pool = makePool(4096, 1);
    const { slot, generation } = loan(pool);
    const read = (file: string, page: number, sample: number) =>
      rejected(native().readPlane(pool, slot, generation, file, page, sample));
    expect(await read(path, 1, 0)).toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message: `${path}: there is no page 1: the file has 1`,
    });
    expect(await read(path, 0, 1)).toMatchObject({ code: "ERR_INVALID_ARGUMENT", page: 0 });
    expect(await read(`${path}x`, 0, 0)).toMatchObject({ code: "ERR_IO", path: `${path}x` });
    expect(await read(path, -1, 0)).toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  });

  it("holds the slot while it reads, and refuses a loan that has ended", async () => {
    const path = join(folder(), "a.tif");
    writeTiff(path, { width: 2000, height: 1000, compression: "deflate", rowsPerStrip: 10 });
    const pool = makePool(2_000_000, 1);
    const { slot, generation } = loan(pool);
    const reading = native().readPlane(pool, slot, generation, path, 0, 0);
    pool.release(slot, generation);
    await reading;
    expect(pool.stats().free).toBe(1);
    expect(await rejected(native().readPlane(pool, slot, generation, path, 0, 0))).toMatchObject({
      code: "ERR_SLOT_RELEASED",
    });
    expect(pool.stats().free).toBe(1);
  });
});

describe("versions", () => {
  it("names the codec libraries", () => {
    const { libdeflate, zstd, lz4, libtiff } = native().versions();
    for (const version of [libdeflate, zstd, lz4]) expect(version).toMatch(/^\d+\.\d+(\.\d+)?$/);
    if (libtiff !== null) expect(libtiff).toMatch(/^4\.\d+\.\d+$/);
  });
});
