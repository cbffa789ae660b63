// SPDX-License-Identifier: MIT
// The compiler's state: a program under construction and the image streams that flow through it.

import { TilecastError } from "../errors.js";
import { type DType, dtypeSize } from "../image/dtype.js";
import type { Op } from "../ops/op.js";
import type { Size, TileKind } from "../ops/spec.js";
import { specOf } from "../ops/table.js";
import type { PlaneRef } from "../plates/plate.js";
import type { Instruction, Job, Mosaic, Program, ThresholdMethod } from "./plan.js";

/** A register with what is known of the tile in it. */
export interface Value {
  readonly reg: number;
  readonly dtype: DType;
  readonly height: number;
  readonly width: number;
}

/** Where an op stands, for messages and for naming an estimate. */
export interface Place {
  readonly step: string;
  readonly stepIndex: number;
  readonly opIndex: number;
}

/** One image on its way through the steps: a plane, or what planes were projected into. */
export interface Stream {
  readonly well: string;
  readonly site: number;
  readonly channel: number;
  readonly z: number | null;
  readonly timepoint: number;
  /** Acquired pixels that a pixel is high and wide: more than 1 after bin and resize. */
  pixelRatio: Size;
  /** Set until the plane is read. */
  plane: PlaneRef | null;
  value: Value | null;
  kind: TileKind;
  /** A threshold not carried out yet, so that a label right after it needs no mask in memory. */
  pending: { readonly method: ThresholdMethod; readonly value: number; readonly place: Place } | null;
  /** Results of earlier steps, for measure. */
  readonly results: Map<string, Value>;
  /** The image that is written, once it exists. */
  image: Value | null;
  /** Ops carried out so far. */
  position: number;
  measured: boolean;
  /** Steps in which its plane was measured. */
  readonly planesMeasured: Set<string>;
  /** Of its label image, once it is labels. */
  labelName: string;
}

/** Whether one place comes before another in a pipeline. */
export function isBefore(a: Pick<Place, "stepIndex" | "opIndex">, b: Pick<Place, "stepIndex" | "opIndex">) {
  return a.stepIndex < b.stepIndex || (a.stepIndex === b.stepIndex && a.opIndex < b.opIndex);
}

/** A plane before the first op. */
export function streamOf(plane: PlaneRef): Stream {
  return {
    well: plane.well,
    site: plane.site,
    channel: plane.channel,
    z: plane.z_index,
    timepoint: plane.timepoint,
    pixelRatio: { height: 1, width: 1 },
    plane,
    value: null,
    kind: "image",
    pending: null,
    results: new Map(),
    image: null,
    position: 0,
    measured: false,
    planesMeasured: new Set(),
    labelName: "objects",
  };
}

export function describeStream(s: Stream): string {
  const z = s.z === null ? "" : `, z ${s.z}`;
  return `channel ${s.channel} (well ${s.well}, site ${s.site}, timepoint ${s.timepoint}${z})`;
}

export class ProgramBuilder {
  readonly sources: PlaneRef[] = [];
  /** Streams that are measured or written, in the order of first use. */
  readonly parts: Stream[] = [];
  readonly code: Instruction[] = [];
  readonly mosaics: Mosaic[] = [];
  #registers = 0;
  #largest = 0;

  emit(instruction: Omit<Instruction, "out">, dtype: DType, height: number, width: number): Value {
    const reg = this.#registers++;
    this.code.push({ ...instruction, out: reg });
    this.reserve(dtype, height, width);
    return { reg, dtype, height, width };
  }

  run(instruction: Instruction): void {
    this.code.push(instruction);
  }

  /** Notes that a slot must hold such a tile. */
  reserve(dtype: DType, height: number, width: number): void {
    this.#largest = Math.max(this.#largest, height * width * dtypeSize(dtype));
  }

  source(plane: PlaneRef): number {
    this.reserve(plane.dtype, plane.height, plane.width);
    return this.sources.push(plane) - 1;
  }

  /** Number of the stream's plane, or of the first of those that it was made of. */
  sourceOf(s: Stream): number {
    return this.sources.findIndex(
      (p) => p.channel === s.channel && p.site === s.site && p.timepoint === s.timepoint,
    );
  }

  /** Number of the stream's part of the job. */
  part(s: Stream): number {
    const at = this.parts.findIndex(
      (p) => p.channel === s.channel && p.site === s.site && p.z === s.z && p.timepoint === s.timepoint,
    );
    return at >= 0 ? at : this.parts.push(s) - 1;
  }

  get largestTile(): number {
    return this.#largest;
  }

  program(): Program {
    return { registers: this.#registers, code: this.code };
  }

  /** The stream's tile in a register: read from its file, or its pending threshold carried out. */
  materialize(stream: Stream, stage: string): Value {
    if (stream.plane !== null) {
      const p = stream.plane;
      stream.plane = null;
      stream.value = this.emit({ op: "read", stage, sources: [this.source(p)] }, p.dtype, p.height, p.width);
    }
    const value = stream.value as Value;
    if (stream.pending === null) return value;
    const { method, value: level, place } = stream.pending;
    stream.pending = null;
    stream.value = this.emit(
      { op: "threshold", stage: place.step, in: value.reg, method, a: level },
      "uint8",
      value.height,
      value.width,
    );
    return stream.value;
  }
}

/** dtype of the stream's tile as the next op sees it. */
export function dtypeOf(stream: Stream): DType {
  if (stream.pending !== null) return "uint8";
  return stream.plane?.dtype ?? (stream.value as Value).dtype;
}

/** What the streams of one stack have in common; throws ERR_PIPELINE when they differ in size or dtype. */
export function requireAlike(
  op: Op,
  members: readonly Stream[],
  place: Place,
): { readonly dtype: DType; readonly height: number; readonly width: number } {
  const first = members[0] as Stream;
  const size = (s: Stream) => (s.plane ?? s.value) as { dtype: DType; height: number; width: number };
  const { dtype, height, width } = size(first);
  for (const m of members) {
    const o = size(m);
    if (o.dtype === dtype && o.height === height && o.width === width) continue;
    throw new TilecastError(
      "ERR_PIPELINE",
      `step "${place.step}": ${op.name} would mix ${describeStream(first)}, ${width} x ${height} ${dtype}, with ${describeStream(m)}, ${o.width} x ${o.height} ${o.dtype}`,
      { argument: op.name },
    );
  }
  return { dtype, height, width };
}

const nouns: Readonly<Record<TileKind, string>> = { image: "an image", mask: "a mask", labels: "labels" };

/** What to do where an op meets the wrong kind. */
function hintFor(takes: readonly TileKind[], kind: TileKind): string {
  if (kind === "labels") {
    return "labels can be measured, expanded, filtered, cropped and turned";
  }
  if (takes.includes("labels")) return "put label() before it";
  if (takes.includes("mask")) return "put otsu() or threshold() before it";
  return "a mask is not an image: give it to label(), or save it";
}

/** Refuses an op that does not fit what flows: kind and dtype, before any pixel is read. */
export function checkFit(op: Op, stream: Stream, place: Place): void {
  const spec = specOf(op.name);
  const where = `step "${place.step}": ${op.name}`;
  if (!spec.takes.includes(stream.kind)) {
    const hint = hintFor(spec.takes, stream.kind);
    throw new TilecastError(
      "ERR_PIPELINE",
      `${where} takes ${spec.takes.join(" or ")}, and ${describeStream(stream)} is ${nouns[stream.kind]} here; ${hint}`,
      { argument: op.name },
    );
  }
  const dtype = dtypeOf(stream);
  if (!spec.accepts.includes(dtype)) {
    throw new TilecastError(
      "ERR_OP_DTYPE",
      `${where} does not take ${dtype}, which ${describeStream(stream)} is here; expected ${spec.accepts.join(", ")}. Put op.convert({ dtype: "float32" }) before it`,
      { argument: op.name },
    );
  }
}

/** A job that leaves nothing: what its program finds in the stream's image becomes part of a resource. */
export function jobOfResource(builder: ProgramBuilder, program: number, stream: Stream): Job {
  const { well, site, timepoint, z, channel } = stream;
  return {
    program,
    tileBytes: builder.largestTile,
    well,
    site,
    timepoint,
    z,
    channels: [channel],
    sources: builder.sources,
    outputs: [],
    mosaics: builder.mosaics,
    thumbnails: [],
    parts: [],
    views: [],
  };
}
