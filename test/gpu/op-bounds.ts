// SPDX-License-Identifier: MIT
// The ops that a GPU applies: with what they are tried, and how closely they agree with the CPU. docs/gpu-ops.md says the same (gpu-ops.test.ts).

import type { DType } from "../../lib/image/dtype.js";
import type { NativeGpuOp } from "../../lib/native-gpu.js";

/** How far a pixel may be from the CPU's. */
export type Bound =
  /** The same bits; NaN is NaN. */
  | { readonly kind: "equal" }
  /** Units in the last place of the CPU's float32. */
  | { readonly kind: "ulp"; readonly ulp: number }
  /** 2^-24, so many times, of the greatest magnitude in the image and the result. */
  | { readonly kind: "scale"; readonly steps: number }
  /** Integers: 1, where what float32 loses of the result, 2^-24 of it a few times, decides on which side of half-way it lies. */
  | { readonly kind: "ties" };

export const equal: Bound = { kind: "equal" };
export const ulp = (n: number): Bound => ({ kind: "ulp", ulp: n });
export const scale = (steps: number): Bound => ({ kind: "scale", steps });
export const ties: Bound = { kind: "ties" };

export interface OpCase {
  readonly op: NativeGpuOp;
  /** Input dtypes. */
  readonly dtypes: readonly DType[];
  readonly bound: Bound;
  /** No case where NaN and infinities are among the pixels: the op refuses them, or they are no pixels of its dtype. */
  readonly finite?: boolean;
  /** Pixels of the second image: not 0. */
  readonly divisor?: boolean;
  /** Sides below this have no case. */
  readonly least?: number;
  /** One size will do: the same kernel has all of them with other dtypes, and compiling it anew takes SwiftShader a second. */
  readonly once?: boolean;
}

const small = ["uint8", "int8", "uint16", "int16"] as const;
const all = [...small, "uint32", "int32", "float32"] as const;
const float = ["float32"] as const;
const wide = ["uint32", "int32"] as const;

/** Scalar arithmetic: 8 and 16 bits by table or exact sums, float32 in float32. */
const values = (["add", "subtract", "multiply", "divide"] as const).flatMap((name): OpCase[] => [
  { op: { name, arguments: { value: 3 } }, dtypes: small, bound: equal },
  { op: { name, arguments: { value: 3 } }, dtypes: float, bound: name === "divide" ? ulp(3) : equal },
  { op: { name, arguments: { value: 7, dtype: "uint16" } }, dtypes: small, bound: equal },
  { op: { name, arguments: { value: 0.3, dtype: "uint8" } }, dtypes: small, bound: equal },
  { op: { name, arguments: { value: 0.3 } }, dtypes: small, bound: equal },
  { op: { name, arguments: { value: 0.3 } }, dtypes: float, bound: name === "divide" ? ulp(4) : scale(2) },
  { op: { name, arguments: { value: 0.3, dtype: "int16" } }, dtypes: float, bound: ties },
]);

/** Two images: integers in integers, everything else in float32. */
const images = (["add", "subtract", "multiply", "divide"] as const).flatMap((name): OpCase[] => {
  const divisor = name === "divide";
  const number = divisor ? ulp(3) : equal;
  return [
    { op: { name, arguments: { dtype: "uint16" }, others: ["uint16"] }, dtypes: small, bound: equal },
    { op: { name, arguments: { dtype: "int32" }, others: ["int16"] }, dtypes: small, bound: equal },
    { op: { name, arguments: { dtype: "uint32" }, others: ["int8"] }, dtypes: small, bound: equal },
    { op: { name, arguments: { dtype: "uint8" }, others: ["uint8"] }, dtypes: small, bound: equal },
    { op: { name, others: ["uint16"] }, dtypes: [...small, "float32"], bound: number },
    { op: { name, others: ["float32"] }, dtypes: [...small, "float32"], bound: number },
    {
      op: { name, arguments: { dtype: "uint16" }, others: ["float32"] },
      dtypes: ["uint16"],
      bound: ties,
      divisor,
    },
  ];
});

const conversions = all.map(
  (dtype): OpCase => ({ op: { name: "convert", arguments: { dtype } }, dtypes: all, bound: equal }),
);

const filters: readonly OpCase[] = [
  ...[0, 0.5, 1, 2.5, 6, 14, 40].map(
    (sigma): OpCase => ({
      op: { name: "gaussian", arguments: { sigma } },
      dtypes: sigma === 1 ? all : sigma === 6 ? ["uint16", "float32"] : ["uint16"],
      bound: scale(12),
    }),
  ),
  {
    op: { name: "unsharp", arguments: { sigma: 1.5, amount: 0.7 } },
    dtypes: ["uint16", "float32"],
    bound: scale(16),
  },
  {
    op: { name: "differenceOfGaussians", arguments: { low: 1, high: 2 } },
    dtypes: ["uint16", "float32"],
    bound: scale(16),
  },
  {
    op: { name: "laplaceOfGaussian", arguments: { sigma: 1.2 } },
    dtypes: ["uint16", "float32"],
    bound: scale(24),
  },
  ...[
    [1, 1],
    [3, 3],
    [4, 7],
    [31, 2],
    [9, 200],
    [600, 3],
  ].map(
    ([height, width]): OpCase => ({
      op: { name: "box", arguments: { height, width } },
      dtypes: height === 3 ? ["uint8", "int16", "float32"] : ["uint16"],
      bound: scale(16),
    }),
  ),
  { op: { name: "sobel" }, dtypes: all, bound: ulp(4) },
  ...[
    [0.3, 200],
    [2.5, 9000],
  ].map(
    ([sigma, range]): OpCase => ({
      op: { name: "bilateral", arguments: { sigma, range } },
      dtypes: ["uint8", "uint16", "float32"],
      bound: scale(32),
    }),
  ),
  ...[0, 1, 2].map(
    (radius): OpCase => ({ op: { name: "median", arguments: { radius } }, dtypes: all, bound: equal }),
  ),
  ...[3, 6, 10].map(
    (radius): OpCase => ({
      op: { name: "median", arguments: { radius } },
      dtypes: radius === 3 ? ["uint8", "int16", "float32"] : ["uint16"],
      bound: equal,
    }),
  ),
];

const wideFilters: readonly OpCase[] = [
  {
    op: { name: "unsharp", arguments: { sigma: 1.5, amount: 0.7 } },
    dtypes: wide,
    bound: scale(16),
    once: true,
  },
  {
    op: { name: "differenceOfGaussians", arguments: { low: 1, high: 2 } },
    dtypes: wide,
    bound: scale(16),
    once: true,
  },
  {
    op: { name: "laplaceOfGaussian", arguments: { sigma: 1.2 } },
    dtypes: wide,
    bound: scale(24),
    once: true,
  },
  { op: { name: "box", arguments: { height: 3, width: 3 } }, dtypes: wide, bound: scale(16), once: true },
  {
    op: { name: "bilateral", arguments: { sigma: 1, range: 1e8 } },
    dtypes: wide,
    bound: scale(32),
    once: true,
  },
];

const geometry: readonly OpCase[] = [
  { op: { name: "crop", arguments: { y: 0, x: 0, height: 1, width: 1 } }, dtypes: all, bound: equal },
  {
    op: { name: "crop", arguments: { y: 3, x: 5, height: 21, width: 33 } },
    dtypes: all,
    bound: equal,
    least: 37,
  },
  ...["90", "180", "270"].map(
    (turn): OpCase => ({ op: { name: "rotate", arguments: { turn } }, dtypes: all, bound: equal }),
  ),
  ...["rows", "columns", "transpose"].map(
    (axis): OpCase => ({ op: { name: "flip", arguments: { axis } }, dtypes: all, bound: equal }),
  ),
  { op: { name: "bin", arguments: { factor: 1 } }, dtypes: all, bound: ulp(3) },
  { op: { name: "bin", arguments: { factor: 3 } }, dtypes: small, bound: ulp(4) },
  { op: { name: "bin", arguments: { factor: 16 } }, dtypes: all, bound: scale(16) },
  ...["bilinear", "area"].flatMap((method): OpCase[] =>
    [
      [19, 31],
      [80, 61],
    ].flatMap(([height, width]) => [
      { op: { name: "resize", arguments: { height, width, method } }, dtypes: small, bound: ties },
      { op: { name: "resize", arguments: { height, width, method } }, dtypes: float, bound: scale(12) },
    ]),
  ),
];

const levels: readonly OpCase[] = [
  { op: { name: "normalize" }, dtypes: [...small, "float32"], bound: scale(6), finite: true },
  {
    op: { name: "normalize", arguments: { low: 1, high: 99.8 } },
    dtypes: ["uint8", "int16", "float32"],
    bound: scale(6),
    finite: true,
  },
  {
    op: { name: "normalize", arguments: { low: 60, high: 30 } },
    dtypes: ["uint16", "float32"],
    bound: equal,
    finite: true,
    least: 37,
  },
  {
    op: { name: "normalize", arguments: { low: 0.35, high: 99.65, outHigh: 255, dtype: "uint8" } },
    dtypes: [...small, "float32"],
    bound: ties,
    finite: true,
  },
  { op: { name: "subtractBackground", arguments: { value: 100.25 } }, dtypes: all, bound: equal },
  {
    op: { name: "subtractBackground", arguments: { percentile: 5 } },
    dtypes: [...small, "float32"],
    bound: scale(4),
    finite: true,
  },
  {
    op: { name: "subtractBackground", arguments: { percentile: 50 } },
    dtypes: [...small, "float32"],
    bound: scale(4),
    finite: true,
  },
  { op: { name: "equalize" }, dtypes: small, bound: ulp(4) },
];

const grey = ["erode", "dilate", "open", "close", "topHat", "blackTopHat"] as const;
const footprints: readonly [Readonly<Record<string, number>>, readonly DType[]][] = [
  [{ radius: 0 }, ["uint16"]],
  [{ radius: 1 }, all],
  [{ radius: 6 }, ["uint16", "float32"]],
  [{ height: 3, width: 3 }, all],
  [{ height: 4, width: 7 }, ["uint16", "float32"]],
  [{ height: 1, width: 1 }, ["uint8"]],
];
const morphology: readonly OpCase[] = footprints.flatMap(([footprint, dtypes]) =>
  grey.map((name): OpCase => ({ op: { name, arguments: footprint }, dtypes, bound: equal })),
);

export const opCases: readonly OpCase[] = [
  ...morphology,
  { op: { name: "erode", arguments: { radius: 40 } }, dtypes: ["uint8"], bound: equal },
  { op: { name: "open", arguments: { height: 140, width: 3000 } }, dtypes: ["uint16"], bound: equal },
  { op: { name: "topHat", arguments: { height: 12, width: 20 } }, dtypes: ["uint16"], bound: equal },
  ...values,
  ...images,
  ...conversions,
  {
    op: { name: "rescale", arguments: { scale: 0.37, offset: 11.5, dtype: "uint8" } },
    dtypes: small,
    bound: equal,
  },
  {
    op: { name: "rescale", arguments: { scale: 0.37, offset: 11.5, dtype: "int16" } },
    dtypes: float,
    bound: ties,
  },
  { op: { name: "rescale", arguments: { scale: 0.37, offset: 11.5 } }, dtypes: small, bound: equal },
  { op: { name: "rescale", arguments: { scale: 0.37, offset: 11.5 } }, dtypes: float, bound: scale(2) },
  { op: { name: "clip", arguments: { low: 2.5, high: 99.5 } }, dtypes: all, bound: equal },
  { op: { name: "clip", arguments: { low: -1e12, high: 1e12 } }, dtypes: all, bound: equal },
  ...[0, 0.45, 1, 2, 2.2, 3].map(
    (gamma): OpCase => ({
      op: { name: "gamma", arguments: { gamma, gain: 1.1 } },
      dtypes: small,
      bound: equal,
    }),
  ),
  ...[0, 1, 2].map(
    (gamma): OpCase => ({
      op: { name: "gamma", arguments: { gamma, gain: 1.1 } },
      dtypes: float,
      bound: ulp(4),
    }),
  ),
  ...[0.45, 2.2, 3].map(
    (gamma): OpCase => ({ op: { name: "gamma", arguments: { gamma } }, dtypes: float, bound: ulp(512) }),
  ),
  { op: { name: "invert" }, dtypes: all, bound: equal },
  { op: { name: "anscombe" }, dtypes: small, bound: equal },
  { op: { name: "anscombe" }, dtypes: [...wide, "float32"], bound: ulp(4) },
  {
    op: { name: "flatField", arguments: { background: 90.5 }, others: ["float32"] },
    dtypes: all,
    bound: ulp(3),
  },
  ...levels,
  ...filters,
  ...wideFilters,
  ...geometry,
];
