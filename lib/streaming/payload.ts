// SPDX-License-Identifier: MIT
// What is sent to viewers: images, labels, shapes, points, tracks and tables, each with who made it and where it belongs.

import type { DType } from "../image/dtype.js";
import type { NativeTilePool } from "../native.js";

/** The components of the wire, in the order that OpenHCS sends them. */
export const streamComponents = ["site", "channel", "z_index", "timepoint", "well"] as const;
export type StreamComponent = (typeof streamComponents)[number];

/** Where a payload belongs. A projection over a component has the value 1 there: OpenHCS wants all five. */
export interface ComponentValues {
  readonly site: number;
  readonly channel: number;
  readonly z_index: number;
  readonly timepoint: number;
  readonly well: string;
}

/** Who made it. Payloads of one producer share a layer or a window; it must not change while a viewer shows them. */
export interface Producer {
  /** The pipeline's step, as a person reads it; null outside of pipelines. */
  readonly stepName: string | null;
  /** 0-based place of the step in its pipeline. */
  readonly position: number | null;
  /** `main`: the step's image; `artifact`: something beside it, such as labels. */
  readonly kind: "main" | "artifact" | "manual";
  /** Name of the output, e.g. `main` or `nuclei`. */
  readonly output: string;
}

/** Where the same plane can be read again: an image group of OME-Zarr on disk, the array in it, its place along the leading axes. */
export interface StoredPlane {
  readonly path: string;
  readonly array: string;
  readonly index: readonly number[];
}

interface Common {
  readonly components: ComponentValues;
  readonly producer: Producer;
  /** Name of the layer or window; default: made of the producer. */
  readonly title?: string;
  /** Micrometres a pixel, [y, x]; absent when unknown. */
  readonly pixelSize?: readonly [number, number];
}

/** A loan in a pool. Whoever passes one on passes its lease on: the receiver of this object releases it, exactly once. */
export interface LoanedPixels {
  readonly pool: NativeTilePool;
  readonly slot: number;
  readonly generation: number;
}

/** [y, x], C order, at the start of the slot. Without `pixels` it is known by its store alone. */
export interface PlanePayload extends Common {
  readonly kind: "image" | "labels";
  readonly shape: readonly [number, number];
  readonly dtype: DType;
  readonly pixels?: LoanedPixels;
  readonly store?: StoredPlane;
}

/** One outline of an object or region; vertices in pixels, [y, x] pairs one after another. */
export interface StreamShape {
  readonly type: "polygon" | "path" | "ellipse";
  /** y0, x0, y1, x1, ... Of an ellipse: the corners of its bounding box. */
  readonly vertices: Float32Array | readonly number[];
  readonly label: number;
  /** Pixels; default: computed from the vertices. */
  readonly area?: number;
  readonly centroid?: readonly [number, number];
}

export interface ShapesPayload extends Common {
  readonly kind: "shapes";
  readonly shapes: readonly StreamShape[];
}

export interface PointsPayload extends Common {
  readonly kind: "points";
  /** y0, x0, y1, x1, ... in pixels. */
  readonly points: Float32Array | readonly number[];
  /** One a point; default 1, 2, ... */
  readonly labels?: readonly number[];
}

export interface TracksPayload extends Common {
  readonly kind: "tracks";
  /** Rows [track, timepoint, y, x]. */
  readonly tracks: readonly (readonly [number, number, number, number])[];
}

export interface TablePayload extends Common {
  readonly kind: "table";
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number | null)[])[];
}

export type StreamPayload = PlanePayload | ShapesPayload | PointsPayload | TracksPayload | TablePayload;
