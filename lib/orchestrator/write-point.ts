// SPDX-License-Identifier: MIT
// Where along its ops a channel's image is the one that is written.

import type { Op } from "../ops/op.js";
import type { TileKind } from "../ops/spec.js";
import { specOf } from "../ops/table.js";
import { changesSize, movesImages } from "./compile-apply.js";
import { isProjection } from "./compile-project.js";

/** What an op makes of what flows, where it says so. */
function kindAfter(op: Op): TileKind | null {
  if (op.name === "javascript") return op.parameters.kind as TileKind;
  const { gives } = specOf(op.name);
  return gives === "same" || gives === "nothing" ? null : gives;
}

export function makesLabels(ops: readonly Op[]): boolean {
  return ops.some((o) => kindAfter(o) === "labels");
}

/** After how many ops the channel's image is the one to write (see op.save). */
export function writePoint(ops: readonly Op[]): number {
  const saved = ops.findIndex((o) => o.name === "save");
  if (saved >= 0) return saved + 1;
  if (!makesLabels(ops)) return ops.length;
  const segmented = ops.findIndex((o) => kindAfter(o) === "mask" || kindAfter(o) === "labels");
  return (
    ops.slice(0, segmented).findLastIndex((o) => isProjection(o) || changesSize(o) || movesImages(o)) + 1
  );
}
