// SPDX-License-Identifier: MIT
// Rows of ops on a GPU: point-wise ones become one kernel, and give what each of them gives by itself.

import { afterAll, beforeAll, expect, test } from "vitest";
import { type DType, typedView } from "../../lib/image/dtype.js";
import { native } from "../../lib/native.js";
import type { NativeGpuOp, NativeGpuRecipe } from "../../lib/native-gpu.js";
import { difference, greatestOf, somePixels } from "./compare.js";
import { scale } from "./op-bounds.js";
import { WebGpuRunner } from "./webgpu-runner.js";

let runner: WebGpuRunner;
beforeAll(async () => {
  runner = await WebGpuRunner.open();
});
afterAll(() => runner.close());

type Shape = { readonly dtype: DType; readonly height: number; readonly width: number };

function recipeOf(ops: readonly NativeGpuOp[], shape: Shape): NativeGpuRecipe {
  const recipe = native().gpuRecipe(ops, shape);
  if (typeof recipe === "string") throw new Error(recipe);
  return recipe;
}

async function apply(
  ops: readonly NativeGpuOp[],
  shape: Shape,
  images: readonly Uint8Array[],
): Promise<Uint8Array> {
  const { outputs, doubt } = await runner.run(recipeOf(ops, shape), images);
  expect(doubt).toBe(false);
  return outputs[0] as Uint8Array;
}

/** The ops one at a time; `others` are taken in order. */
async function oneByOne(
  ops: readonly NativeGpuOp[],
  shape: Shape,
  images: readonly Uint8Array[],
): Promise<[Uint8Array, Shape]> {
  let now = shape;
  let pixels = images[0] as Uint8Array;
  let used = 1;
  for (const op of ops) {
    const others = images.slice(used, used + (op.others?.length ?? 0));
    used += others.length;
    pixels = (await apply([op], now, [pixels, ...others])).slice();
    now = native().opResult(op.name, now, op.arguments ?? {});
  }
  return [pixels, now];
}

const image = { height: 37, width: 53 } as const;
const chains: readonly (readonly [string, DType, readonly NativeGpuOp[], number])[] = [
  [
    "flat field, rescale, clip and convert",
    "uint16",
    [
      { name: "flatField", arguments: { background: 100 }, others: ["float32"] },
      { name: "rescale", arguments: { scale: 0.5, offset: 3 } },
      { name: "clip", arguments: { low: 0, high: 50000 } },
      { name: "convert", arguments: { dtype: "uint16" } },
    ],
    1,
  ],
  [
    "integers that stay integers",
    "uint8",
    [
      { name: "invert" },
      { name: "add", arguments: { dtype: "uint8" }, others: ["uint8"] },
      { name: "subtract", arguments: { value: 17, dtype: "int16" } },
      { name: "multiply", arguments: { dtype: "int32" }, others: ["int16"] },
    ],
    1,
  ],
  [
    "normalize and what follows",
    "float32",
    [
      { name: "normalize", arguments: { low: 2, high: 98, outHigh: 1000 } },
      { name: "anscombe" },
      { name: "gamma", arguments: { gamma: 2 } },
    ],
    1,
  ],
  ["many images", "int16", Array.from({ length: 9 }, () => ({ name: "add", others: ["int16"] as const })), 2],
];

test.each(chains)("%s give what they give one by one", async (_title, dtype, ops, passes) => {
  const shape = { dtype, ...image };
  const count = image.height * image.width;
  const others = ops.flatMap((op) => op.others ?? []);
  const images = [dtype, ...others].map((d, i) => somePixels(d as DType, count, i + 1, false));
  const recipe = recipeOf(ops, shape);
  expect(recipe.passes.filter((pass) => !/^(range|select|limits)/.test(pass.name))).toHaveLength(passes);
  const got = await apply(ops, shape, images);
  const [alone, last] = await oneByOne(ops, shape, images);
  expect(got).toEqual(alone);
  const bytes = native().applyOps(ops, shape, images);
  const view = (b: Uint8Array) => typedView(b.slice().buffer, last.dtype, 0, count);
  if (last.dtype === "float32") {
    const { worst, text } = difference(view(got), view(bytes), scale(16), greatestOf(view(bytes)));
    expect(worst, text).toBeLessThanOrEqual(1);
  }
});

test("8 and 16 bits go through one table, with the CPU's bits, however many ops there are", async () => {
  const ops = [
    { name: "gamma", arguments: { gamma: 0.45 } },
    { name: "rescale", arguments: { scale: 0.1, offset: -3.7 } },
    { name: "anscombe" },
    { name: "divide", arguments: { value: 0.3, dtype: "float32" } },
  ];
  for (const dtype of ["uint8", "int8", "uint16", "int16"] as const) {
    const shape = { dtype, ...image };
    const images = [somePixels(dtype, image.height * image.width, 5, false)];
    const recipe = recipeOf(ops, shape);
    expect(recipe.passes).toHaveLength(1);
    expect(recipe.buffers.filter(({ kind }) => kind === "constant")).toHaveLength(1);
    const got = await apply(ops, shape, images);
    expect(got).toEqual(native().applyOps(ops, shape, images));
  }
});

test("a filter between point-wise ops gives the CPU's chain", async () => {
  const ops = [
    { name: "subtract", arguments: { value: 20 } },
    { name: "gaussian", arguments: { sigma: 1.5 } },
    { name: "clip", arguments: { low: 0, high: 60000 } },
    { name: "bin", arguments: { factor: 2 } },
    { name: "flip", arguments: { axis: "transpose" } },
  ];
  const shape = { dtype: "uint16", ...image } as const;
  const images = [somePixels("uint16", image.height * image.width, 5, false)];
  const got = await apply(ops, shape, images);
  const bytes = native().applyOps(ops, shape, images);
  const want = new Float32Array(bytes.slice().buffer);
  const { worst, text } = difference(new Float32Array(got.slice().buffer), want, scale(24), 65535);
  expect(worst, text).toBeLessThanOrEqual(1);
});

test.each([Number.NaN, Infinity])("a range that the CPU refuses raises the doubt: %d", async (value) => {
  const shape = { dtype: "float32", ...image } as const;
  const pixels = new Float32Array(image.height * image.width).map((_, i) => i);
  pixels[1234] = value;
  for (const parameters of [{}, { low: 0, high: 99.99999 }, { low: 1, high: 100 }]) {
    const recipe = recipeOf([{ name: "normalize", arguments: parameters }], shape);
    const { doubt } = await runner.run(recipe, [new Uint8Array(pixels.buffer)]);
    expect(doubt).toBe(true);
  }
});

const square = { height: 64, width: 64 } as const;
test.each([
  ["add", { value: 1 }, "uint32", "uint32: float32 does not hold its values"],
  ["rescale", { scale: 2 }, "int32", "int32: float32 does not hold its values"],
  ["add", { value: 1, dtype: "float64" }, "uint8", "a GPU has no float64"],
  ["gaussian", { sigma: 2 }, "float64", "a GPU has no float64"],
  ["normalize", {}, "uint32", "uint32: float32 does not hold its values"],
  ["normalize", { low: -1, high: 99 }, "uint8", "its percentiles are not within 0..100"],
  ["equalize", {}, "float32", "float32: its histogram is the CPU's"],
  ["median", { radius: 11 }, "uint16", "a radius above 10 px: its cost grows with the window"],
  ["bilateral", { sigma: 20, range: 3 }, "uint16", "a radius above 48 px: its cost grows with the window"],
  ["bin", { factor: 300 }, "uint16", "a factor that is not within 1..256"],
  ["resize", { height: 3, width: 3 }, "int32", "int32: float32 does not hold its values"],
  ["crop", { y: 60, height: 10, width: 10 }, "uint8", "it does not lie inside the image"],
  ["clip", { low: 3, high: 2 }, "uint8", "its limits are not in order"],
  ["clahe", {}, "uint8", "clahe has no GPU kernel"],
] as const)("%s %j of %s is the CPU's, and why is said", (name, parameters, dtype, why) => {
  expect(native().gpuRecipe([{ name, arguments: parameters }], { dtype, ...square })).toBe(why);
});
