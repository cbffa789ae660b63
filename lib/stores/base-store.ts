// SPDX-License-Identifier: MIT
// What all stores do alike: checks of arguments, cancellation, closing, batches, planes without a pool of the caller's.

import { isTilecastError, TilecastError } from "../errors.js";
import { checkDType, checkInteger, invalidArgument, shapePixels } from "../image/shape.js";
import { Tile } from "../image/tile.js";
import { TilePool } from "../image/tile-pool.js";
import { ScratchPool } from "./scratch-pool.js";
import {
  type BatchItem,
  type BatchOptions,
  type ByteRange,
  checkKey,
  checkRegion,
  type FileRanges,
  type ImageLevel,
  isImage,
  type ReadImageOptions,
  readOnlyStore,
  type Store,
  type StoredImage,
  type StoreOptions,
  type StoreValue,
  throwIfAborted,
} from "./store.js";

const maxPage = 2 ** 31 - 1;

function checkValue(value: unknown): StoreValue {
  if (value instanceof Uint8Array || value instanceof Tile) return value;
  if (typeof value !== "object" || value === null)
    throw invalidArgument("value", "bytes (a Uint8Array), an image or a tile", value);
  const image = value as StoredImage;
  const dtype = checkDType(image.dtype, "value.dtype");
  if (
    !Array.isArray(image.shape) ||
    image.shape.length !== 2 ||
    !image.shape.every((n) => Number.isSafeInteger(n) && n > 0)
  )
    throw invalidArgument("value.shape", "[y, x] of positive integers", image.shape);
  const expected = shapePixels(image.shape, "value.shape");
  const array = `${dtype[0]?.toUpperCase()}${dtype.slice(1)}Array`;
  if (image.pixels?.constructor?.name !== array || image.pixels.length !== expected)
    throw new TilecastError("ERR_INVALID_ARGUMENT", `value.pixels must be ${expected} pixels in a ${array}`, {
      argument: "value.pixels",
    });
  return image;
}

/** @internal Subclasses do the work; keys and values are checked and the store is open when they are called. */
export abstract class BaseStore implements Store {
  abstract readonly kind: string;
  abstract readonly location: string;
  abstract readonly readOnly: boolean;
  #scratch: ScratchPool | undefined;
  #bytesRead = 0;
  #closed = false;

  protected abstract listKeys(prefix: string, signal: AbortSignal | undefined): Promise<string[]>;
  protected abstract hasKey(key: string, signal: AbortSignal | undefined): Promise<boolean>;
  protected abstract readBytes(key: string, signal: AbortSignal | undefined): Promise<Uint8Array>;
  /** The file's size and the clipped ranges of it. */
  protected abstract readParts(
    key: string,
    ranges: readonly ByteRange[],
    signal: AbortSignal | undefined,
  ): Promise<FileRanges>;
  protected abstract loadLevels(
    key: string,
    page: number,
    signal: AbortSignal | undefined,
  ): Promise<readonly ImageLevel[]>;
  protected abstract loadTile(key: string, pool: TilePool, options: ReadImageOptions): Promise<Tile>;
  /** `exclusive`: only if the key is not there. */
  protected abstract put(
    key: string,
    value: StoreValue,
    exclusive: boolean,
    signal: AbortSignal | undefined,
  ): Promise<void>;
  protected abstract remove(key: string, signal: AbortSignal | undefined): Promise<boolean>;
  /** Lets go of what the store holds. */
  protected async release(): Promise<void> {}

  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** Counts what a read took from files or a server. */
  protected count(bytes: number | undefined): void {
    this.#bytesRead += bytes ?? 0;
  }

  #enter(what: string, options: StoreOptions | undefined): void {
    if (options !== undefined && (typeof options !== "object" || options === null))
      throw invalidArgument("options", "an object", options);
    if (this.#closed)
      throw new TilecastError("ERR_STORE_CLOSED", `${this.kind} store ${this.location} is closed`);
    throwIfAborted(options?.signal, `${what} of ${this.kind} store ${this.location}`);
  }

  async list(prefix = "", options: StoreOptions = {}): Promise<string[]> {
    this.#enter("list", options);
    if (prefix !== "") checkKey(prefix, "prefix");
    return this.listKeys(prefix, options.signal);
  }

  async exists(key: string, options: StoreOptions = {}): Promise<boolean> {
    this.#enter("exists", options);
    return this.hasKey(checkKey(key), options.signal);
  }

  async read(key: string, options: StoreOptions = {}): Promise<Uint8Array> {
    this.#enter("read", options);
    return this.readBytes(checkKey(key), options.signal);
  }

  async readRanges(
    key: string,
    ranges: readonly ByteRange[],
    options: StoreOptions = {},
  ): Promise<FileRanges> {
    this.#enter("readRanges", options);
    checkKey(key);
    if (!Array.isArray(ranges)) throw invalidArgument("ranges", "an array of { offset, bytes }", ranges);
    for (const { offset, bytes } of ranges as readonly ByteRange[]) {
      checkInteger(offset, "ranges: offset", -Number.MAX_SAFE_INTEGER);
      checkInteger(bytes, "ranges: bytes", 1);
    }
    return this.readParts(key, ranges, options.signal);
  }

  async levels(
    key: string,
    options: StoreOptions & Pick<ReadImageOptions, "page"> = {},
  ): Promise<readonly ImageLevel[]> {
    this.#enter("levels", options);
    return this.loadLevels(
      checkKey(key),
      checkInteger(options.page ?? 0, "page", 0, maxPage),
      options.signal,
    );
  }

  async readTile(key: string, pool: TilePool, options: ReadImageOptions = {}): Promise<Tile> {
    this.#enter("readTile", options);
    if (!(pool instanceof TilePool)) throw invalidArgument("pool", "a TilePool", pool);
    checkKey(key);
    if (pool.closed) throw new TilecastError("ERR_POOL_CLOSED", `the tile pool ${pool.id} is closed`);
    checkInteger(options.page ?? 0, "page", 0, maxPage);
    checkInteger(options.sample ?? 0, "sample", 0, maxPage);
    checkInteger(options.level ?? 0, "level", 0, maxPage);
    if (options.region !== undefined) checkRegion(options.region);
    const tile = await this.loadTile(key, pool, options);
    if (options.signal?.aborted) tile.release();
    throwIfAborted(options.signal, `readTile of ${this.kind} store ${this.location}`);
    return tile;
  }

  async readImage(key: string, options: ReadImageOptions = {}): Promise<StoredImage> {
    this.#enter("readImage", options);
    this.#scratch ??= new ScratchPool();
    return this.#scratch.read((pool) => this.readTile(key, pool, options));
  }

  readBatch(keys: readonly string[], options: BatchOptions = {}): Promise<BatchItem<Uint8Array>[]> {
    return this.#batch(keys, options, (key) => this.read(key, options));
  }

  readImageBatch(keys: readonly string[], options: BatchOptions = {}): Promise<BatchItem<StoredImage>[]> {
    return this.#batch(keys, options, (key) => this.readImage(key, options));
  }

  async readTileBatch(
    keys: readonly string[],
    pool: TilePool,
    options: BatchOptions = {},
  ): Promise<BatchItem<Tile>[]> {
    if (!(pool instanceof TilePool)) throw invalidArgument("pool", "a TilePool", pool);
    if (Array.isArray(keys) && keys.length > pool.slots)
      throw new TilecastError(
        "ERR_INVALID_ARGUMENT",
        `keys: ${keys.length} tiles at once do not fit into a pool of ${pool.slots} slots; read fewer at a time`,
        { argument: "keys" },
      );
    return this.#batch(
      keys,
      options,
      (key) => this.readTile(key, pool, options),
      (tile) => tile[Symbol.dispose](),
    );
  }

  /** `drop` gives back what was read when the batch is cancelled. */
  async #batch<T>(
    keys: readonly string[],
    options: BatchOptions,
    read: (key: string) => Promise<T>,
    drop: (value: T) => void = () => {},
  ): Promise<BatchItem<T>[]> {
    this.#enter("a batch", options);
    if (!Array.isArray(keys)) throw invalidArgument("keys", "an array of keys", keys);
    const concurrency = checkInteger(options.concurrency ?? 8, "concurrency", 1, 1024);
    const items: BatchItem<T>[] = new Array(keys.length);
    let next = 0;
    let fatal: unknown;
    const worker = async () => {
      while (next < keys.length && fatal === undefined) {
        const i = next++;
        const key = keys[i] as string;
        try {
          items[i] = { key, value: await read(key) };
        } catch (error) {
          if (isTilecastError(error) && error.code !== "ERR_CANCELLED") items[i] = { key, error };
          else fatal ??= error;
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(concurrency, keys.length) }, worker));
    if (fatal === undefined) return items;
    for (const item of items) if (item?.value !== undefined) drop(item.value);
    throw fatal;
  }

  async #put(key: string, value: StoreValue, exclusive: boolean, options: StoreOptions): Promise<void> {
    this.#enter(exclusive ? "write" : "replace", options);
    checkKey(key);
    if (this.readOnly) throw readOnlyStore(this, key, "the store is read-only");
    checkValue(value);
    if (isImage(value) && value.shape.length !== 2)
      throw invalidArgument("value.shape", "[y, x]: a store keeps one plane a key", value.shape);
    await this.put(key, value, exclusive, options.signal);
  }

  async write(key: string, value: StoreValue, options: StoreOptions = {}): Promise<void> {
    await this.#put(key, value, true, options);
  }

  async replace(key: string, value: StoreValue, options: StoreOptions = {}): Promise<void> {
    await this.#put(key, value, false, options);
  }

  async delete(key: string, options: StoreOptions = {}): Promise<boolean> {
    this.#enter("delete", options);
    checkKey(key);
    if (this.readOnly) throw readOnlyStore(this, key, "the store is read-only");
    return this.remove(key, options.signal);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#scratch?.close();
    await this.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
