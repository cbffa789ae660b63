// SPDX-License-Identifier: MIT
// Projections over a stack on a GPU against the CPU's, with more planes than a kernel has bindings for.

import { afterAll, beforeAll, expect, test } from "vitest";
import { type DType, dtypeSize, typedView } from "../../lib/image/dtype.js";
import { native } from "../../lib/native.js";
import type { NativeProjection } from "../../lib/native-gpu.js";
import { difference, greatestOf, somePixels } from "./compare.js";
import { type Bound, equal, scale, ulp } from "./op-bounds.js";
import { WebGpuRunner } from "./webgpu-runner.js";

let runner: WebGpuRunner;
beforeAll(async () => {
  runner = await WebGpuRunner.open();
});
let ran = 0;
afterAll(() => {
  console.log(`${ran} cases on ${runner.adapter}`);
  runner.close();
});

const small = ["uint8", "int8", "uint16", "int16"] as const;
const sum: Partial<Record<DType, DType>> = {
  uint8: "uint32",
  uint16: "uint32",
  int8: "int32",
  int16: "int32",
};

const cases: readonly (readonly [NativeProjection, readonly DType[], Bound, (input: DType) => DType])[] = [
  ["max", [...small, "uint32", "int32", "float32"], equal, (d) => d],
  ["min", [...small, "uint32", "int32", "float32"], equal, (d) => d],
  ["sum", small, equal, (d) => sum[d] as DType],
  ["mean", small, ulp(4), () => "float32"],
  ["mean", ["float32"], scale(8), () => "float32"],
  ["deviation", [...small, "float32"], scale(16), () => "float32"],
];

test.each(cases)("%s of %s agrees with the CPU", async (projection, dtypes, bound, result) => {
  const wrong: string[] = [];
  for (const input of dtypes) {
    for (const [height, width] of [
      [1, 1],
      [7, 1],
      [37, 53],
    ] as const) {
      for (const planes of [1, 2, 7, 15]) {
        const count = height * width;
        const images = Array.from({ length: planes }, (_, i) =>
          somePixels(input, count, 10 + i, planes === 2),
        );
        const shape = { dtype: input, height, width };
        const recipe = native().gpuProjection(projection, 0, shape, planes);
        if (typeof recipe === "string") throw new Error(recipe);
        const [out] = (await runner.run(recipe, images)).outputs;
        const bytes = native().applyProjection(projection, 0, shape, images);
        const dtype = result(input);
        const want = typedView(bytes.slice().buffer, dtype, 0, count);
        expect(bytes.length).toBe(count * dtypeSize(dtype));
        const magnitude = Math.max(
          ...images.map((bytes) => greatestOf(typedView(bytes.slice().buffer, input, 0, count))),
        );
        const { worst, text } = difference(
          typedView((out as Uint8Array).slice().buffer, dtype, 0, count),
          want,
          bound,
          magnitude,
        );
        ran++;
        if (worst > 1) wrong.push(`${input} ${height} x ${width} x ${planes}: ${text}`);
      }
    }
  }
  expect(wrong).toEqual([]);
});

/** Planes that are sharp in places: noise on a third of the columns each. */
function stack(
  dtype: "uint8" | "uint16" | "float32",
  height: number,
  width: number,
  planes: number,
): Uint8Array[] {
  return Array.from({ length: planes }, (_, k) => {
    const bytes = somePixels(dtype, height * width, 3 + k, false);
    const pixels = typedView(bytes.buffer, dtype, 0, height * width);
    for (let i = 0; i < pixels.length; i++) {
      if (Math.floor(((i % width) * 3) / width) % planes !== k) pixels[i] = 7 + k;
    }
    return bytes;
  });
}

test.each(["uint8", "uint16", "float32"] as const)(
  "focus of %s takes each pixel from the plane that the CPU takes it from",
  async (dtype) => {
    for (const [height, width, planes] of [
      [1, 1, 3],
      [37, 53, 3],
      [41, 60, 9],
    ] as const) {
      const shape = { dtype, height, width };
      const images = stack(dtype, height, width, planes);
      const recipe = native().gpuProjection("focus", 5, shape, planes);
      if (typeof recipe === "string") throw new Error(recipe);
      const [out] = (await runner.run(recipe, images)).outputs;
      const want = native().applyProjection("focus", 5, shape, images);
      expect((out as Uint8Array).subarray(0, want.length)).toEqual(want);
      ran++;
    }
  },
);

test.each([
  ["sum", "float32", "float32: its sum is float64"],
  ["mean", "uint32", "uint32: float32 does not hold its values"],
  ["max", "float64", "a GPU has no float64"],
] as const)("%s of %s is the CPU's", (projection, dtype, why) => {
  expect(native().gpuProjection(projection, 0, { dtype, height: 4, width: 4 }, 2)).toBe(why);
});
