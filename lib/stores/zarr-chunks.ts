// SPDX-License-Identifier: MIT
// Names of the files that hold a plane of a Zarr array.
//
// Zarr core v3, "Chunk key encoding" (default and v2); Zarr v2, "Storing chunks".

import { TilecastError } from "../errors.js";
import type { ImageRegion } from "./store.js";
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

/** A file of an array, and the part of a region that lies in it, px from its top left corner. */
export interface ChunkPlace {
  readonly name: string;
  readonly region: ImageRegion;
}

/** Files that a region of the plane at `index` reaches into, row by row. The region lies in the plane. */
export function touchedChunks(
  array: ZarrArray,
  index: readonly number[],
  { y, x, height, width }: ImageRegion,
): ChunkPlace[] {
  checkIndex(array, index);
  const lead = index.map((n, axis) => Math.floor(n / (array.chunk[axis] as number)));
  const [rows, columns] = array.chunk.slice(-2) as [number, number];
  const places: ChunkPlace[] = [];
  for (let cy = Math.floor(y / rows); cy * rows < y + height; cy++)
    for (let cx = Math.floor(x / columns); cx * columns < x + width; cx++) {
      const top = Math.max(y, cy * rows);
      const left = Math.max(x, cx * columns);
      places.push({
        name: chunkName(array, [...lead, cy, cx]),
        region: {
          y: top - cy * rows,
          x: left - cx * columns,
          height: Math.min(y + height, (cy + 1) * rows) - top,
          width: Math.min(x + width, (cx + 1) * columns) - left,
        },
      });
    }
  return places;
}

/** Files of the chunks or shards that the plane at `index` reaches into, relative to the array's folder, row by row. */
export function planeFiles(array: ZarrArray, index: readonly number[]): string[] {
  return touchedChunks(array, index, wholePlane(array)).map(({ name }) => name);
}

export function wholePlane(array: ZarrArray): ImageRegion {
  return { y: 0, x: 0, height: array.shape.at(-2) as number, width: array.shape.at(-1) as number };
}
