// SPDX-License-Identifier: MIT
// Medians with their spread, and a seeded shuffle.

import { median } from "../../dist/bench/result.js";

export { seededRandom, shuffled } from "../../dist/bench/shuffle.js";
export { median };

export function spread(values) {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values), values };
}
