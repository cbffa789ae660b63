// SPDX-License-Identifier: MIT
// Parts and smaller resolutions of a TIFF's planes: only the strips and tiles that are touched are read.

import { fromNative } from "../errors.js";
import { checkInteger, invalidArgument } from "../image/shape.js";
import type { Tile, TileComponents } from "../image/tile.js";
import type { TilePool } from "../image/tile-pool.js";
import { native } from "../native.js";
import { checkRegion, type ImageLevel, type ImageRegion } from "./store.js";
import { readTiffTile } from "./tiff-tile.js";

/** One resolution of a page. */
export type TiffLevel = ImageLevel;
export type TiffRegion = ImageRegion;

export interface ReadTiffRegionOptions {
  /** From 0. Default 0. */
  readonly page?: number;
  /** Of the pixel, from 0. Default 0. */
  readonly sample?: number;
  /** 0 is the full resolution; see {@link tiffLevels}. Default 0. */
  readonly level?: number;
  /** px of that level. Default: all of it. */
  readonly region?: TiffRegion;
  readonly components?: TileComponents;
  /** Ends the wait for a free slot. */
  readonly signal?: AbortSignal;
}

const maxInt = 2 ** 31 - 1;

/**
 * The resolutions of a page, the full one first: itself and the reduced images in its SubIFDs, as OME-TIFF pyramids have them.
 *
 * Rejects with ERR_IO, ERR_TIFF_DAMAGED, ERR_TIFF_UNSUPPORTED, ERR_INVALID_ARGUMENT (no such page).
 */
export async function tiffLevels(path: string, page = 0): Promise<readonly TiffLevel[]> {
  if (typeof path !== "string") throw invalidArgument("path", "the path of a file", path);
  checkInteger(page, "page", 0, maxInt);
  try {
    return await native().imageLevels(path, page);
  } catch (error) {
    throw fromNative(error);
  }
}

/**
 * Reads a part of one sample of a page into a tile of `pool`, shape `[height, width]`, the file's dtype. The tile is the caller's to release.
 *
 * Rejects with ERR_IO, ERR_TIFF_DAMAGED, ERR_TIFF_UNSUPPORTED, ERR_OP_SHAPE (a region beyond the image), ERR_INVALID_ARGUMENT (no such page, level or
 * sample), ERR_SLOT_TOO_SMALL, ERR_POOL_CLOSED, ERR_CANCELLED.
 */
export async function readTiffRegion(
  pool: TilePool,
  path: string,
  options: ReadTiffRegionOptions = {},
): Promise<Tile> {
  if (typeof path !== "string") throw invalidArgument("path", "the path of a file", path);
  const page = checkInteger(options.page ?? 0, "page", 0, maxInt);
  const sample = checkInteger(options.sample ?? 0, "sample", 0, maxInt);
  const level = checkInteger(options.level ?? 0, "level", 0, maxInt);
  const { region, signal, components } = options;
  if (region !== undefined) checkRegion(region);
  return readTiffTile(path, pool, {
    page,
    sample,
    level,
    ...(region ? { region } : {}),
    ...(signal ? { signal } : {}),
    ...(components ? { components } : {}),
  });
}
