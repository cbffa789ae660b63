// SPDX-License-Identifier: MIT
// Shapes and points as the wire has them: napari's dicts with the metadata that OpenHCS's converters require.

import type { PointsPayload, StreamShape } from "./payload.js";

type Pair = [y: number, x: number];

export interface WireShape {
  readonly type: "polygon" | "path" | "ellipse" | "points";
  readonly coordinates: readonly Pair[];
  /** Of ellipses, for receivers of generation A. */
  readonly center?: Pair;
  readonly radii?: Pair;
  readonly metadata: {
    readonly label: number;
    readonly area: number;
    readonly perimeter?: number;
    readonly centroid: Pair;
    readonly bbox?: readonly [top: number, left: number, bottom: number, right: number];
  };
}

function pairs(flat: ArrayLike<number>): Pair[] {
  const list: Pair[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) list.push([flat[i] as number, flat[i + 1] as number]);
  return list;
}

export interface Outline {
  /** Square pixels; 0 of an open line. */
  readonly area: number;
  readonly perimeter: number;
  readonly centroid: Pair;
  readonly bbox: readonly [top: number, left: number, bottom: number, right: number];
}

/** Area and centroid of a polygon by the shoelace formula; those of a line are 0 and the mean of its vertices. */
export function measureOutline(coordinates: readonly Pair[], isClosed: boolean): Outline {
  const n = coordinates.length;
  if (n === 0) return { area: 0, perimeter: 0, centroid: [0, 0], bbox: [0, 0, 0, 0] };
  const [y0, x0] = coordinates[0] as Pair;
  let [twice, cy, cx, perimeter, sumY, sumX] = [0, 0, 0, 0, 0, 0];
  let [top, left, bottom, right] = [y0, x0, y0, x0];
  for (let i = 0; i < n; i++) {
    const [ya, xa] = coordinates[i] as Pair;
    sumY += ya;
    sumX += xa;
    top = Math.min(top, ya);
    bottom = Math.max(bottom, ya);
    left = Math.min(left, xa);
    right = Math.max(right, xa);
    if (!isClosed && i === n - 1) break;
    const [yb, xb] = coordinates[(i + 1) % n] as Pair;
    perimeter += Math.hypot(yb - ya, xb - xa);
    // Relative to the first vertex: far from the origin the products would lose digits.
    const cross = (xa - x0) * (yb - y0) - (xb - x0) * (ya - y0);
    twice += cross;
    cy += (ya + yb - 2 * y0) * cross;
    cx += (xa + xb - 2 * x0) * cross;
  }
  const mean: Pair = [sumY / n, sumX / n];
  const isFlat = !isClosed || Math.abs(twice) < 1e-12;
  return {
    area: isFlat ? 0 : Math.abs(twice) / 2,
    perimeter,
    centroid: isFlat ? mean : [y0 + cy / (3 * twice), x0 + cx / (3 * twice)],
    bbox: [top, left, bottom, right],
  };
}

/** Ramanujan's second approximation. */
function ellipsePerimeter(a: number, b: number): number {
  const h = a + b === 0 ? 0 : ((a - b) / (a + b)) ** 2;
  return Math.PI * (a + b) * (1 + (3 * h) / (10 + Math.sqrt(4 - 3 * h)));
}

export function wireShape(shape: StreamShape): WireShape {
  const given = pairs(shape.vertices);
  const outline = measureOutline(given, shape.type !== "path");
  const { bbox } = outline;
  const metadata = (area: number, perimeter: number, centroid: Pair) => ({
    label: shape.label,
    area: shape.area ?? area,
    perimeter,
    centroid: shape.centroid ? ([...shape.centroid] as Pair) : centroid,
    bbox,
  });
  if (shape.type !== "ellipse")
    return {
      type: shape.type,
      coordinates: given,
      metadata: metadata(outline.area, outline.perimeter, outline.centroid),
    };
  const [top, left, bottom, right] = bbox;
  const radii: Pair = [(bottom - top) / 2, (right - left) / 2];
  const center: Pair = [top + radii[0], left + radii[1]];
  return {
    type: "ellipse",
    // The corners in napari's order.
    coordinates: [
      [top, left],
      [top, right],
      [bottom, right],
      [bottom, left],
    ],
    center,
    radii,
    metadata: metadata(Math.PI * radii[0] * radii[1], ellipsePerimeter(...radii), center),
  };
}

/** One dict a point, as generation B and later have it. */
export function wirePoints(payload: PointsPayload): WireShape[] {
  return pairs(payload.points).map((point, i) => ({
    type: "points",
    coordinates: [point],
    metadata: { label: payload.labels?.[i] ?? i + 1, area: 0, centroid: point },
  }));
}
