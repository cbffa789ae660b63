// SPDX-License-Identifier: MIT
// Constructors of ops: `op.gaussian({ sigma: 1.5 })` is plain, checked, frozen data.

import { TilecastError } from "../errors.js";
import type { Feature, PlaneFeature } from "./families/features.js";
import { dtypeOfKind } from "./families/flow.js";
import { checkParameters } from "./parameter.js";
import { type OpName, type ParametersOf, specOf, table } from "./table.js";

/** One op with its parameters, defaults filled in. Plain data: it can be printed, compared and sent to another process. */
export interface Op<N extends OpName = OpName> {
  readonly name: N;
  readonly parameters: Readonly<Record<string, unknown>>;
}

function make<N extends OpName>(name: N, given: unknown): Op<N> {
  if (given !== undefined && (typeof given !== "object" || given === null || Array.isArray(given))) {
    throw new TilecastError(
      "ERR_INVALID_ARGUMENT",
      `op.${name} takes one object of parameters, and got ${typeof given}`,
    );
  }
  const spec = specOf(name);
  const parameters = checkParameters(`op.${name}`, spec.parameters, (given ?? {}) as Record<string, unknown>);
  const conflict = spec.conflict?.(parameters);
  if (conflict !== undefined) {
    throw new TilecastError("ERR_INVALID_ARGUMENT", `op.${name} ${conflict.says}`, {
      argument: conflict.argument,
    });
  }
  return Object.freeze({ name, parameters: Object.freeze(parameters) });
}

type Constructors = {
  readonly [N in Exclude<OpName, "measure" | "measurePlane">]: Record<never, never> extends ParametersOf<N>
    ? (parameters?: ParametersOf<N>) => Op<N>
    : (parameters: ParametersOf<N>) => Op<N>;
} & {
  /** One table row an object: `op.measure(["area", "mean_intensity"], { intensity: "correct" })`. */
  readonly measure: (
    features?: readonly Feature[],
    options?: Omit<ParametersOf<"measure">, "features">,
  ) => Op<"measure">;
  /** One row of planes.csv a plane: `op.measurePlane(["focus_laplacian", "saturated"])`. */
  readonly measurePlane: (
    features?: readonly PlaneFeature[],
    options?: Omit<ParametersOf<"measurePlane">, "features">,
  ) => Op<"measurePlane">;
};

function build(): Constructors {
  const all: Record<string, unknown> = {};
  for (const name of Object.keys(table) as OpName[]) {
    all[name] = (given?: unknown) => make(name, given);
  }
  for (const name of ["measure", "measurePlane"] as const) {
    all[name] = (features?: readonly string[], options?: object) =>
      make(name, { ...options, ...(features === undefined ? {} : { features }) });
  }
  all.flatField = (given?: Record<string, unknown>) => {
    const made = make("flatField", given);
    const { image, from } = made.parameters;
    return image === undefined && from === undefined ? make("flatField", { ...given, from: "median" }) : made;
  };
  all.javascript = (given?: Record<string, unknown>) => {
    const made = make("javascript", given);
    const { kind, output } = made.parameters;
    const need = dtypeOfKind[kind as string];
    if (need !== undefined && output !== need && given?.output !== undefined) {
      throw new TilecastError(
        "ERR_INVALID_ARGUMENT",
        `op.javascript of kind "${kind}" gives ${need}, not ${output}`,
        { argument: "output" },
      );
    }
    const module = made.parameters.module;
    return Object.freeze({
      name: "javascript" as const,
      parameters: Object.freeze({
        ...made.parameters,
        module: String(module),
        ...(need ? { output: need } : {}),
      }),
    });
  };
  return Object.freeze(all) as Constructors;
}

/**
 * The ops. Each takes one object of parameters (see `docs/ops.md` for definitions, defaults and sources) and gives plain data for
 * {@link Pipeline.step}. A wrong parameter throws ERR_INVALID_ARGUMENT here, with the op's and the parameter's name.
 */
export const op: Constructors = build();

/** An op as a person would write it: `gaussian(sigma: 1.5)`; defaults are left out. */
export function printOp(o: Op): string {
  const specs = specOf(o.name).parameters;
  const shown = Object.entries(o.parameters)
    .filter(([k, v]) => JSON.stringify(v) !== JSON.stringify(specs[k]?.fallback))
    .map(
      ([k, v]) => `${k}: ${Array.isArray(v) ? v.join(" ") : typeof v === "object" ? JSON.stringify(v) : v}`,
    );
  return `${o.name}(${shown.join(", ")})`;
}
