// SPDX-License-Identifier: MIT
// File names that stand in metadata: they are looked up in the listing, and one that leads out of the plate is refused.

import { TilecastError } from "../errors.js";
import type { ListedFile, Listing } from "./listing.js";

/** Looks up what metadata calls a file. */
export class References {
  readonly #files: ReadonlyMap<string, ListedFile>;
  readonly #root: string;

  constructor(listing: Listing) {
    this.#files = new Map(listing.files.map((file) => [file.relative, file]));
    this.#root = listing.root;
  }

  /**
   * The listed file that `reference` means in a document that lies in the folder `base` (relative, "" for the plate's own);
   * `undefined` when there is none. `source` is the document. Throws ERR_METADATA for an absolute path and for one that leads
   * out of the plate: whoever wrote it must not choose what else of the disk is read.
   */
  find(base: string, reference: string, source: string): ListedFile | undefined {
    return this.#files.get(this.relative(base, reference, source));
  }

  /** The path relative to the plate, whether there is such a file or not. Throws as `find` does. */
  relative(base: string, reference: string, source: string): string {
    const path = reference.replaceAll("\\", "/");
    const parts: string[] = base === "" ? [] : base.split("/");
    let inside = !/^(?:\/|[A-Za-z]:|[A-Za-z][A-Za-z0-9+.-]*:\/\/)/.test(path) && !path.includes("\0");
    for (const part of path.split("/")) {
      if (part === "" || part === ".") continue;
      if (part !== "..") parts.push(part);
      else if (parts.pop() === undefined) inside = false;
    }
    if (inside) return parts.join("/");
    throw new TilecastError(
      "ERR_METADATA",
      `${source} refers to a file outside the plate: ${JSON.stringify(reference.slice(0, 200))}`,
      { path: this.#root },
    );
  }
}
