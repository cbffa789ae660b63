// SPDX-License-Identifier: MIT
// Ops that project a stack onto one image.

import type { DType } from "../../image/dtype.js";
import { anything, integer, optional } from "../parameter.js";
import { anyDType, float32, image, type OpSpec, sameType } from "../spec.js";

/** Which components may be projected over; the well and the channel are never collapsed. */
export const projectable = ["z_index", "site", "timepoint"] as const;
export type Projectable = (typeof projectable)[number];

const over = optional(
  anything<Projectable | readonly Projectable[]>(
    `one or several of ${projectable.map((p) => `"${p}"`).join(", ")}`,
    (v) =>
      !(Array.isArray(v) && v.length === 0) &&
      [v].flat().every((x) => (projectable as readonly unknown[]).includes(x)),
  ),
  undefined,
  "Component to project over. Default: the step's variable components, which are z_index unless said otherwise.",
);

function sumType(input: DType): DType {
  if (input === "uint8" || input === "uint16") return "uint32";
  if (input === "int8" || input === "int16") return "int32";
  return "float64";
}

const projection = { family: "projections", takes: image, gives: "image", accepts: anyDType } as const;

export const projections = {
  maxProject: {
    ...projection,
    summary: "Maximum over a component (z slices, sites, timepoints).",
    definition:
      "Per pixel the largest value; source dtype, exact. A channel stored without slices passes unchanged.",
    source: "numpy.max over the stacked axis",
    result: sameType,
    parameters: { over },
  },
  minProject: {
    ...projection,
    summary: "Minimum over a component.",
    definition: "Per pixel the smallest value; source dtype, exact.",
    source: "numpy.min over the stacked axis",
    result: sameType,
    parameters: { over },
  },
  meanProject: {
    ...projection,
    summary: "Mean over a component.",
    definition: "Exact integer (or float64) sum, divided by the count in float64, rounded once to float32.",
    source: "numpy.mean over the stacked axis",
    result: float32,
    parameters: { over },
  },
  sumProject: {
    ...projection,
    summary: "Sum over a component.",
    definition: "uint8/uint16 -> uint32, int8/int16 -> int32, everything else -> float64.",
    source: "numpy.sum over the stacked axis",
    result: sumType,
    parameters: { over },
  },
  deviationProject: {
    ...projection,
    summary: "Standard deviation over a component.",
    definition: "Population standard deviation of the float64 values, rounded once to float32.",
    source: "numpy.std over the stacked axis",
    result: float32,
    parameters: { over },
  },
  focusProject: {
    ...projection,
    summary: "Each pixel from the slice that is sharpest around it.",
    definition:
      "Sharpness is the mean over window x window px of the squared Laplacian (0 1 0; 1 -4 1; 0 1 0) of float32(slice), boundary half-sample " +
      "symmetric; the first of several as sharp. Source dtype.",
    source: "Extended depth of field by local sharpness; Pech-Pacheco et al., ICPR 2000",
    result: sameType,
    parameters: {
      over,
      window: optional(
        integer("px", 1, 65535),
        9,
        "Side of the neighbourhood that sharpness is averaged over. Default 9: wider than noise, narrower than a nucleus.",
      ),
    },
  },
} as const satisfies Record<string, OpSpec>;
