// SPDX-License-Identifier: MIT
// What the tests of the streams send: planes of a small pool, each with pixels that say which one it is, and viewers that look at them.

import { closeSync, openSync, readFileSync, readSync, rmSync } from "node:fs";

import type { TilePool } from "../../lib/image/tile-pool.js";
import type { PlanePayload, Producer, StoredPlane } from "../../lib/streaming/payload.js";
import { type ItemResult, ViewerServer } from "../../lib/streaming/receiver.js";
import {
  handsOver,
  planeOf,
  type ReceivedBatch,
  type ReceivedItem,
} from "../../lib/streaming/wire-reader.js";

export const blur: Producer = { stepName: "Blur", position: 0, kind: "main", output: "main" };
export const size = 64;
/** Bytes of one plane of the tests. */
export const planeBytes = 2 * size * size;

/** A plane whose pixels count up from `z`, and whose lease is the receiver's. Undefined when the pool is empty. */
export function plane(pool: TilePool, z: number, more: Partial<PlanePayload> = {}): PlanePayload | undefined {
  const loan = pool.native.tryLoan();
  if (loan === undefined) return undefined;
  const pixels = new Uint16Array(
    pool.native.buffers[0] as ArrayBuffer,
    loan.slot * pool.slotBytes,
    size * size,
  );
  for (let i = 0; i < pixels.length; i++) pixels[i] = z + i;
  return {
    kind: "image",
    shape: [size, size],
    dtype: "uint16",
    components: { site: 1, channel: 1, z_index: z, timepoint: 1, well: "A01" },
    producer: blur,
    pixels: { pool: pool.native, slot: loan.slot, generation: loan.generation },
    ...more,
  };
}

export const expected = (z: number): Uint16Array<ArrayBuffer> =>
  Uint16Array.from({ length: size * size }, (_, i) => z + i);
export const stored = (z: number): StoredPlane => ({ path: "/plate/A/1/0", array: "0", index: [0, z] });
export const zOf = (item: ReceivedItem): number => Number(item.metadata.z_index);

/** The pixels of an item, copied out of shared memory. */
export function pixelsOf(item: ReceivedItem): Uint16Array<ArrayBuffer> {
  const bytes = readFileSync(`/dev/shm/${item.shm_name}`).subarray(0, planeOf(item).bytes);
  return new Uint16Array(new Uint8Array(bytes).buffer);
}

/** A viewer that keeps the objects: it removes their names and reads them later through what it has open. */
export class KeepingViewer extends ViewerServer {
  readonly #files = new Map<number, number>();
  constructor(options: ConstructorParameters<typeof ViewerServer>[0]) {
    super({ name: "KeepingViewer", ...options });
  }

  protected override async take(batch: ReceivedBatch): Promise<readonly ItemResult[]> {
    return batch.images.map((item) => {
      if (item.shm_name === undefined || !handsOver(item, batch)) return {};
      const path = `/dev/shm/${item.shm_name}`;
      this.#files.set(zOf(item), openSync(path, "r"));
      rmSync(path);
      this.acknowledge(item);
      return { kept: true };
    });
  }

  /** What the object holds now. */
  pixels(z: number): Uint16Array {
    const bytes = new Uint8Array(planeBytes);
    readSync(this.#files.get(z) as number, bytes, 0, planeBytes, 0);
    return new Uint16Array(bytes.buffer);
  }

  override async close(options = {}): Promise<void> {
    await super.close(options);
    for (const file of this.#files.values()) closeSync(file);
    this.#files.clear();
  }

  protected override report() {
    const planes = this.#files.size;
    return {
      keeps: true,
      stores: true,
      kinds: ["image"],
      memory_budget: 1e9,
      memory_used: planes * planeBytes,
      planes,
      resident: planes,
      shown: planes,
      dropped: 0,
    };
  }
}
