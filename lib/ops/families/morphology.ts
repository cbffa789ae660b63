// SPDX-License-Identifier: MIT
// Grey and binary morphology: on a mask the same ops are the binary ones.

import { integer, optional } from "../parameter.js";
import {
  type Conflict,
  float32,
  imageOrMask,
  mask,
  notFloat64,
  type OpSpec,
  sameType,
  uint8,
} from "../spec.js";

const shaped = {
  family: "morphology",
  takes: imageOrMask,
  gives: "same",
  accepts: notFloat64,
  result: sameType,
  native: ["radius", "height", "width"],
  conflict: (p: Readonly<Record<string, unknown>>): Conflict | undefined => {
    const disk = p.radius !== undefined;
    const sides = [p.height, p.width].filter((v) => v !== undefined).length;
    return (disk && sides === 0) || (!disk && sides === 2)
      ? undefined
      : { argument: "radius", says: 'takes "radius" (a disk), or "height" and "width" (a rectangle)' };
  },
  parameters: {
    radius: optional(integer("px", 0, 255), undefined, "A disk: dx^2 + dy^2 <= radius^2."),
    height: optional(integer("px", 1, 65535), undefined, "A rectangle instead: its height."),
    width: optional(integer("px", 1, 65535), undefined, "Its width."),
  },
} as const;
const ofMask = {
  family: "morphology",
  takes: mask,
  gives: "mask",
  accepts: ["uint8"],
  result: uint8,
  native: [],
  parameters: {},
} as const;
const outside = "pixels outside the image take no part; source dtype, exact.";

export const morphology = {
  erode: {
    ...shaped,
    summary: "Least pixel under a disk or rectangle.",
    definition: `Minimum under the footprint; ${outside}`,
    source: "skimage.morphology.erosion; Urbach and Wilkinson, IEEE TIP 17(1), 2008",
  },
  dilate: {
    ...shaped,
    summary: "Greatest pixel under a disk or rectangle.",
    definition: `Maximum under the mirrored footprint; ${outside}`,
    source: "skimage.morphology.dilation; Urbach and Wilkinson, IEEE TIP 17(1), 2008",
  },
  open: {
    ...shaped,
    summary: "Removes bright detail smaller than the footprint.",
    definition: `Dilation of the erosion; ${outside}`,
    source: "skimage.morphology.opening",
  },
  close: {
    ...shaped,
    summary: "Closes dark detail smaller than the footprint.",
    definition: `Erosion of the dilation; ${outside}`,
    source: "skimage.morphology.closing",
  },
  topHat: {
    ...shaped,
    summary: "Bright detail smaller than the footprint: takes out a slow background.",
    definition: `pixel - open(pixel); signed integers wrap; ${outside}`,
    source: "skimage.morphology.white_tophat",
  },
  blackTopHat: {
    ...shaped,
    summary: "Dark detail smaller than the footprint.",
    definition: `close(pixel) - pixel; signed integers wrap; ${outside}`,
    source: "skimage.morphology.black_tophat",
  },
  fillHoles: {
    ...ofMask,
    summary: "Fills holes of a mask.",
    definition: "Background that no 4-connected path leads from to the image's edge becomes foreground.",
    source: "scipy.ndimage.binary_fill_holes",
  },
  skeletonize: {
    ...ofMask,
    summary: "Thins the objects of a mask to lines of one pixel.",
    definition:
      "Pixels at the edge are removed in two alternating parallel passes until none can go; by scikit-image's table, which besides the paper's rules " +
      "takes corners off lines and keeps diagonal pairs. Outside the image is background.",
    source: "Zhang, Suen, Comm. ACM 27(3), 1984; skimage.morphology.skeletonize",
  },
  distanceTransform: {
    family: "morphology",
    summary: "Distance of each foreground pixel of a mask to the background.",
    definition:
      "Euclidean distance in px to the nearest background pixel: the root of an exact integer, rounded once to float32; 0 on background.",
    source: "scipy.ndimage.distance_transform_edt; Meijster, Roerdink, Hesselink, 2000",
    takes: mask,
    gives: "image",
    accepts: ["uint8"],
    result: float32,
    native: [],
    parameters: {},
  },
} as const satisfies Record<string, OpSpec>;
