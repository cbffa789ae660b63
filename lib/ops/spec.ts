// SPDX-License-Identifier: MIT
// What an entry of the op table says, and the words it says it in.

import { type DType, dtypes } from "../image/dtype.js";
import type { AnyParameter } from "./parameter.js";

/** What flows through a chain at some point. */
export type TileKind = "image" | "mask" | "labels";

/** Families of ops, in the order in which they are listed; each has its file in families/. */
export const families = {
  projections: "Projections",
  illumination: "Illumination and background",
  intensity: "Arithmetic and intensity",
  filters: "Smoothing and detail",
  morphology: "Morphology",
  segmentation: "Segmentation",
  measurement: "Measurement",
  geometry: "Geometry",
  alignment: "Registration and stitching",
  flow: "Saving, functions of yours",
} as const;
export type Family = keyof typeof families;

export interface Size {
  readonly height: number;
  readonly width: number;
}

type Values = Readonly<Record<string, unknown>>;

/** A wrong combination of parameters: which one, and the sentence that follows the op's name. */
export interface Conflict {
  readonly argument: string;
  readonly says: string;
}

export interface OpSpec {
  readonly family: Family;
  readonly summary: string;
  /** The exact definition: boundary, rounding, bins. */
  readonly definition: string;
  /** Paper, specification or implementation that defines it. */
  readonly source: string;
  readonly takes: readonly TileKind[];
  readonly gives: TileKind | "same" | "nothing";
  readonly accepts: readonly DType[];
  /** dtype of the result. */
  result(input: DType, parameters: Values): DType;
  /** Size of the result where it is another than the input's, or a sentence that says why there is none. */
  size?(input: Size, parameters: Values): Size | string;
  /** How much larger a pixel of the result is than one of the input; 1 where it is not said. */
  pixelRatio?(input: Size, parameters: Values): Size;
  /** Its images are moved by what a phase before the run finds: all sites of a well onto one canvas, or each plane for itself. */
  readonly aligns?: "sites" | "planes";
  /** It is the native op of the same name (native/src/exec/op_rows_*.cc), which gets these parameters. */
  readonly native?: readonly string[];
  /** It looks at a whole z stack, and gives as many planes. */
  readonly stack?: true;
  /** It gives a mask of what is above a level of the whole plane, found by this method (native/src/exec/program.h). */
  readonly threshold?: "value" | "otsu" | "triangle" | "li" | "yen";
  /** What is wrong with the parameters together. */
  conflict?(parameters: Values): Conflict | undefined;
  readonly parameters: Readonly<Record<string, AnyParameter>>;
}

export const anyDType: readonly DType[] = dtypes;
export const notFloat64: readonly DType[] = dtypes.filter((d) => d !== "float64");
/** What can be counted: 8 and 16 bits by value, floats by bins. */
export const levels: readonly DType[] = ["uint8", "int8", "uint16", "int16", "float32", "float64"];

export const image: readonly TileKind[] = ["image"];
export const mask: readonly TileKind[] = ["mask"];
export const labels: readonly TileKind[] = ["labels"];
export const imageOrMask: readonly TileKind[] = ["image", "mask"];
export const anyKind: readonly TileKind[] = ["image", "mask", "labels"];

export const sameType = (d: DType): DType => d;
export const float32 = (): DType => "float32";
export const uint8 = (): DType => "uint8";
export const int32 = (): DType => "int32";
/** The dtype that the parameter `dtype` names. */
export const wanted = (_: DType, p: Values): DType => (p.dtype as DType | undefined) ?? "float32";
