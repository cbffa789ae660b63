// SPDX-License-Identifier: MIT
// run(): a pipeline over a plate, from the catalogue to OME-Zarr, table, run.json and report.

import { existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import { freemem } from "node:os";
import { join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { fromNative, TilecastError } from "../errors.js";
import { type NativeEncoding, type NativeFunctionCall, type NativeRunner, native } from "../native.js";
import type { NativeGpuAccount } from "../native-engine.js";
import type { Plate } from "../plates/plate.js";
import { type ArrayEncoding, OmeZarrStore } from "../stores/ome-zarr.js";
import type { RunSink } from "../streaming/sink.js";
import { version } from "../version.js";
import { AlignmentCache } from "./alignment-cache.js";
import { type CompileOptions, compile } from "./compile.js";
import { decideEngine, openGpu, slotsOf, waitingThreads } from "./engine.js";
import { type Account, engineReport, gpuSeconds, nothing } from "./engine-report.js";
import { checkIllumination, execute, nativeJob, prepareResources } from "./execute.js";
import { findAlignments } from "./find-alignments.js";
import { FunctionHost } from "./function-host.js";
import { planPool } from "./large-images.js";
import { splitWell } from "./layout.js";
import { Ledger } from "./ledger.js";
import { outputError } from "./output-error.js";
import type { Pipeline } from "./pipeline.js";
import type { FieldLayout, Plan } from "./plan.js";
import { type Progress, Throughput } from "./progress.js";
import { finishRun, type RunReport, wellReport } from "./results.js";
import { RunFeed } from "./run-feed.js";
import { checkOptions, type RunOptions, type SinkLimits } from "./run-options.js";
import { RunPool } from "./run-pool.js";
import { SinkHub } from "./sinks.js";
import { writeField, writePlate } from "./store-layout.js";
import { WellStates, wellKey } from "./well-state.js";

/** What a run makes in its output folder. */
const outputs = [
  "plate.ome.zarr",
  "measurements.csv",
  "planes.csv",
  "positions.csv",
  "run.json",
  "report.html",
  ".tilecast",
];

/** Throws ERR_OUTPUT_EXISTS; changes nothing. */
function checkFolder(out: string, options: RunOptions): void {
  const found = outputs.filter((name) => existsSync(join(out, name)));
  if (found.length === 0 || options.overwrite || options.resume) return;
  throw new TilecastError(
    "ERR_OUTPUT_EXISTS",
    `${out} already holds results (${found.filter((f) => !f.startsWith(".")).join(", ") || found.join(", ")}); resume them, overwrite them, or choose another folder`,
    { path: out, argument: "out" },
  );
}

function prepareFolder(out: string, options: RunOptions): void {
  mkdirSync(out, { recursive: true });
  if (!options.overwrite) return;
  // Only what a run makes: a folder of the user's may hold other things.
  for (const name of outputs) rmSync(join(out, name), { recursive: true, force: true });
}

/** A viewer that may hold the run up says for how long. */
function waits({ view = [] }: RunOptions): SinkLimits {
  const given = view.map((v) => (typeof v === "string" ? {} : v.options));
  const waiting = given.filter((o) => o.policy === "wait").map((o) => o.waitMs ?? 10_000);
  return waiting.length ? { waitMs: Math.max(...waiting) } : {};
}

/** Viewers are sinks that the run opens and closes. Their code is loaded for those who want one. */
async function sinksOf({ sinks = [], view = [] }: RunOptions): Promise<RunSink[]> {
  if (view.length === 0) return [...sinks];
  const [{ napari }, { fiji }] = await Promise.all([
    import("../streaming/viewers/napari.js"),
    import("../streaming/viewers/fiji.js"),
  ]);
  const viewers = view.map((v) => (v === "napari" ? napari() : v === "fiji" ? fiji() : v));
  return [...sinks, ...viewers.map((viewer) => viewer.sink())];
}

/**
 * Runs `pipeline` over `plate` and writes into `options.out`: `plate.ome.zarr`, `measurements.csv`, `run.json`, `report.html`.
 *
 * A plane that cannot be read fails its field and is reported; the rest goes on. Aborting `signal` ends the run within about a second
 * with what is complete kept, and resolves with outcome "cancelled".
 *
 * Rejects with ERR_GPU_UNAVAILABLE, ERR_PIPELINE, ERR_OP_DTYPE (before any pixel is read), ERR_OUTPUT_EXISTS, ERR_POOL_MEMORY, ERR_INVALID_ARGUMENT, and ERR_IO
 * when the output folder cannot be written: what is complete by then is kept, and `resume` does the rest.
 */
export async function run(pipeline: Pipeline, plate: Plate, options: RunOptions): Promise<RunReport> {
  const hub = SinkHub.of(await sinksOf(options), pipeline, { ...waits(options), ...options.sinkLimits });
  const feed = await RunFeed.open(options.publish, plate);
  try {
    const report = await runPlan(pipeline, plate, options, feed, hub);
    feed?.ended(report);
    return report;
  } catch (error) {
    throw outputError(error, options.out);
  } finally {
    await Promise.all([feed?.close(), hub?.close(options.signal?.aborted ?? false)]);
  }
}

async function runPlan(
  pipeline: Pipeline,
  plate: Plate,
  options: RunOptions,
  feed: RunFeed | null,
  hub: SinkHub | null,
): Promise<RunReport> {
  let began = performance.now();
  const started = new Date();
  const { encoding, out, threads: wanted, engine } = checkOptions(options);
  const wishes: CompileOptions = {
    ...(hub ? { views: hub.wishes } : {}),
    ...(options.wells ? { wells: options.wells } : {}),
    ...(options.levels ? { levels: options.levels } : {}),
  };
  // With images where they are expected: what is wrong with the pipeline is said before a pixel is read.
  const draft = compile(pipeline, plate, wishes);
  // Results of an earlier run can be a plate, but not one that is written over while it is read.
  const target = join(out, "plate.ome.zarr");
  if (plate.root === target || plate.root.startsWith(target + sep)) {
    throw new TilecastError(
      "ERR_INVALID_ARGUMENT",
      `run(): "out" must be another folder than ${out}, whose plate.ome.zarr is the plate that is read`,
      { argument: "out", path: out },
    );
  }
  const addon = native();
  if (engine === "gpu") await openGpu(); // or an error before anything is done
  await checkIllumination(draft);
  checkFolder(out, options);
  const throughput = new Throughput();
  const store = new OmeZarrStore(join(out, "plate.ome.zarr"), encoding);
  const nativeEncoding: NativeEncoding = {
    format: encoding.version === "0.5" ? 3 : 2,
    sharded: encoding.sharded,
    codec: encoding.compression,
    level: encoding.level,
    chunk: encoding.chunk,
    separator: encoding.separator,
  };
  const room = options.memory ?? 0.8 * (process.availableMemory?.() ?? freemem());
  const cache = new AlignmentCache(out, options.resume ?? false);
  const { alignments, timings: alignTimings } = await findAlignments(pipeline, plate, wishes, {
    store,
    encoding: nativeEncoding,
    threads: wanted,
    room,
    cache,
    signal: options.signal,
    progress: () => options.onProgress?.(beforeRun(draft, began)),
  });
  const plan = alignments.size === 0 ? draft : compile(pipeline, plate, { ...wishes, alignments });
  const decision = await decideEngine(engine, plan, wanted);
  began += 1000 * decision.calibrationSeconds; // once a machine and pipeline
  // With a GPU, more threads than compute: the others wait for it.
  const most = decision.gpu ? wanted + waitingThreads(wanted) : wanted;
  const shared = planPool(plan, most, room, options.maxSlotBytes, decision.gpu ? slotsOf(plan, decision) : 1);
  const { slotBytes, perThread, threads: workers, inBlocks, objectBytes } = shared;
  const threads = Math.min(wanted, workers);
  const viewSlots = hub?.slots(plan, workers, slotBytes, room - workers * perThread * slotBytes) ?? 0;
  const opening = performance.now();
  await hub?.open(options.signal);
  // How long a viewer takes to start says nothing of the run.
  began += performance.now() - opening;
  using runPool = new RunPool(slotBytes, workers * perThread, viewSlots);
  // Memory that cannot be had ends the run before results of an earlier one are deleted. A resumed run may need none.
  if (options.overwrite) runPool.make();
  prepareFolder(out, options);
  if (alignments.size > 0) cache.save();
  const states = new WellStates(out);
  const common = commonKey(pipeline, plan, encoding, options);
  const ledger = new Ledger(plan, plate, states, (planes) => wellKey(common, planes, plate.root));
  if (options.resume) ledger.reuse();
  feed?.started(pipeline, ledger);

  const earlier = ledger.otherWells();
  const todo = ledger.pending();
  if (options.resume) eraseRedone(store, ledger.redoneWells());
  writePlate(store, plate, plan, earlier);

  let timings: ReturnType<NativeRunner["timings"]> = [];
  let account: Account = nothing;
  let gpuAccount: NativeGpuAccount | null = null;
  let cancelled = options.signal?.aborted ?? false;
  const begin = (tiles: number) => {
    hub?.begin(plate, plan, store.root, ledger, tiles);
    if (options.onWell)
      for (const { state, reused } of ledger.wells())
        if (reused) options.onWell(wellReport(plate, plan, state, true));
  };
  if (todo.length === 0 || cancelled) begin(0);
  else {
    const { pool, extra } = runPool.make();
    const runner = new addon.Runner(pool, {
      threads: workers,
      cores: threads,
      ...(decision.gpu ? { gpu: decision.gpu, notOnGpu: decision.notOnGpu } : {}),
      image: nativeEncoding,
      labels: nativeEncoding,
      thumbnailPx: thumbnailPx(plate),
      viewSlots: extra,
      viewWaitMs: hub?.waitMs ?? 0,
      objectBytes,
    });
    const before = decision.gpu && addon.gpuStats(decision.gpu);
    const functions = new FunctionHost(pool, runner, plan);
    const abort = () => {
      cancelled = true;
      runner.cancel();
    };
    options.signal?.addEventListener("abort", abort, { once: true });
    try {
      begin(extra);
      const report = reporter(ledger, throughput, began, options.onProgress);
      await prepareResources(
        runner,
        plan,
        store,
        functions,
        inBlocks,
        () => cancelled,
        () => report("estimate"),
        options.signal,
      );
      if (!cancelled) {
        // A field's metadata goes with the first job that writes into it, so that both cores share that work.
        const fields = new Map<string, FieldLayout>(plan.fields.map((f) => [`${f.well}/${f.site}`, f]));
        const opening = new Set<number>();
        const jobs = todo.map(({ job, index, thumbnail }) => {
          const key = `${job.well}/${job.site}`;
          const field = fields.get(key);
          fields.delete(key);
          if (field) opening.add(index);
          return nativeJob(
            job,
            index,
            store,
            thumbnail,
            field ? store.collect(() => writeField(store, plate, field)) : [],
            inBlocks,
          );
        });
        const call = (c: NativeFunctionCall) => functions.call(c, plan.jobs[c.job]);
        await execute(
          runner,
          jobs,
          call,
          (results, finished) => {
            for (const r of results) {
              const j = todo[r.job];
              if (j === undefined) continue;
              ledger.record(j, r);
              hub?.take(j.job, opening.has(j.index), r, pool);
            }
            hub?.flush();
            throughput.add((performance.now() - began) / 1000, ledger.planesDone, ledger.bytesRead, finished);
            report("run");
            const ended = ledger.takeEnded();
            feed?.progress(ledger, ended);
            if (options.onWell)
              for (const state of ended) options.onWell(wellReport(plate, plan, state, false));
          },
          options.signal,
        );
      }
      timings = runner.timings();
      gpuAccount = runner.gpu();
      account = {
        processor: runner.processor(),
        gpuSeconds: decision.gpu && before ? gpuSeconds(before, addon.gpuStats(decision.gpu)) : 0,
      };
    } catch (error) {
      throw fromNative(error);
    } finally {
      options.signal?.removeEventListener("abort", abort);
      await functions.close();
      await hub?.drain(cancelled, options.signal);
      hub?.account(runner.views());
      runner.close();
      pool.close();
    }
  }
  await hub?.drain(cancelled, options.signal);
  if (cancelled) ledger.cancelRest();
  ledger.saveUnfinished();
  const listed = new Set([...plan.wells, ...earlier.map((state) => state.well)]);
  return finishRun({
    pipeline,
    plate,
    plan,
    options,
    encoding,
    threads,
    workers,
    out,
    started,
    began,
    ledger,
    earlier,
    store,
    states,
    throughput,
    timings: addTimings(alignTimings, timings),
    account,
    engine: engineReport(decision, gpuAccount),
    cancelled,
    alignments: cache.of(plate.wells.filter((w) => listed.has(w))),
    sinks: hub?.report() ?? null,
  });
}

/**
 * Everything but the files that a well's results depend on. Not the engine: what they give agrees within the bounds of docs/gpu-ops.md, and a run
 * that ended on a machine with a GPU is resumed on one without.
 */
function commonKey(pipeline: Pipeline, plan: Plan, encoding: ArrayEncoding, options: RunOptions): string {
  const estimates = plan.resources.map((r) =>
    r.kind === "estimate"
      ? [r.label, ...r.jobs.flatMap((j) => j.sources.map((s) => [s.path, s.bytes, s.mtimeMs]))]
      : r.kind === "aligner"
        ? []
        : [r, changeOf(r.kind === "file" ? r.path : r.module)],
  );
  return JSON.stringify([
    version,
    pipeline.steps,
    pipeline.planes,
    encoding,
    plan.columns,
    options.levels ?? "by size",
    plan.fields[0]?.images.map((i) => i.axes),
    estimates,
  ]);
}

/** Size and time of a file that every well depends on; null where it is none (a module of a package) or absent. */
function changeOf(file: string): readonly [number, number] | null {
  try {
    const { size, mtimeMs } = statSync(file.startsWith("file:") ? fileURLToPath(file) : file);
    return [size, mtimeMs];
  } catch {
    return null;
  }
}

/** Removes what earlier runs left of the wells that are redone: labels of another name, levels, metadata of the other Zarr format. */
function eraseRedone(store: OmeZarrStore, wells: readonly string[]): void {
  const otherFormat = store.encoding.version === "0.5" ? ".zgroup" : "zarr.json";
  if (existsSync(join(store.root, otherFormat))) {
    rmSync(store.root, { recursive: true, force: true }); // then no well can be reused
    return;
  }
  for (const well of wells) {
    const { row, column } = splitWell(well);
    rmSync(join(store.root, row, column), { recursive: true, force: true });
  }
}

function thumbnailPx(plate: Plate): number {
  return plate.wells.length <= 96 ? 160 : plate.wells.length <= 384 ? 96 : 56;
}

/** Seconds of several rounds together, by step and op. */
function addTimings(...rounds: ReturnType<NativeRunner["timings"]>[]): ReturnType<NativeRunner["timings"]> {
  const sums = new Map<string, ReturnType<NativeRunner["timings"]>[number]>();
  for (const t of rounds.flat()) {
    const key = JSON.stringify([t.stage, t.op]);
    sums.set(key, { ...t, seconds: t.seconds + (sums.get(key)?.seconds ?? 0) });
  }
  return [...sums.values()];
}

/** While images are aligned, which happens before anything of the run itself is done. */
function beforeRun(plan: Plan, began: number): Progress {
  return {
    phase: "estimate",
    planesDone: 0,
    planesFailed: 0,
    planesTotal: plan.jobs.reduce((n, j) => n + j.sources.length, 0),
    wellsDone: 0,
    wellsTotal: plan.wells.length,
    megapixels: 0,
    megabytesRead: 0,
    seconds: (performance.now() - began) / 1000,
    planesPerSecond: 0,
    megabytesPerSecond: 0,
    secondsLeft: null,
  };
}

function reporter(
  ledger: Ledger,
  throughput: Throughput,
  began: number,
  onProgress: RunOptions["onProgress"],
) {
  return (phase: Progress["phase"]) => {
    if (!onProgress) return;
    const seconds = (performance.now() - began) / 1000;
    const done = ledger.planesDone + ledger.planesFailed;
    const left = ledger.planesTotal - ledger.planesReused - done;
    onProgress({
      phase,
      planesDone: ledger.planesDone + ledger.planesReused,
      planesFailed: ledger.planesFailed,
      planesTotal: ledger.planesTotal,
      wellsDone: ledger.wellsDone,
      wellsTotal: ledger.wellsTotal,
      megapixels: ledger.pixels / 1e6,
      megabytesRead: ledger.bytesRead / 1e6,
      seconds,
      ...throughput.recent(),
      secondsLeft: done === 0 ? null : (seconds / done) * left,
    });
  };
}

export type { RunOptions, RunReport, SinkLimits };
