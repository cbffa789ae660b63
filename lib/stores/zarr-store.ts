// SPDX-License-Identifier: MIT
// ZarrStore: planes of the OME-Zarr images below a folder, by component; every other file of it as bytes.

import { readdir, unlink } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { fromNative, TilecastError } from "../errors.js";
import type { DType } from "../image/dtype.js";
import { checkDType, checkInteger, checkShape, invalidArgument } from "../image/shape.js";
import { Tile } from "../image/tile.js";
import type { TilePool } from "../image/tile-pool.js";
import { type NativeEncoding, native } from "../native.js";
import { BaseStore } from "./base-store.js";
import { DiskStore, readFileBytes, readFileRanges, systemError } from "./disk.js";
import { errnoOf, isAbsent, isFile, writeAtomically } from "./folder.js";
import { type NgffImage, ngffLevels, openNgffImage, openNgffLevel } from "./ngff.js";
import {
  type ChannelDisplay,
  type Compression,
  defaultLevel,
  type NgffVersion,
  OmeZarrStore,
} from "./ome-zarr.js";
import {
  type ByteRange,
  byCodeUnits,
  checkKey,
  type FileRanges,
  type ImageLevel,
  isImage,
  keyExists,
  keyNotFound,
  type ReadImageOptions,
  regionOf,
  type StoreOptions,
  type StoreValue,
  temporaryPrefix,
  throwIfAborted,
  wrongKind,
} from "./store.js";
import { readZarrNode, type ZarrArray } from "./zarr-array.js";
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
  /** Default "blosc-lz4", as of runs. */
  readonly compression?: Compression;
  /** Edge of the chunks of a plane's shard, px; default 512. In version 0.4 a plane is one chunk. */
  readonly chunk?: number;
  /** Resolutions, each half of the one before by means; `"auto"`: until a plane is one chunk. Default 1. */
  readonly levels?: number | "auto";
}

/**
 * The key of a plane is the path of its image and its place along the leading axes, from 0, in their order: `A/1/0/t0c2z5`; `A/1/0/plane` for an image of
 * two axes. Every layout is read that tilecast reads; an image's metadata is read once. What this store writes are images made by
 * {@link createImage} or a run: a plane is a file a level, so that it is replaced by one rename. Smaller levels follow at once; a crash in between leaves
 * them as they were.
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
    const compression = options.compression ?? "blosc-lz4";
    if (!Object.hasOwn(writtenCompressions, compression))
      throw invalidArgument("compression", Object.keys(writtenCompressions).join(", "), compression);
    const chunk = checkInteger(options.chunk ?? 512, "chunk", 1, 2 ** 31 - 1);
    const writer = new OmeZarrStore(this.location, {
      version,
      compression,
      level: defaultLevel(compression),
      // A plane is one file, so that one rename replaces it: of version 0.4 files are chunks.
      chunk: version === "0.5" ? chunk : Math.max(height, width),
      sharded: version === "0.5",
      separator: version === "0.5" ? "." : "/",
    });
    const image = {
      path,
      name: options.name ?? basename(path),
      axes: [...axes, "y", "x"] as const,
      shape,
      dtype,
      levels: levelCount(options.levels ?? 1, height, width, chunk),
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
    const { signal, components, level = 0 } = options;
    const array = await openNgffLevel(this.#pathOf(key), plane.image, level);
    const [height, width] = array.shape.slice(-2) as [number, number];
    const tile = await readZarrPlane(pool, array, plane.index, {
      region: regionOf(key, { height, width }, options.region),
      count: (bytes) => this.count(bytes),
      ...(signal ? { signal } : {}),
    });
    if (components === undefined) return tile;
    try {
      const { slot, generation, shape, dtype } = tile;
      return pool.lease({ slot, generation, shape, dtype, components });
    } finally {
      tile.release();
    }
  }

  /** The folder of the image that a plane's key names. */
  #pathOf(key: string): string {
    return join(this.location, ...key.split("/").slice(0, -1));
  }

  protected async loadLevels(
    key: string,
    page: number,
    signal: AbortSignal | undefined,
  ): Promise<readonly ImageLevel[]> {
    const plane = await this.#plane(key);
    if (plane === undefined && (await this.hasKey(key, signal))) throw wrongKind(this, key, "holds no image");
    if (plane == null || !(await this.#planeThere(plane))) throw keyNotFound(this, key);
    if (page > 0) throw invalidArgument("page", "0: a key is one plane", page);
    return ngffLevels(this.#pathOf(key), plane.image);
  }

  protected async readParts(
    key: string,
    ranges: readonly ByteRange[],
    signal: AbortSignal | undefined,
  ): Promise<FileRanges> {
    if ((await this.#plane(key)) != null) throw wrongKind(this, key, "is a plane: read it as an image");
    if (await this.#inArray(key)) throw keyNotFound(this, key);
    const path = this.#files.path(key);
    const found = await readFileRanges(path, ranges, signal, () => keyNotFound(this, key, path));
    for (const part of found.parts) this.count(part.length);
    return found;
  }

  /** How a plane of an image is written; throws for images that are none of ours, nor laid out as ours. */
  async #target(
    key: string,
    { image, index }: { image: NgffImage; index: readonly number[] },
  ): Promise<{ files: string[]; encoding: NativeEncoding }> {
    const folder = this.#pathOf(key);
    const arrays = await Promise.all(image.levels.map((_, level) => openNgffLevel(folder, image, level)));
    const [array] = arrays as [ZarrArray];
    const encoding = encodingOf(array);
    const halves = arrays.every(
      (a, level) =>
        level === 0 ||
        (encodingOf(a) !== null &&
          a.compression === array.compression &&
          [-2, -1].every(
            (axis) => a.shape.at(axis) === Math.ceil((arrays[level - 1]?.shape.at(axis) ?? 0) / 2),
          )),
    );
    if (encoding === null || !halves)
      throw new TilecastError(
        "ERR_ZARR_UNSUPPORTED",
        `${array.path}: planes are written to images that createImage or a run made (one shard or one chunk a plane, each level half of the one before), and this one has chunks of [${array.chunk.join(", ")}], ${array.compression}`,
        { path: array.path, key },
      );
    const files = arrays.map((a) => join(a.path, planeFiles(a, index)[0] as string));
    return { files, encoding };
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
    const { files, encoding } = await this.#target(key, plane);
    if (exclusive && this.#blank === "fill") throw keyExists(this, key);
    const pixels = value instanceof Tile ? value.view() : value.pixels;
    const [path] = files as [string];
    try {
      const encoded = await native().encodeZarrPlane(
        pixels,
        array.dtype,
        height,
        width,
        files.length,
        encoding,
      );
      // The plane itself first: of two writers at once it says which one has the key.
      for (const [level, file] of files.entries())
        await writeAtomically(file, [encoded[level] as Uint8Array], {
          exclusive: exclusive && level === 0,
          sync: this.#sync,
          signal: level === 0 ? signal : undefined,
        });
    } catch (error) {
      if (errnoOf(error) === "EEXIST") throw keyExists(this, key);
      throw systemError("write", path, fromNative(error));
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
    const { files } = await this.#target(key, plane);
    let there = false;
    for (const [level, path] of files.entries()) {
      try {
        await unlink(path);
        there ||= level === 0;
      } catch (error) {
        if (!isAbsent(error)) throw systemError("delete", path, error);
      }
    }
    return there;
  }

  protected override async release(): Promise<void> {
    this.#images.clear();
    await this.#files.close();
  }
}

/** What the native writer is told so that it writes as the array says; null for arrays that it does not write. */
function encodingOf(array: ZarrArray): NativeEncoding | null {
  const { shape, chunk, shards, codecs, compression } = array;
  const [shard] = shards;
  const inner = shard?.chunk ?? chunk;
  const [height, width] = inner.slice(-2) as [number, number];
  const edge = Math.max(height, width);
  const fits =
    chunk.every((n, axis) => (axis < shape.length - 2 ? n === 1 : n >= (shape[axis] as number))) &&
    inner.every((n, axis) => axis >= shape.length - 2 || n === 1) &&
    height === Math.min(edge, shape.at(-2) as number) &&
    width === Math.min(edge, shape.at(-1) as number) &&
    (shard === undefined || (shards.length === 1 && shard.indexAtEnd && shard.indexChecksum)) &&
    codecs.length <= 1 &&
    Object.hasOwn(writtenCompressions, compression);
  if (!fits || array.bigEndian || array.fill !== 0) return null;
  return {
    format: array.format,
    sharded: shard !== undefined,
    codec: compression,
    level: defaultLevel(compression as Compression),
    chunk: edge,
    separator: array.separator,
  };
}

function levelCount(levels: number | "auto", height: number, width: number, chunk: number): number {
  const most = (edge: number) => Math.max(0, Math.ceil(Math.log2(Math.max(height, width) / edge))) + 1;
  // Beyond one pixel there is nothing to halve.
  return levels === "auto" ? most(chunk) : Math.min(checkInteger(levels, "levels", 1), most(1));
}

const writtenCompressions: Readonly<Record<Compression, true>> = {
  none: true,
  "blosc-lz4": true,
  "blosc-zstd": true,
  zstd: true,
};
