// SPDX-License-Identifier: MIT
// ZarrStore: planes of the OME-Zarr images below a folder, by component; every other file of it as bytes.

import { readdir, unlink } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { TilecastError } from "../errors.js";
import type { DType } from "../image/dtype.js";
import { checkDType, checkShape, invalidArgument } from "../image/shape.js";
import type { Tile } from "../image/tile.js";
import type { TilePool } from "../image/tile-pool.js";
import { BaseStore } from "./base-store.js";
import { DiskStore, fileBytes, readFileBytes, systemError } from "./disk.js";
import { errnoOf, isAbsent, isFile, writeAtomically } from "./folder.js";
import { type NgffImage, openNgffImage } from "./ngff.js";
import { type ChannelDisplay, defaultLevel, type NgffVersion, OmeZarrStore } from "./ome-zarr.js";
import {
  byCodeUnits,
  checkKey,
  isImage,
  keyExists,
  keyNotFound,
  type ReadImageOptions,
  type StoreOptions,
  type StoreValue,
  temporaryPrefix,
  throwIfAborted,
  wrongKind,
} from "./store.js";
import { readZarrNode } from "./zarr-array.js";
import { planeFiles } from "./zarr-chunks.js";
import { indexOf, isPlaneName, planeNames } from "./zarr-plane-name.js";
import { nativeZarrArray, readZarrPlane } from "./zarr-reader.js";

export interface ZarrStoreOptions {
  /** Refuse writes. Default false. */
  readonly readOnly?: boolean;
  /**
   * What a plane is none of whose chunks has a file. "fill" (default): it is there and has the fill value, as Zarr says, whose writers leave out
   * chunks without content. "absent": it is a key that does not exist, for images whose planes this store writes one by one.
   */
  readonly blank?: "fill" | "absent";
  /** As of a DiskStore. */
  readonly sync?: boolean;
}

export interface CreateImageOptions extends StoreOptions {
  /** Lengths of the leading axes that the image has, in this order. */
  readonly t?: number;
  readonly c?: number;
  readonly z?: number;
  /** Of a plane, px. */
  readonly shape: readonly [y: number, x: number];
  readonly dtype: DType;
  /** Default: the last part of the path. */
  readonly name?: string;
  readonly channels?: readonly ChannelDisplay[];
  readonly pixelSizeUm?: { readonly x: number; readonly y: number } | null;
  readonly zStepUm?: number | null;
  /** Default "0.5". */
  readonly version?: NgffVersion;
}

/**
 * The key of a plane is the path of its image and its place along the leading axes, from 0, in their order: `A/1/0/t0c2z5`; `A/1/0/plane` for an image of
 * two axes. Level 0 is read, of every layout that tilecast reads; an image's metadata is read once. What this store writes are images made by
 * {@link createImage}: one level, a chunk a plane, uncompressed, so that a plane is replaced by one rename.
 */
export class ZarrStore extends BaseStore {
  readonly kind = "ome-zarr";
  readonly location: string;
  readonly readOnly: boolean;
  readonly #files: DiskStore;
  readonly #blank: "fill" | "absent";
  readonly #sync: boolean;
  readonly #images = new Map<string, NgffImage>();

  constructor(root: string, options: ZarrStoreOptions = {}) {
    super();
    if (typeof root !== "string" || root === "") throw invalidArgument("root", "a path", root);
    this.location = resolve(root);
    this.readOnly = options.readOnly ?? false;
    this.#blank = options.blank ?? "fill";
    this.#sync = options.sync ?? false;
    this.#files = new DiskStore(root, options);
  }

  /**
   * Makes an image without planes, and the groups above it. Rejects with ERR_KEY_EXISTS when an image or another group's metadata is at `path`.
   */
  async createImage(path: string, options: CreateImageOptions): Promise<void> {
    const { signal } = options;
    checkKey(path, "path");
    throwIfAborted(signal, `createImage of ome-zarr store ${this.location}`);
    if (this.readOnly)
      throw new TilecastError("ERR_STORE_READ_ONLY", `ome-zarr store ${this.location} is read-only`, {
        key: path,
      });
    const [height, width] = checkShape(options.shape) as readonly [number, number];
    const dtype = checkDType(options.dtype);
    const axes = (["t", "c", "z"] as const).filter((axis) => options[axis] !== undefined);
    const shape = [...axes.map((axis) => options[axis] as number), height, width];
    if (shape.length > 2) {
      for (const [i, axis] of axes.entries())
        if (!Number.isSafeInteger(shape[i]) || (shape[i] as number) < 1)
          throw invalidArgument(axis, "a positive integer", shape[i]);
    }
    const version = options.version ?? "0.5";
    const writer = new OmeZarrStore(this.location, {
      version,
      compression: "none",
      level: defaultLevel("none"),
      chunk: Math.max(height, width),
      sharded: false,
      separator: "/",
    });
    const image = {
      path,
      name: options.name ?? basename(path),
      axes: [...axes, "y", "x"] as const,
      shape,
      dtype,
      levels: 1,
      pixelSizeUm: options.pixelSizeUm ?? null,
      zStepUm: options.zStepUm ?? null,
    };
    const parts = path.split("/");
    for (let depth = 0; depth < parts.length; depth++) {
      const group = parts.slice(0, depth).join("/");
      if ((await readZarrNode(join(this.location, group))) !== null) continue;
      for (const file of writer.collect(() => writer.group(group, null)))
        await this.#describe(file, true, signal);
    }
    if ((await readZarrNode(join(this.location, path))) !== null) throw keyExists(this, path);
    for (const file of writer.collect(() => writer.arrays(image))) await this.#describe(file, false, signal);
    // Last what makes it an image, so that a crash leaves none or all of it.
    const files = writer.collect(() => writer.image(image, options.channels ?? []));
    for (const file of files.sort((a, b) => byCodeUnits(a.path, b.path)))
      await this.#describe(file, true, signal);
  }

  async #describe(
    { path, text }: { path: string; text: string },
    exclusive: boolean,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    try {
      await writeAtomically(path, [Buffer.from(text)], { exclusive, sync: this.#sync, signal });
    } catch (error) {
      if (errnoOf(error) === "EEXIST") throw keyExists(this, path.slice(this.location.length + 1));
      throw systemError("write", path, error);
    }
  }

  /** The image at a path inside the store; null when there is none. */
  async #image(path: string): Promise<NgffImage | null> {
    let image: NgffImage | null | undefined = this.#images.get(path);
    if (image !== undefined) return image;
    image = await openNgffImage(join(this.location, path));
    if (image !== null) this.#images.set(path, image);
    return image;
  }

  /** The plane that a key names: null when it names none of an image that there is; undefined when it is no plane's name at all. */
  async #plane(key: string): Promise<{ image: NgffImage; index: number[] } | null | undefined> {
    const parts = key.split("/");
    const name = parts.pop() as string;
    if (!isPlaneName(name)) return undefined;
    const image = await this.#image(parts.join("/"));
    if (image === null) return undefined;
    const index = indexOf(image, name);
    return index === null ? null : { image, index };
  }

  async #planeThere({ image, index }: { image: NgffImage; index: readonly number[] }): Promise<boolean> {
    if (this.#blank === "fill") return true;
    for (const name of planeFiles(image.array, index))
      if (await isFile(join(image.array.path, name))) return true;
    return false;
  }

  /** Whether a key lies in an array's folder, where files are chunks and no keys. */
  async #inArray(key: string): Promise<boolean> {
    const parts = key.split("/");
    for (let depth = 1; depth < parts.length; depth++) {
      const node = await readZarrNode(join(this.location, ...parts.slice(0, depth)));
      if (node?.kind === "array") return true;
    }
    return false;
  }

  protected async listKeys(prefix: string, signal: AbortSignal | undefined): Promise<string[]> {
    const keys: string[] = [];
    const walk = async (path: string): Promise<void> => {
      throwIfAborted(signal, `list of ome-zarr store ${this.location}`);
      const node = await readZarrNode(join(this.location, path));
      if (node?.kind === "array") return;
      const lead = path === "" ? "" : `${path}/`;
      const image = node === null ? null : await this.#image(path);
      if (image !== null) keys.push(...(await this.#planesOf(image)).map((name) => lead + name));
      const entries = await readdir(join(this.location, path), { withFileTypes: true }).catch((error) => {
        if (isAbsent(error)) return [];
        throw systemError("list", join(this.location, path), error);
      });
      for (const entry of entries) {
        if (entry.isDirectory()) await walk(lead + entry.name);
        else if (entry.isFile() && !entry.name.startsWith(temporaryPrefix)) keys.push(lead + entry.name);
      }
    };
    if (prefix === "" || !(await this.#inArray(`${prefix}/`))) await walk(prefix);
    return keys.sort(byCodeUnits);
  }

  async #planesOf(image: NgffImage): Promise<string[]> {
    const sizes = this.#blank === "absent" ? await nativeZarrArray(image.array).statPlanes() : null;
    return planeNames(image).filter((_, plane) => sizes === null || sizes[2 * plane]);
  }

  protected async hasKey(key: string, signal: AbortSignal | undefined): Promise<boolean> {
    const plane = await this.#plane(key);
    if (plane !== undefined) return plane !== null && this.#planeThere(plane);
    return !(await this.#inArray(key)) && this.#files.exists(key, { signal });
  }

  protected async readBytes(key: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
    if ((await this.#plane(key)) != null) throw wrongKind(this, key, "is a plane: read it as an image");
    if (await this.#inArray(key)) throw keyNotFound(this, key);
    return readFileBytes(this.#files.path(key), signal, () => keyNotFound(this, key, this.#files.path(key)));
  }

  protected async loadTile(key: string, pool: TilePool, options: ReadImageOptions): Promise<Tile> {
    const plane = await this.#plane(key);
    if (plane === undefined) {
      if (await this.hasKey(key, options.signal)) throw wrongKind(this, key, "holds no image");
      throw keyNotFound(this, key);
    }
    if (plane === null || !(await this.#planeThere(plane))) throw keyNotFound(this, key);
    if ((options.page ?? 0) > 0 || (options.sample ?? 0) > 0)
      throw invalidArgument(
        (options.page ?? 0) > 0 ? "page" : "sample",
        "0: a key is one plane",
        options.page,
      );
    const { signal, components } = options;
    const tile = await readZarrPlane(pool, plane.image.array, plane.index, signal ? { signal } : {});
    if (components === undefined) return tile;
    try {
      const { slot, generation, shape, dtype } = tile;
      return pool.lease({ slot, generation, shape, dtype, components });
    } finally {
      tile.release();
    }
  }

  /** The file of a plane in an image of ours; throws for images of others. */
  #ownFile(key: string, { image, index }: { image: NgffImage; index: readonly number[] }): string {
    const { array } = image;
    const planar =
      array.chunk.every((n, axis) => (axis < array.shape.length - 2 ? n === 1 : n === array.shape[axis])) &&
      array.shards.length + array.codecs.length === 0;
    if (!planar || array.bigEndian)
      throw new TilecastError(
        "ERR_ZARR_UNSUPPORTED",
        `${array.path}: planes are written to images that createImage made (one uncompressed chunk a plane), and this one has chunks of [${array.chunk.join(", ")}], ${array.compression}`,
        { path: array.path, key },
      );
    return join(array.path, planeFiles(array, index)[0] as string);
  }

  protected async put(
    key: string,
    value: StoreValue,
    exclusive: boolean,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const plane = await this.#plane(key);
    if (!isImage(value)) {
      if (plane !== undefined) throw wrongKind(this, key, "is a plane's key and takes no bytes");
      if (await this.#inArray(key)) throw keyExists(this, key, "it lies in an array's folder");
      this.#forget(key);
      return exclusive
        ? this.#files.write(key, value, { signal })
        : this.#files.replace(key, value, { signal });
    }
    if (plane == null) {
      const what =
        plane === null
          ? "no plane of its image has this place"
          : "there is no image at this path; make it with createImage";
      throw wrongKind(this, key, `takes no image: ${what}`);
    }
    const { array } = plane.image;
    const [height, width] = array.shape.slice(-2) as [number, number];
    if (value.dtype !== array.dtype || value.shape[0] !== height || value.shape[1] !== width)
      throw new TilecastError(
        "ERR_OP_SHAPE",
        `${key}: expected an image of ${height} x ${width} ${array.dtype}, got ${value.shape.join(" x ")} ${value.dtype}`,
        { key, path: array.path },
      );
    const path = this.#ownFile(key, plane);
    if (exclusive && this.#blank === "fill") throw keyExists(this, key);
    try {
      await writeAtomically(path, [fileBytes(value)], { exclusive, sync: this.#sync, signal });
    } catch (error) {
      if (errnoOf(error) === "EEXIST") throw keyExists(this, key);
      throw systemError("write", path, error);
    }
  }

  /** Metadata that is written as bytes may say something new of every image. */
  #forget(key: string): void {
    if (/(?:^|\/)(?:zarr\.json|\.zattrs|\.zarray|\.zgroup)$/.test(key)) this.#images.clear();
  }

  protected async remove(key: string, signal: AbortSignal | undefined): Promise<boolean> {
    const plane = await this.#plane(key);
    if (plane === undefined) {
      if (await this.#inArray(key)) return false;
      this.#forget(key);
      return this.#files.delete(key, { signal });
    }
    if (plane === null) return false;
    const path = this.#ownFile(key, plane);
    try {
      await unlink(path);
      return true;
    } catch (error) {
      if (isAbsent(error)) return false;
      throw systemError("delete", path, error);
    }
  }

  protected override async release(): Promise<void> {
    this.#images.clear();
    await this.#files.close();
  }
}
