// SPDX-License-Identifier: MIT
// Where the fields of a well are expected: from the stage's positions, or on a grid; and which of them are neighbours.

import { TilecastError } from "../errors.js";
import type { Plate } from "../plates/plate.js";

/** px, x to the right and y downwards. */
export interface Point {
  readonly y: number;
  readonly x: number;
}

/** An image's size in px. */
interface Extent {
  readonly height: number;
  readonly width: number;
}

/** Parameters of op.stitch that say where fields lie. */
export interface GridParameters {
  readonly overlap?: number;
  readonly columns?: number;
  readonly order?: "rows" | "columns" | "snakeRows" | "snakeColumns";
}

function refuse(where: string, what: string, argument: string): TilecastError {
  return new TilecastError("ERR_PIPELINE", `${where}: ${what}`, { argument });
}

/** Cell of the n-th field of a grid. */
function cell(n: number, rows: number, columns: number, order: NonNullable<GridParameters["order"]>): Point {
  const byColumns = order === "columns" || order === "snakeColumns";
  const length = byColumns ? rows : columns;
  const line = Math.floor(n / length);
  const along = n % length;
  const turned = order.startsWith("snake") && line % 2 === 1 ? length - 1 - along : along;
  return byColumns ? { y: turned, x: line } : { y: line, x: turned };
}

function onGrid(plate: Plate, p: GridParameters, size: Extent, overlap: number, where: string) {
  // Sites are numbered in the order of the grid: one that no well has leaves its cell empty.
  const origin = plate.sites.includes(0) ? 0 : 1;
  const n = Math.max(...plate.sites) - origin + 1;
  const square = Math.sqrt(n);
  const known = plate.siteGrid !== undefined && plate.siteGrid.rows * plate.siteGrid.columns >= n;
  const columns =
    p.columns ?? (known ? plate.siteGrid?.columns : Number.isInteger(square) ? square : undefined);
  if (columns === undefined) {
    throw refuse(
      where,
      `the plate has ${n} sites, which fill no square, and no metadata says how they lie; give "columns"`,
      "columns",
    );
  }
  const rows = Math.ceil(n / columns);
  const pitch = { y: size.height * (1 - overlap / 100), x: size.width * (1 - overlap / 100) };
  return new Map(
    plate.sites.map((site): [number, Point] => {
      const at = cell(site - origin, rows, columns, p.order ?? "rows");
      return [site, { y: at.y * pitch.y, x: at.x * pitch.x }];
    }),
  );
}

/**
 * Expected places of the plate's sites in px of images of `size`, each of which is `ratio` acquired pixels high and wide. From the stage, or
 * on a grid where `overlap` is given. Throws ERR_PIPELINE where neither is known.
 */
export function fieldPlaces(
  plate: Plate,
  p: GridParameters,
  size: Extent,
  ratio: Extent,
  where: string,
): Map<number, Point> {
  if (p.overlap !== undefined) return onGrid(plate, p, size, p.overlap, where);
  const { sitePositions, pixelSizeUm } = plate;
  if (sitePositions === undefined || pixelSizeUm === null) {
    const lacks = sitePositions === undefined ? "where sites lie" : "how large a pixel is";
    throw refuse(
      where,
      `the plate's metadata does not say ${lacks}; give "overlap" (%) and, for other than a square, "columns"`,
      "overlap",
    );
  }
  const places = new Map(
    sitePositions.map((s): [number, Point] => [
      s.site,
      { y: -s.yUm / (pixelSizeUm.y * ratio.height), x: s.xUm / (pixelSizeUm.x * ratio.width) },
    ]),
  );
  const without = plate.sites.filter((site) => !places.has(site));
  if (without.length > 0) {
    throw refuse(
      where,
      `the plate's metadata has no position of site ${without.join(", ")}; give "overlap"`,
      "overlap",
    );
  }
  return places;
}

/** A pair of neighbours, by index, and where the second is expected in the first. */
export interface Neighbours extends Point {
  readonly first: number;
  readonly second: number;
}

/** Pairs of fields whose images are expected to overlap along at least half a side. */
export function neighbours(places: readonly Point[], size: Extent): Neighbours[] {
  const pairs: Neighbours[] = [];
  for (const [first, a] of places.entries()) {
    for (let second = first + 1; second < places.length; second++) {
      const b = places[second] as Point;
      const y = b.y - a.y;
      const x = b.x - a.x;
      const common = { height: size.height - Math.abs(y), width: size.width - Math.abs(x) };
      if (common.height <= 0 || common.width <= 0) continue;
      if (common.height < size.height / 2 && common.width < size.width / 2) continue;
      pairs.push({ first, second, y, x });
    }
  }
  return pairs;
}
