// SPDX-License-Identifier: MIT
// VirtualStore: names of one's own for files elsewhere, such as a plate's view over scattered acquisitions; nothing is moved or changed.

import { isAbsolute } from "node:path";
import { isTilecastError } from "../errors.js";
import { invalidArgument } from "../image/shape.js";
import type { Tile } from "../image/tile.js";
import type { TilePool } from "../image/tile-pool.js";
import { BaseStore } from "./base-store.js";
import { ofTiff, readFileBytes, readFileRanges, readFileTile, systemError } from "./disk.js";
import { isFile } from "./folder.js";
import {
  type ByteRange,
  byCodeUnits,
  checkKey,
  type FileRanges,
  type ImageLevel,
  keyExists,
  keyNotFound,
  type ReadImageOptions,
  readOnlyStore,
  type Store,
  type StoreValue,
  wrongKind,
} from "./store.js";
import { tiffLevels } from "./tiff-region.js";

export interface VirtualStoreOptions {
  /** For messages; default "workspace". */
  readonly name?: string;
  /**
   * Takes the writes. Its keys hide mapped ones of the same name until they are deleted again; it stays the caller's to close. Without one the store is read-only.
   */
  readonly overlay?: Store;
}

export class VirtualStore extends BaseStore {
  readonly kind = "virtual";
  readonly location: string;
  readonly #files: ReadonlyMap<string, string>;
  readonly #folders: ReadonlySet<string>;
  readonly #overlay: Store | undefined;

  /**
   * `files`: of each key the absolute path of its file. A mapped file that is not there (any more) is a key that does not exist.
   * Throws ERR_INVALID_ARGUMENT, also for a key that is the folder of another.
   */
  constructor(
    files: ReadonlyMap<string, string> | Readonly<Record<string, string>>,
    options: VirtualStoreOptions = {},
  ) {
    super();
    const entries = files instanceof Map ? [...files] : Object.entries(files as Record<string, string>);
    const folders = new Set<string>();
    for (const [key, path] of entries) {
      checkKey(key, "files");
      if (typeof path !== "string" || !isAbsolute(path))
        throw invalidArgument(`files[${JSON.stringify(key)}]`, "an absolute path", path);
      for (let at = key.lastIndexOf("/"); at > 0; at = key.lastIndexOf("/", at - 1))
        folders.add(key.slice(0, at));
    }
    this.#files = new Map(entries);
    const both = entries.find(([key]) => folders.has(key));
    if (both !== undefined)
      throw invalidArgument("files", "free of keys that are folders of others", both[0]);
    this.#folders = folders;
    this.#overlay = options.overlay;
    this.location = options.name ?? "workspace";
  }

  get readOnly(): boolean {
    return this.#overlay === undefined || this.#overlay.readOnly;
  }

  /** The file that a key is mapped to, hidden or not. */
  path(key: string): string | undefined {
    return this.#files.get(key);
  }

  async #mapped(key: string): Promise<boolean> {
    const path = this.#files.get(key);
    if (path === undefined) return false;
    try {
      return await isFile(path);
    } catch (error) {
      throw systemError("look for", path, error);
    }
  }

  protected async listKeys(prefix: string, signal: AbortSignal | undefined): Promise<string[]> {
    const below = prefix === "" ? "" : `${prefix}/`;
    const keys = new Set(await this.#overlay?.list(prefix, { signal }));
    const own = [...this.#files.keys()].filter((key) => key.startsWith(below) && !keys.has(key));
    // A plate's worth of files is asked for in parts: the thread pool behind has four threads.
    for (let i = 0; i < own.length; i += 64) {
      const part = own.slice(i, i + 64);
      const there = await Promise.all(part.map((key) => this.#mapped(key)));
      for (const [j, key] of part.entries()) if (there[j]) keys.add(key);
    }
    return [...keys].sort(byCodeUnits);
  }

  protected async hasKey(key: string, signal: AbortSignal | undefined): Promise<boolean> {
    return (await this.#overlay?.exists(key, { signal })) || this.#mapped(key);
  }

  /** From the overlay if it has the key, else from the mapped file. */
  async #from<T>(
    key: string,
    overlay: (store: Store) => Promise<T>,
    file: (path: string) => Promise<T>,
  ): Promise<T> {
    if (this.#overlay !== undefined) {
      try {
        return await overlay(this.#overlay);
      } catch (error) {
        if (!isTilecastError(error, "ERR_KEY_NOT_FOUND")) throw error;
      }
    }
    const path = this.#files.get(key);
    if (path === undefined) throw keyNotFound(this, key);
    return file(path);
  }

  protected readBytes(key: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
    return this.#from(
      key,
      (store) => store.read(key, { signal }),
      (path) => readFileBytes(path, signal, () => keyNotFound(this, key, path)),
    );
  }

  protected loadTile(key: string, pool: TilePool, options: ReadImageOptions): Promise<Tile> {
    return this.#from(
      key,
      (store) => store.readTile(key, pool, options),
      (path) =>
        readFileTile(
          path,
          pool,
          options,
          (bytes) => this.count(bytes),
          () => keyNotFound(this, key, path),
          (why) => wrongKind(this, key, `holds no image (${why.message})`),
        ),
    );
  }

  protected loadLevels(
    key: string,
    page: number,
    signal: AbortSignal | undefined,
  ): Promise<readonly ImageLevel[]> {
    return this.#from(
      key,
      (store) => store.levels(key, { page, signal }),
      (path) =>
        ofTiff(
          path,
          () => tiffLevels(path, page),
          () => keyNotFound(this, key, path),
          (why) => wrongKind(this, key, `holds no image (${why.message})`),
        ),
    );
  }

  protected readParts(
    key: string,
    ranges: readonly ByteRange[],
    signal: AbortSignal | undefined,
  ): Promise<FileRanges> {
    return this.#from(
      key,
      (store) => store.readRanges(key, ranges, { signal }),
      async (path) => {
        const found = await readFileRanges(path, ranges, signal, () => keyNotFound(this, key, path));
        for (const part of found.parts) this.count(part.length);
        return found;
      },
    );
  }

  override get bytesRead(): number {
    return super.bytesRead + (this.#overlay?.bytesRead ?? 0);
  }

  protected async put(
    key: string,
    value: StoreValue,
    exclusive: boolean,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (this.#folders.has(key)) throw keyExists(this, key, "it is a folder of other keys");
    for (let at = key.lastIndexOf("/"); at > 0; at = key.lastIndexOf("/", at - 1))
      if (this.#files.has(key.slice(0, at))) throw keyExists(this, key, "a part of it is a key itself");
    if (exclusive && (await this.#mapped(key))) throw keyExists(this, key);
    const overlay = this.#overlay as Store;
    if (exclusive) await overlay.write(key, value, { signal });
    else await overlay.replace(key, value, { signal });
  }

  protected async remove(key: string, signal: AbortSignal | undefined): Promise<boolean> {
    const removed = await (this.#overlay as Store).delete(key, { signal });
    if (!removed && (await this.#mapped(key)))
      throw readOnlyStore(this, key, `it is mapped to ${this.#files.get(key)}, which is not the store's`);
    return removed;
  }
}
