// SPDX-License-Identifier: MIT
// Planes for the tests of thresholds, labels and measurements: images like those of nuclei, noise,
// and shapes that are hard on union-find.

import { seededRandom } from "../../dist/bench/shuffle.js";
import { type DType, dtypeSize, typedView } from "../../dist/image/dtype.js";

/** Uniform in 0..1, the same sequence for the same seed. */
export const randomOf = (seed: number): (() => number) => seededRandom(seed + 0x9e3779b9);

/** Numbers as pixels of a dtype (held within it), as bytes. */
export function bytesOf(dtype: DType, values: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(values.length * dtypeSize(dtype));
  const array = typedView(bytes.buffer, dtype, 0, values.length);
  const bits = dtypeSize(dtype) * 8;
  const low = dtype.startsWith("uint") ? 0 : -(2 ** (bits - 1));
  const high = dtype.startsWith("uint") ? 2 ** bits - 1 : 2 ** (bits - 1) - 1;
  for (let i = 0; i < values.length; i++) {
    const v = values[i] as number;
    array[i] = dtype.startsWith("float") ? v : Math.min(Math.max(Math.round(v), low), high);
  }
  return bytes;
}

export const integers = ["uint8", "int8", "uint16", "int16"] as const;

/** Round blobs on an uneven background with noise, as numbers about 0..`top`. */
export function nuclei(height: number, width: number, seed: number, top = 4000): Float64Array {
  const random = randomOf(seed);
  const out = new Float64Array(height * width);
  const noise = top * (0.005 + 0.03 * random());
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const sum = random() + random() + random() - 1.5;
      out[y * width + x] = top * 0.08 + (top * 0.05 * x) / width + noise * sum;
    }
  }
  const count = Math.max(1, Math.round((height * width) / 1500));
  for (let n = 0; n < count; n++) {
    const cy = random() * height;
    const cx = random() * width;
    const a = 3 + 8 * random();
    const b = 3 + 8 * random();
    const bright = top * (0.2 + 0.6 * random());
    for (let y = Math.max(0, Math.floor(cy - a)); y < Math.min(height, cy + a); y++) {
      for (let x = Math.max(0, Math.floor(cx - b)); x < Math.min(width, cx + b); x++) {
        const d = ((y - cy) / a) ** 2 + ((x - cx) / b) ** 2;
        if (d < 1) (out[y * width + x] as number) += bright * Math.sqrt(1 - d);
      }
    }
  }
  return out;
}

/** Masks of 0 and 1 by name. */
export const masks: Record<string, (height: number, width: number) => Uint8Array> = {
  empty: (h, w) => new Uint8Array(h * w),
  full: (h, w) => new Uint8Array(h * w).fill(1),
  "half noise": (h, w) => noise(h, w, 0.5, 1),
  "sparse noise": (h, w) => noise(h, w, 0.12, 2),
  "dense noise": (h, w) => noise(h, w, 0.7, 3),
  checkerboard: (h, w) => drawn(h, w, (y, x) => (y + x) % 2 === 0),
  "isolated pixels": (h, w) => drawn(h, w, (y, x) => y % 2 === 0 && x % 2 === 0),
  "comb up": (h, w) => drawn(h, w, (y, x) => x % 2 === 0 || y === 0),
  "comb down": (h, w) => drawn(h, w, (y, x) => x % 2 === 0 || y === h - 1),
  "comb aside": (h, w) => drawn(h, w, (y, x) => y % 2 === 0 || x === w - 1),
  serpentine: (h, w) => drawn(h, w, (y, x) => y % 2 === 0 || x === (y % 4 === 1 ? w - 1 : 0)),
  "diagonal lines": (h, w) => drawn(h, w, (y, x) => (y + x) % 3 === 0),
  "other diagonals": (h, w) => drawn(h, w, (y, x) => (y - x + 3 * h) % 3 === 0),
  rings: (h, w) => drawn(h, w, (y, x) => Math.round(Math.hypot(y - h / 2, x - w / 2)) % 3 === 0),
  spiral,
};

function drawn(h: number, w: number, at: (y: number, x: number) => boolean): Uint8Array {
  const out = new Uint8Array(h * w);
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) out[y * w + x] = at(y, x) ? 1 : 0;
  return out;
}

function noise(h: number, w: number, density: number, seed: number): Uint8Array {
  const random = randomOf(seed + h * 65537 + w);
  return Uint8Array.from({ length: h * w }, () => (random() < density ? 1 : 0));
}

/** One line of 1 px that winds inwards, 1 px apart from itself. */
function spiral(h: number, w: number): Uint8Array {
  const out = new Uint8Array(h * w);
  let [top, left, bottom, right] = [0, 0, h - 1, w - 1];
  let entry = 0;
  while (top <= bottom && left <= right) {
    for (let x = entry; x <= right; x++) out[top * w + x] = 1;
    for (let y = top; y <= bottom; y++) out[y * w + right] = 1;
    if (bottom > top) for (let x = left; x <= right; x++) out[bottom * w + x] = 1;
    if (right > left) for (let y = top + 2; y <= bottom; y++) out[y * w + left] = 1;
    entry = left;
    top += 2;
    left += 2;
    bottom -= 2;
    right -= 2;
    entry = Math.max(0, left - 1);
  }
  return out;
}
