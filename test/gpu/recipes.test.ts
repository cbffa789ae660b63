// SPDX-License-Identifier: MIT
// Every recipe of the GPU engine, run by an independent caller of WebGPU, against the CPU's kernels.

import { afterAll, beforeAll, expect, test } from "vitest";
import { native } from "../../lib/native.js";
import { WebGpuRunner } from "./webgpu-runner.js";

let runner: WebGpuRunner;
beforeAll(async () => {
  runner = await WebGpuRunner.open();
});
afterAll(() => runner.close());

function pixels(count: number): Uint16Array {
  let state = 1;
  return Uint16Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 16;
  });
}

test("a row of ops gives what the CPU gives", async () => {
  const shape = { dtype: "uint16", height: 37, width: 53 } as const;
  const ops = [{ name: "anscombe" }, { name: "sobel" }];
  const bytes = new Uint8Array(pixels(37 * 53).buffer);
  const recipe = native().gpuRecipe(ops, shape);
  if (typeof recipe === "string") throw new Error(recipe);
  const [output] = (await runner.run(recipe, [bytes])).outputs;
  const got = new Float32Array((output as Uint8Array).buffer);
  const want = new Float32Array(native().applyOps(ops, shape, [bytes]).slice().buffer);
  for (const [i, value] of want.entries()) expect(got[i]).toBeCloseTo(value, 3);
});
