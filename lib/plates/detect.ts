// SPDX-License-Identifier: MIT
// Finds the layout of a folder, or says what was seen there and what to do.

import { TilecastError } from "../errors.js";
import type { PlateFormat } from "./format.js";
import { imageXpress } from "./imagexpress.js";
import type { Listing } from "./listing.js";
import { plural } from "./notice.js";
import { suggestPattern } from "./pattern.js";
import { usualFormats } from "./pattern-format.js";

/** Layouts in the order in which equal scores are settled. */
const formats: readonly PlateFormat[] = [imageXpress, ...usualFormats];

/** Half of the images must fit: a few strays are normal, a few hits by chance too. */
const enough = 0.5;

function seenInstead(listing: Listing): string {
  const counts = new Map<string, number>();
  for (const file of listing.files) {
    const extension = /\.[^.]+$/.exec(file.name)?.[0].toLowerCase() ?? "(no extension)";
    counts.set(extension, (counts.get(extension) ?? 0) + 1);
  }
  const most = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 3);
  return most.length === 0
    ? "it is empty"
    : `it has ${most.map(([extension, n]) => `${n} ${extension}`).join(", ")}`;
}

/** Throws ERR_PLATE_FORMAT when the folder has no TIFF file. */
export function requireImages(listing: Listing): void {
  if (listing.images.length > 0) return;
  throw new TilecastError("ERR_PLATE_FORMAT", `${listing.root} holds no TIFF file: ${seenInstead(listing)}`, {
    path: listing.root,
  });
}

/** The layout that most images fit. Throws ERR_PLATE_FORMAT with the first file names and a pattern to start from. */
export function detectFormat(listing: Listing): PlateFormat {
  requireImages(listing);
  const results = formats.map((format) => ({ format, ...format.detect(listing) }));
  const best = results.reduce((a, b) => (b.score > a.score ? b : a));
  if (best.score >= enough) return best.format;
  const first = listing.images.slice(0, 3).map((file) => `  ${file.relative}`);
  throw new TilecastError(
    "ERR_PLATE_FORMAT",
    [
      `${listing.root} is not a plate of a known layout. It holds ${plural(listing.images.length, "TIFF file")}:`,
      ...first,
      ...(listing.images.length > 3 ? [`  ... and ${listing.images.length - 3} more`] : []),
      "Looked for:",
      ...results.map((result) => `  ${result.reason}`),
      "Say how the files are named, for example:",
      `  --pattern "${suggestPattern((listing.images[0] as { name: string }).name)}"`,
    ].join("\n"),
    { path: listing.root, argument: "pattern" },
  );
}
