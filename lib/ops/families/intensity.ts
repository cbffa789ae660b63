// SPDX-License-Identifier: MIT
// Ops on pixel values: arithmetic with numbers and other images, normalisation, equalisation, dtypes.

import type { DType } from "../../image/dtype.js";
import { dtypeName, imageSource, integer, number, oneOf, optional, required } from "../parameter.js";
import { anyDType, type Conflict, float32, image, levels, type OpSpec, sameType, wanted } from "../spec.js";

const dtype = optional(
  dtypeName(),
  "float32",
  "dtype of the result. Default float32: nothing is clamped. Integers are rounded half to even and clamped.",
);

const arithmetic = {
  family: "intensity",
  takes: image,
  gives: "image",
  accepts: anyDType,
  result: wanted,
  native: ["value", "dtype"],
  conflict: (p: Readonly<Record<string, unknown>>): Conflict | undefined =>
    (p.value === undefined) === (p.image === undefined)
      ? { argument: "value", says: 'takes one of "value" and "image"' }
      : undefined,
  parameters: {
    value: optional(number("intensity"), undefined, "The same number for every pixel."),
    image: optional(
      imageSource(),
      undefined,
      "Another image of the same size instead: an earlier step's result, of this channel or another one.",
    ),
    dtype,
  },
} as const;

export const intensity = {
  add: {
    ...arithmetic,
    summary: "Adds a number or another image.",
    definition: "pixel + value in float64, rounded once to `dtype`.",
    source: "numpy.add",
  },
  subtract: {
    ...arithmetic,
    summary: "Subtracts a number or another image.",
    definition: "pixel - value in float64, rounded once to `dtype`.",
    source: "numpy.subtract",
  },
  multiply: {
    ...arithmetic,
    summary: "Multiplies by a number or another image; by a mask, to keep what it covers.",
    definition: "pixel * value in float64, rounded once to `dtype`.",
    source: "numpy.multiply",
  },
  divide: {
    ...arithmetic,
    summary: "Divides by a number or another image (ratios of channels).",
    definition: "pixel / value in float64, rounded once to `dtype`; division by 0 gives infinity or NaN.",
    source: "numpy.divide",
  },
  convert: {
    family: "intensity",
    summary: "Another dtype.",
    definition: "Rounded half to even and clamped to the range of an integer dtype; NaN becomes 0 there.",
    source: "numpy.rint, numpy.clip",
    takes: image,
    gives: "image",
    accepts: anyDType,
    result: (_: DType, p: Readonly<Record<string, unknown>>): DType => p.dtype as DType,
    native: ["dtype"],
    parameters: { dtype: required(dtypeName(), "The dtype wanted.") },
  },
  rescale: {
    family: "intensity",
    summary: "pixel * scale + offset.",
    definition: "Computed in float64, then as convert.",
    source: "numpy arithmetic",
    takes: image,
    gives: "image",
    accepts: anyDType,
    result: wanted,
    native: ["scale", "offset", "dtype"],
    parameters: {
      scale: optional(number(), 1, "Factor."),
      offset: optional(number(), 0, "Added after scaling."),
      dtype: optional(dtypeName(), "float32", "dtype of the result. Default float32: nothing is clamped."),
    },
  },
  clip: {
    family: "intensity",
    summary: "Holds pixels within two limits.",
    definition:
      "Source dtype; NaN stays. Limits beyond an integer dtype's are its own, fractions round half to even.",
    source: "numpy.clip",
    takes: image,
    gives: "image",
    accepts: anyDType,
    result: sameType,
    native: ["low", "high"],
    conflict: (p): Conflict | undefined =>
      (p.low as number) > (p.high as number)
        ? { argument: "high", says: `needs "high" at or above "low" (${p.low}), and it is ${p.high}` }
        : undefined,
    parameters: {
      low: required(number("intensity"), "Smaller pixels become this."),
      high: required(number("intensity"), "Larger pixels become this."),
    },
  },
  gamma: {
    family: "intensity",
    summary: "Gamma correction.",
    definition:
      "gain * range * (pixel / range)^gamma, range the greatest value of an integer dtype and 1 for floats; source dtype, rounded half to even.",
    source: "skimage.exposure.adjust_gamma",
    takes: image,
    gives: "image",
    accepts: anyDType,
    result: sameType,
    native: ["gamma", "gain"],
    parameters: {
      gamma: required(number("exponent", 0), "Below 1 brightens, above 1 darkens."),
      gain: optional(number("factor"), 1, "Factor. Default 1: the brightest value stays."),
    },
  },
  invert: {
    family: "intensity",
    summary: "Exchanges dark and bright.",
    definition: "Unsigned: greatest value - pixel; signed: -1 - pixel; floats: 1 - pixel. Source dtype.",
    source: "skimage.util.invert",
    takes: image,
    gives: "image",
    accepts: anyDType,
    result: sameType,
    native: [],
    parameters: {},
  },
  anscombe: {
    family: "intensity",
    summary:
      "Makes Poisson noise even, before a filter or threshold that takes noise to be the same everywhere.",
    definition: "2 sqrt(max(pixel, 0) + 3/8) in float64, rounded once to float32; NaN stays.",
    source: "Anscombe, Biometrika 35, 1948",
    takes: image,
    gives: "image",
    accepts: anyDType,
    result: float32,
    native: [],
    parameters: {},
  },
  normalize: {
    family: "intensity",
    summary: "Maps two percentiles of the plane, or of its whole z stack, to two values.",
    definition:
      "Linear between the exact percentiles `low` and `high` of the plane (numpy's linear interpolation; 0 and 100: minimum and maximum), pixels " +
      "outside held at the ends; in float64, rounded once. A constant plane becomes `outLow`. Over a stack, the percentiles are those of all its slices' " +
      "pixels, so that slices keep their proportions; a job then holds all slices.",
    source: "numpy.percentile, skimage.exposure.rescale_intensity",
    takes: image,
    gives: "image",
    accepts: anyDType,
    result: wanted,
    native: ["low", "high", "outLow", "outHigh", "dtype"],
    conflict: (p): Conflict | undefined =>
      (p.low as number) >= (p.high as number)
        ? { argument: "high", says: `needs "high" above "low" (${p.low}), and it is ${p.high}` }
        : undefined,
    parameters: {
      low: optional(number("%", 0, 100), 0, "Percentile that becomes outLow. Default 0: the minimum."),
      high: optional(number("%", 0, 100), 100, "Percentile that becomes outHigh. Default 100: the maximum."),
      outLow: optional(number("intensity"), 0, "Least value of the result."),
      outHigh: optional(number("intensity"), 1, "Greatest value of the result."),
      dtype: optional(dtypeName(), "float32", "dtype of the result. Default float32, which 0 to 1 needs."),
      over: optional(
        oneOf("plane", "stack"),
        "plane",
        "Whose percentiles: each plane's own, or those of all slices of its channel and field together.",
      ),
    },
  },
  equalize: {
    family: "intensity",
    summary: "Histogram equalisation.",
    definition:
      "The share of pixels at or below each, float32: floats by 256 bins, linear between their centres; 8/16-bit integers by value.",
    source: "skimage.exposure.equalize_hist(nbins=256)",
    takes: image,
    gives: "image",
    accepts: levels,
    result: float32,
    native: [],
    parameters: {},
  },
  clahe: {
    family: "intensity",
    summary: "Contrast-limited adaptive equalisation (CLAHE).",
    definition:
      "Equalisation by tiles, bilinear between their centres; bins above `clip` times their mean are cut and spread. Source dtype.",
    source: "cv2.createCLAHE; Zuiderveld, Graphics Gems IV, 1994",
    takes: image,
    gives: "image",
    accepts: ["uint8", "uint16"],
    result: sameType,
    native: ["clip", "tilesY", "tilesX"],
    parameters: {
      clip: optional(
        number("times the mean bin", 0),
        40,
        "Limit of contrast, 0 for none. Default 40: OpenCV's.",
      ),
      tilesY: optional(integer("tiles", 1, 256), 8, "Tiles down the image. Default 8: OpenCV's."),
      tilesX: optional(integer("tiles", 1, 256), 8, "Tiles across the image. Default 8: OpenCV's."),
    },
  },
} as const satisfies Record<string, OpSpec>;
