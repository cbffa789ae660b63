// SPDX-License-Identifier: MIT
// Slots that a viewer reads by name: who owns each object at which moment, and that all of them are given back once.

import type { NativeTilePool } from "../native.js";
import type { LoanedPixels } from "./payload.js";
import { releasePixels } from "./send-queue.js";

export interface SlotName {
  readonly name: string;
  /** Bytes that had to be copied, since the system cannot link shared memory; 0 else. */
  readonly copied: number;
}

export class SlotExports {
  readonly #pools = new Map<string, NativeTilePool>();

  /**
   * Names a slot for the process `reader` and gives the caller's lease back: the export has one of its own. The lease is given back when
   * it fails, too.
   */
  give(pixels: LoanedPixels, reader: number): SlotName {
    const { pool, slot, generation } = pixels;
    try {
      const { name, copied, bytes } = pool.exportSlot(slot, generation, "", reader);
      this.#pools.set(name, pool);
      return { name, copied: copied ? bytes : 0 };
    } finally {
      releasePixels(pixels);
    }
  }

  /** The viewer has read it: the name goes, the slot is used again. */
  takeBack(name: string): void {
    this.#end(name, (pool) => pool.unexport(name));
  }

  /**
   * The viewer has the object, or may have: nobody writes into it again. The slot gets another object, and the name goes where the
   * viewer has not removed it.
   */
  handOver(name: string): void {
    this.#end(name, (pool) => pool.handOver(name));
  }

  #end(name: string, how: (pool: NativeTilePool) => void): void {
    const pool = this.#pools.get(name);
    this.#pools.delete(name);
    try {
      if (pool !== undefined) how(pool);
    } catch {
      // A pool that was closed meanwhile has ended its exports; what else the system refuses shows in the pool's own report.
    }
  }

  /** The reader is dead, or never to be heard of again: nothing is left behind. */
  takeAllBack(): void {
    for (const name of [...this.#pools.keys()]) this.takeBack(name);
  }
}
