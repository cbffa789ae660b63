// SPDX-License-Identifier: MIT
// Places from measured pairs: against the normal equations solved densely, with links that are wrong, and with images that nothing links.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Point } from "../../lib/orchestrator/field-grid.js";
import { type Link, settle } from "../../lib/orchestrator/settle-places.js";

/** A grid of fields, each off its place by what `off` says, and exact links between neighbours. */
function grid(rows: number, columns: number, off: (i: number) => Point) {
  const expected: Point[] = [];
  const truth: Point[] = [];
  for (let i = 0; i < rows * columns; i++) {
    const at = { y: Math.floor(i / columns) * 100, x: (i % columns) * 120 };
    expected.push(at);
    truth.push({ y: at.y + off(i).y, x: at.x + off(i).x });
  }
  const links: Link[] = [];
  const link = (first: number, second: number) => {
    const [a, b] = [truth[first] as Point, truth[second] as Point];
    links.push({ first, second, y: b.y - a.y, x: b.x - a.x, weight: 1 });
  };
  for (let i = 0; i < rows * columns; i++) {
    if (i % columns < columns - 1) link(i, i + 1);
    if (i + columns < rows * columns) link(i, i + columns);
  }
  return { expected, truth, links };
}

const wobble = (i: number): Point => ({ y: ((i * 37) % 11) - 5, x: ((i * 53) % 13) - 6 });

/** Distances between images, which an offset of all does not change. */
const relative = (places: readonly Point[]) =>
  places.map((p) => ({ y: p.y - (places[0] as Point).y, x: p.x - (places[0] as Point).x }));

function expectClose(got: readonly Point[], want: readonly Point[], within = 1e-6) {
  for (const [i, p] of got.entries()) {
    expect(Math.abs(p.y - (want[i] as Point).y), `y of image ${i}`).toBeLessThan(within);
    expect(Math.abs(p.x - (want[i] as Point).x), `x of image ${i}`).toBeLessThan(within);
  }
}

/** Least squares by Gaussian elimination on the dense normal equations, image 0 held at 0. */
function dense(n: number, links: readonly Link[], axis: "y" | "x"): number[] {
  const a = Array.from({ length: n }, () => new Array<number>(n + 1).fill(0));
  const add = (i: number, j: number, v: number) => {
    const row = a[i] as number[];
    row[j] = (row[j] as number) + v;
  };
  for (const l of links) {
    add(l.first, l.first, l.weight);
    add(l.second, l.second, l.weight);
    add(l.first, l.second, -l.weight);
    add(l.second, l.first, -l.weight);
    add(l.first, n, -l.weight * l[axis]);
    add(l.second, n, l.weight * l[axis]);
  }
  a[0] = Array.from({ length: n + 1 }, (_, j) => (j === 0 ? 1 : 0));
  for (let k = 0; k < n; k++) {
    const pivot = a
      .slice(k)
      .reduce(
        (p, row, i) => (Math.abs(row[k] as number) > Math.abs((a[p] as number[])[k] as number) ? i + k : p),
        k,
      );
    [a[k], a[pivot]] = [a[pivot] as number[], a[k] as number[]];
    const top = a[k] as number[];
    for (let i = 0; i < n; i++) {
      if (i === k) continue;
      const row = a[i] as number[];
      const f = (row[k] as number) / (top[k] as number);
      for (let j = k; j <= n; j++) row[j] = (row[j] as number) - f * (top[j] as number);
    }
  }
  return a.map((row, i) => (row[n] as number) / (row[i] as number));
}

describe("places of linked images", () => {
  test("are exact where the links are", () => {
    const { expected, truth, links } = grid(4, 5, wobble);
    const { places, used, groups, residuals } = settle(expected, links);
    expectClose(relative(places), relative(truth));
    expect(used.every(Boolean)).toBe(true);
    expect(new Set(groups).size).toBe(1);
    expect(Math.max(...residuals)).toBeLessThan(1e-6);
  });

  test("are the weighted least squares of links with errors", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 4 }),
        fc.integer({ min: 2, max: 4 }),
        fc.array(
          fc.record({
            y: fc.double({ min: -0.6, max: 0.6, noNaN: true }),
            x: fc.double({ min: -0.6, max: 0.6, noNaN: true }),
            weight: fc.double({ min: 0.05, max: 1, noNaN: true }),
          }),
          { minLength: 24, maxLength: 24 },
        ),
        (rows, columns, errors) => {
          const { expected, links } = grid(rows, columns, wobble);
          const noisy = links.map((l, i): Link => {
            const e = errors[i % errors.length] as Link;
            return { ...l, y: l.y + e.y, x: l.x + e.x, weight: e.weight };
          });
          const { places, used } = settle(expected, noisy);
          expect(used.every(Boolean)).toBe(true);
          const y = dense(expected.length, noisy, "y");
          const x = dense(expected.length, noisy, "x");
          expectClose(
            relative(places),
            y.map((v, i) => ({ y: v, x: x[i] as number })),
            1e-6,
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  test("do not come from a link that contradicts the others", () => {
    const { expected, truth, links } = grid(3, 3, wobble);
    const wrong = links.map((l, i): Link => (i === 4 ? { ...l, y: l.y + 9, x: l.x - 14, weight: 0.3 } : l));
    const { places, used, residuals } = settle(expected, wrong);
    expect(used.map((u, i) => (u ? -1 : i)).filter((i) => i >= 0)).toEqual([4]);
    expect(residuals[4]).toBeCloseTo(Math.hypot(9, 14), 5);
    expectClose(relative(places), relative(truth));
  });

  test("keep their mean where it is expected", () => {
    const { expected, links } = grid(2, 3, wobble);
    const { places } = settle(expected, links);
    const mean = (points: readonly Point[], axis: "y" | "x") =>
      points.reduce((s, p) => s + p[axis], 0) / points.length;
    expect(mean(places, "y")).toBeCloseTo(mean(expected, "y"), 6);
    expect(mean(places, "x")).toBeCloseTo(mean(expected, "x"), 6);
  });

  test("of a thousand fields are found as well", () => {
    const { expected, truth, links } = grid(32, 32, wobble);
    expectClose(relative(settle(expected, links).places), relative(truth), 1e-5);
  });
});

describe("images that nothing links", () => {
  test("all stay where they are expected", () => {
    const { expected } = grid(2, 2, wobble);
    const { places, groups } = settle(expected, []);
    expect(places).toEqual(expected);
    expect(groups).toEqual([0, 1, 2, 3]);
  });

  test("lie where the stage was off, as the others show: scale and turn", () => {
    const stage = (i: number): Point => {
      const y = Math.floor(i / 4) * 100;
      const x = (i % 4) * 120;
      return { y: 0.02 * y + 0.01 * x, x: -0.01 * y + 0.02 * x };
    };
    const { expected, truth, links } = grid(4, 4, stage);
    const { places, groups } = settle(
      expected,
      links.filter((l) => l.first !== 15 && l.second !== 15),
    );
    expect(groups[15]).toBe(15);
    expectClose(relative(places), relative(truth));
  });

  test("move by nothing where the others lie on a line", () => {
    const { expected, links } = grid(1, 3, (i) => ({ y: i, x: 2 * i }));
    const { places } = settle([...expected, { y: 100, x: 0 }], links);
    const at = places[3] as Point;
    expect(at.y).toBeCloseTo(100, 9);
    expect(at.x).toBeCloseTo(0, 9);
  });
});
