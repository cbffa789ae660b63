// SPDX-License-Identifier: MIT
// Tile: pixels that sit in a slot of a pool, on loan until they are released.

import type { NativeTilePool } from "../native.js";
import type { DType, TypedArray } from "./dtype.js";
import type { Shape } from "./shape.js";

/** Component values of a tile ("well", "site", ...), as far as they are known. */
export type TileComponents = Readonly<Record<string, string | number | null>>;

/** What a tile needs of its pool. */
export interface TileHome {
  readonly native: NativeTilePool;
  view(tile: Tile, pixels: number): TypedArray;
  release(tile: Tile): void;
}

const noComponents: TileComponents = Object.freeze({});

/**
 * One loan of one pool slot. Made by `TilePool.tryLoan` and `TilePool.loan`; give it back with `release()` or `using`.
 * A tile that is garbage-collected while on loan is given back too, but late, with a warning, and counted as leaked.
 */
export class Tile {
  /** Index of the slot. */
  readonly slot: number;
  /** Which loan of that slot this is. */
  readonly generation: number;
  readonly shape: Shape;
  readonly dtype: DType;
  readonly components: TileComponents;
  readonly #home: TileHome;
  readonly #pixels: number;
  #released = false;

  /** @internal Tiles come from a TilePool. */
  constructor(
    home: TileHome,
    slot: number,
    generation: number,
    shape: Shape,
    dtype: DType,
    pixels: number,
    components: TileComponents = noComponents,
  ) {
    this.#home = home;
    this.slot = slot;
    this.generation = generation;
    this.shape = shape;
    this.dtype = dtype;
    this.components = components;
    this.#pixels = pixels;
  }

  /**
   * The pixels, without a copy: a typed array of `dtype` over the slot, in C order. Do not keep it past the release: the slot then holds
   * another tile. The pixels of a new loan are whatever the slot held before.
   *
   * Throws ERR_SLOT_RELEASED after the release, ERR_POOL_CLOSED after the pool's `close()`.
   */
  view(): TypedArray {
    return this.#home.view(this, this.#pixels);
  }

  /** Gives the slot back. Throws ERR_SLOT_RELEASED the second time; does nothing once the pool is closed. */
  release(): void {
    this.#home.release(this);
    this.#released = true;
  }

  /** @internal The pool, for calls into the addon that take a slot. */
  get nativePool(): NativeTilePool {
    return this.#home.native;
  }

  get released(): boolean {
    return this.#released;
  }

  /** As {@link release}, but does nothing when it is released already. */
  [Symbol.dispose](): void {
    if (!this.#released) this.release();
  }
}
