// SPDX-License-Identifier: MIT
// Names of the files that hold a plane of a Zarr array.
//
// Zarr core v3, "Chunk key encoding" (default and v2); Zarr v2, "Storing chunks".

import { TilecastError } from "../errors.js";
import type { ZarrArray } from "./zarr-array.js";

/** Throws ERR_INVALID_ARGUMENT unless `index` has a place along each leading axis. */
export function checkIndex(array: ZarrArray, index: readonly number[]): void {
  const leading = array.shape.slice(0, -2);
  const inside =
    index.length === leading.length &&
    index.every((n, axis) => Number.isSafeInteger(n) && n >= 0 && n < (leading[axis] as number));
  if (inside) return;
  throw new TilecastError(
    "ERR_INVALID_ARGUMENT",
    `${array.path}: there is no plane at [${index.join(", ")}]; the leading axes have [${leading.join(", ")}]`,
    { argument: "index", path: array.path },
  );
}

/** A chunk's (or shard's) file, relative to the array's folder. */
export function chunkName(array: ZarrArray, chunk: readonly number[]): string {
  const parts = array.keyPrefix === "" ? chunk : [array.keyPrefix, ...chunk];
  return parts.join(array.separator);
}

/** Files of the chunks or shards that the plane at `index` reaches into, relative to the array's folder, row by row. */
export function planeFiles(array: ZarrArray, index: readonly number[]): string[] {
  checkIndex(array, index);
  const lead = index.map((n, axis) => Math.floor(n / (array.chunk[axis] as number)));
  const [down, across] = [-2, -1].map((axis) =>
    Math.ceil((array.shape.at(axis) as number) / (array.chunk.at(axis) as number)),
  ) as [number, number];
  const names: string[] = [];
  for (let y = 0; y < down; y++)
    for (let x = 0; x < across; x++) names.push(chunkName(array, [...lead, y, x]));
  return names;
}
