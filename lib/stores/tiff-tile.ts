// SPDX-License-Identifier: MIT
// Decodes a TIFF's plane into a pool slot when nothing of the file is known yet.

import { fromNative } from "../errors.js";
import type { Tile } from "../image/tile.js";
import type { TilePool } from "../image/tile-pool.js";
import { type NativeDecoded, type NativePart, native } from "../native.js";
import type { ReadImageOptions } from "./store.js";

/**
 * Lends a whole slot, has `fill` put a plane into it and returns a tile of the plane's shape: the header is read once, by the thread that
 * decodes, and pages may differ.
 */
export async function tileOf(
  pool: TilePool,
  options: ReadImageOptions,
  fill: (slot: Tile) => Promise<NativeDecoded>,
  count: (bytes: number | undefined) => void = () => {},
): Promise<Tile> {
  const { signal, components } = options;
  const slot = await pool.loan([1, pool.slotBytes], "uint8", signal ? { signal } : {});
  try {
    const { width, height, dtype, bytesRead } = await fill(slot);
    count(bytesRead);
    const { slot: index, generation } = slot;
    return pool.lease({
      slot: index,
      generation,
      shape: [height, width],
      dtype,
      ...(components ? { components } : {}),
    });
  } catch (error) {
    throw fromNative(error);
  } finally {
    slot[Symbol.dispose]();
  }
}

/** What of a plane is read, as the native readers take it. */
export const partOf = ({ level = 0, region }: ReadImageOptions): NativePart => ({
  level,
  ...(region ? { region } : {}),
});

/** A plane of the TIFF file at `path`, or a part of it. Rejects as Store.readTile does, with ERR_TIFF_DAMAGED and ERR_TIFF_UNSUPPORTED. */
export function readTiffTile(
  path: string,
  pool: TilePool,
  options: ReadImageOptions,
  count?: (bytes: number | undefined) => void,
): Promise<Tile> {
  const { page = 0, sample = 0 } = options;
  return tileOf(
    pool,
    options,
    ({ slot, generation }) =>
      native().readPlane(pool.native, slot, generation, path, page, sample, partOf(options)),
    count,
  );
}
