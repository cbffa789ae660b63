// SPDX-License-Identifier: MIT
// DiskStore: a folder. Keys are its files; images are TIFF files, decoded natively.

import type { FileHandle } from "node:fs/promises";
import { open, readFile, unlink } from "node:fs/promises";
import { join, resolve } from "node:path";
import { isTilecastError, TilecastError } from "../errors.js";
import { invalidArgument } from "../image/shape.js";
import type { Tile } from "../image/tile.js";
import type { TilePool } from "../image/tile-pool.js";
import { BaseStore } from "./base-store.js";
import {
  absentError,
  errnoOf,
  filesBelow,
  garbledName,
  isAbsent,
  isFile,
  isFolder,
  isGarbled,
  sweepTemporaries,
  writeAtomically,
} from "./folder.js";
import {
  type ByteRange,
  clipRange,
  type FileRanges,
  type ImageLevel,
  isImage,
  keyExists,
  keyNotFound,
  type ReadImageOptions,
  type StoreOptions,
  type StoreValue,
  throwIfAborted,
  wrongKind,
} from "./store.js";
import { tiffLevels } from "./tiff-region.js";
import { readTiffTile } from "./tiff-tile.js";
import { type TiffCompression, writeTiffFile } from "./tiff-write.js";

export interface DiskStoreOptions {
  /** Refuse writes. Default false. */
  readonly readOnly?: boolean;
  /**
   * Wait for the disk at each write: then it survives a power cut too. Default false, as results can be made again and waiting costs
   * milliseconds a file.
   */
  readonly sync?: boolean;
  /** Of images. Default none: intermediates are read again soon, mostly from the page cache. */
  readonly compression?: TiffCompression;
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
    if (isAbsent(error) || errnoOf(error) === "EISDIR") throw await absentError(path, notFound);
    throw systemError("read", path, error);
  }
}

/** @internal As {@link readFileBytes}, for the plane of a TIFF file. */
export async function readFileTile(
  path: string,
  pool: TilePool,
  options: ReadImageOptions,
  count: (bytes: number | undefined) => void,
  notFound: () => TilecastError,
  notImage: (why: TilecastError) => TilecastError,
): Promise<Tile> {
  return ofTiff(path, () => readTiffTile(path, pool, options, count), notFound, notImage);
}

/** @internal What a reader says of a file, in the store's words. */
export async function ofTiff<T>(
  path: string,
  read: () => Promise<T>,
  notFound: () => TilecastError,
  notImage: (why: TilecastError) => TilecastError,
): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (isTilecastError(error, "ERR_IO") && !(await isFile(path))) throw await absentError(path, notFound);
    if (isTilecastError(error, "ERR_TIFF_DAMAGED") && !/\.tiff?$/i.test(path)) throw notImage(error);
    throw error;
  }
}

/** @internal Ranges of a file. */
export async function readFileRanges(
  path: string,
  ranges: readonly ByteRange[],
  signal: AbortSignal | undefined,
  notFound: () => TilecastError,
): Promise<FileRanges> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    if (isAbsent(error)) throw await absentError(path, notFound);
    throw systemError("open", path, error);
  }
  try {
    const info = await file.stat();
    if (!info.isFile()) throw notFound();
    const parts: Uint8Array[] = [];
    for (const range of ranges) {
      throwIfAborted(signal, `reading ${path}`);
      const { first, end } = clipRange(range, info.size);
      const part = new Uint8Array(end - first);
      for (let at = 0; at < part.length; ) {
        const { bytesRead } = await file.read(part, at, part.length - at, first + at);
        if (bytesRead === 0)
          throw new TilecastError("ERR_IO", `${path} became shorter while it was read`, { path });
        at += bytesRead;
      }
      parts.push(part);
    }
    return { size: info.size, version: `${info.ino} ${info.mtimeMs} ${info.size}`, parts };
  } catch (error) {
    throw systemError("read", path, error);
  } finally {
    await file.close();
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
  readonly #compression: TiffCompression;

  /** The folder is made by the first write; one that is not there is empty. */
  constructor(root: string, options: DiskStoreOptions = {}) {
    super();
    if (typeof root !== "string" || root === "") throw invalidArgument("root", "a path", root);
    this.location = resolve(root);
    this.readOnly = options.readOnly ?? false;
    this.#sync = options.sync ?? false;
    this.#compression = options.compression ?? "none";
    if (!["none", "deflate", "zstd"].includes(this.#compression))
      throw invalidArgument("compression", "none, deflate or zstd", this.#compression);
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
      return (await isFile(this.path(key))) || (await isGarbled(this.path(key)));
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
      (bytes) => this.count(bytes),
      () => keyNotFound(this, key, path),
      (why) => wrongKind(this, key, `holds no image (${why.message})`),
    );
  }

  protected loadLevels(key: string, page: number): Promise<readonly ImageLevel[]> {
    const path = this.path(key);
    return ofTiff(
      path,
      () => tiffLevels(path, page),
      () => keyNotFound(this, key, path),
      (why) => wrongKind(this, key, `holds no image (${why.message})`),
    );
  }

  protected async readParts(
    key: string,
    ranges: readonly ByteRange[],
    signal: AbortSignal | undefined,
  ): Promise<FileRanges> {
    const path = this.path(key);
    const found = await readFileRanges(path, ranges, signal, () => keyNotFound(this, key, path));
    for (const part of found.parts) this.count(part.length);
    return found;
  }

  protected async put(
    key: string,
    value: StoreValue,
    exclusive: boolean,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const path = this.path(key);
    if (isImage(value) && !/\.tiff?$/i.test(key))
      // Others would not find an image under another name.
      throw new TilecastError(
        "ERR_INVALID_ARGUMENT",
        `key must end with .tif or .tiff for an image, got ${JSON.stringify(key)}`,
        { argument: "key", key },
      );
    const options = { exclusive, sync: this.#sync, signal };
    try {
      if (isImage(value)) await writeTiffFile(path, value, this.#compression, options);
      else await writeAtomically(path, [value], options);
    } catch (error) {
      if (!isTilecastError(error, "ERR_IO") && errnoOf(error) === "") throw error;
      if (exclusive && (await isFile(path).catch(() => false))) throw keyExists(this, key);
      if (await isFolder(path)) throw keyExists(this, key, "it is a folder of other keys");
      if (await this.#belowFile(key)) throw keyExists(this, key, "a part of it is a key itself");
      throw systemError("write", path, error);
    }
  }

  async #belowFile(key: string): Promise<boolean> {
    for (let at = key.lastIndexOf("/"); at > 0; at = key.lastIndexOf("/", at - 1))
      if (await isFile(this.path(key.slice(0, at))).catch(() => false)) return true;
    return false;
  }

  protected async remove(key: string): Promise<boolean> {
    const path = this.path(key);
    try {
      if (!(await isFile(path))) {
        if (await isGarbled(path)) throw garbledName(path);
        return false;
      }
      await unlink(path);
      return true;
    } catch (error) {
      if (isAbsent(error)) return false;
      throw systemError("delete", path, error);
    }
  }
}
