// SPDX-License-Identifier: MIT
// Ops that find how images lie to each other and move them: registration, stitching.

import { anything, flag, integer, number, oneOf, optional } from "../parameter.js";
import { anyDType, type Conflict, image, type OpSpec, sameType } from "../spec.js";

const aligned = {
  family: "alignment",
  takes: image,
  gives: "image",
  accepts: anyDType,
  result: sameType,
} as const;

const channel = (what: string) =>
  optional(
    anything<number | string>(
      "channel number or name",
      (v) => (typeof v === "number" && Number.isFinite(v)) || (typeof v === "string" && v.length > 0),
    ),
    undefined,
    `${what} Default: the plate's first.`,
  );

const maxShift = optional(
  number("px", 1, 65536),
  undefined,
  "Farthest that an image may lie from where it is expected. Default: a twentieth of the image's longer side.",
);

const search =
  "Shifts: Laplacian of Gaussian (sigma 1.5), cross-correlation by FFT, the five highest peaks within `maxShift` judged by Pearson's correlation " +
  "of the overlap, the best refined to 0.1 px by an upsampled DFT; one that is not 1.5 times as strong (Fisher's z) as what mirror images give, of this pair and of three quarters of the group's, is not used.";

export const alignment = {
  register: {
    ...aligned,
    aligns: "planes",
    summary: "Moves the images of a field onto one of them: timepoints, or channels.",
    definition: `${search} Found on one channel (of a stack its middle slice), applied to all as by translate, 0 outside.`,
    source:
      "Kuglin, Hines 1975; Guizar-Sicairos et al., Optics Letters 33(2), 2008; skimage.registration.phase_cross_correlation",
    conflict: (p): Conflict | undefined =>
      p.over === "channel" && p.to === "previous"
        ? { argument: "to", says: 'registers channels to one of them: "to" must be "first"' }
        : undefined,
    parameters: {
      over: optional(
        oneOf("timepoint", "channel"),
        "timepoint",
        "What moved against each other: timepoints (drift, cycles of staining), or channels (cameras, filters).",
      ),
      to: optional(
        oneOf("first", "previous"),
        "first",
        "Timepoint that each is compared with. Default first: errors do not add up; previous where cells change a lot.",
      ),
      channel: channel("Channel that shifts are found on; over channels the one that the others move to."),
      maxShift,
      interpolation: optional(
        oneOf("nearest", "linear", "cubic"),
        "cubic",
        "nearest moves by whole pixels, which keeps values as they are; linear blurs, cubic the least.",
      ),
    },
  },
  stitch: {
    ...aligned,
    aligns: "sites",
    summary: "Puts the fields of a well together: one image a channel, timepoint and slice.",
    definition:
      `Fields lie at their stage positions, or on a grid where \`overlap\` is given. ${search} Neighbours overlap; least squares, weighted by ` +
      "squared correlation, over all that are used gives the positions (one that is more than 2 px and three medians off is left out); fields " +
      "without a used neighbour lie where the others' mean offset puts them. Found on one channel (first timepoint, middle slice) for all. " +
      "linear: mean weighted by the product of the distances to the field's own edges, in float32 (32-bit integers, float64: float64), rounded " +
      "half to even; a pixel of one field alone is exact. Elsewhere 0. Size: what the well's fields cover.",
    source:
      "Preibisch, Saalfeld, Tomancak, Bioinformatics 25(11), 2009; Chalfoun et al. (MIST), Scientific Reports 7, 2017; Muhlich et al. (ASHLAR), Bioinformatics 38(19), 2022",
    conflict: (p): Conflict | undefined =>
      p.overlap === undefined && (p.columns !== undefined || p.order !== undefined)
        ? {
            argument: "overlap",
            says: `needs "overlap" where "${p.columns === undefined ? "order" : "columns"}" is given: they describe a grid, which replaces stage positions`,
          }
        : undefined,
    parameters: {
      channel: channel("Channel that positions are found on."),
      overlap: optional(
        number("%", 0, 90),
        undefined,
        "Of neighbours, of a field's side. Given, fields lie on a grid whatever the metadata says. Default: stage positions.",
      ),
      columns: optional(
        integer("fields", 1, 4096),
        undefined,
        "Of the grid. Default: what the metadata says, else as many as there are rows.",
      ),
      order: optional(
        oneOf("rows", "columns", "snakeRows", "snakeColumns"),
        undefined,
        "In which order sites fill the grid, from its upper left; snakes turn round at each end. Default rows.",
      ),
      align: optional(
        flag(),
        true,
        "false: fields stay where stage or grid put them, and nothing is looked for.",
      ),
      maxShift,
      blend: optional(
        oneOf("linear", "none", "max"),
        "linear",
        "Of pixels that several fields cover. none: of the field whose edges are farther; max: the greatest value.",
      ),
      interpolation: optional(
        oneOf("nearest", "linear"),
        "nearest",
        "Default nearest: fields lie at whole pixels, which keeps values as they are.",
      ),
    },
  },
} as const satisfies Record<string, OpSpec>;
