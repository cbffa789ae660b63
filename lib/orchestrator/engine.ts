// SPDX-License-Identifier: MIT
// Which engine does which part of a run: asked for, or decided by rates measured on this machine.

import { fromNative, isTilecastError, TilecastError } from "../errors.js";
import { native } from "../native.js";
import type { NativeGpuDevice, NativeOnCpu, NativeSegment, NativeTileShape } from "../native-engine.js";
import { Calibration } from "./calibration.js";
import { searchGpu } from "./gpu-search.js";
import type { Instruction, Plan, Program } from "./plan.js";

/** `cpu` and `gpu` as asked, `auto` as measured. */
export type Engine = "cpu" | "gpu" | "auto";
export const engines: readonly Engine[] = ["cpu", "gpu", "auto"];

/** Which engine a segment is given to, and why. */
export interface SegmentDecision extends NativeSegment {
  readonly engine: "cpu" | "gpu";
  readonly reason: string;
  /** Measured tiles a second, of all cores and of the GPU; absent where nothing had to be decided. */
  readonly rates?: { readonly cpu: number; readonly gpu: number };
}

export interface EngineDecision {
  readonly asked: Engine;
  readonly reason: string;
  /** Null: the processor does everything. */
  readonly gpu: NativeGpuDevice | null;
  /** Of the adapter that was looked at, whatever came of it. */
  readonly adapter: NativeGpuDevice["adapter"] | null;
  readonly segments: readonly SegmentDecision[];
  readonly onCpu: readonly NativeOnCpu[];
  /** Keys of segments that the processor does. */
  readonly notOnGpu: readonly string[];
  /** What the calibration took, seconds; 0 where everything was known. */
  readonly calibrationSeconds: number;
}

/** A program with planes that some job gives it, and how many jobs do. */
interface Work {
  readonly program: Program;
  readonly sources: readonly NativeTileShape[];
  tiles: number;
}

/** A part is the GPU's where it is this much faster: rates measured again differ by as much. */
const margin = 1.1;

/**
 * An adapter whose rate of one light op is so many times below the processor's is not tried at anything heavier. A card's link makes light ops the
 * GPU's worst, by a factor of some ten beside many cores.
 */
const hopelessBelow = 10;

/** Of all trials of a run, both engines together. */
const trialSeconds = 1.2;

let opened: Promise<NativeGpuDevice> | undefined;

/** The process's GPU, opened at first use. Rejects with ERR_GPU_UNAVAILABLE; the next call then tries again. */
export function openGpu(): Promise<NativeGpuDevice> {
  opened ??= native()
    .openGpu({})
    .catch((error: unknown) => {
      opened = undefined;
      throw fromNative(error);
    });
  return opened;
}

/**
 * Threads beyond the cores that a run with a GPU has, since they wait for it: two batches' worth (gpu/engine.h), so that one gathers while one
 * runs, and no more than two a core, which is as fast as the cores can bring tiles.
 */
export function waitingThreads(cores: number): number {
  return Math.min(16, 2 * cores);
}

function worksOf(plan: Plan): Work[] {
  const works = new Map<string, Work>();
  const jobs = [...plan.jobs, ...plan.resources.flatMap((r) => (r.kind === "estimate" ? r.jobs : []))];
  for (const job of jobs) {
    const sources = job.sources.map(({ dtype, height, width }) => ({ dtype, height, width }));
    const key = `${job.program} ${sources.map((s) => `${s.dtype} ${s.height} ${s.width}`).join()}`;
    const work = works.get(key);
    if (work) work.tiles++;
    else works.set(key, { program: plan.programs[job.program] as Program, sources, tiles: 1 });
  }
  return [...works.values()].sort((a, b) => b.tiles - a.tiles);
}

/** Slots that a job of the plan reserves at most with this engine. */
export function slotsOf(plan: Plan, { gpu, notOnGpu }: EngineDecision): number {
  const { Runner, gpuSegments } = native();
  return Math.max(
    ...plan.programs.map((p) => Runner.slotsNeeded(p)),
    ...(gpu ? worksOf(plan).map((w) => gpuSegments(w.program, w.sources, notOnGpu).slots) : []),
  );
}

const onProcessor = (asked: Engine, reason: string): EngineDecision => ({
  asked,
  reason,
  gpu: null,
  adapter: null,
  segments: [],
  onCpu: [],
  notOnGpu: [],
  calibrationSeconds: 0,
});

/**
 * Decides before anything is written. `cores`: threads that compute.
 *
 * Throws ERR_GPU_UNAVAILABLE where `gpu` is asked for and there is none, or none of the pipeline's ops runs on one.
 */
export async function decideEngine(asked: Engine, plan: Plan, cores: number): Promise<EngineDecision> {
  if (asked === "cpu") return onProcessor(asked, "asked for");
  if (asked === "auto") {
    const search = searchGpu();
    if (!search.likely) return onProcessor(asked, search.reason);
  }
  const works = worksOf(plan);
  const segments = new Map<string, NativeSegment & { work: Work }>();
  const onCpu = new Map<string, NativeOnCpu>();
  for (const work of works) {
    const found = native().gpuSegments(work.program, work.sources);
    for (const s of found.segments) if (!segments.has(s.key)) segments.set(s.key, { ...s, work });
    for (const o of found.onCpu) onCpu.set(JSON.stringify(o), o);
  }
  if (segments.size === 0) {
    const none = `no op of this pipeline runs on a GPU${[...onCpu.values()].map((o) => `; ${o.op}: ${o.reason}`).join("")}`;
    if (asked === "gpu") throw new TilecastError("ERR_GPU_UNAVAILABLE", none, { argument: "engine" });
    return { ...onProcessor(asked, none), onCpu: [...onCpu.values()] };
  }
  let gpu: NativeGpuDevice;
  try {
    gpu = await openGpu();
  } catch (error) {
    if (asked === "gpu" || !isTilecastError(error, "ERR_GPU_UNAVAILABLE")) throw error;
    return onProcessor(asked, (error.message.split("\n")[0] as string).trim());
  }
  const decided =
    asked === "gpu"
      ? {
          segments: [...segments.values()].map(({ work: _, ...s }) => ({
            ...s,
            engine: "gpu" as const,
            reason: "asked for",
          })),
          seconds: 0,
        }
      : await measured(gpu, [...segments.values()], cores);
  const some = decided.segments.some((s) => s.engine === "gpu");
  return {
    asked,
    reason:
      asked === "gpu"
        ? "asked for"
        : `${some ? "" : "no part is faster there: "}rates measured on ${gpu.adapter.name}`,
    gpu: some ? gpu : null,
    adapter: gpu.adapter,
    segments: decided.segments,
    onCpu: [...onCpu.values()],
    notOnGpu: decided.segments.filter((s) => s.engine === "cpu").map((s) => s.key),
    calibrationSeconds: decided.seconds,
  };
}

const perSecond = (tiles: number) => `${tiles.toLocaleString("en", { maximumSignificantDigits: 3 })} tiles/s`;

/** One op on an image of the plate's size. */
function lightWork({ height, width }: NativeTileShape): Work {
  const code: Instruction[] = [
    { op: "read", stage: "", out: 0, sources: [0] },
    { op: "apply", name: "add", stage: "", in: 0, out: 1, arguments: { value: 1 } },
    { op: "writeImage", stage: "", in: 1, output: 0, part: 0 },
  ];
  return { program: { registers: 2, code }, sources: [{ dtype: "uint16", height, width }], tiles: 0 };
}

async function measured(
  gpu: NativeGpuDevice,
  segments: readonly (NativeSegment & { work: Work })[],
  cores: number,
): Promise<{ segments: SegmentDecision[]; seconds: number }> {
  const known = new Calibration(gpu.adapter, cores);
  const began = performance.now();
  const unknown = segments.filter((s) => known.get(s.key) === undefined);
  let seconds = 0.1;
  let unsaved: string | null = null;
  const untried = new Map<string, string>();
  const attempt = async (key: string, { program, sources }: Work) => {
    const all = native().gpuSegments(program, sources).segments;
    try {
      const rates = await native().trySegments(gpu, program, sources, {
        cores,
        workers: cores + waitingThreads(cores),
        seconds,
        skip: all.map((s) => s.key).filter((k) => k !== key),
      });
      unsaved = known.add(rates.map((r) => [r.key, r]));
    } catch (error) {
      // A trial that cannot be made decides nothing, and no run fails for it.
      untried.set(key, (error as Error).message.split("\n")[0] as string);
    }
  };
  // First, one light op: compiling a whole segment's kernels for an adapter that is hopeless takes longer than everything else.
  const light = lightWork((segments[0] as (typeof segments)[0]).work.sources[0] as NativeTileShape);
  const lightKey = native().gpuSegments(light.program, light.sources).segments[0]?.key;
  if (unknown.length > 0 && lightKey !== undefined && known.get(lightKey) === undefined)
    await attempt(lightKey, light);
  const first = lightKey === undefined ? undefined : known.get(lightKey);
  const hopeless = first !== undefined && first.gpu * hopelessBelow < first.cpu ? first : undefined;
  // The most frequent first: what does not fit into the time is the processor's in this run, and tried in the next one.
  const most = hopeless ? [] : unknown.slice(0, 12);
  seconds = Math.min(0.15, trialSeconds / 2 / Math.max(1, most.length));
  for (const { key, work } of most) {
    if (performance.now() - began > 1000 * trialSeconds) break;
    await attempt(key, work);
  }
  const took = unknown.length === 0 ? 0 : (performance.now() - began) / 1000;
  const speeds = ({ gpu, cpu }: { gpu: number; cpu: number }) =>
    `${perSecond(gpu)} on the GPU, ${perSecond(cpu)} on ${cores} ${cores === 1 ? "thread" : "threads"}`;
  return {
    seconds: took,
    segments: segments.map(({ work: _, ...segment }): SegmentDecision => {
      const rates = known.get(segment.key);
      const why = untried.get(segment.key);
      if (why !== undefined) return { ...segment, engine: "cpu", reason: `not tried: ${why}` };
      if (rates === undefined && hopeless)
        return { ...segment, engine: "cpu", reason: `not tried: an addition alone does ${speeds(hopeless)}` };
      if (rates === undefined)
        return {
          ...segment,
          engine: "cpu",
          reason: "not measured yet: a calibration takes two seconds at most",
        };
      const faster = rates.gpu > margin * rates.cpu;
      const reason = rates.why ? `the GPU failed at it: ${rates.why}` : speeds(rates);
      return {
        ...segment,
        engine: faster ? "gpu" : "cpu",
        reason: unsaved === null ? reason : `${reason} (not kept: ${unsaved})`,
        rates: { cpu: rates.cpu, gpu: rates.gpu },
      };
    }),
  };
}
