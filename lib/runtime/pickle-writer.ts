// SPDX-License-Identifier: MIT
// Writes plain data as a Python pickle, protocol 4, that pickle.loads of every Python 3 since 3.4 reads.

import { op } from "./pickle-opcodes.js";
import {
  describe,
  isBytes,
  type PickleLimits,
  type PickleValue,
  PyByteArray,
  PyFloat,
  PyFrozenSet,
  PyOpaque,
  PyTuple,
  pickleLimits,
  wireError,
} from "./pickle-value.js";
import { encodeUtf8 } from "./text.js";

class Writer {
  #buffer = Buffer.allocUnsafe(256);
  #length = 0;
  #elements = 0;
  /** Memo index of every container and every longer string already written, so that shared ones are written once. */
  readonly #memo = new Map<unknown, number>();
  readonly #open = new Set<unknown>();

  constructor(private readonly limits: PickleLimits) {}

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #room(count: number): number {
    const at = this.#length;
    const needed = at + count;
    if (needed > this.limits.maxBytes)
      throw wireError("pickle", `at most ${this.limits.maxBytes} bytes`, "more");
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, at);
      this.#buffer = larger;
    }
    this.#length = needed;
    return at;
  }

  code(...codes: number[]): void {
    const at = this.#room(codes.length);
    for (const [i, c] of codes.entries()) this.#buffer[at + i] = c;
  }

  #u32(value: number): void {
    const at = this.#room(4);
    this.#buffer.writeUInt32LE(value, at);
  }

  #u64(value: number): void {
    const at = this.#room(8);
    this.#buffer.writeBigUInt64LE(BigInt(value), at);
  }

  #raw(bytes: Uint8Array): void {
    const at = this.#room(bytes.length);
    this.#buffer.set(bytes, at);
  }

  #memoize(key: unknown): void {
    this.#memo.set(key, this.#memo.size);
    this.code(op.MEMOIZE);
  }

  /** Writes a reference when `key` was written before. */
  #recalled(key: unknown): boolean {
    const index = this.#memo.get(key);
    if (index === undefined) return false;
    if (index < 256) this.code(op.BINGET, index);
    else {
      this.code(op.LONG_BINGET);
      this.#u32(index);
    }
    return true;
  }

  string(text: string) {
    if (this.#recalled(text)) return;
    const bytes = encodeUtf8(text);
    if (bytes.length < 256) this.code(op.SHORT_BINUNICODE, bytes.length);
    else {
      this.code(op.BINUNICODE);
      this.#u32(bytes.length);
    }
    this.#raw(bytes);
    this.#memoize(text);
  }

  #number(value: number) {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) return this.#float(value);
    if (value >= 0 && value < 256) this.code(op.BININT1, value);
    else if (value >= 0 && value < 65536) this.code(op.BININT2, value & 255, value >> 8);
    else if (value >= -(2 ** 31) && value < 2 ** 31) {
      this.code(op.BININT);
      const at = this.#room(4);
      this.#buffer.writeInt32LE(value, at);
    } else this.#bigint(BigInt(value));
  }

  #float(value: number): void {
    this.code(op.BINFLOAT);
    const at = this.#room(8);
    this.#buffer.writeDoubleBE(value, at);
  }

  #bigint(value: bigint): void {
    // One bit for the sign; hex digits come in pairs.
    const magnitude = value < 0n ? -value - 1n : value;
    const size = value === 0n ? 0 : Math.floor(magnitude.toString(2).length / 8) + 1;
    if (size > this.limits.maxIntBytes)
      throw wireError("pickle", `an int of at most ${this.limits.maxIntBytes} bytes`, `${size}`);
    const hex = size
      ? BigInt.asUintN(size * 8, value)
          .toString(16)
          .padStart(size * 2, "0")
      : "";
    if (size < 256) this.code(op.LONG1, size);
    else {
      this.code(op.LONG4);
      this.#u32(size);
    }
    this.#raw(Buffer.from(hex, "hex").reverse());
  }

  #bytesValue(bytes: Uint8Array): void {
    if (bytes.length < 256) this.code(op.SHORT_BINBYTES, bytes.length);
    else if (bytes.length < 2 ** 32) {
      this.code(op.BINBYTES);
      this.#u32(bytes.length);
    } else {
      this.code(op.BINBYTES8);
      this.#u64(bytes.length);
    }
    this.#raw(bytes);
  }

  value(value: unknown, path: string) {
    if (++this.#elements > this.limits.maxElements)
      throw wireError("pickle", `at most ${this.limits.maxElements} values`, "more");
    switch (typeof value) {
      case "boolean":
        return this.code(value ? op.NEWTRUE : op.NEWFALSE);
      case "number":
        return this.#number(value);
      case "bigint":
        return this.#bigint(value);
      case "string":
        return this.string(value);
      case "object":
        return value === null ? this.code(op.NONE) : this.#object(value, path);
      default:
        throw wireError(`pickle of ${path}`, "plain data", describe(value));
    }
  }

  #object(value: object, path: string) {
    if (value instanceof PyFloat) return this.#float(value.value);
    if (isBytes(value)) return this.#bytesValue(value);
    if (this.#open.has(value)) {
      throw wireError(`pickle of ${path}`, "values without cycles", "a container inside itself");
    }
    if (this.#recalled(value)) return;
    if (value instanceof PyByteArray) {
      // BYTEARRAY8 is protocol 5; what protocol 4 writes for a bytearray is this call.
      this.#global("builtins", "bytearray");
      this.#bytesValue(value.bytes);
      return this.code(op.TUPLE1, op.REDUCE);
    }
    if (this.#open.size >= this.limits.maxDepth)
      throw wireError("pickle", `at most ${this.limits.maxDepth} containers within each other`, "more");
    this.#open.add(value);
    this.#container(value, path);
    this.#open.delete(value);
  }

  #container(value: object, path: string): void {
    if (Array.isArray(value)) {
      this.code(op.EMPTY_LIST);
      this.#memoize(value);
      this.#batch(value, path, op.APPENDS);
    } else if (value instanceof PyTuple) {
      this.#tuple(value.items, path);
      this.#memoize(value);
    } else if (value instanceof Set) {
      this.code(op.EMPTY_SET);
      this.#memoize(value);
      this.#batch([...value], path, op.ADDITEMS);
    } else if (value instanceof PyFrozenSet) {
      this.code(op.MARK);
      for (const item of value.items) this.value(item, path);
      this.code(op.FROZENSET);
      this.#memoize(value);
    } else if (value instanceof Map) {
      this.code(op.EMPTY_DICT);
      this.#memoize(value);
      this.#pairs([...value], path);
    } else if (value instanceof PyOpaque) {
      this.#opaque(value, path);
      this.#memoize(value);
    } else {
      const prototype = Object.getPrototypeOf(value) as object | null;
      if (prototype !== null && prototype !== Object.prototype && Object.getPrototypeOf(prototype) !== null)
        throw wireError(`pickle of ${path}`, "plain data", describe(value));
      this.code(op.EMPTY_DICT);
      this.#memoize(value);
      // As in JSON, a key without a value is left out.
      this.#pairs(
        Object.entries(value).filter(([, v]) => v !== undefined),
        path,
      );
    }
  }

  #tuple(items: readonly PickleValue[], path: string) {
    if (items.length === 0) return this.code(op.EMPTY_TUPLE);
    if (items.length > 3) this.code(op.MARK);
    for (const [i, item] of items.entries()) this.value(item, `${path}[${i}]`);
    this.code(items.length > 3 ? op.TUPLE : op.TUPLE1 + items.length - 1);
  }

  #batch(items: readonly unknown[], path: string, end: number): void {
    if (items.length === 0) return;
    this.code(op.MARK);
    for (const [i, item] of items.entries()) this.value(item, `${path}[${i}]`);
    this.code(end);
  }

  #pairs(pairs: ReadonlyArray<readonly [unknown, unknown]>, path: string): void {
    if (pairs.length === 0) return;
    this.code(op.MARK);
    for (const [key, item] of pairs) {
      this.value(key, path);
      this.value(item, typeof key === "string" ? `${path}.${key}` : path);
    }
    this.code(op.SETITEMS);
  }

  #global(module: string, qualname: string): void {
    this.string(module);
    this.string(qualname);
    this.code(op.STACK_GLOBAL);
  }

  #opaque(value: PyOpaque, path: string) {
    this.#global(value.module, value.qualname);
    if (value.origin === "global") return;
    this.#tuple(value.args, path);
    if (value.origin === "newobj_ex") this.value(value.kwargs ?? {}, path);
    this.code(value.origin === "reduce" ? op.REDUCE : value.origin === "newobj" ? op.NEWOBJ : op.NEWOBJ_EX);
    // The order in which Python writes them.
    if (value.listItems !== undefined) this.#batch(value.listItems, path, op.APPENDS);
    if (value.dictItems !== undefined) this.#pairs(value.dictItems, path);
    if (value.state !== undefined) {
      this.value(value.state, path);
      this.code(op.BUILD);
    }
  }
}

/**
 * Encodes a value for pickle.loads. A whole JavaScript number is written as an int, any other as a float; {@link PyFloat} asks for a float.
 * Throws ERR_WIRE, with the path of the value, for functions, symbols, class instances, cycles, and beyond the limits.
 */
export function writePickle(value: unknown, limits: Partial<PickleLimits> = {}): Buffer {
  const writer = new Writer({ ...pickleLimits, ...limits });
  writer.code(op.PROTO, 4);
  writer.value(value, "message");
  writer.code(op.STOP);
  return writer.bytes();
}
