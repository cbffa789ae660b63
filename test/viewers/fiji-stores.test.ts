// SPDX-License-Identifier: MIT
// The Fiji viewer's memory: planes that are read back from OME-Zarr, whatever compressed them, and what happens when the budget is full.

import { rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Display } from "../helpers/display.js";
import { temporaryFolders } from "../helpers/folder.js";
import { needsPeer, python, runPython } from "../helpers/shared.js";
import { exchange, FijiProcess, fijiLauncher, item, metadata, shm } from "./fiji-viewer.js";

const launcher = fijiLauncher();
const folder = temporaryFolders();

let display: Display | undefined;
beforeAll(async () => {
  if (launcher !== undefined) display = await Display.open();
});
afterAll(() => display?.[Symbol.asyncDispose]());
needsPeer(launcher, "Java with the Fiji viewer");

const start = (args: readonly string[] = []) =>
  FijiProcess.start({
    launcher: launcher as string,
    display: (display as Display).name,
    home: folder(),
    args,
  });

/** Writes the same planes with many codecs; names what it wrote. */
const writeArrays = `
import json, sys
import numcodecs, numpy as np, zarr
root = sys.argv[1]
shape = (2, 3, 50, 70)
data = (np.arange(np.prod(shape)) * 7 % 65521).reshape(shape).astype("uint16")
B = zarr.codecs.BloscCodec
v3 = {
    "plain": dict(compressors=None),
    "big": dict(compressors=None, serializer=zarr.codecs.BytesCodec(endian="big")),
    "zstd": dict(compressors=zarr.codecs.ZstdCodec(level=3)),
    "gzip": dict(compressors=zarr.codecs.GzipCodec()),
    "lz4-shuffle": dict(compressors=B(cname="lz4", shuffle="shuffle")),
    "zstd-bitshuffle": dict(compressors=B(cname="zstd", shuffle="bitshuffle")),
    "zlib-noshuffle": dict(compressors=B(cname="zlib", shuffle="noshuffle")),
    "sharded": dict(compressors=B(cname="lz4", shuffle="shuffle"), shards=(1, 2, 64, 64), chunks=(1, 1, 32, 32)),
    "sharded-crc": dict(compressors=[zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()], shards=(2, 3, 64, 96), chunks=(1, 1, 32, 32)),
    "dotted": dict(compressors=None, chunk_key_encoding={"name": "default", "separator": "."}),
}
for name, how in v3.items():
    how = {"chunks": (1, 2, 32, 40), **how}
    zarr.create_array(f"{root}/{name}", shape=shape, dtype="uint16", **how)[:] = data
v2 = {"v2-blosc": numcodecs.Blosc("lz4", shuffle=1), "v2-zlib": numcodecs.Zlib(), "v2-zstd": numcodecs.Zstd(), "v2-lz4": numcodecs.LZ4(), "v2-none": None}
for name, codec in v2.items():
    zarr.create_array(f"{root}/{name}", shape=shape, dtype="<u2", zarr_format=2, chunks=(1, 2, 32, 40), compressors=codec)[:] = data
floats = zarr.create_array(f"{root}/filled", shape=shape, dtype="float32", chunks=(1, 1, 32, 32), fill_value=2.5)
floats[0, 0, :32, :32] = 1
print(json.dumps([*v3, *v2]))
`;

describe("stores and memory", () => {
  needsPeer(python(), "Python with zarr");

  test("planes known by their store alone are read from it, whatever compressed them", async () => {
    const root = folder();
    const names = runPython(writeArrays, [root]) as string[];
    await using viewer = await start();
    const plane = (z: number) =>
      Uint16Array.from({ length: 3500 }, (_, i) => ((3 * 3500 + z * 3500 + i) * 7) % 65521);
    const send = async (array: string, dtype: string, index: number[]) => {
      await viewer.ask("clear_state");
      const items = index.map((z) =>
        item({
          shape: [50, 70],
          dtype,
          metadata: { ...metadata, z_index: z },
          tilecast: { store: { path: root, array, index: [1, z] } },
        }),
      );
      const text = JSON.stringify({ type: "batch", images: items });
      expect(JSON.parse((await exchange(viewer.endpoint.dataUrl, text)).toString())).toMatchObject({
        status: "success",
      });
      await viewer.settle();
    };
    for (const name of names) {
      await send(name, "uint16", [0, 1, 2]);
      for (const z of [0, 2])
        expect((await viewer.readPlane({ axis_indices: { z_index: z } })).pixels, name).toEqual(plane(z));
    }
    await send("filled", "float32", [0]);
    expect(new Set((await viewer.readPlane({})).pixels)).toEqual(new Set([2.5]));
    expect(await viewer.own()).toMatchObject({ planes: 1, resident: 0, memory_used: 0 });
    // A store that has gone is an error of that plane.
    await send("gone", "uint16", [0]);
    await expect(viewer.readPlane({})).rejects.toThrow(/there is no Zarr array/);
  });

  test("a full budget lets go of what is stored, and refuses what is not", async () => {
    const root = folder();
    runPython(writeArrays, [root]);
    await using viewer = await start(["--memory-budget", "20000"]);
    const send = async (z: number, more: object) => {
      const name = shm(`tctest-${process.pid}-${z}`, 7000);
      const at = { metadata: { ...metadata, z_index: z }, shape: [50, 70], shm_name: name, tilecast: more };
      const text = JSON.stringify({ type: "batch", images: [item(at)] });
      const reply = JSON.parse((await exchange(viewer.endpoint.dataUrl, text)).toString());
      if (!reply.kept) rmSync(`/dev/shm/${name}`);
      return reply;
    };
    const store = (z: number) => ({ store: { path: root, array: "zstd", index: [1, z] } });
    expect(await send(0, store(0))).toMatchObject({ kept: [expect.any(String)] });
    expect(await send(1, {})).toMatchObject({ kept: [expect.any(String)] });
    // The first one goes.
    expect(await send(2, {})).toMatchObject({ kept: [expect.any(String)] });
    await viewer.settle();
    expect(await viewer.own()).toMatchObject({ planes: 3, resident: 2, memory_used: 14_000 });
    const read = await viewer.readPlane({ axis_indices: { z_index: 0 } });
    expect(read.pixels[0]).toBe((10_500 * 7) % 65521);
    // Nothing left to let go of.
    expect(await send(3, store(1))).toMatchObject({ status: "success" });
    expect(await send(4, {})).toMatchObject({
      status: "success",
      refused: [{ index: 0, message: expect.stringMatching(/^the memory budget of/) }],
    });
    expect(await viewer.own()).toMatchObject({ planes: 4, resident: 2, refused: 1 });
    expect((await viewer.readPlane({ axis_indices: { z_index: 3 } })).pixels[0]).toBe((14_000 * 7) % 65521);
  });
});
