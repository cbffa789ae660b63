// SPDX-License-Identifier: MIT
// What the addon says of the GPU (native/src/bind/gpu.cc).

import type { DType } from "./image/dtype.js";

/** One op for a recipe; `others` are the dtypes of its further images. */
export interface NativeGpuOp {
  readonly name: string;
  readonly arguments?: Readonly<Record<string, unknown>>;
  readonly others?: readonly DType[];
}

/** What a GPU has to do with a tile, as data (native/src/gpu/recipe.h). */
export interface NativeGpuRecipe {
  readonly buffers: readonly {
    readonly kind: "input" | "output" | "constant" | "temporary" | "result";
    readonly bytes: number;
    readonly zeroed: boolean;
    readonly data?: ArrayBuffer;
  }[];
  readonly passes: readonly {
    readonly name: string;
    readonly wgsl: string;
    readonly entry: string;
    readonly buffers: readonly number[];
    readonly writes: readonly boolean[];
    readonly uniforms: Uint32Array;
    readonly workgroups: readonly [number, number, number];
  }[];
  /** A result buffer of one word that is not 0 when the CPU must do it, or -1. */
  readonly doubt: number;
}

export type NativeProjection = "max" | "min" | "mean" | "sum" | "deviation" | "focus";

/** Threshold, label and measurement of one plane. */
export interface NativeGpuSegmentation {
  readonly dtype: DType;
  readonly height: number;
  readonly width: number;
  /** The plane already has labels (int32), which are only measured. */
  readonly labelled?: boolean;
  readonly method?: "value" | "otsu" | "triangle" | "li" | "yen";
  readonly value?: number;
  readonly minArea?: number;
  readonly maxArea?: number;
  readonly clearBorder?: boolean;
  readonly perimeter?: boolean;
  readonly eccentricity?: boolean;
  /** dtypes of the images that the objects are measured on. */
  readonly images: readonly DType[];
  /** Objects that the results have room for. */
  readonly capacity: number;
}

/** Ten numbers an object (label, area, centroid y and x, box y0 x0 y1 x1, perimeter, eccentricity), and four an object and image (integrated, mean, min, max). */
export interface NativeGpuRows {
  readonly shapes: Float64Array;
  readonly intensities: readonly Float64Array[];
}

export interface NativeGpu {
  /** The recipe of ops one after another, or a sentence that says why there is none. Inputs: the plane, then the others in order. */
  gpuRecipe(
    ops: readonly NativeGpuOp[],
    input: { readonly dtype: DType; readonly height: number; readonly width: number },
  ): NativeGpuRecipe | string;
  /** What the CPU makes of the same: bytes of the result. For tests; on the calling thread. */
  applyOps(
    ops: readonly NativeGpuOp[],
    input: { readonly dtype: DType; readonly height: number; readonly width: number },
    images: readonly Uint8Array[],
  ): Uint8Array;
  /** The recipe of a projection of so many planes, or why there is none; `window` is that of "focus", px. */
  gpuProjection(
    projection: NativeProjection,
    window: number,
    input: { readonly dtype: DType; readonly height: number; readonly width: number },
    planes: number,
  ): NativeGpuRecipe | string;
  /** What the CPU makes of the same. For tests; on the calling thread. */
  applyProjection(
    projection: NativeProjection,
    window: number,
    input: { readonly dtype: DType; readonly height: number; readonly width: number },
    planes: readonly Uint8Array[],
  ): Uint8Array;
  /** The recipe of all three, or a sentence that says why there is none. Inputs: the plane, the images; outputs: mask and labels unless labelled. */
  gpuSegmentation(what: NativeGpuSegmentation): NativeGpuRecipe | string;
  /** What the recipe's results say; null where the CPU has to measure. */
  gpuSegmentationRows(what: NativeGpuSegmentation, results: readonly Uint8Array[]): NativeGpuRows | null;
  /** What the CPU makes of the same. For tests; on the calling thread. */
  applySegmentation(
    what: NativeGpuSegmentation,
    images: readonly Uint8Array[],
  ): NativeGpuRows & {
    readonly threshold: number;
    readonly count: number;
    readonly mask: Uint8Array;
    readonly labels: Uint8Array;
  };
}
