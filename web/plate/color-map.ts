// SPDX-License-Identifier: MIT
// Colours of a plate's heat map: viridis, which reads the same to colour-blind eyes and in grey, and a colour for each state.

import type { WellPhase } from "../state/types.js";

/** Ten stops of matplotlib's viridis (CC0). */
const stops = [
  [0x44, 0x01, 0x54],
  [0x48, 0x28, 0x78],
  [0x3e, 0x4a, 0x89],
  [0x31, 0x68, 0x8e],
  [0x26, 0x82, 0x8e],
  [0x1f, 0x9e, 0x89],
  [0x35, 0xb7, 0x79],
  [0x6e, 0xce, 0x58],
  [0xb5, 0xde, 0x2b],
  [0xfd, 0xe7, 0x25],
] as const;

/** The colour of `part`, 0 to 1. */
export function viridis(part: number): string {
  const at = Math.min(1, Math.max(0, part)) * (stops.length - 1);
  const low = stops[Math.min(stops.length - 2, Math.floor(at))] as readonly [number, number, number];
  const high = stops[Math.min(stops.length - 1, Math.floor(at) + 1)] as readonly [number, number, number];
  const mix = (i: 0 | 1 | 2) =>
    Math.round(low[i] + (high[i] - low[i]) * (at - Math.min(stops.length - 2, Math.floor(at))));
  return `rgb(${mix(0)} ${mix(1)} ${mix(2)})`;
}

/** For a legend. */
export const gradient = `linear-gradient(to right, ${stops.map((c) => `rgb(${c.join(" ")})`).join(", ")})`;

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
