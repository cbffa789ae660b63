// SPDX-License-Identifier: MIT
// Plates whose file names say everything: by a user's pattern, or by a usual one that has no metadata.

import { TilecastError } from "../errors.js";
import type { Detection, ParsedFile, ParsedPlate, PlateFormat } from "./format.js";
import type { ListedFile, Listing } from "./listing.js";
import { noticeOf, plural } from "./notice.js";
import { FilenamePattern, type PatternMatch, suggestPattern } from "./pattern.js";
import type { Notice } from "./plate.js";

/** Patterns that are recognised by themselves: those that cannot be mistaken for another's. */
const usualPatterns: readonly { readonly name: string; readonly pattern: string }[] = [
  { name: "Cellomics ArrayScan", pattern: "{plate}_{well:3}f{site:2}d{channel:1}.tif" },
];

/** A layout that is one filename pattern. */
function formatOf(pattern: FilenamePattern, label: string): PlateFormat {
  return {
    name: "pattern",
    detect(listing): Detection {
      const fit = listing.images.filter((file) => pattern.match(file.relative) !== undefined).length;
      const score = listing.images.length === 0 ? 0 : fit / listing.images.length;
      return {
        score,
        reason: `${fit === 0 ? "no image fits" : `${Math.round(score * 100)} % of the images fit`} ${label}`,
      };
    },
    parse: (listing) => parse(listing, pattern),
  };
}

/** The usual patterns as layouts, for detection. */
export const usualFormats: readonly PlateFormat[] = usualPatterns.map(({ name, pattern }) =>
  formatOf(FilenamePattern.compile(pattern), `${name} (${pattern})`),
);

/** A user's pattern as a layout. Throws ERR_PATTERN. */
export function patternFormat(source: string): PlateFormat {
  return formatOf(FilenamePattern.compile(source), "the pattern");
}

function parse(listing: Listing, pattern: FilenamePattern): ParsedPlate {
  const matched: { file: ListedFile; match: PatternMatch }[] = [];
  const others: string[] = [];
  for (const file of listing.images) {
    const match = pattern.match(file.relative);
    if (match === undefined) others.push(file.relative);
    else matched.push({ file, match });
  }
  if (matched.length === 0) {
    const first = listing.images[0];
    throw new TilecastError(
      "ERR_PLATE_FORMAT",
      [
        `the pattern ${pattern.source} fits none of the ${plural(listing.images.length, "TIFF file")} in ${listing.root}`,
        ...listing.images.slice(0, 3).map((file) => `  ${file.relative}`),
        ...(first === undefined ? [] : [`Perhaps: --pattern "${suggestPattern(first.name)}"`]),
      ].join("\n"),
      { path: listing.root, argument: "pattern" },
    );
  }

  // A channel that is a word anywhere makes all of them words: numbering some of them would clash with the numbers.
  const words = [...new Set(matched.map(({ match }) => String(match.channel)))].sort();
  const named = matched.some(({ match }) => typeof match.channel === "string");
  const channelNames = new Map<number, string>(named ? words.map((word, i) => [i + 1, word]) : []);
  const numbers = new Map(words.map((word, i) => [word, i + 1]));
  const files = matched.map(
    ({ file, match }): ParsedFile => ({
      file,
      well: match.well,
      site: match.site,
      channel: named ? (numbers.get(String(match.channel)) as number) : (match.channel as number),
      z_index: match.z_index,
      timepoint: match.timepoint,
      projection: false,
    }),
  );

  const notices: Notice[] = [];
  if (others.length > 0) {
    notices.push(
      noticeOf("ignored", others, (n) => `${plural(n, "TIFF file")} that the pattern does not fit`),
    );
  }
  const plates = [...new Set(matched.map(({ match }) => match.plate))].filter((plate) => plate !== null);
  const folder = listing.root.split(/[\\/]/).at(-1) || "plate";
  return {
    name: plates.length === 1 ? (plates[0] as string) : folder,
    pattern: pattern.source,
    files,
    channelNames,
    expected: null,
    plateFormat: null,
    notices,
  };
}
