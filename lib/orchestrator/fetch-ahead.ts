// SPDX-License-Identifier: MIT
// Jobs whose planes are elsewhere: their bytes are fetched while earlier jobs run, no more than a budget at a time.

import { isTilecastError, TilecastError } from "../errors.js";
import { dtypeSize } from "../image/dtype.js";
import type { NativeJob, NativeJobResult } from "../native.js";

type Source = NativeJob["sources"][number];

/** A plane that is not on a disk says how to get its bytes. */
export interface FetchableSource extends Source {
  readonly fetch?: (signal: AbortSignal) => Promise<NonNullable<Source["fetched"]>>;
}

export interface FetchableJob extends NativeJob {
  readonly sources: readonly FetchableSource[];
}

/** Of fetched planes, as they are decoded, which compressed ones stay below: those of the jobs that run, and of those that come next. */
const budgetBytes = 512 * 1024 * 1024;
/** Jobs fetched at a time; the store bounds the requests. */
const parallelJobs = 32;

export const isRemote = (job: FetchableJob): boolean => job.sources.some((s) => s.fetch !== undefined);

const weightOf = (job: FetchableJob): number =>
  job.sources.reduce((sum, s) => sum + (s.fetch ? s.width * s.height * dtypeSize(s.dtype) : 0), 0);

async function fetchJob(job: FetchableJob, signal: AbortSignal): Promise<NativeJob> {
  const sources = await Promise.all(
    job.sources.map(async ({ fetch, ...source }) =>
      fetch === undefined ? source : { ...source, fetched: await fetch(signal) },
    ),
  );
  return { ...job, sources };
}

function failure(job: number, error: unknown): NativeJobResult {
  if (!isTilecastError(error)) throw error;
  const { code, message, path, page, offset } = error;
  return {
    job,
    error: {
      code,
      message,
      stage: "",
      ...(path === undefined ? {} : { path }),
      ...(page === undefined ? {} : { page }),
      ...(offset === undefined ? {} : { offset }),
    },
    rows: "",
    planeRows: "",
    parts: [],
    bytesRead: 0,
    bytesWritten: 0,
    pixels: 0,
    thumbnails: [],
  };
}

/**
 * Has `run` execute jobs as their bytes arrive: whatever is there when the last ones are done. A job whose bytes cannot be had fails alone, with what the
 * server said. Results name jobs by their place in `jobs`. An abort of `signal` ends fetching; jobs not begun then have no result.
 */
export async function executeAhead(
  jobs: readonly FetchableJob[],
  run: (
    jobs: readonly NativeJob[],
    onResults: (results: readonly NativeJobResult[]) => void,
  ) => Promise<void>,
  onResults: (results: readonly NativeJobResult[], finished: boolean) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const stop = new AbortController();
  const abort = () => stop.abort(signal?.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort, { once: true });
  let wake = () => {};
  stop.signal.addEventListener("abort", () => wake(), { once: true });
  const ready: { readonly at: number; readonly job: NativeJob; readonly weight: number }[] = [];
  const failed: { readonly at: number; readonly error: unknown }[] = [];
  let next = 0;
  let fetching = 0;
  let held = 0;
  const fetchMore = () => {
    while (next < jobs.length && fetching < parallelJobs && !stop.signal.aborted) {
      const job = jobs[next] as FetchableJob;
      const weight = weightOf(job);
      // A job larger than the budget goes alone.
      if (held > 0 && held + weight > budgetBytes) return;
      const at = next++;
      held += weight;
      fetching++;
      fetchJob(job, stop.signal).then(
        (whole) => {
          fetching--;
          ready.push({ at, job: whole, weight });
          wake();
        },
        (error: unknown) => {
          fetching--;
          held -= weight;
          failed.push({ at, error });
          wake();
        },
      );
    }
  };
  try {
    for (let left = jobs.length; left > 0; ) {
      if (stop.signal.aborted) break;
      fetchMore();
      if (ready.length + failed.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      const lost = failed.splice(0);
      const wave = ready.splice(0);
      left -= lost.length + wave.length;
      if (lost.length > 0)
        onResults(
          lost.map(({ at, error }) => failure(at, error)),
          false,
        );
      if (wave.length === 0) continue;
      // The next ones come in while these run.
      fetchMore();
      await run(
        wave.map(({ job }) => job),
        (results) => {
          onResults(
            results.map((r) => ({ ...r, job: (wave[r.job] as { at: number }).at })),
            false,
          );
        },
      );
      for (const { weight } of wave) held -= weight;
    }
  } finally {
    stop.abort(new TilecastError("ERR_CANCELLED", "the run is over"));
    signal?.removeEventListener("abort", abort);
  }
  onResults([], true);
}
