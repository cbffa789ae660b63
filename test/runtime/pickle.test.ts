// SPDX-License-Identifier: MIT
// The pickle codec against real Python in both directions, and against hostile bytes.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readPickle } from "../../lib/runtime/pickle-reader.js";
import {
  type PickleValue,
  PyByteArray,
  PyFloat,
  PyFrozenSet,
  PyOpaque,
  PyTuple,
} from "../../lib/runtime/pickle-value.js";
import { writePickle } from "../../lib/runtime/pickle-writer.js";
import { needsPeer } from "../helpers/shared.js";
import { anyPython, PythonWorker } from "./peers.js";

const hex = (text: string) => Buffer.from(text.replace(/\s/g, ""), "hex");
const read = (text: string, limits = {}) => readPickle(hex(text), limits);
const text = (value: string) =>
  `8c${value.length.toString(16).padStart(2, "0")}${Buffer.from(value).toString("hex")}`;

describe("values", () => {
  test("a Python ping is read, and our ping is what the reference accepts", () => {
    expect({ ...(read("80049512000000000000007d948c0474797065948c0470696e6794732e") as object) }).toEqual({
      type: "ping",
    });
    expect(readPickle(writePickle({ type: "ping" }))).toEqual(read("80047d8c04747970658c0470696e67732e"));
  });

  test("ints at every border of the encoding keep their value and their kind", () => {
    const ints = [0, 1, 255, 256, 65535, 65536, 2 ** 31 - 1, 2 ** 31, -1, -128, -(2 ** 31), -(2 ** 31) - 1];
    for (const n of [...ints, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER])
      expect(readPickle(writePickle(n))).toBe(n);
    for (const n of [2n ** 53n, -(2n ** 53n), 2n ** 64n, -(2n ** 2039n), 2n ** 2040n, -(2n ** 63n)])
      expect(readPickle(writePickle(n))).toBe(n);
    expect(readPickle(writePickle(5n))).toBe(5);
    expect(readPickle(writePickle(-0))).toBe(-0);
    expect(writePickle(new PyFloat(1)).toString("hex")).toBe("8004473ff00000000000002e");
  });

  test("a key of a message cannot reach a prototype", () => {
    const value = readPickle(writePickle(new Map([["__proto__", { polluted: true }]]))) as {
      [key: string]: unknown;
    };
    expect(Object.getPrototypeOf(value)).toBeNull();
    expect(Object.keys(value)).toEqual(["__proto__"]);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  test("a shared container stays shared, and is written once", () => {
    const inner = ["a long string that would take its bytes again"];
    const bytes = writePickle([inner, inner, inner[0]]);
    const [a, b] = readPickle(bytes) as [unknown, unknown];
    expect(a).toBe(b);
    expect(bytes.length).toBeLessThan(80);
  });

  test("an instance is a record of what was sent; nothing named is looked up", () => {
    const value = read(
      "80047d288c04747970658c0573746174658c077061796c6f61648c1f6f70656e6863732e72756e74696d652e7669657765725f636f6e74726f6c738c195669657765725374617465436f6e74726f6c4f7074696f6e739329815d284e884e884e6562752e",
    ) as { payload: PyOpaque };
    expect(value.payload).toBeInstanceOf(PyOpaque);
    expect(value.payload).toMatchObject({
      opaque: "openhcs.runtime.viewer_controls.ViewerStateControlOptions",
      origin: "newobj",
      args: [],
      state: [null, true, null, true, null],
    });
    expect(readPickle(writePickle(value))).toEqual(value);
    // os.system("true"), as an attacker would send it.
    const attack = read(`8004 ${text("os")} ${text("system")} 93 ${text("true")} 85 52 2e`);
    expect(attack).toMatchObject({ opaque: "os.system", origin: "reduce", args: ["true"] });
  });
});

describe("what is refused, with the place", () => {
  const deep = (n: number) => `8004${"5d".repeat(n)}${"61".repeat(n - 1)}2e`;
  test.each([
    ["", "pickle at byte 0: expected protocol 2 to 5, and got nothing"],
    ["4e2e", "pickle at byte 0: expected protocol 2 to 5, and got a first byte 0x4e"],
    ["80064e2e", "pickle at byte 0: expected protocol 2 to 5, and got protocol 6"],
    ["80044e", "pickle at byte 3: expected an opcode, and got the end"],
    ["80042e", "pickle opcode STOP at byte 2: expected a value on the stack, and got nothing"],
    ["80044e4e2e", "pickle opcode STOP at byte 4: expected one value, and got 2"],
    ["80044e2e00", "pickle opcode STOP at byte 3: expected the end of the message, and got 1 more bytes"],
    [
      "80048c05616263",
      "pickle opcode SHORT_BINUNICODE at byte 2: expected 5 more bytes, and got the end after 3",
    ],
    ["80048c01ff2e", "pickle opcode SHORT_BINUNICODE at byte 2: expected UTF-8, and got other bytes"],
    [
      "80048dffffffffffffffff2e",
      "pickle opcode BINUNICODE8 at byte 2: expected 9007199254740991 more bytes, and got the end after 1",
    ],
    [
      "800495ffff0000000000004e2e",
      "pickle opcode FRAME at byte 2: expected a frame of at most 2 bytes, and got 65535",
    ],
    ["800468072e", "pickle opcode BINGET at byte 2: expected a memo entry 7, and got none"],
    ["80047d5d4e732e", "pickle opcode SETITEM at byte 5: expected a key that can be hashed, and got a list"],
    [
      "80047d28 4e 752e",
      "pickle opcode SETITEMS at byte 5: expected keys and values in pairs, and got 1 values",
    ],
    ["80044e4e612e", "pickle opcode APPEND at byte 4: expected a list below its items, and got None"],
    ["80044e5d522e", "pickle opcode REDUCE at byte 4: expected a tuple of arguments, and got a list"],
    ["80044e29522e", "pickle opcode REDUCE at byte 4: expected a class, and got None"],
    ["80045d944e62", "pickle opcode BUILD at byte 5: expected an object below its state, and got a list"],
    [
      "80045031 0a2e",
      "pickle at byte 2: expected plain data, and got the opcode PERSID, which is refused: it refers to something outside of the message",
    ],
    [
      "8004972e",
      "pickle at byte 2: expected plain data, and got the opcode NEXT_BUFFER, which is refused: it refers to a buffer outside of the message",
    ],
    ["8004ff2e", "pickle at byte 2: expected plain data, and got the unknown opcode 0xff"],
    ["80045d9468 00 612e", "pickle: expected values without cycles, and got a list inside itself"],
  ])("%s", (bytes, message) => {
    expect(() => read(bytes)).toThrow(expect.objectContaining({ code: "ERR_WIRE", message }));
  });

  test("limits of depth, size, values, memo and ints", () => {
    expect(() => read(deep(101))).toThrow("at most 100 containers within each other");
    expect(read(deep(100))).toBeDefined();
    expect(() => read("80044e2e", { maxBytes: 3 })).toThrow("pickle: expected at most 3 bytes, and got 4");
    expect(() => read("80045d284e4e4e652e", { maxElements: 4 })).toThrow("at most 4 values");
    expect(() => read("80045d944b01946122", { maxMemo: 1 })).toThrow("at most 1 memo entries");
    expect(() => read("80048a0401020304 2e", { maxIntBytes: 3 })).toThrow(
      "an int of at most 3 bytes, and got 4",
    );
  });

  test("a billion laughs are counted, not told", () => {
    // Each list holds the one before it ten times.
    const level = (n: number) =>
      `5d94 28 ${`6a${Buffer.from([n - 1, 0, 0, 0]).toString("hex")}`.repeat(10)} 65`;
    const levels = Array.from({ length: 12 }, (_, i) => level(i + 1)).join("30");
    expect(() => read(`8004 5d94 30 ${levels} 2e`)).toThrow(
      "at most 1000000 values, and got more, by references to shared ones",
    );
  });

  test("the writer refuses what is not plain data, and cycles", () => {
    expect(() => writePickle({ a: [new Date()] })).toThrow(
      "pickle of message.a[0]: expected plain data, and got a Date",
    );
    expect(() => writePickle({ f: () => 1 })).toThrow(
      "pickle of message.f: expected plain data, and got function",
    );
    const loop: unknown[] = [];
    loop.push(loop);
    expect(() => writePickle(loop)).toThrow("values without cycles");
  });
});

const leaf: fc.Arbitrary<PickleValue> = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.integer(),
  fc.double(),
  fc
    .bigInt()
    .map((n) =>
      n >= BigInt(Number.MIN_SAFE_INTEGER) && n <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(n) : n,
    ),
  fc.string({ unit: "binary" }),
  fc.uint8Array({ maxLength: 300 }),
  fc.uint8Array({ maxLength: 300 }).map((b) => new PyByteArray(b)),
);
const key = fc.oneof(fc.string(), fc.integer());
const tree: fc.Arbitrary<PickleValue> = fc.letrec<{ any: PickleValue }>((tie) => ({
  any: fc.oneof(
    { depthSize: "small" },
    leaf,
    fc.array(tie("any"), { maxLength: 5 }),
    fc.array(tie("any"), { maxLength: 5 }).map((items) => new PyTuple(items)),
    fc.dictionary(fc.string(), tie("any"), { maxKeys: 5, noNullPrototype: false }),
    fc
      .array(fc.tuple(key, tie("any")), { minLength: 1, maxLength: 5 })
      .map((pairs) => new Map<PickleValue, PickleValue>([...pairs, [7, null]])),
    fc.array(key, { maxLength: 5 }).map((items) => new Set<PickleValue>(items)),
    fc.uniqueArray(key, { maxLength: 5 }).map((items) => new PyFrozenSet(items)),
    fc
      .record({
        args: fc.array(tie("any"), { maxLength: 3 }),
        state: fc.option(tie("any"), { nil: undefined }),
      })
      .map(
        ({ args, state }) =>
          new PyOpaque({
            module: "a.b",
            qualname: "C.D",
            origin: "reduce",
            args,
            ...(state === undefined ? {} : { state }),
          }),
      ),
  ),
})).any;

/** Dicts come back without a prototype; structure is what counts. */
const plain = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return new Map([...value].map(([k, v]) => [k, plain(v)]));
  if (value instanceof PyTuple) return { tuple: value.items.map(plain) };
  if (value instanceof PyOpaque)
    return { opaque: value.opaque, args: value.args.map(plain), state: plain(value.state) };
  if (value === null || typeof value !== "object" || ArrayBuffer.isView(value)) return value;
  if (value instanceof Set || value instanceof PyFrozenSet || value instanceof PyByteArray) return value;
  return { dict: Object.entries(value).map(([k, v]) => [k, plain(v)]) };
};

describe("properties", () => {
  test("whatever is written is read back equal", () => {
    fc.assert(
      fc.property(tree, (value) => {
        expect(plain(readPickle(writePickle(value)))).toEqual(plain(value));
      }),
      { numRuns: 300 },
    );
  });

  test("arbitrary and mutated bytes are either a value or ERR_WIRE", () => {
    const attempt = (bytes: Uint8Array) => {
      try {
        readPickle(bytes, { maxElements: 10_000 });
      } catch (error) {
        expect(error).toMatchObject({ code: "ERR_WIRE" });
      }
    };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        attempt(bytes);
        attempt(Uint8Array.from([0x80, 4, ...bytes]));
      }),
      { numRuns: 3000 },
    );
    fc.assert(
      fc.property(
        tree,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
        fc.nat(),
        (value, edits, cut) => {
          const bytes = Buffer.from(writePickle(value));
          for (const [at, byte] of edits) bytes[at % bytes.length] = byte;
          attempt(bytes);
          attempt(bytes.subarray(0, cut % bytes.length));
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe("real Python", () => {
  const path = anyPython();
  needsPeer(path, "Python");

  test("reads what is written here as equal, and what it writes in protocols 2 to 5 is read here", async () => {
    // Python evaluates a repr of the value, so that it never depends on this codec.
    const worker = new PythonWorker(
      path as string,
      `
import sys, json, pickle, base64
nan, inf = float("nan"), float("inf")
for line in sys.stdin:
    q = json.loads(line)
    want = eval(q["repr"])
    if "pickle" in q:
        got = pickle.loads(base64.b64decode(q["pickle"]))
        print(json.dumps(repr(got) == repr(want) and type(got) is type(want)))
    else:
        print(json.dumps([base64.b64encode(pickle.dumps(want, p)).decode() for p in (2, 3, 4, 5)]))
`,
    );
    const cases: [string, PickleValue][] = [
      ["None", null],
      [
        "[True, False, 0, -1, 255, 256, 65536, -2**31, 2**31, 2**53-1]",
        [true, false, 0, -1, 255, 256, 65536, -(2 ** 31), 2 ** 31, 2 ** 53 - 1],
      ],
      ["[2**53, -2**63, 2**64, 10**700]", [2n ** 53n, -(2n ** 63n), 2n ** 64n, 10n ** 700n]],
      [
        "[0.5, 1e300, -0.0, nan, inf, -inf]",
        [0.5, 1e300, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
      ],
      ["['', 'a', 'µm \\U0001f52c', '\\udc80', 'x' * 300]", ["", "a", "µm 🔬", "\udc80", "x".repeat(300)]],
      [
        "[b'', bytes(range(256)), bytearray(b'xyz'), bytearray()]",
        [
          new Uint8Array(),
          Uint8Array.from({ length: 256 }, (_, i) => i),
          new PyByteArray(Uint8Array.of(120, 121, 122)),
          new PyByteArray(new Uint8Array()),
        ],
      ],
      [
        "[(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, [])]",
        [[], [1], [1, 2], [1, 2, 3], [1, 2, 3, []]].map((t) => new PyTuple(t)),
      ],
      ["{'a': {'b': []}, 'c': ()}", { a: { b: [] }, c: new PyTuple([]) }],
      [
        "{1: 'a', (1, 2): 'b', None: 'c'}",
        new Map<PickleValue, PickleValue>([
          [1, "a"],
          [new PyTuple([1, 2]), "b"],
          [null, "c"],
        ]),
      ],
      [
        "[set(), {1}, frozenset(), frozenset([1, 2])]",
        [new Set(), new Set([1]), new PyFrozenSet([]), new PyFrozenSet([1, 2])],
      ],
      ["[['s'] * 3, list(range(2500))]", [["s", "s", "s"], Array.from({ length: 2500 }, (_, i) => i)]],
    ];
    for (const [repr, value] of cases) {
      expect(await worker.ask({ repr, pickle: writePickle(value).toString("base64") }), repr).toBe(true);
      const pickles = (await worker.ask({ repr })) as string[];
      for (const [i, p] of pickles.entries())
        expect(plain(readPickle(Buffer.from(p, "base64"))), `${repr} in protocol ${i + 2}`).toEqual(
          plain(value),
        );
    }
  });
});
