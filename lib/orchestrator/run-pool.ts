// SPDX-License-Identifier: MIT
// The tile pool of one run: how many threads it has room for, and when it is made.

import { fromNative, TilecastError } from "../errors.js";
import { type NativeTilePool, native } from "../native.js";

/** Threads whose tiles fit into four fifths of the memory that this process may still have (cgroup limits count). */
export function threadsThatFit(threads: number, bytesPerThread: number, room: number): number {
  const fit = Math.min(threads, Math.floor(room / bytesPerThread));
  if (fit >= 1) return fit;
  throw new TilecastError(
    "ERR_POOL_MEMORY",
    `one worker thread of this pipeline holds ${(bytesPerThread / 1e9).toFixed(1)} GB of tiles at once, and ${(room / 1e9).toFixed(1)} GB may be used here; ` +
      "is one image of the plate far larger than the others (tilecast info tells)?",
    { argument: "plate" },
  );
}

/** Made at the first call of `make`, closed with its scope. */
export class RunPool implements Disposable {
  #made: { readonly pool: NativeTilePool; readonly extra: number } | undefined;

  /** `slots` for the threads, and `extra` for sinks if there is the shared memory: a run does not fail for its viewers. */
  constructor(
    readonly slotBytes: number,
    readonly slots: number,
    readonly extra: number,
  ) {}

  /** The pool, and how many of its slots are for sinks. Throws ERR_POOL_MEMORY. */
  make(): { readonly pool: NativeTilePool; readonly extra: number } {
    this.#made ??= this.#create(this.extra);
    return this.#made;
  }

  #create(extra: number): { readonly pool: NativeTilePool; readonly extra: number } {
    try {
      return { pool: native().TilePool.create(this.slotBytes, this.slots + extra), extra };
    } catch (error) {
      if (extra === 0) throw fromNative(error);
      return this.#create(0);
    }
  }

  [Symbol.dispose](): void {
    this.#made?.pool.close();
  }
}
