// SPDX-License-Identifier: MIT
// Finds the layout of a folder, or says what was seen there and what to do.

import { TilecastError } from "../errors.js";
import type { ImageHead, PlateFormat } from "./format.js";
import { detectable } from "./formats.js";
import type { ListedFile, Listing } from "./listing.js";
import { plural } from "./notice.js";
import { describesItself, omeTiff } from "./ome-tiff.js";
import { suggestPattern } from "./pattern.js";

/** Half of the images must fit: a few strays are normal, a few hits by chance too. */
const enough = 0.5;
/** A second layout with this share of the images is no stray. */
const rival = 0.25;

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

/**
 * The layout that most images fit. Names that say little or nothing are no reason to give up: then `peek` reads the first
 * image's head, for files that say themselves what their pages are.
 *
 * Throws ERR_PLATE_FORMAT where no layout fits, with the first file names and a pattern to start from, and where images of two
 * layouts lie side by side.
 */
export async function detectFormat(
  listing: Listing,
  peek: (file: ListedFile) => Promise<ImageHead | undefined>,
): Promise<PlateFormat> {
  requireImages(listing);
  const results = detectable.map((format) => ({ format, ...format.detect(listing) }));
  const best = results.reduce((a, b) => (b.score > a.score ? b : a));
  if (best.score < 1) {
    const second = results.filter((r) => r !== best && r.score >= rival).sort((a, b) => b.score - a.score)[0];
    if (second !== undefined && best.score + second.score <= 1) throw ambiguous(listing, best, second);
  }
  if (best.score > enough) return best.format;
  const first = listing.images[0] as ListedFile;
  const head = await peek(first);
  if (head !== undefined && describesItself(head)) return omeTiff;
  if (best.score >= enough) return best.format;
  const shown = listing.images.slice(0, 3).map((file) => `  ${file.relative}`);
  throw new TilecastError(
    "ERR_PLATE_FORMAT",
    [
      `${listing.root} is not a plate of a known layout. It holds ${plural(listing.images.length, "TIFF file")}:`,
      ...shown,
      ...(listing.images.length > 3 ? [`  ... and ${listing.images.length - 3} more`] : []),
      "Looked for:",
      ...results.map((result) => `  ${result.reason}`),
      "Say how the files are named, for example:",
      `  --pattern "${suggestPattern(first.name)}"`,
    ].join("\n"),
    { path: listing.root, argument: "pattern" },
  );
}

interface Candidate {
  readonly format: PlateFormat;
  readonly reason: string;
}

function ambiguous(listing: Listing, best: Candidate, second: Candidate): TilecastError {
  return new TilecastError(
    "ERR_PLATE_FORMAT",
    [
      `${listing.root} holds images of two layouts:`,
      `  ${best.reason}`,
      `  ${second.reason}`,
      `Open the folder that holds one of them, or say which to read: --format ${best.format.name} or --format ${second.format.name}`,
    ].join("\n"),
    { path: listing.root, argument: "format" },
  );
}
