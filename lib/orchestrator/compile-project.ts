// SPDX-License-Identifier: MIT
// Compiles projections: which streams become one, straight from their files where nothing was done to them yet.

import { TilecastError } from "../errors.js";
import type { DType } from "../image/dtype.js";
import type { Op } from "../ops/op.js";
import { type OpSpec, type Projectable, table } from "../ops/table.js";
import type { PlaneRef } from "../plates/plate.js";
import type { Step } from "./pipeline.js";
import { describeStream, type Place, type ProgramBuilder, type Stream } from "./stream.js";

/** The components that a projection collapses. */
export function overOf(op: Op, step: Step): readonly Projectable[] {
  const over = op.parameters.over as Projectable | readonly Projectable[] | undefined;
  return over === undefined ? step.variableComponents : ([over].flat() as Projectable[]);
}

export function isProjection(op: Op): boolean {
  return op.name === "maxProject" || op.name === "meanProject" || op.name === "sumProject";
}

/** Projects streams that differ only in `over`. Throws ERR_PIPELINE when they differ in size or dtype. */
export function compileProjection(
  builder: ProgramBuilder,
  op: Op,
  over: readonly Projectable[],
  streams: readonly Stream[],
  place: Place,
): Stream[] {
  const groups = new Map<string, Stream[]>();
  for (const s of streams) {
    const key = [
      s.channel,
      over.includes("site") ? "" : s.site,
      over.includes("timepoint") ? "" : s.timepoint,
      over.includes("z_index") ? "" : s.z,
    ].join("/");
    groups.set(key, [...(groups.get(key) ?? []), s]);
  }
  const projection = op.name === "maxProject" ? "max" : op.name === "meanProject" ? "mean" : "sum";
  const out: Stream[] = [];
  for (const members of groups.values()) {
    const first = members[0] as Stream;
    const size = (s: Stream) => (s.plane ?? s.value) as { dtype: DType; height: number; width: number };
    const { dtype, height, width } = size(first);
    for (const m of members) {
      const o = size(m);
      if (o.dtype !== dtype || o.height !== height || o.width !== width) {
        throw new TilecastError(
          "ERR_PIPELINE",
          `step "${place.step}": ${op.name} would mix ${describeStream(first)}, ${width} x ${height} ${dtype}, with ${describeStream(m)}, ${o.width} x ${o.height} ${o.dtype}`,
          { argument: op.name },
        );
      }
    }
    const result = (table[op.name] as OpSpec).result(dtype, op.parameters);
    if (projection !== "max") builder.reserve("float64", height, width);
    const fromFiles = members.every((m) => m.plane !== null);
    const value = fromFiles
      ? builder.emit(
          {
            op: "project",
            stage: place.step,
            projection,
            sources: members.map((m) => builder.source(m.plane as PlaneRef)),
          },
          result,
          height,
          width,
        )
      : builder.emit(
          {
            op: "projectTiles",
            stage: place.step,
            projection,
            inputs: members.map((m) => builder.materialize(m, place.step).reg),
          },
          result,
          height,
          width,
        );
    out.push({
      ...first,
      z: over.includes("z_index") ? null : first.z,
      plane: null,
      value,
      results: new Map(),
      image: null,
      pending: null,
    });
  }
  return out;
}
