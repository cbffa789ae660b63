// SPDX-License-Identifier: MIT
// Reads single pixels of planes through the native decoder, so that a test sees which plane a PlaneRef really leads to.

import { typedView } from "../../lib/image/dtype.js";
import { native } from "../../lib/native.js";

const slotBytes = 1 << 20;

/** The pixels at `positions` ([x, y]) of each plane. */
export async function pixelsOf(
  planes: readonly { readonly path: string; readonly page: number; readonly sample: number }[],
  positions: readonly (readonly [number, number])[] = [[0, 0]],
): Promise<number[][]> {
  const pool = native().TilePool.create(slotBytes, 1);
  try {
    const loan = pool.tryLoan();
    if (loan === undefined) throw new Error("the pool has no slot");
    const values: number[][] = [];
    for (const { path, page, sample } of planes) {
      const plane = await native().readPlane(pool, loan.slot, loan.generation, path, page, sample);
      const pixels = typedView(
        pool.buffers[0] as ArrayBuffer,
        plane.dtype,
        loan.slot * pool.slotBytes,
        plane.width * plane.height,
      );
      values.push(positions.map(([x, y]) => Number(pixels[y * plane.width + x])));
    }
    pool.release(loan.slot, loan.generation);
    return values;
  } finally {
    pool.close();
  }
}

/** The first pixel of each plane. */
export async function firstPixels(
  planes: readonly { readonly path: string; readonly page: number; readonly sample: number }[],
): Promise<number[]> {
  return (await pixelsOf(planes)).map(([value]) => value as number);
}
