// SPDX-License-Identifier: MIT
// HttpStore: files below a URL, read in blocks by range requests; TIFF planes are decoded natively from the blocks that hold them.

import { fromNative, isTilecastError, TilecastError } from "../errors.js";
import { checkInteger, invalidArgument } from "../image/shape.js";
import type { Tile } from "../image/tile.js";
import type { TilePool } from "../image/tile-pool.js";
import { type NativeFileParts, type NativeImageInfo, type NativeMissing, native } from "../native.js";
import { BaseStore } from "./base-store.js";
import { type Blocks, HttpBlocks } from "./http-blocks.js";
import { HttpClient, type HttpClientOptions, publicUrl } from "./http-client.js";
import {
  type ByteRange,
  byCodeUnits,
  checkKey,
  type FileRanges,
  type ImageLevel,
  keyNotFound,
  type ReadImageOptions,
  readOnlyStore,
  wrongKind,
} from "./store.js";
import { partOf, tileOf } from "./tiff-tile.js";

export interface HttpStoreOptions extends HttpClientOptions {
  /** What is there, for `list`: HTTP knows no listing. */
  readonly keys?: readonly string[];
  /** Bytes of blocks kept for later reads, of all files together; default 64 MiB. Reads that are under way hold theirs besides. */
  readonly cacheBytes?: number;
  /** Size of a block, 64 KiB to 1 MiB; default 256 KiB: at 100 Mbit/s it takes as long as the way there and back. */
  readonly blockBytes?: number;
  /** Largest file that is read as a whole from a server without range requests; at most, and by default, `cacheBytes`. */
  readonly maxWholeBytes?: number;
  /** Most bytes that one read may hold, of a file or of what makes a plane; default 1 GiB. What a server or a file claims is not believed beyond. */
  readonly maxReadBytes?: number;
}

/** A report of this moment. */
export interface HttpStoreStats {
  /** Requests sent, tries included. */
  readonly requests: number;
  /** Bytes received. */
  readonly bytes: number;
  readonly cachedBytes: number;
}

/**
 * Files of a web server or an object store. Files do not change, as far as this store is concerned: blocks that were read are believed until
 * {@link forget}. A file that is replaced while it is read is noticed by its ETag, Last-Modified or size, and read anew.
 *
 * Reads reject with ERR_HTTP (an HttpError: url without credentials, status, attempts; `retriable` where the server may recover) besides what
 * {@link Store} says.
 */
export class HttpStore extends BaseStore {
  readonly kind = "http";
  readonly location: string;
  readonly readOnly = true;
  readonly #base: URL;
  readonly #client: HttpClient;
  readonly #keys: readonly string[] | undefined;
  readonly #files: HttpBlocks;
  readonly #blockBytes: number;
  readonly #maxReadBytes: number;

  /** Keys are paths below `base`. Its user and password are sent as Basic authorization, its query with each request. */
  constructor(base: string | URL, options: HttpStoreOptions = {}) {
    super();
    let url: URL;
    try {
      url = new URL(base);
    } catch {
      // Not shown: it may hold a password.
      throw invalidArgument("base", "a URL of http or https", "what cannot be parsed");
    }
    if (url.protocol !== "http:" && url.protocol !== "https:")
      throw invalidArgument("base", "a URL of http or https", url.protocol);
    const headers: Record<string, string> = { ...options.headers };
    if (url.username !== "" || url.password !== "") {
      const login = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
      headers.Authorization ??= `Basic ${Buffer.from(login).toString("base64")}`;
      url.username = "";
      url.password = "";
    }
    url.hash = "";
    if (!url.pathname.endsWith("/")) url.pathname += "/";
    this.#base = url;
    this.location = publicUrl(url);
    this.#client = new HttpClient({ ...options, headers });
    this.#keys = options.keys?.map((key) => checkKey(key, "keys")).sort(byCodeUnits);
    const cacheBytes = checkInteger(options.cacheBytes ?? 64 * 1024 * 1024, "cacheBytes", 0);
    this.#blockBytes = checkInteger(options.blockBytes ?? 256 * 1024, "blockBytes", 64 * 1024, 1024 * 1024);
    this.#files = new HttpBlocks({
      client: this.#client,
      cacheBytes,
      blockBytes: this.#blockBytes,
      maxWholeBytes: checkInteger(options.maxWholeBytes ?? cacheBytes, "maxWholeBytes", 0, cacheBytes),
      urlOf: (key) => this.#urlOf(key),
      notFound: (key) => keyNotFound(this, key, this.url(key)),
    });
    this.#maxReadBytes = checkInteger(options.maxReadBytes ?? 1024 ** 3, "maxReadBytes", 1);
  }

  get stats(): HttpStoreStats {
    return Object.freeze({ ...this.#client.stats, cachedBytes: this.#files.cachedBytes });
  }

  /** Bytes received. */
  override get bytesRead(): number {
    return this.#client.stats.bytes;
  }

  /** The URL of a key, without the base's query. */
  url(key: string): string {
    return publicUrl(this.#urlOf(key));
  }

  /** Lets go of what is known of a key, or of all, so that the next read asks the server. */
  forget(key?: string): void {
    this.#files.forget(key);
  }

  #urlOf(key: string): URL {
    const url = new URL(this.#base);
    url.pathname += key.split("/").map(encodeURIComponent).join("/");
    return url;
  }

  protected async listKeys(prefix: string): Promise<string[]> {
    if (this.#keys === undefined)
      throw wrongKind(this, prefix, "cannot be listed: HTTP knows no listing; give the store its `keys`");
    const below = prefix === "" ? "" : `${prefix}/`;
    return this.#keys.filter((key) => key.startsWith(below));
  }

  protected async hasKey(key: string, signal: AbortSignal | undefined): Promise<boolean> {
    try {
      await this.#files.open(key, signal);
      return true;
    } catch (error) {
      if (isTilecastError(error, "ERR_KEY_NOT_FOUND")) return false;
      throw error;
    }
  }

  protected readBytes(key: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
    return this.#files.steady(key, async () => {
      const { size } = await this.#files.open(key, signal);
      this.#checkBudget(key, size);
      const count = Math.ceil(size / this.#blockBytes);
      const blocks = await this.#files.blocks(key, [...Array(count).keys()], signal);
      const bytes = new Uint8Array(size);
      for (const [i, block] of blocks) bytes.set(block, i * this.#blockBytes);
      return bytes;
    });
  }

  protected async readParts(
    key: string,
    ranges: readonly ByteRange[],
    signal: AbortSignal | undefined,
  ): Promise<FileRanges> {
    this.#checkBudget(
      key,
      ranges.reduce((sum, { bytes }) => sum + bytes, 0),
    );
    return this.#files.ranges(key, ranges, signal);
  }

  protected async loadTile(key: string, pool: TilePool, options: ReadImageOptions): Promise<Tile> {
    const { signal, page = 0, sample = 0 } = options;
    return tileOf(pool, options, ({ slot, generation }) =>
      this.#ask(key, signal, (file) =>
        native().readPlaneOfParts(pool.native, slot, generation, file, page, sample, partOf(options)),
      ).then(({ answer }) => answer),
    ).catch((error) => {
      throw this.#asKind(key, error);
    });
  }

  protected async loadLevels(
    key: string,
    page: number,
    signal: AbortSignal | undefined,
  ): Promise<readonly ImageLevel[]> {
    try {
      return (await this.#ask(key, signal, (file) => native().imageLevelsOfParts(file, page))).answer;
    } catch (error) {
      throw this.#asKind(key, fromNative(error));
    }
  }

  /** @internal Header of a TIFF file, as native().scanImages gives it. Throws what the reader says of the file. */
  async scan(
    key: string,
    what: { readonly pages: boolean; readonly description: boolean },
    signal: AbortSignal | undefined,
  ): Promise<NativeImageInfo> {
    try {
      const { answer } = await this.#ask(key, signal, (file) => native().scanImageOfParts(file, what));
      return { ...answer, mtimeMs: (await this.#files.open(key, signal)).mtimeMs };
    } catch (error) {
      throw fromNative(error);
    }
  }

  /** @internal All that reading a plane of a TIFF takes, for those who read it later. */
  async fetchPlane(
    key: string,
    page: number,
    sample: number,
    signal: AbortSignal | undefined,
  ): Promise<NativeFileParts> {
    try {
      return (await this.#ask(key, signal, (file) => native().havePlaneOfParts(file, page, sample))).file;
    } catch (error) {
      throw fromNative(error);
    }
  }

  /** @internal Size and time of a file. */
  async stat(
    key: string,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly size: number; readonly mtimeMs: number }> {
    return this.#files.open(key, signal);
  }

  #asKind(key: string, error: unknown): unknown {
    return isTilecastError(error, "ERR_TIFF_DAMAGED") && !/\.tiff?$/i.test(key)
      ? wrongKind(this, key, `holds no image (${error.message})`)
      : error;
  }

  /** Asks the native reader, fetches what it says is missing, and asks again. */
  #ask<T extends object>(
    key: string,
    signal: AbortSignal | undefined,
    ask: (file: NativeFileParts) => Promise<T>,
  ): Promise<{ answer: Exclude<T, NativeMissing>; file: NativeFileParts }> {
    return this.#files.steady(key, async () => {
      const { size } = await this.#files.open(key, signal);
      const held: Blocks = await this.#files.blocks(key, [0], signal);
      for (;;) {
        const indices = [...held.keys()].sort((a, b) => a - b);
        const file: NativeFileParts = {
          name: this.url(key),
          size,
          offsets: indices.map((i) => i * this.#blockBytes),
          parts: indices.map((i) => held.get(i) as Uint8Array),
        };
        const answer = await ask(file);
        const ranges = (answer as Partial<NativeMissing>).missing;
        if (ranges === undefined) return { answer: answer as Exclude<T, NativeMissing>, file };
        // First as it is claimed: its blocks could be too many to count.
        this.#checkBudget(
          key,
          ranges.reduce((sum, n, i) => (i % 2 === 1 ? sum + n : sum), 0),
        );
        const wanted = this.#indicesOf(ranges).filter((i) => !held.has(i));
        if (wanted.length === 0)
          throw new TilecastError("ERR_INTERNAL", `${this.url(key)}: ranges that are here were missed`, {
            key,
          });
        const lengths = [...held.keys(), ...wanted].map((i) =>
          Math.min(this.#blockBytes, size - i * this.#blockBytes),
        );
        this.#checkBudget(
          key,
          lengths.reduce((sum, n) => sum + n, 0),
        );
        for (const [i, block] of await this.#files.blocks(key, wanted, signal)) held.set(i, block);
      }
    });
  }

  #checkBudget(key: string, bytes: number): void {
    if (bytes <= this.#maxReadBytes) return;
    throw new TilecastError(
      "ERR_STORE_BUDGET",
      `${this.url(key)}: this read needs ${bytes} bytes, and maxReadBytes is ${this.#maxReadBytes}`,
      { key, path: this.url(key) },
    );
  }

  /** Blocks that ranges (offset, bytes, offset, ...) reach into. */
  #indicesOf(ranges: Float64Array): number[] {
    const indices = new Set<number>();
    for (let i = 0; i < ranges.length; i += 2) {
      const first = Math.floor((ranges[i] as number) / this.#blockBytes);
      const end = Math.ceil(((ranges[i] as number) + (ranges[i + 1] as number)) / this.#blockBytes);
      for (let index = first; index < end; index++) indices.add(index);
    }
    return [...indices];
  }

  protected async put(key: string): Promise<void> {
    throw readOnlyStore(this, key, "HTTP is read only");
  }

  protected async remove(key: string): Promise<boolean> {
    throw readOnlyStore(this, key, "HTTP is read only");
  }

  protected override async release(): Promise<void> {
    this.forget();
  }
}
