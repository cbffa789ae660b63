// SPDX-License-Identifier: MIT
// The levels of a field as viv's pixel sources, and the pixel at a place.

import type { Field, PlaneIndex, Raster } from "./field.js";

/** Planes of one level for viv's layers, which ask for tiles by column and row. */
export class LevelSource {
  readonly dtype: string;
  readonly tileSize: number;
  readonly labels = ["t", "c", "z", "y", "x"] as const;
  readonly shape: number[];

  constructor(
    readonly field: Field,
    readonly level: number,
  ) {
    this.dtype = field.dtype;
    this.tileSize = field.tileSize;
    const [height, width] = field.size(level);
    this.shape = [field.timepoints, field.channels, field.slices, height, width];
  }

  getTile({
    x,
    y,
    selection,
    signal,
  }: {
    x: number;
    y: number;
    selection: PlaneIndex;
    signal?: AbortSignal;
  }): Promise<Raster> {
    const [height, width] = this.field.size(this.level);
    const edge = this.tileSize;
    const rows = [y * edge, Math.min(height, (y + 1) * edge)] as const;
    const columns = [x * edge, Math.min(width, (x + 1) * edge)] as const;
    return this.field.read(this.level, selection, rows, columns, signal);
  }

  getRaster({ selection, signal }: { selection: PlaneIndex; signal?: AbortSignal }): Promise<Raster> {
    const [height, width] = this.field.size(this.level);
    return this.field.read(this.level, selection, [0, height], [0, width], signal);
  }

  /** Aborted requests are no failures; others are shown as missing tiles. */
  onTileError(error: Error): void {
    if (error.name !== "AbortError") console.warn(error.message);
  }
}

/** Full-resolution tiles that pixels were read from, newest last: the pointer moves within one or two. */
export class Probe {
  readonly #tiles = new Map<string, Promise<Raster>>();
  readonly #source: LevelSource;

  constructor(
    readonly field: Field,
    readonly tiles = 12,
  ) {
    this.#source = new LevelSource(field, 0);
  }

  /** The stored value of a pixel, or undefined outside of the image. */
  async at(x: number, y: number, plane: PlaneIndex): Promise<number | undefined> {
    if (x < 0 || y < 0 || x >= this.field.width || y >= this.field.height) return undefined;
    const edge = this.#source.tileSize;
    const [column, row] = [Math.floor(x / edge), Math.floor(y / edge)];
    const key = `${plane.t}/${plane.c}/${plane.z}/${row}/${column}`;
    let tile = this.#tiles.get(key);
    if (tile === undefined) {
      tile = this.#source.getTile({ x: column, y: row, selection: plane });
      tile.catch(() => this.#tiles.delete(key));
    }
    this.#tiles.delete(key);
    this.#tiles.set(key, tile);
    for (const oldest of this.#tiles.keys()) {
      if (this.#tiles.size <= this.tiles) break;
      this.#tiles.delete(oldest);
    }
    const { data, width } = await tile;
    return data[(y - row * edge) * width + (x - column * edge)];
  }
}
