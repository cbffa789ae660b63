// SPDX-License-Identifier: MIT
// JSON as Python's json module writes and reads it: NaN, Infinity and -Infinity are values, ints have any size.

import { describe, PyFloat, PyTuple, wireError } from "./pickle-value.js";

/** What {@link parseJson} returns. An int outside of the safe integers is a bigint. */
export type JsonValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | JsonValue[]
  | { [key: string]: JsonValue };

export interface JsonLimits {
  readonly maxBytes: number;
  readonly maxDepth: number;
}

export const jsonLimits: JsonLimits = Object.freeze({ maxBytes: 64 * 2 ** 20, maxDepth: 100 });

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Where JSON.parse and Python differ: constants that it refuses, and ints that it rounds. */
const needsOwnParser = /NaN|Infinity|\d{16}/;
const space = /[ \t\n\r]*/y;
const number = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
const word = /true|false|null|NaN|-?Infinity/y;
const words: Readonly<Record<string, JsonValue>> = {
  true: true,
  false: false,
  null: null,
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  "-Infinity": Number.NEGATIVE_INFINITY,
};

class Parser {
  #at = 0;
  constructor(
    readonly text: string,
    readonly maxDepth: number,
  ) {}

  #fail(expected: string): never {
    const got = this.text.slice(this.#at, this.#at + 20);
    throw wireError("JSON", expected, got === "" ? "the end" : JSON.stringify(got), this.#at);
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.text);
    if (match) this.#at = pattern.lastIndex;
    return match;
  }

  #peek(): string | undefined {
    this.#match(space);
    return this.text[this.#at];
  }

  document(): JsonValue {
    const value = this.#value(0);
    if (this.#peek() !== undefined) this.#fail("the end");
    return value;
  }

  #string(): string {
    // A regular expression over alternatives would overflow its stack on a long string.
    let end = this.#at + 1;
    while (end < this.text.length && this.text[end] !== '"') end += this.text[end] === "\\" ? 2 : 1;
    try {
      const value = JSON.parse(this.text.slice(this.#at, end + 1)) as unknown;
      if (typeof value !== "string") this.#fail("a string");
      this.#at = end + 1;
      return value;
    } catch {
      return this.#fail("a string");
    }
  }

  #value(depth: number): JsonValue {
    const next = this.#peek();
    if (next === '"') return this.#string();
    if (next === "{" || next === "[") {
      if (depth >= this.maxDepth)
        throw wireError("JSON", `at most ${this.maxDepth} containers within each other`, "more", this.#at);
      this.#at++;
      return next === "{" ? this.#object(depth) : this.#array(depth);
    }
    const constant = this.#match(word);
    if (constant) return words[constant[0]] as JsonValue;
    const literal = this.#match(number);
    if (literal === null) this.#fail("a value");
    const value = Number(literal[0]);
    const isInt = literal[1] === undefined && literal[2] === undefined;
    // As long as Python itself accepts (sys.int_info.default_max_str_digits).
    if (isInt && literal[0].length > 4300) this.#fail("an int of at most 4300 digits");
    return isInt && !Number.isSafeInteger(value) ? BigInt(literal[0]) : value;
  }

  #array(depth: number): JsonValue[] {
    const items: JsonValue[] = [];
    if (this.#peek() === "]") {
      this.#at++;
      return items;
    }
    while (true) {
      items.push(this.#value(depth + 1));
      const next = this.#peek();
      if (next !== "," && next !== "]") this.#fail('"," or "]"');
      this.#at++;
      if (next === "]") return items;
    }
  }

  #object(depth: number): { [key: string]: JsonValue } {
    const members: { [key: string]: JsonValue } = {};
    if (this.#peek() === "}") {
      this.#at++;
      return members;
    }
    while (true) {
      this.#match(space);
      const key = this.#string();
      if (this.#peek() !== ":") this.#fail('":"');
      this.#at++;
      const value = this.#value(depth + 1);
      // An assignment to "__proto__" would set the prototype.
      if (key === "__proto__")
        Object.defineProperty(members, key, { value, enumerable: true, writable: true, configurable: true });
      else members[key] = value;
      const next = this.#peek();
      if (next !== "," && next !== "}") this.#fail('"," or "}"');
      this.#at++;
      if (next === "}") return members;
    }
  }
}

/** Depth by brackets alone, strings left out; a text whose brackets do not match fails in the parser. */
function isDeeper(text: string, maxDepth: number): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (inString) {
      if (c === 0x5c) i++;
      else if (c === 0x22) inString = false;
    } else if (c === 0x22) inString = true;
    else if (c === 0x7b || c === 0x5b) {
      if (++depth > maxDepth) return true;
    } else if (c === 0x7d || c === 0x5d) depth--;
  }
  return false;
}

/** Parses one message. Throws ERR_WIRE with the place. */
export function parseJson(message: Uint8Array | string, limits: Partial<JsonLimits> = {}): JsonValue {
  const { maxBytes, maxDepth } = { ...jsonLimits, ...limits };
  const size = typeof message === "string" ? message.length : message.byteLength;
  if (size > maxBytes) throw wireError("JSON", `at most ${maxBytes} bytes`, `${size}`);
  let text: string;
  try {
    text = typeof message === "string" ? message : decoder.decode(message);
  } catch {
    throw wireError("JSON", "UTF-8", "other bytes");
  }
  if (!needsOwnParser.test(text) && !isDeeper(text, maxDepth)) {
    try {
      return JSON.parse(text) as JsonValue;
    } catch {
      // The other parser says where and what.
    }
  }
  return new Parser(text, maxDepth).document();
}

const isPlain = /^[\x20-\x7e]*$/;

function quote(text: string): string {
  const quoted = JSON.stringify(text);
  return isPlain.test(quoted)
    ? quoted
    : quoted.replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function float(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "Infinity" : "-Infinity";
  if (Object.is(value, -0)) return "-0.0";
  // Digits alone would be an int, exact beyond what the number is.
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) return value.toExponential();
  return String(value);
}

/**
 * Writes one message as `json.dumps` does: `", "` and `": "` between things, everything outside of ASCII escaped, NaN and Infinity as such.
 * `compact` leaves the spaces out. Members that are undefined are left out. Throws ERR_WIRE for what JSON cannot say.
 */
export function stringifyJson(value: unknown, options: { readonly compact?: boolean } = {}): string {
  const comma = options.compact ? "," : ", ";
  const colon = options.compact ? ":" : ": ";
  const open = new Set<object>();
  const write = (x: unknown, path: string): string => {
    if (x === null) return "null";
    if (typeof x === "string") return quote(x);
    if (typeof x === "number") return float(x);
    if (typeof x === "boolean" || typeof x === "bigint") return String(x);
    if (x instanceof PyFloat)
      return Number.isInteger(x.value) && Math.abs(x.value) < 1e16 ? x.value.toFixed(1) : float(x.value);
    const items = x instanceof PyTuple ? x.items : x;
    if (typeof items !== "object" || items === null)
      throw wireError(`JSON of ${path}`, "plain data", describe(x));
    if (open.has(items) || open.size >= jsonLimits.maxDepth)
      throw wireError(`JSON of ${path}`, "values without cycles", "a container inside itself, or too deep");
    open.add(items);
    let text: string;
    if (Array.isArray(items)) {
      text = `[${items.map((item, i) => write(item, `${path}[${i}]`)).join(comma)}]`;
    } else {
      const prototype = Object.getPrototypeOf(items) as object | null;
      if (prototype !== null && Object.getPrototypeOf(prototype) !== null)
        throw wireError(`JSON of ${path}`, "plain data", describe(x));
      text = `{${Object.entries(items)
        .filter(([, item]) => item !== undefined)
        .map(([key, item]) => `${quote(key)}${colon}${write(item, `${path}.${key}`)}`)
        .join(comma)}}`;
    }
    open.delete(items);
    return text;
  };
  return write(value, "message");
}
