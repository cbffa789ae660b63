// SPDX-License-Identifier: MIT
// Opens a plate folder: one walk over it, one pass over its headers, no pixel.

import { readFile, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { TilecastError } from "../errors.js";
import { throwIfCancelled } from "./cancel.js";
import { buildPlate } from "./catalogue.js";
import { detectFormat, requireImages } from "./detect.js";
import type { PlateFormat } from "./format.js";
import { type HeaderScanner, nativeScanner } from "./headers.js";
import { imageXpress } from "./imagexpress.js";
import { decodeText, listFolder } from "./listing.js";
import { noticeOf, plural } from "./notice.js";
import { patternFormat } from "./pattern-format.js";
import type { Notice, Plate } from "./plate.js";

export interface OpenPlateOptions {
  /** Layout of the folder. Default `auto`: the one that most files fit. */
  readonly format?: "auto" | "imagexpress" | "pattern";
  /** Filename pattern (see lib/plates/pattern.ts); implies the format `pattern`. */
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

const metadataBytes = 16 * 1024 * 1024;

function chooseFormat(options: OpenPlateOptions): PlateFormat | undefined {
  const { format = "auto", pattern } = options;
  if (format !== "auto" && format !== "imagexpress" && format !== "pattern") {
    throw new TilecastError(
      "ERR_INVALID_ARGUMENT",
      `format: expected "auto", "imagexpress" or "pattern" but received ${JSON.stringify(format)}`,
      { argument: "format" },
    );
  }
  if (pattern !== undefined) {
    if (format === "imagexpress") {
      throw new TilecastError("ERR_INVALID_ARGUMENT", 'pattern: expected none with format "imagexpress"', {
        argument: "pattern",
      });
    }
    return patternFormat(pattern);
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
  return format === "imagexpress" ? imageXpress : undefined;
}

/** The plate's folder: the path itself, or the folder of the .HTD file that it names. */
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
  if (/\.htd$/i.test(root)) return dirname(root);
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
 * Files are planes, with two exceptions. A multi-page file outside any z stack, whose pages are of one size, is a stack:
 * page p (from 0) has z_index p + 1. The samples of RGB files are channels: c, c+1, c+2 when c is the plate's only channel
 * and every file has as many samples, else 10c+1, 10c+2, 10c+3 with a notice. Of several files for one plane the newest
 * counts. Planes are missing by comparison with other wells (lib/plates/missing.ts) and with the metadata.
 *
 * Throws ERR_PLATE_NOT_FOUND, ERR_PLATE_FORMAT (with what was seen and a pattern to start from), ERR_PATTERN,
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
  const format = chosen ?? detectFormat(listing);

  const texts = new Map<string, string>();
  const notices: Notice[] = [...listing.notices];
  const metadata = format.metadata?.(listing) ?? [];
  for (const file of metadata) {
    try {
      if ((await stat(file.path)).size > metadataBytes) throw new RangeError("larger than 16 MB");
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
  const known = new Set(metadata);
  const others = listing.files
    .filter((file) => !/\.tiff?$/i.test(file.name) && !known.has(file))
    .map((file) => file.relative);
  if (others.length > 0)
    notices.push(
      noticeOf(
        "ignored",
        others,
        (n) => `${plural(n, "file")} that ${n === 1 ? "is no TIFF image" : "are no TIFF images"}`,
      ),
    );

  const parsed = format.parse(listing, texts);
  if (parsed.files.length === 0) {
    throw new TilecastError(
      "ERR_PLATE_FORMAT",
      `${root} is not an ImageXpress plate: none of its ${plural(listing.images.length, "TIFF file")} is a plane named like plate_A01_s1_w1.tif`,
      { path: root, argument: "format" },
    );
  }
  return buildPlate(root, format.name, parsed, notices, { scanner, mode: headers, signal });
}
