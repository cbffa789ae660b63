// SPDX-License-Identifier: MIT
// From a listing of files to a plate: the layout is recognised, its metadata and the headers are read, no pixel.

import { isTilecastError, TilecastError } from "../errors.js";
import type { NativeFailure, NativeImageInfo } from "../native.js";
import { buildPlate } from "./catalogue.js";
import { detectFormat, requireImages } from "./detect.js";
import type { HeadReader, ImageHead, PlateFormat } from "./format.js";
import { type HeaderScanner, type ScanOptions, scanWithDescriptions } from "./headers.js";
import { decodeText, type ListedFile, type Listing } from "./listing.js";
import { noticeOf, plural } from "./notice.js";
import type { Notice, Plate } from "./plate.js";

/** Where the listed files are; all by `ListedFile.path`. */
export interface PlateFiles {
  readonly scanner: HeaderScanner;
  readonly stat: ScanOptions["stat"];
  readonly read: (path: string) => Promise<Uint8Array>;
}

/** Files that a user may name instead of the folder they lie in. */
export const namesPlate =
  /\.(htd|mlf|mrf|mes|wpi)$|^index(\.idx)?\.xml$|^openhcs_metadata\.json$|\.companion\.ome$/i;

/** An index of a 384-well plate with stacks has 200 MB; beyond this it is no index. */
const metadataBytes = 512 * 1024 * 1024;

/** `chosen`: the layout, where it is known. Throws as `openPlate`. */
export async function openFiles(
  listing: Listing,
  source: PlateFiles,
  chosen: PlateFormat | undefined,
  { headers, signal }: { readonly headers: "all" | "first"; readonly signal: AbortSignal | undefined },
): Promise<Plate> {
  const { scanner } = source;
  requireImages(listing);
  // Heads that a layout asks for are kept, so that no file is read twice.
  const known = new Map<string, NativeImageInfo | NativeFailure>();
  const scanOptions: ScanOptions = { scanner, mode: headers, signal, stat: source.stat, known };
  const readHeads: HeadReader = async (files) => {
    const results = await scanWithDescriptions(
      files.map((file) => file.path),
      scanOptions,
    );
    const heads = new Map<string, ImageHead>();
    for (const [i, result] of results.entries()) {
      const { path, relative } = files[i] as ListedFile;
      if ("error" in result) {
        known.set(path, result);
        continue;
      }
      const { description, pages, samples } = result;
      heads.set(relative, { description, pages, samples });
      // A description can be a megabyte, and is not needed again.
      known.set(path, { ...result, description: "" });
    }
    return heads;
  };
  const format =
    chosen ?? (await detectFormat(listing, async (file) => (await readHeads([file])).get(file.relative)));

  const texts = new Map<string, string>();
  const notices: Notice[] = [...listing.notices];
  const metadata = format.metadata?.(listing) ?? [];
  for (const file of metadata) {
    try {
      if ((await source.stat(file.path)).size > metadataBytes) throw new RangeError("larger than 512 MB");
      texts.set(file.relative, decodeText(await source.read(file.path)));
    } catch (error) {
      if (isTilecastError(error, "ERR_CANCELLED")) throw error;
      const why = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
      notices.push(
        noticeOf(
          "unreadable",
          [file.relative],
          () => `the metadata file ${file.relative} cannot be read (${why})`,
        ),
      );
    }
  }
  const read = new Set(metadata);
  const others = listing.files
    .filter((file) => !/\.tiff?$/i.test(file.name) && !read.has(file))
    .map((file) => file.relative);
  if (others.length > 0)
    notices.push(
      noticeOf(
        "ignored",
        others,
        (n) => `${plural(n, "file")} that ${n === 1 ? "is no TIFF image" : "are no TIFF images"}`,
      ),
    );

  const parsed = format.parse(listing, texts, await format.heads?.(listing, texts, readHeads));
  if (parsed.files.length === 0) {
    throw new TilecastError(
      "ERR_PLATE_FORMAT",
      `${listing.root} is not a plate of the layout "${format.name}": none of its ${plural(listing.images.length, "TIFF file")} is one of its planes (${format.detect(listing).reason})`,
      { path: listing.root, argument: "format" },
    );
  }
  return buildPlate(listing.root, format.name, parsed, notices, scanOptions);
}
