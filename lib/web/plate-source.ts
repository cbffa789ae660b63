// SPDX-License-Identifier: MIT
// A plate of TIFF files as OME-Zarr 0.5: metadata made from the catalogue, chunks decoded when they are asked for.

import type { IncomingMessage, ServerResponse } from "node:http";
import { dtypeSize } from "../image/dtype.js";
import type { Tile } from "../image/tile.js";
import { TilePool } from "../image/tile-pool.js";
import { type NativeDecoded, type NativeFileParts, native } from "../native.js";
import { choosePlanes } from "../orchestrator/choose-planes.js";
import { layOut } from "../orchestrator/layout-plate.js";
import type { FieldLayout, ImageLayout } from "../orchestrator/plan.js";
import { writeField, writePlate } from "../orchestrator/store-layout.js";
import { fetcherOf } from "../plates/plane-fetcher.js";
import type { PlaneRef, Plate } from "../plates/plate.js";
import { type ArrayEncoding, OmeZarrStore } from "../stores/ome-zarr.js";
import { readTiffTile, tileOf } from "../stores/tiff-tile.js";
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

/** A field's image, and the planes in it by the indexes of its leading axes, joined by "/". */
interface Field {
  readonly layout: FieldLayout;
  readonly image: ImageLayout;
  readonly planes: Map<string, PlaneRef>;
}

export interface PlateSourceOptions {
  /** Bytes of decoded planes that are kept for the next chunk of the same plane. Default 512 MiB. */
  readonly cacheBytes?: number;
}

/** Of a file of this machine, or of what is fetched of one elsewhere. */
async function readPlane(plane: PlaneRef, pool: TilePool): Promise<Tile> {
  const { path, page, sample } = plane;
  const parts = (await fetcherOf(plane)?.(plane, undefined)) as NativeFileParts | undefined;
  if (parts === undefined) return readTiffTile(path, pool, { page, sample });
  return tileOf(
    pool,
    {},
    ({ slot, generation }) =>
      // All is there: nothing is missing.
      native().readPlaneOfParts(pool.native, slot, generation, parts, page, sample) as Promise<NativeDecoded>,
  );
}

export class PlateSource implements Source {
  readonly plate: Plate;
  /** The planes that are shown: those that a pipeline with `planes: "auto"` reads. */
  readonly planes: readonly PlaneRef[];
  /** Fields by their path, `A/1/0`. */
  readonly #fields = new Map<string, Field>();
  /** Files by path. A plate has tens of thousands: those of a field are made when one of them is asked for. */
  readonly #metadata = new Map<string, Uint8Array>();
  /** Made at the first plane that is decoded: many a source is never looked at. */
  #pool: TilePool | undefined;
  readonly #cacheBytes: number;
  /** Decoded levels by plane and level, least recently used first. */
  readonly #cache = new Map<string, Promise<Raster>>();
  #cached = 0;
  readonly #sizes = new Map<string, number>();

  constructor(plate: Plate, { cacheBytes = 512 * 2 ** 20 }: PlateSourceOptions = {}) {
    this.plate = plate;
    this.#cacheBytes = cacheBytes;
    this.planes = choosePlanes({ planes: "auto" }, plate, null).planes;
    const unplaced = this.planes.map((plane) => ({
      stream: { ...plane, z: plane.z_index },
      label: null,
      value: plane,
      pixelRatio: { height: 1, width: 1 },
    }));
    const layout = layOut(plate, unplaced, undefined);
    for (const field of layout.fields) {
      // Labels apart, a field is one image.
      const [image] = field.images;
      if (image) this.#fields.set(field.path, { layout: field, image, planes: new Map() });
    }
    for (const [i, plane] of this.planes.entries()) {
      const { image, lead } = layout.output(unplaced[i] as (typeof unplaced)[number]);
      this.#fields.get(image)?.planes.set(lead.join("/"), plane);
    }
    this.#describe((store) => writePlate(store, plate, layout, []));
  }

  #describe(write: (store: OmeZarrStore) => void): void {
    const store = new OmeZarrStore("/", encoding);
    for (const { path, text } of store.collect(() => write(store)))
      this.#metadata.set(path.slice(1), Buffer.from(text));
  }

  #file(key: string, field: Field | undefined): Uint8Array | undefined {
    if (field !== undefined && !this.#metadata.has(`${field.layout.path}/zarr.json`))
      this.#describe((store) => writeField(store, this.plate, field.layout));
    return this.#metadata.get(key);
  }

  async serve(
    request: IncomingMessage,
    response: ServerResponse,
    parts: readonly string[],
  ): Promise<boolean> {
    const key = parts.join("/");
    // row/column/field/level/c/<lead>/y/x
    const field = this.#fields.get(parts.slice(0, 3).join("/"));
    const metadata = this.#file(key, field);
    if (metadata !== undefined) {
      sendBytes(request, response, metadata, { contentType: "application/json", maxAge: 0 });
      return true;
    }
    if (field === undefined || parts[4] !== "c" || !parts.slice(5).every((n) => /^\d{1,7}$/.test(n)))
      return false;
    const { image } = field;
    const level = Number(parts[3]);
    if (!/^\d+$/.test(parts[3] as string) || level >= image.levels) return false;
    const lead = parts.slice(5, -2);
    const plane = field.planes.get(lead.join("/"));
    if (plane === undefined) return false;
    const raster = await this.#level(field, plane, level);
    const [row, column] = parts.slice(-2).map(Number) as [number, number];
    const edge: [number, number] = [Math.min(chunk, raster.height), Math.min(chunk, raster.width)];
    const bytes = chunkBytes(raster, image.dtype, edge, row, column);
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
        : this.#level(field, plane, level - 1).then((upper) => halve(upper, field.image.dtype));
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

  /** Of the largest plane, in its own dtype. */
  #slotBytes(): number {
    return this.planes.reduce((most, p) => Math.max(most, p.height * p.width * dtypeSize(p.dtype)), 4096);
  }

  async #decode(field: Field, plane: PlaneRef): Promise<Raster> {
    this.#pool ??= TilePool.create({ slotBytes: this.#slotBytes(), slots: 4 });
    using tile = await readPlane(plane, this.#pool);
    const [h, w] = tile.shape as readonly [number, number];
    const view = tile.view();
    const { dtype } = field.image;
    const [height, width] = field.image.shape.slice(-2) as [number, number];
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
    this.#pool?.close();
  }
}
