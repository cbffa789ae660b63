// SPDX-License-Identifier: MIT
// Ops from image to mask to labels.

import { anything, flag, imageSource, integer, number, oneOf, optional, required } from "../parameter.js";
import {
  anyDType,
  type Conflict,
  image,
  int32,
  labels,
  levels,
  mask,
  notFloat64,
  type OpSpec,
  uint8,
} from "../spec.js";

const labelName = anything<string>(
  "name of letters, digits, - and _",
  (v) => typeof v === "string" && /^[A-Za-z0-9][\w-]*$/.test(v),
);
const name = optional(labelName, "objects", "Name of the label image in the OME-Zarr (labels/<name>).");
const newName = optional(
  labelName,
  undefined,
  "Another name for the label image. Default: the one that it has. Only the last of a row of changed labels is written.",
);

const thresholds = { family: "segmentation", takes: image, gives: "mask", result: uint8 } as const;
const ofLevels =
  "8/16-bit integers by value, floats by 256 equal bins over min..max by numpy.histogram's rule; pixel > threshold (strict).";
const changed = {
  family: "segmentation",
  takes: labels,
  gives: "labels",
  accepts: ["int32"],
  result: int32,
} as const;
const minArea = optional(integer("px", 0), 0, "Smaller objects are dropped. Default 0: keep all.");
const maxArea = optional(integer("px", 0), undefined, "Larger objects are dropped. Default: no limit.");
const clearBorder = optional(flag(), false, "Drop objects that touch the edge of the image.");

export const segmentation = {
  threshold: {
    ...thresholds,
    summary: "Mask of pixels above a fixed value.",
    definition: "pixel > value (strict); NaN is background.",
    source: "numpy comparison",
    accepts: anyDType,
    threshold: "value",
    parameters: { value: required(number("intensity"), "Pixels strictly above it are foreground.") },
  },
  otsu: {
    ...thresholds,
    summary: "Mask of pixels above Otsu's threshold of the plane.",
    definition:
      "Floats: 256 equal bins over min..max by numpy.histogram's rule, threshold = centre of the first best bin. 8/16-bit integers: one bin a value. pixel > threshold (strict).",
    source: "Otsu, IEEE Trans. SMC 9(1), 1979; skimage.filters.threshold_otsu",
    accepts: levels,
    threshold: "otsu",
    parameters: {},
  },
  triangle: {
    ...thresholds,
    summary:
      "Mask of pixels above the triangle threshold of the plane: a small bright share on a large background.",
    definition: `The level furthest from the line between the histogram's peak and the end of its longer tail; ${ofLevels}`,
    source: "Zack, Rogers, Latt, J. Histochem. Cytochem. 25(7), 1977; skimage.filters.threshold_triangle",
    accepts: levels,
    threshold: "triangle",
    parameters: {},
  },
  li: {
    ...thresholds,
    summary: "Mask of pixels above Li's threshold of the plane: dim objects beside bright ones.",
    definition:
      "Least cross-entropy, by iteration from the mean over all pixels until none changes sides; pixel > threshold (strict).",
    source: "Li, Tam, Pattern Recognition Letters 19(8), 1998; skimage.filters.threshold_li",
    accepts: levels,
    threshold: "li",
    parameters: {},
  },
  yen: {
    ...thresholds,
    summary: "Mask of pixels above Yen's threshold of the plane.",
    definition: `Greatest correlation of the two classes; ${ofLevels}`,
    source: "Yen, Chang, Chang, IEEE TIP 4(3), 1995; skimage.filters.threshold_yen",
    accepts: levels,
    threshold: "yen",
    parameters: {},
  },
  adaptiveThreshold: {
    ...thresholds,
    summary: "Mask of pixels above their surroundings.",
    definition:
      "float32(pixel) > local - offset, local the mean of block x block px or the Gaussian of sigma (block - 1) / 6; boundary half-sample symmetric.",
    source: "skimage.filters.threshold_local(mode='reflect')",
    accepts: anyDType,
    native: ["block", "offset", "method"],
    conflict: (p): Conflict | undefined =>
      (p.block as number) % 2 === 1
        ? undefined
        : { argument: "block", says: `needs an odd "block", and it is ${p.block}` },
    parameters: {
      block: required(integer("px", 1, 65535), "Side of the surroundings, odd: wider than the objects."),
      offset: optional(
        number("intensity"),
        0,
        "Taken off the surroundings. Negative: pixels must be that much brighter.",
      ),
      method: optional(
        oneOf("mean", "gaussian"),
        "gaussian",
        "How the surroundings are averaged. Default Gaussian: scikit-image's.",
      ),
    },
  },
  label: {
    family: "segmentation",
    summary: "Numbers the connected objects of a mask.",
    definition:
      "8-connected components, numbered from 1 in raster order of their first pixel; filters apply to the original components, then numbers are closed up. int32.",
    source: "skimage.measure.label(connectivity=2); He, Chao, Suzuki, IEEE TIP 17(5), 2008",
    takes: mask,
    gives: "labels",
    accepts: ["uint8"],
    result: int32,
    parameters: { minArea, maxArea, clearBorder, name },
  },
  splitObjects: {
    family: "segmentation",
    summary:
      "Numbers the objects of a mask, touching ones apart: watershed on the distance to the background.",
    definition:
      "8-connected watershed of the negated distanceTransform within the mask, from its peaks that are greatest within `distance` px (plateaus as " +
      "one); an object without a peak of its own is kept. Numbered from 1 in raster order of first pixels. int32.",
    source:
      "skimage.feature.peak_local_max, skimage.segmentation.watershed(connectivity=2); Vincent, Soille, IEEE PAMI 13(6), 1991",
    takes: mask,
    gives: "labels",
    accepts: ["uint8"],
    result: int32,
    native: ["distance"],
    parameters: {
      distance: optional(
        integer("px", 1, 32767),
        10,
        "Least distance of two objects' centres. Default 10: about a nucleus' radius at 20x; larger splits less.",
      ),
      name,
    },
  },
  growLabels: {
    family: "segmentation",
    summary: "Grows seeds through a mask: nuclei to their cells.",
    definition:
      "8-connected watershed: the labels `seeds` grow over the mask, from the least value of `relief` up, each pixel to the seed that reaches it " +
      "first; seeds outside the mask are dropped, mask that no seed reaches stays background. Numbers are the seeds'. int32.",
    source:
      "skimage.segmentation.watershed(relief, seeds, connectivity=2, mask=mask); Vincent, Soille, IEEE PAMI 13(6), 1991",
    takes: mask,
    gives: "labels",
    accepts: ["uint8"],
    result: int32,
    native: [],
    parameters: {
      seeds: required(
        imageSource(["int32"]),
        "Labels of the same size: an earlier step's result, of this channel or another one.",
      ),
      relief: optional(
        imageSource(),
        undefined,
        "What is flooded, dark first: invert() bright cells, or take their edges. Default: flat, so that the nearest seed has a pixel.",
      ),
      name,
    },
  },
  findPeaks: {
    family: "segmentation",
    summary: "Bright spots: labels of one pixel each.",
    definition:
      "Pixels above `threshold` that are greatest in the square of 2 distance + 1 px around them, the brightest first, none less than `distance` px " +
      "from one before it; numbered from 1 in raster order. int32.",
    source: "skimage.feature.peak_local_max",
    takes: image,
    gives: "labels",
    accepts: notFloat64,
    result: int32,
    native: ["threshold", "distance", "border"],
    parameters: {
      threshold: required(number("intensity"), "Peaks are strictly above it."),
      distance: optional(
        integer("px", 1, 32767),
        1,
        "Least distance of two peaks. Default 1: every local maximum.",
      ),
      border: optional(
        integer("px", 0, 32767),
        0,
        "Peaks closer to the image's edge are left out. Default 0: none is.",
      ),
      name,
    },
  },
  expandLabels: {
    ...changed,
    summary: "Grows objects without letting them overlap.",
    definition:
      "Background within `distance` px (Euclidean) gets the label of the nearest object, the least label among equally near ones.",
    source: "skimage.segmentation.expand_labels",
    native: ["distance"],
    parameters: { distance: required(number("px", 0, 4096), "How far."), name: newName },
  },
  filterLabels: {
    ...changed,
    summary: "Drops objects by size, or at the image's edge.",
    definition: "Objects keep their numbers, so that numbers have gaps.",
    source: "skimage.morphology.remove_small_objects, skimage.segmentation.clear_border",
    native: ["minArea", "maxArea", "clearBorder"],
    parameters: { minArea, maxArea, clearBorder, name: newName },
  },
} as const satisfies Record<string, OpSpec>;
