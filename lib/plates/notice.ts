// SPDX-License-Identifier: MIT
// Makes notices: one sentence, a count, and a few examples.

import type { Components, Notice } from "./plate.js";

const maxExamples = 5;

/** A notice about `items`; `say` gets their number. */
export function noticeOf(
  kind: Notice["kind"],
  items: readonly string[],
  say: (count: number) => string,
): Notice {
  return { kind, message: say(items.length), count: items.length, examples: items.slice(0, maxExamples) };
}

/** `1 file`, `2 files`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** A component combination for people: `E07 site 1 channel 2 z 3`; the timepoint only in a time series. */
export function describe(plane: Components, timeSeries: boolean): string {
  const z = plane.z_index === null ? "" : ` z ${plane.z_index}`;
  const t = timeSeries ? ` timepoint ${plane.timepoint}` : "";
  return `${plane.well} site ${plane.site} channel ${plane.channel}${z}${t}`;
}
