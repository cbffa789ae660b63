// SPDX-License-Identifier: MIT
// Tells which folder below the opened one is the plate, where images of a layout lie in several.

import { TilecastError } from "../errors.js";
import type { Listing } from "./listing.js";
import { plural } from "./notice.js";

/**
 * The one folder whose images are the plate; `bases` counts the images of each. Images of the opened folder itself win: what
 * lies in further folders then is somebody's output. Throws ERR_PLATE_FORMAT when the choice is the user's.
 */
export function choosePlateFolder(
  listing: Listing,
  bases: ReadonlyMap<string, number>,
  layout: string,
): string {
  if (bases.size <= 1) return [...bases.keys()][0] ?? "";
  if (bases.has("")) return "";
  const list = [...bases].slice(0, 5).map(([base, count]) => `  ${base}  (${plural(count, "image")})`);
  if (bases.size > 5) list.push(`  ... and ${bases.size - 5} more`);
  throw new TilecastError(
    "ERR_PLATE_FORMAT",
    `${listing.root} holds ${bases.size} ${layout} plates; open one of its folders:\n${list.join("\n")}`,
    { path: listing.root },
  );
}

/** Adds one to a count. */
export function count<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** The value that occurs most often; the first of equals, `undefined` of nothing. */
export function mostCommon<T>(values: Iterable<T>): T | undefined {
  const counts = new Map<T, number>();
  for (const value of values) count(counts, value);
  let best: T | undefined;
  let most = 0;
  for (const [value, n] of counts) {
    if (n > most) [best, most] = [value, n];
  }
  return best;
}

/** The last name of a path, for plates that nothing else names. */
export function folderName(listing: Listing, base: string): string {
  return base.split("/").at(-1) || listing.root.split(/[\\/]/).at(-1) || "plate";
}
