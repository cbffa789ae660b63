// SPDX-License-Identifier: MIT
// An OME-Zarr store on disk, served as it is, also while a run writes it.

import { realpath } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join, resolve } from "node:path";
import { sendFile } from "./send-bytes.js";
import type { Source } from "./source.js";

/** Names of files that are JSON. */
export const isMetadata = /^(?:zarr\.json|\.zattrs|\.zarray|\.zgroup|\.zmetadata)$/;

export class FolderSource implements Source {
  readonly #root: string;
  /** The root without links, once it exists. */
  #real: string | undefined;

  constructor(
    root: string,
    /** Whether its files may still change. */
    public live: boolean,
  ) {
    this.#root = resolve(root);
  }

  async serve(
    request: IncomingMessage,
    response: ServerResponse,
    parts: readonly string[],
  ): Promise<boolean> {
    try {
      this.#real ??= await realpath(this.#root);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT" || code === "ENOTDIR") return false;
      throw error;
    }
    const name = parts.at(-1) ?? "";
    // A run rewrites metadata at its end, when display ranges are known.
    const maxAge = this.live ? 0 : 60;
    const contentType = isMetadata.test(name) ? "application/json" : "application/octet-stream";
    const path = join(this.#root, ...parts);
    return sendFile(request, response, path, { contentType, maxAge, within: this.#real });
  }

  async close(): Promise<void> {}
}
