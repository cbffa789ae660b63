// SPDX-License-Identifier: MIT
// A pipeline compiled against a plate: independent jobs, what they share, and where their results go.

import type { DType } from "../image/dtype.js";
import type { NativeMosaic } from "../native.js";
import type { OpSpec, Size } from "../ops/spec.js";
import type { OpName } from "../ops/table.js";
import type { PlaneRef } from "../plates/plate.js";
import type { ComponentValues, Producer } from "../streaming/payload.js";
import type { Neighbours } from "./field-grid.js";

export type ThresholdMethod = NonNullable<OpSpec["threshold"]>;
export type Projection = "max" | "min" | "mean" | "sum" | "deviation" | "focus";

/** One native instruction (native/src/exec/program.h); registers are assigned once. */
export interface Instruction {
  op: string;
  stage: string;
  in?: number;
  out?: number;
  inputs?: number[];
  sources?: number[];
  projection?: Projection;
  /** StackRange: which percentiles; stretchTile: where the range goes. */
  low?: number;
  high?: number;
  /** WeighTiles: by input. */
  weights?: number[];
  /** Apply: the native op, and what it is given. */
  name?: OpName;
  arguments?: Readonly<Record<string, unknown>>;
  method?: ThresholdMethod;
  dtype?: DType;
  a?: number;
  resource?: number;
  output?: number;
  /** Canvas, place, move: which of the job's mosaics, and which of its images. */
  mosaic?: number;
  image?: number;
  blend?: "linear" | "none" | "max";
  placing?: "nearest" | "linear";
  /** Move: how pixels between pixels are found. */
  spline?: "linear" | "cubic";
  /** View, outline, centroids: which of the job's views. */
  view?: number;
  /** Measure, writeImage: part of the job that it belongs to. */
  part?: number;
  minArea?: number;
  maxArea?: number;
  clearBorder?: boolean;
  /** Measure: the columns that this chain fills, and the suffix of each input's columns. */
  own?: string[];
  suffixes?: string[];
  /** Measure: one entry a column of the table. */
  columns?: { kind: string; image: number; other?: number }[];
  /** MeasurePlane: one entry a column of planes.csv, and how they are measured. */
  planeColumns?: { name: string; kind: string; at?: number; image?: number }[];
  cell?: string;
  saturation?: number;
  bins?: number;
  range?: readonly [number, number];
  /** Measure: of haralick. */
  texture?: { levels: number; distance: number; range?: readonly [number, number] };
  /** Measure, measurePlane: of manders, percent. */
  threshold?: number;
}

export interface Program {
  readonly registers: number;
  readonly code: readonly Instruction[];
}

/** Something that instructions refer to by number and that exists once a run. */
export type Resource =
  | { readonly kind: "file"; readonly path: string }
  | {
      readonly kind: "estimate";
      readonly label: string;
      readonly method: "median" | "mean";
      readonly sigma: number;
      readonly shrink: number;
      readonly background: number;
      readonly height: number;
      readonly width: number;
      /** Jobs of the pass that fills it; their `index` is the image's number. */
      readonly jobs: readonly Job[];
    }
  | {
      readonly kind: "aligner";
      readonly height: number;
      readonly width: number;
      readonly images: number;
      readonly pairs: readonly Neighbours[];
      /** px around where the second of a pair is expected. */
      readonly reach: number;
    }
  | { readonly kind: "function"; readonly module: string; readonly export: string; readonly params: unknown };

/** Where one plane of a multiscale image goes. */
export interface Output {
  /** Folder of the image inside the store, e.g. `A/01/0` or `A/01/0/labels/objects`. */
  readonly image: string;
  /** Chunk indexes of the leading axes. */
  readonly lead: readonly number[];
  readonly height: number;
  readonly width: number;
  readonly dtype: DType;
  readonly levels: number;
}

export type Mosaic = NativeMosaic;

/** Something of a job that sinks are told of. */
export interface JobView {
  readonly kind: "image" | "labels" | "table";
  readonly producer: Producer;
  readonly title?: string;
  readonly components: ComponentValues;
  /** The slice; null where slices are projected, or there are none: `components` has 1 then. */
  readonly z: number | null;
  /** Where a plane is written: index into the job's outputs. Null where it is not. */
  readonly output: number | null;
  /** Of the tile; null for tables. */
  readonly tile: { readonly dtype: DType; readonly height: number; readonly width: number } | null;
  /** Of a table: index into the job's parts. */
  readonly part: number | null;
}

export interface Job {
  readonly program: number;
  readonly well: string;
  readonly site: number;
  readonly timepoint: number;
  /** Bytes of its largest tile. */
  readonly tileBytes: number;
  /** The slice that it works on; null where slices are projected, or there are none. */
  readonly z: number | null;
  /** Channels it computes, ascending. */
  readonly channels: readonly number[];
  readonly sources: readonly PlaneRef[];
  readonly outputs: readonly Output[];
  /** What its canvases are made of. */
  readonly mosaics: readonly Mosaic[];
  /** Channels of the thumbnails that it gives when asked, in order. */
  readonly thumbnails: readonly number[];
  /** Streams that are measured or written: whose rows and sums they are, and what leads each row, of an object and of a plane. */
  readonly parts: readonly {
    readonly channel: number;
    readonly rowPrefix: string;
    readonly planePrefix: string;
  }[];
  /** Empty in a run without sinks. */
  readonly views: readonly JobView[];
}

/** One multiscale image of the plate that results are written into. */
export interface ImageLayout {
  readonly path: string;
  /** `labels/<name>` of its field, or null for the field's own image. */
  readonly label: string | null;
  readonly axes: readonly ("t" | "c" | "z" | "y" | "x")[];
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly levels: number;
  /** Acquired pixels that a pixel is high and wide. */
  readonly pixelRatio: Size;
}

export interface FieldLayout {
  readonly well: string;
  readonly site: number;
  /** `<row>/<column>/<index>` */
  readonly path: string;
  readonly images: readonly ImageLayout[];
}

export interface Plan {
  readonly programs: readonly Program[];
  readonly resources: readonly Resource[];
  readonly jobs: readonly Job[];
  readonly fields: readonly FieldLayout[];
  /** Wells that it covers. */
  readonly wells: readonly string[];
  /** Columns of measurements.csv; empty when nothing is measured. */
  readonly columns: readonly string[];
  /** Columns of planes.csv; empty when no plane is measured. */
  readonly planeColumns: readonly string[];
  /** How many of `columns` come before those that a job's rows fill (plate, well, ...). */
  readonly keyColumns: number;
  /** Planes of the plate that this pipeline does not read, and why. */
  readonly unused: readonly { readonly plane: PlaneRef; readonly reason: string }[];
  /** Remarks for people: padded fields, promoted dtypes. */
  readonly remarks: readonly string[];
}
