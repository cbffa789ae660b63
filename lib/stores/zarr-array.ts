// SPDX-License-Identifier: MIT
// Metadata of Zarr arrays and groups, versions 2 and 3, as the native reader (native/src/zarr) wants it.
//
// Specifications: Zarr v2; Zarr core v3 with the codecs bytes, blosc, gzip, zstd, crc32c, transpose, sharding_indexed; numcodecs' names for
// zlib and lz4.

import { readFile } from "node:fs/promises";
import { TilecastError } from "../errors.js";
import { type DType, dtypeSize, dtypes } from "../image/dtype.js";

export type ZarrCodec = "blosc" | "zstd" | "gzip" | "zlib" | "lz4" | "crc32c";

/** One level of sharding: what one chunk of the level above is divided into. */
export interface ZarrShard {
  readonly chunk: readonly number[];
  readonly indexAtEnd: boolean;
  readonly indexChecksum: boolean;
}

/** An array as its metadata describes it: plain, immutable data. The last two axes are a plane's rows and columns. */
export interface ZarrArray {
  /** Absolute path of the array's folder. */
  readonly path: string;
  readonly format: 2 | 3;
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** Of the grid of files, each a chunk or a shard. */
  readonly chunk: readonly number[];
  /** Outermost first; empty when files are chunks. */
  readonly shards: readonly ZarrShard[];
  readonly bigEndian: boolean;
  /** Of the innermost chunks, in the order of encoding. */
  readonly codecs: readonly ZarrCodec[];
  readonly fill: number;
  readonly keyPrefix: "c" | "";
  readonly separator: "/" | ".";
  /** For people: "none", "blosc-lz4", "zstd", ... */
  readonly compression: string;
}

/** Attributes of a group or array, and what it is. */
export interface ZarrNode {
  readonly format: 2 | 3;
  readonly kind: "group" | "array";
  readonly attributes: Json;
  /** Array metadata as stored (.zarray or zarr.json); `null` for groups. */
  readonly metadata: Json | null;
}

/** The path of `name` in a node's folder: of a disk, below a URL, or, with an empty folder, relative to a store. */
export const inFolder = (folder: string, name: string): string =>
  folder === "" ? name : name === "" ? folder : `${folder}/${name}`;

export type Json = Readonly<Record<string, unknown>>;

const isObject = (v: unknown): v is Json => typeof v === "object" && v !== null && !Array.isArray(v);

function damaged(path: string, what: string, cause?: unknown): TilecastError {
  return new TilecastError("ERR_ZARR_DAMAGED", `${path}: ${what}`, {
    path,
    ...(cause === undefined ? {} : { cause }),
  });
}

function unsupported(path: string, what: string): TilecastError {
  return new TilecastError("ERR_ZARR_UNSUPPORTED", `${path}: ${what}`, { path });
}

/** Metadata is a few kilobytes; with consolidated metadata of a large plate it can be tens of megabytes. */
const maxMetadataBytes = 256 * 1024 * 1024;

/** Reads a metadata file; null when there is none. */
export type MetadataReader = (file: string) => Promise<Uint8Array | null>;

async function readLocal(file: string): Promise<Uint8Array | null> {
  try {
    return await readFile(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw new TilecastError("ERR_IO", `${file} cannot be read (${code})`, { path: file, cause: error });
  }
}

async function readJson(file: string, read: MetadataReader): Promise<Json | null> {
  const bytes = await read(file);
  if (bytes === null) return null;
  if (bytes.length > maxMetadataBytes) throw damaged(file, "metadata larger than 256 MB");
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
  try {
    // Python writes NaN and Infinity, which JSON does not have, outside of strings.
    const value: unknown = JSON.parse(
      text.replace(/"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g, (m) => (m.startsWith('"') ? m : `"${m}"`)),
    );
    if (!isObject(value)) throw new SyntaxError("not an object");
    return value;
  } catch (cause) {
    throw damaged(file, `is not valid JSON (${(cause as Error).message})`, cause);
  }
}

/**
 * The node in the folder `path`, of version 3 or 2; `null` when there is none. `read`: where its files are read, by default on disk.
 * Throws ERR_ZARR_DAMAGED, ERR_IO.
 */
export async function readZarrNode(path: string, read: MetadataReader = readLocal): Promise<ZarrNode | null> {
  const v3 = await readJson(inFolder(path, "zarr.json"), read);
  if (v3 !== null) {
    const kind = v3.node_type;
    if (v3.zarr_format !== 3 || (kind !== "group" && kind !== "array"))
      throw damaged(inFolder(path, "zarr.json"), "is no Zarr version 3 metadata");
    const attributes = isObject(v3.attributes) ? v3.attributes : {};
    return { format: 3, kind, attributes, metadata: kind === "array" ? v3 : null };
  }
  const array = await readJson(inFolder(path, ".zarray"), read);
  if (array === null && (await readJson(inFolder(path, ".zgroup"), read)) === null) return null;
  return {
    format: 2,
    kind: array === null ? "group" : "array",
    attributes: (await readJson(inFolder(path, ".zattrs"), read)) ?? {},
    metadata: array,
  };
}

/** The array in the folder `path`. Throws ERR_ZARR_DAMAGED (also when there is none), ERR_ZARR_UNSUPPORTED, ERR_IO. */
export async function openZarrArray(path: string): Promise<ZarrArray> {
  const node = await readZarrNode(path);
  if (node?.metadata == null) throw damaged(path, "holds no Zarr array (no zarr.json or .zarray)");
  return parseZarrArray(path, node);
}

/** An array's metadata, read already. Throws ERR_ZARR_DAMAGED, ERR_ZARR_UNSUPPORTED. */
export function parseZarrArray(path: string, node: ZarrNode): ZarrArray {
  if (node.metadata === null) throw damaged(path, "is a group, expected an array");
  return node.format === 3 ? parseV3(path, node.metadata) : parseV2(path, node.metadata);
}

function lengths(path: string, name: string, value: unknown, least: number): number[] {
  if (!Array.isArray(value) || !value.every((n) => Number.isSafeInteger(n) && n >= least))
    throw damaged(path, `${name}: expected integers of at least ${least}, found ${JSON.stringify(value)}`);
  return value as number[];
}

function sameAxes(path: string, name: string, value: readonly number[], shape: readonly number[]): void {
  if (value.length !== shape.length)
    throw damaged(path, `${name} has ${value.length} axes and the array ${shape.length}`);
}

function fillOf(path: string, value: unknown, dtype: DType): number {
  if (value === null || value === undefined) return 0;
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "number") return value;
  if (value === "NaN") return Number.NaN;
  if (value === "Infinity") return Number.POSITIVE_INFINITY;
  if (value === "-Infinity") return Number.NEGATIVE_INFINITY;
  if (typeof value === "string") {
    // The bits of a float (v3).
    const bytes = dtypeSize(dtype);
    if (dtype.startsWith("float") && new RegExp(`^0x[0-9a-f]{${2 * bytes}}$`, "i").test(value)) {
      const view = new DataView(new ArrayBuffer(8));
      view.setBigUint64(0, BigInt(value) << BigInt(64 - 8 * bytes));
      return bytes === 4 ? view.getFloat32(0) : view.getFloat64(0);
    }
  }
  throw damaged(path, `fill_value: ${JSON.stringify(value)} is no ${dtype}`);
}

/** What a chain of codecs does to the bytes of a chunk. */
interface Chain {
  shards: ZarrShard[];
  bigEndian: boolean;
  codecs: ZarrCodec[];
  names: string[];
}

const none = { shards: [], bigEndian: false, codecs: [], names: [] };

/** Codecs by name. `numcodecs.` names are those that zarr-python gives to codecs of version 2. */
const byteCodecs: Readonly<Record<string, ZarrCodec>> = {
  blosc: "blosc",
  zstd: "zstd",
  gzip: "gzip",
  crc32c: "crc32c",
  "numcodecs.blosc": "blosc",
  "numcodecs.zstd": "zstd",
  "numcodecs.gzip": "gzip",
  "numcodecs.zlib": "zlib",
  "numcodecs.lz4": "lz4",
};

function parseV3(path: string, m: Json): ZarrArray {
  const shape = lengths(path, "shape", m.shape, 0);
  const dtype = dtypeV3(path, m.data_type);
  const grid = named(path, "chunk_grid", m.chunk_grid);
  if (grid.name !== "regular") throw unsupported(path, `chunk grid "${grid.name}" is not read`);
  const chunk = lengths(path, "chunk_shape", grid.configuration.chunk_shape, 1);
  sameAxes(path, "chunk_shape", chunk, shape);
  const keys = named(path, "chunk_key_encoding", m.chunk_key_encoding ?? { name: "default" });
  if (keys.name !== "default" && keys.name !== "v2")
    throw unsupported(path, `chunk key encoding "${keys.name}" is not read`);
  if (Array.isArray(m.storage_transformers) && m.storage_transformers.length > 0)
    throw unsupported(path, "storage transformers are not read");
  const chain = codecsV3(path, m.codecs, shape, dtype, 0);
  return {
    path,
    format: 3,
    shape,
    dtype,
    chunk,
    shards: chain.shards,
    bigEndian: chain.bigEndian,
    codecs: chain.codecs,
    fill: fillOf(path, m.fill_value, dtype),
    keyPrefix: keys.name === "default" ? "c" : "",
    separator: separatorOf(path, keys.configuration.separator, keys.name === "default" ? "/" : "."),
    compression: chain.names.join("+") || "none",
  };
}

/** A codec, a grid: `{ name, configuration }`, or only the name. */
function named(path: string, what: string, value: unknown): { name: string; configuration: Json } {
  if (typeof value === "string") return { name: value, configuration: {} };
  if (isObject(value) && typeof value.name === "string")
    return {
      name: value.name,
      configuration: isObject(value.configuration) ? value.configuration : {},
    };
  throw damaged(path, `${what}: expected a name and a configuration, found ${JSON.stringify(value)}`);
}

function separatorOf(path: string, value: unknown, otherwise: "/" | "."): "/" | "." {
  if (value === undefined || value === null) return otherwise;
  if (value === "/" || value === ".") return value;
  throw damaged(path, `chunk key separator: expected "/" or ".", found ${JSON.stringify(value)}`);
}

function dtypeV3(path: string, value: unknown): DType {
  if (value === "bool") return "uint8";
  if ((dtypes as readonly unknown[]).includes(value)) return value as DType;
  throw unsupported(
    path,
    `dtype ${JSON.stringify(value)} is not read; expected one of ${dtypes.join(", ")}, bool`,
  );
}

function codecsV3(
  path: string,
  value: unknown,
  shape: readonly number[],
  dtype: DType,
  depth: number,
): Chain {
  if (!Array.isArray(value) || value.length === 0) throw damaged(path, "codecs: expected a list");
  const out: Chain = { shards: [], bigEndian: false, codecs: [], names: [] };
  let bytes = false;
  for (const item of value) {
    const { name, configuration } = named(path, "codec", item);
    if (name === "transpose" && !bytes) {
      const order = configuration.order;
      const identity = order === "C" || (Array.isArray(order) && order.every((axis, i) => axis === i));
      if (!identity)
        throw unsupported(path, `transposed chunks (order ${JSON.stringify(order)}) are not read`);
    } else if (name === "bytes" && !bytes) {
      bytes = true;
      const endian = configuration.endian ?? "little";
      if (endian !== "little" && endian !== "big")
        throw damaged(path, `endian: expected "little" or "big", found ${JSON.stringify(endian)}`);
      out.bigEndian = endian === "big" && dtypeSize(dtype) > 1;
    } else if (name === "sharding_indexed" && !bytes) {
      if (depth >= 4) throw unsupported(path, "shards nested more than four deep are not read");
      bytes = true;
      const inner = codecsV3(path, configuration.codecs, shape, dtype, depth + 1);
      const chunk = lengths(path, "chunk_shape of the shards", configuration.chunk_shape, 1);
      sameAxes(path, "chunk_shape of the shards", chunk, shape);
      const location = configuration.index_location ?? "end";
      if (location !== "start" && location !== "end")
        throw damaged(path, `index_location: expected "start" or "end", found ${JSON.stringify(location)}`);
      const indexChecksum = indexCodecs(path, configuration.index_codecs);
      out.shards = [{ chunk, indexAtEnd: location === "end", indexChecksum }, ...inner.shards];
      out.bigEndian = inner.bigEndian;
      out.codecs = inner.codecs;
      out.names = inner.names;
    } else if (bytes && Object.hasOwn(byteCodecs, name)) {
      if (out.shards.length > 0)
        throw unsupported(path, `a shard that is compressed as a whole (${name}) is not read`);
      out.codecs.push(byteCodecs[name] as ZarrCodec);
      if (name !== "crc32c") out.names.push(nameOf(byteCodecs[name] as ZarrCodec, configuration));
    } else {
      throw unsupported(path, `codec "${name}" is not read`);
    }
  }
  if (!bytes) throw damaged(path, "codecs: expected bytes or sharding_indexed among them");
  return out;
}

/** Whether a shard's index ends with a checksum. Its codecs are those whose size is known before they are read. */
function indexCodecs(path: string, value: unknown): boolean {
  if (value === undefined) return true;
  if (!Array.isArray(value)) throw damaged(path, "index_codecs: expected a list");
  const list = value.map((item) => named(path, "index codec", item));
  const [first, second] = list;
  if (
    first?.name !== "bytes" ||
    (first.configuration.endian ?? "little") !== "little" ||
    (second !== undefined && second.name !== "crc32c") ||
    list.length > 2
  )
    throw unsupported(
      path,
      `index codecs ${list.map((c) => c.name).join(", ")} are not read; expected bytes (little), crc32c`,
    );
  return second !== undefined;
}

function nameOf(codec: ZarrCodec, configuration: Json): string {
  return codec === "blosc" && typeof configuration.cname === "string"
    ? `blosc-${configuration.cname}`
    : codec;
}

function parseV2(path: string, m: Json): ZarrArray {
  const shape = lengths(path, "shape", m.shape, 0);
  const chunk = lengths(path, "chunks", m.chunks, 1);
  sameAxes(path, "chunks", chunk, shape);
  const { dtype, bigEndian } = dtypeV2(path, m.dtype);
  // Of chunks with at most one axis longer than 1 both orders are the same bytes.
  if (m.order === "F" && chunk.filter((n) => n > 1).length > 1)
    throw unsupported(path, 'chunks in column-major order ("F") are not read');
  if (Array.isArray(m.filters) && m.filters.length > 0)
    throw unsupported(
      path,
      `filters (${m.filters.map((f) => (isObject(f) ? f.id : f)).join(", ")}) are not read`,
    );
  const chain: Chain = { ...none, codecs: [], names: [] };
  if (m.compressor !== null && m.compressor !== undefined) {
    const id = isObject(m.compressor) ? m.compressor.id : undefined;
    if (typeof id !== "string") throw damaged(path, "compressor: expected an object with an id");
    const codec = byteCodecs[`numcodecs.${id}`];
    if (codec === undefined) throw unsupported(path, `compressor "${id}" is not read`);
    chain.codecs.push(codec);
    chain.names.push(nameOf(codec, m.compressor as Json));
  }
  return {
    path,
    format: 2,
    shape,
    dtype,
    chunk,
    shards: [],
    bigEndian,
    codecs: chain.codecs,
    fill: fillOf(path, m.fill_value, dtype),
    keyPrefix: "",
    separator: separatorOf(path, m.dimension_separator, "."),
    compression: chain.names[0] ?? "none",
  };
}

function dtypeV2(path: string, value: unknown): { dtype: DType; bigEndian: boolean } {
  const parts = typeof value === "string" ? /^([<>|])([buif])(\d)$/.exec(value) : null;
  const kinds: Readonly<Record<string, string>> = { u: "uint", i: "int", f: "float" };
  if (value === "|b1") return { dtype: "uint8", bigEndian: false };
  const dtype = parts && `${kinds[parts[2] as string]}${8 * Number(parts[3])}`;
  if (parts === null || !(dtypes as readonly (string | null)[]).includes(dtype))
    throw unsupported(
      path,
      `dtype ${JSON.stringify(value)} is not read; expected one of ${dtypes.join(", ")}, bool`,
    );
  return { dtype: dtype as DType, bigEndian: parts[1] === ">" && dtypeSize(dtype as DType) > 1 };
}

/** Number of planes: of places along the leading axes. */
export function planeCount(array: ZarrArray): number {
  return array.shape.slice(0, -2).reduce((n, length) => n * length, 1);
}
