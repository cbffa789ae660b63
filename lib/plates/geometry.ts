// SPDX-License-Identifier: MIT
// Gathers stage positions of planes while metadata is read: where sites lie, their grid, and the distance of slices.

import { median } from "./median.js";
import type { Plate, SitePosition } from "./plate.js";

/** Stages repeat to a fraction of a micrometre; neighbouring fields lie tens of micrometres apart. */
const sameLineUm = 2;
/** Of a large plate this many values a site tell the median as well as all of them. */
const enough = 1000;

function lines(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.filter((v, i) => i === 0 || v - (sorted[i - 1] as number) > sameLineUm).length;
}

const rounded = (value: number) => Math.round(value * 1000) / 1000;

export class Geometry {
  readonly #sites = new Map<number, { x: number[]; y: number[] }>();
  readonly #slices = new Map<string, { z: number; um: number }>();
  readonly #steps: number[] = [];

  addSite(site: number, xUm: number, yUm: number): void {
    let list = this.#sites.get(site);
    if (list === undefined) {
      list = { x: [], y: [] };
      this.#sites.set(site, list);
    }
    if (list.x.length >= enough) return;
    list.x.push(xUm);
    list.y.push(yUm);
  }

  /** `stack` tells planes of one stack from others. */
  addSlice(stack: string, z: number, um: number): void {
    const last = this.#slices.get(stack);
    this.#slices.set(stack, { z, um });
    if (last === undefined || last.z === z || this.#steps.length >= enough) return;
    const step = Math.abs((um - last.um) / (z - last.z));
    if (step > 0) this.#steps.push(step);
  }

  get sitePositions(): SitePosition[] {
    return [...this.#sites]
      .sort(([a], [b]) => a - b)
      .map(([site, { x, y }]) => ({
        site,
        xUm: rounded(median(x) as number),
        yUm: rounded(median(y) as number),
      }));
  }

  /** `undefined` where the sites fill no rectangle. */
  get siteGrid(): Plate["siteGrid"] {
    const positions = this.sitePositions;
    const grid = { rows: lines(positions.map((p) => p.yUm)), columns: lines(positions.map((p) => p.xUm)) };
    return positions.length > 0 && grid.rows * grid.columns === positions.length ? grid : undefined;
  }

  /** Micrometres, or `null` without a stack. */
  get zStepUm(): number | null {
    const step = median(this.#steps);
    return step === null ? null : rounded(step);
  }
}
