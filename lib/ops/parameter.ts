// SPDX-License-Identifier: MIT
// Parameters of ops: what a value may be, its default with the reason, and the check that names what came instead.

import { TilecastError } from "../errors.js";

/** One parameter of an op. `T` is its type; `Optional` says whether it has a default. */
export interface Parameter<T, Optional extends boolean> {
  /** For people: "number >= 0, px". */
  readonly expected: string;
  readonly help: string;
  readonly optional: Optional;
  readonly fallback: T | undefined;
  /** True when `value` is acceptable. */
  accepts(value: unknown): value is T;
}

// biome-ignore lint/suspicious/noExplicitAny: the table mixes parameters of every type
export type AnyParameter = Parameter<any, boolean>;

interface Kind<T> {
  readonly expected: string;
  accepts(value: unknown): value is T;
}

/** A parameter that must be given. */
export function required<T>(kind: Kind<T>, help: string): Parameter<T, false> {
  return { ...kind, help, optional: false, fallback: undefined };
}

/** A parameter with a default; `undefined` means "absent". */
export function optional<T>(kind: Kind<T>, fallback: T | undefined, help: string): Parameter<T, true> {
  return { ...kind, help, optional: true, fallback };
}

export function number(
  unit = "",
  min = Number.NEGATIVE_INFINITY,
  max = Number.POSITIVE_INFINITY,
): Kind<number> {
  const bounds = [
    min > Number.NEGATIVE_INFINITY ? `>= ${min}` : "",
    max < Number.POSITIVE_INFINITY ? `<= ${max}` : "",
  ].filter(Boolean);
  return {
    expected: `number${bounds.length ? ` ${bounds.join(" and ")}` : ""}${unit ? ` (${unit})` : ""}`,
    accepts: (v): v is number => typeof v === "number" && Number.isFinite(v) && v >= min && v <= max,
  };
}

export function integer(unit: string, min: number): Kind<number> {
  return {
    expected: `integer >= ${min}${unit ? ` (${unit})` : ""}`,
    accepts: (v): v is number => typeof v === "number" && Number.isSafeInteger(v) && v >= min,
  };
}

export function oneOf<const T extends string>(...values: readonly T[]): Kind<T> {
  return {
    expected: values.map((v) => `"${v}"`).join(" or "),
    accepts: (v): v is T => typeof v === "string" && (values as readonly string[]).includes(v),
  };
}

export function text(what = "string"): Kind<string> {
  return { expected: what, accepts: (v): v is string => typeof v === "string" && v.length > 0 };
}

export function flag(): Kind<boolean> {
  return { expected: "true or false", accepts: (v): v is boolean => typeof v === "boolean" };
}

export function listOf<T>(item: Kind<T>): Kind<readonly T[]> {
  return {
    expected: `array of ${item.expected}`,
    accepts: (v): v is readonly T[] => Array.isArray(v) && v.length > 0 && v.every((x) => item.accepts(x)),
  };
}

export function anything<T>(expected: string, accepts: (v: unknown) => boolean): Kind<T> {
  return { expected, accepts: accepts as (v: unknown) => v is T };
}

/** Short form of a value for an error message. */
export function show(value: unknown): string {
  if (typeof value === "string") return `"${value.length > 60 ? `${value.slice(0, 57)}...` : value}"`;
  if (value === null || typeof value !== "object") return String(value);
  const json = JSON.stringify(value) ?? typeof value;
  return json.length > 60 ? `${json.slice(0, 57)}...` : json;
}

/** Checks the parameters of `where` (e.g. `op.gaussian`), fills in defaults, and refuses unknown names with the nearest one. */
export function checkParameters(
  where: string,
  specs: Readonly<Record<string, AnyParameter>>,
  given: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    if (Object.hasOwn(specs, name) || value === undefined) continue;
    const known = Object.keys(specs);
    const near = known.find(
      (k) => k.toLowerCase() === name.toLowerCase() || k.startsWith(name) || name.startsWith(k),
    );
    throw new TilecastError(
      "ERR_INVALID_ARGUMENT",
      `${where} has no parameter "${name}"${near ? `; did you mean "${near}"?` : known.length ? `; it takes ${known.join(", ")}` : "; it takes none"}`,
      { argument: name },
    );
  }
  for (const [name, spec] of Object.entries(specs)) {
    const value = given[name];
    if (value === undefined) {
      if (!spec.optional) {
        throw new TilecastError("ERR_INVALID_ARGUMENT", `${where} needs "${name}": ${spec.expected}`, {
          argument: name,
        });
      }
      if (spec.fallback !== undefined) out[name] = spec.fallback;
      continue;
    }
    if (!spec.accepts(value)) {
      throw new TilecastError(
        "ERR_INVALID_ARGUMENT",
        `${where}: "${name}" must be ${spec.expected}, and is ${show(value)}`,
        { argument: name },
      );
    }
    out[name] = value;
  }
  return out;
}
