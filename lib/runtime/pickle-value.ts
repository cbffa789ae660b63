// SPDX-License-Identifier: MIT
// What a Python pickle of plain data becomes in JavaScript, and back; limits; the error that both codecs raise.

import { TilecastError } from "../errors.js";

/** A Python tuple. Lists are arrays. */
export class PyTuple {
  readonly items: readonly PickleValue[];
  constructor(items: readonly PickleValue[]) {
    this.items = Object.freeze([...items]);
  }
}

/** A Python bytearray. `bytes` are `Uint8Array`. */
export class PyByteArray {
  constructor(readonly bytes: Uint8Array) {}
}

/** A Python frozenset. Sets are `Set`. */
export class PyFrozenSet {
  readonly items: readonly PickleValue[];
  constructor(items: readonly PickleValue[]) {
    this.items = Object.freeze([...items]);
  }
}

/** Asks the writer for a Python float: a JavaScript number that is whole is written as an int otherwise. The reader never makes one. */
export class PyFloat {
  constructor(readonly value: number) {}
}

/** How an object was put together, so that it can be written again: a class by itself, or a call that was recorded and never made. */
export type OpaqueOrigin = "global" | "newobj" | "newobj_ex" | "reduce";

interface OpaqueParts {
  readonly module: string;
  readonly qualname: string;
  readonly origin: OpaqueOrigin;
  readonly args?: readonly PickleValue[];
  readonly kwargs?: PickleValue;
  readonly state?: PickleValue;
  readonly listItems?: readonly PickleValue[];
  readonly dictItems?: ReadonlyArray<readonly [PickleValue, PickleValue]>;
}

/** A Python object that is not plain data, as a record. Nothing of the module that it names is looked up, imported or called. */
export class PyOpaque {
  /** `module.qualname`. */
  readonly opaque: string;
  readonly module: string;
  readonly qualname: string;
  readonly origin: OpaqueOrigin;
  /** Arguments of the recorded call; empty for a class by itself. */
  readonly args: readonly PickleValue[];
  /** Keyword arguments, a dict, of `newobj_ex` only. */
  readonly kwargs: PickleValue | undefined;
  /** What `__setstate__` would have got. */
  readonly state: PickleValue | undefined;
  /** What a list subclass would have been extended by. */
  readonly listItems: readonly PickleValue[] | undefined;
  /** What a dict subclass would have been updated by, in order. */
  readonly dictItems: ReadonlyArray<readonly [PickleValue, PickleValue]> | undefined;

  constructor(parts: OpaqueParts) {
    this.opaque = `${parts.module}.${parts.qualname}`;
    this.module = parts.module;
    this.qualname = parts.qualname;
    this.origin = parts.origin;
    this.args = parts.args ?? [];
    this.kwargs = parts.kwargs;
    this.state = parts.state;
    this.listItems = parts.listItems;
    this.dictItems = parts.dictItems;
  }
}

/** A dict whose keys are all strings: an object without prototype, so that no key of a message can reach one. */
export type PickleDict = { [key: string]: PickleValue };

/**
 * None, bool, int, float, str, bytes, list, dict as their JavaScript likes; the rest as the classes above. An int outside of the safe
 * integers is a bigint. A dict with a key that is not a string is a `Map`.
 */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | PickleDict
  | Map<PickleValue, PickleValue>
  | Set<PickleValue>
  | PyTuple
  | PyByteArray
  | PyFrozenSet
  | PyFloat
  | PyOpaque;

/** Bounds of one pickle. A control message is small; what exceeds them is an attack or a mistake. */
export interface PickleLimits {
  /** Bytes of the pickle. */
  readonly maxBytes: number;
  /** Containers within each other. */
  readonly maxDepth: number;
  /** Values in the result, a container that occurs twice counted twice: what a consumer that walks the result would visit. */
  readonly maxElements: number;
  /** Different entries of the memo. */
  readonly maxMemo: number;
  /** Bytes of one int. */
  readonly maxIntBytes: number;
}

export const pickleLimits: PickleLimits = Object.freeze({
  maxBytes: 16 * 2 ** 20,
  maxDepth: 100,
  maxElements: 1_000_000,
  maxMemo: 1_000_000,
  maxIntBytes: 1024,
});

/** The error of a message that cannot be read or written: where, what was expected, what came. */
export function wireError(where: string, expected: string, got: string, offset?: number): TilecastError {
  return new TilecastError(
    "ERR_WIRE",
    `${where}${offset === undefined ? "" : ` at byte ${offset}`}: expected ${expected}, and got ${got}`,
    offset === undefined ? {} : { offset },
  );
}

/** A Uint8Array or a subclass of this realm; vitest and worker threads have others, which `instanceof` would miss. */
export const isBytes = (value: unknown): value is Uint8Array =>
  ArrayBuffer.isView(value) && Object.prototype.toString.call(value) === "[object Uint8Array]";

/** Names a value in an error message: short, and never its whole content. */
export function describe(value: unknown): string {
  if (value === null) return "null";
  if (typeof value === "string")
    return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value);
  if (typeof value === "number" || typeof value === "boolean" || typeof value === "bigint")
    return String(value);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (isBytes(value)) return `${value.byteLength} bytes`;
  if (value instanceof PyOpaque) return `an object of ${value.opaque}`;
  if (typeof value === "object") {
    const name = Object.getPrototypeOf(value)?.constructor?.name as string | undefined;
    return name === undefined || name === "Object" ? "a dict" : `a ${name}`;
  }
  return typeof value;
}
