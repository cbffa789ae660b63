// SPDX-License-Identifier: MIT
// HttpStore: files below a URL, read in blocks by range requests; TIFF planes are decoded natively from the blocks that hold them.

import { HttpError, isTilecastError, TilecastError } from "../errors.js";
import { checkInteger, invalidArgument } from "../image/shape.js";
import type { Tile } from "../image/tile.js";
import type { TilePool } from "../image/tile-pool.js";
import { native } from "../native.js";
import { BaseStore } from "./base-store.js";
import { BlockCache } from "./block-cache.js";
import { type Fetched, HttpClient, type HttpClientOptions, publicUrl } from "./http-client.js";
import { SharedTask } from "./shared-task.js";
import {
  byCodeUnits,
  checkKey,
  keyNotFound,
  type ReadImageOptions,
  readOnlyStore,
  wrongKind,
} from "./store.js";
import { tileOf } from "./tiff-tile.js";

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

/** Blocks that lie in a row are one request, up to this. */
const maxRequestBytes = 8 * 1024 * 1024;
/** Files whose size is remembered. */
const maxFacts = 100_000;
/** How often a read starts anew because the file was replaced under it. */
const maxRestarts = 3;

/** What the first answer said of a file; a later one that says otherwise is of another version. */
interface Facts {
  readonly size: number;
  readonly version: string;
}

type Blocks = Map<number, Uint8Array>;

/** The file was replaced between two requests. */
class Changed extends HttpError {}

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
  readonly #cache: BlockCache;
  readonly #blockBytes: number;
  readonly #maxWholeBytes: number;
  readonly #maxReadBytes: number;
  readonly #facts = new Map<string, Facts>();
  /** Blocks on their way, by key and index. */
  readonly #coming = new Map<string, SharedTask<Blocks>>();

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
    this.#cache = new BlockCache(cacheBytes);
    this.#blockBytes = checkInteger(options.blockBytes ?? 256 * 1024, "blockBytes", 64 * 1024, 1024 * 1024);
    this.#maxWholeBytes = checkInteger(options.maxWholeBytes ?? cacheBytes, "maxWholeBytes", 0, cacheBytes);
    this.#maxReadBytes = checkInteger(options.maxReadBytes ?? 1024 ** 3, "maxReadBytes", 1);
  }

  get stats(): HttpStoreStats {
    return Object.freeze({ ...this.#client.stats, cachedBytes: this.#cache.bytes });
  }

  /** The URL of a key, without the base's query. */
  url(key: string): string {
    return publicUrl(this.#urlOf(key));
  }

  /** Lets go of what is known of a key, or of all, so that the next read asks the server. */
  forget(key?: string): void {
    if (key !== undefined) {
      this.#forgetKey(key);
      return;
    }
    this.#facts.clear();
    this.#cache.clear();
  }

  #forgetKey(key: string): void {
    const facts = this.#facts.get(key);
    if (facts === undefined) return;
    this.#facts.delete(key);
    for (let i = 0; i * this.#blockBytes < facts.size; i++) this.#cache.delete(blockName(key, i));
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
      await this.#open(key, signal);
      return true;
    } catch (error) {
      if (isTilecastError(error, "ERR_KEY_NOT_FOUND")) return false;
      throw error;
    }
  }

  async #open(key: string, signal: AbortSignal | undefined): Promise<Facts> {
    if (!this.#facts.has(key)) await this.#blocks(key, [0], signal);
    const facts = this.#facts.get(key);
    if (facts === undefined) throw this.#changed(key);
    return facts;
  }

  #changed(key: string): Changed {
    return new Changed(`${this.url(key)} was replaced while it was read`, {
      url: this.url(key),
      attempts: 1,
      key,
      retriable: true,
    });
  }

  /** Reads of one version: again when another came in between. */
  async #steady<T>(key: string, read: () => Promise<T>): Promise<T> {
    for (let restart = 0; ; restart++) {
      try {
        return await read();
      } catch (error) {
        if (!(error instanceof Changed) || restart === maxRestarts) throw error;
      }
      this.#forgetKey(key);
    }
  }

  protected readBytes(key: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
    return this.#steady(key, async () => {
      const { size } = await this.#open(key, signal);
      this.#checkBudget(key, size);
      const count = Math.ceil(size / this.#blockBytes);
      const blocks = await this.#blocks(key, [...Array(count).keys()], signal);
      const bytes = new Uint8Array(size);
      for (const [i, block] of blocks) bytes.set(block, i * this.#blockBytes);
      return bytes;
    });
  }

  protected loadTile(key: string, pool: TilePool, options: ReadImageOptions): Promise<Tile> {
    const { signal, page = 0, sample = 0 } = options;
    return tileOf(pool, options, (slot) =>
      this.#steady(key, async () => {
        const { size } = await this.#open(key, signal);
        const held: Blocks = await this.#blocks(key, [0], signal);
        for (;;) {
          const indices = [...held.keys()].sort((a, b) => a - b);
          const answer = await native().readPlaneOfParts(
            pool.native,
            slot.slot,
            slot.generation,
            {
              name: this.url(key),
              size,
              offsets: indices.map((i) => i * this.#blockBytes),
              parts: indices.map((i) => held.get(i) as Uint8Array),
            },
            page,
            sample,
          );
          if (!("missing" in answer)) return answer;
          const missing = answer.missing.reduce((sum, n, i) => (i % 2 === 1 ? sum + n : sum), 0);
          // First as it is claimed: its blocks could be too many to count.
          this.#checkBudget(key, missing);
          const wanted = this.#indicesOf(answer.missing).filter((i) => !held.has(i));
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
          for (const [i, block] of await this.#blocks(key, wanted, signal)) held.set(i, block);
        }
      }),
    ).catch((error) => {
      if (isTilecastError(error, "ERR_TIFF_DAMAGED") && !/\.tiff?$/i.test(key))
        throw wrongKind(this, key, `holds no image (${error.message})`);
      throw error;
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

  /** Blocks of a file, from the cache or the server. Block 0 of an empty file is not among them. */
  async #blocks(key: string, indices: readonly number[], signal: AbortSignal | undefined): Promise<Blocks> {
    const found: Blocks = new Map();
    const tasks = new Set<SharedTask<Blocks>>();
    const absent: number[] = [];
    for (const index of [...indices].sort((a, b) => a - b)) {
      const cached = this.#facts.has(key) ? this.#cache.get(blockName(key, index)) : undefined;
      const coming = this.#coming.get(blockName(key, index));
      if (cached !== undefined) found.set(index, cached);
      else if (coming !== undefined && !coming.abandoned) tasks.add(coming);
      else absent.push(index);
    }
    for (const run of this.#runs(absent)) tasks.add(this.#request(key, run));
    const wanted = new Set(indices);
    for (const blocks of await Promise.all(
      [...tasks].map((task) => task.wait(signal, `reading ${this.url(key)}`)),
    ))
      for (const [index, block] of blocks) if (wanted.has(index)) found.set(index, block);
    return found;
  }

  /** Neighbours together. */
  #runs(indices: readonly number[]): number[][] {
    const runs: number[][] = [];
    for (const index of indices) {
      const run = runs.at(-1);
      if (
        run !== undefined &&
        run.at(-1) === index - 1 &&
        (run.length + 1) * this.#blockBytes <= maxRequestBytes
      )
        run.push(index);
      else runs.push([index]);
    }
    return runs;
  }

  #request(key: string, run: readonly number[]): SharedTask<Blocks> {
    const url = this.#urlOf(key);
    const task: SharedTask<Blocks> = new SharedTask(async (signal) => {
      try {
        const fetched = await this.#client.get(
          url,
          (run[0] as number) * this.#blockBytes,
          run.length * this.#blockBytes,
          this.#maxWholeBytes,
          signal,
        );
        if (fetched === null) throw keyNotFound(this, key, this.url(key));
        return this.#keep(key, fetched);
      } finally {
        for (const index of run)
          if (this.#coming.get(blockName(key, index)) === task) this.#coming.delete(blockName(key, index));
      }
    });
    for (const index of run) this.#coming.set(blockName(key, index), task);
    return task;
  }

  #keep(key: string, { offset, bytes, size, version }: Fetched): Blocks {
    const known = this.#facts.get(key);
    if (known !== undefined && (known.size !== size || known.version !== version)) {
      this.#forgetKey(key);
      throw this.#changed(key);
    }
    if (known === undefined) {
      this.#facts.set(key, { size, version });
      for (const oldest of this.#facts.keys()) {
        if (this.#facts.size <= maxFacts) break;
        this.#forgetKey(oldest);
      }
    }
    const blocks: Blocks = new Map();
    for (let at = 0; at < bytes.length; at += this.#blockBytes) {
      const index = (offset + at) / this.#blockBytes;
      // A copy: a view would keep the whole answer while any of its blocks is in the cache.
      const block = bytes.slice(at, at + this.#blockBytes);
      blocks.set(index, block);
      this.#cache.set(blockName(key, index), block);
    }
    return blocks;
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

const blockName = (key: string, index: number) => `${index} ${key}`;
