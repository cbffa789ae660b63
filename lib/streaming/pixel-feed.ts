// SPDX-License-Identifier: MIT
// Shared memory for pixels that come as typed arrays: a few slots of a pool of its own, for senders that have none.

import { TilecastError } from "../errors.js";
import { type DType, dtypeOf, type TypedArray } from "../image/dtype.js";
import { shapeBytes } from "../image/shape.js";
import type { Tile } from "../image/tile.js";
import { TilePool } from "../image/tile-pool.js";
import type { LoanedPixels } from "./payload.js";

/** Pixels of one plane: a tile, which is shared as it is, or an array, which is copied once. */
export type PlanePixels = Tile | { readonly data: TypedArray; readonly shape: readonly [number, number] };

export interface PlacedPixels {
  readonly pixels: LoanedPixels;
  readonly shape: readonly [number, number];
  readonly dtype: DType;
  /** Bytes that were copied into the slot. */
  readonly copied: number;
}

const isTile = (given: PlanePixels): given is Tile => "nativePool" in given;

export class PixelFeed {
  #pool: TilePool | undefined;
  /** Pools whose slots were too small: they end with the last lease. */
  readonly #old: TilePool[] = [];

  constructor(
    /** Each has the size of the largest image so far. */
    readonly slots: number,
  ) {}

  /**
   * A lease on the pixels that is the caller's to give back. An array waits for a free slot; a tile stays with its owner too.
   * Throws ERR_INVALID_ARGUMENT, ERR_POOL_MEMORY, ERR_CANCELLED.
   */
  async place(given: PlanePixels, signal?: AbortSignal): Promise<PlacedPixels> {
    if (isTile(given)) {
      const { slot, generation, shape, dtype, nativePool: pool } = given;
      if (shape.length !== 2)
        throw new TilecastError(
          "ERR_INVALID_ARGUMENT",
          `tile must be of shape [y, x], got [${shape.join(", ")}]`,
          {
            argument: "tile",
          },
        );
      pool.addLease(slot, generation);
      return { pixels: { pool, slot, generation }, shape, dtype, copied: 0 };
    }
    const { data, shape } = given;
    const dtype = dtypeOf(data);
    if (dtype === undefined)
      throw new TilecastError("ERR_INVALID_ARGUMENT", "data must be a typed array of pixels", {
        argument: "data",
      });
    if (shape.length !== 2 || shape[0] * shape[1] !== data.length)
      throw new TilecastError(
        "ERR_INVALID_ARGUMENT",
        `shape must be [y, x] with as many pixels as data, ${data.length}, got [${shape.join(", ")}]`,
        { argument: "shape" },
      );
    const pool = this.#poolFor(shapeBytes(shape, dtype));
    const tile = await pool.loan(shape, dtype, signal ? { signal } : {});
    tile.view().set(data);
    const { slot, generation } = tile;
    // The lease goes on with the payload; the tile is only its description.
    pool.native.addLease(slot, generation);
    tile.release();
    return { pixels: { pool: pool.native, slot, generation }, shape, dtype, copied: data.byteLength };
  }

  #poolFor(bytes: number): TilePool {
    if (this.#pool !== undefined && this.#pool.slotBytes >= bytes) return this.#pool;
    if (this.#pool !== undefined) this.#old.push(this.#pool);
    this.#pool = TilePool.create({ slotBytes: bytes, slots: this.slots });
    return this.#pool;
  }

  close(): void {
    for (const pool of [...this.#old.splice(0), this.#pool]) pool?.close();
    this.#pool = undefined;
  }
}
