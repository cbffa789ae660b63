// SPDX-License-Identifier: MIT
// Metadata of OME-Zarr plates: NGFF 0.5 (zarr v3) and 0.4 (zarr v2). Pixels are written natively (native/src/zarr).
//
// Specifications: OME-NGFF 0.4 and 0.5 (HCS plate, well, multiscales, omero, labels); Zarr v2, Zarr v3, sharding_indexed.

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type DType, dtypeSize } from "../image/dtype.js";

export type NgffVersion = "0.4" | "0.5";
export type Compression = "blosc-lz4" | "blosc-zstd" | "zstd" | "none";

/** How arrays are stored; the native writer gets the same facts (ZarrEncoding). */
export interface ArrayEncoding {
  readonly version: NgffVersion;
  readonly compression: Compression;
  readonly level: number;
  /** Chunk edge, px. */
  readonly chunk: number;
  /** One shard a plane (0.5 only). */
  readonly sharded: boolean;
  /** Between the parts of a chunk key: "." for shards, of which an array has few, so that they need no folders of their own. */
  readonly separator: "/" | ".";
}

/** Defaults of a compression's level: what its field uses (blosc 5 for LZ4; 3 for Zstandard, whose higher levels gain little on noise). */
export function defaultLevel(compression: Compression): number {
  return compression === "blosc-lz4" ? 5 : compression === "none" ? 0 : 3;
}

export type Axis = "t" | "c" | "z" | "y" | "x";

export interface MultiscaleImage {
  /** Path inside the store. */
  readonly path: string;
  readonly name: string;
  readonly axes: readonly Axis[];
  /** Shape of level 0. */
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly levels: number;
  /** Micrometres; null when unknown. */
  readonly pixelSizeUm: { readonly x: number; readonly y: number } | null;
  readonly zStepUm: number | null;
}

export interface ChannelDisplay {
  readonly label: string;
  /** RRGGBB */
  readonly color: string;
  /** Display window, and the range of values it lies in. */
  readonly low: number;
  readonly high: number;
  readonly min: number;
  readonly max: number;
}

type Json = Readonly<Record<string, unknown>>;

/** One metadata file. */
export interface MetadataFile {
  readonly path: string;
  readonly text: string;
}

/** Metadata files of one store: written at once, or collected for the native side to write beside the pixels. */
export class OmeZarrStore {
  readonly root: string;
  readonly encoding: ArrayEncoding;
  readonly #made = new Set<string>();
  #collected: MetadataFile[] | null = null;

  constructor(root: string, encoding: ArrayEncoding) {
    this.root = root;
    this.encoding = encoding;
  }

  /** What `describe` would write, as files. */
  collect(describe: () => void): MetadataFile[] {
    const files: MetadataFile[] = [];
    this.#collected = files;
    try {
      describe();
    } finally {
      this.#collected = null;
    }
    return files;
  }

  #write(path: string, text: string): void {
    const file = join(this.root, path);
    if (this.#collected !== null) {
      this.#collected.push({ path: file, text });
      return;
    }
    const dir = dirname(file);
    if (!this.#made.has(dir)) {
      mkdirSync(dir, { recursive: true });
      this.#made.add(dir);
    }
    writeFileSync(file, text);
  }

  /** A group with NGFF metadata (0.5: under `ome`), or plain when `ome` is null. */
  group(path: string, ome: Json | null): void {
    const at = path === "" ? "" : `${path}/`;
    if (this.encoding.version === "0.5") {
      const attributes = ome === null ? {} : { ome: { version: "0.5", ...ome } };
      this.#write(`${at}zarr.json`, json({ zarr_format: 3, node_type: "group", attributes }));
    } else {
      this.#write(`${at}.zgroup`, json({ zarr_format: 2 }));
      if (ome !== null) this.#write(`${at}.zattrs`, json(versioned(ome)));
    }
  }

  plate(name: string, wells: readonly { row: string; column: string; fields: number }[]): void {
    const rows = [...new Set(wells.map((w) => w.row))].sort(
      (a, b) => a.length - b.length || (a < b ? -1 : 1),
    );
    const columns = [...new Set(wells.map((w) => w.column))].sort((a, b) => Number(a) - Number(b));
    this.group("", {
      plate: {
        name,
        rows: rows.map((r) => ({ name: r })),
        columns: columns.map((c) => ({ name: c })),
        acquisitions: [{ id: 0, maximumfieldcount: Math.max(...wells.map((w) => w.fields)) }],
        field_count: Math.max(...wells.map((w) => w.fields)),
        wells: wells.map((w) => ({
          path: `${w.row}/${w.column}`,
          rowIndex: rows.indexOf(w.row),
          columnIndex: columns.indexOf(w.column),
        })),
      },
    });
    for (const row of rows) this.group(row, null);
  }

  well(row: string, column: string, fields: number): void {
    this.group(`${row}/${column}`, {
      well: { images: Array.from({ length: fields }, (_, i) => ({ path: String(i), acquisition: 0 })) },
    });
  }

  /** The group of an image: multiscales, and how to show its channels. */
  image(image: MultiscaleImage, channels: readonly ChannelDisplay[]): void {
    this.group(image.path, {
      multiscales: [multiscale(image)],
      omero: {
        channels: channels.map((c) => ({
          active: true,
          coefficient: 1,
          color: c.color,
          family: "linear",
          inverted: false,
          label: c.label,
          window: { min: c.min, max: c.max, start: c.low, end: c.high },
        })),
        rdefs: { defaultT: 0, defaultZ: 0, model: channels.length > 1 ? "color" : "greyscale" },
      },
    });
  }

  /** The `labels` group of a field and its label images (arrays too). */
  labels(field: string, images: readonly MultiscaleImage[]): void {
    this.group(`${field}/labels`, { labels: images.map((i) => i.name) });
    for (const i of images) {
      this.group(i.path, { multiscales: [multiscale(i)], "image-label": { source: { image: "../../" } } });
      this.arrays(i);
    }
  }

  /** Array metadata of every level. */
  arrays(image: MultiscaleImage): void {
    for (let level = 0; level < image.levels; level++) {
      const shape = image.shape.map((n, i) => (i >= image.shape.length - 2 ? halved(n, level) : n));
      const name = this.encoding.version === "0.5" ? "zarr.json" : ".zarray";
      this.#write(
        `${image.path}/${level}/${name}`,
        arrayMetadata(shape, image.dtype, image.axes, this.encoding),
      );
    }
  }
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 1)}\n`;
}

/** 0.4 keeps the version inside each object. */
function versioned(ome: Json): Json {
  const out: Record<string, unknown> = { ...ome };
  for (const key of ["plate", "well", "image-label"]) {
    if (out[key] !== undefined) out[key] = { ...(out[key] as Json), version: "0.4" };
  }
  if (Array.isArray(out.multiscales))
    out.multiscales = out.multiscales.map((m: Json) => ({ ...m, version: "0.4" }));
  if (out.omero !== undefined) out.omero = { ...(out.omero as Json), version: "0.4" };
  return out;
}

function halved(n: number, times: number): number {
  let out = n;
  for (let i = 0; i < times; i++) out = Math.ceil(out / 2);
  return out;
}

const axisType: Record<Axis, string> = { t: "time", c: "channel", z: "space", y: "space", x: "space" };

function multiscale(image: MultiscaleImage): Json {
  const size: Record<Axis, number> = {
    t: 1,
    c: 1,
    z: image.zStepUm ?? 1,
    y: image.pixelSizeUm?.y ?? 1,
    x: image.pixelSizeUm?.x ?? 1,
  };
  const known = (a: Axis) =>
    a === "z" ? image.zStepUm !== null : (a === "y" || a === "x") && image.pixelSizeUm !== null;
  return {
    name: image.name,
    axes: image.axes.map((a) => ({
      name: a,
      type: axisType[a],
      ...(known(a) ? { unit: "micrometer" } : {}),
    })),
    datasets: Array.from({ length: image.levels }, (_, level) => ({
      path: String(level),
      coordinateTransformations: [
        { type: "scale", scale: image.axes.map((a) => size[a] * (a === "y" || a === "x" ? 2 ** level : 1)) },
      ],
    })),
  };
}

const cache = new Map<string, string>();

function arrayMetadata(
  shape: readonly number[],
  dtype: DType,
  axes: readonly Axis[],
  e: ArrayEncoding,
): string {
  const key = JSON.stringify([shape, dtype, axes, e]);
  let text = cache.get(key);
  if (text === undefined) {
    text = json(e.version === "0.5" ? arrayV3(shape, dtype, axes, e) : arrayV2(shape, dtype, e));
    cache.set(key, text);
  }
  return text;
}

function chunkShape(shape: readonly number[], chunk: number): number[] {
  return shape.map((n, i) => (i >= shape.length - 2 ? Math.min(chunk, n) : 1));
}

function arrayV3(shape: readonly number[], dtype: DType, axes: readonly Axis[], e: ArrayEncoding): Json {
  const chunk = chunkShape(shape, e.chunk);
  const bytes =
    dtypeSize(dtype) === 1 ? { name: "bytes" } : { name: "bytes", configuration: { endian: "little" } };
  const codecs: Json[] = [bytes];
  if (e.compression === "zstd")
    codecs.push({ name: "zstd", configuration: { level: e.level, checksum: false } });
  else if (e.compression !== "none") {
    codecs.push({
      name: "blosc",
      configuration: {
        cname: e.compression.slice("blosc-".length),
        clevel: e.level,
        shuffle: dtypeSize(dtype) === 1 ? "noshuffle" : "shuffle",
        typesize: dtypeSize(dtype),
        blocksize: 0,
      },
    });
  }
  const shard = shape.map((n, i) =>
    i >= shape.length - 2 ? Math.ceil(n / (chunk[i] as number)) * (chunk[i] as number) : 1,
  );
  return {
    zarr_format: 3,
    node_type: "array",
    shape,
    data_type: dtype,
    chunk_grid: { name: "regular", configuration: { chunk_shape: e.sharded ? shard : chunk } },
    chunk_key_encoding: { name: "default", configuration: { separator: e.separator } },
    fill_value: 0,
    codecs: e.sharded
      ? [
          {
            name: "sharding_indexed",
            configuration: {
              chunk_shape: chunk,
              codecs,
              index_codecs: [{ name: "bytes", configuration: { endian: "little" } }, { name: "crc32c" }],
              index_location: "end",
            },
          },
        ]
      : codecs,
    attributes: {},
    dimension_names: axes,
  };
}

function arrayV2(shape: readonly number[], dtype: DType, e: ArrayEncoding): Json {
  const kind = dtype.startsWith("u") ? "u" : dtype.startsWith("i") ? "i" : "f";
  const size = dtypeSize(dtype);
  const compressor =
    e.compression === "none"
      ? null
      : e.compression === "zstd"
        ? { id: "zstd", level: e.level }
        : {
            id: "blosc",
            cname: e.compression.slice("blosc-".length),
            clevel: e.level,
            shuffle: size === 1 ? 0 : 1,
            blocksize: 0,
          };
  return {
    zarr_format: 2,
    shape,
    chunks: chunkShape(shape, e.chunk),
    dtype: `${size === 1 ? "|" : "<"}${kind}${size}`,
    compressor,
    fill_value: 0,
    order: "C",
    filters: null,
    dimension_separator: "/",
  };
}
