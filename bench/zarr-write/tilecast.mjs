// SPDX-License-Identifier: MIT
// tilecast's part of the zarr-write benchmark: jobs of the native executor that read a plane once and write it several times.

import { mkdtempSync, readdirSync, readFileSync, renameSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { median } from "../../dist/bench/result.js";
import { native } from "../../dist/native.js";
import { OmeZarrStore } from "../../dist/stores/ome-zarr.js";
import { openZarrArray } from "../../dist/stores/zarr-array.js";
import { nativeZarrArray } from "../../dist/stores/zarr-reader.js";

const task = JSON.parse(readFileSync(process.argv[2], "utf8"));
const [planes, height, width] = task.shape;
const writes = 4;
const levels = { none: 0, "blosc-lz4": 5, "blosc-zstd": 3, zstd: 1 };
const source = await openZarrArray(join(task.source, "none-shards"));
const array = nativeZarrArray(source);
const addon = native();
const results = {};

function encodingOf({ codec, layout }) {
  const sharded = layout === "shards";
  return {
    version: "0.5",
    compression: codec,
    level: levels[codec],
    chunk: task.chunk[1],
    sharded,
    separator: sharded ? "." : "/",
  };
}

/** Gives the space back and keeps the files: ext4 creates slowly for a minute where files were deleted (README.md). */
function empty(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true }))
    if (entry.isFile()) truncateSync(join(entry.parentPath, entry.name));
}

/** The metadata of one array in `folder`/0. */
function describe(folder, encoding) {
  const image = {
    path: "",
    name: "image",
    axes: ["z", "y", "x"],
    shape: task.shape,
    dtype: "uint16",
    levels: 1,
  };
  new OmeZarrStore(folder, encoding).arrays(image);
}

for (const kind of task.kinds) {
  const encoding = encodingOf(kind);
  const { compression, ...rest } = encoding;
  const nativeEncoding = { ...rest, codec: compression, format: 3 };
  const pool = addon.TilePool.create(height * width * 2, 2 * task.cores);
  const runner = new addon.Runner(pool, {
    threads: task.cores,
    image: nativeEncoding,
    labels: nativeEncoding,
    thumbnailPx: 160,
  });
  const write = (output) => ({ op: "writeLabels", stage: "write", in: 0, output });
  runner.addProgram({
    registers: 1,
    code: [
      { op: "read", stage: "read", sources: [0], out: 0 },
      ...Array.from({ length: writes }, (_, i) => write(i)),
    ],
  });
  const once = (folder) => {
    const dirs = Array.from({ length: writes }, (_, i) => join(folder, String(i)));
    for (const dir of dirs) describe(dir, encoding);
    const jobs = Array.from({ length: planes }, (_, z) => ({
      program: 0,
      index: z,
      thumbnail: false,
      sources: [{ path: source.path, page: z, sample: 0, height, width, dtype: "uint16", array, index: [z] }],
      outputs: dirs.map((dir) => ({ dir, lead: String(z), height, width, dtype: "uint16", levels: 1 })),
      rowPrefixes: [],
      planePrefixes: [],
      files: [],
    }));
    return new Promise((done, fail) => {
      const began = performance.now();
      runner.start(
        jobs,
        (list, finished) => {
          const error = list.find((r) => r.error)?.error;
          if (error) fail(new Error(error.message));
          if (finished) done((performance.now() - began) / 1000 / writes);
        },
        () => {},
      );
    });
  };
  const times = [];
  const until = performance.now() + task.seconds * 1000;
  for (let i = 0; i < 3 || performance.now() < until; i++) {
    const folder = mkdtempSync(join(task.folder, "tilecast-"));
    const seconds = await once(folder);
    // The first is not counted, and one of its arrays is kept to be checked.
    if (i === 0) renameSync(join(folder, "0", "0"), join(task.folder, `kept-${kind.array}`));
    else times.push(seconds);
    empty(folder);
  }
  runner.close();
  pool.close();
  results[kind.array] = { s: median(times), writes: times.length * writes };
}
process.stdout.write(`${JSON.stringify(results)}\n`);
