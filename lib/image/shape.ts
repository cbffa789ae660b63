// SPDX-License-Identifier: MIT
// Shapes of tiles: what is a valid one, and how many pixels and bytes it has.

import { TilecastError } from "../errors.js";
import { type DType, dtypeSize, dtypes } from "./dtype.js";

/** `[y, x]`, or `[n, y, x]` for a stack; in pixels, C order, without padding. */
export type Shape = readonly [y: number, x: number] | readonly [n: number, y: number, x: number];

/** A value as an error message shows it: short, on one line, and never throwing. */
export function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return "a function";
  if (Array.isArray(value))
    return `[${value.slice(0, 6).map(describe).join(", ")}${value.length > 6 ? ", ..." : ""}]`;
  if (typeof value === "object" && value !== null) return "an object";
  return String(value);
}

/** An ERR_INVALID_ARGUMENT that names the argument, what was expected and what came. */
export function invalidArgument(argument: string, expected: string, got: unknown): TilecastError {
  return new TilecastError("ERR_INVALID_ARGUMENT", `${argument} must be ${expected}, got ${describe(got)}`, {
    argument,
  });
}

/** Narrows to an integer from `min` to `max`. Throws ERR_INVALID_ARGUMENT. */
export function checkInteger(
  value: unknown,
  argument: string,
  min: number,
  max: number = Number.MAX_SAFE_INTEGER,
): number {
  if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
    const range =
      max === Number.MAX_SAFE_INTEGER ? `an integer of at least ${min}` : `an integer from ${min} to ${max}`;
    throw invalidArgument(argument, range, value);
  }
  return value as number;
}

/** Narrows to a {@link DType}. Throws ERR_INVALID_ARGUMENT. */
export function checkDType(value: unknown, argument = "dtype"): DType {
  if (!dtypes.includes(value as DType)) throw invalidArgument(argument, `one of ${dtypes.join(", ")}`, value);
  return value as DType;
}

/** Narrows to a {@link Shape} of positive sizes. Throws ERR_INVALID_ARGUMENT. */
export function checkShape(value: unknown, argument = "shape"): Shape {
  const ok =
    Array.isArray(value) &&
    (value.length === 2 || value.length === 3) &&
    value.every((size) => Number.isSafeInteger(size) && size > 0);
  if (!ok) throw invalidArgument(argument, "[y, x] or [n, y, x] of positive integers", value);
  return value as unknown as Shape;
}

/** Number of pixels. Throws ERR_INVALID_ARGUMENT where the product is not exact in a double (2^53 or more). */
export function shapePixels(shape: Shape, argument = "shape"): number {
  // A product of integers is rounded only above 2^53, and rounding never brings it back below: testing the end result suffices.
  const pixels = shape.reduce((product: number, size: number) => product * size, 1);
  if (!Number.isSafeInteger(pixels)) throw invalidArgument(argument, "of fewer than 2^53 pixels", shape);
  return pixels;
}

/** Bytes of a tile of this shape and dtype. Throws ERR_INVALID_ARGUMENT as {@link shapePixels}. */
export function shapeBytes(shape: Shape, dtype: DType, argument = "shape"): number {
  const bytes = shapePixels(shape, argument) * dtypeSize(dtype);
  if (!Number.isSafeInteger(bytes)) throw invalidArgument(argument, "of fewer than 2^53 bytes", shape);
  return bytes;
}
