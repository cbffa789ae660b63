// SPDX-License-Identifier: MIT
// Appose's way to name an array in shared memory, for workers in Python and Java (https://docs.apposed.org, "Types").

import type { DType } from "./dtype.js";
import { type Shape, shapeBytes } from "./shape.js";

/** As Appose's JSON has it; C order, offset 0, no padding. */
export interface ApposeNDArray {
  readonly appose_type: "ndarray";
  readonly dtype: DType;
  readonly shape: Shape;
  readonly shm: {
    readonly appose_type: "shm";
    readonly name: string;
    /** Bytes that the array needs. The object may be larger: a slot is a multiple of the page size. */
    readonly rsize: number;
  };
}

/** What an Appose task takes as an input for an exported tile. Throws ERR_INVALID_ARGUMENT as {@link shapeBytes}. */
export function apposeNDArray(
  exported: { readonly name: string },
  shape: Shape,
  dtype: DType,
): ApposeNDArray {
  return {
    appose_type: "ndarray",
    dtype,
    shape,
    shm: { appose_type: "shm", name: exported.name, rsize: shapeBytes(shape, dtype) },
  };
}
