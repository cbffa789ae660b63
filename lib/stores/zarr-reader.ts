// SPDX-License-Identifier: MIT
// Reads planes of Zarr arrays into pool slots, natively.

import { fromNative } from "../errors.js";
import type { Tile } from "../image/tile.js";
import type { TilePool } from "../image/tile-pool.js";
import { type NativeZarrArray, native } from "../native.js";
import { checkRegion, type ImageRegion } from "./store.js";
import type { ZarrArray } from "./zarr-array.js";
import { wholePlane } from "./zarr-chunks.js";

const handles = new WeakMap<ZarrArray, NativeZarrArray>();

/** The native side of an array, made once. Throws ERR_ZARR_DAMAGED, ERR_ZARR_UNSUPPORTED. */
export function nativeZarrArray(array: ZarrArray): NativeZarrArray {
  let handle = handles.get(array);
  if (handle === undefined) {
    try {
      handle = new (native().ZarrArray)(array);
    } catch (error) {
      throw fromNative(error);
    }
    handles.set(array, handle);
  }
  return handle;
}

/** A part of a plane, px. */
export type ZarrRegion = ImageRegion;

export interface ReadZarrPlaneOptions {
  /** Default: the whole plane. */
  readonly region?: ImageRegion;
  /** Ends the wait for a free slot. */
  readonly signal?: AbortSignal;
  /** Told the bytes read from files. */
  readonly count?: (bytes: number | undefined) => void;
}

/**
 * Reads the plane at `index` (one number a leading axis, from 0) of `array` into a tile of `pool`, shape `[height, width]`, the array's dtype,
 * native byte order. Chunks that are not there are the fill value. The tile is the caller's to release.
 *
 * Rejects with ERR_ZARR_DAMAGED, ERR_ZARR_UNSUPPORTED and ERR_IO (with the chunk's file), ERR_OP_SHAPE (a region beyond the plane),
 * ERR_INVALID_ARGUMENT, ERR_SLOT_TOO_SMALL, ERR_POOL_CLOSED, ERR_CANCELLED.
 */
export async function readZarrPlane(
  pool: TilePool,
  array: ZarrArray,
  index: readonly number[],
  options: ReadZarrPlaneOptions = {},
): Promise<Tile> {
  const handle = nativeZarrArray(array);
  const region = options.region === undefined ? wholePlane(array) : checkRegion(options.region);
  const tile = await pool.loan(
    [region.height, region.width],
    array.dtype,
    options.signal ? { signal: options.signal } : {},
  );
  try {
    const { bytesRead } = await handle.readPlane(
      pool.native,
      tile.slot,
      tile.generation,
      index,
      region.y,
      region.x,
      region.height,
      region.width,
    );
    options.count?.(bytesRead);
    return tile;
  } catch (error) {
    tile.release();
    throw fromNative(error);
  }
}
