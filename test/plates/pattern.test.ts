// SPDX-License-Identifier: MIT
// Filename patterns: what they read, that they read back what they write, and what their errors say.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FilenamePattern, formatWell, suggestPattern } from "../../lib/plates/index.js";
import { thrown } from "../helpers/throws.js";

const match = (pattern: string, path: string) => FilenamePattern.compile(pattern).match(path);

describe("a filename pattern", () => {
  test("reads well, site and channel", () => {
    expect(match("{plate}_{well}f{site}d{channel}.tif", "AS_09047_050428030001_O01f00d2.TIF")).toEqual({
      well: "O01",
      site: 0,
      channel: 2,
      z_index: null,
      timepoint: 1,
      plate: "AS_09047_050428030001",
    });
  });

  test("reads rows and columns as numbers and as letters", () => {
    expect(match("r{row}c{column}.tif", "r16c24.tif")?.well).toBe("P24");
    expect(match("{row}-{column}.tif", "af-7.tif")?.well).toBe("AF07");
    expect(match("r{row}c{column}.tif", "r33c01.tif")).toBeUndefined();
  });

  test("fits the end of the path, from a name's start on", () => {
    expect(match("{well}.tif", "some/folder/A01.tif")?.well).toBe("A01");
    expect(match("t{timepoint}/z{z_index}/{well}.tif", "x/t3/z12/A01.tif")).toMatchObject({
      timepoint: 3,
      z_index: 12,
    });
    expect(match("{well}.tif", "xA01.tif")).toBeUndefined();
    expect(match("{plate}_{well}.tif", "a/b_c/A01.tif")).toBeUndefined();
  });

  test("takes widths, expressions, ignored text and literal braces", () => {
    expect(match("{well}{site:2}{channel}.tif", "A0101234.tif")).toMatchObject({
      well: "A01",
      site: 1,
      channel: 234,
    });
    expect(match("{well}_{channel:[0-9]{2}}{z_index}.tif", "A01_123.tif")).toMatchObject({
      channel: 12,
      z_index: 3,
    });
    expect(match("{*}_{well}_{*:3}_{site}{*}.tif", "_A01_xyz_7_more.tif")).toMatchObject({
      well: "A01",
      site: 7,
    });
    expect(match("{{{well}}}.tif", "{A01}.tif")?.well).toBe("A01");
  });

  test("a name given twice stands for the same text", () => {
    expect(match("{well}/{well}_{site}.tif", "A01/A01_3.tif")).toMatchObject({ well: "A01", site: 3 });
    expect(match("{well}/{well}_{site}.tif", "A01/A02_3.tif")).toBeUndefined();
  });

  test("channels may be words", () => {
    expect(match("{well}_{channel:DAPI|GFP}.tif", "A01_GFP.tif")?.channel).toBe("GFP");
  });

  test("that starts with ^ is a regular expression with named groups, in JavaScript's or Python's spelling", () => {
    expect(match("^.*_(?<well>[A-P]\\d{2})_(?<site>\\d)", "x/y_B03_4.tif")).toMatchObject({
      well: "B03",
      site: 4,
    });
    expect(match("^(?P<well>[A-P]\\d{2})\\.tif$", "B03.tif")?.well).toBe("B03");
  });

  test("writes names that it reads back", () => {
    const names = ["well", "site", "channel", "z_index", "timepoint", "plate"] as const;
    const separators = fc.constantFrom(
      "_",
      "-",
      "/",
      ".",
      "{",
      "}",
      "(",
      "+",
      "^",
      "$",
      " ",
      "_f",
      "][",
      "\\",
    );
    const arbitrary = fc.record({
      order: fc.shuffledSubarray([...names], { minLength: 1 }).filter((order) => order.includes("well")),
      separators: fc.array(separators, { minLength: 7, maxLength: 7 }),
      widths: fc.array(fc.option(fc.integer({ min: 4, max: 6 })), { minLength: 6, maxLength: 6 }),
      row: fc.nat(31),
      column: fc.nat(47),
      numbers: fc.tuple(fc.nat(9999), fc.nat(9999), fc.nat(9999), fc.nat(9999)),
      plate: fc.stringMatching(/^[A-Za-z][A-Za-z0-9]{0,8}$/),
      extension: fc.constantFrom(".tif", ".TIF", ".tiff", ".Tiff"),
    });
    fc.assert(
      fc.property(arbitrary, (a) => {
        const escapeBraces = (text: string) => text.replace(/[{}]/g, "$&$&");
        const field = (name: string, i: number) =>
          a.widths[i] === null || name === "well" || name === "plate"
            ? `{${name}}`
            : `{${name}:${a.widths[i]}}`;
        const source =
          a.order
            .map((name, i) => (i > 0 ? escapeBraces(a.separators[i] as string) : "") + field(name, i))
            .join("") + a.extension;
        const [site, channel, z_index, timepoint] = a.numbers;
        const well = formatWell({ row: a.row, column: a.column });
        const values = { well, site, channel, z_index, timepoint, plate: a.plate };
        const pattern = FilenamePattern.compile(source);
        const name = pattern.format(values);
        const missing = { well: "", site: 1, channel: 1, z_index: null, timepoint: 1, plate: null };
        const expected = Object.fromEntries(
          names.map((n) => [n, (a.order as string[]).includes(n) ? values[n] : missing[n]]),
        );
        expect(pattern.match(`folder/${name}`)).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });

  test("does not write what it could not read back", async () => {
    const pattern = FilenamePattern.compile("{well}_{site:2}.tif");
    expect(pattern.format({ well: "A01", site: 7 })).toBe("A01_07.tif");
    expect((await thrown(() => pattern.format({ well: "A01", site: 123 }))).message).toBe(
      'values: expected 2 characters for {site} but received "123"',
    );
    expect((await thrown(() => pattern.format({ well: "A01" }))).message).toBe(
      "values: expected a value for {site} but received none",
    );
  });
});

describe("errors of a filename pattern show the place", () => {
  const cases: [pattern: string, message: string][] = [
    [
      "{plate}_{well",
      'the filename pattern has a "{" that is never closed; write "{{" for the character\n  {plate}_{well\n          ^',
    ],
    [
      "{well}}_x",
      'the filename pattern has a "}" without "{"; write "}}" for the character\n  {well}}_x\n        ^',
    ],
    [
      "{well}_}_x",
      'the filename pattern has a "}" without "{"; write "}}" for the character\n  {well}_}_x\n         ^',
    ],
    [
      "{}_{well}",
      'the filename pattern names no component here: "" is not a name like well or site, nor *\n  {}_{well}\n   ^',
    ],
    [
      "{well}_{site:}",
      'the filename pattern says nothing after the colon of "site"\n  {well}_{site:}\n              ^',
    ],
    [
      "{well}_{site:[0-9}",
      'the filename pattern has a "{" that is never closed; write "{{" for the character\n  {well}_{site:[0-9}\n         ^',
    ],
    ["{well}{site:(}", "the filename pattern has an invalid regular expression: "],
    [
      "{well}{site:(?<a>.)}",
      "the filename pattern has a named group inside braces; the braces name the component already\n  {well}{site:(?<a>.)}\n              ^",
    ],
    [
      "{well}{site}{site:2}",
      'the filename pattern describes "site" a second time\n  {well}{site}{site:2}\n                   ^',
    ],
    [
      "{wel}_{site}.tif",
      "the filename pattern names no well: it needs {well}, or {row} and {column}; it names wel, site\n  {wel}_{site}.tif\n                  ^",
    ],
    ["r{row}.tif", "the filename pattern names a row but no column\n  r{row}.tif\n    ^"],
    ["{well}{row}", 'the filename pattern names the well twice: "well" and "row"\n  {well}{row}\n         ^'],
    ["", "the filename pattern is empty\n  \n  ^"],
    ["^(", "the filename pattern is not a valid regular expression: "],
    [
      "^(?<site>.)",
      "the filename pattern names no well: it needs {well}, or {row} and {column}; it names site",
    ],
  ];
  test.each(cases)("%j", async (pattern, message) => {
    const error = await thrown(() => FilenamePattern.compile(pattern));
    expect([error.code, error.argument]).toEqual(["ERR_PATTERN", "pattern"]);
    expect(error.message.startsWith(message), error.message).toBe(true);
  });

  test("a doubled brace is the character", () => {
    expect(match("{well}}}.tif", "A01}.tif")?.well).toBe("A01");
  });
});

describe("the suggested pattern", () => {
  test("names what it recognises", () => {
    expect(suggestPattern("AS_09047_050428030001_O01f00d2.TIF")).toBe("{plate}_{well}f{site}d{channel}.TIF");
    expect(suggestPattern("exp7-B05_pos0.tif")).toBe("{plate}-{well}_pos{site}.tif");
    expect(suggestPattern("B05_s1_w2_z03_t4.tif")).toBe(
      "{well}_s{site}_w{channel}_z{z_index}_t{timepoint}.tif",
    );
    expect(suggestPattern("image001.tif")).toBe("{plate}_{well}_s{site}_w{channel}.tif");
  });

  test("always compiles", () => {
    const name = fc.oneof(
      fc.string(),
      fc.stringMatching(/^[A-Z0-9_{}.-]{1,12}_?[A-H]0[1-9][a-z_{}0-9]{0,9}\.tif$/),
    );
    fc.assert(
      fc.property(name, (n) => {
        if (!n.startsWith("^"))
          expect(FilenamePattern.compile(suggestPattern(n))).toBeInstanceOf(FilenamePattern);
      }),
    );
  });
});
