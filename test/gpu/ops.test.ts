// SPDX-License-Identifier: MIT
// Every op that a GPU applies against the CPU's, on every dtype, odd sizes and edge values, by way of the npm package `webgpu`.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type DType, typedView } from "../../lib/image/dtype.js";
import { native } from "../../lib/native.js";
import type { NativeGpuOp } from "../../lib/native-gpu.js";
import { difference, greatestOf, somePixels } from "./compare.js";
import { type OpCase, opCases } from "./op-bounds.js";
import { WebGpuRunner } from "./webgpu-runner.js";

let runner: WebGpuRunner;
beforeAll(async () => {
  runner = await WebGpuRunner.open();
});
let ran = 0;
const worst = new Map<string, number>();
afterAll(() => {
  console.log(`${ran} cases on ${runner.adapter}`);
  if (process.env.TILECAST_GPU_WORST !== undefined)
    console.log([...worst].map(([k, v]) => `${k} ${v.toPrecision(3)}`).join("\n"));
  runner.close();
});

const sizes = [
  [1, 1],
  [1, 7],
  [7, 1],
  [37, 53],
  [129, 257],
] as const;

type Shape = { readonly dtype: DType; readonly height: number; readonly width: number };

/** dtype of what a row of ops gives. */
function resultOf(ops: readonly NativeGpuOp[], shape: Shape): DType {
  let now = shape;
  for (const op of ops) now = native().opResult(op.name, now, op.arguments ?? {});
  return now.dtype;
}

/** Runs ops on both and compares; says what is wrong. */
async function compare(
  ops: readonly NativeGpuOp[],
  shape: Shape,
  images: Uint8Array[],
  given: OpCase,
): Promise<string | undefined> {
  const recipe = native().gpuRecipe(ops, shape);
  if (typeof recipe === "string") return `refused: ${recipe}`;
  const { outputs, doubt } = await runner.run(recipe, images);
  if (doubt) return "the kernels doubt";
  const dtype = resultOf(ops, shape);
  const bytes = native().applyOps(ops, shape, images);
  const count = bytes.length / { 8: 1, 16: 2, 32: 4 }[dtype.match(/\d+$/)?.[0] as "8"];
  const want = typedView(bytes.slice().buffer, dtype, 0, count);
  const out = (outputs[0] as Uint8Array).slice().buffer;
  const pixels = typedView(
    (images[0] as Uint8Array).slice().buffer,
    shape.dtype,
    0,
    shape.height * shape.width,
  );
  const { worst: error, text } = difference(
    typedView(out, dtype, 0, count),
    want,
    given.bound,
    greatestOf(pixels),
  );
  ran++;
  const key = `${ops.map((op) => op.name + JSON.stringify(op.arguments ?? {})).join()} ${given.bound.kind}`;
  worst.set(key, Math.max(worst.get(key) ?? 0, error));
  return error <= 1 ? undefined : text;
}

function imagesFor(given: OpCase, shape: Shape, special: boolean): Uint8Array[] {
  const count = shape.height * shape.width;
  const images = [somePixels(shape.dtype, count, count + 1, special)];
  for (const dtype of given.op.others ?? [])
    images.push(somePixels(dtype, count, count + 2, special && dtype === "float32"));
  return images;
}

/** The sizes, and NaN and infinities where the op takes them. */
function* variants(given: OpCase, dtype: DType): Generator<readonly [Shape, boolean]> {
  for (const [height, width] of sizes) {
    if (Math.min(height, width) < (given.least ?? (given.once ? 37 : 1))) continue;
    if (given.once && height > 37) continue;
    yield [{ dtype, height, width }, false];
  }
  const floats = dtype === "float32" || given.op.others?.includes("float32");
  if (floats && !given.finite) yield [{ dtype, height: 37, width: 53 }, true];
}

describe.each([...new Set(opCases.map((c) => c.op.name))])("%s on a GPU", (name) => {
  const cases = opCases.filter((c) => c.op.name === name);
  test.each(
    cases.map(
      (c) =>
        [
          `${JSON.stringify(c.op.arguments ?? {})} ${c.op.others ?? ""} of ${c.dtypes.join(", ")}`,
          c,
        ] as const,
    ),
  )("with %s agrees with the CPU", async (_title, given) => {
    const wrong: string[] = [];
    for (const dtype of given.dtypes) {
      for (const [shape, special] of variants(given, dtype)) {
        const problem = await compare([given.op], shape, imagesFor(given, shape, special), given);
        if (problem !== undefined)
          wrong.push(`${dtype} ${shape.height} x ${shape.width}${special ? " with NaN" : ""}: ${problem}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});
