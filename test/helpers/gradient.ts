// SPDX-License-Identifier: MIT
// Planes for tests of writers: smooth with noise, the same each time, with what each dtype can hold at its ends.

import { type DType, dtypeSize, type TypedArray, typedView } from "../../lib/image/dtype.js";

export function gradient(dtype: DType, height: number, width: number, seed: number): TypedArray {
  const pixels = typedView(new ArrayBuffer(height * width * dtypeSize(dtype)), dtype, 0, height * width);
  let state = seed * 7919 + 1;
  const extremes = dtype.startsWith("float")
    ? [-0, Number.POSITIVE_INFINITY, 1e-40, -1.5]
    : dtype.startsWith("u")
      ? [0, 2 ** (8 * dtypeSize(dtype)) - 1]
      : [-(2 ** (8 * dtypeSize(dtype) - 1)), 2 ** (8 * dtypeSize(dtype) - 1) - 1];
  for (let i = 0; i < pixels.length; i++) {
    // Numerical Recipes' linear congruential generator.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const [y, x] = [Math.floor(i / width), i % width];
    const value = 60 + 30 * Math.sin((x + y + seed) / 17) + (state >>> 29);
    pixels[i] =
      i < extremes.length
        ? (extremes[i] as number)
        : dtype.startsWith("float")
          ? value / 3
          : Math.floor(value);
  }
  return pixels;
}
