// SPDX-License-Identifier: MIT
// Regions and levels of large images through every store: the right pixels, and no more read than the strips, tiles and chunks that they touch.

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import * as zarr from "zarrita";
import {
  DiskStore,
  HttpStore,
  type Store,
  type StoredImage,
  VirtualStore,
  writeOmeTiff,
  ZarrStore,
  ZarrView,
} from "../../lib/stores/index.js";
import { temporaryFolders } from "../helpers/folder.js";
import { thrown } from "../helpers/throws.js";
import { partOf } from "./conformance.js";
import { type Exchange, serve } from "./http-server.js";

const folder = temporaryFolders();
const KiB = 1024;
const side = 1024;

/** Noise, so that compression leaves about as many bytes as there are pixels'. */
const image: StoredImage = (() => {
  const pixels = new Uint16Array(side * side);
  let state = 7;
  for (let i = 0; i < pixels.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    pixels[i] = state >>> 16;
  }
  return { shape: [side, side], dtype: "uint16", pixels };
})();

/** Means of two by two pixels, halves rounded to even. */
function halved({ shape: [height, width], pixels }: StoredImage): StoredImage {
  const out = new Uint16Array((height / 2) * (width / 2));
  const at = (y: number, x: number) => pixels[y * width + x] as number;
  for (let y = 0; y < height / 2; y++)
    for (let x = 0; x < width / 2; x++) {
      const sum = at(2 * y, 2 * x) + at(2 * y, 2 * x + 1) + at(2 * y + 1, 2 * x) + at(2 * y + 1, 2 * x + 1);
      const mean = Math.floor(sum / 4);
      out[y * (width / 2) + x] = mean + (sum % 4 > 2 || (sum % 4 === 2 && mean % 2 === 1) ? 1 : 0);
    }
  return { shape: [height / 2, width / 2], dtype: "uint16", pixels: out };
}

/** vitest compares large arrays value by value, which takes seconds. */
function expectSame(read: StoredImage, expected: StoredImage): void {
  expect([read.shape, read.dtype]).toEqual([expected.shape, expected.dtype]);
  const bytes = ({ pixels }: StoredImage) => Buffer.from(pixels.buffer, pixels.byteOffset, pixels.byteLength);
  expect(bytes(read).equals(bytes(expected))).toBe(true);
}

const tileBytes = (edge: number) => edge * edge * 2;

async function overHttp(root: string, behave?: (exchange: Exchange) => boolean | undefined) {
  const server = await serve(root, behave);
  const store = new HttpStore(server.url, { backoffMs: 1, blockBytes: 64 * KiB });
  onTestFinished(() => store.close());
  return { server, store };
}

interface Case {
  readonly store: Store;
  readonly key: string;
  /** px */
  readonly chunk: number;
  /** What a read may take besides the chunks that it touches: directories, indexes, rests of blocks. */
  readonly besides: number;
}

async function pyramid(root: string): Promise<string> {
  await writeOmeTiff(
    join(root, "pyramid.ome.tif"),
    { width: side, height: side, dtype: "uint16", planes: [image.pixels] },
    { levels: 3, tile: 128, compression: "zstd" },
  );
  return "pyramid.ome.tif";
}

async function plate(root: string, version: "0.4" | "0.5"): Promise<string> {
  await using store = new ZarrStore(root);
  await store.createImage("A/1/0", {
    c: 2,
    shape: [side, side],
    dtype: "uint16",
    levels: 3,
    chunk: 128,
    version,
  });
  await store.replace("A/1/0/c1", image);
  return "A/1/0/c1";
}

const cases: Readonly<Record<string, () => Promise<Case>>> = {
  "OME-TIFF on disk": async () => {
    const root = folder();
    const key = await pyramid(root);
    return { store: new DiskStore(root), key, chunk: 128, besides: 32 * KiB };
  },
  "OME-TIFF in a virtual store": async () => {
    const root = folder();
    const path = join(root, await pyramid(root));
    return { store: new VirtualStore({ "x.tif": path }), key: "x.tif", chunk: 128, besides: 32 * KiB };
  },
  "OME-TIFF over HTTP": async () => {
    const root = folder();
    const key = await pyramid(root);
    // Blocks are 64 KiB: the head, the directories behind the pixels, and two rests a tile.
    return { store: (await overHttp(root)).store, key, chunk: 128, besides: (2 + 2 * 4) * 64 * KiB };
  },
  "OME-Zarr 0.5 on disk": async () => {
    const root = folder();
    const key = await plate(root, "0.5");
    return { store: new ZarrStore(root), key, chunk: 128, besides: 8 * KiB };
  },
  "OME-Zarr 0.5 over HTTP": async () => {
    const root = folder();
    const key = await plate(root, "0.5");
    const { store } = await overHttp(root);
    return { store: new ZarrView(store), key, chunk: 128, besides: 16 * KiB };
  },
  "OME-Zarr 0.4 on disk": async () => {
    const root = folder();
    const key = await plate(root, "0.4");
    return { store: new ZarrStore(root), key, chunk: side, besides: 8 * KiB };
  },
};

describe.each(Object.entries(cases))("%s", (_, make) => {
  test("has levels, and regions of each are read from what they touch alone", async () => {
    const { store, key, chunk, besides } = await make();
    onTestFinished(() => store.close());
    const half = halved(image);
    const levels = [image, half, halved(half)];
    expect(await store.levels(key)).toEqual(
      levels.map(({ shape: [height, width] }) => ({
        width,
        height,
        samples: 1,
        dtype: "uint16",
        chunkWidth: Math.min(chunk, width),
        chunkHeight: Math.min(chunk, height),
      })),
    );
    for (const [level, whole] of levels.entries()) {
      // Inside one chunk, across the corner of four, and one pixel.
      for (const [y, x, height, width, chunks] of [
        [10, 20, 50, 60, 1],
        [100, 90, 60, 70, 4],
        [255, 255, 1, 1, 1],
      ] as const) {
        const before = store.bytesRead;
        const read = await store.readImage(key, { level, region: { y, x, height, width } });
        expectSame(read, partOf(whole, y, x, height, width));
        const edge = Math.min(chunk, whole.shape[0]);
        const touched = chunk === side ? 1 : chunks;
        // Noise does not compress: a chunk is its pixels and a few bytes.
        expect(store.bytesRead - before).toBeLessThanOrEqual(touched * (tileBytes(edge) + 1024) + besides);
      }
      expectSame(await store.readImage(key, { level }), whole);
    }
    expect((await thrown(() => store.readImage(key, { level: 3 }))).code).toBe("ERR_INVALID_ARGUMENT");
    const outside = { y: 1000, x: 0, height: 25, width: 1 };
    expect((await thrown(() => store.readImage(key, { region: outside }))).code).toBe("ERR_OP_SHAPE");
  });
});

describe("a shard over HTTP", () => {
  test("costs its index and the wanted chunks, neighbours in one request, and the index once", async () => {
    const root = folder();
    const key = await plate(root, "0.5");
    const { server, store } = await overHttp(root);
    await using view = new ZarrView(store);
    const shard = join(root, "A/1/0/0/c.1.0.0");
    const size = statSync(shard).size;
    await view.readImage(key, { region: { y: 0, x: 0, height: 1, width: 1 } });
    const ranges = () => server.log.filter(({ path }) => path.endsWith("c.1.0.0")).map(({ range }) => range);
    const indexBytes = 16 * 64 + 4;
    expect(ranges()[0]).toBe(`bytes=-${indexBytes}`);
    expect(ranges()).toHaveLength(2);
    const [, first = 0, last = 0] = (/^bytes=(\d+)-(\d+)$/.exec(ranges()[1] ?? "") ?? []).map(Number);
    expect(last - first + 1).toBeGreaterThan(tileBytes(128) / 2);
    expect(last - first + 1).toBeLessThan(tileBytes(128) + 1024);

    // A row of four chunks: one request, and no second one for the index.
    const before = store.stats;
    const region = { y: 300, x: 0, height: 2, width: 512 };
    expect(await view.readImage(key, { region })).toEqual(partOf(image, 300, 0, 2, 512));
    expect(store.stats.requests - before.requests).toBe(1);
    expect(store.stats.bytes - before.bytes).toBeLessThan(4 * (tileBytes(128) + 1024));
    expect(store.stats.bytes).toBeLessThan(size / 2);
    // The whole of it is one request.
    const then = store.stats.requests;
    expectSame(await view.readImage(key), image);
    expect(store.stats.requests - then).toBeLessThanOrEqual(2);
    const array = await zarr.open(new zarr.FetchStore(`${server.url}A/1/0/0`), { kind: "array" });
    expect((await zarr.get(array, [1, zarr.slice(300, 302), zarr.slice(0, 512)])).data).toEqual(
      partOf(image, 300, 0, 2, 512).pixels,
    );
  });

  test("is read from servers that do not count from the end, and from those that know no ranges", async () => {
    const root = folder();
    const key = await plate(root, "0.5");
    const region = { y: 130, x: 130, height: 5, width: 5 };
    for (const behave of [
      ({ request, response }: Exchange) => {
        if (!request.headers.range?.startsWith("bytes=-")) return false;
        response.writeHead(400).end();
        return true;
      },
      ({ response, body }: Exchange) => {
        if (body === undefined) response.writeHead(404).end();
        else response.writeHead(200, { "content-length": body.length }).end(body);
        return true;
      },
    ]) {
      const { store } = await overHttp(root, behave);
      await using view = new ZarrView(store);
      expect(await view.readImage(key, { region })).toEqual(partOf(image, 130, 130, 5, 5));
    }
  });

  test("that is replaced between its index and its chunks gives one version", async () => {
    const root = folder();
    const key = await plate(root, "0.5");
    const other: StoredImage = { ...image, pixels: Uint16Array.from(image.pixels, (v) => v >> 4) };
    await using disk = new ZarrStore(root);
    let replaced: Promise<void> | undefined;
    const { store } = await overHttp(root, ({ path, request, answer }) => {
      if (!path.endsWith("c.1.0.0") || !request.headers.range?.startsWith("bytes=-") || replaced)
        return false;
      // The old index goes out when the new file is there.
      replaced = disk.replace(key, other);
      void replaced.then(answer);
      return true;
    });
    await using view = new ZarrView(store);
    const region = { y: 500, x: 500, height: 40, width: 40 };
    expectSame(await view.readImage(key, { region }), partOf(other, 500, 500, 40, 40));
    expect(replaced).toBeDefined();
  });
});

describe("a zarr store", () => {
  test.each(["none", "blosc-lz4", "blosc-zstd", "zstd"] as const)(
    "writes shards of chunks with a pyramid, %s, which zarrita reads",
    async (compression) => {
      const root = folder();
      await using store = new ZarrStore(root, { blank: "absent" });
      await store.createImage("i", {
        z: 2,
        shape: [300, 501],
        dtype: "int16",
        chunk: 64,
        levels: "auto",
        compression,
      });
      const pixels = new Int16Array(300 * 501).map((_, i) => (i % 501) - 2 * Math.floor(i / 501));
      await store.write("i/z1", { shape: [300, 501], dtype: "int16", pixels });
      const levels = await store.levels("i/z1");
      expect(levels.map(({ height, width }) => [height, width])).toEqual([
        [300, 501],
        [150, 251],
        [75, 126],
        [38, 63],
      ]);
      expect(readdirSync(join(root, "i/0")).sort()).toEqual(["c.1.0.0", "zarr.json"]);
      for (const level of levels.keys()) {
        const array = await zarr.open(new zarr.FetchStore((await serve(join(root, "i"))).url + level), {
          kind: "array",
        });
        const theirs = await zarr.get(array, [1, null, null]);
        expect((await store.readImage("i/z1", { level })).pixels).toEqual(theirs.data);
      }
      expect((await store.readImage("i/z1")).pixels).toEqual(pixels);
      // A plane of zeros is a plane.
      await store.write("i/z0", { shape: [300, 501], dtype: "int16", pixels: new Int16Array(300 * 501) });
      expect(await store.exists("i/z0")).toBe(true);
      expect(
        (await thrown(() => store.write("i/z0", { shape: [300, 501], dtype: "int16", pixels }))).code,
      ).toBe("ERR_KEY_EXISTS");
      expect(await store.delete("i/z1")).toBe(true);
      expect(await store.list("i")).toEqual(["i/z0", "i/zarr.json"]);
      expect(readdirSync(join(root, "i/3")).sort()).toEqual(["c.0.0.0", "zarr.json"]);
    },
  );
});
