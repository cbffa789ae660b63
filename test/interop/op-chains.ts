// SPDX-License-Identifier: MIT
// Chains that between them use every op of the table, for the comparison with Python's libraries in ops.test.ts.

import { features, type Op, op } from "../../lib/ops/index.js";

/** Steps by name, or the ops of one step. */
export type Chain = readonly Op[] | Readonly<Record<string, readonly Op[]>>;

/** What one image is enough for; pairs of images: op-colocalization.test.ts. */
const every = op.measure(features.filter((f) => !["pearson", "overlap", "manders"].includes(f)));
const coarse = op.measure(["area", "haralick", "median_intensity"], {
  textureLevels: 7,
  textureDistance: 3,
  textureRange: [12.5, 180],
});

/** Single planes; `bright` is a value that separates objects from background. */
export const planeChains = (image: string, bright: number): Record<string, Chain> => ({
  "flat-field from an image": [op.flatField({ image, background: 3 })],
  "flat-field, median": [op.flatField({ from: "median", sigma: 20 })],
  "flat-field, mean": [op.flatField({ from: "mean", sigma: 9, shrink: 5, background: 2, images: 64 })],
  "subtract a value": [op.subtractBackground({ value: 12.5 })],
  "subtract a percentile": [op.subtractBackground({ percentile: 7.5 })],
  "gaussian 0.4": [op.gaussian({ sigma: 0.4 })],
  "gaussian 1.5": [op.gaussian({ sigma: 1.5 })],
  "gaussian 11, after subtraction": [op.subtractBackground({ value: 5 }), op.gaussian({ sigma: 11 })],
  threshold: [op.threshold({ value: bright })],
  "otsu of integers": [op.otsu()],
  "otsu of floats": [op.gaussian({ sigma: 2 }), op.otsu()],
  label: [op.threshold({ value: bright }), op.label(), every],
  "label, filtered": [
    op.gaussian({ sigma: 1 }),
    op.otsu(),
    op.label({ minArea: 20, maxArea: 900, clearBorder: true }),
    coarse,
  ],
  "convert to int16": [op.gaussian({ sigma: 1 }), op.convert({ dtype: "int16" })],
  "convert to uint8": [op.rescale({ scale: 3, offset: -100 }), op.convert({ dtype: "uint8" })],
  "rescale to float32": [op.rescale({ scale: 0.37, offset: -4 })],
  "rescale to uint16": [op.rescale({ scale: 513.3, offset: -20, dtype: "uint16" })],
  "rescale to float64": [op.rescale({ scale: 1 / 3, dtype: "float64" })],
});

export const projections: Record<string, Chain> = {
  "max projection": [op.maxProject()],
  "min projection": [op.minProject()],
  "mean projection": [op.meanProject()],
  "sum projection": [op.sumProject()],
  "deviation projection": [op.deviationProject()],
  "a stack smoothed, then projected": [op.gaussian3d({ sigma: 1.5, sigmaZ: 0.8 }), op.maxProject()],
  "a stack of one range": [op.normalize({ over: "stack" }), op.maxProject()],
  "a stack from percentile to percentile": [
    op.normalize({ low: 2.5, high: 99.3, outLow: 10, outHigh: 250.4, dtype: "uint8", over: "stack" }),
    op.minProject(),
  ],
  "a stack smoothed widely, then its mean": [op.gaussian3d({ sigma: 0, sigmaZ: 2.3 }), op.meanProject()],
  "best focus": [op.focusProject({ window: 7 })],
};

/** The pipeline of the demo and the examples. */
export const whole: Record<string, Chain> = {
  "the whole pipeline": [
    op.maxProject(),
    op.flatField({ from: "median", sigma: 30 }),
    op.gaussian({ sigma: 1.5 }),
    op.otsu(),
    op.label({ minArea: 30 }),
    every,
  ],
};

/** Intensity, filters and morphology. */
export const imageChains = (bright: number): Record<string, Chain> => ({
  "a chain of point-wise ops": [
    op.subtractBackground({ percentile: 3 }),
    op.rescale({ scale: 1.7, offset: 4 }),
    op.clip({ low: 0, high: 200 }),
    op.multiply({ value: 0.5, dtype: "float64" }),
    op.gamma({ gamma: 0.5, gain: 2 }),
    op.convert({ dtype: "uint16" }),
    op.invert(),
  ],
  "add, subtract, multiply and divide by numbers": [
    op.add({ value: 11 }),
    op.multiply({ value: 1.25 }),
    op.subtract({ value: 3 }),
    op.divide({ value: 7, dtype: "float64" }),
  ],
  "a background of the image's own subtracted": {
    smooth: [op.gaussian({ sigma: 3 }), op.convert({ dtype: "uint16" })],
    wide: [op.box({ height: 41, width: 31 }), op.rescale({ scale: 0.9 })],
    detail: [op.subtract({ image: "smooth" }), op.divide({ image: "wide" })],
  },
  "an image within its mask": {
    read: [op.clip({ low: 5, high: 250 })],
    mask: [op.threshold({ value: bright })],
    depth: [op.distanceTransform()],
    all: [op.multiply({ image: "mask" }), op.add({ image: "read", dtype: "float64" })],
  },
  gamma: [op.gamma({ gamma: 1.5 })],
  invert: [op.invert()],
  anscombe: [op.subtract({ value: 20 }), op.anscombe()],
  "min-max normalised": [op.normalize()],
  "percentile normalised": [op.normalize({ low: 1, high: 99.8, outHigh: 255, dtype: "uint8" })],
  equalize: [op.equalize()],
  clahe: [op.convert({ dtype: "uint16" }), op.clahe({ clip: 2, tilesY: 4, tilesX: 6 })],
  "rolling ball": [op.rollingBall({ radius: 23 })],
  "rolling ball's background": [
    op.gaussian({ sigma: 1 }),
    op.rollingBall({ radius: 40, gives: "background" }),
  ],
  bilateral: [op.bilateral({ sigma: 1.4, range: 12 })],
  "bilateral, wide": [op.bilateral({ sigma: 3, range: 60 })],
  "shifted, cubic": [op.translate({ y: -3.3, x: 7.62 })],
  "shifted, cubic, zero outside": [op.translate({ y: 0.5, x: -20.25, outside: "zero" })],
  "shifted, linear": [op.translate({ y: 2.75, x: 0.4, spline: "linear" })],
  "shifted, linear, zero outside": [
    op.convert({ dtype: "float32" }),
    op.translate({ y: -11, x: -1.6, spline: "linear", outside: "zero" }),
  ],
  box: [op.box({ height: 4, width: 9 })],
  "median 1": [op.median({ radius: 1 })],
  "median 6": [op.median({ radius: 6 })],
  unsharp: [op.unsharp({ sigma: 2, amount: 1.5 })],
  "difference of Gaussians": [op.differenceOfGaussians({ low: 1, high: 4 })],
  "Laplacian of Gaussian": [op.laplaceOfGaussian({ sigma: 2 })],
  sobel: [op.sobel()],
  "erode by a disk": [op.erode({ radius: 4 })],
  "dilate by a rectangle": [op.dilate({ height: 3, width: 7 })],
  open: [op.open({ radius: 3 })],
  close: [op.close({ height: 9, width: 5 })],
  "top-hat": [op.topHat({ radius: 15 })],
  "black top-hat": [op.blackTopHat({ radius: 6 })],
  "a mask opened, filled and measured in depth": [
    op.threshold({ value: bright }),
    op.open({ radius: 2 }),
    op.fillHoles(),
    op.distanceTransform(),
  ],
  skeletons: [op.gaussian({ sigma: 1 }), op.otsu(), op.skeletonize()],
  "skeletons of noise": [op.median({ radius: 1 }), op.threshold({ value: bright / 4 }), op.skeletonize()],
});

/** Thresholds, labels and geometry. */
export const objectChains = (bright: number): Record<string, Chain> => ({
  triangle: [op.triangle()],
  "li of integers": [op.convert({ dtype: "uint16" }), op.li()],
  "li of floats": [op.gaussian({ sigma: 1 }), op.li(), op.label({ minArea: 4 })],
  yen: [op.yen()],
  "adaptive, Gaussian": [op.adaptiveThreshold({ block: 31, offset: -2.03 })],
  "adaptive, mean": [op.adaptiveThreshold({ block: 51, offset: -3.07, method: "mean" })],
  "objects split": [
    op.median({ radius: 1 }),
    op.threshold({ value: bright }),
    op.fillHoles(),
    op.splitObjects({ distance: 6 }),
  ],
  "nuclei as in examples/split-nuclei.mjs": [
    op.median({ radius: 1 }),
    op.topHat({ radius: 40 }),
    op.convert({ dtype: "uint16" }),
    op.li(),
    op.open({ radius: 2 }),
    op.fillHoles(),
    op.splitObjects({ distance: 5 }),
    op.expandLabels({ distance: 3 }),
  ],
  "labels filtered and grown, then measured": [
    op.threshold({ value: bright }),
    op.label(),
    op.filterLabels({ minArea: 9, maxArea: 4000, clearBorder: true }),
    op.expandLabels({ distance: 5 }),
    every,
  ],
  "spots, grown and measured": [
    op.median({ radius: 1 }),
    op.findPeaks({ threshold: bright, distance: 4, border: 3 }),
    op.expandLabels({ distance: 2.5 }),
    every,
  ],
  "cropped, turned and measured": [
    op.crop({ y: 11, x: 7, height: 61, width: 83 }),
    op.rotate({ turn: "90" }),
    op.threshold({ value: bright }),
    op.label(),
    every,
  ],
  "turned by 270 and transposed": [op.rotate({ turn: "270" }), op.flip({ axis: "transpose" })],
  flipped: [op.flip({ axis: "rows" }), op.rotate({ turn: "180" }), op.flip({ axis: "columns" })],
  binned: [op.bin({ factor: 3 })],
  "resized, bilinear": [op.resize({ height: 100, width: 301, method: "bilinear" })],
  "resized, area": [op.convert({ dtype: "float32" }), op.resize({ height: 50, width: 70 })],
});
