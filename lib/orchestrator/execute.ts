// SPDX-License-Identifier: MIT
// The native executor's side of a run: jobs and resources as it takes them.

import { join, resolve } from "node:path";
import { type ErrorCode, errorCodes, TilecastError } from "../errors.js";
import {
  type NativeFailure,
  type NativeFunctionCall,
  type NativeJob,
  type NativeJobResult,
  type NativeRunner,
  native,
} from "../native.js";
import { specOf } from "../ops/table.js";
import { fetcherOf } from "../plates/plane-fetcher.js";
import type { PlaneRef } from "../plates/plate.js";
import type { OmeZarrStore } from "../stores/ome-zarr.js";
import { nativeZarrArray } from "../stores/zarr-reader.js";
import { executeAhead, type FetchableJob, type FetchableSource, isRemote } from "./fetch-ahead.js";
import type { FunctionHost } from "./function-host.js";
import type { Job, Plan } from "./plan.js";

/** A job as the native side takes it. */
export function nativeJob(
  job: Job,
  index: number,
  store: OmeZarrStore,
  thumbnail: boolean,
  files: NativeJob["files"],
  inBlocks: ReadonlySet<Job>,
): FetchableJob {
  return {
    program: job.program,
    index,
    thumbnail,
    inBlocks: inBlocks.has(job),
    sources: job.sources.map(nativeSource),
    outputs: job.outputs.map((o) => ({
      dir: join(store.root, o.image),
      lead: o.lead.join(store.encoding.separator),
      height: o.height,
      width: o.width,
      dtype: o.dtype,
      levels: o.levels,
    })),
    ...(job.mosaics.length > 0 ? { mosaics: job.mosaics } : {}),
    rowPrefixes: job.parts.map((p) => p.rowPrefix),
    planePrefixes: job.parts.map((p) => p.planePrefix),
    files,
  };
}

function nativeSource(plane: PlaneRef): FetchableSource {
  const fetcher = fetcherOf(plane);
  const fetch = fetcher && ((signal: AbortSignal) => fetcher(plane, signal));
  if (plane.zarr === undefined) return fetch ? { ...plane, fetch } : plane;
  const { path, page, sample, height, width, dtype, zarr } = plane;
  return {
    path,
    page,
    sample,
    height,
    width,
    dtype,
    array: nativeZarrArray(zarr.array),
    index: zarr.index,
    ...(fetch ? { fetch } : {}),
  };
}

/** Runs jobs; resolves when the last result was delivered. `signal` ends the fetching of planes that are elsewhere; `runner.cancel()` the rest. */
export function execute(
  runner: NativeRunner,
  jobs: readonly FetchableJob[],
  onCall: (call: NativeFunctionCall) => void,
  onResults: (results: readonly NativeJobResult[], finished: boolean) => void,
  signal?: AbortSignal,
): Promise<void> {
  if (jobs.length === 0) return Promise.resolve();
  if (jobs.some(isRemote))
    return executeAhead(jobs, (wave, take) => start(runner, wave, onCall, take), onResults, signal);
  return start(runner, jobs, onCall, onResults);
}

function start(
  runner: NativeRunner,
  jobs: readonly NativeJob[],
  onCall: (call: NativeFunctionCall) => void,
  onResults: (results: readonly NativeJobResult[], finished: boolean) => void,
): Promise<void> {
  return new Promise((done, fail) => {
    runner.start(
      jobs,
      (results, finished) => {
        try {
          onResults(results, finished);
          if (finished) done();
        } catch (error) {
          runner.cancel();
          fail(error);
        }
      },
      onCall,
    );
  });
}

/** Loads illumination images, runs the estimates, registers programs. Native resource numbers are the plan's. */
export async function prepareResources(
  runner: NativeRunner,
  plan: Pick<Plan, "programs" | "resources">,
  store: OmeZarrStore,
  functions: FunctionHost,
  inBlocks: ReadonlySet<Job>,
  cancelled: () => boolean,
  progress: () => void,
  signal?: AbortSignal,
): Promise<void> {
  for (const r of plan.resources) {
    if (r.kind === "file") runner.addFieldFile(resolve(r.path));
    else if (r.kind === "estimate") runner.addEstimator(r.height, r.width, r.shrink, r.jobs.length);
    else if (r.kind === "aligner") addAligner(runner, r);
    else runner.addFunction();
  }
  for (const program of plan.programs) runner.addProgram(program);
  for (const [id, r] of plan.resources.entries()) {
    if (r.kind !== "estimate") continue;
    const failures: string[] = [];
    const jobs = r.jobs.map((j, i) => nativeJob(j, i, store, false, [], inBlocks));
    const call = (c: NativeFunctionCall) => functions.call(c, r.jobs[c.job]);
    const take = (results: readonly NativeJobResult[]) => {
      for (const x of results) if (x.error) failures.push(x.error.message);
      progress();
    };
    await execute(runner, jobs, call, take, signal);
    if (cancelled()) return;
    if (failures.length === jobs.length) {
      throw new TilecastError(
        "ERR_PIPELINE",
        `the illumination of ${r.label} cannot be estimated: none of ${jobs.length} images could be read; the first: ${failures[0]}`,
      );
    }
    runner.finishEstimator(id, r.method, r.sigma);
  }
}

/** Places are found to a tenth of a pixel: what the noise of real images leaves. */
const alignUpsample = 10;

function addAligner(runner: NativeRunner, r: Extract<Plan["resources"][number], { kind: "aligner" }>): void {
  const pairs = Float64Array.from(r.pairs.flatMap((p) => [p.first, p.second, p.y, p.x]));
  runner.addAligner(r.height, r.width, r.images, pairs, r.reach, alignUpsample);
}

/**
 * Reads the headers of the illumination images and compares their size with the planes that they correct, before the output folder is
 * touched. Throws ERR_PIPELINE, or what the reader said of the file.
 */
export async function checkIllumination(plan: Plan): Promise<void> {
  const files = plan.resources.flatMap((r, id) => (r.kind === "file" ? [{ id, path: resolve(r.path) }] : []));
  if (files.length === 0) return;
  const found = await native().scanImages(
    files.map((f) => f.path),
    { pages: false, description: false, threads: 1 },
  );
  for (const [i, { id, path }] of files.entries()) {
    const image = found[i];
    if (image === undefined || "error" in image) throw illuminationError(path, image);
    for (const job of plan.jobs) {
      const code = plan.programs[job.program]?.code ?? [];
      const at = code.findIndex((x) => x.name === "flatField" && x.resource === id);
      const s = job.sources[0];
      if (at < 0 || s === undefined || job.channels.length > 1) continue;
      // Of planes cropped or binned before, the executor compares the size.
      if (code.slice(0, at).some((x) => x.name !== undefined && specOf(x.name).size !== undefined)) continue;
      if (s.height === image.height && s.width === image.width) continue;
      throw new TilecastError(
        "ERR_PIPELINE",
        `the illumination image ${path} is ${image.width} x ${image.height} px, and ${s.path} is ${s.width} x ${s.height}`,
        { path, argument: "image" },
      );
    }
  }
}

function illuminationError(path: string, failure: NativeFailure | undefined): TilecastError {
  const code = failure?.error.code ?? "ERR_IO";
  return new TilecastError(
    Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : "ERR_IO",
    `the illumination image cannot be read: ${failure?.error.message ?? path}`,
    { path, argument: "image" },
  );
}
