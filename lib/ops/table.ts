// SPDX-License-Identifier: MIT
// The op table: every op once, with its parameters, the dtypes it takes and gives, its exact definition and the source of it.
// The constructors (op.ts), the compiler, `tilecast ops` and docs/ops.md derive from it; the native ops are compared with it by a test.

import { alignment } from "./families/alignment.js";
import { filters } from "./families/filters.js";
import { flow } from "./families/flow.js";
import { geometry } from "./families/geometry.js";
import { illumination } from "./families/illumination.js";
import { intensity } from "./families/intensity.js";
import { measurement } from "./families/measurement.js";
import { morphology } from "./families/morphology.js";
import { projections } from "./families/projections.js";
import { segmentation } from "./families/segmentation.js";
import type { Parameter } from "./parameter.js";
import type { OpSpec } from "./spec.js";

export const table = {
  ...projections,
  ...illumination,
  ...intensity,
  ...filters,
  ...morphology,
  ...segmentation,
  ...measurement,
  ...geometry,
  ...alignment,
  ...flow,
} as const satisfies Record<string, OpSpec>;

export type OpName = keyof typeof table;

/** An op's entry, by name. */
export function specOf(name: OpName): OpSpec {
  return table[name];
}

type Specs<N extends OpName> = (typeof table)[N]["parameters"];
type ValueOf<P> = P extends Parameter<infer T, boolean> ? T : never;
type OptionalKeys<S> = { [K in keyof S]: S[K] extends Parameter<infer _, true> ? K : never }[keyof S];

/** The parameters of an op as its constructor takes them. */
export type ParametersOf<N extends OpName> = {
  [K in Exclude<keyof Specs<N>, OptionalKeys<Specs<N>>>]: ValueOf<Specs<N>[K]>;
} & { [K in OptionalKeys<Specs<N>>]?: ValueOf<Specs<N>[K]> | undefined };
