// SPDX-License-Identifier: MIT
// Compiles op.measure: which images it measures on, and the columns of the table.

import { TilecastError } from "../errors.js";
import { columnsOf, type Feature, isImageFeature, isPairFeature } from "../ops/families/features.js";
import type { Op } from "../ops/op.js";
import type { ImageSource } from "../ops/parameter.js";
import type { Plate } from "../plates/plate.js";
import { findImage } from "./image-source.js";
import type { Program } from "./plan.js";
import type { Place, ProgramBuilder, Stream, Value } from "./stream.js";

/** Columns of the table, the union over all chains: what they show, of which images by suffix (none, one, two). */
export interface MeasureColumns {
  readonly columns: { readonly name: string; readonly kind: string; readonly suffixes: readonly string[] }[];
}

const ofShape = (f: Feature): boolean => !isImageFeature(f) && !isPairFeature(f);

/** Named images: one unnamed (""), or by column suffix. */
export function sourcesOf(intensity: unknown): [string, ImageSource][] {
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
  const sources = wanted.every(ofShape) ? [] : sourcesOf(op.parameters.intensity);
  const pair = wanted.find(isPairFeature);
  if (pair !== undefined && sources.length < 2) {
    throw new TilecastError(
      "ERR_PIPELINE",
      `step "${place.step}": measure: "${pair}" compares two images; name them in "intensity", such as { a: { channel: 1 }, b: { channel: 2 } }`,
      { argument: "intensity" },
    );
  }
  const images = sources.map(([suffix, source]) => ({
    suffix,
    value: findImage(
      source,
      { op: "measure", argument: "intensity", stream: s, streams, place, plate },
      s.value as Value,
      "labels are",
    ),
  }));
  const mine = new Set<string>();
  const add = (kind: string, ...suffixes: string[]) => {
    const name = [kind, ...suffixes.filter(Boolean)].join("_");
    if (!table.columns.some((c) => c.name === name)) table.columns.push({ name, kind, suffixes });
    mine.add(name);
  };
  const kindsOf = (which: (f: Feature) => boolean) =>
    wanted.filter(which).flatMap((f) => columnsOf[f] ?? [f]);
  add("label");
  for (const kind of kindsOf(ofShape)) add(kind);
  for (const { suffix } of images) for (const kind of kindsOf(isImageFeature)) add(kind, suffix);
  for (const [i, a] of images.entries()) {
    for (const b of images.slice(i + 1)) {
      for (const kind of kindsOf(isPairFeature)) add(kind, a.suffix, b.suffix);
    }
  }
  const texture = op.parameters as {
    textureLevels: number;
    textureDistance: number;
    textureRange?: readonly [number, number];
    mandersThreshold: number;
  };
  builder.run({
    op: "measure",
    stage: place.step,
    in: (s.value as Value).reg,
    part,
    inputs: images.map((i) => i.value.reg),
    own: [...mine],
    suffixes: images.map((i) => i.suffix),
    ...(wanted.includes("haralick")
      ? {
          texture: {
            levels: texture.textureLevels,
            distance: texture.textureDistance,
            ...(texture.textureRange === undefined ? {} : { range: texture.textureRange }),
          },
        }
      : {}),
    ...(wanted.includes("manders") ? { threshold: texture.mandersThreshold } : {}),
  });
}

/** Once every chain is compiled: each measurement's list over the whole table's columns; what a chain lacks stays empty. */
export function fillColumns(programs: readonly Program[], table: MeasureColumns): void {
  for (const instruction of programs.flatMap((p) => p.code)) {
    if (instruction.op !== "measure") continue;
    instruction.columns = table.columns.map((c) => {
      if (!instruction.own?.includes(c.name)) return { kind: "empty", image: -1 };
      const [image = -1, other = -1] = c.suffixes.map((s) => (instruction.suffixes ?? []).indexOf(s));
      return { kind: c.kind, image, ...(other < 0 ? {} : { other }) };
    });
  }
}
