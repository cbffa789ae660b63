// SPDX-License-Identifier: MIT
// Ops that change an image's size or turn it.

import { integer, number, oneOf, optional, required } from "../parameter.js";
import { anyDType, anyKind, float32, image, type OpSpec, type Size, sameType } from "../spec.js";

const moved = {
  family: "geometry",
  takes: anyKind,
  gives: "same",
  accepts: anyDType,
  result: sameType,
} as const;
const turned = ({ height, width }: Size): Size => ({ height: width, width: height });
const px = { family: "geometry", takes: image, gives: "image", accepts: anyDType } as const;

export const geometry = {
  crop: {
    ...moved,
    summary: "Cuts out a rectangle.",
    definition: "Rows y to y + height, columns x to x + width, which must lie inside the image.",
    source: "numpy slicing",
    native: ["y", "x", "height", "width"],
    size: ({ height, width }, p): Size | string => {
      const { y, x, height: h, width: w } = p as Record<"y" | "x" | "height" | "width", number>;
      if (y + h > height)
        return `"height" must be at most ${height - y} from row ${y} of an image of ${width} x ${height} px, and is ${h}`;
      if (x + w > width)
        return `"width" must be at most ${width - x} from column ${x} of an image of ${width} x ${height} px, and is ${w}`;
      return { height: h, width: w };
    },
    parameters: {
      y: optional(integer("px", 0), 0, "First row."),
      x: optional(integer("px", 0), 0, "First column."),
      height: required(integer("px", 1), "Rows kept."),
      width: required(integer("px", 1), "Columns kept."),
    },
  },
  rotate: {
    ...moved,
    summary: "Quarter turns.",
    definition: "Counter-clockwise as displayed, row 0 on top; exact.",
    source: "numpy.rot90",
    native: ["turn"],
    size: (size, p): Size => (p.turn === "180" ? size : turned(size)),
    parameters: { turn: required(oneOf("90", "180", "270"), "Degrees counter-clockwise.") },
  },
  flip: {
    ...moved,
    summary: "Mirrors, or exchanges rows and columns.",
    definition: "rows: the last row becomes the first; columns: the last column becomes the first; exact.",
    source: "numpy.flipud, numpy.fliplr, numpy.transpose",
    native: ["axis"],
    size: (size, p): Size => (p.axis === "transpose" ? turned(size) : size),
    parameters: { axis: required(oneOf("rows", "columns", "transpose"), "What changes places.") },
  },
  translate: {
    ...px,
    summary: "Shifts by any part of a pixel: channels onto each other.",
    definition:
      "out(i, j) = in(i - y, j - x), between pixels by a spline through them; in float64, rounded half to even, source dtype. Whole pixels are exact. " +
      "A pixel's influence on a cubic spline is cut at 20 px, where it is 3e-12.",
    source: "scipy.ndimage.shift(order=1 or 3); Unser, IEEE Signal Processing Magazine 16(6), 1999",
    result: sameType,
    native: ["y", "x", "spline", "outside"],
    parameters: {
      y: optional(number("px", -65536, 65536), 0, "How far down."),
      x: optional(number("px", -65536, 65536), 0, "How far to the right."),
      spline: optional(
        oneOf("linear", "cubic"),
        "cubic",
        "Default cubic: linear blurs, most at half a pixel.",
      ),
      outside: optional(
        oneOf("edge", "zero"),
        "edge",
        "What comes in at the edges: the nearest pixel (scipy's nearest), or 0 (its constant). Default edge: no dark rim for a threshold to find.",
      ),
    },
  },
  bin: {
    ...px,
    summary: "Means of square blocks.",
    definition:
      "Mean of factor x factor px in float64, rounded once to float32; blocks at the bottom and right edge are cut to the image.",
    source: "numpy.mean over blocks",
    result: float32,
    native: ["factor"],
    size: ({ height, width }, p): Size => ({
      height: Math.ceil(height / (p.factor as number)),
      width: Math.ceil(width / (p.factor as number)),
    }),
    pixelRatio: (_, p): Size => ({ height: p.factor as number, width: p.factor as number }),
    parameters: { factor: required(integer("px", 1, 4096), "Side of a block.") },
  },
  resize: {
    ...px,
    summary: "Another size in pixels.",
    definition:
      "bilinear: linear between pixel centres, held at the edges; area: mean of the area that a pixel covers. In float64, source dtype, rounded half to even.",
    source: "skimage.transform.resize(order=1, mode='edge', anti_aliasing=False); cv2.INTER_AREA",
    result: sameType,
    native: ["height", "width", "method"],
    size: (_, p): Size => ({ height: p.height as number, width: p.width as number }),
    pixelRatio: ({ height, width }, p): Size => ({
      height: height / (p.height as number),
      width: width / (p.width as number),
    }),
    parameters: {
      height: required(integer("px", 1, 65536), "New height."),
      width: required(integer("px", 1, 65536), "New width."),
      method: optional(
        oneOf("bilinear", "area"),
        "area",
        "Default area: shrinking, the usual case, then loses no pixel and does not alias.",
      ),
    },
  },
} as const satisfies Record<string, OpSpec>;
