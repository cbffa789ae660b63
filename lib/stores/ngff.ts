// SPDX-License-Identifier: MIT
// Reads OME-NGFF metadata, versions 0.1 to 0.5, tolerantly: plates, wells, multiscale images, channels.
//
// Specification: https://ngff.openmicroscopy.org (0.4: attributes of the group; 0.5: under "ome").

import { TilecastError } from "../errors.js";
import { type ImageLevel, noLevel } from "./store.js";
import {
  inFolder,
  type Json,
  type MetadataReader,
  parseZarrArray,
  readZarrNode,
  type ZarrArray,
} from "./zarr-array.js";

export interface NgffWell {
  /** Path inside the plate. */
  readonly path: string;
  /** Names of its row and column. */
  readonly row: string;
  readonly column: string;
  readonly rowIndex: number;
  readonly columnIndex: number;
}

export interface NgffPlate {
  readonly name: string | null;
  readonly rows: readonly string[];
  readonly columns: readonly string[];
  readonly wells: readonly NgffWell[];
}

export interface NgffImage {
  /** Level 0. */
  readonly array: ZarrArray;
  /** Path of each level's array inside the image, level 0 first. */
  readonly levels: readonly string[];
  /** Names of the array's axes; the last two are y and x. */
  readonly axes: readonly string[];
  readonly name: string | null;
  /** Of each channel, where there is one. */
  readonly channelNames: readonly (string | null)[];
  /** Micrometres; null where the unit is not said. */
  readonly pixelSizeUm: { readonly x: number; readonly y: number } | null;
  readonly zStepUm: number | null;
}

const isObject = (v: unknown): v is Json => typeof v === "object" && v !== null && !Array.isArray(v);
const list = (v: unknown): readonly unknown[] => (Array.isArray(v) ? v : []);
const text = (v: unknown): string | null => (typeof v === "string" && v !== "" ? v : null);

/** The OME part of a group's attributes. */
export function omeAttributes(attributes: Json): Json {
  return isObject(attributes.ome) ? attributes.ome : attributes;
}

function damaged(path: string, what: string): TilecastError {
  return new TilecastError("ERR_METADATA", `${path}: ${what}`, { path });
}

/** Paths in metadata lead to groups below their own; `..` and absolute ones would lead anywhere. */
export function insidePath(at: string, value: unknown): string {
  const path = text(value)?.replace(/^\/+|\/+$/g, "");
  if (
    !path ||
    path.includes("\0") ||
    path.split(/[\\/]/).some((part) => part === ".." || part === "." || part === "")
  )
    throw damaged(at, `path: expected the name of a group, found ${JSON.stringify(value)}`);
  return path;
}

/** The metadata of a plate; null when the group has none. Throws ERR_METADATA. */
export function parsePlate(path: string, ome: Json): NgffPlate | null {
  if (!isObject(ome.plate)) return null;
  const plate = ome.plate;
  const names = (value: unknown) => list(value).map((v) => (isObject(v) ? String(v.name ?? "") : String(v)));
  const rows = names(plate.rows);
  const columns = names(plate.columns);
  if (!Array.isArray(plate.wells)) throw damaged(path, "plate.wells: expected a list");
  const wells = plate.wells.map((w): NgffWell => {
    if (!isObject(w)) throw damaged(path, "plate.wells: expected objects");
    const at = insidePath(path, w.path);
    const [row = "", column = ""] = at.split("/");
    // Before 0.4 only the path said which row and column.
    const index = (value: unknown, all: readonly string[], name: string) =>
      Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : all.indexOf(name);
    const rowIndex = index(w.rowIndex ?? w.row_index, rows, row);
    const columnIndex = index(w.columnIndex ?? w.column_index, columns, column);
    return {
      path: at,
      row: rows[rowIndex] ?? row,
      column: columns[columnIndex] ?? column,
      rowIndex,
      columnIndex,
    };
  });
  return { name: text(plate.name), rows, columns, wells };
}

/** Paths of a well's images, inside the well; null when the group is no well. Throws ERR_METADATA. */
export function parseWell(path: string, ome: Json): readonly string[] | null {
  if (!isObject(ome.well)) return null;
  if (!Array.isArray(ome.well.images)) throw damaged(path, "well.images: expected a list");
  return ome.well.images.map((image) => insidePath(path, isObject(image) ? image.path : image));
}

const micrometres: Readonly<Record<string, number>> = {
  picometer: 1e-6,
  angstrom: 1e-4,
  nanometer: 1e-3,
  micrometer: 1,
  micron: 1,
  µm: 1,
  um: 1,
  millimeter: 1e3,
  centimeter: 1e4,
  meter: 1e6,
};

/** The product of the scale transformations in lists; null when there is none. */
function scaleOf(lists: readonly unknown[], axes: number): readonly number[] | null {
  let scale: number[] | null = null;
  for (const t of lists.flatMap(list)) {
    if (!isObject(t) || t.type !== "scale" || !Array.isArray(t.scale) || t.scale.length !== axes) continue;
    const factors = t.scale.map(Number);
    scale = scale === null ? factors : scale.map((v, i) => v * (factors[i] as number));
  }
  return scale;
}

/** Axes of version 0.4 and later; before, names only, and before that always these five. */
function axesOf(path: string, value: unknown, count: number): { name: string; unit: string | null }[] {
  if (value === undefined)
    return ["t", "c", "z", "y", "x"].slice(-count).map((name) => ({ name, unit: null }));
  const axes = list(value).map((a) =>
    isObject(a)
      ? { name: String(a.name ?? "").toLowerCase(), unit: text(a.unit) }
      : { name: String(a).toLowerCase(), unit: null },
  );
  if (axes.length !== count) throw damaged(path, `axes: ${axes.length} are named and the array has ${count}`);
  if (axes.at(-2)?.name !== "y" || axes.at(-1)?.name !== "x")
    throw new TilecastError(
      "ERR_ZARR_UNSUPPORTED",
      `${path}: images whose last axes are not y and x are not read (axes ${axes.map((a) => a.name).join(", ")})`,
      { path },
    );
  return axes;
}

/**
 * The multiscale image in the folder `path`: its first multiscale, level 0. Null when there is no group or no image in it. `read` as of
 * {@link readZarrNode}.
 * Throws ERR_METADATA, ERR_ZARR_DAMAGED, ERR_ZARR_UNSUPPORTED, ERR_IO.
 */
export async function openNgffImage(path: string, read?: MetadataReader): Promise<NgffImage | null> {
  const node = await readZarrNode(path, read);
  if (node === null) return null;
  const ome = omeAttributes(node.attributes);
  const multiscale = list(ome.multiscales).find(isObject);
  if (multiscale === undefined) return null;
  const datasets = list(multiscale.datasets).filter(isObject);
  const [dataset] = datasets;
  if (dataset === undefined) throw damaged(path, "multiscales.datasets: expected at least one");
  const at = inFolder(path, insidePath(path, dataset.path));
  const level = await readZarrNode(at, read);
  if (level === null)
    throw new TilecastError("ERR_ZARR_DAMAGED", `${at}: the image's first level is not there`, { path: at });
  const array = parseZarrArray(at, level);
  const axes = axesOf(path, multiscale.axes, array.shape.length);
  const scale = scaleOf(
    [dataset.coordinateTransformations, multiscale.coordinateTransformations],
    axes.length,
  );
  const sizeOf = (name: string): number | null => {
    const i = axes.findIndex((a) => a.name === name);
    const factor = micrometres[axes[i]?.unit ?? ""];
    const value = i < 0 || factor === undefined ? Number.NaN : (scale?.[i] ?? Number.NaN) * factor;
    return Number.isFinite(value) && value > 0 ? value : null;
  };
  const x = sizeOf("x");
  const y = sizeOf("y");
  const channels = isObject(ome.omero) ? list(ome.omero.channels) : [];
  return {
    array,
    levels: datasets.map((d) => insidePath(path, d.path)),
    axes: axes.map((a) => a.name),
    name: text(multiscale.name),
    channelNames: channels.map((c) => (isObject(c) ? text(c.label) : null)),
    pixelSizeUm: x === null || y === null ? null : { x, y },
    zStepUm: sizeOf("z"),
  };
}

/** The array of a level of the image at `path`. Throws ERR_INVALID_ARGUMENT (no such level), and what {@link openNgffImage} throws. */
export async function openNgffLevel(
  path: string,
  image: NgffImage,
  level: number,
  read?: MetadataReader,
): Promise<ZarrArray> {
  if (level === 0) return image.array;
  const inside = image.levels[level];
  if (inside === undefined) throw noLevel(path, level, image.levels.length);
  const at = inFolder(path, inside);
  const node = await readZarrNode(at, read);
  if (node === null)
    throw new TilecastError("ERR_ZARR_DAMAGED", `${at}: level ${level} of the image is not there`, {
      path: at,
    });
  const array = parseZarrArray(at, node);
  const leading = image.array.shape.slice(0, -2);
  if (array.dtype !== image.array.dtype || leading.join() !== array.shape.slice(0, -2).join())
    throw damaged(at, `level ${level} has another dtype, or other planes, than level 0`);
  return array;
}

/** The resolutions of an image, with the chunks that decoding takes them apart into. */
export async function ngffLevels(
  path: string,
  image: NgffImage,
  read?: MetadataReader,
): Promise<ImageLevel[]> {
  const arrays = await Promise.all(image.levels.map((_, level) => openNgffLevel(path, image, level, read)));
  return arrays.map(({ shape, dtype, chunk, shards }): ImageLevel => {
    const inner = shards.at(-1)?.chunk ?? chunk;
    return {
      width: shape.at(-1) as number,
      height: shape.at(-2) as number,
      samples: 1,
      dtype,
      chunkWidth: inner.at(-1) as number,
      chunkHeight: inner.at(-2) as number,
    };
  });
}
