// SPDX-License-Identifier: MIT
// MemoryStore: values in this process's memory, up to a byte budget; for intermediates that never touch a disk.

import { TilecastError } from "../errors.js";
import { typedView } from "../image/dtype.js";
import { checkInteger, invalidArgument } from "../image/shape.js";
import { Tile } from "../image/tile.js";
import type { TilePool } from "../image/tile-pool.js";
import { BaseStore } from "./base-store.js";
import {
  type ByteRange,
  byCodeUnits,
  clipRange,
  type FileRanges,
  type ImageLevel,
  isImage,
  keyExists,
  keyNotFound,
  noLevel,
  type ReadImageOptions,
  regionOf,
  type StoredImage,
  type StoreValue,
  wrongKind,
} from "./store.js";

export interface MemoryStoreOptions {
  /** Bytes that all values together may have. */
  readonly maxBytes: number;
  /** For messages; default "memory". */
  readonly name?: string;
}

/** A report of this moment. */
export interface MemoryStoreStats {
  readonly keys: number;
  readonly bytes: number;
  readonly maxBytes: number;
  readonly peakBytes: number;
}

type Held = { readonly bytes: Uint8Array; readonly version: number } | { readonly image: StoredImage };

const sizeOf = (held: Held) => ("bytes" in held ? held.bytes.byteLength : held.image.pixels.byteLength);

const mebibytes = (bytes: number) =>
  bytes < 1024 * 1024 ? `${bytes} B` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;

/** Values are copied in and out: what the caller does with its own memory afterwards changes nothing here. */
export class MemoryStore extends BaseStore {
  readonly kind = "memory";
  readonly location: string;
  readonly readOnly = false;
  readonly #maxBytes: number;
  readonly #values = new Map<string, Held>();
  /** Of each folder, the keys below it, so that no key becomes one. */
  readonly #folders = new Map<string, number>();
  #bytes = 0;
  #peakBytes = 0;
  #version = 0;

  constructor(options: MemoryStoreOptions) {
    super();
    if (typeof options !== "object" || options === null)
      throw invalidArgument("options", "{ maxBytes }", options);
    this.#maxBytes = checkInteger(options.maxBytes, "maxBytes", 0);
    this.location = options.name ?? "memory";
  }

  get stats(): MemoryStoreStats {
    return Object.freeze({
      keys: this.#values.size,
      bytes: this.#bytes,
      maxBytes: this.#maxBytes,
      peakBytes: this.#peakBytes,
    });
  }

  protected async listKeys(prefix: string): Promise<string[]> {
    const below = prefix === "" ? "" : `${prefix}/`;
    return [...this.#values.keys()].filter((key) => key.startsWith(below)).sort(byCodeUnits);
  }

  protected async hasKey(key: string): Promise<boolean> {
    return this.#values.has(key);
  }

  #held(key: string): Held {
    const held = this.#values.get(key);
    if (held === undefined) throw keyNotFound(this, key);
    return held;
  }

  protected async readBytes(key: string): Promise<Uint8Array> {
    const held = this.#held(key);
    if ("image" in held) throw wrongKind(this, key, "holds an image: read it as one");
    return held.bytes.slice();
  }

  protected async loadTile(key: string, pool: TilePool, options: ReadImageOptions): Promise<Tile> {
    const held = this.#held(key);
    if ("bytes" in held) throw wrongKind(this, key, "holds no image");
    if ((options.page ?? 0) > 0 || (options.sample ?? 0) > 0)
      throw new TilecastError(
        "ERR_INVALID_ARGUMENT",
        `${key}: there is no page ${options.page ?? 0}, sample ${options.sample ?? 0}: an image in memory has one of each`,
        { argument: (options.page ?? 0) > 0 ? "page" : "sample", key },
      );
    if ((options.level ?? 0) > 0) throw noLevel(key, options.level as number, 1);
    const { shape, dtype, pixels } = held.image;
    const { signal, components } = options;
    const [height, width] = shape;
    const region = regionOf(key, { height, width }, options.region);
    const tile = await pool.loan([region.height, region.width], dtype, {
      ...(signal ? { signal } : {}),
      ...(components ? { components } : {}),
    });
    const view = tile.view();
    for (let row = 0; row < region.height; row++) {
      const first = (region.y + row) * width + region.x;
      view.set(pixels.subarray(first, first + region.width) as never, row * region.width);
    }
    return tile;
  }

  protected async loadLevels(key: string, page: number): Promise<readonly ImageLevel[]> {
    const held = this.#held(key);
    if ("bytes" in held) throw wrongKind(this, key, "holds no image");
    if (page > 0) throw invalidArgument("page", "0: an image in memory has one page", page);
    const [height, width] = held.image.shape;
    return [{ width, height, samples: 1, dtype: held.image.dtype, chunkWidth: width, chunkHeight: height }];
  }

  protected async readParts(key: string, ranges: readonly ByteRange[]): Promise<FileRanges> {
    const held = this.#held(key);
    if ("image" in held) throw wrongKind(this, key, "holds an image: read it as one");
    const { bytes } = held;
    return {
      size: bytes.length,
      version: String(held.version),
      parts: ranges.map((range) => {
        const { first, end } = clipRange(range, bytes.length);
        return bytes.slice(first, end);
      }),
    };
  }

  protected async put(key: string, value: StoreValue, exclusive: boolean): Promise<void> {
    const previous = this.#values.get(key);
    if (exclusive && previous !== undefined) throw keyExists(this, key);
    if (this.#folders.has(key)) throw keyExists(this, key, "it is a folder of other keys");
    const folders = foldersOf(key);
    if (folders.some((folder) => this.#values.has(folder)))
      throw keyExists(this, key, "a part of it is a key itself");
    const pixels = isImage(value) ? (value instanceof Tile ? value.view() : value.pixels) : undefined;
    const needed = (pixels ?? (value as Uint8Array)).byteLength;
    const others = this.#bytes - (previous === undefined ? 0 : sizeOf(previous));
    if (others + needed > this.#maxBytes) throw this.#tooMuch(key, needed, others);
    // Synchronous from here: nobody sees a part of it.
    const held: Held =
      pixels === undefined
        ? { bytes: (value as Uint8Array).slice(), version: ++this.#version }
        : { image: imageCopy(value as StoredImage | Tile, pixels) };
    if (previous === undefined)
      for (const folder of folders) this.#folders.set(folder, (this.#folders.get(folder) ?? 0) + 1);
    this.#values.set(key, held);
    this.#bytes = others + needed;
    this.#peakBytes = Math.max(this.#peakBytes, this.#bytes);
  }

  /** Says what holds the memory: the largest values, by name. */
  #tooMuch(key: string, needed: number, others: number): TilecastError {
    const largest = [...this.#values]
      .map(([name, held]) => ({ name, bytes: sizeOf(held) }))
      .sort((a, b) => b.bytes - a.bytes)
      .slice(0, 3)
      .map(({ name, bytes }) => `${name} ${mebibytes(bytes)}`);
    const held =
      largest.length === 0
        ? "it is empty"
        : `${this.#values.size} keys hold ${mebibytes(others)}, the largest ${largest.join(", ")}`;
    return new TilecastError(
      "ERR_STORE_BUDGET",
      `memory store ${this.location}: ${JSON.stringify(key)} needs ${mebibytes(needed)} and the budget is ${mebibytes(this.#maxBytes)}; ${held}. Delete keys that are done, or raise maxBytes`,
      { key, retriable: needed <= this.#maxBytes },
    );
  }

  protected async remove(key: string): Promise<boolean> {
    const held = this.#values.get(key);
    if (held === undefined) return false;
    this.#values.delete(key);
    this.#bytes -= sizeOf(held);
    for (const folder of foldersOf(key)) {
      const left = (this.#folders.get(folder) as number) - 1;
      if (left === 0) this.#folders.delete(folder);
      else this.#folders.set(folder, left);
    }
    return true;
  }

  protected override async release(): Promise<void> {
    this.#values.clear();
    this.#folders.clear();
    this.#bytes = 0;
  }
}

/** "a/b/c" -> "a", "a/b" */
function foldersOf(key: string): string[] {
  const parts = key.split("/");
  return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join("/"));
}

function imageCopy({ shape, dtype }: StoredImage | Tile, pixels: StoredImage["pixels"]): StoredImage {
  const [y, x] = shape as readonly [number, number];
  const { buffer, byteOffset, byteLength } = pixels;
  // A slot's buffer is shared memory of the whole pool; the copy is its own, of just these bytes.
  const copy = new Uint8Array(buffer, byteOffset, byteLength).slice();
  return { shape: [y, x], dtype, pixels: typedView(copy.buffer, dtype, 0, pixels.length) };
}
