// SPDX-License-Identifier: MIT
// Compiles op.measurePlane: the columns of planes.csv, and the images that a plane is compared with.

import { TilecastError } from "../errors.js";
import { type PlaneFeature, planeColumns, planePairFeatures } from "../ops/families/features.js";
import type { Op } from "../ops/op.js";
import type { Plate } from "../plates/plate.js";
import { sourcesOf } from "./compile-measure.js";
import { findImage } from "./image-source.js";
import type { Program } from "./plan.js";
import type { Place, ProgramBuilder, Stream, Value } from "./stream.js";

/** Columns of planes.csv, the union over all chains. */
export type PlaneColumns = string[];

interface Values {
  readonly features: readonly PlaneFeature[];
  readonly with?: unknown;
  readonly percentiles: readonly number[];
  readonly saturation?: number;
  readonly bins: number;
  readonly range?: readonly [number, number];
  readonly mandersThreshold: number;
}

const isPair = (f: PlaneFeature): boolean => (planePairFeatures as readonly string[]).includes(f);

/** Emits the measurement of one stream's plane. */
export function applyMeasurePlane(
  builder: ProgramBuilder,
  op: Op,
  s: Stream,
  input: Value,
  place: Place,
  plate: Plate,
  streams: readonly Stream[],
  table: PlaneColumns,
): void {
  const wrong = (argument: string, says: string) =>
    new TilecastError("ERR_PIPELINE", `step "${place.step}": measurePlane: ${says}`, { argument });
  if (s.planesMeasured.has(place.step)) {
    throw wrong(
      "measurePlane",
      `channel ${s.channel} is measured twice in a step; put all features into one`,
    );
  }
  s.planesMeasured.add(place.step);
  const p = op.parameters as unknown as Values;
  const pair = p.features.find(isPair);
  if (pair !== undefined && p.with === undefined) {
    throw wrong("with", `"${pair}" compares the plane with another image; name it in "with"`);
  }
  const others = (pair === undefined ? [] : sourcesOf(p.with)).map(([suffix, source]) => ({
    suffix,
    value: findImage(
      source,
      { op: "measurePlane", argument: "with", stream: s, streams, place, plate },
      input,
      "plane is",
    ),
  }));
  const columns: { name: string; kind: string; at?: number; image?: number }[] = [];
  for (const feature of p.features) {
    if (isPair(feature)) {
      for (const [image, { suffix }] of others.entries()) {
        for (const kind of planeColumns[feature] ?? [feature]) {
          columns.push({ name: suffix === "" ? kind : `${kind}_${suffix}`, kind, image });
        }
      }
    } else if (feature === "percentiles") {
      for (const q of p.percentiles) columns.push({ name: `percentile_${q}`, kind: "percentile", at: q });
    } else if (feature === "histogram") {
      for (let i = 0; i < p.bins; i++) columns.push({ name: `histogram_${i}`, kind: "histogram", at: i });
    } else columns.push({ name: feature, kind: feature });
  }
  for (const { name } of columns) if (!table.includes(name)) table.push(name);
  const integer = {
    uint8: 2 ** 8,
    int8: 2 ** 7,
    uint16: 2 ** 16,
    int16: 2 ** 15,
    uint32: 2 ** 32,
    int32: 2 ** 31,
  };
  const top = (integer as Record<string, number>)[input.dtype];
  if (p.features.includes("saturated") && p.saturation === undefined && top === undefined) {
    throw wrong("saturation", `a ${input.dtype} image has no greatest value; give "saturation"`);
  }
  if (p.features.includes("histogram") && p.range === undefined && top === undefined) {
    throw wrong("range", `a ${input.dtype} image has no range of its own; give "range" for the histogram`);
  }
  const low = input.dtype.startsWith("int") ? -(top ?? 0) : 0;
  builder.run({
    op: "measurePlane",
    stage: place.step,
    in: input.reg,
    part: builder.part(s),
    inputs: others.map((o) => o.value.reg),
    planeColumns: columns,
    cell: /[",\n\r]/.test(place.step) ? `"${place.step.replaceAll('"', '""')}"` : place.step,
    saturation: p.saturation ?? (top ?? Number.POSITIVE_INFINITY) - 1,
    bins: p.bins,
    range: p.range ?? [low, top ?? 1],
    threshold: p.mandersThreshold,
  });
}

/** Once every chain is compiled: each measurement's list over the whole table's columns; what it lacks stays empty. */
export function fillPlaneColumns(programs: readonly Program[], table: PlaneColumns): void {
  for (const instruction of programs.flatMap((p) => p.code)) {
    const mine = instruction.planeColumns;
    if (mine === undefined) continue;
    instruction.planeColumns = table.map(
      (name) => mine.find((c) => c.name === name) ?? { name, kind: "empty" },
    );
  }
}
