// SPDX-License-Identifier: MIT
// A small schema language for wire messages: tolerant reading, exact writing in each protocol generation, types derived from the schema.

import { describe, PyFloat, PyOpaque, PyTuple, wireError } from "./pickle-value.js";

/**
 * The protocol generations of the OpenHCS family: A (OpenHCS 0.5, zmqruntime 0.1.8), B (zmqruntime 0.1.23), C (OpenHCS 0.8.6, zmqruntime
 * 0.2), D (zmqruntime 0.6). The transport is the same in all; keys, their absence and the strictness of peers differ.
 */
export type Generation = "A" | "B" | "C" | "D";
export const generations: readonly Generation[] = ["A", "B", "C", "D"];

/** A type of value on the wire. `read` throws ERR_WIRE that begins with `where`. */
export interface Kind<T> {
  readonly name: string;
  read(value: unknown, where: string): T;
  write(value: T, generation: Generation): unknown;
}

/** Required; absent when there is none (None in generation D, which writes every field); or None when there is none. */
export type Need = "required" | "optional" | "nullable";

export interface Field<T, N extends Need> {
  readonly kind: Kind<T>;
  readonly need: N;
  /** The generations that have it; others neither get it nor miss it. */
  readonly in: string;
  /** Its name where it differs from its key. */
  readonly names: Partial<Readonly<Record<Generation, string>>>;
  /** Absent when there is none in generation D too. */
  readonly omit: boolean;
  /** What generation D gets where there is none; default None. */
  readonly absent: unknown;
  /** Further names under which peers send it. */
  readonly also: readonly string[];
  /** Read when a required field is absent. */
  readonly fallback: T | undefined;
}

interface FieldOptions<T> {
  readonly in?: string;
  readonly names?: Partial<Record<Generation, string>>;
  readonly omit?: boolean;
  readonly absent?: T;
  readonly also?: readonly string[];
  readonly fallback?: T;
}

const make =
  <N extends Need>(need: N) =>
  <T>(kind: Kind<T>, options: FieldOptions<T> = {}): Field<T, N> => ({
    kind,
    need,
    in: options.in ?? "ABCD",
    names: options.names ?? {},
    omit: options.omit ?? false,
    absent: options.absent ?? null,
    also: options.also ?? [],
    fallback: options.fallback,
  });
export const required = make("required");
export const optional = make("optional");
export const nullable = make("nullable");

export type Shape = { readonly [key: string]: Field<unknown, Need> };
type ValueOf<F> = F extends Field<infer T, Need> ? T : never;
type KeysOf<S, N extends Need> = { [K in keyof S]: S[K] extends Field<infer _T, N> ? K : never }[keyof S];

/** The TypeScript type of a shape. */
export type Infer<S> = { readonly [K in KeysOf<S, "required">]: ValueOf<S[K]> } & {
  readonly [K in KeysOf<S, "optional">]?: ValueOf<S[K]> | undefined;
} & { readonly [K in KeysOf<S, "nullable">]: ValueOf<S[K]> | null };

/** A member of a Python enum arrives as a call of its class with its value (generation D does that). */
const withoutEnum = (value: unknown): unknown =>
  value instanceof PyOpaque &&
  value.origin === "reduce" &&
  value.args.length === 1 &&
  value.state === undefined
    ? value.args[0]
    : value;

const simple = <T>(name: string, accept: (value: unknown) => T | undefined, write = (v: T): unknown => v) => {
  const kind: Kind<T> = {
    name,
    read(value, where) {
      const got = accept(withoutEnum(value));
      if (got === undefined) throw wireError(where, name, describe(value));
      return got;
    },
    write,
  };
  return kind;
};

export const text = simple("a str", (v) => (typeof v === "string" ? v : undefined));
/** A str; peers send ints for OMERO plates. */
export const id = simple("a str or an int", (v) =>
  typeof v === "string" ? v : Number.isSafeInteger(v) || typeof v === "bigint" ? String(v) : undefined,
);
export const int = simple("an int", (v) => (Number.isSafeInteger(v) ? (v as number) : undefined));
export const float = simple(
  "a number",
  (v) => (typeof v === "number" ? v : typeof v === "bigint" ? Number(v) : undefined),
  (v) => new PyFloat(v),
);
/** An int or a float, written as what it is. */
export const numeric = simple("a number", (v) =>
  typeof v === "number" ? v : typeof v === "bigint" ? Number(v) : undefined,
);
export const bool = simple("a bool", (v) => (typeof v === "boolean" ? v : undefined));
/** Anything at all, passed on as it is. */
export const anything = simple<unknown>("a value", (v) => v);
export const dict = simple("a dict", (v) => asDict(v));

export function oneOf<const T extends string>(...values: readonly T[]): Kind<T> {
  return simple(`one of ${values.join(", ")}`, (v) => values.find((x) => x === v));
}

export function listOf<T>(kind: Kind<T>): Kind<readonly T[]> {
  return {
    name: `a list of ${kind.name}`,
    read(value, where) {
      const items = value instanceof PyTuple ? value.items : value;
      if (!Array.isArray(items)) throw wireError(where, this.name, describe(value));
      return items.map((item, i) => kind.read(item, `${where}[${i}]`));
    },
    write: (value, generation) => value.map((item) => kind.write(item, generation)),
  };
}

export function record<S extends Shape>(shape: S): Kind<Infer<S>> {
  return {
    name: "a dict",
    read: (value, where) => readShape(shape, value, where),
    write: (value, generation) => writeShape(shape, value, generation),
  };
}

/** A dict with str keys, as an object; `undefined` for anything else. */
export function asDict(value: unknown): { readonly [key: string]: unknown } | undefined {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return undefined;
  const prototype = Object.getPrototypeOf(value) as object | null;
  const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null;
  return isPlain && !Array.isArray(value) ? (value as { [key: string]: unknown }) : undefined;
}

/** Reads what `shape` names, under the name of any generation; other keys are ignored. `where` begins the message of an error. */
export function readShape<S extends Shape>(shape: S, value: unknown, where: string): Infer<S> {
  const from = asDict(value);
  if (from === undefined) throw wireError(where, "a dict with str keys", describe(value));
  const result: { [key: string]: unknown } = {};
  for (const [key, field] of Object.entries(shape)) {
    const name = [key, ...Object.values(field.names), ...field.also].find(
      (n) => from[n] !== undefined && from[n] !== null,
    );
    if (name !== undefined) result[key] = field.kind.read(from[name], `${where}.${name}`);
    else if (field.need === "nullable") result[key] = null;
    else if (field.need === "required") {
      if (field.fallback === undefined) throw wireError(`${where}.${key}`, field.kind.name, "nothing");
      result[key] = field.fallback;
    }
  }
  return result as Infer<S>;
}

/** Writes exactly the keys that `generation` has, in the shape's order. */
export function writeShape<S extends Shape>(
  shape: S,
  value: Infer<S>,
  generation: Generation,
): { [key: string]: unknown } {
  const from = value as { readonly [key: string]: unknown };
  const result: { [key: string]: unknown } = {};
  for (const [key, field] of Object.entries(shape)) {
    if (!field.in.includes(generation)) continue;
    const given = from[key];
    const name = field.names[generation] ?? key;
    if (given !== undefined && given !== null) result[name] = field.kind.write(given, generation);
    else if (field.need === "nullable") result[name] = null;
    else if (field.need === "optional") {
      if (generation === "D" && !field.omit) result[name] = field.absent;
    } else throw wireError(`message.${key}`, field.kind.name, "nothing");
  }
  return result;
}
