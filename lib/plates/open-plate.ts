// SPDX-License-Identifier: MIT
// Opens a plate folder: one walk over it, one pass over its headers, no pixel.

import { readFile, stat } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { TilecastError } from "../errors.js";
import type { NativeFailure, NativeImageInfo } from "../native.js";
import { throwIfCancelled } from "./cancel.js";
import { buildPlate } from "./catalogue.js";
import { detectFormat, requireImages } from "./detect.js";
import type { HeadReader, ImageHead, PlateFormat } from "./format.js";
import { type FormatOption, formatOptions, namedFormats } from "./formats.js";
import { type HeaderScanner, nativeScanner, type ScanOptions, scanWithDescriptions } from "./headers.js";
import { decodeText, type ListedFile, listFolder } from "./listing.js";
import { noticeOf, plural } from "./notice.js";
import { omeTiffWith } from "./ome-tiff.js";
import { isZarr, openOmeZarr } from "./ome-zarr.js";
import { patternFormat } from "./pattern-format.js";
import type { Notice, Plate } from "./plate.js";

export interface OpenPlateOptions {
  /** Layout of the folder. Default `auto`: the one that most files fit. */
  readonly format?: FormatOption;
  /**
   * Filename pattern (see lib/plates/pattern.ts); implies the format `pattern`. With `ome-tiff` it says wells and sites of
   * files whose metadata does not.
   */
  readonly pattern?: string | undefined;
  /**
   * `all` (default) reads the header of every file, which alone finds mixed sizes and damaged files before a run.
   * `first` reads one a channel and believes it for the rest: for huge plates on slow file systems.
   */
  readonly headers?: "all" | "first";
  /** Reads headers; the native reader by default. */
  readonly scanner?: HeaderScanner;
  readonly signal?: AbortSignal | undefined;
}

/** An index of a 384-well plate with stacks has 200 MB; beyond this it is no index. */
const metadataBytes = 512 * 1024 * 1024;

function chooseFormat(options: OpenPlateOptions): PlateFormat | undefined {
  const { format = "auto", pattern } = options;
  if (!formatOptions.includes(format)) {
    const names = formatOptions.map((name) => `"${name}"`);
    throw new TilecastError(
      "ERR_INVALID_ARGUMENT",
      `format: expected ${names.slice(0, -1).join(", ")} or ${names.at(-1)} but received ${JSON.stringify(format)}`,
      { argument: "format" },
    );
  }
  if (pattern !== undefined) {
    if (format === "auto" || format === "pattern") return patternFormat(pattern);
    if (format === "ome-tiff") return omeTiffWith(pattern);
    throw new TilecastError("ERR_INVALID_ARGUMENT", `pattern: expected none with format "${format}"`, {
      argument: "pattern",
    });
  }
  if (format === "pattern") {
    throw new TilecastError(
      "ERR_INVALID_ARGUMENT",
      'pattern: expected a filename pattern with format "pattern" but received none',
      {
        argument: "pattern",
      },
    );
  }
  return format === "auto" || format === "ome-zarr" ? undefined : namedFormats[format];
}

/** Files that a user may name instead of the folder they lie in. */
const namesPlate =
  /\.(htd|mlf|mrf|mes|wpi)$|^index(\.idx)?\.xml$|^openhcs_metadata\.json$|\.companion\.ome$/i;

/** The plate's folder: the path itself, or the folder of the metadata file that it names. */
async function folderOf(path: string): Promise<string> {
  const root = resolve(path);
  try {
    const info = await stat(root);
    if (info.isDirectory()) return root;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === "ENOENT" || code === "ENOTDIR" ? "does not exist" : `cannot be read (${code})`;
    throw new TilecastError("ERR_PLATE_NOT_FOUND", `${root} ${why}`, { path: root, argument: "path", cause });
  }
  if (namesPlate.test(basename(root))) return dirname(root);
  throw new TilecastError(
    "ERR_PLATE_NOT_FOUND",
    `${root} is a file; expected the plate's folder (perhaps ${dirname(root)})`,
    { path: root, argument: "path" },
  );
}

/**
 * Catalogues the plate in the folder `path`. Damaged files, missing planes and everything left out become notices; only a
 * folder that is no plate at all is an error.
 *
 * Files are planes, with two exceptions where only names speak. A multi-page file outside any z stack, whose pages are of one size, is a stack:
 * page p (from 0) has z_index p + 1. The samples of RGB files are channels: c, c+1, c+2 when c is the plate's only channel
 * and every file has as many samples, else 10c+1, 10c+2, 10c+3 with a notice. Of several files for one plane the newest
 * counts. Planes are missing by comparison with other wells (lib/plates/missing.ts) and with the metadata.
 *
 * Layouts whose metadata says what each page is (OME-TIFF, ImageJ hyperstacks) are read by that.
 *
 * Throws ERR_PLATE_NOT_FOUND, ERR_PLATE_FORMAT (with what was seen and a pattern to start from), ERR_METADATA, ERR_PATTERN,
 * ERR_INVALID_ARGUMENT, ERR_CANCELLED.
 */
export async function openPlate(path: string, options: OpenPlateOptions = {}): Promise<Plate> {
  const { headers = "all", scanner = nativeScanner, signal } = options;
  if (headers !== "all" && headers !== "first") {
    throw new TilecastError(
      "ERR_INVALID_ARGUMENT",
      `headers: expected "all" or "first" but received ${JSON.stringify(headers)}`,
      { argument: "headers" },
    );
  }
  const chosen = chooseFormat(options);
  throwIfCancelled(signal, "opening the plate");
  const root = await folderOf(path);
  if (options.format === "ome-zarr" || (chosen === undefined && (await isZarr(root))))
    return openOmeZarr(root, { headers, signal });
  const listing = await listFolder(root, { signal }).catch((cause: unknown) => {
    if (cause instanceof TilecastError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    throw new TilecastError("ERR_PLATE_NOT_FOUND", `${root} cannot be read (${code})`, {
      path: root,
      argument: "path",
      cause,
    });
  });
  requireImages(listing);

  // Heads that a layout asks for are kept, so that no file is read twice.
  const known = new Map<string, NativeImageInfo | NativeFailure>();
  const scanOptions: ScanOptions = { scanner, mode: headers, signal, known };
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
      if ((await stat(file.path)).size > metadataBytes) throw new RangeError("larger than 512 MB");
      texts.set(file.relative, decodeText(await readFile(file.path)));
    } catch (error) {
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
      `${root} is not a plate of the layout "${format.name}": none of its ${plural(listing.images.length, "TIFF file")} is one of its planes (${format.detect(listing).reason})`,
      { path: root, argument: "format" },
    );
  }
  return buildPlate(root, format.name, parsed, notices, scanOptions);
}
