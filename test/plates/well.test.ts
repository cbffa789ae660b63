// SPDX-License-Identifier: MIT
// Well names of plates from 6 to 1536 wells, and the selection of wells.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  compareWells,
  formatWell,
  normalizeWell,
  parseWell,
  plateFormatOf,
  selectWells,
  summarizeWells,
} from "../../lib/plates/index.js";
import { thrown } from "../helpers/throws.js";

const position = fc.record({ row: fc.nat(31), column: fc.nat(47) });

describe("well names", () => {
  test("every well of a 1536-well plate is read back as it was written", () => {
    fc.assert(
      fc.property(position, (p) => {
        expect(parseWell(formatWell(p))).toEqual(p);
      }),
    );
  });

  test("rows after Z are AA to AF", () => {
    expect(formatWell({ row: 25, column: 0 })).toBe("Z01");
    expect(formatWell({ row: 26, column: 0 })).toBe("AA01");
    expect(formatWell({ row: 31, column: 47 })).toBe("AF48");
    expect(parseWell("AF48")).toEqual({ row: 31, column: 47 });
  });

  test("case and padding do not matter", () => {
    expect(["a1", "A1", "A01", "a001"].map(normalizeWell)).toEqual(["A01", "A01", "A01", "A01"]);
  });

  test("names beyond any plate are no wells", () => {
    expect(["A00", "A49", "AG01", "ABC1", "01", "A", "A-1", ""].map(parseWell)).toEqual(
      Array(8).fill(undefined),
    );
  });

  test("the order is by row, then column", () => {
    fc.assert(
      fc.property(position, position, (a, b) => {
        const order = Math.sign(compareWells(formatWell(a), formatWell(b)));
        expect(order).toBe(Math.sign(a.row * 100 + a.column - (b.row * 100 + b.column)));
      }),
    );
    expect(["AA01", "B02", "A10", "Z01", "A02"].sort(compareWells)).toEqual([
      "A02",
      "A10",
      "B02",
      "Z01",
      "AA01",
    ]);
  });

  test("the plate format is the smallest that holds every well", () => {
    const formats = ["B03", "D06", "E07", "H12", "I01", "P24", "Q01", "A25", "AF48"];
    expect(formats.map((well) => plateFormatOf([well]).wells)).toEqual([
      6, 24, 96, 96, 384, 384, 1536, 1536, 1536,
    ]);
  });
});

describe("selection of wells", () => {
  const wells = ["A01", "A02", "A03", "B01", "B02", "B03", "C03", "C04"];
  const select = (...terms: string[]) => selectWells({ wells }, terms);

  test("wells, rows, columns, ranges and blocks, in the plate's order", () => {
    expect(select("b2", "A01")).toEqual(["A01", "B02"]);
    expect(select("B*")).toEqual(["B01", "B02", "B03"]);
    expect(select("*03")).toEqual(["A03", "B03", "C03"]);
    expect(select("A02-A03")).toEqual(["A02", "A03"]);
    expect(select("B03-A02")).toEqual(["A02", "A03", "B02", "B03"]);
    expect(select("B*-C*")).toEqual(["B01", "B02", "B03", "C03", "C04"]);
    expect(select("A01, C04", "A01")).toEqual(["A01", "C04"]);
    expect(select()).toEqual(wells);
    expect(select("*")).toEqual(wells);
  });

  test("a term that is no selection is refused", async () => {
    const error = await thrown(() => select("A01", "7"));
    expect([error.code, error.argument]).toEqual(["ERR_INVALID_ARGUMENT", "wells"]);
    expect(error.message).toBe(
      'wells: expected a well (A01), a row (B*), a column (*03), a range of rows (A*-C*), or a block (C03-D06) but received "7"',
    );
  });

  test("a term that fits no well is refused, because it is a typo", async () => {
    const error = await thrown(() => select("A01", "D*"));
    expect(error.message).toBe(
      'wells: no well of the plate fits "D*"; it has A01, A02, A03 ... C04 (8 wells)',
    );
  });

  test("runs of wells are summarized", () => {
    expect(summarizeWells(wells)).toBe("A01-A03 B01-B03 C03 C04");
  });
});
