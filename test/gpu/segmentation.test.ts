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
/** What the methods take on the GPU. */
const levels = (method: (typeof methods)[number]): readonly DType[] =>
  method === "li" ? integers : [...integers, "float32"];

/** A plane of some hundred pixels whose histogram is like `kind`'s. */
function histogramPlane(kind: number, dtype: DType, seed: number): { values: Float64Array; name: string } {
  const random = randomOf(seed);
  const pixels = 40 * 33;
  const wide = dtype.endsWith("8") ? 120 : 30000;
  const offset = dtype.startsWith("int") ? -wide / 2 : 0;
  const names = ["two values", "few values", "uniform", "skewed", "three modes", "ties"];
  const make = [
    () => (random() < 0.4 ? 7 : 90),
    () => Math.floor(random() * 4) * (wide / 8),
    () => random() * wide,
    () => wide * random() ** 6,
    () => wide * (0.2 * Math.floor(random() * 3) + 0.05 * random()),
    // Many levels with equal counts, so that several levels are as good as the best.
    (i: number) => ((i % 66) * wide) / 66,
  ][kind] as (i: number) => number;
  const values = Float64Array.from({ length: pixels }, (_, i) => make(i) + offset);
  return { values, name: names[kind] as string };
}

/** SwiftShader compiles a kernel in a second or so, and this machine may be busy. */
const patience = 300_000;

test.each(methods)(
  "%s gives the CPU's threshold, mask and labels, bit for bit",
  async (method) => {
    let planes = 0;
    for (const dtype of levels(method)) {
      const top = dtype.endsWith("8") ? 120 : dtype === "float32" ? 900.5 : 4000;
      for (let seed = 0; seed < 3; seed++) {
        const [height, width] = [60 + 7 * seed, 75 + 3 * seed];
        const plane = bytesOf(dtype, nuclei(height, width, seed, top));
        await checkThreshold({ ...plain, dtype, height, width, method }, plane, `${dtype} nuclei ${seed}`);
        planes++;
      }
      for (let kind = 0; kind < 6; kind++) {
        const { values, name } = histogramPlane(kind, dtype, 100 * kind);
        const what = { ...plain, dtype, height: 40, width: 33, method };
        await checkThreshold(what, bytesOf(dtype, values), `${dtype} ${name}`);
        planes++;
      }
      const constant = new Float64Array(35).fill(17);
      await checkThreshold(
        { ...plain, dtype, height: 5, width: 7, method },
        bytesOf(dtype, constant),
        "constant",
      );
      planes++;
    }
    console.log(`${method}: ${planes} planes of ${levels(method).join(", ")}, equal`);
  },
  patience,
);

test(
  "a threshold that the device cannot give is handed to the CPU",
  async () => {
    const odd = { ...plain, dtype: "float32", height: 3, width: 5 } as const;
    const plane = (...values: number[]) =>
      bytesOf(
        "float32",
        Float64Array.from({ length: 15 }, (_, i) => values[i % values.length] as number),
      );
    for (const method of ["otsu", "triangle", "yen"] as const) {
      expect((await onGpu({ ...odd, method }, [plane(1, 2, Number.NaN)])).failed).toBe(true);
      expect((await onGpu({ ...odd, method }, [plane(1, 2, -Infinity)])).failed).toBe(true);
      expect((await onGpu({ ...odd, method }, [plane(1e12, 2)])).failed).toBe(true);
      expect((await onGpu({ ...odd, method }, [plane(1000, 1000.001)])).failed).toBe(true);
    }
    expect(native().gpuSegmentation({ ...odd, method: "li" })).toContain("passes over the image");
    expect(native().gpuSegmentation({ ...odd, dtype: "uint32", method: "otsu" })).toContain(
      "32-bit integers",
    );
    expect(native().gpuSegmentation({ ...odd, dtype: "float64", method: "value", value: 1 })).toContain(
      "float64",
    );
    expect(native().gpuSegmentation({ ...odd, height: 4097, width: 4096, method: "otsu" })).toContain(
      "16777216",
    );
  },
  patience,
);

test(
  "a fixed threshold compares as the CPU does, at the ends of the dtypes and between integers",
  async () => {
    const random = randomOf(5);
    for (const dtype of ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32"] as const) {
      const bits = Number(dtype.replace(/\D/g, ""));
      const low = dtype.startsWith("int") ? -(2 ** (bits - 1)) : 0;
      const high = dtype === "float32" ? 1e6 : low + 2 ** bits - 1;
      const odd = dtype === "float32" ? [Number.NaN, Infinity, -Infinity, -0, 1e-42, -1e-42] : [];
      const values = Float64Array.from({ length: 15 * 17 }, (_, i) =>
        i < 4 ? ([low, high, 0, 1][i] as number) : (odd[i - 4] ?? low + random() * (high - low)),
      );
      const plane = bytesOf(dtype, values);
      for (const value of [
        low - 1,
        low,
        -0.5,
        0,
        0.5,
        17.25,
        high / 2,
        high - 0.5,
        high,
        high + 1,
        1e300,
        -1e300,
        Number.NaN,
      ]) {
        const what = { ...plain, dtype, height: 15, width: 17, method: "value", value } as const;
        const want = native().applySegmentation(what, [plane]);
        const got = await onGpu(what, [plane]);
        expect(same(got.mask, want.mask), `${dtype} > ${value}`).toBe(true);
        expect(same(got.labels, want.labels), `${dtype} > ${value}`).toBe(true);
      }
    }
  },
  patience,
);

test(
  "labels, their numbers and their count are the CPU's on noise, spirals, combs and odd sizes",
  async () => {
    const sizes = [
      [1, 1],
      [1, 97],
      [97, 1],
      [2, 33],
      [31, 32],
      [33, 64],
      [64, 65],
      [70, 131],
    ] as const;
    let planes = 0;
    for (const [name, mask] of Object.entries(masks)) {
      for (const [height, width] of sizes) {
        const what = { ...plain, dtype: "uint8", height, width, method: "value", value: 0 } as const;
        const plane = mask(height, width);
        const want = native().applySegmentation(what, [plane]);
        const got = await onGpu(what, [plane]);
        expect(same(got.labels, want.labels), `${name} ${height} x ${width}`).toBe(true);
        expect(got.count, `${name} ${height} x ${width}`).toBe(want.count);
        planes++;
      }
    }
    for (const [name, mask] of Object.entries(masks)) {
      const [height, width] = [301, 517];
      const what = { ...plain, dtype: "uint8", height, width, method: "value", value: 0 } as const;
      const plane = mask(height, width);
      const want = native().applySegmentation(what, [plane]);
      const got = await onGpu(what, [plane]);
      expect(same(got.labels, want.labels), `${name} ${height} x ${width}`).toBe(true);
      expect(got.count, name).toBe(want.count);
      planes++;
    }
    console.log(`labels: ${planes} masks (${Object.keys(masks).join(", ")}), equal`);
  },
  patience,
);

test(
  "objects are dropped by area and at the border as on the CPU",
  async () => {
    let planes = 0;
    const limits = [
      { minArea: 5 },
      { maxArea: 30 },
      { minArea: 3, maxArea: 40, clearBorder: true },
      { clearBorder: true },
      { minArea: 2_000_000_000 },
    ];
    for (const options of limits) {
      for (const name of ["sparse noise", "half noise", "full", "comb up", "rings", "empty"]) {
        const [height, width] = [90, 109];
        const what = {
          ...plain,
          ...options,
          dtype: "uint8",
          height,
          width,
          method: "value",
          value: 0,
        } as const;
        const plane = (masks[name] as (h: number, w: number) => Uint8Array)(height, width);
        const want = native().applySegmentation(what, [plane]);
        const got = await onGpu(what, [plane]);
        expect(same(got.labels, want.labels), `${name} ${JSON.stringify(options)}`).toBe(true);
        expect(got.count).toBe(want.count);
        planes++;
      }
    }
    console.log(`filters: ${planes} masks, equal`);
  },
  patience,
);

/** The names of the numbers of a row. */
const shapeFields = [
  "label",
  "area",
  "centroid y",
  "centroid x",
  "y0",
  "x0",
  "y1",
  "x1",
  "perimeter",
  "eccentricity",
];

async function checkRows(what: What, planes: readonly Uint8Array[], name: string): Promise<number> {
  const want = native().applySegmentation(what, planes);
  const { rows } = await onGpu(what, planes);
  if (rows === null) throw new Error(`${name}: no rows`);
  expect(rows.shapes.length, name).toBe(want.shapes.length);
  want.shapes.forEach((value, i) => {
    expect(
      Object.is(rows.shapes[i], value),
      `${name}: ${shapeFields[i % 10]} of ${1 + Math.floor(i / 10)}: ${rows.shapes[i]}, not ${value}`,
    ).toBe(true);
  });
  what.images.forEach((dtype, k) => {
    const got = rows.intensities[k] as Float64Array;
    const image = new Float32Array(
      dtype === "float32" ? (planes[k + 1] as Uint8Array).slice().buffer : new ArrayBuffer(0),
    );
    const greatest = image.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
    (want.intensities[k] as Float64Array).forEach((value, i) => {
      const object = Math.floor(i / 4);
      const where = `${name}, ${dtype}: number ${i % 4} of object ${object + 1}`;
      if (dtype !== "float32" || i % 4 >= 2 || Number.isNaN(value)) {
        expect(got[i], where).toBe(value);
      } else {
        // The bound that segmentation.h states, and the CPU's own rounding.
        const area = want.shapes[10 * object + 1] as number;
        const bits = 62 - Math.ceil(Math.log2(what.height * what.width + 1));
        const bound = (area * greatest * (2 ** -bits + 2 ** -52)) / (i % 4 === 1 ? area : 1);
        expect(Math.abs((got[i] as number) - value), where).toBeLessThanOrEqual(bound);
      }
    });
  });
  return want.count;
}

test(
  "measurements of a thresholded plane are the CPU's",
  async () => {
    let objects = 0;
    for (const [seed, [height, width]] of [
      [61, 83],
      [128, 192],
      [130, 201],
    ].entries()) {
      const images = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32"] as const;
      const tops = [255, 255, 60000, 60000, 4e9, 4e9, 3.7];
      const planes = images.map((dtype, i) => {
        const values = nuclei(height as number, width as number, seed + i, tops[i]);
        return bytesOf(
          dtype,
          values.map((v) => (dtype.startsWith("int") ? v - (tops[i] as number) / 2 : v)),
        );
      });
      const what = {
        dtype: "uint16",
        height,
        width,
        method: "otsu",
        images,
        perimeter: true,
        eccentricity: true,
        capacity: 3000,
      } as What;
      objects += await checkRows(
        what,
        [bytesOf("uint16", nuclei(height as number, width as number, seed)), ...planes],
        `nuclei ${seed}`,
      );
    }
    for (const [name, mask] of Object.entries(masks)) {
      const [height, width] = [70, 131];
      const what: What = {
        dtype: "uint8",
        height,
        width,
        method: "value",
        value: 0,
        images: ["uint16"],
        perimeter: true,
        eccentricity: true,
        capacity: 4000,
      };
      objects += await checkRows(
        what,
        [mask(height, width), bytesOf("uint16", nuclei(height, width, 3))],
        name,
      );
    }
    console.log(`measurements: ${objects} objects, equal`);
  },
  patience,
);

test(
  "labels of any kind are measured: gaps, parts, negative numbers, hundreds in one tile",
  async () => {
    const random = randomOf(9);
    const [height, width] = [67, 140];
    const kinds = {
      gaps: () => (random() < 0.3 ? 0 : 7 * Math.floor(random() * 30)),
      "many labels": () => Math.floor(random() * 3000),
      negative: () => Math.floor(random() * 40) - 20,
    };
    for (const [name, make] of Object.entries(kinds)) {
      const labels = bytesOf("int32", Float64Array.from({ length: height * width }, make));
      for (const features of [
        { perimeter: true, eccentricity: true },
        { perimeter: true },
        { eccentricity: true },
        {},
      ]) {
        const what: What = {
          ...features,
          labelled: true,
          dtype: "int32",
          height,
          width,
          images: ["int16"],
          capacity: 3000,
        };
        await checkRows(what, [labels, bytesOf("int16", nuclei(height, width, 4))], name);
      }
    }
  },
  patience,
);

test(
  "sums of float pixels are exact over a wide range of magnitudes, and NaN, infinities and too many objects are left to the CPU",
  async () => {
    const random = randomOf(11);
    const [height, width] = [40, 70];
    const base = {
      dtype: "uint8",
      height,
      width,
      method: "value",
      value: 0,
      images: ["float32"],
      capacity: 3000,
    } as const;
    const mask = (masks["half noise"] as (h: number, w: number) => Uint8Array)(height, width);
    const wide = Float64Array.from(
      { length: height * width },
      () => (random() - 0.5) * 10 ** (8 * random() - 4),
    );
    await checkRows(base, [mask, bytesOf("float32", wide)], "wide");
    await checkRows(
      base,
      [
        mask,
        bytesOf(
          "float32",
          wide.map(() => 0),
        ),
      ],
      "zeros",
    );
    await checkRows(
      base,
      [
        mask,
        bytesOf(
          "float32",
          wide.map((v) => v * 1e-12),
        ),
      ],
      "small",
    );
    for (const value of [Number.NaN, Infinity, -Infinity]) {
      const { rows } = await onGpu(base, [mask, bytesOf("float32", wide.with(height * width - 1, value))]);
      expect(rows, `${value}`).toBe(null);
    }
    expect((await onGpu({ ...base, images: [], capacity: 3 }, [mask])).rows).toBe(null);
  },
  patience,
);
