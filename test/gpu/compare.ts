// SPDX-License-Identifier: MIT
// Pixels to try ops on, and how far two results are apart.

import { type DType, dtypeSize, type TypedArray, typedView } from "../../lib/image/dtype.js";
import type { Bound } from "./op-bounds.js";

/** Numbers that repeat from run to run. */
export function randomWords(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state ^ (state >>> 15)) >>> 0;
  };
}

const extremes: Record<string, readonly number[]> = {
  uint8: [0, 255],
  int8: [0, -128, 127],
  uint16: [0, 65535],
  int16: [0, -32768, 32767],
  uint32: [0, 4294967295, 2147483648],
  int32: [0, -2147483648, 2147483647],
};

/** Pixels over the whole range of an integer dtype with its ends among them; of float32 those of images, negative ones too. */
export function somePixels(dtype: DType, count: number, seed: number, special: boolean): Uint8Array {
  const bytes = new Uint8Array(count * dtypeSize(dtype));
  const pixels = typedView(bytes.buffer, dtype, 0, count);
  const word = randomWords(seed);
  const ends = extremes[dtype];
  for (let i = 0; i < count; i++) {
    const w = word();
    if (ends === undefined) {
      pixels[i] = (w % 4096) / 7 + (w >>> 20) / 4096 - 40;
      if (special && w % 97 === 0) pixels[i] = [Number.NaN, Infinity, -Infinity, -0][(w >>> 8) % 4] as number;
    } else {
      pixels[i] = w % 41 === 0 ? (ends[(w >>> 8) % ends.length] as number) : w;
    }
  }
  return bytes;
}

const bits = new DataView(new ArrayBuffer(4));

/** float32 as an integer that counts its neighbours. */
function place(v: number): number {
  bits.setFloat32(0, v);
  const i = bits.getInt32(0);
  return i < 0 ? -(i & 0x7fffffff) : i;
}

function same(a: number, b: number): boolean {
  return a === b || (Number.isNaN(a) && Number.isNaN(b));
}

/** The worst pixel, as a share of what the bound allows, and where it is. */
export interface Difference {
  readonly worst: number;
  readonly text: string;
}

/** Compares pixels; `magnitude` is the greatest of the inputs. A worst above 1 is beyond the bound. */
export function difference(got: TypedArray, want: TypedArray, bound: Bound, magnitude: number): Difference {
  if (got.length < want.length) return { worst: Infinity, text: `${got.length} of ${want.length} pixels` };
  let greatest = magnitude;
  if (bound.kind === "scale") {
    for (const v of want) if (Number.isFinite(v)) greatest = Math.max(greatest, Math.abs(v));
  }
  let worst = 0;
  let at = 0;
  let differing = 0;
  for (let i = 0; i < want.length; i++) {
    const a = got[i] as number;
    const b = want[i] as number;
    if (same(a, b)) continue;
    differing++;
    let error = Infinity;
    if (Number.isFinite(a) && Number.isFinite(b)) {
      if (bound.kind === "ulp") error = Math.abs(place(a) - place(b)) / bound.ulp;
      if (bound.kind === "scale") error = Math.abs(a - b) / (bound.steps * 2 ** -24 * greatest);
      if (bound.kind === "ties") error = Math.abs(a - b);
    }
    if (error > worst) {
      worst = error;
      at = i;
    }
  }
  // Results of up to 2^16 are half-way but for 2^-8: of random pixels, so many.
  if (bound.kind === "ties" && differing > 2 + want.length / 2 ** 8) worst = Infinity;
  return {
    worst,
    text: `pixel ${at} is ${got[at]} and not ${want[at]}; ${differing} of ${want.length} differ`,
  };
}

/** The greatest finite magnitude. */
export function greatestOf(pixels: TypedArray): number {
  let greatest = 0;
  for (const v of pixels) if (Number.isFinite(v)) greatest = Math.max(greatest, Math.abs(v));
  return greatest;
}
