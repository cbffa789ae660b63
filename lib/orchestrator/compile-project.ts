// SPDX-License-Identifier: MIT
// Compiles projections: which streams become one, straight from their files where nothing was done to them yet.

import type { Projectable } from "../ops/families/projections.js";
import type { Op } from "../ops/op.js";
import { specOf } from "../ops/table.js";
import type { PlaneRef } from "../plates/plate.js";
import type { Step } from "./pipeline.js";
import type { Projection } from "./plan.js";
import { type Place, type ProgramBuilder, requireAlike, type Stream } from "./stream.js";

/** The components that a projection collapses. */
export function overOf(op: Op, step: Step): readonly Projectable[] {
  const over = op.parameters.over as Projectable | readonly Projectable[] | undefined;
  return over === undefined ? step.variableComponents : ([over].flat() as Projectable[]);
}

export function isProjection(op: Op): boolean {
  return specOf(op.name).family === "projections";
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
  const projection = op.name.slice(0, -"Project".length) as Projection;
  const window = op.parameters.window as number | undefined;
  const common = { stage: place.step, projection, ...(window === undefined ? {} : { a: window }) };
  const out: Stream[] = [];
  for (const members of groups.values()) {
    const first = members[0] as Stream;
    const { dtype, height, width } = requireAlike(op, members, place);
    const result = specOf(op.name).result(dtype, op.parameters);
    // The accumulator of means and sums.
    if (projection === "mean" || projection === "sum") builder.reserve("float64", height, width);
    const fromFiles = members.every((m) => m.plane !== null);
    const value = fromFiles
      ? builder.emit(
          {
            op: "project",
            ...common,
            sources: members.map((m) => builder.source(m.plane as PlaneRef)),
          },
          result,
          height,
          width,
        )
      : builder.emit(
          {
            op: "projectTiles",
            ...common,
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
      planesMeasured: new Set(),
      image: null,
      pending: null,
    });
  }
  return out;
}
