// SPDX-License-Identifier: MIT
// Compiles op.stitch and op.register once it is known where images lie: canvases, and images put onto them one after another.

import { TilecastError } from "../errors.js";
import type { DType } from "../image/dtype.js";
import type { Plate } from "../plates/plate.js";
import { type Alignment, type Alignments, type AlignOp, alignmentKey, memberOf } from "./alignment.js";
import { fieldPlaces, type GridParameters, type Point } from "./field-grid.js";
import type { Instruction, Mosaic } from "./plan.js";
import { describeStream, type ProgramBuilder, type Stream, type Value } from "./stream.js";

const wide: readonly DType[] = ["uint32", "int32", "float64"];

/** dtype that images are added up in (native/src/ops/mosaic.h). */
export function canvasType(image: DType, blend: unknown): DType {
  if (blend !== "linear") return image;
  return wide.includes(image) ? "float64" : "float32";
}

/** The mosaic's number in the job, which is made at its first mention. */
function mosaicOf(builder: ProgramBuilder, mosaic: Mosaic): number {
  const key = JSON.stringify(mosaic);
  const at = builder.mosaics.findIndex((m) => JSON.stringify(m) === key);
  return at >= 0 ? at : builder.mosaics.push(mosaic) - 1;
}

/** A canvas for images at `places`, moved so that the first pixel of all is the canvas' first. */
function canvasFor(
  places: ReadonlyMap<number, Point>,
  sites: readonly number[],
  image: Value,
  whole: boolean,
) {
  const all = sites.map((site) => places.get(site) as Point);
  const top = Math.min(...all.map((p) => p.y));
  const left = Math.min(...all.map((p) => p.x));
  const round = (v: number) => (whole ? Math.round(v) : Math.round(v * 1000) / 1000);
  const at = new Map(
    sites.map((site, i): [number, Point] => {
      const p = all[i] as Point;
      return [site, { y: round(p.y - top), x: round(p.x - left) }];
    }),
  );
  const moved = [...at.values()];
  return {
    at,
    height: Math.floor(Math.max(...moved.map((p) => p.y))) + image.height,
    width: Math.floor(Math.max(...moved.map((p) => p.x))) + image.width,
  };
}

function sameAsFirst(first: Value, value: Value, s: Stream, step: string): void {
  if (first.height === value.height && first.width === value.width && first.dtype === value.dtype) return;
  throw new TilecastError(
    "ERR_PIPELINE",
    `step "${step}": stitch would mix ${first.width} x ${first.height} ${first.dtype} with ${describeStream(s)}, ${value.width} x ${value.height} ${value.dtype}`,
    { argument: "stitch" },
  );
}

/** Where the well's fields lie: as found, else as expected. */
function placesOf(
  align: AlignOp,
  plate: Plate,
  alignments: Alignments,
  s: Stream,
  value: Value,
): ReadonlyMap<number, Point> {
  const found = alignments.get(alignmentKey(align, s));
  if (found !== undefined) return new Map(found.images.map((i) => [i.member, i]));
  const where = `step "${align.place.step}": stitch`;
  return fieldPlaces(plate, align.op.parameters as GridParameters, value, s.pixelRatio, where);
}

/** One image that fields are put onto. */
interface Canvas {
  readonly first: Stream;
  readonly image: Value;
  readonly value: Value;
  readonly places: ReturnType<typeof canvasFor>;
  /** Those that have been put, in order, and the instructions that know the mosaic by number. */
  readonly put: number[];
  readonly instructions: Instruction[];
}

/**
 * Stitches streams that differ in their site only. `streams(site)` compiles one site up to the stitch; it is called for one after the other,
 * so that one field at a time is in memory. The canvas has room for all of `wellSites`.
 */
export function compileStitch(
  builder: ProgramBuilder,
  align: AlignOp,
  plate: Plate,
  alignments: Alignments,
  wellSites: readonly number[],
  sites: readonly number[],
  streams: (site: number) => readonly Stream[],
): Stream[] {
  const { op, place } = align;
  const { blend, interpolation } = op.parameters as {
    blend: NonNullable<Instruction["blend"]>;
    interpolation: NonNullable<Instruction["placing"]>;
  };
  const canvases = new Map<string, Canvas>();
  const begin = (s: Stream, image: Value): Canvas => {
    const found = placesOf(align, plate, alignments, s, image);
    const places = canvasFor(found, wellSites, image, interpolation === "nearest");
    const dtype = canvasType(image.dtype, blend);
    const value = builder.emit(
      { op: "canvas", stage: place.step, dtype },
      dtype,
      places.height,
      places.width,
    );
    return { first: s, image, value, places, put: [], instructions: [builder.code.at(-1) as Instruction] };
  };
  for (const site of sites) {
    for (const s of streams(site)) {
      const key = `${s.channel}/${s.z}/${s.timepoint}`;
      const image = builder.materialize(s, place.step);
      const canvas = canvases.get(key) ?? begin(s, image);
      canvases.set(key, canvas);
      sameAsFirst(canvas.image, image, s, place.step);
      const instruction: Instruction = {
        op: "place",
        stage: place.step,
        in: image.reg,
        inputs: [canvas.value.reg],
        image: canvas.put.push(site) - 1,
        blend,
        placing: interpolation,
      };
      canvas.instructions.push(instruction);
      builder.run(instruction);
    }
  }
  return [...canvases.values()].map(({ first, image, value, places, put, instructions }): Stream => {
    const at = put.map((site) => places.at.get(site) as Point);
    const number = mosaicOf(builder, {
      height: places.height,
      width: places.width,
      imageHeight: image.height,
      imageWidth: image.width,
      y: at.map((p) => p.y),
      x: at.map((p) => p.x),
    });
    for (const instruction of instructions) instruction.mosaic = number;
    const { dtype } = image;
    const done =
      value.dtype === dtype
        ? value
        : builder.emit(
            { op: "apply", name: "convert", stage: place.step, in: value.reg, arguments: { dtype } },
            dtype,
            value.height,
            value.width,
          );
    return {
      ...first,
      plane: null,
      value: done,
      results: new Map(),
      planesMeasured: new Set(),
      image: null,
      pending: null,
    };
  });
}

/** Moves one stream to where its group's first image lies. */
export function compileRegister(
  builder: ProgramBuilder,
  align: AlignOp,
  alignments: Alignments,
  s: Stream,
): void {
  const { op, place } = align;
  const found: Alignment | undefined = alignments.get(alignmentKey(align, s));
  const at = found?.images.find((i) => i.member === memberOf(op, s));
  if (at === undefined) return;
  const interpolation = op.parameters.interpolation as "nearest" | "linear" | "cubic";
  const nearest = interpolation === "nearest";
  const y = nearest ? Math.round(at.y) : at.y;
  const x = nearest ? Math.round(at.x) : at.x;
  if (y === 0 && x === 0) return;
  const image = builder.materialize(s, place.step);
  const { height, width, dtype } = image;
  const mosaic = mosaicOf(builder, {
    height,
    width,
    imageHeight: height,
    imageWidth: width,
    y: [y],
    x: [x],
  });
  s.value = builder.emit(
    {
      op: "move",
      stage: place.step,
      in: image.reg,
      mosaic,
      spline: interpolation === "linear" ? "linear" : "cubic",
    },
    dtype,
    height,
    width,
  );
}
