// SPDX-License-Identifier: MIT
// Store: one small interface over every place that images and files are kept in.

import { setMaxListeners } from "node:events";
import { TilecastError } from "../errors.js";
import type { DType, TypedArray } from "../image/dtype.js";
import { checkInteger, invalidArgument } from "../image/shape.js";
import type { Tile, TileComponents } from "../image/tile.js";
import type { TilePool } from "../image/tile-pool.js";

/** A plane in memory of its own, C order, without padding. */
export interface StoredImage {
  readonly shape: readonly [y: number, x: number];
  readonly dtype: DType;
  readonly pixels: TypedArray;
}

/** What a key can hold: bytes, or a plane. A tile is copied before the call's promise settles; it stays the caller's. */
export type StoreValue = Uint8Array | StoredImage | Tile;

export interface StoreOptions {
  /** Ends the call with ERR_CANCELLED. What was not finished by then has not happened. */
  readonly signal?: AbortSignal | undefined;
}

/** One resolution of an image. */
export interface ImageLevel {
  /** px */
  readonly width: number;
  /** px */
  readonly height: number;
  /** A pixel's: 1 for grey, 3 for RGB. */
  readonly samples: number;
  readonly dtype: DType;
  /** Of a strip, a tile or a chunk, px: regions along these cost least. */
  readonly chunkWidth: number;
  readonly chunkHeight: number;
}

/** A part of a plane, px. */
export interface ImageRegion {
  readonly y: number;
  readonly x: number;
  readonly height: number;
  readonly width: number;
}

/** A part of a file. */
export interface ByteRange {
  /** From the start; a negative one counts from the end. */
  readonly offset: number;
  /** What lies behind the end of the file is left out. */
  readonly bytes: number;
}

export interface FileRanges {
  /** Of the whole file. */
  readonly size: number;
  /** Another one when the file was replaced in between; empty where that cannot be told. */
  readonly version: string;
  /** In the order of the ranges; the caller's own. */
  readonly parts: readonly Uint8Array[];
}

export interface ReadImageOptions extends StoreOptions {
  /** 0-based page of a file of several; default 0. */
  readonly page?: number;
  /** 0-based sample of a pixel (1 is green of RGB); default 0. */
  readonly sample?: number;
  /** 0 (default) is the full resolution; see {@link Store.levels}. */
  readonly level?: number;
  /** px of that level; default all of it. Only the strips, tiles and chunks that it touches are read. */
  readonly region?: ImageRegion;
  /** Given to the tile. */
  readonly components?: TileComponents;
}

export interface BatchOptions extends ReadImageOptions {
  /** Reads at a time; default 8, which keeps a disk's queue and two cores busy. */
  readonly concurrency?: number;
}

/** One key's outcome in a batch: a failed key does not stop the others. */
export type BatchItem<T> =
  | { readonly key: string; readonly value: T; readonly error?: undefined }
  | { readonly key: string; readonly value?: undefined; readonly error: TilecastError };

/**
 * Keys are relative paths with forward slashes, such as `A01/s1_w1.tif`; a key is never the folder of another. Every write is atomic: who reads,
 * and whoever comes after a crash in the middle of it, finds the old value or the new one.
 *
 * Every call rejects with ERR_INVALID_ARGUMENT (a key that cannot be), ERR_CANCELLED, ERR_STORE_CLOSED, and ERR_IO where the system refuses;
 * calls that read, with ERR_KEY_NOT_FOUND; calls that write, with ERR_STORE_READ_ONLY. Errors carry the `key`, and the `path` where there is a file.
 */
export interface Store extends AsyncDisposable {
  /** "disk", "memory", "virtual", "ome-zarr", "http" */
  readonly kind: string;
  /** Where it is, for people: a path, a URL. */
  readonly location: string;
  readonly readOnly: boolean;

  /** Bytes of images and ranges read from files or a server so far; what is kept in memory costs none. */
  readonly bytesRead: number;

  /** Keys below the folder `prefix` (default: all), sorted by code units; none where there is no such folder. */
  list(prefix?: string, options?: StoreOptions): Promise<string[]>;
  exists(key: string, options?: StoreOptions): Promise<boolean>;
  /** The bytes of a key, the caller's own. ERR_STORE_KIND where the store keeps the key as pixels and not as a file. */
  read(key: string, options?: StoreOptions): Promise<Uint8Array>;
  /** Parts of the bytes of a key: no more is read than lies in or between them. Errors as of {@link read}. */
  readRanges(key: string, ranges: readonly ByteRange[], options?: StoreOptions): Promise<FileRanges>;
  /** The resolutions of an image, the full one first. */
  levels(
    key: string,
    options?: StoreOptions & Pick<ReadImageOptions, "page">,
  ): Promise<readonly ImageLevel[]>;
  /** A plane into memory of its own: costs one copy more than {@link readTile}. ERR_STORE_KIND where the key holds no image. */
  readImage(key: string, options?: ReadImageOptions): Promise<StoredImage>;
  /** A plane into a slot of `pool`; the tile is the caller's to release. Rejects with ERR_SLOT_TOO_SMALL and ERR_POOL_CLOSED too. */
  readTile(key: string, pool: TilePool, options?: ReadImageOptions): Promise<Tile>;
  /** As {@link read} for each key, in the order of `keys`. Rejects as a whole only when cancelled. */
  readBatch(keys: readonly string[], options?: BatchOptions): Promise<BatchItem<Uint8Array>[]>;
  readImageBatch(keys: readonly string[], options?: BatchOptions): Promise<BatchItem<StoredImage>[]>;
  /** All tiles are on loan together: more keys than the pool has slots are refused (ERR_INVALID_ARGUMENT). */
  readTileBatch(keys: readonly string[], pool: TilePool, options?: BatchOptions): Promise<BatchItem<Tile>[]>;
  /** Makes a new key; ERR_KEY_EXISTS when it is there, and of two writers at once one gets it. */
  write(key: string, value: StoreValue, options?: StoreOptions): Promise<void>;
  /** Makes a key, or replaces its value. */
  replace(key: string, value: StoreValue, options?: StoreOptions): Promise<void>;
  /** Whether the key was there. */
  delete(key: string, options?: StoreOptions): Promise<boolean>;
  /** Idempotent. What is under way goes on; later calls reject with ERR_STORE_CLOSED. */
  close(): Promise<void>;
}

/** Names that stores keep for files on their way to their key. */
export const temporaryPrefix = ".tilecast-";

/** Narrows to a key. Throws ERR_INVALID_ARGUMENT. */
export function checkKey(key: unknown, argument = "key"): string {
  const fault =
    typeof key !== "string" || key === ""
      ? "a non-empty string"
      : /[\\\0]/.test(key)
        ? "without backslashes and zero bytes"
        : key.split("/").some((part) => part === "" || part === "." || part === "..")
          ? 'relative, without empty parts, "." and ".."'
          : key.split("/").some((part) => part.startsWith(temporaryPrefix))
            ? `without parts that begin with "${temporaryPrefix}", which are for unfinished files`
            : undefined;
  if (fault === undefined) return key as string;
  throw new TilecastError(
    "ERR_INVALID_ARGUMENT",
    `${argument} must be ${fault}, got ${JSON.stringify(key)}`,
    {
      argument,
      ...(typeof key === "string" ? { key } : {}),
    },
  );
}

export const isImage = (value: StoreValue): value is StoredImage | Tile => !(value instanceof Uint8Array);

/** Throws ERR_CANCELLED when `signal` is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  if (!signal?.aborted) return;
  throw new TilecastError("ERR_CANCELLED", `${what} was cancelled`, {
    cause: signal.reason,
    retriable: true,
  });
}

/** Many reads may end with one signal: that is no leak, which Node warns of from eleven listeners on. */
export function allowListeners(signal: AbortSignal | undefined): void {
  if (signal !== undefined) setMaxListeners(0, signal);
}

export function keyNotFound(store: Store, key: string, path?: string): TilecastError {
  return new TilecastError(
    "ERR_KEY_NOT_FOUND",
    `${store.kind} store ${store.location} has no key ${JSON.stringify(key)}`,
    {
      key,
      ...(path === undefined ? {} : { path }),
    },
  );
}

export function keyExists(store: Store, key: string, why = "it is there already"): TilecastError {
  return new TilecastError(
    "ERR_KEY_EXISTS",
    `${store.kind} store ${store.location}: key ${JSON.stringify(key)} cannot be written: ${why}`,
    { key },
  );
}

export function readOnlyStore(store: Store, key: string, why: string): TilecastError {
  return new TilecastError(
    "ERR_STORE_READ_ONLY",
    `${store.kind} store ${store.location}: ${JSON.stringify(key)} cannot be changed: ${why}`,
    { key },
  );
}

export function wrongKind(store: Store, key: string, what: string): TilecastError {
  return new TilecastError(
    "ERR_STORE_KIND",
    `${store.kind} store ${store.location}: ${JSON.stringify(key)} ${what}`,
    { key },
  );
}

const maxInt = 2 ** 31 - 1;

/** Throws ERR_INVALID_ARGUMENT; whether it lies in the image is the reader's to say (ERR_OP_SHAPE). */
export function checkRegion(region: unknown): ImageRegion {
  if (typeof region !== "object" || region === null)
    throw invalidArgument("region", "{ y, x, height, width }", region);
  const r = region as ImageRegion;
  for (const key of ["y", "x"] as const) checkInteger(r[key], `region.${key}`, 0, maxInt);
  for (const key of ["height", "width"] as const) checkInteger(r[key], `region.${key}`, 1, maxInt);
  return r;
}

/** The whole of a level, or the region when it lies inside. Throws ERR_OP_SHAPE. */
export function regionOf(
  what: string,
  { height, width }: { readonly height: number; readonly width: number },
  region: ImageRegion | undefined,
): ImageRegion {
  if (region === undefined) return { y: 0, x: 0, height, width };
  if (region.y + region.height <= height && region.x + region.width <= width) return region;
  throw new TilecastError(
    "ERR_OP_SHAPE",
    `${what}: the region is ${region.height} x ${region.width} at row ${region.y}, column ${region.x}, the image ${height} x ${width}`,
    { argument: "region" },
  );
}

export function noLevel(key: string, level: number, levels: number): TilecastError {
  return new TilecastError(
    "ERR_INVALID_ARGUMENT",
    `${key}: there is no level ${level}; the image has ${levels}`,
    {
      argument: "level",
      key,
    },
  );
}

/** A range's place in a file of `size` bytes. */
export function clipRange({ offset, bytes }: ByteRange, size: number): { first: number; end: number } {
  const first = Math.min(size, offset < 0 ? Math.max(0, size + offset) : offset);
  return { first, end: Math.min(size, first + bytes) };
}

/** Code-unit order, the same on every machine. */
export const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
