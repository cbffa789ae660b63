// SPDX-License-Identifier: MIT
// Ops that say what becomes of an image, and functions of the user's.

import type { DType } from "../../image/dtype.js";
import { anything, dtypeName, oneOf, optional, required, text } from "../parameter.js";
import { anyDType, anyKind, imageOrMask, type OpSpec, sameType } from "../spec.js";

/** dtype that a function's result of a kind has whatever `output` says. */
export const dtypeOfKind: Readonly<Record<string, DType | undefined>> = { labels: "int32", mask: "uint8" };

export const flow = {
  save: {
    family: "flow",
    summary: "Writes the image at this point as the field's image.",
    definition:
      "Without it, a chain that labels writes its image after the last projection or change of size before the mask; any other writes its last image.",
    source: "tilecast",
    takes: imageOrMask,
    gives: "same",
    accepts: anyDType,
    result: sameType,
    parameters: {},
  },
  javascript: {
    family: "flow",
    summary: "A function of yours, on a worker thread.",
    definition:
      "The module's export is called as fn({ data, shape, dtype, components, params }, out) with typed-array views of shared memory, valid during " +
      "the call; it fills `out` (same shape, dtype `output`). It may be async. Throwing fails the plane.",
    source: "yours",
    takes: anyKind,
    gives: "image",
    accepts: anyDType,
    result: (_: DType, p): DType => p.output as DType,
    parameters: {
      module: required(
        anything<string | URL>(
          "URL or absolute path of an ES module",
          (v) => typeof v === "string" || v instanceof URL,
        ),
        'ES module that holds the function: new URL("./mine.mjs", import.meta.url).',
      ),
      export: optional(text(), "default", "Name of the export."),
      output: optional(dtypeName(), "float32", "dtype of the result."),
      kind: optional(
        oneOf("image", "mask", "labels"),
        "image",
        "What the result is: labels (int32) can be measured.",
      ),
      params: optional(
        anything<Readonly<Record<string, unknown>>>(
          "plain JSON object",
          (v) => typeof v === "object" && v !== null && !Array.isArray(v),
        ),
        undefined,
        "Passed to the function as `params`.",
      ),
    },
  },
} as const satisfies Record<string, OpSpec>;
