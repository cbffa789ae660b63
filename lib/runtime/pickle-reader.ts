// SPDX-License-Identifier: MIT
// Reads Python pickles of plain data, protocols 2 to 5, without ever importing, calling or building what they name.

import type { TilecastError } from "../errors.js";
import {
  Converter,
  DictNode,
  FrozenSetNode,
  type Item,
  isHashable,
  ListNode,
  mark,
  nameOf,
  OpaqueNode,
  SetNode,
  TupleNode,
} from "./pickle-nodes.js";
import { op, opcodeName, refused } from "./pickle-opcodes.js";
import {
  isBytes,
  type PickleLimits,
  type PickleValue,
  PyByteArray,
  pickleLimits,
  wireError,
} from "./pickle-value.js";
import { decodeUtf8 } from "./text.js";

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #limits: PickleLimits;
  readonly #stack: (Item | typeof mark)[] = [];
  readonly #memo = new Map<number, Item>();
  #at = 0;
  /** Where the opcode that is being read begins. */
  #opcodeAt = 0;
  #pushed = 0;

  constructor(bytes: Uint8Array, limits: PickleLimits) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#limits = limits;
  }

  #fail(expected: string, got: string): TilecastError {
    const name = opcodeName.get(this.#bytes[this.#opcodeAt] as number);
    return wireError(name === undefined ? "pickle" : `pickle opcode ${name}`, expected, got, this.#opcodeAt);
  }

  /** The next `count` bytes, without a copy. */
  #take(count: number): Uint8Array {
    const left = this.#bytes.length - this.#at;
    if (count > left) throw this.#fail(`${count} more bytes`, `the end after ${left}`);
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  #u8(): number {
    return this.#take(1)[0] as number;
  }

  #u32(): number {
    this.#take(4);
    return this.#view.getUint32(this.#at - 4, true);
  }

  #u64(): number {
    this.#take(8);
    const value = this.#view.getBigUint64(this.#at - 8, true);
    // Larger than any message: #take says so.
    return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);
  }

  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    if (end < 0) throw this.#fail("a line", "the end");
    const bytes = this.#take(end - this.#at);
    this.#at++;
    return this.#utf8(bytes);
  }

  #utf8(bytes: Uint8Array): string {
    const text = decodeUtf8(bytes);
    if (text === undefined) throw this.#fail("UTF-8", "other bytes");
    return text;
  }

  #int(bytes: Uint8Array): number | bigint {
    if (bytes.length > this.#limits.maxIntBytes)
      throw this.#fail(`an int of at most ${this.#limits.maxIntBytes} bytes`, `${bytes.length}`);
    if (bytes.length === 0) return 0;
    const hex = Buffer.from(bytes).reverse().toString("hex");
    const value = BigInt.asIntN(bytes.length * 8, BigInt(`0x${hex}`));
    return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
      ? Number(value)
      : value;
  }

  #push(item: Item | typeof mark): void {
    if (++this.#pushed > this.#limits.maxElements)
      throw this.#fail(`at most ${this.#limits.maxElements} values`, "more");
    this.#stack.push(item);
  }

  #pop(): Item {
    const item = this.#stack.pop();
    if (item === undefined || item === mark) throw this.#fail("a value on the stack", nameOf(item));
    return item;
  }

  #top(): Item {
    const item = this.#stack.at(-1);
    if (item === undefined || item === mark) throw this.#fail("a value on the stack", nameOf(item));
    return item;
  }

  #popToMark(): Item[] {
    const at = this.#stack.lastIndexOf(mark);
    if (at < 0) throw this.#fail("a mark on the stack", "none");
    const items = this.#stack.splice(at + 1) as Item[];
    this.#stack.pop();
    return items;
  }

  #remember(index: number): void {
    if (this.#memo.size >= this.#limits.maxMemo && !this.#memo.has(index))
      throw this.#fail(`at most ${this.#limits.maxMemo} memo entries`, "more");
    this.#memo.set(index, this.#top());
  }

  #recall(index: number): void {
    const item = this.#memo.get(index);
    if (item === undefined) throw this.#fail(`a memo entry ${index}`, "none");
    this.#push(item);
  }

  #setItems(flat: Item[]) {
    const target = this.#top();
    if (flat.length % 2) throw this.#fail("keys and values in pairs", `${flat.length} values`);
    for (let i = 0; i < flat.length; i += 2) {
      if (!isHashable(flat[i] as Item)) throw this.#fail("a key that can be hashed", nameOf(flat[i]));
    }
    if (target instanceof DictNode) for (const item of flat) target.flat.push(item);
    else if (target instanceof OpaqueNode) for (const item of flat) target.dictItems.push(item);
    else throw this.#fail("a dict below its items", nameOf(target));
  }

  #append(items: Item[]) {
    const target = this.#top();
    if (target instanceof ListNode) for (const item of items) target.items.push(item);
    else if (target instanceof OpaqueNode) for (const item of items) target.listItems.push(item);
    else throw this.#fail("a list below its items", nameOf(target));
  }

  #text(what: string): string {
    const item = this.#pop();
    if (typeof item !== "string") throw this.#fail(`a str as ${what}`, nameOf(item));
    return item;
  }

  #arguments(): Item[] {
    const item = this.#pop();
    if (!(item instanceof TupleNode)) throw this.#fail("a tuple of arguments", nameOf(item));
    return item.items;
  }

  #callee(): OpaqueNode {
    const item = this.#pop();
    if (!(item instanceof OpaqueNode) || item.origin !== "global") throw this.#fail("a class", nameOf(item));
    return item;
  }

  /** A recorded call; those that protocols 2 and 3 write for bytes, bytearray, set and frozenset are plain data in disguise. */
  #reduced({ module, qualname }: OpaqueNode, args: Item[]): Item {
    const [first, second] = args;
    if (module === "_codecs" && qualname === "encode" && typeof first === "string") {
      return this.#latin1(first, second);
    }
    if (module === "builtins" || module === "__builtin__") {
      if (qualname === "set" || qualname === "frozenset") {
        if (args.length === 0 || (args.length === 1 && first instanceof ListNode)) {
          const items = first instanceof ListNode ? [...first.items] : [];
          this.#checkHashable(items);
          return qualname === "set" ? new SetNode(items) : new FrozenSetNode(items);
        }
      } else if (qualname === "bytes" || qualname === "bytearray") {
        const wrap = (b: Uint8Array) => (qualname === "bytes" ? b : new PyByteArray(b));
        if (args.length === 0) return wrap(new Uint8Array(0));
        if (args.length === 1 && isBytes(first)) return wrap(first);
        if (args.length === 2 && typeof first === "string") return wrap(this.#latin1(first, second));
      }
    }
    return new OpaqueNode(module, qualname, "reduce", args);
  }

  #latin1(text: string, encoding: Item | undefined): Uint8Array {
    if (encoding !== "latin1" && encoding !== "latin-1")
      throw this.#fail("bytes written as latin1", `encoding ${nameOf(encoding)}`);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: Latin-1 begins at NUL.
    if (!/^[\x00-\xff]*$/.test(text)) throw this.#fail("bytes written as latin1", "other characters");
    return new Uint8Array(Buffer.from(text, "latin1"));
  }

  #checkHashable(items: Item[]): void {
    const wrong = items.find((item) => !isHashable(item));
    if (wrong !== undefined) throw this.#fail("values that can be hashed", nameOf(wrong));
  }

  read(): Item {
    const { maxBytes } = this.#limits;
    if (this.#bytes.length > maxBytes)
      throw wireError("pickle", `at most ${maxBytes} bytes`, `${this.#bytes.length}`);
    const first = this.#bytes[0];
    const protocol = this.#bytes[1] ?? 0;
    if (first !== op.PROTO || protocol < 2 || protocol > 5) {
      throw wireError(
        "pickle",
        "protocol 2 to 5",
        this.#bytes.length === 0
          ? "nothing"
          : first === op.PROTO
            ? `protocol ${protocol}`
            : `a first byte 0x${(first as number).toString(16).padStart(2, "0")}`,
        0,
      );
    }
    this.#at = 2;
    while (true) {
      this.#opcodeAt = this.#at;
      if (this.#at >= this.#bytes.length) throw wireError("pickle", "an opcode", "the end", this.#at);
      const code = this.#u8();
      if (code === op.STOP) break;
      this.#step(code);
    }
    const result = this.#pop();
    if (this.#stack.length) throw this.#fail("one value", `${this.#stack.length + 1}`);
    const left = this.#bytes.length - this.#at;
    if (left) throw this.#fail("the end of the message", `${left} more bytes`);
    return result;
  }

  #step(code: number) {
    switch (code) {
      case op.PROTO:
        throw this.#fail("it at the beginning only", "a second one");
      case op.FRAME: {
        const size = this.#u64();
        const left = this.#bytes.length - this.#at;
        if (size > left) throw this.#fail(`a frame of at most ${left} bytes`, `${size}`);
        return;
      }
      case op.MARK:
        return this.#push(mark);
      case op.POP:
        // Python's POP takes a mark too.
        if (this.#stack.pop() === undefined) throw this.#fail("a value on the stack", "nothing");
        return;
      case op.POP_MARK:
        this.#popToMark();
        return;
      case op.DUP:
        return this.#push(this.#top());
      case op.NONE:
        return this.#push(null);
      case op.NEWTRUE:
        return this.#push(true);
      case op.NEWFALSE:
        return this.#push(false);
      case op.BININT1:
        return this.#push(this.#u8());
      case op.BININT2:
        this.#take(2);
        return this.#push(this.#view.getUint16(this.#at - 2, true));
      case op.BININT:
        this.#take(4);
        return this.#push(this.#view.getInt32(this.#at - 4, true));
      case op.LONG1:
        return this.#push(this.#int(this.#take(this.#u8())));
      case op.LONG4:
        return this.#push(this.#int(this.#take(this.#u32())));
      case op.BINFLOAT:
        this.#take(8);
        return this.#push(this.#view.getFloat64(this.#at - 8, false));
      case op.SHORT_BINUNICODE:
        return this.#push(this.#utf8(this.#take(this.#u8())));
      case op.BINUNICODE:
        return this.#push(this.#utf8(this.#take(this.#u32())));
      case op.BINUNICODE8:
        return this.#push(this.#utf8(this.#take(this.#u64())));
      case op.SHORT_BINBYTES:
        return this.#push(new Uint8Array(this.#take(this.#u8())));
      case op.BINBYTES:
        return this.#push(new Uint8Array(this.#take(this.#u32())));
      case op.BINBYTES8:
        return this.#push(new Uint8Array(this.#take(this.#u64())));
      case op.BYTEARRAY8:
        return this.#push(new PyByteArray(new Uint8Array(this.#take(this.#u64()))));
      case op.EMPTY_LIST:
        return this.#push(new ListNode());
      case op.EMPTY_DICT:
        return this.#push(new DictNode());
      case op.EMPTY_SET:
        return this.#push(new SetNode());
      case op.EMPTY_TUPLE:
        return this.#push(new TupleNode([]));
      case op.TUPLE1:
      case op.TUPLE2:
      case op.TUPLE3: {
        const items = Array.from({ length: code - op.TUPLE1 + 1 }, () => this.#pop()).reverse();
        return this.#push(new TupleNode(items));
      }
      case op.TUPLE:
        return this.#push(new TupleNode(this.#popToMark()));
      case op.LIST: {
        const items = this.#popToMark();
        this.#push(new ListNode());
        return this.#append(items);
      }
      case op.DICT: {
        const items = this.#popToMark();
        this.#push(new DictNode());
        return this.#setItems(items);
      }
      case op.FROZENSET: {
        const items = this.#popToMark();
        this.#checkHashable(items);
        return this.#push(new FrozenSetNode(items));
      }
      case op.APPEND:
        return this.#append([this.#pop()]);
      case op.APPENDS:
        return this.#append(this.#popToMark());
      case op.SETITEM: {
        const value = this.#pop();
        return this.#setItems([this.#pop(), value]);
      }
      case op.SETITEMS:
        return this.#setItems(this.#popToMark());
      case op.ADDITEMS: {
        const items = this.#popToMark();
        const target = this.#top();
        if (!(target instanceof SetNode)) throw this.#fail("a set below its items", nameOf(target));
        this.#checkHashable(items);
        for (const item of items) target.items.push(item);
        return;
      }
      case op.MEMOIZE:
        return this.#remember(this.#memo.size);
      case op.BINPUT:
        return this.#remember(this.#u8());
      case op.LONG_BINPUT:
        return this.#remember(this.#u32());
      case op.BINGET:
        return this.#recall(this.#u8());
      case op.LONG_BINGET:
        return this.#recall(this.#u32());
      case op.GLOBAL:
        return this.#push(new OpaqueNode(this.#line(), this.#line(), "global"));
      case op.STACK_GLOBAL: {
        const qualname = this.#text("the name");
        return this.#push(new OpaqueNode(this.#text("the module"), qualname, "global"));
      }
      case op.REDUCE: {
        const args = this.#arguments();
        return this.#push(this.#reduced(this.#callee(), args));
      }
      case op.NEWOBJ: {
        const args = this.#arguments();
        const { module, qualname } = this.#callee();
        return this.#push(new OpaqueNode(module, qualname, "newobj", args));
      }
      case op.NEWOBJ_EX: {
        const kwargs = this.#pop();
        if (!(kwargs instanceof DictNode)) throw this.#fail("a dict of arguments", nameOf(kwargs));
        const args = this.#arguments();
        const { module, qualname } = this.#callee();
        return this.#push(new OpaqueNode(module, qualname, "newobj_ex", args, kwargs));
      }
      case op.BUILD: {
        const state = this.#pop();
        const target = this.#top();
        if (!(target instanceof OpaqueNode) || target.origin === "global")
          throw this.#fail("an object below its state", nameOf(target));
        if (target.state !== undefined) throw this.#fail("one state of an object", "a second one");
        target.state = state;
        return;
      }
      default: {
        const [name, why] = refused[code] ?? [];
        throw wireError(
          "pickle",
          "plain data",
          name === undefined
            ? `the unknown opcode 0x${code.toString(16).padStart(2, "0")}`
            : `the opcode ${name}, which is refused: ${why}`,
          this.#opcodeAt,
        );
      }
    }
  }
}

/**
 * Decodes one pickle. Throws ERR_WIRE, with the byte offset and the opcode, for anything that is damaged, refers to something outside of the
 * message, contains itself, or exceeds a limit (defaults: {@link pickleLimits}).
 */
export function readPickle(bytes: Uint8Array, limits: Partial<PickleLimits> = {}): PickleValue {
  const all = { ...pickleLimits, ...limits };
  return new Converter(all).convert(new Reader(bytes, all).read(), 0).value;
}
