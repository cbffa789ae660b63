// SPDX-License-Identifier: MIT
// A small pool that grows with the images read through it, for callers that want pixels in memory of their own.

import { isTilecastError } from "../errors.js";
import type { Tile } from "../image/tile.js";
import { TilePool } from "../image/tile-pool.js";
import type { StoredImage } from "./store.js";

/** A first guess; memory of slots costs a second a gigabyte when the pool is made. */
const firstBytes = 2 * 1024 * 1024;
/** Shared memory is often bounded far below the machine's: beyond this the caller's own pool is the way. */
const maxBytes = 2 * 1024 * 1024 * 1024;
/** Reads at a time: enough to hide the latency of a disk or a server. */
const slots = 4;

interface Shared {
  readonly pool: TilePool;
  readers: number;
}

export class ScratchPool {
  #current: Shared | undefined;
  #slotBytes = firstBytes;
  readonly #pending = new Set<Promise<unknown>>();

  /** Has `read` fill a tile and copies it out. */
  read(read: (pool: TilePool) => Promise<Tile>): Promise<StoredImage> {
    const result = this.#read(read);
    this.#pending.add(result);
    const done = () => void this.#pending.delete(result);
    result.then(done, done);
    return result;
  }

  async #read(read: (pool: TilePool) => Promise<Tile>): Promise<StoredImage> {
    for (;;) {
      this.#current ??= { pool: TilePool.create({ slotBytes: this.#slotBytes, slots }), readers: 0 };
      const shared = this.#current;
      shared.readers++;
      try {
        using tile = await read(shared.pool);
        const [y, x] = tile.shape as readonly [number, number];
        return { shape: [y, x], dtype: tile.dtype, pixels: tile.view().slice() };
      } catch (error) {
        const larger = shared.pool.slotBytes * 4;
        if (!isTilecastError(error, "ERR_SLOT_TOO_SMALL") || larger > maxBytes) throw error;
        if (this.#current === shared) {
          this.#current = undefined;
          this.#slotBytes = larger;
        }
      } finally {
        // The last to leave a pool that is too small closes it.
        if (--shared.readers === 0 && this.#current !== shared) shared.pool.close();
      }
    }
  }

  /** After the reads that are under way. */
  async close(): Promise<void> {
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending);
    this.#current?.pool.close();
    this.#current = undefined;
  }
}
