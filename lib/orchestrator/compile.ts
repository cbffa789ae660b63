// SPDX-License-Identifier: MIT
// Compiles a pipeline against a plate: which planes form a job, and the instructions of each job. No pixel is read here.

import { TilecastError } from "../errors.js";
import type { Op } from "../ops/op.js";
import type { TileKind } from "../ops/spec.js";
import { specOf } from "../ops/table.js";
import type { PlaneRef, Plate } from "../plates/plate.js";
import { type Alignments, type AlignOp, alignOps } from "./alignment.js";
import { resolveChannel } from "./channel.js";
import { choosePlanes } from "./choose-planes.js";
import { type AlignPhase, compileAlignPhase } from "./compile-align.js";
import { applyNative, changesLabels } from "./compile-apply.js";
import { applyMeasure, fillColumns, type MeasureColumns } from "./compile-measure.js";
import { applyMeasurePlane, fillPlaneColumns, type PlaneColumns } from "./compile-measure-plane.js";
import { compileRegister, compileStitch } from "./compile-mosaic.js";
import { compileProjection, isProjection, overOf } from "./compile-project.js";
import { compileStack, isStackOp } from "./compile-stack.js";
import { ViewCompiler, type ViewWishes } from "./compile-view.js";
import { namedImages, takesOtherChannels } from "./image-source.js";
import { layOut, type PendingOutput } from "./layout-plate.js";
import type { Pipeline, Step } from "./pipeline.js";
import type { Job, JobView, Mosaic, Plan, Program } from "./plan.js";
import { type Estimate, ResourceTable } from "./resource-table.js";
import {
  checkFit,
  describeStream,
  isBefore,
  jobOfResource,
  type Place,
  ProgramBuilder,
  type Stream,
  streamOf,
  type Value,
} from "./stream.js";
import { makesLabels, writePoint } from "./write-point.js";

export interface CompileOptions {
  /** Only these wells. Default: all of the plate's. */
  readonly wells?: readonly string[];
  /** Pyramid levels of written images: a number, or by size (halved until the longer side is at most 256 px). */
  readonly levels?: number;
  /** What sinks want of it. Default: nothing. */
  readonly views?: ViewWishes;
  /** Where images lie, as far as it has been found. Else fields lie where they are expected, and nothing has moved. */
  readonly alignments?: Alignments;
}

/** Where the streams of a job leave what they make; null in an estimate, which leaves nothing. */
interface Leaving {
  readonly outputs: PendingOutput[];
  readonly thumbnails: number[];
  readonly views: ViewCompiler;
}

/** The chain that a step has for a channel, or null. */
function chainFor(step: Step, plate: Plate, channel: number): readonly Op[] | null {
  if (step.chain !== null) return step.chain;
  for (const [key, chain] of Object.entries(step.chains ?? {})) {
    if (resolveChannel(plate, key, `step "${step.name}"`) === channel) return chain;
  }
  return null;
}

/** Parameters as the table has checked them; each op uses its own. */
interface OpValues {
  readonly value?: number;
  readonly minArea: number;
  readonly maxArea?: number;
  readonly clearBorder: boolean;
  readonly name: string;
  readonly module: string;
  readonly export: string;
  readonly params?: unknown;
  readonly kind: TileKind;
}

/** Compiles one run. Throws ERR_PIPELINE, ERR_OP_DTYPE before any pixel is read. */
export function compile(pipeline: Pipeline, plate: Plate, options: CompileOptions = {}): Plan {
  return new Compiler(pipeline, plate, options).compile();
}

/** What finds how the images of one of the pipeline's ops lie, those before it having been found. */
export function compileAlignment(
  pipeline: Pipeline,
  plate: Plate,
  options: CompileOptions,
  align: AlignOp,
): AlignPhase {
  return new Compiler(pipeline, plate, options).alignPhase(align);
}

class Compiler {
  readonly #programs: Program[] = [];
  readonly #programIds = new Map<string, number>();
  readonly #resources = new ResourceTable();
  readonly #flat = new Map<number, readonly Op[]>();
  readonly #measure: MeasureColumns = { columns: [] };
  readonly #planeColumns: PlaneColumns = [];
  readonly #named: ReturnType<typeof namedImages>;
  readonly #aligns: readonly AlignOp[];
  readonly #alignments: Alignments;
  readonly #stitch: AlignOp | undefined;
  readonly #sites = new Map<string, Set<number>>();

  constructor(
    readonly pipeline: Pipeline,
    readonly plate: Plate,
    readonly options: CompileOptions,
  ) {
    this.#named = namedImages(pipeline.steps);
    this.#aligns = alignOps(pipeline.steps);
    this.#alignments = options.alignments ?? new Map();
    for (const { op, place } of this.#aligns) {
      const channel = op.parameters.channel as number | string | undefined;
      if (channel !== undefined) resolveChannel(plate, channel, `step "${place.step}": ${op.name}`);
    }
    this.#stitch = this.#aligns.find(({ op }) => op.name === "stitch");
  }

  compile(): Plan {
    const { pipeline, plate, options } = this;
    if (pipeline.steps.length === 0)
      throw new TilecastError("ERR_PIPELINE", `pipeline "${pipeline.name}" has no step`);
    for (const step of pipeline.steps) {
      for (const key of Object.keys(step.chains ?? {})) resolveChannel(plate, key, `step "${step.name}"`);
    }
    const collapsed = this.#collapsed(null);
    if (this.#stitch) {
      if (this.#collapsed(this.#stitch.place).has("site")) {
        throw new TilecastError(
          "ERR_PIPELINE",
          `step "${this.#stitch.place.step}": stitch comes after a projection over sites, which leaves one field`,
          { argument: "stitch" },
        );
      }
      collapsed.add("site");
    }
    const { planes, unused } = this.#choose();
    const groups = new Map<string, PlaneRef[]>();
    for (const p of planes) {
      const key = [
        p.well,
        collapsed.has("timepoint") ? "" : p.timepoint,
        collapsed.has("site") ? "" : p.site,
        this.#named.acrossChannels ? "" : p.channel,
        collapsed.has("z_index") || p.z_index === null ? "" : p.z_index,
      ].join("/");
      const group = groups.get(key);
      if (group) group.push(p);
      else groups.set(key, [p]);
    }

    const drafts: {
      program: number;
      tileBytes: number;
      sources: PlaneRef[];
      parts: Stream[];
      outputs: PendingOutput[];
      mosaics: Mosaic[];
      thumbnails: number[];
      views: JobView[];
      streams: Stream[];
    }[] = [];
    for (const group of groups.values()) {
      const builder = new ProgramBuilder();
      const leaving: Leaving = {
        outputs: [],
        thumbnails: [],
        views: new ViewCompiler(builder, options.views ?? null),
      };
      const streams = this.#runSteps(builder, group, null, leaving);
      drafts.push({
        program: this.#intern(builder),
        tileBytes: builder.largestTile,
        sources: builder.sources,
        parts: builder.parts,
        outputs: leaving.outputs,
        mosaics: builder.mosaics,
        thumbnails: leaving.thumbnails,
        views: leaving.views.views,
        streams,
      });
    }
    this.#resources.fillEstimates((e, group) => this.#estimateJob(e, group));
    fillColumns(this.#programs, this.#measure);
    fillPlaneColumns(this.#programs, this.#planeColumns);

    const layout = layOut(
      plate,
      drafts.flatMap((d) => d.outputs),
      options.levels,
    );
    const withZ = drafts.some((d) => d.streams.some((s) => s.z !== null));
    const measured = this.#measure.columns.length > 0;
    const keys = ["plate", "well", "site", "channel", "timepoint", ...(withZ ? ["z_index"] : [])];
    const jobs = drafts.map((d): Job => {
      const s = d.streams[0] as Stream;
      return {
        program: d.program,
        tileBytes: d.tileBytes,
        well: s.well,
        site: s.site,
        timepoint: s.timepoint,
        z: d.streams.every((x) => x.z === s.z) ? s.z : null,
        channels: [...new Set(d.streams.map((x) => x.channel))].sort((a, b) => a - b),
        sources: d.sources,
        outputs: d.outputs.map((o) => layout.output(o)),
        mosaics: d.mosaics,
        thumbnails: d.thumbnails,
        parts: d.parts.map((p) => {
          const cells = [
            csvCell(plate.name),
            p.well,
            p.site,
            p.channel,
            p.timepoint,
            ...(withZ ? [p.z ?? ""] : []),
          ];
          const planeCells = [csvCell(plate.name), p.well, p.site, p.channel, p.timepoint, p.z ?? ""];
          return {
            channel: p.channel,
            rowPrefix: `${cells.join(",")},`,
            planePrefix: `${planeCells.join(",")},`,
          };
        }),
        views: d.views,
      };
    });
    return {
      programs: this.#programs,
      resources: this.#resources.all,
      jobs,
      fields: layout.fields,
      wells: options.wells ?? plate.wells,
      columns: measured ? [...keys, ...this.#measure.columns.map((c) => c.name)] : [],
      keyColumns: measured ? keys.length : 0,
      planeColumns:
        this.#planeColumns.length > 0
          ? ["plate", "well", "site", "channel", "timepoint", "z_index", "step", ...this.#planeColumns]
          : [],
      unused,
      remarks: layout.remarks,
    };
  }

  /** The planes that are read. Throws where there are none. */
  #choose(): ReturnType<typeof choosePlanes> {
    const { pipeline, plate, options } = this;
    const unknown = (options.wells ?? []).filter((w) => !plate.wells.includes(w));
    if (unknown.length > 0) {
      throw new TilecastError(
        "ERR_INVALID_ARGUMENT",
        `wells: plate ${plate.name} has no ${unknown.join(", ")}`,
        { argument: "wells" },
      );
    }
    const chosen = choosePlanes(pipeline, plate, options.wells ? new Set(options.wells) : null);
    if (chosen.planes.length === 0) {
      throw new TilecastError(
        "ERR_PIPELINE",
        `pipeline "${pipeline.name}" reads no plane of plate ${plate.name}: ${chosen.unused[0]?.reason ?? "no well is selected"}`,
      );
    }
    for (const { well, site } of chosen.planes) {
      const sites = this.#sites.get(well);
      if (sites) sites.add(site);
      else this.#sites.set(well, new Set([site]));
    }
    return chosen;
  }

  /** Ops of every chain that are carried out before `place`, or all; with their steps. */
  #opsBefore(place: Place | null): { step: Step; op: Op }[] {
    return this.pipeline.steps.flatMap((step, stepIndex) =>
      [step.chain ?? [], ...Object.values(step.chains ?? {})].flatMap((chain) =>
        chain.flatMap((op, opIndex) =>
          place === null || isBefore({ stepIndex, opIndex }, place) ? [{ step, op }] : [],
        ),
      ),
    );
  }

  /** Components that are collapsed before `place`, or at all. */
  #collapsed(place: Place | null): Set<string> {
    const ops = this.#opsBefore(place);
    const projections = ops.filter(({ op }) => isProjection(op));
    const stacks = ops.some(({ op }) => isStackOp(op)) ? ["z_index"] : [];
    return new Set([...projections.flatMap(({ step, op }) => overOf(op, step)), ...stacks]);
  }

  alignPhase(align: AlignOp): AlignPhase {
    const { planes } = this.#choose();
    const collapsed = this.#collapsed(align.place);
    if (this.#stitch && isBefore(this.#stitch.place, align.place)) collapsed.add("site");
    const groups = compileAlignPhase(align, {
      plate: this.plate,
      planes,
      collapsed,
      acrossChannels: takesOtherChannels(this.#opsBefore(align.place).map(({ op }) => op)),
      resources: this.#resources,
      streams: (builder, group) => this.#runSteps(builder, group, align.place, null),
      intern: (builder) => this.#intern(builder),
    });
    this.#resources.fillEstimates((e, group) => this.#estimateJob(e, group));
    return {
      programs: this.#programs,
      resources: this.#resources.all,
      groups,
    };
  }

  #intern(builder: ProgramBuilder): number {
    const program = builder.program();
    const key = JSON.stringify(program);
    let id = this.#programIds.get(key);
    if (id === undefined) {
      id = this.#programs.push(program) - 1;
      this.#programIds.set(key, id);
    }
    return id;
  }

  /** Every op that a channel goes through, in order. */
  #opsOf(channel: number): readonly Op[] {
    let ops = this.#flat.get(channel);
    if (ops === undefined) {
      ops = this.pipeline.steps.flatMap((s) => chainFor(s, this.plate, channel) ?? []);
      if (ops.filter((o) => o.name === "save").length > 1) {
        throw new TilecastError("ERR_PIPELINE", `channel ${channel} is saved twice; a field has one image`, {
          argument: "save",
        });
      }
      this.#flat.set(channel, ops);
    }
    return ops;
  }

  /** Compiles the steps up to `stopAt`, or all: field by field up to the stitch if there is one. */
  #runSteps(
    builder: ProgramBuilder,
    planes: readonly PlaneRef[],
    stopAt: Place | null,
    leaving: Leaving | null,
  ): Stream[] {
    const stitch = this.#stitch;
    if (stitch === undefined || (stopAt !== null && !isBefore(stitch.place, stopAt))) {
      const streams = planes.map(streamOf);
      for (const s of streams) this.#maybeWrite(builder, s, leaving, null);
      return this.#carryOn(builder, streams, null, planes, stopAt, leaving);
    }
    const streams = this.#stitched(builder, planes, stitch);
    for (const s of streams) {
      s.position++;
      this.#maybeWrite(builder, s, leaving, stitch.place);
    }
    return this.#carryOn(builder, streams, stitch.place, planes, stopAt, leaving);
  }

  /** The images of a well that the stitch makes of `planes`. */
  #stitched(builder: ProgramBuilder, planes: readonly PlaneRef[], align: AlignOp): Stream[] {
    const { place, op } = align;
    const collapsed = this.#collapsed(place);
    const across = takesOtherChannels(this.#opsBefore(place).map((before) => before.op));
    const canvases = new Map<string, PlaneRef[]>();
    for (const p of planes) {
      const key = [
        collapsed.has("timepoint") ? "" : p.timepoint,
        across ? "" : p.channel,
        collapsed.has("z_index") || p.z_index === null ? "" : p.z_index,
      ].join("/");
      canvases.set(key, [...(canvases.get(key) ?? []), p]);
    }
    const ascending = (sites: Iterable<number>) => [...new Set(sites)].sort((a, b) => a - b);
    return [...canvases.values()].flatMap((mine) =>
      compileStitch(
        builder,
        align,
        this.plate,
        this.#alignments,
        ascending(this.#sites.get((mine[0] as PlaneRef).well) ?? []),
        ascending(mine.map((p) => p.site)),
        (site) => {
          const field = mine.filter((p) => p.site === site);
          const streams = this.#runSteps(builder, field, place, null);
          for (const s of streams) checkFit(op, s, place);
          return streams;
        },
      ),
    );
  }

  /** Takes streams through the ops after `from`, or from the first step on. */
  #carryOn(
    builder: ProgramBuilder,
    begin: Stream[],
    from: Place | null,
    planes: readonly PlaneRef[],
    stopAt: Place | null,
    leaving: Leaving | null,
  ): Stream[] {
    let streams = begin;
    for (const [stepIndex, step] of this.pipeline.steps.entries()) {
      if (from !== null && stepIndex < from.stepIndex) continue;
      const byChain = new Map<readonly Op[] | null, Stream[]>();
      for (const s of streams) {
        const chain = chainFor(step, this.plate, s.channel);
        byChain.set(chain, [...(byChain.get(chain) ?? []), s]);
      }
      streams = [];
      const waiting = new Map(byChain);
      for (const [chain, members] of byChain) {
        let current = members;
        waiting.delete(chain);
        // Every stream of the job as it is now: those of chains done in this step, of this one, of those still to come.
        const all = () => [...streams, ...current, ...[...waiting.values()].flat()];
        for (const [opIndex, op] of (chain ?? []).entries()) {
          const place = { step: step.name, stepIndex, opIndex };
          if (from !== null && !isBefore(from, place)) continue;
          if (stopAt !== null && stopAt.stepIndex === stepIndex && stopAt.opIndex === opIndex) return current;
          for (const s of current) checkFit(op, s, place);
          if (isProjection(op)) {
            current = compileProjection(builder, op, overOf(op, step), current, place);
          } else if (isStackOp(op)) {
            compileStack(builder, op, current, place);
          } else {
            for (const s of current) this.#apply(builder, op, s, place, planes, all, leaving);
          }
          for (const s of current) {
            s.position++;
            this.#maybeWrite(builder, s, leaving, place);
          }
        }
        for (const s of current) {
          if (this.#named.steps.has(step.name)) builder.materialize(s, step.name);
          if (s.value !== null && s.pending === null) s.results.set(step.name, s.value);
          if (chain !== null) leaving?.views.stepEnd(s, step.name, stepIndex);
        }
        streams.push(...current);
      }
    }
    return streams;
  }

  /** Writes the stream's image when it has become the one to write. */
  #maybeWrite(builder: ProgramBuilder, s: Stream, leaving: Leaving | null, place: Place | null): void {
    if (leaving === null || s.image !== null || s.position !== writePoint(this.#opsOf(s.channel))) return;
    const { outputs, thumbnails, views } = leaving;
    const stage = place?.step ?? "read";
    const value = builder.materialize(s, stage);
    s.image = value;
    builder.run({ op: "writeImage", stage, in: value.reg, output: outputs.length, part: builder.part(s) });
    views.written(s, value, outputs.length, place);
    outputs.push({ stream: s, label: null, value, pixelRatio: s.pixelRatio });
    if (!makesLabels(this.#opsOf(s.channel))) {
      builder.run({ op: "thumbnail", stage: "report", in: value.reg, inputs: [] });
      thumbnails.push(s.channel);
    }
  }

  /** Writes labels that the op of that place made or changed, unless the next one changes them again. */
  #writeLabels(builder: ProgramBuilder, s: Stream, leaving: Leaving | null, place: Place): void {
    const next = this.#opsOf(s.channel)[s.position + 1];
    if (leaving === null || (next !== undefined && changesLabels(next))) return;
    const value = s.value as Value;
    const name = s.labelName;
    if (s.image !== null && (s.image.height !== value.height || s.image.width !== value.width)) {
      throw new TilecastError(
        "ERR_PIPELINE",
        `step "${place.step}": the labels of ${describeStream(s)} are ${value.width} x ${value.height} px and the image that is written with them ${s.image.width} x ${s.image.height}; change the size before the threshold, or save() after it`,
        { argument: "save" },
      );
    }
    const { outputs, thumbnails, views } = leaving;
    if (outputs.some((o) => o.label === name && o.stream === s)) {
      throw new TilecastError(
        "ERR_PIPELINE",
        `channel ${s.channel} makes two label images "${name}"; give one another name`,
        { argument: "name" },
      );
    }
    builder.run({ op: "writeLabels", stage: place.step, in: value.reg, output: outputs.length });
    views.labels(s, value, outputs.length, name, place);
    outputs.push({ stream: s, label: name, value, pixelRatio: s.pixelRatio });
    if (s.image !== null && !thumbnails.includes(s.channel)) {
      builder.run({ op: "thumbnail", stage: "report", in: s.image.reg, inputs: [value.reg] });
      thumbnails.push(s.channel);
    }
  }

  #apply(
    builder: ProgramBuilder,
    op: Op,
    s: Stream,
    place: Place,
    group: readonly PlaneRef[],
    all: () => readonly Stream[],
    leaving: Leaving | null,
  ): void {
    const p = op.parameters as unknown as OpValues;
    const stage = place.step;
    const spec = specOf(op.name);
    if (spec.threshold !== undefined) {
      builder.materialize(s, stage);
      s.pending = { method: spec.threshold, value: p.value ?? 0, place };
      s.kind = "mask";
      return;
    }
    if (op.name === "label") {
      const pending = s.pending;
      s.pending = null;
      const input = builder.materialize(s, stage);
      s.value = builder.emit(
        {
          op: "label",
          stage,
          in: input.reg,
          method: pending?.method ?? "value",
          a: pending?.value ?? 0,
          minArea: p.minArea,
          ...(p.maxArea === undefined ? {} : { maxArea: p.maxArea }),
          clearBorder: p.clearBorder,
        },
        "int32",
        input.height,
        input.width,
      );
      s.kind = "labels";
      s.labelName = p.name;
      this.#writeLabels(builder, s, leaving, place);
      return;
    }
    if (op.name === "register") {
      compileRegister(builder, this.#alignAt(place), this.#alignments, s);
      return;
    }
    if (spec.native !== undefined) {
      const streams = this.#named.acrossChannels ? all() : [s];
      const resource =
        op.name === "flatField"
          ? this.#resources.illumination(op, s, builder.materialize(s, stage), place, group)
          : undefined;
      applyNative(builder, op, s, place, { streams, plate: this.plate }, resource);
      if (s.kind === "labels") this.#writeLabels(builder, s, leaving, place);
      return;
    }
    const input = builder.materialize(s, stage);
    switch (op.name) {
      case "save":
        return;
      case "measure":
        applyMeasure(
          builder,
          op,
          s,
          place,
          this.plate,
          this.#named.acrossChannels ? all() : [s],
          this.#measure,
          builder.part(s),
        );
        leaving?.views.table(s, builder.part(s), place);
        return;
      case "measurePlane":
        applyMeasurePlane(
          builder,
          op,
          s,
          input,
          place,
          this.plate,
          this.#named.acrossChannels ? all() : [s],
          this.#planeColumns,
        );
        return;
      case "javascript": {
        const resource = this.#resources.id(
          JSON.stringify(["function", p.module, p.export, p.params]),
          () => ({
            kind: "function",
            module: p.module,
            export: p.export,
            params: p.params ?? null,
          }),
        );
        const dtype = spec.result(input.dtype, op.parameters);
        s.value = builder.emit(
          { op: "function", stage, in: input.reg, resource, dtype, sources: [builder.sourceOf(s)] },
          dtype,
          input.height,
          input.width,
        );
        s.kind = p.kind;
        if (s.kind === "labels") {
          s.labelName = "objects";
          this.#writeLabels(builder, s, leaving, place);
        }
        return;
      }
      default:
        throw new TilecastError("ERR_INTERNAL", `op ${op.name} has no instruction`);
    }
  }

  #alignAt(place: Place): AlignOp {
    return this.#aligns.find(
      ({ place: p }) => p.stepIndex === place.stepIndex && p.opIndex === place.opIndex,
    ) as AlignOp;
  }

  /** The job that reads one image of an estimate: the steps up to its flat-field. */
  #estimateJob(e: Estimate, group: readonly PlaneRef[]): Job {
    const builder = new ProgramBuilder();
    const stream = this.#runSteps(builder, group, e.place, null)[0] as Stream;
    const stage = e.place.step;
    const value = builder.materialize(stream, stage);
    builder.run({ op: "collect", stage, in: value.reg, resource: e.id, a: e.resource.background });
    return jobOfResource(builder, this.#intern(builder), stream);
  }
}

function csvCell(value: string): string {
  return /[",\n\r]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}
