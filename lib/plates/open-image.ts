// SPDX-License-Identifier: MIT
// Opens one TIFF file as a plate of one well: its planes as its OME-XML or ImageJ's description says, else its pages.

import { readFile, stat } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { TilecastError } from "../errors.js";
import { nativeScanner } from "./headers.js";
import { listFolder, listingOf } from "./listing.js";
import { omeTiff } from "./ome-tiff.js";
import { isOmeXml } from "./ome-xml.js";
import { openFiles } from "./open-files.js";
import type { Plate } from "./plate.js";

/** Whether a path is named as a TIFF file. */
export const isTiffName = (path: string): boolean => /\.tiff?$/i.test(path);

/**
 * The image in the TIFF file `path`, with the files of its set that its OME-XML names and that lie beside it. Throws ERR_PLATE_NOT_FOUND,
 * ERR_PLATE_FORMAT (nothing in it can be read), ERR_METADATA, ERR_CANCELLED.
 */
export async function openImage(
  path: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Plate> {
  const { signal } = options;
  const file = resolve(path);
  const root = dirname(file);
  const [head] = await nativeScanner([file], { pages: false, description: true, threads: 1 });
  if (head === undefined || "error" in head)
    throw new TilecastError(
      "ERR_PLATE_FORMAT",
      `${file} cannot be read: ${head?.error.message ?? "no answer"}`,
      {
        path: file,
        argument: "path",
      },
    );
  const names = [basename(file)];
  if (isOmeXml(head.description)) {
    const named = new Set<string>();
    for (const match of head.description.matchAll(/\bFileName\s*=\s*"([^"]*)"/g))
      named.add(match[1] as string);
    // Names are looked up among those that lie there, never opened as paths.
    const { images } = await listFolder(root, { signal, maxDepth: 0 });
    for (const { relative } of images) if (named.has(relative) && relative !== names[0]) names.push(relative);
  }
  const source = { scanner: nativeScanner, stat, read: readFile };
  const plate = await openFiles(listingOf(root, names), source, omeTiff, { headers: "all", signal });
  return { ...plate, name: basename(file) };
}
