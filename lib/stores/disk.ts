// SPDX-License-Identifier: MIT
// DiskStore: a folder. Keys are its files; images are TIFF files, decoded natively.

import { readFile, stat, unlink } from "node:fs/promises";
import { join, resolve } from "node:path";
import { isTilecastError, TilecastError } from "../errors.js";
import { invalidArgument } from "../image/shape.js";
import { Tile } from "../image/tile.js";
import type { TilePool } from "../image/tile-pool.js";
import { BaseStore } from "./base-store.js";
import { errnoOf, filesBelow, isAbsent, isFile, sweepTemporaries, writeAtomically } from "./folder.js";
import {
  isImage,
  keyExists,
  keyNotFound,
  type ReadImageOptions,
  type StoredImage,
  type StoreOptions,
  type StoreValue,
  throwIfAborted,
  wrongKind,
} from "./store.js";
import { readTiffTile } from "./tiff-tile.js";
import { tiffHead } from "./tiff-write.js";

export interface DiskStoreOptions {
  /** Refuse writes. Default false. */
  readonly readOnly?: boolean;
  /**
   * Wait for the disk at each write: then it survives a power cut too. Default false, as results can be made again and waiting costs
   * milliseconds a file.
   */
  readonly sync?: boolean;
}

/** @internal The bytes behind an image's pixels. */
export function fileBytes(value: StoredImage | Tile): Uint8Array {
  const pixels = value instanceof Tile ? value.view() : value.pixels;
  return new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength);
}

/** @internal A value as a file's parts; images only under names of TIFF files, since others would not find them. */
export function fileParts(key: string, value: StoreValue): readonly Uint8Array[] {
  if (!isImage(value)) return [value];
  if (!/\.tiff?$/i.test(key))
    throw new TilecastError(
      "ERR_INVALID_ARGUMENT",
      `key must end with .tif or .tiff for an image, got ${JSON.stringify(key)}`,
      { argument: "key", key },
    );
  const [y, x] = value.shape as readonly [number, number];
  return [tiffHead([y, x], value.dtype), fileBytes(value)];
}

/** @internal Where files are read for stores: `found` says that a system's "no such file" is the key's fault. */
export async function readFileBytes(
  path: string,
  signal: AbortSignal | undefined,
  notFound: () => TilecastError,
): Promise<Uint8Array> {
  try {
    const bytes = await readFile(path, signal ? { signal } : {});
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  } catch (error) {
    throwIfAborted(signal, `reading ${path}`);
    if (isAbsent(error) || errnoOf(error) === "EISDIR") throw notFound();
    throw systemError("read", path, error);
  }
}

/** @internal As {@link readFileBytes}, for the plane of a TIFF file. */
export async function readFileTile(
  path: string,
  pool: TilePool,
  options: ReadImageOptions,
  notFound: () => TilecastError,
  notImage: (why: TilecastError) => TilecastError,
): Promise<Tile> {
  try {
    return await readTiffTile(path, pool, options);
  } catch (error) {
    if (isTilecastError(error, "ERR_IO") && !(await isFile(path))) throw notFound();
    if (isTilecastError(error, "ERR_TIFF_DAMAGED") && !/\.tiff?$/i.test(path)) throw notImage(error);
    throw error;
  }
}

/** @internal ERR_IO with the system's own code in its sentence; what is typed already passes. */
export function systemError(doing: string, path: string, error: unknown): unknown {
  if (error instanceof TilecastError || errnoOf(error) === "") return error;
  return new TilecastError("ERR_IO", `${path}: cannot ${doing} (${(error as Error).message})`, {
    path,
    cause: error,
  });
}

export class DiskStore extends BaseStore {
  readonly kind = "disk";
  readonly location: string;
  readonly readOnly: boolean;
  readonly #sync: boolean;

  /** The folder is made by the first write; one that is not there is empty. */
  constructor(root: string, options: DiskStoreOptions = {}) {
    super();
    if (typeof root !== "string" || root === "") throw invalidArgument("root", "a path", root);
    this.location = resolve(root);
    this.readOnly = options.readOnly ?? false;
    this.#sync = options.sync ?? false;
  }

  /** The file of a key. */
  path(key: string): string {
    return join(this.location, key);
  }

  /** Removes what crashed processes of this machine left unfinished; gives the number of files. */
  async sweep(options: StoreOptions = {}): Promise<number> {
    return sweepTemporaries(this.location, options.signal);
  }

  protected async listKeys(prefix: string, signal: AbortSignal | undefined): Promise<string[]> {
    try {
      return await filesBelow(this.location, prefix, signal);
    } catch (error) {
      throw systemError("list", this.path(prefix), error);
    }
  }

  protected async hasKey(key: string): Promise<boolean> {
    try {
      return await isFile(this.path(key));
    } catch (error) {
      throw systemError("look for", this.path(key), error);
    }
  }

  protected readBytes(key: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const path = this.path(key);
    return readFileBytes(path, signal, () => keyNotFound(this, key, path));
  }

  protected loadTile(key: string, pool: TilePool, options: ReadImageOptions): Promise<Tile> {
    const path = this.path(key);
    return readFileTile(
      path,
      pool,
      options,
      () => keyNotFound(this, key, path),
      (why) => wrongKind(this, key, `holds no image (${why.message})`),
    );
  }

  protected async put(
    key: string,
    value: StoreValue,
    exclusive: boolean,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const path = this.path(key);
    try {
      await writeAtomically(path, fileParts(key, value), { exclusive, sync: this.#sync, signal });
    } catch (error) {
      const code = errnoOf(error);
      if (code === "EEXIST" && (await isFile(path).catch(() => false))) throw keyExists(this, key);
      if (["EEXIST", "EISDIR", "ENOTEMPTY"].includes(code) && (await isFolder(path)))
        throw keyExists(this, key, "it is a folder of other keys");
      if (["EEXIST", "ENOTDIR"].includes(code)) throw keyExists(this, key, "a part of it is a key itself");
      throw systemError("write", path, error);
    }
  }

  protected async remove(key: string): Promise<boolean> {
    const path = this.path(key);
    try {
      if (!(await isFile(path))) return false;
      await unlink(path);
      return true;
    } catch (error) {
      if (isAbsent(error)) return false;
      throw systemError("delete", path, error);
    }
  }
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isDirectory() ?? false;
}
