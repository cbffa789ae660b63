// SPDX-License-Identifier: MIT
// Ops on masks and labels on the GPU against the CPU's, bit for bit: holes, distances, growth, choice, peaks.

import { afterAll, beforeAll, expect, test } from "vitest";
import type { DType } from "../../lib/image/dtype.js";
import { native } from "../../lib/native.js";
import type { NativeGpuOp } from "../../lib/native-gpu.js";
import { bytesOf, masks, nuclei, randomOf } from "./segmentation-cases.js";
import { WebGpuRunner } from "./webgpu-runner.js";

let runner: WebGpuRunner;
beforeAll(async () => {
  runner = await WebGpuRunner.open();
});
afterAll(() => runner.close());

/** SwiftShader compiles a kernel in a second or so, and this machine may be busy. */
const patience = 300_000;
const sizes = [
  [1, 1],
  [1, 97],
  [97, 1],
  [33, 64],
  [70, 131],
  [201, 140],
] as const;

type Shape = { readonly dtype: DType; readonly height: number; readonly width: number };

/** Whether the GPU gives the CPU's bytes, or doubts. */
async function check(op: NativeGpuOp, shape: Shape, plane: Uint8Array, name: string): Promise<boolean> {
  const recipe = native().gpuRecipe([op], shape);
  if (typeof recipe === "string") throw new Error(recipe);
  const { outputs, doubt } = await runner.run(recipe, [plane]);
  if (doubt) return false;
  const want = native().applyOps([op], shape, [plane]);
  const got = (outputs[0] as Uint8Array).subarray(0, want.length);
  const at = want.findIndex((byte, i) => byte !== got[i]);
  expect(
    at,
    `${op.name} ${JSON.stringify(op.arguments ?? {})}, ${name} ${shape.height} x ${shape.width}`,
  ).toBe(-1);
  return true;
}

async function checkMasks(op: NativeGpuOp): Promise<number> {
  let planes = 0;
  for (const [height, width] of sizes) {
    for (const [name, make] of Object.entries(masks)) {
      const shape = { dtype: "uint8", height, width } as const;
      expect(await check(op, shape, make(height, width), name)).toBe(true);
      planes++;
    }
  }
  return planes;
}

test.each(["fillHoles", "distanceTransform"])(
  "%s gives the CPU's bytes",
  async (name) => {
    const planes = await checkMasks({ name });
    console.log(`${name}: ${planes} masks, equal`);
  },
  patience,
);

/** Labels with gaps and touching parts, some negative when asked for. */
function someLabels(height: number, width: number, seed: number, lowest: number): Uint8Array {
  const random = randomOf(seed);
  const values = new Float64Array(height * width);
  const blobs = Math.max(1, Math.round((height * width) / 300));
  for (let n = 0; n < blobs; n++) {
    const [cy, cx, r] = [random() * height, random() * width, 1 + 6 * random()];
    const label = lowest + Math.floor(random() * Math.min(60, height * width - lowest));
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) if (Math.hypot(y - cy, x - cx) < r) values[y * width + x] = label;
  }
  return bytesOf("int32", values);
}

test(
  "expandLabels gives the CPU's labels, the least of those as near",
  async () => {
    let planes = 0;
    for (const [height, width] of sizes) {
      for (const distance of [0, 1, 2.5, 7, 4096]) {
        for (const lowest of [1, -9]) {
          const shape = { dtype: "int32", height, width } as const;
          const op = { name: "expandLabels", arguments: { distance } };
          expect(await check(op, shape, someLabels(height, width, planes, lowest), "labels")).toBe(true);
          planes++;
        }
      }
    }
    console.log(`expandLabels: ${planes} planes, equal`);
  },
  patience,
);

test(
  "filterLabels keeps the CPU's labels, and leaves labels beyond its table to the CPU",
  async () => {
    const options = [
      { minArea: 30 },
      { maxArea: 25 },
      { clearBorder: true },
      { minArea: 9, maxArea: 60, clearBorder: true },
      {},
    ];
    let planes = 0;
    for (const [height, width] of sizes) {
      for (const given of options) {
        const shape = { dtype: "int32", height, width } as const;
        const op = { name: "filterLabels", arguments: given };
        const lowest = height * width > 100 ? -9 : 1;
        expect(await check(op, shape, someLabels(height, width, planes, lowest), "labels")).toBe(true);
        planes++;
      }
    }
    const far = bytesOf(
      "int32",
      Float64Array.from({ length: 15 }, (_, i) => 16 * i),
    );
    const shape = { dtype: "int32", height: 3, width: 5 } as const;
    expect(await check({ name: "filterLabels" }, shape, far, "far")).toBe(false);
    console.log(`filterLabels: ${planes} planes, equal`);
  },
  patience,
);

test(
  "findPeaks gives the CPU's peaks, and leaves equal ones too near to each other to the CPU",
  async () => {
    let planes = 0;
    let doubted = 0;
    for (const dtype of ["uint8", "int16", "uint16", "uint32", "float32"] as const) {
      for (const [height, width] of [
        [1, 1],
        [37, 53],
        [90, 131],
      ] as const) {
        for (const [distance, threshold, border] of [
          [1, 12.5, 0],
          [3, 0.1, 2],
          [9, 30, 0],
        ] as const) {
          const plane = bytesOf(dtype, nuclei(height, width, planes, dtype === "uint8" ? 250 : 4000));
          const op = { name: "findPeaks", arguments: { distance, threshold, border } };
          if (!(await check(op, { dtype, height, width }, plane, dtype))) doubted++;
          planes++;
        }
      }
    }
    const shape = { dtype: "uint8", height: 20, width: 31 } as const;
    const flat = new Uint8Array(20 * 31).fill(9);
    expect(await check({ name: "findPeaks", arguments: { threshold: 1 } }, shape, flat, "flat")).toBe(true);
    const plateau = flat.with(40, 8);
    expect(await check({ name: "findPeaks", arguments: { threshold: 1 } }, shape, plateau, "plateau")).toBe(
      true,
    );
    const near = { name: "findPeaks", arguments: { threshold: 1, distance: 2 } };
    expect(await check(near, shape, plateau, "plateau")).toBe(false);
    const odd = Float64Array.from(
      { length: 620 },
      (_, i) => [0, -0, Number.NaN, -3, 5, 1e-42][(i * 7) % 6] as number,
    );
    const floats = { dtype: "float32", height: 20, width: 31 } as const;
    for (const threshold of [-1, 0, 0.1]) {
      const op = { name: "findPeaks", arguments: { threshold } };
      expect(await check(op, floats, bytesOf("float32", odd), "odd floats")).toBe(true);
    }
    expect(doubted).toBeLessThan(planes / 2);
    console.log(`findPeaks: ${planes - doubted} planes, equal; ${doubted} left to the CPU`);
  },
  patience,
);
