// SPDX-License-Identifier: MIT
// One OME-Zarr image, 0.4 or 0.5, opened over HTTP: its axes, levels, display ranges and labels.

import {
  type DataType,
  FetchStore,
  get,
  NotFoundError,
  open,
  root,
  slice,
  type Array as ZarrArray,
} from "zarrita";
import { base } from "../state/server.js";

export type Pixels =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Float32Array
  | Float64Array;

export interface Raster {
  readonly data: Pixels;
  readonly width: number;
  readonly height: number;
}

/** Indexes of the leading axes. */
export interface PlaneIndex {
  readonly t: number;
  readonly c: number;
  readonly z: number;
}

interface Multiscales {
  readonly axes?: readonly (string | { readonly name: string })[];
  readonly datasets: readonly { readonly path: string }[];
}

export interface Window {
  readonly start: number;
  readonly end: number;
}

interface Ome {
  readonly multiscales?: readonly Multiscales[];
  readonly omero?: {
    readonly channels?: readonly { readonly window?: Partial<Window & { min: number; max: number }> }[];
  };
}

type Level = ZarrArray<DataType, FetchStore>;

/** What a plane's pixels become where WebGL has no such format. */
function drawable(data: unknown): Pixels {
  if (data instanceof BigUint64Array || data instanceof BigInt64Array)
    return Uint32Array.from(data, (v) => Number(v & 0xffffffffn));
  if (ArrayBuffer.isView(data) && !(data instanceof DataView)) return data as Pixels;
  throw new Error("pixels of this type cannot be shown");
}

const dtypes: Readonly<Record<string, string>> = {
  uint8: "Uint8",
  uint16: "Uint16",
  uint32: "Uint32",
  uint64: "Uint32",
  int8: "Int8",
  int16: "Int16",
  int32: "Int32",
  int64: "Uint32",
  float32: "Float32",
  float64: "Float64",
};

export class Field {
  private constructor(
    readonly levels: readonly Level[],
    readonly axes: readonly string[],
    /** Display ranges of the channels, where the metadata has them. */
    readonly windows: readonly (Window | undefined)[],
    /** Labels are drawn from unsigned textures, whatever they are stored as. */
    readonly isLabels: boolean,
  ) {}

  /** `path` is that of the image group below the page, such as `data/s1/A/1/0`. Rejects where it cannot be read (yet). */
  static async open(path: string, signal?: AbortSignal, isLabels = false): Promise<Field> {
    const url = new URL(path, base).href;
    // A running job's planes change from absent to there: the browser has to ask again, and its entity tags make that cheap.
    const store = new FetchStore(url, {
      overrides: { cache: "no-cache", ...(signal ? { signal } : {}) },
      // The index at a shard's end in one request; the gateway knows ranges from the end.
      useSuffixRequest: true,
    });
    // In the order of how likely they are; zarrita's own order asks for files of the older format first.
    const group = await open
      .v3(root(store), { kind: "group" })
      .catch((error: unknown) =>
        error instanceof NotFoundError ? open.v2(root(store), { kind: "group" }) : Promise.reject(error),
      );
    const ome = ((group.attrs.ome as Ome | undefined) ?? group.attrs) as Ome;
    const multiscales = ome.multiscales?.[0];
    if (multiscales === undefined) throw new Error(`${path} is no OME-Zarr image: it has no multiscales`);
    const levels = await Promise.all(
      multiscales.datasets.map(({ path: at }) => open(group.resolve(at), { kind: "array" })),
    );
    const axes = (multiscales.axes ?? ["t", "c", "z", "y", "x"]).map((a) =>
      typeof a === "string" ? a : a.name,
    );
    const windows = (ome.omero?.channels ?? []).map(({ window }) => {
      const { start, end, min, max } = window ?? {};
      if (start === undefined || end === undefined || !(end > start)) return undefined;
      // All that the pixel type can hold says that nobody has looked at the pixels yet.
      return start === min && end === max ? undefined : { start, end };
    });
    return new Field(levels, axes, windows, isLabels);
  }

  #axis(name: string): number {
    const at = this.axes.indexOf(name);
    return at < 0 ? 1 : (this.levels[0]?.shape[at] ?? 1);
  }
  get width(): number {
    return this.#axis("x");
  }
  get height(): number {
    return this.#axis("y");
  }
  get channels(): number {
    return this.#axis("c");
  }
  get slices(): number {
    return this.#axis("z");
  }
  get timepoints(): number {
    return this.#axis("t");
  }

  /** viv's name of the pixel type. */
  get dtype(): string {
    if (this.isLabels) return "Uint32";
    const dtype = dtypes[this.levels[0]?.dtype ?? ""];
    if (dtype === undefined) throw new Error(`pixels of type ${this.levels[0]?.dtype} cannot be shown`);
    return dtype;
  }

  /** Edge of the chunks of the largest level, by which tiles are cut. */
  get tileSize(): number {
    return Math.max(64, Math.min(1024, this.levels[0]?.chunks.at(-1) ?? 512));
  }

  /** A rectangle of one plane of a level; what has not been written is zero. */
  async read(
    level: number,
    plane: PlaneIndex,
    rows: readonly [number, number],
    columns: readonly [number, number],
    signal?: AbortSignal,
  ): Promise<Raster> {
    const array = this.levels[level];
    if (array === undefined) throw new RangeError(`there is no level ${level}`);
    const selection = this.axes.map((axis, i) => {
      if (axis === "y") return slice(rows[0], rows[1]);
      if (axis === "x") return slice(columns[0], columns[1]);
      const at = axis === "c" ? plane.c : axis === "z" ? plane.z : axis === "t" ? plane.t : 0;
      return Math.min(at, (array.shape[i] ?? 1) - 1);
    });
    const chunk = await get(array, selection, signal ? { opts: { signal } } : {});
    const [height, width] = chunk.shape as [number, number];
    const data = drawable(chunk.data);
    return { data: this.isLabels ? Uint32Array.from(data) : data, width, height };
  }

  /** Size of a level, [height, width]. */
  size(level: number): [number, number] {
    const shape = this.levels[level]?.shape ?? [];
    return [shape[this.axes.indexOf("y")] ?? 1, shape[this.axes.indexOf("x")] ?? 1];
  }
}
