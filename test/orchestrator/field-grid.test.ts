// SPDX-License-Identifier: MIT
// Where fields are expected: stage positions, grids in every order, and what is said where neither is known.

import { describe, expect, test } from "vitest";
import { isTilecastError } from "../../lib/errors.js";
import { fieldPlaces, type GridParameters, neighbours } from "../../lib/orchestrator/field-grid.js";
import type { Plate } from "../../lib/plates/plate.js";

const size = { height: 100, width: 200 };
const one = { height: 1, width: 1 };
const plateOf = (sites: number, more: Partial<Plate> = {}) =>
  ({ sites: Array.from({ length: sites }, (_, i) => i + 1), pixelSizeUm: null, ...more }) as Plate;

/** Sites by the cell that they lie in, a line a row. */
function drawn(plate: Plate, p: GridParameters): string[] {
  const places = fieldPlaces(plate, { overlap: 0, ...p }, size, one, "here");
  const rows: string[][] = [];
  for (const [site, { y, x }] of places) {
    const row = y / size.height;
    rows[row] ??= [];
    (rows[row] as string[])[x / size.width] = String(site);
  }
  return rows.map((row) => Array.from(row, (s) => s ?? ".").join(" "));
}

function refused(plate: Plate, p: GridParameters, argument: string): string {
  try {
    fieldPlaces(plate, p, size, one, 'step "s": stitch');
  } catch (error) {
    if (!isTilecastError(error, "ERR_PIPELINE")) throw error;
    expect(error.argument).toBe(argument);
    return error.message;
  }
  throw new Error("not refused");
}

describe("a grid", () => {
  test.each([
    ["rows", ["1 2 3", "4 5 6"]],
    ["columns", ["1 3 5", "2 4 6"]],
    ["snakeRows", ["1 2 3", "6 5 4"]],
    ["snakeColumns", ["1 4 5", "2 3 6"]],
  ] as const)("is filled in %s", (order, lines) => {
    expect(drawn(plateOf(6), { columns: 3, order })).toEqual(lines);
  });

  test("is a square where nothing is said, and what the metadata says", () => {
    expect(drawn(plateOf(9), {})).toEqual(["1 2 3", "4 5 6", "7 8 9"]);
    expect(drawn(plateOf(6), { columns: 4 })).toEqual(["1 2 3 4", "5 6"]);
    expect(drawn(plateOf(6, { siteGrid: { rows: 3, columns: 2 } }), {})).toEqual(["1 2", "3 4", "5 6"]);
  });

  test("lies closer by the overlap", () => {
    const places = fieldPlaces(plateOf(4), { overlap: 10 }, size, one, "here");
    expect(places.get(4)).toEqual({ y: 90, x: 180 });
  });

  test("is not guessed", () => {
    expect(refused(plateOf(6), { overlap: 5 }, "columns")).toBe(
      'step "s": stitch: the plate has 6 sites, which fill no square, and no metadata says how they lie; give "columns"',
    );
  });
});

describe("the stage", () => {
  const sitePositions = [
    { site: 1, xUm: -30, yUm: 20 },
    { site: 2, xUm: 50, yUm: -20 },
  ];
  const pixelSizeUm = { x: 0.5, y: 0.25 };

  test("says where fields lie: y upwards in micrometres, downwards in pixels", () => {
    const places = fieldPlaces(plateOf(2, { sitePositions, pixelSizeUm }), {}, size, one, "here");
    expect([...places]).toEqual([
      [1, { y: -80, x: -60 }],
      [2, { y: 80, x: 100 }],
    ]);
  });

  test("is asked in the pixels that there are, after binning too", () => {
    const places = fieldPlaces(
      plateOf(2, { sitePositions, pixelSizeUm }),
      {},
      size,
      { height: 2, width: 4 },
      "here",
    );
    expect(places.get(2)).toEqual({ y: 40, x: 25 });
  });

  test("is left aside where an overlap is given", () => {
    const places = fieldPlaces(
      plateOf(2, { sitePositions, pixelSizeUm }),
      { overlap: 0, columns: 2 },
      size,
      one,
      "here",
    );
    expect(places.get(2)).toEqual({ y: 0, x: 200 });
  });

  test.each([
    [
      {},
      'the plate\'s metadata does not say where sites lie; give "overlap" (%) and, for other than a square, "columns"',
    ],
    [
      { sitePositions },
      'the plate\'s metadata does not say how large a pixel is; give "overlap" (%) and, for other than a square, "columns"',
    ],
    [
      { sitePositions: sitePositions.slice(1), pixelSizeUm },
      'the plate\'s metadata has no position of site 1; give "overlap"',
    ],
  ])("is missed where it is not known: %#", (more, message) => {
    expect(refused(plateOf(2, more), {}, "overlap")).toBe(`step "s": stitch: ${message}`);
  });
});

describe("neighbours", () => {
  test("overlap along half a side at least: no corners, none that lie apart", () => {
    const places = [...fieldPlaces(plateOf(9), { overlap: 10 }, size, one, "here").values()];
    const pairs = neighbours(places, size).map(({ first, second }) => `${first}-${second}`);
    expect(pairs).toEqual([
      "0-1",
      "0-3",
      "1-2",
      "1-4",
      "2-5",
      "3-4",
      "3-6",
      "4-5",
      "4-7",
      "5-8",
      "6-7",
      "7-8",
    ]);
    expect(
      neighbours([...fieldPlaces(plateOf(9), { overlap: 0 }, size, one, "here").values()], size),
    ).toEqual([]);
  });

  test("are told where the second lies in the first", () => {
    expect(
      neighbours(
        [
          { y: 5, x: 7 },
          { y: -80, x: 10 },
        ],
        size,
      ),
    ).toEqual([{ first: 0, second: 1, y: -85, x: 3 }]);
  });
});
