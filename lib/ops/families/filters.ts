// SPDX-License-Identifier: MIT
// Ops that smooth, and ops that bring out detail.

import { integer, number, optional, required } from "../parameter.js";
import { anyDType, type Conflict, float32, image, notFloat64, type OpSpec, sameType } from "../spec.js";

const filter = {
  family: "filters",
  takes: image,
  gives: "image",
  accepts: anyDType,
  result: float32,
} as const;
const reflected = "boundary half-sample symmetric (d c b a | a b c d)";

export const filters = {
  gaussian: {
    ...filter,
    summary: "Gaussian blur.",
    definition: `float32; radius int(4 sigma + 0.5), weights normalised in float64, rows after columns, ${reflected}.`,
    source: "scipy.ndimage.gaussian_filter(mode='reflect', truncate=4)",
    native: ["sigma"],
    parameters: { sigma: required(number("px", 0, 4096), "Standard deviation.") },
  },
  gaussian3d: {
    ...filter,
    summary: "Gaussian blur of a z stack, across its slices too.",
    definition:
      `float32, as gaussian within each slice, then across slices by sigmaZ; ${reflected}, in z as well. A plane without slices is smoothed within itself. ` +
      "A job holds all slices of a stack, twice.",
    source: "scipy.ndimage.gaussian_filter(stack, (sigmaZ, sigma, sigma), mode='reflect', truncate=4)",
    stack: true,
    parameters: {
      sigma: required(number("px", 0, 4096), "Standard deviation within a slice."),
      sigmaZ: required(
        number("slices", 0, 4096),
        "Standard deviation across slices: sigma times the pixel's size over the slices' distance for the same in all directions.",
      ),
    },
  },
  box: {
    ...filter,
    summary: "Mean of a rectangle around each pixel.",
    definition: `Exact sums, rounded once to float32; even sides reach one pixel further to the top and left; ${reflected}.`,
    source: "scipy.ndimage.uniform_filter(mode='reflect')",
    native: ["height", "width"],
    parameters: {
      height: required(integer("px", 1, 65535), "Height of the rectangle."),
      width: required(integer("px", 1, 65535), "Width of the rectangle."),
    },
  },
  median: {
    ...filter,
    summary: "Median of a square around each pixel.",
    definition: `Median of (2 radius + 1)^2 pixels, exact, source dtype; NaN orders above infinity; ${reflected}.`,
    source: "scipy.ndimage.median_filter(mode='reflect'); Perreault and Hebert, IEEE TIP 16(9), 2007",
    accepts: notFloat64,
    result: sameType,
    native: ["radius"],
    parameters: { radius: required(integer("px", 0, 127), "The square has 2 radius + 1 px.") },
  },
  bilateral: {
    ...filter,
    summary: "Smooths within objects and keeps their edges.",
    definition:
      "Mean over the disk of ceil(3 sigma) px around the pixel, weighted exp(-distance^2 / 2 sigma^2) exp(-difference^2 / 2 range^2), float32; " +
      `weights within 2e-7 of themselves; ${reflected}. Pixels that are not finite take no part and stay.`,
    source: "Tomasi, Manduchi, ICCV 1998; cv2.bilateralFilter(float32, 2 ceil(3 sigma) + 1, range, sigma)",
    native: ["sigma", "range"],
    parameters: {
      sigma: required(number("px", 0.1, 64), "Standard deviation of the weights by distance."),
      range: required(
        number("intensity", 1e-9, 1e9),
        "Standard deviation of the weights by difference: above the noise, below the edges to keep.",
      ),
    },
  },
  unsharp: {
    ...filter,
    summary: "Unsharp masking.",
    definition: "pixel + amount * (pixel - gaussian(sigma)) in float32, not clipped.",
    source: "skimage.filters.unsharp_mask(preserve_range=True)",
    native: ["sigma", "amount"],
    parameters: {
      sigma: required(number("px", 0, 4096), "Standard deviation of the blur."),
      amount: optional(number("factor"), 1, "How much of the detail is added. Default 1: scikit-image's."),
    },
  },
  differenceOfGaussians: {
    ...filter,
    summary: "Band pass: one Gaussian blur less a wider one.",
    definition: "gaussian(low) - gaussian(high) in float32.",
    source: "skimage.filters.difference_of_gaussians(mode='reflect')",
    native: ["low", "high"],
    conflict: (p): Conflict | undefined =>
      (p.low as number) >= (p.high as number)
        ? { argument: "high", says: `needs "high" above "low" (${p.low}), and it is ${p.high}` }
        : undefined,
    parameters: {
      low: required(number("px", 0, 4096), "Standard deviation below which detail is lost."),
      high: required(number("px", 0, 4096), "Standard deviation above which background is lost."),
    },
  },
  laplaceOfGaussian: {
    ...filter,
    summary: "Laplacian of Gaussian: bright spots come out negative.",
    definition: `Sum of the two second derivatives of a Gaussian, float32; ${reflected}.`,
    source: "scipy.ndimage.gaussian_laplace(mode='reflect')",
    native: ["sigma"],
    parameters: { sigma: required(number("px", 0.1, 4096), "Standard deviation.") },
  },
  sobel: {
    ...filter,
    summary: "Gradient magnitude.",
    definition: `sqrt((v^2 + h^2) / 2), v and h differences across the pixel weighted 1 2 1 over 4, float32; ${reflected}.`,
    source: "skimage.filters.sobel",
    native: [],
    parameters: {},
  },
} as const satisfies Record<string, OpSpec>;
