// SPDX-License-Identifier: MIT
// Damages documents for the fuzz tests: what a disk, a half-written copy, an editor or an attacker does to them.

import fc from "fast-check";
import { expect } from "vitest";
import { type ErrorCode, TilecastError } from "../../lib/errors.js";

/** Longer runs by hand: TILECAST_FUZZ_RUNS=100000 npx vitest run test/fuzz --testTimeout=3600000 */
export const runs = (usual: number) => Number(process.env.TILECAST_FUZZ_RUNS ?? usual);

const oddNumbers = [
  "0",
  "-1",
  "1.5",
  "1e9",
  "99999999999",
  "4294967296",
  "9007199254740993",
  "NaN",
  "Infinity",
  "",
];
const oddTexts = [
  "\0",
  "\r\n",
  "<",
  "&",
  "]]>",
  '"',
  "'",
  "\u2028",
  "\ud800",
  "../",
  "日本",
  "__proto__",
  "{",
  "\t".repeat(500),
];

type Mutation = (text: string) => string;

const position = fc.nat({ max: 2 ** 30 });
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(position, fc.constantFrom(...oddNumbers)).map(([at, to]) => replaceNumber(at, to)),
  },
  fc.tuple(position, fc.constantFrom(...oddTexts)).map(
    ([at, odd]) =>
      (t: string) =>
        splice(t, at, 0, odd),
  ),
  fc.tuple(position, fc.nat({ max: 40 })).map(
    ([at, n]) =>
      (t: string) =>
        splice(t, at, n, ""),
  ),
  fc.tuple(position, position, fc.nat({ max: 200 })).map(([from, to, n]) => (t: string) => {
    const start = from % (t.length + 1);
    return splice(t, to, 0, t.slice(start, start + n));
  }),
  position.map((at) => (t: string) => t.slice(0, at % (t.length + 1))),
);

function splice(text: string, at: number, remove: number, insert: string): string {
  const i = at % (text.length + 1);
  return text.slice(0, i) + insert + text.slice(i + remove);
}

function replaceNumber(which: number, to: string): Mutation {
  return (text) => {
    const numbers = [...text.matchAll(/\d+(?:\.\d+)?/g)];
    const found = numbers[which % Math.max(1, numbers.length)];
    return found === undefined ? text : splice(text, found.index, found[0].length, to);
  };
}

/** `text` after one to six accidents. */
export function damagedText(text: string): fc.Arbitrary<string> {
  return fc.array(mutation, { minLength: 1, maxLength: 6 }).map((all) => all.reduce((t, m) => m(t), text));
}

const oddValues = [
  null,
  true,
  -1,
  0,
  1.5,
  1e308,
  2 ** 53,
  "",
  "x",
  [],
  {},
  [[]],
  [null],
  { path: "../x" },
  "__proto__",
];

/** A JSON value with one to four of its parts replaced, taken away or doubled. */
export function damagedJson(value: unknown): fc.Arbitrary<unknown> {
  const change = fc.tuple(
    position,
    fc.constantFrom("replace", "remove", "double"),
    fc.constantFrom(...oddValues),
  );
  return fc.array(change, { minLength: 1, maxLength: 4 }).map((changes) => {
    const copy = structuredClone({ value });
    for (const [which, kind, odd] of changes) {
      const places: [Record<string, unknown>, string][] = [];
      const walk = (node: unknown) => {
        if (typeof node !== "object" || node === null) return;
        for (const key of Object.keys(node)) {
          places.push([node as Record<string, unknown>, key]);
          walk((node as Record<string, unknown>)[key]);
        }
      };
      walk(copy);
      const [node, key] = places[which % places.length] as [Record<string, unknown>, string];
      if (kind === "replace" || node === (copy as unknown)) node[key] = structuredClone(odd);
      else if (Array.isArray(node) && kind === "double") node.push(structuredClone(node[Number(key)]));
      else if (Array.isArray(node)) node.splice(Number(key), 1);
      else delete node[key];
    }
    return copy.value;
  });
}

/** `action` gives a result, or throws a TilecastError of one of `codes`: nothing else, however damaged its input is. */
export async function survives(action: () => unknown, codes: readonly ErrorCode[]): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (!(error instanceof TilecastError)) throw error;
    expect(codes).toContain(error.code);
    expect(error.message).not.toBe("");
  }
}
