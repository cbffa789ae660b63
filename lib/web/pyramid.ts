// SPDX-License-Identifier: MIT
// Levels and chunks of one plane that is shown and not written: block means, chunks padded with zeros as Zarr has them.

import { type DType, dtypeSize, type TypedArray, typedView } from "../image/dtype.js";

export interface Raster {
  readonly height: number;
  readonly width: number;
  readonly pixels: TypedArray;
}

/** A new array of this dtype. */
export function emptyPixels(dtype: DType, count: number): TypedArray {
  return typedView(new ArrayBuffer(count * dtypeSize(dtype)), dtype, 0, count);
}

/** Half the size, rounded up: means of 2 x 2 pixels, at odd edges of those that there are; integers round half up. */
export function halve({ height, width, pixels }: Raster, dtype: DType): Raster {
  const h = Math.ceil(height / 2);
  const w = Math.ceil(width / 2);
  const out = emptyPixels(dtype, h * w) as Float64Array;
  const source = pixels as Float64Array;
  const whole = !dtype.startsWith("float");
  for (let y = 0; y < h; y++) {
    const upper = 2 * y * width;
    const lower = 2 * y + 1 < height ? upper + width : upper;
    for (let x = 0; x < w; x++) {
      const left = 2 * x;
      const right = left + 1 < width ? left + 1 : left;
      const sum =
        (source[upper + left] as number) +
        (source[upper + right] as number) +
        (source[lower + left] as number) +
        (source[lower + right] as number);
      out[y * w + x] = whole ? Math.floor(sum / 4 + 0.5) : sum / 4;
    }
  }
  return { height: h, width: w, pixels: out as TypedArray };
}

/** The bytes of chunk (`row`, `column`), little-endian, C order, zeros beyond the plane; undefined where the grid has no such chunk. */
export function chunkBytes(
  { height, width, pixels }: Raster,
  dtype: DType,
  [chunkHeight, chunkWidth]: readonly [number, number],
  row: number,
  column: number,
): Uint8Array | undefined {
  const top = row * chunkHeight;
  const left = column * chunkWidth;
  if (top >= height || left >= width) return undefined;
  const size = dtypeSize(dtype);
  const bytes = new Uint8Array(chunkHeight * chunkWidth * size);
  const source = new Uint8Array(pixels.buffer as ArrayBuffer, pixels.byteOffset, pixels.byteLength);
  const rows = Math.min(chunkHeight, height - top);
  const run = Math.min(chunkWidth, width - left) * size;
  for (let y = 0; y < rows; y++) {
    const from = ((top + y) * width + left) * size;
    bytes.set(source.subarray(from, from + run), y * chunkWidth * size);
  }
  return bytes;
}
