// SPDX-License-Identifier: MIT
// A plate of TIFF files as OME-Zarr 0.5: metadata made from the catalogue, chunks decoded when they are asked for.

import type { IncomingMessage, ServerResponse } from "node:http";
import { type DType, dtypeSize } from "../image/dtype.js";
import { TilePool } from "../image/tile-pool.js";
import { Axes, promote, pyramidLevels } from "../orchestrator/layout.js";
import type { FieldLayout } from "../orchestrator/plan.js";
import { type Contrast, writeField, writeImage, writePlate } from "../orchestrator/store-layout.js";
import type { PlaneRef, Plate } from "../plates/plate.js";
import { type ArrayEncoding, type Axis, OmeZarrStore } from "../stores/ome-zarr.js";
import { readTiffTile } from "../stores/tiff-tile.js";
import { chunkBytes, emptyPixels, halve, type Raster } from "./pyramid.js";
import { sendBytes } from "./send-bytes.js";
import type { Source } from "./source.js";

const chunk = 512;
const encoding: ArrayEncoding = {
  version: "0.5",
  compression: "none",
  level: 0,
  chunk,
  sharded: false,
  separator: "/",
};

interface Field {
  readonly layout: FieldLayout;
  readonly height: number;
  readonly width: number;
  readonly dtype: DType;
  /** By the indexes of the leading axes, joined by "/". */
  readonly planes: Map<string, PlaneRef>;
}

export interface PlateSourceOptions {
  /** Bytes of decoded planes that are kept for the next chunk of the same plane. Default 512 MiB. */
  readonly cacheBytes?: number;
}

/** Planes that are read: slices where a channel has any, else what is stored, as a pipeline with `planes: "auto"` reads them. */
function shown(plate: Plate): PlaneRef[] {
  const stacks = new Set(plate.channels.filter((c) => c.zSlices.length > 0).map((c) => c.channel));
  return plate.planes.filter((p) => p.z_index !== null || !stacks.has(p.channel));
}

export class PlateSource implements Source {
  readonly plate: Plate;
  /** The planes that are shown. */
  readonly planes: readonly PlaneRef[];
  /** Fields by their path, `A/1/0`. */
  readonly fields = new Map<string, Field>();
  readonly #metadata = new Map<string, Uint8Array>();
  readonly #pool: TilePool;
  readonly #cacheBytes: number;
  /** Decoded levels by plane and level, least recently used first. */
  readonly #cache = new Map<string, Promise<Raster>>();
  #cached = 0;
  readonly #sizes = new Map<string, number>();

  constructor(plate: Plate, { cacheBytes = 512 * 2 ** 20 }: PlateSourceOptions = {}) {
    this.plate = plate;
    this.#cacheBytes = cacheBytes;
    const planes = shown(plate);
    this.planes = planes;
    const axes = new Axes(plate, planes);
    const withT = plate.timepoints.length > 1;
    const withZ = axes.z.size > 1;
    const names: Axis[] = [
      ...(withT ? (["t"] as const) : []),
      "c",
      ...(withZ ? (["z"] as const) : []),
      "y",
      "x",
    ];
    const groups = new Map<string, PlaneRef[]>();
    for (const plane of planes) {
      const path = axes.fieldPath(plane.well, plane.site);
      const group = groups.get(path);
      if (group) group.push(plane);
      else groups.set(path, [plane]);
    }
    let slotBytes = 4096;
    for (const [path, group] of groups) {
      const first = group[0] as PlaneRef;
      const height = Math.max(...group.map((p) => p.height));
      const width = Math.max(...group.map((p) => p.width));
      const dtype = group.map((p) => p.dtype).reduce(promote);
      for (const p of group) slotBytes = Math.max(slotBytes, p.height * p.width * dtypeSize(p.dtype));
      const shape = [
        ...(withT ? [axes.timepoints.size] : []),
        axes.channels.size,
        ...(withZ ? [axes.z.size] : []),
        height,
        width,
      ];
      const index = (p: PlaneRef) =>
        [
          ...(withT ? [axes.timepoints.get(p.timepoint)] : []),
          axes.channels.get(p.channel),
          ...(withZ ? [p.z_index === null ? 0 : axes.z.get(p.z_index)] : []),
        ].join("/");
      const image = { path, label: null, axes: names, shape, dtype, levels: pyramidLevels(height, width) };
      this.fields.set(path, {
        layout: { well: first.well, site: first.site, path, images: [image] },
        height,
        width,
        dtype,
        planes: new Map(group.map((p) => [index(p), p])),
      });
    }
    this.#pool = TilePool.create({ slotBytes, slots: 4 });
    this.describe([]);
  }

  /** Makes the metadata; once more when display ranges are known. */
  describe(contrast: readonly Contrast[]): void {
    const store = new OmeZarrStore("/", encoding);
    const fields = [...this.fields.values()].map((f) => f.layout);
    const files = store.collect(() => {
      writePlate(store, this.plate, { fields }, []);
      for (const field of fields) {
        writeField(store, this.plate, field);
        if (contrast.length > 0) writeImage(store, this.plate, field, contrast);
      }
    });
    for (const { path, text } of files) this.#metadata.set(path.slice(1), Buffer.from(text));
  }

  async serve(
    request: IncomingMessage,
    response: ServerResponse,
    parts: readonly string[],
  ): Promise<boolean> {
    const key = parts.join("/");
    const metadata = this.#metadata.get(key);
    if (metadata !== undefined) {
      sendBytes(request, response, metadata, { contentType: "application/json", maxAge: 0 });
      return true;
    }
    // row/column/field/level/c/<lead>/y/x
    const field = this.fields.get(parts.slice(0, 3).join("/"));
    if (field === undefined || parts[4] !== "c" || !parts.slice(5).every((n) => /^\d{1,7}$/.test(n)))
      return false;
    const [image] = field.layout.images;
    const level = Number(parts[3]);
    if (image === undefined || !/^\d+$/.test(parts[3] as string) || level >= image.levels) return false;
    const lead = parts.slice(5, -2);
    if (lead.length !== image.shape.length - 2) return false;
    const plane = field.planes.get(lead.join("/"));
    if (plane === undefined) return false;
    const raster = await this.#level(field, plane, level);
    const [row, column] = parts.slice(-2).map(Number) as [number, number];
    const edge: [number, number] = [Math.min(chunk, raster.height), Math.min(chunk, raster.width)];
    const bytes = chunkBytes(raster, field.dtype, edge, row, column);
    if (bytes === undefined) return false;
    const etag = `"${plane.mtimeMs.toString(36)}-${plane.bytes.toString(36)}"`;
    sendBytes(request, response, bytes, { contentType: "application/octet-stream", maxAge: 60, etag });
    return true;
  }

  /** A level of a plane in its field's size and dtype. Requests that come while it is decoded share the work. */
  #level(field: Field, plane: PlaneRef, level: number): Promise<Raster> {
    const key = `${plane.path}\0${plane.page}\0${plane.sample}\0${level}`;
    const known = this.#cache.get(key);
    if (known !== undefined) {
      this.#cache.delete(key);
      this.#cache.set(key, known);
      return known;
    }
    const made =
      level === 0
        ? this.#decode(field, plane)
        : this.#level(field, plane, level - 1).then((upper) => halve(upper, field.dtype));
    this.#cache.set(key, made);
    made.then(
      ({ pixels }) => this.#keep(key, pixels.byteLength),
      () => this.#cache.delete(key),
    );
    return made;
  }

  #keep(key: string, bytes: number): void {
    this.#sizes.set(key, bytes);
    this.#cached += bytes;
    for (const oldest of this.#cache.keys()) {
      if (this.#cached <= this.#cacheBytes) break;
      const size = this.#sizes.get(oldest);
      // One that is still being decoded has no size yet.
      if (size === undefined || oldest === key) continue;
      this.#cache.delete(oldest);
      this.#sizes.delete(oldest);
      this.#cached -= size;
    }
  }

  async #decode(field: Field, plane: PlaneRef): Promise<Raster> {
    using tile = await readTiffTile(plane.path, this.#pool, { page: plane.page, sample: plane.sample });
    const [h, w] = tile.shape as readonly [number, number];
    const view = tile.view();
    const { height, width, dtype } = field;
    if (h === height && w === width && tile.dtype === dtype) return { height, width, pixels: view.slice() };
    const pixels = emptyPixels(dtype, height * width) as Float64Array;
    const rows = Math.min(h, height);
    for (let y = 0; y < rows; y++) {
      const row = (view as Float64Array).subarray(y * w, y * w + Math.min(w, width));
      pixels.set(row, y * width);
    }
    return { height, width, pixels: pixels as Raster["pixels"] };
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#cache.values());
    this.#cache.clear();
    this.#pool.close();
  }
}
