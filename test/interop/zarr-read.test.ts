// SPDX-License-Identifier: MIT
// Arrays that zarr-python, tensorstore and zarrs wrote, read plane by plane and in regions, equal pixel for pixel; damaged and unreadable ones.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TilePool } from "../../lib/image/index.js";
import { openZarrArray, planeCount, type ZarrArray } from "../../lib/stores/zarr-array.js";
import { readZarrPlane, type ZarrRegion } from "../../lib/stores/zarr-reader.js";
import { temporaryFolders } from "../helpers/folder.js";
import { needsPeer, python } from "../helpers/shared.js";
import { hash } from "../helpers/small-plate.js";
import { thrown } from "../helpers/throws.js";

const folder = temporaryFolders();
const script = fileURLToPath(new URL("./zarr_arrays.py", import.meta.url));
const pool = TilePool.create({ slotBytes: 1 << 20, slots: 4 });
afterAll(() => pool.close());

interface Written {
  readonly name: string;
  readonly path: string;
  readonly sha256: string;
  readonly shape: readonly number[];
}

/** Places along the leading axes, in C order. */
function indexes(array: ZarrArray): number[][] {
  return Array.from({ length: planeCount(array) }, (_, plane) => {
    const index: number[] = [];
    let rest = plane;
    for (const length of array.shape.slice(0, -2).reverse()) {
      index.unshift(rest % length);
      rest = Math.floor(rest / length);
    }
    return index;
  });
}

async function bytesOf(array: ZarrArray, index: readonly number[], region?: ZarrRegion): Promise<Uint8Array> {
  using tile = await readZarrPlane(pool, array, index, region ? { region } : {});
  const { buffer, byteOffset, byteLength } = tile.view();
  return new Uint8Array(buffer, byteOffset, byteLength).slice();
}

async function digest(array: ZarrArray): Promise<string> {
  const sha = createHash("sha256");
  for (const index of indexes(array)) sha.update(await bytesOf(array, index));
  return sha.digest("hex");
}

describe("arrays of other writers", () => {
  needsPeer(python(), "Python");
  let written: Written[] = [];

  beforeAll(() => {
    const path = python();
    if (path === undefined) return;
    const result = spawnSync(path, [script, folder()], { encoding: "utf8", maxBuffer: 1 << 26 });
    if (result.status !== 0) throw new Error(result.stderr);
    written = JSON.parse(result.stdout) as Written[];
  }, 120_000);

  // Each writer's arrays differ in version, codecs, shuffle, dtype, byte order, chunks, shards, fill value and keys.
  test.each(["v2", "v3", "tensorstore", "zarrs"])("%s: every plane is equal", async (writer) => {
    const own = written.filter((w) => w.name.startsWith(writer));
    expect(own.length).toBeGreaterThan(5);
    const wrong: string[] = [];
    for (const { name, path, sha256 } of own) {
      try {
        if ((await digest(await openZarrArray(path))) !== sha256) wrong.push(name);
      } catch (error) {
        wrong.push(`${name}: ${(error as Error).message}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test("a region is that part of its plane, for every array", async () => {
    const wrong: string[] = [];
    for (const [n, { name, path }] of written.entries()) {
      const array = await openZarrArray(path);
      const [height, width] = array.shape.slice(-2) as [number, number];
      const index = indexes(array)[hash(n) % planeCount(array)] as number[];
      const whole = await bytesOf(array, index);
      const pixel = whole.length / (height * width);
      for (let i = 0; i < 4; i++) {
        const y = hash(n, i, 1) % height;
        const x = hash(n, i, 2) % width;
        const region = {
          y,
          x,
          height: 1 + (hash(n, i, 3) % (height - y)),
          width: 1 + (hash(n, i, 4) % (width - x)),
        };
        const part = await bytesOf(array, index, region);
        for (let row = 0; row < region.height; row++) {
          const from = ((y + row) * width + x) * pixel;
          const expected = whole.subarray(from, from + region.width * pixel);
          const got = part.subarray(row * region.width * pixel, (row + 1) * region.width * pixel);
          if (Buffer.compare(expected, got) !== 0) {
            wrong.push(`${name} ${JSON.stringify(region)} row ${row}`);
            break;
          }
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  test("truncated and overwritten chunks are typed errors that name the file, never pixels of the wrong size", async () => {
    let damaged = 0;
    const wrong: string[] = [];
    for (const [n, { name, path }] of written.filter((_, i) => i % 5 === 0).entries()) {
      const array = await openZarrArray(path);
      const files = readdirSync(path, { recursive: true, encoding: "utf8" })
        .map((f) => join(path, f))
        .filter((f) => statSync(f).isFile() && !/(zarr\.json|\.z[a-z]+)$/.test(f));
      const file = files[hash(n) % files.length];
      if (file === undefined) continue;
      const bytes = readFileSync(file);
      if (n % 2 === 0) truncateSync(file, hash(n, 5) % bytes.length);
      else for (let i = 0; i < 16; i++) bytes[hash(n, i, 6) % bytes.length] = hash(n, i, 7) & 255;
      if (n % 2 === 1) writeFileSync(file, bytes);
      for (const index of indexes(array)) {
        try {
          await bytesOf(array, index);
        } catch (error) {
          damaged++;
          const { code, path: at } = error as { code?: string; path?: string };
          if (!["ERR_ZARR_DAMAGED", "ERR_ZARR_UNSUPPORTED"].includes(code ?? "") || !at?.startsWith(path))
            wrong.push(`${name}: ${code} ${(error as Error).message}`);
        }
      }
    }
    expect(wrong).toEqual([]);
    expect(damaged).toBeGreaterThan(50);
  });
});

/** A folder with one metadata file. */
function arrayOf(metadata: object, name = "zarr.json"): string {
  const path = folder();
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, name), JSON.stringify(metadata));
  return path;
}

const v3 = {
  zarr_format: 3,
  node_type: "array",
  shape: [4, 8, 8],
  data_type: "uint16",
  chunk_grid: { name: "regular", configuration: { chunk_shape: [1, 8, 8] } },
  chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
  fill_value: 3,
  codecs: [{ name: "bytes", configuration: { endian: "little" } }],
};
const v2 = {
  zarr_format: 2,
  shape: [4, 8, 8],
  chunks: [1, 8, 8],
  dtype: "<u2",
  compressor: null,
  filters: null,
  fill_value: 0,
  order: "C",
};

describe("metadata that is not read says so", () => {
  const bytes = v3.codecs[0];
  test.each([
    [
      "a transposing codec",
      { codecs: [{ name: "transpose", configuration: { order: [0, 2, 1] } }, bytes] },
      "transposed chunks (order [0,2,1]) are not read",
    ],
    ["an unknown codec", { codecs: [bytes, { name: "pcodec" }] }, 'codec "pcodec" is not read'],
    [
      "64-bit integers",
      { data_type: "int64" },
      'dtype "int64" is not read; expected one of uint8, int8, uint16, int16, uint32, int32, float32, float64, bool',
    ],
    [
      "another grid",
      { chunk_grid: { name: "rectangular", configuration: {} } },
      'chunk grid "rectangular" is not read',
    ],
    ["storage transformers", { storage_transformers: [{ name: "x" }] }, "storage transformers are not read"],
  ])("%s", async (_, change, message) => {
    const path = arrayOf({ ...v3, ...change });
    const error = await thrown(() => openZarrArray(path));
    expect([error.code, error.message]).toEqual(["ERR_ZARR_UNSUPPORTED", `${path}: ${message}`]);
  });

  test.each([
    ["column-major chunks", { order: "F" }, 'chunks in column-major order ("F") are not read'],
    ["filters", { filters: [{ id: "delta" }] }, "filters (delta) are not read"],
    ["bzip2", { compressor: { id: "bz2" } }, 'compressor "bz2" is not read'],
    [
      "complex numbers",
      { dtype: "<c8" },
      'dtype "<c8" is not read; expected one of uint8, int8, uint16, int16, uint32, int32, float32, float64, bool',
    ],
  ])("version 2: %s", async (_, change, message) => {
    const path = arrayOf({ ...v2, ...change }, ".zarray");
    const error = await thrown(() => openZarrArray(path));
    expect([error.code, error.message]).toEqual(["ERR_ZARR_UNSUPPORTED", `${path}: ${message}`]);
  });

  test.each([
    ["a negative length", { shape: [4, -8, 8] }, "shape: expected integers of at least 0, found [4,-8,8]"],
    [
      "chunks of other axes",
      { chunk_grid: { name: "regular", configuration: { chunk_shape: [8, 8] } } },
      "chunk_shape has 2 axes and the array 3",
    ],
    ["no codecs", { codecs: [] }, "codecs: expected a list"],
    ["a fill value of another kind", { fill_value: [1] }, "fill_value: [1] is no uint16"],
  ])("damaged: %s", async (_, change, message) => {
    const path = arrayOf({ ...v3, ...change });
    const error = await thrown(() => openZarrArray(path));
    expect([error.code, error.message]).toEqual(["ERR_ZARR_DAMAGED", `${path}: ${message}`]);
  });

  test("shards that their chunks do not divide", async () => {
    const path = arrayOf({
      ...v3,
      codecs: [{ name: "sharding_indexed", configuration: { chunk_shape: [1, 3, 8], codecs: [bytes] } }],
    });
    const error = await thrown(async () => readZarrPlane(pool, await openZarrArray(path), [0]));
    expect([error.code, error.message]).toEqual([
      "ERR_ZARR_DAMAGED",
      `${path}: the chunks of a shard do not divide it`,
    ]);
  });

  test("a transposing codec that changes nothing is read", async () => {
    const path = arrayOf({
      ...v3,
      codecs: [{ name: "transpose", configuration: { order: [0, 1, 2] } }, bytes],
    });
    expect(await bytesOf(await openZarrArray(path), [0])).toHaveLength(128);
  });

  test("no array, and JSON that is none", async () => {
    const path = folder();
    expect((await thrown(() => openZarrArray(path))).message).toBe(
      `${path}: holds no Zarr array (no zarr.json or .zarray)`,
    );
    writeFileSync(join(path, "zarr.json"), "{");
    const error = await thrown(() => openZarrArray(path));
    expect(error.code).toBe("ERR_ZARR_DAMAGED");
    expect(error.message).toContain(`${join(path, "zarr.json")}: is not valid JSON`);
  });
});

describe("planes without a file", () => {
  test("are the fill value", async () => {
    const array = await openZarrArray(arrayOf(v3));
    using tile = await readZarrPlane(pool, array, [3]);
    expect([...new Set(tile.view() as Uint16Array)]).toEqual([3]);
    expect([tile.shape, tile.dtype]).toEqual([[8, 8], "uint16"]);
  });

  test("have an index and regions that are checked, and give their slot back", async () => {
    const array = await openZarrArray(arrayOf(v3));
    const free = pool.stats.free;
    expect((await thrown(() => readZarrPlane(pool, array, [4]))).message).toBe(
      `${array.path}: index: 4 of axis 0, which has 4`,
    );
    expect((await thrown(() => readZarrPlane(pool, array, [0, 0]))).code).toBe("ERR_INVALID_ARGUMENT");
    const outside = { y: 4, x: 0, height: 5, width: 8 };
    expect((await thrown(() => readZarrPlane(pool, array, [0], { region: outside }))).code).toBe(
      "ERR_OP_SHAPE",
    );
    const half = { y: 0.5, x: 0, height: 1, width: 1 };
    expect((await thrown(() => readZarrPlane(pool, array, [0], { region: half }))).message).toBe(
      "region.y must be an integer from 0 to 2147483647, got 0.5",
    );
    expect(pool.stats.free).toBe(free);
  });

  test("a chunk that is rewritten between two reads is read anew, also where its neighbours are kept", async () => {
    // Two planes a chunk: decoded chunks are kept.
    const path = arrayOf({
      ...v3,
      chunk_grid: { name: "regular", configuration: { chunk_shape: [2, 8, 8] } },
      codecs: [bytes3, { name: "crc32c" }],
    });
    const array = await openZarrArray(path);
    mkdirSync(join(path, "c/0/0"), { recursive: true });
    const write = (value: number) => {
      const chunk = Buffer.alloc(2 * 8 * 8 * 2, value);
      const out = Buffer.alloc(chunk.length + 4);
      chunk.copy(out);
      out.writeUInt32LE(crc32c(chunk), chunk.length);
      writeFileSync(join(path, "c/0/0/0"), out);
    };
    write(1);
    expect((await bytesOf(array, [0]))[0]).toBe(1);
    expect((await bytesOf(array, [1]))[0]).toBe(1);
    write(2);
    expect((await bytesOf(array, [1]))[0]).toBe(2);
  });
});

const bytes3 = { name: "bytes", configuration: { endian: "little" } };

/** RFC 3720, bit by bit. */
function crc32c(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}
