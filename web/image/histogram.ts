// SPDX-License-Identifier: MIT
// How often which values occur in a plane, and the range that shows them well.

import type { Pixels } from "./field.js";

export interface Histogram {
  readonly min: number;
  readonly max: number;
  readonly counts: readonly number[];
  /** What shows all but the darkest and brightest per mille. */
  readonly auto: readonly [number, number];
}

/** The value below which `part` of the sorted values are. */
function quantile(sorted: Pixels, part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
}

/** Of a plane, usually its smallest level. `undefined` for one that has only one value: nothing has arrived, or nothing is to be seen. */
export function histogramOf(data: Pixels, bins = 96): Histogram | undefined {
  const sorted = data.slice().sort();
  const min = sorted[0];
  const max = sorted.at(-1);
  if (min === undefined || max === undefined || !(max > min)) return undefined;
  const counts = new Array<number>(bins).fill(0);
  const scale = bins / (max - min);
  for (const v of data) {
    const bin = Math.min(bins - 1, Math.floor((v - min) * scale));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  const low = quantile(sorted, 0.001);
  const high = quantile(sorted, 0.999);
  return { min, max, counts, auto: high > low ? [low, high] : [min, max] };
}
