// SPDX-License-Identifier: MIT
// Parameters of ops: what a value may be, its default with the reason, and the check that names what came instead.

import { TilecastError } from "../errors.js";
import { type DType, dtypes } from "../image/dtype.js";

/** What a parameter may be. */
interface Kind<T> {
  /** Numbers, flags, choices and dtypes reach the native op as they are; `image` is another image of the run; `other` is for the compiler. */
  readonly type: "number" | "integer" | "flag" | "choice" | "dtype" | "image" | "other";
  /** For people: "number >= 0, px". */
  readonly expected: string;
  readonly unit?: string;
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly string[];
  /** Of an image. */
  readonly dtypes?: readonly DType[];
  /** True when `value` is acceptable. */
  accepts(value: unknown): value is T;
}

/** One parameter of an op. `T` is its type; `Optional` says whether it has a default. */
export interface Parameter<T, Optional extends boolean> extends Kind<T> {
  readonly help: string;
  readonly optional: Optional;
  readonly fallback: T | undefined;
}

// biome-ignore lint/suspicious/noExplicitAny: the table mixes parameters of every type
export type AnyParameter = Parameter<any, boolean>;

/** A parameter that must be given. */
export function required<T>(kind: Kind<T>, help: string): Parameter<T, false> {
  return { ...kind, help, optional: false, fallback: undefined };
}

/** A parameter with a default; `undefined` means "absent". */
export function optional<T>(kind: Kind<T>, fallback: T | undefined, help: string): Parameter<T, true> {
  return { ...kind, help, optional: true, fallback };
}

function bounds(min: number | undefined, max: number | undefined, unit: string): string {
  const limits = [min === undefined ? "" : `>= ${min}`, max === undefined ? "" : `<= ${max}`].filter(Boolean);
  return `${limits.length ? ` ${limits.join(" and ")}` : ""}${unit ? ` (${unit})` : ""}`;
}

const range = (min: number | undefined, max: number | undefined, unit: string) => ({
  ...(unit === "" ? {} : { unit }),
  ...(min === undefined ? {} : { min }),
  ...(max === undefined ? {} : { max }),
});

const within = (v: number, min: number | undefined, max: number | undefined): boolean =>
  (min === undefined || v >= min) && (max === undefined || v <= max);

export function number(unit = "", min?: number, max?: number): Kind<number> {
  return {
    type: "number",
    expected: `number${bounds(min, max, unit)}`,
    ...range(min, max, unit),
    accepts: (v): v is number => typeof v === "number" && Number.isFinite(v) && within(v, min, max),
  };
}

export function integer(unit: string, min?: number, max?: number): Kind<number> {
  return {
    type: "integer",
    expected: `integer${bounds(min, max, unit)}`,
    ...range(min, max, unit),
    accepts: (v): v is number => typeof v === "number" && Number.isSafeInteger(v) && within(v, min, max),
  };
}

export function oneOf<const T extends string>(...choices: readonly T[]): Kind<T> {
  return {
    type: "choice",
    expected: choices.map((v) => `"${v}"`).join(" or "),
    choices,
    accepts: (v): v is T => typeof v === "string" && (choices as readonly string[]).includes(v),
  };
}

export function dtypeName(): Kind<DType> {
  return { ...oneOf(...dtypes), type: "dtype" };
}

export function text(what = "string"): Kind<string> {
  return {
    type: "other",
    expected: what,
    accepts: (v): v is string => typeof v === "string" && v.length > 0,
  };
}

export function flag(): Kind<boolean> {
  return {
    type: "flag",
    expected: "true or false",
    accepts: (v): v is boolean => typeof v === "boolean",
  };
}

export function listOf<T>(item: Kind<T>): Kind<readonly T[]> {
  return {
    type: "other",
    expected: `array of ${item.expected}`,
    accepts: (v): v is readonly T[] => Array.isArray(v) && v.length > 0 && v.every((x) => item.accepts(x)),
  };
}

export function anything<T>(expected: string, accepts: (v: unknown) => boolean): Kind<T> {
  return { type: "other", expected, accepts: accepts as (v: unknown) => v is T };
}

/** An image of the run: a step's result by name, of this channel or another one. */
export type ImageSource = string | { readonly step?: string; readonly channel?: number | string };

export function isImageSource(v: unknown): v is ImageSource {
  if (typeof v === "string") return v.length > 0;
  if (typeof v !== "object" || v === null || Array.isArray(v)) return false;
  const { step, channel, ...rest } = v as Record<string, unknown>;
  return (
    Object.keys(rest).length === 0 &&
    (step === undefined || typeof step === "string") &&
    (channel === undefined || typeof channel === "string" || typeof channel === "number")
  );
}

/** `dtypes`: those that the image may have. Default any. */
export function imageSource(dtypes?: readonly DType[]): Kind<ImageSource> {
  return {
    type: "image",
    expected: "step name, or { step, channel }",
    ...(dtypes === undefined ? {} : { dtypes }),
    accepts: isImageSource,
  };
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
