// SPDX-License-Identifier: MIT
// Ops that measure: objects into one table, planes into another.

import {
  anything,
  type ImageSource,
  integer,
  isImageSource,
  listOf,
  number,
  oneOf,
  optional,
} from "../parameter.js";
import { anyDType, image, labels, type OpSpec, sameType } from "../spec.js";
import { features, planeFeatures } from "./features.js";

/** One source, or several by column suffix. Strict, since a misspelt key would silently measure another image. */
function isIntensity(v: unknown): boolean {
  return (
    isImageSource(v) ||
    (typeof v === "object" &&
      v !== null &&
      !Array.isArray(v) &&
      Object.entries(v).every(([suffix, s]) => /^\w+$/.test(suffix) && isImageSource(s)))
  );
}

const images = anything<ImageSource | Readonly<Record<string, ImageSource>>>(
  "step name, { step, channel }, or an object of column suffix: step name or { step, channel }",
  isIntensity,
);
const lowHigh = anything<readonly [number, number]>(
  "[low, high], low below high",
  (v) => Array.isArray(v) && v.length === 2 && v.every((x) => Number.isFinite(x)) && v[0] < v[1],
);

export const measurement = {
  measure: {
    family: "measurement",
    summary: "One table row an object.",
    definition:
      "area px; centroid mean of pixel centres (y, x); bbox half-open; integrated intensity an exact sum (int64 or float64), mean = sum / area; " +
      "perimeter, axes, orientation, solidity and the like as regionprops, form factor 4 pi area / perimeter^2; std of the population, quartiles " +
      "by linear interpolation. haralick: f1 to f13 from symmetric co-occurrences within the object, mean of four directions, logarithms to base 2. " +
      "Of two images, each pair: pearson, overlap, manders 1 (share of the first's intensity where the second is above its threshold) and 2.",
    source:
      "skimage.measure.regionprops; Haralick, Shanmugam, Dinstein, IEEE Trans. SMC 3(6), 1973 and mahotas.features.haralick; Manders, Verbeek, " +
      "Aten, J. Microscopy 169(3), 1993 and skimage.measure.manders_coloc_coeff",
    takes: labels,
    gives: "same",
    accepts: ["int32"],
    result: sameType,
    parameters: {
      features: optional(
        listOf(oneOf(...features)),
        ["area", "centroid", "bbox", "integrated_intensity", "mean_intensity", "max_intensity"],
        "What to measure.",
      ),
      intensity: optional(
        images,
        undefined,
        "Images to measure intensities on. Default: the image that the run writes (projected, uncorrected).",
      ),
      textureLevels: optional(
        integer("grey levels", 2, 256),
        32,
        "Of haralick. Default 32: of 256, a nucleus' few hundred pixels would fill one cell in a hundred.",
      ),
      textureDistance: optional(
        integer("px", 1, 64),
        1,
        "Of haralick: how far apart pixels are compared. Default 1: the finest texture.",
      ),
      textureRange: optional(
        anything<readonly [number, number]>(
          "[low, high], low below high",
          (v) => Array.isArray(v) && v.length === 2 && v.every((x) => Number.isFinite(x)) && v[0] < v[1],
        ),
        undefined,
        "Of haralick: the intensities that the levels divide. Default: the image's least and greatest pixel; give it to compare images.",
      ),
      mandersThreshold: optional(
        number("%", 0, 99.9),
        15,
        "Of manders: share of an object's greatest pixel above which the other channel is there. Default 15: CellProfiler's. 0: the paper's.",
      ),
    },
  },
  measurePlane: {
    family: "measurement",
    summary: "One row of planes.csv a plane: level, saturation, sharpness, histogram, colocalisation.",
    definition:
      "Of all pixels in float64. mean, population std, min, max; percentiles by linear interpolation; saturated: share of pixels at `saturation` or " +
      "above; histogram: counts in equal bins of `range`, the last one closed. Sharpness: focus_laplacian variance of the Laplacian (0 1 0; 1 -4 1; 0 1 0); " +
      "focus_brenner mean of (pixel two columns on - pixel)^2; focus_tenengrad mean of the squared Sobel gradient; focus_variance variance / mean. " +
      "pearson, overlap and manders with another image, as op.measure has them. The row says its step; z_index is empty once slices are projected.",
    source:
      "numpy, scipy.ndimage; Pech-Pacheco et al., ICPR 2000; Brenner et al., J. Histochem. Cytochem. 24(1), 1976; Krotkov, Int. J. Computer Vision 1, " +
      "1988; Groen, Young, Ligthart, Cytometry 6(2), 1985; Manders, Verbeek, Aten, J. Microscopy 169(3), 1993",
    takes: image,
    gives: "same",
    accepts: anyDType,
    result: sameType,
    parameters: {
      features: optional(
        listOf(oneOf(...planeFeatures)),
        ["mean", "std", "min", "max", "percentiles", "focus_laplacian"],
        "What to measure.",
      ),
      percentiles: optional(listOf(number("%", 0, 100)), [1, 50, 99], "Which percentiles."),
      saturation: optional(
        number("intensity"),
        undefined,
        "Pixels from there on are saturated. Default: an integer dtype's greatest value; give a 12-bit camera's 4095.",
      ),
      bins: optional(integer("bins", 1, 1024), 16, "Of the histogram."),
      range: optional(lowHigh, undefined, "Of the histogram. Default: an integer dtype's whole range."),
      with: optional(
        images,
        undefined,
        "The image, or images by column suffix, that pearson, overlap and manders compare with.",
      ),
      mandersThreshold: optional(
        number("%", 0, 99.9),
        15,
        "Of manders: share of the greatest pixel above which an image is there. Default 15, as op.measure.",
      ),
    },
  },
} as const satisfies Record<string, OpSpec>;
