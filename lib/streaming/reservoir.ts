// SPDX-License-Identifier: MIT
// Percentiles of a stream of durations in bounded memory.

export interface Spread {
  readonly count: number;
  /** Milliseconds; 0 of nothing. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface Reservoir {
  add(value: number): void;
  spread(): Spread;
}

/**
 * A uniform sample (Vitter 1985, algorithm R) of up to `size` values; exact until it is full. `random` gives [0, 1).
 */
export function reservoir(size = 4096, random: () => number = Math.random): Reservoir {
  const sample: number[] = [];
  let [count, max] = [0, 0];
  return {
    add(value) {
      count++;
      max = Math.max(max, value);
      if (sample.length < size) sample.push(value);
      else {
        const at = Math.floor(random() * count);
        if (at < size) sample[at] = value;
      }
    },
    spread() {
      const sorted = [...sample].sort((a, b) => a - b);
      // Nearest rank.
      const rank = (p: number) => sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)] ?? 0;
      return { count, p50: rank(0.5), p99: rank(0.99), max };
    },
  };
}
