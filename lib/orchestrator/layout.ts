// SPDX-License-Identifier: MIT
// Where results go inside the OME-Zarr plate: fields, axes, shapes, dtypes, pyramid levels.

import type { DType } from "../image/dtype.js";
import type { PlaneRef, Plate } from "../plates/plate.js";

/** Row letters and column digits of a well name: `B03` -> `{ row: "B", column: "3" }`. */
export function splitWell(well: string): { row: string; column: string } {
  const m = /^([A-Z]+)0*(\d+)$/.exec(well);
  return m ? { row: m[1] as string, column: m[2] as string } : { row: well, column: "1" };
}

/** The dtype that holds both without loss where there is one (numpy.result_type). */
export function promote(a: DType, b: DType): DType {
  if (a === b) return a;
  if (a === "float64" || b === "float64") return "float64";
  const bits = (d: DType) => Number(/\d+$/.exec(d)?.[0]);
  const kind = (d: DType) => (d.startsWith("u") ? "u" : d.startsWith("i") ? "i" : "f");
  if (kind(a) === "f" || kind(b) === "f") {
    const other = kind(a) === "f" ? b : a;
    return kind(other) === "f" || bits(other) <= 16 ? "float32" : "float64";
  }
  const wide = Math.max(bits(a), bits(b));
  if (kind(a) === kind(b)) return `${kind(a) === "u" ? "uint" : "int"}${wide}` as DType;
  const unsigned = kind(a) === "u" ? a : b;
  const signed = kind(a) === "u" ? b : a;
  if (bits(signed) > bits(unsigned)) return signed;
  return bits(unsigned) >= 32 ? "float64" : (`int${bits(unsigned) * 2}` as DType);
}

/** Levels of a pyramid over height x width: halved until the longer side is at most `smallest` px; at least one. */
export function pyramidLevels(height: number, width: number, smallest = 256): number {
  let levels = 1;
  for (let n = Math.max(height, width); n > smallest; n = Math.ceil(n / 2)) levels++;
  return levels;
}

/** Positions of the plate's components along the axes of every image. */
export class Axes {
  readonly channels: ReadonlyMap<number, number>;
  readonly timepoints: ReadonlyMap<number, number>;
  readonly z: ReadonlyMap<number, number>;
  readonly fieldOf: ReadonlyMap<string, number>;

  constructor(plate: Plate, planes: readonly Pick<PlaneRef, "well" | "site" | "z_index">[]) {
    const order = (values: Iterable<number>) =>
      new Map([...new Set(values)].sort((a, b) => a - b).map((v, i) => [v, i] as const));
    this.channels = order(plate.channels.map((c) => c.channel));
    this.timepoints = order(plate.timepoints);
    this.z = order(planes.flatMap((p) => (p.z_index === null ? [] : [p.z_index])));
    // The n-th entry of a well's images is its n-th site, so that viewers show sites in order.
    const sites = new Map<string, Set<number>>();
    for (const p of planes) {
      const set = sites.get(p.well) ?? new Set();
      sites.set(p.well, set.add(p.site));
    }
    this.fieldOf = new Map(
      [...sites].flatMap(([well, set]) =>
        [...set].sort((a, b) => a - b).map((site, i) => [`${well}/${site}`, i] as const),
      ),
    );
  }

  fieldPath(well: string, site: number): string {
    const { row, column } = splitWell(well);
    return `${row}/${column}/${this.fieldOf.get(`${well}/${site}`) ?? 0}`;
  }
}
