// SPDX-License-Identifier: MIT
// writeOmeTiff and readTiffRegion: what is written is catalogued and read back, whole, in parts and smaller; what is wrong is refused
// and leaves the old file.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { type DType, dtypes, type TypedArray } from "../../lib/image/dtype.js";
import { TilePool } from "../../lib/image/tile-pool.js";
import { parseOmeXml } from "../../lib/plates/ome-xml.js";
import {
  type OmeTiffImage,
  type OmeTiffOptions,
  readTiffRegion,
  tiffLevels,
  writeOmeTiff,
} from "../../lib/stores/index.js";
import { temporaryFolders } from "../helpers/folder.js";
import { gradient } from "../helpers/gradient.js";

const folder = temporaryFolders();
const pools: TilePool[] = [];
const uuid = "01234567-89ab-cdef-0123-456789abcdef";

function makePool(slotBytes = 1 << 20, slots = 2): TilePool {
  const pool = TilePool.create({ slotBytes, slots });
  pools.push(pool);
  return pool;
}

afterEach(() => {
  for (const pool of pools.splice(0)) pool.close();
});

const small = (planes: OmeTiffImage["planes"], more: Partial<OmeTiffImage> = {}): OmeTiffImage => ({
  width: 40,
  height: 30,
  dtype: "uint16",
  planes,
  ...more,
});

/** ImageDescription of the first page, found by its ends. */
function descriptionOf(path: string): string {
  const text = readFileSync(path, "utf8");
  return text.slice(text.indexOf("<?xml"), text.indexOf("</OME>") + "</OME>".length);
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.fail("it was not rejected"),
    (error: unknown) => error,
  );
}

describe("writeOmeTiff", () => {
  it("writes what its own reader and catalogue read", async () => {
    const path = join(folder(), "A01 <&>.ome.tif");
    const planes = Array.from({ length: 12 }, (_, i) => gradient("uint16", 30, 40, i));
    const report = await writeOmeTiff(
      path,
      small(planes, {
        sizeZ: 3,
        sizeT: 2,
        order: "XYZCT",
        channels: [{ name: 'DAPI "1"', color: "0000FF" }, { name: "Alexa 488" }],
        pixelSizeUm: { x: 0.65, y: 0.325 },
        zStepUm: 2,
        timeStepS: 60,
      }),
      { uuid },
    );
    expect(report).toEqual({
      path,
      bytes: readFileSync(path).length,
      planes: 12,
      levels: 1,
      uuid: `urn:uuid:${uuid}`,
    });
    const document = parseOmeXml(descriptionOf(path), path, { samples: 1, pages: 12 });
    expect(document.uuid).toBe(`urn:uuid:${uuid}`);
    expect(document.images).toHaveLength(1);
    const { places, ...image } = document.images[0] as (typeof document.images)[0];
    expect(image).toMatchObject({
      name: "A01 <&>",
      width: 40,
      height: 30,
      dtype: "uint16",
      sizeZ: 3,
      sizeT: 2,
      channels: [
        { name: 'DAPI "1"', samples: 1 },
        { name: "Alexa 488", samples: 1 },
      ],
      pixelSizeUm: { x: 0.65, y: 0.325 },
      zStepUm: 2,
    });
    expect(places).toHaveLength(12);
    const pool = makePool();
    for (const { z, c, t, ifd, fileName } of places) {
      expect(ifd).toBe(z + 3 * (c + 2 * t));
      expect(fileName).toBe("A01 <&>.ome.tif");
      using tile = await readTiffRegion(pool, path, { page: ifd });
      expect(tile.view()).toEqual(planes[ifd]);
    }
  });

  it.each(
    dtypes.flatMap((dtype) =>
      (["none", "deflate", "zstd"] as const).map((compression) => [dtype, compression] as const),
    ),
  )("keeps every pixel of %s, %s", async (dtype: DType, compression) => {
    const path = join(folder(), "a.ome.tif");
    const plane = gradient(dtype, 70, 90, 1);
    const image: OmeTiffImage = { width: 90, height: 70, dtype, planes: [plane] };
    const pool = makePool();
    for (const options of [
      { tile: 32, predictor: true },
      { tile: 0, rowsPerStrip: 9, bigTiff: true },
    ] satisfies OmeTiffOptions[]) {
      await writeOmeTiff(path, image, { compression, ...options });
      using tile = await readTiffRegion(pool, path);
      expect(tile.view()).toEqual(plane);
      using part = await readTiffRegion(pool, path, { region: { y: 11, x: 20, height: 3, width: 50 } });
      const rows = [11, 12, 13].flatMap((y) => Array.from(plane.subarray(y * 90 + 20, y * 90 + 70)));
      expect(Array.from(part.view())).toEqual(rows);
    }
  });

  it("takes tiles of a pool, one at a time, and gives none of them away", async () => {
    const path = join(folder(), "a.ome.tif");
    const pool = makePool(1 << 16, 1);
    async function* planes() {
      for (let i = 0; i < 5; i++) {
        using tile = await pool.loan([30, 40], "uint16");
        tile.view().set(gradient("uint16", 30, 40, i) as Uint16Array);
        yield tile;
      }
    }
    await writeOmeTiff(path, small(planes(), { sizeT: 5 }));
    expect(pool.stats.free).toBe(1);
    for (let page = 0; page < 5; page++) {
      using tile = await readTiffRegion(pool, path, { page });
      expect(tile.view()).toEqual(gradient("uint16", 30, 40, page));
    }
  });

  it("adds pyramids, whose levels can be read", async () => {
    const path = join(folder(), "a.ome.tif");
    const plane = gradient("uint16", 600, 1025, 0);
    const report = await writeOmeTiff(
      path,
      { width: 1025, height: 600, dtype: "uint16", planes: [plane] },
      { levels: "auto" },
    );
    expect(report.levels).toBe(4);
    expect(await tiffLevels(path)).toMatchObject([
      { width: 1025, height: 600, samples: 1, dtype: "uint16", chunkWidth: 256, chunkHeight: 256 },
      { width: 513, height: 300 },
      { width: 257, height: 150 },
      { width: 129, height: 75, chunkWidth: 144, chunkHeight: 80 },
    ]);
    const pool = makePool(4 << 20);
    using half = await readTiffRegion(pool, path, {
      level: 1,
      region: { y: 10, x: 20, height: 1, width: 1 },
    });
    const four = [20, 21].flatMap((y) => [plane[y * 1025 + 40], plane[y * 1025 + 41]]) as number[];
    const mean = four.reduce((a, b) => a + b) / 4;
    expect(Math.abs((half.view()[0] as number) - mean)).toBeLessThanOrEqual(0.5);
    expect(half.shape).toEqual([1, 1]);
  });

  it("writes the same bytes again for the same identity, whatever the threads", async () => {
    const at = folder();
    const plane = gradient("uint16", 1000, 900, 3);
    const image = { width: 900, height: 1000, dtype: "uint16", planes: [plane] } as const;
    const files = [1, 4].map((threads) => ({ threads, path: join(at, `${threads}`, "a.ome.tif") }));
    for (const { path, threads } of files) {
      mkdirSync(join(path, ".."));
      await writeOmeTiff(path, image, { uuid, threads });
    }
    const [one, four] = files.map(({ path }) => readFileSync(path));
    expect(one?.equals(four as Buffer)).toBe(true);
  });
});

describe("a file that cannot be finished leaves the old one", () => {
  const plane = gradient("uint16", 30, 40, 0);

  it.each<[string, () => OmeTiffImage, string]>([
    ["too few planes", () => small([plane], { sizeT: 2 }), "image.planes must be 2 planes, got 1"],
    ["too many planes", () => small([plane, plane]), 'image.planes must be 1 planes, got "more"'],
    [
      "a plane of another dtype",
      () => small([gradient("int16", 30, 40, 0)]),
      'plane 0 (c 0, z 0, t 0) must be a tile, or a typed array of 1200 uint16, got "Int16Array(1200)"',
    ],
    [
      "a plane of another size",
      () => small([plane, plane.subarray(1) as TypedArray], { sizeC: 2 }),
      'plane 1 (c 1, z 0, t 0) must be a tile, or a typed array of 1200 uint16, got "Uint16Array(1199)"',
    ],
    [
      "channels without a place",
      () => small([plane], { sizeC: 1, channels: [{}, {}] }),
      "image.channels must be of at most 1 entries (sizeC), got [an object, an object]",
    ],
    [
      "a colour that is none",
      () => small([plane], { channels: [{ color: "red" }] }),
      'image.channels: color must be RRGGBB, got "red"',
    ],
    [
      "a size of nothing",
      () => small([plane], { width: 0 }),
      "image.width must be an integer from 1 to 2147483647, got 0",
    ],
  ])("for %s", async (_, image, message) => {
    const at = folder();
    const path = join(at, "a.ome.tif");
    writeFileSync(path, "old");
    expect(await rejection(writeOmeTiff(path, image()))).toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message,
    });
    expect(readFileSync(path, "utf8")).toBe("old");
    expect(readdirSync(at)).toEqual(["a.ome.tif"]);
  });

  it("when the planes fail, a signal comes, or a tile was released", async () => {
    const at = folder();
    const path = join(at, "a.ome.tif");
    writeFileSync(path, "old");
    const failure = new Error("no more light");
    function* failing() {
      yield plane;
      throw failure;
    }
    expect(await rejection(writeOmeTiff(path, small(failing(), { sizeT: 2 })))).toBe(failure);
    const controller = new AbortController();
    let cleaned = false;
    function* cancelling() {
      try {
        yield plane;
        controller.abort(new Error("enough"));
        yield plane;
      } finally {
        cleaned = true;
      }
    }
    expect(
      await rejection(writeOmeTiff(path, small(cancelling(), { sizeT: 2 }), { signal: controller.signal })),
    ).toMatchObject({ code: "ERR_CANCELLED", path });
    expect(cleaned).toBe(true);
    const pool = makePool();
    const tile = await pool.loan([30, 40], "uint16");
    tile.release();
    expect(await rejection(writeOmeTiff(path, small([tile])))).toMatchObject({ code: "ERR_SLOT_RELEASED" });
    expect(await rejection(writeOmeTiff(join(at, "no", "a.ome.tif"), small([plane])))).toMatchObject({
      code: "ERR_IO",
      path: join(at, "no", "a.ome.tif"),
    });
    expect(readFileSync(path, "utf8")).toBe("old");
    expect(readdirSync(at)).toEqual(["a.ome.tif"]);
  });
});

describe("readTiffRegion", () => {
  it("refuses what is not there", async () => {
    const path = join(folder(), "a.ome.tif");
    await writeOmeTiff(path, small([gradient("uint16", 30, 40, 0)]));
    const pool = makePool(8192);
    const read = (options: Parameters<typeof readTiffRegion>[2]) =>
      rejection(readTiffRegion(pool, path, options));
    expect(await read({ region: { y: 21, x: 0, height: 10, width: 10 } })).toMatchObject({
      code: "ERR_OP_SHAPE",
      page: 0,
      message: `${path}, page 0: the region is 10 x 10 uint16 at row 21, column 0, the image 30 x 40 uint16`,
    });
    expect(await read({ region: { y: 0, x: 0, height: 2 ** 31 - 1, width: 2 ** 31 - 1 } })).toMatchObject({
      code: "ERR_OP_SHAPE",
    });
    expect(await read({ level: 1 })).toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message: `${path}, page 0: there is no level 1: the page has 1`,
    });
    expect(await read({ page: 1 })).toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
    expect(await read({ region: { y: 0, x: 0, height: 0, width: 1 } })).toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      argument: "region.height",
    });
    expect(pool.stats.free).toBe(2);
    expect(await rejection(tiffLevels(`${path}x`))).toMatchObject({ code: "ERR_IO", path: `${path}x` });
  });
});
