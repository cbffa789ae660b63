// SPDX-License-Identifier: MIT
// Places of images from measured shifts between pairs of them: weighted least squares over all, without links that contradict the others.

import type { Point } from "./field-grid.js";

/** A measured pair: where the second image's first pixel lies in the first. */
export interface Link extends Point {
  readonly first: number;
  readonly second: number;
  readonly weight: number;
}

export interface Settled {
  readonly places: readonly Point[];
  /** By image: which images it is linked with, by links that are used, have the same number. */
  readonly groups: readonly number[];
  /** By link: whether it is used, and how far off it is, px. */
  readonly used: readonly boolean[];
  readonly residuals: readonly number[];
}

/** A link that is as far off as rounding, noise and lens errors take it is no contradiction, px. */
const leastContradiction = 2;
/** So many times the median link: what a well-measured mosaic does not reach. */
const medians = 3;

function groupsOf(count: number, links: readonly Link[]): number[] {
  const group = Array.from({ length: count }, (_, i) => i);
  const root = (i: number): number => {
    while (group[i] !== i) {
      group[i] = group[group[i] as number] as number;
      i = group[i] as number;
    }
    return i;
  };
  for (const l of links)
    group[Math.max(root(l.first), root(l.second))] = Math.min(root(l.first), root(l.second));
  return group.map((_, i) => root(i));
}

/**
 * Solves the links' weighted normal equations along one axis by conjugate gradients: the graph's Laplacian, one image of each group held
 * at 0. Matrix-free, so that a well may have thousands of fields.
 */
function solveAxis(groups: readonly number[], links: readonly Link[], axis: "y" | "x"): Float64Array {
  const n = groups.length;
  const held = (i: number) => groups[i] === i;
  const diagonal = new Float64Array(n);
  const right = new Float64Array(n);
  for (const { first, second, weight, [axis]: d } of links) {
    diagonal[first] = (diagonal[first] as number) + weight;
    diagonal[second] = (diagonal[second] as number) + weight;
    right[first] = (right[first] as number) - weight * d;
    right[second] = (right[second] as number) + weight * d;
  }
  const multiply = (v: Float64Array): Float64Array => {
    const out = Float64Array.from(v, (value, i) => (diagonal[i] as number) * value);
    for (const { first, second, weight } of links) {
      out[first] = (out[first] as number) - weight * (v[second] as number);
      out[second] = (out[second] as number) - weight * (v[first] as number);
    }
    return out.map((value, i) => (held(i) ? 0 : value));
  };
  const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, v, i) => sum + v * (b[i] as number), 0);
  const scaled = (v: Float64Array) => v.map((value, i) => (held(i) ? 0 : value / (diagonal[i] as number)));
  const x = new Float64Array(n);
  const r = right.map((value, i) => (held(i) ? 0 : value));
  let z = scaled(r);
  const p = Float64Array.from(z);
  let rz = dot(r, z);
  const enough = rz * 1e-24;
  for (let step = 0; step < 10 * n + 10 && rz > enough; step++) {
    const ap = multiply(p);
    const alpha = rz / dot(p, ap);
    for (let i = 0; i < n; i++) {
      x[i] = (x[i] as number) + alpha * (p[i] as number);
      r[i] = (r[i] as number) - alpha * (ap[i] as number);
    }
    z = scaled(r);
    const next = dot(r, z);
    for (let i = 0; i < n; i++) p[i] = (z[i] as number) + (next / rz) * (p[i] as number);
    rz = next;
  }
  return x;
}

const residual = (places: readonly Point[], l: Link): number => {
  const a = places[l.first] as Point;
  const b = places[l.second] as Point;
  return Math.hypot(b.y - a.y - l.y, b.x - a.x - l.x);
};

/**
 * Least-squares places for all images. Links that contradict the others (residual above 2 px and above three times the median) are left out,
 * the worst one at a time. A group of linked images keeps its mean at where it is expected, moved as the largest group's stage was off:
 * by a scale, a turn and an offset (affine) where that group tells them, else by nothing.
 */
export function settle(expected: readonly Point[], links: readonly Link[]): Settled {
  const used = links.map(() => true);
  for (;;) {
    const kept = links.filter((_, i) => used[i]);
    const groups = groupsOf(expected.length, kept);
    const y = solveAxis(groups, kept, "y");
    const x = solveAxis(groups, kept, "x");
    const places = [...y].map((v, i): Point => ({ y: v, x: x[i] as number }));
    const off = kept.map((l) => residual(places, l)).sort((a, b) => a - b);
    const limit = Math.max(leastContradiction, medians * (off[Math.floor((off.length - 1) / 2)] ?? 0));
    const worst = links.reduce(
      (at, l, i) =>
        used[i] && (at < 0 || residual(places, l) > residual(places, links[at] as Link)) ? i : at,
      -1,
    );
    if (worst >= 0 && residual(places, links[worst] as Link) > limit) {
      used[worst] = false;
      continue;
    }
    const anchored = anchor(expected, places, groups);
    return { places: anchored, groups, used, residuals: links.map((l) => residual(anchored, l)) };
  }
}

const mean = (points: readonly Point[]): Point => ({
  y: points.reduce((s, p) => s + p.y, 0) / points.length,
  x: points.reduce((s, p) => s + p.x, 0) / points.length,
});

/** Puts each group's mean where the model of the largest group puts its expected mean. */
function anchor(expected: readonly Point[], places: readonly Point[], groups: readonly number[]): Point[] {
  const members = new Map<number, number[]>();
  for (const [i, g] of groups.entries()) {
    const list = members.get(g);
    if (list) list.push(i);
    else members.set(g, [i]);
  }
  const largest = [...members.values()].reduce((a, b) => (b.length > a.length ? b : a), []);
  const at = (list: readonly number[], of: readonly Point[]) => list.map((i) => of[i] as Point);
  const from = mean(at(largest, expected));
  const linear = fitLinear(at(largest, expected), at(largest, places));
  const out = [...places];
  for (const list of members.values()) {
    const want = mean(at(list, expected));
    const dy = want.y - from.y;
    const dx = want.x - from.x;
    const target = {
      y: from.y + linear.yy * dy + linear.yx * dx,
      x: from.x + linear.xy * dy + linear.xx * dx,
    };
    const have = mean(at(list, places));
    for (const i of list) {
      const p = places[i] as Point;
      out[i] = { y: p.y - have.y + target.y, x: p.x - have.x + target.x };
    }
  }
  return out;
}

/** The 2 x 2 matrix that takes expected places, about their mean, to found ones; the identity where they lie on a line. */
function fitLinear(expected: readonly Point[], found: readonly Point[]) {
  const e = mean(expected);
  const f = mean(found);
  let [syy, syx, sxx, fyy, fyx, fxy, fxx] = [0, 0, 0, 0, 0, 0, 0];
  for (const [i, p] of expected.entries()) {
    const q = found[i] as Point;
    const [dy, dx, gy, gx] = [p.y - e.y, p.x - e.x, q.y - f.y, q.x - f.x];
    syy += dy * dy;
    syx += dy * dx;
    sxx += dx * dx;
    fyy += gy * dy;
    fyx += gy * dx;
    fxy += gx * dy;
    fxx += gx * dx;
  }
  const det = syy * sxx - syx * syx;
  if (!(det > 1e-3 * (syy + sxx) ** 2)) return { yy: 1, yx: 0, xy: 0, xx: 1 };
  return {
    yy: (fyy * sxx - fyx * syx) / det,
    yx: (fyx * syy - fyy * syx) / det,
    xy: (fxy * sxx - fxx * syx) / det,
    xx: (fxx * syy - fxy * syx) / det,
  };
}
