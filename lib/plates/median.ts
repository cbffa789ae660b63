// SPDX-License-Identifier: MIT
// The median of measured settings: stage positions and slice distances carry noise and outliers.

/** The middle value, the upper one of two; `null` of nothing. */
export function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length === 0 ? null : (sorted[sorted.length >> 1] as number);
}
