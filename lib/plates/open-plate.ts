// SPDX-License-Identifier: MIT
// Opens a plate folder: one walk over it, one pass over its headers, no pixel.

import { readFile, stat } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { TilecastError } from "../errors.js";
import { throwIfCancelled } from "./cancel.js";
import type { PlateFormat } from "./format.js";
import { type FormatOption, formatOptions, namedFormats } from "./formats.js";
import { type HeaderScanner, nativeScanner } from "./headers.js";
import { imageName, listFolder, listingOf } from "./listing.js";
import { omeTiffWith } from "./ome-tiff.js";
import { isZarr, openOmeZarr } from "./ome-zarr.js";
import { namesPlate, openFiles } from "./open-files.js";
import { patternFormat } from "./pattern-format.js";
import type { Plate } from "./plate.js";
import { isUrl, openRemotePlate, type RemoteOptions } from "./remote.js";

export interface OpenPlateOptions extends RemoteOptions {
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

/** The plate's folder: the path itself, or the folder of the metadata file or image that it names; and the image. */
async function folderOf(path: string): Promise<{ root: string; image?: string }> {
  const root = resolve(path);
  try {
    const info = await stat(root);
    if (info.isDirectory()) return { root };
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === "ENOENT" || code === "ENOTDIR" ? "does not exist" : `cannot be read (${code})`;
    throw new TilecastError("ERR_PLATE_NOT_FOUND", `${root} ${why}`, { path: root, argument: "path", cause });
  }
  if (namesPlate.test(basename(root))) return { root: dirname(root) };
  if (imageName.test(root)) return { root: dirname(root), image: basename(root) };
  throw new TilecastError(
    "ERR_PLATE_NOT_FOUND",
    `${root} is a file; expected the plate's folder (perhaps ${dirname(root)}), or a TIFF`,
    { path: root, argument: "path" },
  );
}

/**
 * Catalogues the plate in the folder `path`, a single TIFF (a slide, a stitched well) as a plate of one well, or what is behind a URL of http(s) (lib/plates/remote.ts). Damaged files, missing planes and everything left out become notices; only a
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
 * ERR_INVALID_ARGUMENT, ERR_CANCELLED; of URLs, ERR_HTTP.
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
  if (isUrl(path)) return openRemotePlate(path, chosen, options);
  const { root, image } = await folderOf(path);
  const files = { scanner, stat, read: readFile };
  // Its own metadata says what its pages are; without any they are a stack.
  if (image !== undefined)
    return openFiles(listingOf(root, [image]), files, chosen ?? omeTiffWith(undefined), { headers, signal });
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
  return openFiles(listing, files, chosen, { headers, signal });
}
