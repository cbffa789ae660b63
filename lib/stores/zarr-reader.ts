// SPDX-License-Identifier: MIT
// Reads planes of Zarr arrays into pool slots, natively.

import { fromNative, TilecastError } from "../errors.js";
import type { Tile } from "../image/tile.js";
import type { TilePool } from "../image/tile-pool.js";
import { type NativeZarrArray, native } from "../native.js";
import type { ZarrArray } from "./zarr-array.js";

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
export interface ZarrRegion {
  readonly y: number;
  readonly x: number;
  readonly height: number;
  readonly width: number;
}

export interface ReadZarrPlaneOptions {
  /** Default: the whole plane. */
  readonly region?: ZarrRegion;
  /** Ends the wait for a free slot. */
  readonly signal?: AbortSignal;
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
  const height = array.shape.at(-2) as number;
  const width = array.shape.at(-1) as number;
  const region = options.region ?? { y: 0, x: 0, height, width };
  for (const key of ["y", "x", "height", "width"] as const) {
    const least = key === "y" || key === "x" ? 0 : 1;
    if (!Number.isSafeInteger(region[key]) || region[key] < least) {
      throw new TilecastError(
        "ERR_INVALID_ARGUMENT",
        `region.${key}: expected an integer of at least ${least} but received ${region[key]}`,
        { argument: "region" },
      );
    }
  }
  const tile = await pool.loan(
    [region.height, region.width],
    array.dtype,
    options.signal ? { signal: options.signal } : {},
  );
  try {
    await handle.readPlane(
      pool.native,
      tile.slot,
      tile.generation,
      index,
      region.y,
      region.x,
      region.height,
      region.width,
    );
    return tile;
  } catch (error) {
    tile.release();
    throw fromNative(error);
  }
}
