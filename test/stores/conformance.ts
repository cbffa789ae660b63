// SPDX-License-Identifier: MIT
// What every store does, as tests that each implementation runs (stores.test.ts).

import { describe, expect, onTestFinished, test } from "vitest";
import { type DType, TilePool, type TypedArray, typedView } from "../../lib/image/index.js";
import type { Store, StoredImage } from "../../lib/stores/index.js";
import { thrown } from "../helpers/throws.js";

/** A fresh, empty store, and the keys and images that it takes. */
export interface Subject {
  readonly store: Store;
  /** The key of the i-th image. */
  readonly imageKey: (i: number) => string;
  /** Of the images that it takes; default all. */
  readonly dtypes?: readonly DType[];
  /** Shape of the images that it takes; default any. */
  readonly shape?: readonly [number, number];
  /** A key for an image of 64 x 64 px, uint16; default `large.tif`. */
  readonly largeKey?: string;
  /** Files that are in the store before anything is written, such as metadata. */
  readonly initial?: readonly string[];
}

const bytes = (text: string) => new TextEncoder().encode(text);

/** Pixels that differ everywhere and between seeds, negative and fractional where the dtype has such. */
export function someImage(
  seed: number,
  dtype: DType = "uint16",
  shape: readonly [number, number] = [5, 7],
): StoredImage {
  const n = shape[0] * shape[1];
  const size = { uint8: 1, int8: 1, uint16: 2, int16: 2, uint32: 4, int32: 4, float32: 4, float64: 8 }[dtype];
  const pixels: TypedArray = typedView(new ArrayBuffer(n * size), dtype, 0, n);
  for (let i = 0; i < n; i++)
    pixels[i] = dtype.startsWith("u") ? (i + 1) * (seed + 3) : (i - 9) * (seed + 1.5);
  return { shape, dtype, pixels };
}

/** A part of an image, cut out here. */
export function partOf(
  { shape, dtype, pixels }: StoredImage,
  y: number,
  x: number,
  height: number,
  width: number,
): StoredImage {
  const size = pixels.BYTES_PER_ELEMENT;
  const out = typedView(new ArrayBuffer(height * width * size), dtype, 0, height * width);
  for (let r = 0; r < height; r++)
    for (let c = 0; c < width; c++) out[r * width + c] = pixels[(y + r) * shape[1] + x + c] as number;
  return { shape: [height, width], dtype, pixels: out };
}

export function conforms(name: string, make: () => Promise<Subject>): void {
  describe(`a ${name} store`, () => {
    const subject = async () => {
      const s = await make();
      onTestFinished(() => s.store.close());
      const shape = s.shape ?? [5, 7];
      const dtypes = s.dtypes ?? ["uint16" as DType];
      const image = (seed: number) => someImage(seed, dtypes[0], shape);
      return { ...s, image, shape, dtypes };
    };
    const pool = () => {
      const made = TilePool.create({ slotBytes: 4096, slots: 3 });
      onTestFinished(() => made.close());
      return made;
    };

    test("gives bytes back as they were written, the caller's own", async () => {
      const { store } = await subject();
      const value = bytes("one");
      await store.write("a/table.csv", value);
      value[0] = 0;
      const first = await store.read("a/table.csv");
      expect(first).toEqual(bytes("one"));
      expect(first.constructor).toBe(Uint8Array);
      first[0] = 0;
      expect(await store.read("a/table.csv")).toEqual(bytes("one"));
      await store.write("empty", new Uint8Array(0));
      expect(await store.read("empty")).toEqual(new Uint8Array(0));
    });

    test("gives images back pixel by pixel, in memory and in a pool's slot", async () => {
      const { store, imageKey, dtypes, shape } = await subject();
      const tiles = pool();
      for (const dtype of dtypes) {
        const image = someImage(1, dtype, shape);
        await store.replace(imageKey(0), image);
        const read = await store.readImage(imageKey(0));
        expect(read).toEqual(image);
        using tile = await store.readTile(imageKey(0), tiles, { components: { well: "A01" } });
        expect([tile.shape, tile.dtype, tile.view(), tile.components]).toEqual([
          image.shape,
          dtype,
          image.pixels,
          { well: "A01" },
        ]);
      }
      expect(tiles.stats.free).toBe(3);
    });

    test("takes a tile as a value and leaves it to its owner", async () => {
      const { store, imageKey, image } = await subject();
      const tiles = pool();
      const { shape, dtype, pixels } = image(2);
      using tile = await tiles.loan(shape, dtype);
      tile.view().set(pixels);
      await store.write(imageKey(0), tile);
      tile.view().fill(0);
      expect((await store.readImage(imageKey(0))).pixels).toEqual(pixels);
      expect(tile.released).toBe(false);
    });

    test("lists keys below a folder, sorted, and knows which exist", async () => {
      const { store, initial = [], imageKey, image } = await subject();
      expect(await store.list()).toEqual([...initial].sort());
      for (const key of ["b.txt", "a/b/c.txt", "a/d.txt", "ab/e.txt"]) await store.write(key, bytes(key));
      await store.write(imageKey(0), image(0));
      const all = [...initial, "b.txt", "a/b/c.txt", "a/d.txt", "ab/e.txt", imageKey(0)].sort();
      expect(await store.list()).toEqual(all);
      expect(await store.list("a")).toEqual(all.filter((key) => key.startsWith("a/")));
      expect(await store.list("a/b")).toEqual(["a/b/c.txt"]);
      expect(await store.list("nowhere")).toEqual([]);
      for (const key of all) expect(await store.exists(key)).toBe(true);
      expect(await Promise.all(["a", "a/b", "nowhere", imageKey(1)].map((k) => store.exists(k)))).toEqual([
        false,
        false,
        false,
        false,
      ]);
    });

    test("says which key is not there", async () => {
      const { store, imageKey } = await subject();
      const tiles = pool();
      for (const read of [
        () => store.read("a/none.txt"),
        () => store.readImage(imageKey(0)),
        () => store.readTile(imageKey(0), tiles),
      ]) {
        const error = await thrown(read);
        expect(error.code).toBe("ERR_KEY_NOT_FOUND");
        expect(error.message).toBe(
          `${store.kind} store ${store.location} has no key ${JSON.stringify(error.key)}`,
        );
      }
      expect((await thrown(() => store.read("a/none.txt"))).key).toBe("a/none.txt");
      expect(tiles.stats.free).toBe(3);
    });

    test("writes new keys only; of several writers at once one makes it", async () => {
      const { store, imageKey, image } = await subject();
      await store.write("k", bytes("first"));
      const error = await thrown(() => store.write("k", bytes("second")));
      expect([error.code, error.key]).toEqual(["ERR_KEY_EXISTS", "k"]);
      expect(await store.read("k")).toEqual(bytes("first"));
      await store.write(imageKey(0), image(1));
      expect((await thrown(() => store.write(imageKey(0), image(2)))).code).toBe("ERR_KEY_EXISTS");
      expect(await store.readImage(imageKey(0))).toEqual(image(1));

      const outcomes = await Promise.allSettled(
        Array.from({ length: 8 }, (_, i) => store.write("race", bytes(`writer ${i}`))),
      );
      const won = outcomes.flatMap((o, i) => (o.status === "fulfilled" ? [i] : []));
      expect(won).toHaveLength(1);
      expect(await store.read("race")).toEqual(bytes(`writer ${won[0]}`));
    });

    test("replaces: who reads meanwhile gets the old value or the new one", async () => {
      const { store, imageKey, image } = await subject();
      await store.replace(imageKey(0), image(0));
      let done = false;
      const writer = (async () => {
        for (let i = 1; i <= 40; i++) await store.replace(imageKey(0), image(i % 2));
        done = true;
      })();
      const valid = [image(0), image(1)].map((i) => i.pixels.join());
      let reads = 0;
      while (!done || reads === 0) {
        expect(valid).toContain((await store.readImage(imageKey(0))).pixels.join());
        reads++;
      }
      await writer;
      await store.replace("t", bytes("long value"));
      await store.replace("t", bytes("short"));
      expect(await store.read("t")).toEqual(bytes("short"));
    });

    test("deletes, and says whether there was anything", async () => {
      const { store, imageKey, image, initial = [] } = await subject();
      await store.write("a/k", bytes("v"));
      await store.write(imageKey(0), image(0));
      expect(await store.delete("a/k")).toBe(true);
      expect(await store.delete("a/k")).toBe(false);
      expect(await store.delete("nowhere/k")).toBe(false);
      expect(await store.delete(imageKey(0))).toBe(true);
      expect(await store.exists("a/k")).toBe(false);
      expect(await store.list()).toEqual([...initial].sort());
      expect((await thrown(() => store.readImage(imageKey(0)))).code).toBe("ERR_KEY_NOT_FOUND");
      await store.write("a/k", bytes("again"));
      await store.write(imageKey(0), image(3));
      expect(await store.readImage(imageKey(0))).toEqual(image(3));
    });

    test("lets no key be the folder of another", async () => {
      const { store } = await subject();
      await store.write("f/g", bytes("v"));
      for (const put of ["write", "replace"] as const) {
        for (const key of ["f", "f/g/h", "f/g/h/i"]) {
          const error = await thrown(() => store[put](key, bytes("v")));
          expect([error.code, error.key]).toEqual(["ERR_KEY_EXISTS", key]);
        }
      }
      expect(await store.exists("f/g/h")).toBe(false);
      expect((await thrown(() => store.read("f"))).code).toBe("ERR_KEY_NOT_FOUND");
      expect((await thrown(() => store.read("f/g/h"))).code).toBe("ERR_KEY_NOT_FOUND");
      expect(await store.delete("f/g/h")).toBe(false);
      expect(await store.delete("f")).toBe(false);
    });

    test("reads batches in the order of their keys, each with its own outcome", async () => {
      const { store, imageKey, image } = await subject();
      await store.write("x", bytes("x"));
      await store.write("y", bytes("y"));
      const items = await store.readBatch(["y", "none", "x", "y"], { concurrency: 2 });
      expect(items.map((i) => [i.key, i.value && new TextDecoder().decode(i.value), i.error?.code])).toEqual([
        ["y", "y", undefined],
        ["none", undefined, "ERR_KEY_NOT_FOUND"],
        ["x", "x", undefined],
        ["y", "y", undefined],
      ]);
      expect(await store.readBatch([])).toEqual([]);
      await store.write(imageKey(0), image(0));
      await store.write(imageKey(1), image(1));
      const images = await store.readImageBatch([imageKey(1), imageKey(2), imageKey(0)]);
      expect(images.map((i) => i.value ?? i.error?.code)).toEqual([image(1), "ERR_KEY_NOT_FOUND", image(0)]);
      const tiles = pool();
      const loaned = await store.readTileBatch([imageKey(1), imageKey(2), imageKey(0)], tiles);
      expect(loaned.map((i) => i.value?.view() ?? i.error?.code)).toEqual([
        image(1).pixels,
        "ERR_KEY_NOT_FOUND",
        image(0).pixels,
      ]);
      for (const item of loaned) item.value?.release();
      expect(tiles.stats.free).toBe(3);
      const tooMany = await thrown(() => store.readTileBatch(Array(4).fill(imageKey(0)), tiles));
      expect([tooMany.code, tooMany.argument]).toEqual(["ERR_INVALID_ARGUMENT", "keys"]);
    });

    test("reads regions, pixel by pixel, and refuses those that are not inside", async () => {
      const { store, imageKey, image, shape } = await subject();
      const tiles = pool();
      const [height, width] = shape;
      await store.write(imageKey(0), image(1));
      for (const [y, x, h, w] of [
        [0, 0, height, width],
        [1, 2, 3, 4],
        [height - 1, width - 1, 1, 1],
        [0, 3, height, 1],
      ] as const) {
        const region = { y, x, height: h, width: w };
        const read = await store.readImage(imageKey(0), { region });
        expect(read).toEqual(partOf(image(1), y, x, h, w));
        using tile = await store.readTile(imageKey(0), tiles, { region });
        expect([tile.shape, tile.view()]).toEqual([[h, w], read.pixels]);
      }
      for (const region of [
        { y: 0, x: 0, height: height + 1, width },
        { y: 1, x: 0, height, width },
        { y: 0, x: width, height: 1, width: 1 },
        { y: 0, x: 0, height: 2 ** 31 - 1, width: 2 ** 31 - 1 },
      ])
        expect((await thrown(() => store.readImage(imageKey(0), { region }))).code).toBe("ERR_OP_SHAPE");
      for (const region of [{ y: -1, x: 0, height: 1, width: 1 }, { y: 0, x: 0, height: 0, width: 1 }, 7])
        expect((await thrown(() => store.readImage(imageKey(0), { region: region as never }))).code).toBe(
          "ERR_INVALID_ARGUMENT",
        );
      expect(tiles.stats.free).toBe(3);
    });

    test("says which resolutions an image has", async () => {
      const { store, imageKey, image, shape } = await subject();
      await store.write(imageKey(0), image(1));
      const [height, width] = shape;
      const { dtype } = image(1);
      const [level, ...more] = await store.levels(imageKey(0));
      expect([level, more]).toMatchObject([{ height, width, dtype, samples: 1 }, []]);
      const error = await thrown(() => store.readImage(imageKey(0), { level: 1 }));
      expect(error.code).toBe("ERR_INVALID_ARGUMENT");
      expect((await thrown(() => store.levels(imageKey(1)))).code).toBe("ERR_KEY_NOT_FOUND");
      await store.write("notes.txt", bytes("no image"));
      expect((await thrown(() => store.levels("notes.txt"))).code).toBe("ERR_STORE_KIND");
    });

    test("reads ranges of bytes, from either end, and no more than there are", async () => {
      const { store } = await subject();
      await store.write("ten", bytes("0123456789"));
      const { size, parts } = await store.readRanges("ten", [
        { offset: 2, bytes: 3 },
        { offset: -4, bytes: 4 },
        { offset: 8, bytes: 100 },
        { offset: 50, bytes: 1 },
        { offset: 0, bytes: 1 },
        { offset: -100, bytes: 3 },
      ]);
      expect(size).toBe(10);
      expect(parts.map((part) => new TextDecoder().decode(part))).toEqual([
        "234",
        "6789",
        "89",
        "",
        "0",
        "012",
      ]);
      expect((await thrown(() => store.readRanges("none", [{ offset: 0, bytes: 1 }]))).code).toBe(
        "ERR_KEY_NOT_FOUND",
      );
      const first = await store.readRanges("ten", [{ offset: 0, bytes: 1 }]);
      await store.replace("ten", bytes("another ten"));
      const second = await store.readRanges("ten", [{ offset: 0, bytes: 1 }]);
      expect(second.size).toBe(11);
      expect(second.version).not.toBe(first.version);
    });

    test("does not read bytes as an image", async () => {
      const { store } = await subject();
      await store.write("notes.txt", bytes("no image"));
      const error = await thrown(() => store.readImage("notes.txt"));
      expect([error.code, error.key]).toEqual(["ERR_STORE_KIND", "notes.txt"]);
    });

    test("says when an image does not fit the pool, and keeps no slot", async () => {
      const { store, largeKey = "large.tif" } = await subject();
      await store.write(largeKey, someImage(0, "uint16", [64, 64]));
      const small = TilePool.create({ slotBytes: 4096, slots: 1 });
      onTestFinished(() => small.close());
      expect((await thrown(() => store.readTile(largeKey, small))).code).toBe("ERR_SLOT_TOO_SMALL");
      expect((await store.readImage(largeKey)).shape).toEqual([64, 64]);
      expect(small.stats.free).toBe(1);
      small.close();
      expect((await thrown(() => store.readTile(largeKey, small))).code).toBe("ERR_POOL_CLOSED");
    });

    test("obeys its signal in every call", async () => {
      const { store, imageKey, image } = await subject();
      await store.write("k", bytes("v"));
      await store.write(imageKey(0), image(0));
      const signal = AbortSignal.abort(new Error("enough"));
      const tiles = pool();
      for (const call of [
        () => store.list("", { signal }),
        () => store.exists("k", { signal }),
        () => store.read("k", { signal }),
        () => store.readImage(imageKey(0), { signal }),
        () => store.readTile(imageKey(0), tiles, { signal }),
        () => store.readBatch(["k"], { signal }),
        () => store.readImageBatch([imageKey(0)], { signal }),
        () => store.readTileBatch([imageKey(0)], tiles, { signal }),
        () => store.levels(imageKey(0), { signal }),
        () => store.readRanges("k", [{ offset: 0, bytes: 1 }], { signal }),
        () => store.write("new", bytes("v"), { signal }),
        () => store.replace("k", bytes("w"), { signal }),
        () => store.delete("k", { signal }),
      ]) {
        const error = await thrown(call);
        expect([error.code, (error.cause as Error).message]).toEqual(["ERR_CANCELLED", "enough"]);
      }
      expect(await store.read("k")).toEqual(bytes("v"));
      expect(await store.exists("new")).toBe(false);
      expect(tiles.stats.free).toBe(3);
    });

    test("ends a wait for a slot with its signal", async () => {
      const { store, imageKey, image } = await subject();
      await store.write(imageKey(0), image(0));
      const tiles = pool();
      const held = await Promise.all([1, 2, 3].map(() => tiles.loan([1, 1], "uint8")));
      const controller = new AbortController();
      const waiting = thrown(() => store.readTile(imageKey(0), tiles, { signal: controller.signal }));
      controller.abort();
      expect((await waiting).code).toBe("ERR_CANCELLED");
      for (const tile of held) tile.release();
      expect(tiles.stats.free).toBe(3);
    });

    test.each([
      ["", 'key must be a non-empty string, got ""'],
      ["/a", 'key must be relative, without empty parts, "." and "..", got "/a"'],
      ["a//b", 'key must be relative, without empty parts, "." and "..", got "a//b"'],
      ["a/", 'key must be relative, without empty parts, "." and "..", got "a/"'],
      ["../a", 'key must be relative, without empty parts, "." and "..", got "../a"'],
      ["a/./b", 'key must be relative, without empty parts, "." and "..", got "a/./b"'],
      ["a\\b", 'key must be without backslashes and zero bytes, got "a\\\\b"'],
      ["a\0b", 'key must be without backslashes and zero bytes, got "a\\u0000b"'],
      [
        "a/.tilecast-x",
        'key must be without parts that begin with ".tilecast-", which are for unfinished files, got "a/.tilecast-x"',
      ],
    ])("refuses the key %j", async (key, message) => {
      const { store } = await subject();
      for (const call of [
        () => store.read(key),
        () => store.exists(key),
        () => store.write(key, bytes("v")),
        () => store.delete(key),
        () => store.readImage(key),
      ]) {
        const error = await thrown(call);
        expect([error.code, error.message]).toEqual(["ERR_INVALID_ARGUMENT", message]);
      }
    });

    test("refuses values that are none", async () => {
      const { store, imageKey } = await subject();
      for (const value of [
        undefined,
        "text",
        { shape: [2, 2], dtype: "uint8", pixels: new Uint8Array(3) },
        { shape: [2, 2], dtype: "uint8", pixels: new Uint16Array(4) },
        { shape: [1, 2, 2], dtype: "uint8", pixels: new Uint8Array(4) },
        { shape: [2, 2], dtype: "bool", pixels: new Uint8Array(4) },
      ]) {
        const error = await thrown(() => store.write(imageKey(0), value as unknown as Uint8Array));
        expect(error.code).toBe("ERR_INVALID_ARGUMENT");
      }
    });

    test("is closed once and for all", async () => {
      const { store } = await subject();
      await store.write("k", bytes("v"));
      await store.close();
      await store.close();
      for (const call of [() => store.read("k"), () => store.list(), () => store.replace("k", bytes("w"))]) {
        const error = await thrown(call);
        expect([error.code, error.message]).toEqual([
          "ERR_STORE_CLOSED",
          `${store.kind} store ${store.location} is closed`,
        ]);
      }
    });
  });
}
