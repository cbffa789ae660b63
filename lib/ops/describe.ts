// SPDX-License-Identifier: MIT
// The op table as plain data, for `tilecast ops`, docs/ops.md and programs that build forms from it.

import type { DType } from "../image/dtype.js";
import { dtypes } from "../image/dtype.js";
import type { Family, TileKind } from "./spec.js";
import { type OpName, specOf, table } from "./table.js";

/** Names of all ops, family by family. */
export const opNames = Object.keys(table) as OpName[];

export interface ParameterDescription {
  readonly name: string;
  readonly type: string;
  readonly expected: string;
  readonly unit?: string;
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly string[];
  readonly required: boolean;
  readonly default?: unknown;
  readonly help: string;
}

export interface OpDescription {
  readonly name: OpName;
  readonly family: Family;
  readonly summary: string;
  readonly definition: string;
  readonly source: string;
  readonly takes: readonly TileKind[];
  /** "any dtype", or the dtypes. */
  readonly accepts: readonly (DType | "any dtype")[];
  /** "gives mask", "passes it on". */
  readonly gives: string;
  readonly parameters: readonly ParameterDescription[];
}

export function describeOp(name: OpName): OpDescription {
  const spec = specOf(name);
  const keeps = spec.native === undefined ? "passes it on" : "gives the same kind";
  return {
    name,
    family: spec.family,
    summary: spec.summary,
    definition: spec.definition,
    source: spec.source,
    takes: spec.takes,
    accepts: spec.accepts.length === dtypes.length ? ["any dtype"] : spec.accepts,
    gives: spec.gives === "same" ? keeps : `gives ${spec.gives}`,
    parameters: Object.entries(spec.parameters).map(([key, p]) => ({
      name: key,
      type: p.type,
      expected: p.expected,
      ...(p.unit === undefined ? {} : { unit: p.unit }),
      ...(p.min === undefined ? {} : { min: p.min }),
      ...(p.max === undefined ? {} : { max: p.max }),
      ...(p.choices === undefined ? {} : { choices: p.choices }),
      required: !p.optional,
      ...(p.fallback === undefined ? {} : { default: p.fallback }),
      help: p.help,
    })),
  };
}
