// SPDX-License-Identifier: MIT
// What is found out of how images lie to each other before a run: by op and group of images, as plain data that is kept and reported.

import { TilecastError } from "../errors.js";
import type { Op } from "../ops/op.js";
import { specOf } from "../ops/table.js";
import type { Point } from "./field-grid.js";
import type { Step } from "./pipeline.js";
import type { Place, Stream } from "./stream.js";

/** An op of the pipeline that moves images, and where it stands. */
export interface AlignOp {
  readonly op: Op<"register" | "stitch">;
  readonly place: Place;
}

/** One image of a group: its site, timepoint or channel, where it was expected and where it lies, px. */
export interface AlignedImage extends Point {
  readonly member: number;
  readonly expected: Point;
  /** Images linked with each other have the same number. */
  readonly group: number;
  /** Measured pairs that its place comes from. */
  readonly links: number;
}

/** One pair that was looked at. */
export interface AlignedPair extends Point {
  readonly first: number;
  readonly second: number;
  readonly expected: Point;
  /** Correlation of the overlap, and what mirror images of it reach. */
  readonly score: number;
  readonly chance: number;
  /** Whether the places come from it, among others; if not, why. */
  readonly state: "used" | "chance" | "contradicts" | "unmatched";
  /** How far the places are from it, px; null where nothing was found. */
  readonly residual: number | null;
}

/** What one op found in one group: the sites of a well, or the timepoints or channels of a field. */
export interface Alignment {
  readonly step: string;
  readonly op: "register" | "stitch";
  readonly over: "site" | "timepoint" | "channel";
  readonly well: string;
  /** Null where all of the well's belong together. */
  readonly site: number | null;
  readonly timepoint: number | null;
  readonly images: readonly AlignedImage[];
  readonly pairs: readonly AlignedPair[];
}

/** By {@link alignmentKey}. */
export type Alignments = ReadonlyMap<string, Alignment>;

/** Component that tells the images of a group apart. */
export function overOf(op: Op<"register" | "stitch">): Alignment["over"] {
  return op.name === "stitch" ? "site" : (op.parameters.over as "timepoint" | "channel");
}

/** The stream's number in its group. */
export function memberOf(
  op: Op<"register" | "stitch">,
  s: Pick<Stream, "site" | "timepoint" | "channel">,
): number {
  return s[overOf(op)];
}

/** What a stream's group is found by. */
export function alignmentKey({ op, place }: AlignOp, s: Pick<Stream, "well" | "site" | "timepoint">): string {
  const over = overOf(op);
  const rest = over === "site" ? [] : over === "timepoint" ? [s.site] : [s.site, s.timepoint];
  return [place.stepIndex, place.opIndex, s.well, ...rest].join("/");
}

/** The ops that move images, in order. Throws ERR_PIPELINE where they cannot. */
export function alignOps(steps: readonly Step[]): AlignOp[] {
  const found: AlignOp[] = [];
  let saved: string | null = null;
  for (const [stepIndex, step] of steps.entries()) {
    for (const op of Object.values(step.chains ?? {}).flat()) {
      if (op.name === "save") saved = step.name;
      if (specOf(op.name).aligns === undefined) continue;
      throw new TilecastError(
        "ERR_PIPELINE",
        `step "${step.name}": ${op.name} moves all channels together; give the step one chain for every channel`,
        { argument: op.name },
      );
    }
    for (const [opIndex, op] of (step.chain ?? []).entries()) {
      if (op.name === "save") saved = step.name;
      if (specOf(op.name).aligns === undefined) continue;
      const align = { op: op as AlignOp["op"], place: { step: step.name, stepIndex, opIndex } };
      if (op.name === "stitch" && saved !== null) {
        throw new TilecastError(
          "ERR_PIPELINE",
          `step "${saved}": save() comes before stitch; a well has one image, the stitched one`,
          { argument: "save" },
        );
      }
      if (op.name === "stitch" && found.some((f) => f.op.name === "stitch")) {
        throw new TilecastError(
          "ERR_PIPELINE",
          `step "${step.name}": fields are stitched twice; after the first stitch a well has one image`,
          { argument: "stitch" },
        );
      }
      found.push(align);
    }
  }
  return found;
}
