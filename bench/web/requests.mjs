// SPDX-License-Identifier: MIT
// The files that are served and the requests for them: chunks, parts of shards, metadata, and what the client has already.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [chunkBytes, smallBytes, shardBytes, metadataBytes] = [512 * 1024, 64 * 1024, 8 * 2 ** 20, 1500];
/** Of each kind: more than a browser's cache of open files, few enough to stay in the page cache. */
const files = 64;

/** Bytes that differ everywhere and from file to file, so that a part of the wrong file or place is noticed. */
function bytes(size, file) {
  const out = Buffer.allocUnsafe(size);
  for (let i = 0; i + 4 <= size; i += 4) out.writeUInt32LE(Math.imul(i + 1, 2654435761 + file) >>> 0, i);
  return out;
}

/** Writes them into `folder`. */
export function writeFiles(folder) {
  for (const [name, size, count] of [
    ["chunk", chunkBytes, files],
    ["small", smallBytes, files],
    ["shard", shardBytes, 8],
  ]) {
    mkdirSync(join(folder, name), { recursive: true });
    for (let i = 0; i < count; i++) writeFileSync(join(folder, name, `${i}`), bytes(size, i));
  }
  for (let i = 0; i < files; i++) {
    mkdirSync(join(folder, "image", `${i}`), { recursive: true });
    writeFileSync(
      join(folder, "image", `${i}`, "zarr.json"),
      JSON.stringify({ pad: "x".repeat(metadataBytes) }),
    );
  }
}

const numbers = (count) => Array.from({ length: count }, (_, i) => i);

/** `{ path, range, status, bytes }` by case; `known`: with the entity tag of an answer before. */
export const cases = {
  "whole chunks of 512 KiB": numbers(files).map((i) => ({ path: `chunk/${i}`, bytes: chunkBytes })),
  "whole chunks of 64 KiB": numbers(files).map((i) => ({ path: `small/${i}`, bytes: smallBytes })),
  "ranges of 64 KiB in shards": numbers(files).map((i) => ({
    path: `shard/${i % 8}`,
    range: [(i * 104729 * 16) % (shardBytes - smallBytes), smallBytes],
    bytes: smallBytes,
  })),
  "metadata of 1.5 KiB": numbers(files).map((i) => ({
    path: `image/${i}/zarr.json`,
    bytes: metadataBytes + 10,
  })),
  "not modified": numbers(files).map((i) => ({ path: `chunk/${i}`, known: true, bytes: 0 })),
};
