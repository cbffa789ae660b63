// SPDX-License-Identifier: MIT
// Compiles op.measure: which images it measures on, and the columns of the table.

import { TilecastError } from "../errors.js";
import type { Op } from "../ops/op.js";
import type { Feature, IntensitySource } from "../ops/table.js";
import type { Plate } from "../plates/plate.js";
import { resolveChannel } from "./channel.js";
import type { Program } from "./plan.js";
import { describeStream, type Place, type ProgramBuilder, type Stream, type Value } from "./stream.js";

/** Columns of the table, the union over all chains, and whether any chain measures on another channel. */
export interface MeasureColumns {
  columns: { readonly name: string; readonly kind: string; readonly suffix: string }[];
  joint: boolean;
}

const parts: Partial<Record<Feature, readonly string[]>> = {
  centroid: ["centroid_y", "centroid_x"],
  bbox: ["bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1"],
};

function isIntensity(feature: Feature): boolean {
  return feature.endsWith("_intensity");
}

/** Named images: one unnamed (""), or by column suffix. */
function sourcesOf(intensity: unknown): [string, IntensitySource][] {
  if (intensity === undefined) return [["", {}]];
  if (typeof intensity === "string") return [["", intensity]];
  const o = intensity as Record<string, IntensitySource> | { step?: string; channel?: number | string };
  const keys = Object.keys(o);
  const single =
    keys.every((k) => k === "step" || k === "channel") &&
    Object.values(o).every((v) => typeof v !== "object");
  return single ? [["", o as IntensitySource]] : Object.entries(o as Record<string, IntensitySource>);
}

function find(
  source: IntensitySource,
  s: Stream,
  streams: readonly Stream[],
  place: Place,
  plate: Plate,
): Value {
  const { step, channel } = typeof source === "string" ? { step: source, channel: undefined } : source;
  const where = `step "${place.step}": measure`;
  const of =
    channel === undefined
      ? s
      : streams.find(
          (x) =>
            x.channel === resolveChannel(plate, channel, where) &&
            x.z === s.z &&
            x.timepoint === s.timepoint &&
            x.site === s.site,
        );
  if (of === undefined) {
    throw new TilecastError(
      "ERR_PIPELINE",
      `${where}: channel ${channel} has no image in well ${s.well}, site ${s.site}`,
      { argument: "intensity" },
    );
  }
  const value = step === undefined ? of.image : of.results.get(step);
  if (value === undefined || value === null) {
    const known = [...of.results.keys()];
    throw new TilecastError(
      "ERR_PIPELINE",
      step === undefined
        ? `${where}: the image of ${describeStream(of)} is written only later; name a step in "intensity" (${known.join(", ")})`
        : `${where}: there is no earlier step "${step}" with an image for channel ${of.channel}; known: ${known.join(", ") || "none"}`,
      { argument: "intensity" },
    );
  }
  const labels = s.value as Value;
  if (value.height !== labels.height || value.width !== labels.width) {
    throw new TilecastError(
      "ERR_PIPELINE",
      `${where}: the image of ${describeStream(of)} is ${value.width} x ${value.height} px and the labels are ${labels.width} x ${labels.height}`,
      { argument: "intensity" },
    );
  }
  return value;
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
    value: find(source, s, streams, place, plate),
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
