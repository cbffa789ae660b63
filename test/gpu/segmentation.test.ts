// SPDX-License-Identifier: MIT
// Thresholds, labels and measurements on the GPU, through the npm package webgpu, against the CPU's.

import { afterAll, beforeAll, expect, test } from "vitest";
import type { DType } from "../../dist/image/dtype.js";
import { native } from "../../dist/native.js";
import type { NativeGpuSegmentation } from "../../dist/native-gpu.js";
import { bytesOf, integers, masks, nuclei, randomOf } from "./segmentation-cases.js";
import { WebGpuRunner } from "./webgpu-runner.js";

let runner: WebGpuRunner;
beforeAll(async () => {
  runner = await WebGpuRunner.open();
});
afterAll(() => runner.close());

type What = NativeGpuSegmentation;

/** The GPU's answer; rows null where it asks for the CPU. */
async function onGpu(what: What, planes: readonly Uint8Array[]) {
  const recipe = native().gpuSegmentation(what);
  if (typeof recipe === "string") throw new Error(recipe);
  const { outputs, results } = await runner.run(recipe, planes);
  const computed = what.labelled !== true && what.method !== "value";
  const words = computed ? (results[0] as Uint8Array) : new Uint8Array(16);
  const count = what.labelled === true ? undefined : (results[computed ? 1 : 0] as Uint8Array);
  const [mask, labels] = outputs;
  return {
    threshold: new Float32Array(words.buffer)[0],
    failed: new Uint32Array(words.buffer)[1] !== 0,
    count: count === undefined ? undefined : new Uint32Array(count.buffer)[0],
    mask: mask?.subarray(0, what.height * what.width),
    labels,
    rows: native().gpuSegmentationRows(what, results),
  };
}

const plain = { images: [], capacity: 0 } as const;

/** Whether the bytes are the same, without a report of a million differences. */
function same(got: Uint8Array | undefined, want: Uint8Array): boolean {
  return got !== undefined && Buffer.compare(got, want) === 0;
}

async function checkThreshold(what: What, plane: Uint8Array, name: string) {
  const want = native().applySegmentation(what, [plane]);
  const got = await onGpu(what, [plane]);
  expect(got.failed, name).toBe(false);
  expect(got.threshold, name).toBe(Math.fround(want.threshold));
  expect(same(got.mask, want.mask), `${name}: mask`).toBe(true);
  expect(same(got.labels, want.labels), `${name}: labels`).toBe(true);
  expect(got.count, name).toBe(want.count);
}

const methods = ["otsu", "triangle", "yen", "li"] as const;
test("smoke", async () => {
  const [height, width] = [150, 131];
  for (const method of methods) for (const dtype of [...integers, "float32"] as const) {
    if (method === "li" && dtype === "float32") continue;
    const top = dtype.endsWith("8") ? 120 : 4000;
    console.log(method, dtype);
    const plane = bytesOf(dtype, nuclei(height, width, 1, top));
    await checkThreshold({ ...plain, dtype, height, width, method }, plane, `${method} ${dtype}`);
  }
});
