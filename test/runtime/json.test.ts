// SPDX-License-Identifier: MIT
// Python's dialect of JSON, both ways, against real Python and against hostile text.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseJson, stringifyJson } from "../../lib/runtime/json.js";
import { PyFloat, PyTuple } from "../../lib/runtime/pickle-value.js";
import { needsPeer } from "../helpers/shared.js";
import { anyPython, PythonWorker } from "./peers.js";

describe("parseJson", () => {
  test("constants and ints of Python", () => {
    expect(
      parseJson('{"a": NaN, "b": [Infinity, -Infinity], "c": 123456789012345678901, "d": "NaN \\u00b5"}'),
    ).toEqual({
      a: Number.NaN,
      b: [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
      c: 123456789012345678901n,
      d: "NaN µ",
    });
    expect(parseJson(" [1.0, -0.0, 1e400, 9007199254740991, 12345678901234567.0] ")).toEqual([
      1,
      -0,
      Number.POSITIVE_INFINITY,
      9007199254740991,
      12345678901234568,
    ]);
  });

  test("a key of a message cannot reach a prototype", () => {
    for (const text of ['{"__proto__": {"x": 1}}', '{"__proto__": {"x": NaN}}']) {
      const value = parseJson(text) as { x?: unknown };
      expect(value.x).toBeUndefined();
      expect(Object.keys(value)).toEqual(["__proto__"]);
    }
  });

  test.each([
    ["", "JSON at byte 0: expected a value, and got the end"],
    ['{"a": NaN', 'JSON at byte 9: expected "," or "}", and got the end'],
    ["[1 2]", 'JSON at byte 3: expected "," or "]", and got "2]"'],
    ["[1] 2", 'JSON at byte 4: expected the end, and got "2"'],
    ["{1: 2}", 'JSON at byte 1: expected a string, and got "1: 2}"'],
    ['{"a" 2}', 'JSON at byte 5: expected ":", and got "2}"'],
    ['["abc]', 'JSON at byte 1: expected a string, and got "\\"abc]"'],
    ["[01]", 'JSON at byte 2: expected "," or "]", and got "1]"'],
    ["'a'", "JSON at byte 0: expected a value, and got \"'a'\""],
  ])("%s", (text, message) => {
    expect(() => parseJson(text)).toThrow(expect.objectContaining({ code: "ERR_WIRE", message }));
  });

  test("limits", () => {
    expect(() => parseJson("[".repeat(101) + "]".repeat(101))).toThrow("at most 100 containers");
    expect(() => parseJson(`${"[".repeat(101)}NaN${"]".repeat(101)}`)).toThrow("at most 100 containers");
    expect(() => parseJson("[1]", { maxBytes: 2 })).toThrow("JSON: expected at most 2 bytes, and got 3");
    expect(() => parseJson(Uint8Array.of(0x22, 0xff, 0x22))).toThrow(
      "JSON: expected UTF-8, and got other bytes",
    );
    expect(parseJson(`["${"x\\\\".repeat(2_000_000)}", NaN]`)).toHaveLength(2);
  });
});

test("written as json.dumps writes it", () => {
  expect(
    stringifyJson({
      a: [1, new PyFloat(2), 0.5, Number.NaN],
      b: "µ\u007f",
      c: undefined,
      d: null,
      e: new PyTuple([true]),
    }),
  ).toBe('{"a": [1, 2.0, 0.5, NaN], "b": "\\u00b5\\u007f", "d": null, "e": [true]}');
  expect(stringifyJson({ a: [1, 2] }, { compact: true })).toBe('{"a":[1,2]}');
  expect(() => stringifyJson({ a: [new Date()] })).toThrow(
    "JSON of message.a[0]: expected plain data, and got a Date",
  );
});

test("whatever is written is read back equal; arbitrary text is a value or ERR_WIRE", () => {
  const value = fc.letrec<{ any: unknown }>((tie) => ({
    any: fc.oneof(
      { depthSize: "small" },
      fc.constantFrom(null, true, false, Number.NaN, Number.POSITIVE_INFINITY),
      fc.double(),
      fc.maxSafeInteger(),
      fc.bigInt({ min: 2n ** 53n }),
      fc.string({ unit: "binary" }),
      fc.array(tie("any"), { maxLength: 4 }),
      fc.dictionary(fc.string(), tie("any"), { maxKeys: 4, noNullPrototype: true }),
    ),
  })).any;
  fc.assert(
    fc.property(value, (v) => {
      expect(parseJson(stringifyJson(v))).toEqual(v);
    }),
  );
  const attempt = (text: string) => {
    try {
      parseJson(text);
    } catch (error) {
      expect(error).toMatchObject({ code: "ERR_WIRE" });
    }
  };
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'{}[]",:\\ 0123456789.eE+-NaInfityulrse') }), attempt),
    {
      numRuns: 2000,
    },
  );
  fc.assert(
    fc.property(value, fc.nat(), (v, cut) => {
      const text = stringifyJson(v);
      attempt(text.slice(0, cut % (text.length + 1)));
    }),
  );
});

describe("real Python", () => {
  const path = anyPython();
  needsPeer(path, "Python");
  test("what it dumps is read here, and what is written here it loads", async () => {
    const worker = new PythonWorker(
      path as string,
      `
import sys, json
nan, inf = float("nan"), float("inf")
for line in sys.stdin:
    q = json.loads(line)
    print(json.dumps([json.dumps(eval(q["repr"])), repr(json.loads(q["text"])) == q["repr"]]))
`,
    );
    const repr =
      "{'a': [nan, inf, -inf, 1.5, 12345678901234567890], 'µ': '\\n\\x7f\\ud83d', 'b': [True, None, -0.0]}";
    const value = {
      a: [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1.5, 12345678901234567890n],
      µ: "\n\u007f\ud83d",
      b: [true, null, -0],
    };
    const [text, equal] = (await worker.ask({ repr, text: stringifyJson(value) })) as [string, boolean];
    expect(equal).toBe(true);
    expect(parseJson(text)).toEqual(value);
    expect(stringifyJson(value)).toBe(text);
  });
});
