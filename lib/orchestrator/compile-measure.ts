// SPDX-License-Identifier: MIT
// Compiles op.measure: which images it measures on, and the columns of the table.

import { TilecastError } from "../errors.js";
import type { Feature } from "../ops/families/segmentation.js";
import type { Op } from "../ops/op.js";
import type { ImageSource } from "../ops/parameter.js";
import type { Plate } from "../plates/plate.js";
import { findImage } from "./image-source.js";
import type { Program } from "./plan.js";
import type { Place, ProgramBuilder, Stream, Value } from "./stream.js";

/** Columns of the table, the union over all chains. */
export interface MeasureColumns {
  readonly columns: { readonly name: string; readonly kind: string; readonly suffix: string }[];
}

const parts: Partial<Record<Feature, readonly string[]>> = {
  centroid: ["centroid_y", "centroid_x"],
  bbox: ["bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1"],
};

function isIntensity(feature: Feature): boolean {
  return feature.endsWith("_intensity");
}

/** Named images: one unnamed (""), or by column suffix. */
function sourcesOf(intensity: unknown): [string, ImageSource][] {
  if (intensity === undefined) return [["", {}]];
  if (typeof intensity === "string") return [["", intensity]];
  const o = intensity as Record<string, ImageSource> | { step?: string; channel?: number | string };
  const keys = Object.keys(o);
  const single =
    keys.every((k) => k === "step" || k === "channel") &&
    Object.values(o).every((v) => typeof v !== "object");
  return single ? [["", o as ImageSource]] : Object.entries(o as Record<string, ImageSource>);
}

/** Emits the measurement of one stream. */
export function applyMeasure(
  builder: ProgramBuilder,
  op: Op,
  s: Stream,
  place: Place,
  plate: Plate,
  streams: readonly Stream[],
  table: MeasureColumns,
  part: number,
): void {
  if (s.measured) {
    throw new TilecastError(
      "ERR_PIPELINE",
      `step "${place.step}": channel ${s.channel} is measured twice; put all features into one measure()`,
      { argument: "measure" },
    );
  }
  s.measured = true;
  const wanted = op.parameters.features as readonly Feature[];
  const sources = wanted.some(isIntensity) ? sourcesOf(op.parameters.intensity) : [];
  const images = sources.map(([suffix, source]) => ({
    suffix,
    value: findImage(
      source,
      { op: "measure", argument: "intensity", stream: s, streams, place, plate },
      s.value as Value,
      "labels are",
    ),
  }));
  const add = (name: string, kind: string, suffix: string) => {
    if (!table.columns.some((c) => c.name === name)) table.columns.push({ name, kind, suffix });
  };
  const mine = new Set<string>(["label"]);
  add("label", "label", "");
  for (const feature of wanted) {
    if (isIntensity(feature)) continue;
    for (const kind of parts[feature] ?? [feature]) {
      add(kind, kind, "");
      mine.add(kind);
    }
  }
  for (const { suffix } of images) {
    for (const feature of wanted.filter(isIntensity)) {
      const name = suffix === "" ? feature : `${feature}_${suffix}`;
      add(name, feature, suffix);
      mine.add(name);
    }
  }
  builder.run({
    op: "measure",
    stage: place.step,
    in: (s.value as Value).reg,
    part,
    inputs: images.map((i) => i.value.reg),
    own: [...mine],
    suffixes: images.map((i) => i.suffix),
  });
}

/** Once every chain is compiled: each measurement's list over the whole table's columns; what a chain lacks stays empty. */
export function fillColumns(programs: readonly Program[], table: MeasureColumns): void {
  for (const instruction of programs.flatMap((p) => p.code)) {
    if (instruction.op !== "measure") continue;
    instruction.columns = table.columns.map((c) =>
      instruction.own?.includes(c.name)
        ? {
            kind: c.kind,
            image: c.kind.endsWith("_intensity") ? (instruction.suffixes ?? []).indexOf(c.suffix) : -1,
          }
        : { kind: "empty", image: -1 },
    );
  }
}
