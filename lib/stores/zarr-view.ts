// SPDX-License-Identifier: MIT
// ZarrView: planes of the OME-Zarr images that another store holds the files of, such as those on a web server; decoded natively.

import { isTilecastError } from "../errors.js";
import { invalidArgument } from "../image/shape.js";
import type { Tile } from "../image/tile.js";
import type { TilePool } from "../image/tile-pool.js";
import { BaseStore } from "./base-store.js";
import { type NgffImage, ngffLevels, openNgffImage, openNgffLevel } from "./ngff.js";
import {
  type ByteRange,
  byCodeUnits,
  checkKey,
  type FileRanges,
  type ImageLevel,
  keyNotFound,
  type ReadImageOptions,
  readOnlyStore,
  regionOf,
  type Store,
  wrongKind,
} from "./store.js";
import { tileOf } from "./tiff-tile.js";
import { readZarrNode } from "./zarr-array.js";
import { fetchZarrPlane } from "./zarr-fetch.js";
import { indexOf, isPlaneName, planeNames } from "./zarr-plane-name.js";
import { nativeZarrArray } from "./zarr-reader.js";

const metadataName = /(?:^|\/)(?:zarr\.json|\.zattrs|\.zarray|\.zgroup)$/;

/**
 * Read-only; keys are as of a ZarrStore. Of the files that hold a plane, chunks are read whole and of shards what the read takes, into memory, for the
 * time of the read; those that the store does not have are the fill value. Metadata is read once an image. The store stays the caller's to close.
 */
export class ZarrView extends BaseStore {
  readonly kind = "ome-zarr";
  readonly location: string;
  readonly readOnly = true;
  readonly #store: Store;
  readonly #prefix: string;
  readonly #images = new Map<string, NgffImage>();

  /** `folder`: of the group at the top, in `store`; default its root. */
  constructor(store: Store, folder = "") {
    super();
    if (typeof store?.readBatch !== "function") throw invalidArgument("store", "a store", store);
    this.#store = store;
    this.#prefix = folder === "" ? "" : `${checkKey(folder, "folder")}/`;
    this.location = folder === "" ? store.location : `${store.location.replace(/\/$/, "")}/${folder}`;
  }

  /** Metadata of a node, by its key in the store. */
  readonly #reader = (signal: AbortSignal | undefined) => async (key: string) => {
    try {
      return await this.#store.read(key, { signal });
    } catch (error) {
      if (isTilecastError(error, "ERR_KEY_NOT_FOUND")) return null;
      throw error;
    }
  };

  async #image(path: string, signal: AbortSignal | undefined): Promise<NgffImage | null> {
    const known = this.#images.get(path);
    if (known !== undefined) return known;
    const image = await openNgffImage(folderKey(this.#prefix + path), this.#reader(signal));
    if (image !== null) this.#images.set(path, image);
    return image;
  }

  async #plane(
    key: string,
    signal: AbortSignal | undefined,
  ): Promise<{ image: NgffImage; index: number[] } | null | undefined> {
    const parts = key.split("/");
    const name = parts.pop() as string;
    if (!isPlaneName(name)) return undefined;
    const image = await this.#image(parts.join("/"), signal);
    if (image === null) return undefined;
    const index = indexOf(image, name);
    return index === null ? null : { image, index };
  }

  /** Whether a key lies in an array's folder, where files are chunks and no keys. */
  async #inArray(key: string, signal: AbortSignal | undefined): Promise<boolean> {
    const parts = key.split("/");
    for (let depth = 1; depth < parts.length; depth++) {
      const path = folderKey(this.#prefix + parts.slice(0, depth).join("/"));
      if ((await readZarrNode(path, this.#reader(signal)))?.kind === "array") return true;
    }
    return false;
  }

  protected async listKeys(prefix: string, signal: AbortSignal | undefined): Promise<string[]> {
    const below = prefix === "" ? "" : `${prefix}/`;
    const all = await this.#store.list(folderKey(this.#prefix), { signal });
    const files = all.map((key) => key.slice(this.#prefix.length));
    const nodes = new Set(
      files.filter((key) => metadataName.test(key)).map((key) => key.replace(metadataName, "")),
    );
    const arrays = new Set<string>();
    const keys = new Set<string>();
    for (const path of nodes) {
      const node = await readZarrNode(folderKey(this.#prefix + path), this.#reader(signal));
      if (node?.kind === "array") arrays.add(path);
      const image = node?.kind === "group" ? await this.#image(path, signal) : null;
      if (image !== null)
        for (const name of planeNames(image)) keys.add(path === "" ? name : `${path}/${name}`);
    }
    const inArray = (key: string) => {
      for (let at = key.lastIndexOf("/"); at > 0; at = key.lastIndexOf("/", at - 1))
        if (arrays.has(key.slice(0, at))) return true;
      return false;
    };
    for (const key of files) if (!inArray(key)) keys.add(key);
    return [...keys].filter((key) => key.startsWith(below)).sort(byCodeUnits);
  }

  protected async hasKey(key: string, signal: AbortSignal | undefined): Promise<boolean> {
    const plane = await this.#plane(key, signal);
    if (plane !== undefined) return plane !== null;
    return !(await this.#inArray(key, signal)) && this.#store.exists(this.#prefix + key, { signal });
  }

  protected async readBytes(key: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
    if ((await this.#plane(key, signal)) != null)
      throw wrongKind(this, key, "is a plane: read it as an image");
    const bytes = (await this.#inArray(key, signal)) ? null : await this.#reader(signal)(this.#prefix + key);
    if (bytes === null) throw keyNotFound(this, key);
    return bytes;
  }

  protected async loadTile(key: string, pool: TilePool, options: ReadImageOptions): Promise<Tile> {
    const { signal } = options;
    const plane = await this.#plane(key, signal);
    if (plane === undefined && (await this.hasKey(key, signal))) throw wrongKind(this, key, "holds no image");
    if (plane == null) throw keyNotFound(this, key);
    if ((options.page ?? 0) > 0 || (options.sample ?? 0) > 0)
      throw invalidArgument(
        (options.page ?? 0) > 0 ? "page" : "sample",
        "0: a key is one plane",
        options.page,
      );
    const array = await openNgffLevel(
      this.#pathOf(key),
      plane.image,
      options.level ?? 0,
      this.#reader(signal),
    );
    const [height, width] = array.shape.slice(-2) as [number, number];
    const region = regionOf(key, { height, width }, options.region);
    const fetched = await fetchZarrPlane(this.#store, array, plane.index, region, signal);
    return tileOf(pool, options, (slot) =>
      nativeZarrArray(array).readPlane(
        pool.native,
        slot.slot,
        slot.generation,
        plane.index,
        region.y,
        region.x,
        region.height,
        region.width,
        fetched,
      ),
    );
  }

  /** The image's path in the store. */
  #pathOf(key: string): string {
    return folderKey(this.#prefix + key.split("/").slice(0, -1).join("/"));
  }

  protected async loadLevels(
    key: string,
    page: number,
    signal: AbortSignal | undefined,
  ): Promise<readonly ImageLevel[]> {
    const plane = await this.#plane(key, signal);
    if (plane === undefined && (await this.hasKey(key, signal))) throw wrongKind(this, key, "holds no image");
    if (plane == null) throw keyNotFound(this, key);
    if (page > 0) throw invalidArgument("page", "0: a key is one plane", page);
    return ngffLevels(this.#pathOf(key), plane.image, this.#reader(signal));
  }

  protected async readParts(
    key: string,
    ranges: readonly ByteRange[],
    signal: AbortSignal | undefined,
  ): Promise<FileRanges> {
    if ((await this.#plane(key, signal)) != null)
      throw wrongKind(this, key, "is a plane: read it as an image");
    if (await this.#inArray(key, signal)) throw keyNotFound(this, key);
    try {
      return await this.#store.readRanges(this.#prefix + key, ranges, { signal });
    } catch (error) {
      throw isTilecastError(error, "ERR_KEY_NOT_FOUND") ? keyNotFound(this, key) : error;
    }
  }

  /** Of the store behind it. */
  override get bytesRead(): number {
    return this.#store.bytesRead;
  }

  protected async put(key: string): Promise<void> {
    throw readOnlyStore(this, key, "a view is read only");
  }

  protected async remove(key: string): Promise<boolean> {
    throw readOnlyStore(this, key, "a view is read only");
  }

  protected override async release(): Promise<void> {
    this.#images.clear();
  }
}

/** Without the slash at the end. */
const folderKey = (path: string) => path.replace(/\/$/, "");
