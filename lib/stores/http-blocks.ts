// SPDX-License-Identifier: MIT
// Files of a web server in blocks and ranges: what was fetched is kept up to a budget, what several want is asked for once, and no read mixes
// two versions of a file.

import { HttpError, type TilecastError } from "../errors.js";
import { BlockCache } from "./block-cache.js";
import { type Fetched, type HttpClient, publicUrl } from "./http-client.js";
import { SharedTask } from "./shared-task.js";
import { type ByteRange, clipRange, type FileRanges } from "./store.js";

/** Blocks that lie in a row are one request, up to this. */
const maxRequestBytes = 8 * 1024 * 1024;
/** Files whose size is remembered. */
const maxFacts = 100_000;
/** How often a read starts anew because the file was replaced under it. */
const maxRestarts = 3;

/** What the first answer said of a file; a later one that says otherwise is of another version. */
export interface Facts {
  readonly size: number;
  readonly version: string;
  readonly mtimeMs: number;
}

/** Ranges that lie no further apart are one request: as many bytes as come on the way there and back. */
const maxGapBytes = 64 * 1024;

export type Blocks = Map<number, Uint8Array>;

/** A range on its way. */
interface Part extends ByteRange {
  /** As it was asked for. */
  readonly range: ByteRange;
  /** In the cache. */
  readonly name: string;
}

/** The file was replaced between two requests. */
class Changed extends HttpError {}

export interface HttpBlocksOptions {
  readonly client: HttpClient;
  readonly cacheBytes: number;
  readonly blockBytes: number;
  /** Of files on servers that know no ranges. */
  readonly maxWholeBytes: number;
  readonly urlOf: (key: string) => URL;
  readonly notFound: (key: string) => TilecastError;
}

export class HttpBlocks {
  readonly #options: HttpBlocksOptions;
  readonly #cache: BlockCache;
  readonly #facts = new Map<string, Facts>();
  /** Of each key, the names of cached ranges that are no blocks. */
  readonly #ranges = new Map<string, Set<string>>();
  /** Blocks on their way, by key and index. */
  readonly #coming = new Map<string, SharedTask<Blocks>>();

  constructor(options: HttpBlocksOptions) {
    this.#options = options;
    this.#cache = new BlockCache(options.cacheBytes);
  }

  get cachedBytes(): number {
    return this.#cache.bytes;
  }

  /** Lets go of what is known of a key, or of all. */
  forget(key?: string): void {
    if (key !== undefined) {
      this.#forgetKey(key);
      return;
    }
    this.#facts.clear();
    this.#ranges.clear();
    this.#cache.clear();
  }

  #forgetKey(key: string): void {
    const facts = this.#facts.get(key);
    if (facts === undefined) return;
    this.#facts.delete(key);
    for (let i = 0; i * this.#options.blockBytes < facts.size; i++) this.#cache.delete(blockName(key, i));
    for (const name of this.#ranges.get(key) ?? []) this.#cache.delete(name);
    this.#ranges.delete(key);
  }

  /** What the server says of a file. */
  async open(key: string, signal: AbortSignal | undefined): Promise<Facts> {
    if (!this.#facts.has(key)) await this.blocks(key, [0], signal);
    const facts = this.#facts.get(key);
    if (facts === undefined) throw this.#changed(key);
    return facts;
  }

  #changed(key: string): Changed {
    return new Changed(`${publicUrl(this.#options.urlOf(key))} was replaced while it was read`, {
      url: publicUrl(this.#options.urlOf(key)),
      attempts: 1,
      key,
      retriable: true,
    });
  }

  /** Reads of one version: again when another came in between. */
  async steady<T>(key: string, read: () => Promise<T>): Promise<T> {
    for (let restart = 0; ; restart++) {
      try {
        return await read();
      } catch (error) {
        if (!(error instanceof Changed) || restart === maxRestarts) throw error;
      }
      this.#forgetKey(key);
    }
  }

  /** Ranges as they are, those that lie close together with one request. */
  ranges(key: string, ranges: readonly ByteRange[], signal: AbortSignal | undefined): Promise<FileRanges> {
    return this.steady(key, async () => {
      const found = new Map<ByteRange, Uint8Array>();
      const known = this.#facts.get(key);
      const absent: ByteRange[] = [];
      for (const range of ranges) {
        const cached = known && this.#cache.get(rangeName(key, range));
        if (cached === undefined) absent.push(range);
        else found.set(range, cached.slice());
      }
      const parts = absent.map((range) => this.#part(key, range, known?.size));
      const fetched = await Promise.all(
        together(parts.filter((part) => part.bytes > 0)).map((run) => this.#fetchRun(key, run, signal)),
      );
      for (const run of fetched) for (const [{ range }, bytes] of run) found.set(range, bytes);
      const { size, version } = await this.open(key, signal);
      const none = new Uint8Array(0);
      return { size, version, parts: ranges.map((range) => found.get(range) ?? none) };
    });
  }

  /** Where a range lies; as it is while the file's size is not known. */
  #part(key: string, range: ByteRange, size: number | undefined): Part {
    const name = rangeName(key, range);
    if (size === undefined) return { ...range, range, name };
    const { first, end } = clipRange(range, size);
    return { offset: first, bytes: end - first, range, name };
  }

  /** Neighbouring ranges with one request. */
  async #fetchRun(
    key: string,
    run: readonly Part[],
    signal: AbortSignal | undefined,
  ): Promise<Map<Part, Uint8Array>> {
    const { offset } = run[0] as Part;
    const end = Math.max(...run.map((part) => part.offset + part.bytes));
    let fetched: Fetched | null;
    try {
      fetched = await this.#options.client.get(
        this.#options.urlOf(key),
        offset,
        offset < 0 ? -offset : end - offset,
        this.#options.maxWholeBytes,
        signal,
      );
    } catch (error) {
      // Some servers know ranges, but none that count from the end (RFC 9110 leaves them the choice).
      if (offset >= 0 || !(error instanceof HttpError) || error.retriable) throw error;
      const { size } = await this.open(key, signal);
      return new Map(
        await Promise.all(
          run.map(async (part): Promise<[Part, Uint8Array]> => {
            const there = this.#part(key, part.range, size);
            const bytes = await this.#fetchRun(key, [there], signal);
            return [part, bytes.get(there) as Uint8Array];
          }),
        ),
      );
    }
    if (fetched === null) throw this.#options.notFound(key);
    this.#learn(key, fetched);
    // A server without range requests gave all of it: the next read finds it.
    if (fetched.bytes.length === fetched.size) this.#keep(key, fetched);
    const parts = new Map<Part, Uint8Array>();
    for (const part of run) {
      const { first: from, end: to } = clipRange(part, fetched.size);
      const bytes = fetched.bytes.slice(from - fetched.offset, to - fetched.offset);
      parts.set(part, bytes);
      this.#cache.set(part.name, bytes.slice());
      const names = this.#ranges.get(key);
      if (names === undefined) this.#ranges.set(key, new Set([part.name]));
      else names.add(part.name);
    }
    return parts;
  }

  /** Blocks of a file, from the cache or the server. Block 0 of an empty file is not among them. */
  async blocks(key: string, indices: readonly number[], signal: AbortSignal | undefined): Promise<Blocks> {
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
      [...tasks].map((task) => task.wait(signal, `reading ${publicUrl(this.#options.urlOf(key))}`)),
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
        (run.length + 1) * this.#options.blockBytes <= maxRequestBytes
      )
        run.push(index);
      else runs.push([index]);
    }
    return runs;
  }

  #request(key: string, run: readonly number[]): SharedTask<Blocks> {
    const url = this.#options.urlOf(key);
    const task: SharedTask<Blocks> = new SharedTask(async (signal) => {
      try {
        const fetched = await this.#options.client.get(
          url,
          (run[0] as number) * this.#options.blockBytes,
          run.length * this.#options.blockBytes,
          this.#options.maxWholeBytes,
          signal,
        );
        if (fetched === null) throw this.#options.notFound(key);
        return this.#keep(key, fetched);
      } finally {
        for (const index of run)
          if (this.#coming.get(blockName(key, index)) === task) this.#coming.delete(blockName(key, index));
      }
    });
    for (const index of run) this.#coming.set(blockName(key, index), task);
    return task;
  }

  #keep(key: string, fetched: Fetched): Blocks {
    this.#learn(key, fetched);
    const { offset, bytes } = fetched;
    const blocks: Blocks = new Map();
    for (let at = 0; at < bytes.length; at += this.#options.blockBytes) {
      const index = (offset + at) / this.#options.blockBytes;
      // A copy: a view would keep the whole answer while any of its blocks is in the cache.
      const block = bytes.slice(at, at + this.#options.blockBytes);
      blocks.set(index, block);
      this.#cache.set(blockName(key, index), block);
    }
    return blocks;
  }

  /** Believes the first answer's facts, and throws where another says otherwise. */
  #learn(key: string, { size, version, mtimeMs }: Fetched): void {
    const known = this.#facts.get(key);
    if (known !== undefined && (known.size !== size || known.version !== version)) {
      this.#forgetKey(key);
      throw this.#changed(key);
    }
    if (known === undefined) {
      this.#facts.set(key, { size, version, mtimeMs });
      for (const oldest of this.#facts.keys()) {
        if (this.#facts.size <= maxFacts) break;
        this.#forgetKey(oldest);
      }
    }
  }
}

/** Ranges in groups of one request each, ascending; each that counts from the end alone. */
function together(parts: readonly Part[]): Part[][] {
  const runs: Part[][] = parts.filter(({ offset }) => offset < 0).map((part) => [part]);
  let run: Part[] = [];
  let first = 0;
  let end = 0;
  for (const part of parts.filter(({ offset }) => offset >= 0).sort((a, b) => a.offset - b.offset)) {
    const further = Math.max(end, part.offset + part.bytes);
    if (run.length > 0 && part.offset <= end + maxGapBytes && further - first <= maxRequestBytes) {
      run.push(part);
      end = further;
    } else {
      run = [part];
      runs.push(run);
      first = part.offset;
      end = part.offset + part.bytes;
    }
  }
  return runs;
}

const blockName = (key: string, index: number) => `${index} ${key}`;
const rangeName = (key: string, { offset, bytes }: ByteRange) => `${offset}+${bytes} ${key}`;
