// SPDX-License-Identifier: MIT
// An OME-Zarr store that is not a folder of this machine, such as one behind a URL: read as it is asked for, within the store's own budget.

import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { isTilecastError } from "../errors.js";
import type { Store } from "../stores/store.js";
import { isMetadata } from "./folder-source.js";
import { sendRead } from "./send-bytes.js";
import type { Source } from "./source.js";

export class StoreSource implements Source {
  readonly #store: Store;

  /** The store is closed with the source. */
  constructor(store: Store) {
    this.#store = store;
  }

  async serve(
    request: IncomingMessage,
    response: ServerResponse,
    parts: readonly string[],
  ): Promise<boolean> {
    const key = parts.join("/");
    try {
      const { size, version } = await this.#store.readRanges(key, []);
      // What the server says of a file's version can be anything, and does not say where it is.
      const etag = `"${createHash("sha1").update(`${size} ${version}`).digest("base64url")}"`;
      const read = async (offset: number, bytes: number) =>
        (await this.#store.readRanges(key, [{ offset, bytes }])).parts[0] as Uint8Array;
      const contentType = isMetadata.test(parts.at(-1) ?? "")
        ? "application/json"
        : "application/octet-stream";
      await sendRead(request, response, { size, etag }, read, { contentType, maxAge: 60 });
      return true;
    } catch (error) {
      // A key that no store has, such as one with a zero byte, is not there either.
      if (isTilecastError(error, "ERR_KEY_NOT_FOUND") || isTilecastError(error, "ERR_INVALID_ARGUMENT"))
        return false;
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#store.close();
  }
}
