// SPDX-License-Identifier: MIT
// Colours of a plate's heat map: viridis, which reads the same to colour-blind eyes and in grey, and a colour for each state.

import { colorAt, gradientOf } from "../color-maps.js";
import type { WellPhase } from "../state/types.js";

/** The colour of `part`, 0 to 1. */
export function viridis(part: number): string {
  return `rgb(${colorAt("viridis", part).join(" ")})`;
}

/** For a legend. */
export const gradient = gradientOf("viridis");

/** Names of the states as they are shown; colours are in the style sheet, so that they fit light and dark. */
export const phaseNames: Readonly<Record<WellPhase, string>> = {
  waiting: "waiting",
  running: "running",
  done: "done",
  failed: "failed",
  reused: "kept from before",
};

/** The smallest and the largest of the numbers; undefined where there are none. */
export function extent(values: Iterable<number | null | undefined>): readonly [number, number] | undefined {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (const v of values) {
    if (v === null || v === undefined || !Number.isFinite(v)) continue;
    if (v < min) min = v;
    if (v > max) max = v;
  }
  return max >= min ? [min, max] : undefined;
}

const plain = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
const compact = new Intl.NumberFormat("en", { maximumSignificantDigits: 4, notation: "scientific" });

/** Four digits, as a scale or a tooltip needs them. */
export function format(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "\u2013";
  const size = Math.abs(value);
  return (size !== 0 && (size < 1e-3 || size >= 1e7) ? compact : plain).format(value);
}
