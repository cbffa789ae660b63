// SPDX-License-Identifier: MIT
// Ops that take out uneven illumination and background.

import { integer, number, oneOf, optional, required, text } from "../parameter.js";
import { anyDType, type Conflict, float32, image, type OpSpec, sameType } from "../spec.js";

export const illumination = {
  flatField: {
    family: "illumination",
    summary: "Divides by the channel's illumination.",
    definition:
      "float32(pixel) - background, divided by the illumination image; float32, one rounding each. `from` estimates the illumination " +
      "from up to `images` fields of the plate per channel: block means of `shrink` px, per-pixel median (or mean), Gaussian of `sigma` px, " +
      "bilinear enlargement, scaled to mean 1, floored at 0.05.",
    source: "Singh et al., J. Microscopy 256(3), 2014; CellProfiler CorrectIlluminationCalculate",
    takes: image,
    gives: "image",
    accepts: anyDType,
    result: float32,
    native: ["background"],
    conflict: (p): Conflict | undefined =>
      p.image !== undefined && p.from !== undefined
        ? { argument: "from", says: 'takes "image" or "from", not both' }
        : undefined,
    parameters: {
      image: optional(
        text("path of a TIFF; {channel} stands for the channel number"),
        undefined,
        "Illumination image, of the planes' size.",
      ),
      from: optional(
        oneOf("median", "mean"),
        undefined,
        'Estimate it from the plate instead. Default "median" when no image is given: dust and bright cells do not pull it.',
      ),
      background: optional(
        number("intensity"),
        0,
        "Subtracted first. Default 0: cameras differ, and a wrong offset is worse than none.",
      ),
      sigma: optional(
        number("px", 0),
        50,
        "Smoothing of the estimate. Default 50: wider than cells, narrower than vignetting.",
      ),
      images: optional(
        integer("fields", 1),
        64,
        "Most fields a channel's estimate reads. Default 64: enough for a stable median, a few seconds of reading.",
      ),
      shrink: optional(
        integer("px", 1),
        8,
        "Block size of the estimate. Default 8: illumination has no finer detail, and memory falls 64-fold.",
      ),
    },
  },
  subtractBackground: {
    family: "illumination",
    summary: "Subtracts a constant, or a percentile of the plane.",
    definition:
      "float32(pixel) - float32(value). The percentile is exact (numpy's linear interpolation) over all pixels of the plane. Nothing is clipped.",
    source: "numpy.percentile(method='linear')",
    takes: image,
    gives: "image",
    accepts: anyDType,
    result: float32,
    native: ["value", "percentile"],
    conflict: (p): Conflict | undefined =>
      (p.value === undefined) === (p.percentile === undefined)
        ? { argument: "value", says: 'takes one of "value" and "percentile"' }
        : undefined,
    parameters: {
      value: optional(number("intensity"), undefined, "Constant to subtract."),
      percentile: optional(number("%", 0, 100), undefined, "Percentile to subtract instead of a constant."),
    },
  },
  rollingBall: {
    family: "illumination",
    summary: "Subtracts the background that a ball rolled under the image touches.",
    definition:
      "Background: least of neighbour + radius - sqrt(radius^2 - distance^2) over the disk around the pixel, pixels outside the image taking no " +
      "part; integers rounded down. Exact: the image is not shrunk first, as ImageJ does. Source dtype; NaN is no background.",
    source: "Sternberg, Computer 16(1), 1983; skimage.restoration.rolling_ball",
    takes: image,
    gives: "image",
    accepts: ["uint8", "uint16", "float32"],
    result: sameType,
    native: ["radius", "gives"],
    parameters: {
      radius: required(
        integer("px and intensity", 1, 1024),
        "Radius of the ball, in pixels across and in intensities upwards: wider than the objects.",
      ),
      gives: optional(
        oneOf("corrected", "background"),
        "corrected",
        "The image less its background, or the background itself.",
      ),
    },
  },
} as const satisfies Record<string, OpSpec>;
