// SPDX-License-Identifier: MIT
// The account of a run: every job and plane ends as done, failed, cancelled or reused, well by well.

import { TilecastError } from "../errors.js";
import type { NativeJobResult } from "../native.js";
import type { MissingPlane, PlaneRef, Plate } from "../plates/plate.js";
import type { Job, Plan } from "./plan.js";
import type { FailureReport, Outcome, Thumbnail } from "./report/report-data.js";
import type { ChannelTotals, WellState, WellStates } from "./well-state.js";

export interface Todo {
  readonly job: Job;
  /** Position in `plan.jobs`. */
  readonly index: number;
  readonly thumbnail: boolean;
}

interface WellEntry {
  readonly well: string;
  readonly key: string;
  readonly jobs: number[];
  readonly planes: number;
  readonly fields: number;
  remaining: number;
  readonly rows: Map<number, string>;
  readonly planeRows: Map<number, string>;
  readonly parts: Map<number, NativeJobResult["parts"]>;
  readonly failures: FailureReport[];
  readonly thumbnails: Thumbnail[];
  failedPlanes: number;
  cancelled: number;
  reused: WellState | null;
  saved: WellState | null;
}

export class Ledger {
  readonly planesTotal: number;
  planesDone = 0;
  planesFailed = 0;
  planesCancelled = 0;
  planesReused = 0;
  bytesRead = 0;
  bytesWritten = 0;
  pixels = 0;
  readonly #wells = new Map<string, WellEntry>();
  readonly #outcome: (Outcome | "reused")[];
  readonly #reason = new Map<number, string>();
  #ended: WellState[] = [];

  constructor(
    readonly plan: Plan,
    readonly plate: Plate,
    readonly states: WellStates,
    keyOf: (planes: readonly PlaneRef[]) => string,
  ) {
    const byWell = new Map<string, number[]>();
    for (const [i, job] of plan.jobs.entries()) {
      const list = byWell.get(job.well);
      if (list) list.push(i);
      else byWell.set(job.well, [i]);
    }
    const fields = new Map<string, number>();
    for (const f of plan.fields) fields.set(f.well, (fields.get(f.well) ?? 0) + 1);
    const lost = unreadablePlanes(plate, plan);
    let total = 0;
    for (const well of plate.wells) {
      const jobs = byWell.get(well) ?? [];
      if (jobs.length === 0 && !lost.has(well)) continue;
      const planes = jobs.flatMap((i) => (plan.jobs[i] as Job).sources);
      total += planes.length;
      this.#wells.set(well, {
        well,
        key: keyOf(planes),
        jobs,
        planes: planes.length,
        fields: fields.get(well) ?? 0,
        remaining: jobs.length,
        rows: new Map(),
        planeRows: new Map(),
        parts: new Map(),
        failures: [],
        thumbnails: [],
        failedPlanes: 0,
        cancelled: 0,
        reused: null,
        saved: null,
      });
    }
    this.planesTotal = total;
    this.#outcome = plan.jobs.map(() => "pending");
    for (const planes of lost.values()) for (const plane of planes) this.#failUnreadable(plane);
  }

  /**
   * A plane whose file could not be read fails the job that it belongs to: a projection over what is left would look whole. Where no
   * job is left, its well fails with it.
   */
  #failUnreadable(plane: MissingPlane): void {
    const entry = this.#wells.get(plane.well) as WellEntry;
    const job = entry.jobs.find((i) => {
      const { z, sources } = this.plan.jobs[i] as Job;
      return (
        (z === null || z === plane.z_index) &&
        sources.some(
          (s) => s.site === plane.site && s.channel === plane.channel && s.timepoint === plane.timepoint,
        )
      );
    });
    if (job !== undefined && this.#outcome[job] === "pending") {
      this.#outcome[job] = "failed";
      this.#reason.set(job, plane.reason);
      const planes = (this.plan.jobs[job] as Job).sources.length;
      this.planesFailed += planes;
      entry.failedPlanes += planes;
      entry.remaining--;
    }
    entry.failures.push({
      well: plane.well,
      site: plane.site,
      channel: plane.channel,
      timepoint: plane.timepoint,
      code: "ERR_PLANE_UNREADABLE",
      message: plane.reason,
      path: null,
    });
  }

  /** Marks wells whose earlier state is complete and made from the same files by the same pipeline. */
  reuse(): void {
    for (const entry of this.#wells.values()) {
      if (entry.failures.length > 0) continue;
      const state = this.states.load(entry.well);
      if (state === null || state.status !== "done" || state.key !== entry.key) continue;
      entry.reused = state;
      entry.remaining = 0;
      this.planesReused += entry.planes;
      for (const i of entry.jobs) this.#outcome[i] = "reused";
    }
  }

  /** Complete wells of earlier runs of the same pipeline that this run does not select. */
  otherWells(): WellState[] {
    const common = new Set([...this.#wells.values()].map((e) => e.key.split("-")[0]));
    return this.states
      .list()
      .filter((well) => !this.#wells.has(well))
      .map((well) => this.states.load(well))
      .filter((s): s is WellState => s !== null && s.status === "done" && common.has(s.key.split("-")[0]));
  }

  /** Jobs to do, in plate order. Their wells' earlier states are forgotten here. */
  pending(): Todo[] {
    const out: Todo[] = [];
    for (const entry of this.#wells.values()) {
      if (entry.reused !== null) continue;
      this.states.forget(entry.well);
      const pictured = new Set<number>();
      for (const index of entry.jobs) {
        if (this.#outcome[index] !== "pending") continue;
        const job = this.plan.jobs[index] as Job;
        const thumbnail = job.thumbnails.some((c) => !pictured.has(c));
        for (const c of job.thumbnails) pictured.add(c);
        out.push({ job, index, thumbnail });
      }
    }
    return out;
  }

  record(todo: Todo, result: NativeJobResult): void {
    const { job, index } = todo;
    const entry = this.#wells.get(job.well);
    if (entry === undefined || this.#outcome[index] !== "pending") {
      throw new TilecastError("ERR_INTERNAL", `job ${index} was reported twice`);
    }
    const planes = job.sources.length;
    if (result.error?.code === "ERR_CANCELLED") {
      this.#cancel(entry, index);
    } else if (result.error !== undefined) {
      const e = result.error;
      this.#outcome[index] = "failed";
      this.#reason.set(index, e.message);
      this.planesFailed += planes;
      entry.failedPlanes += planes;
      entry.failures.push({
        well: job.well,
        site: job.site,
        channel: job.channels[0] ?? 0,
        timepoint: job.timepoint,
        code: e.code,
        message: e.stage ? `${e.message} (step "${e.stage}")` : e.message,
        path: e.path ?? (planes === 1 ? (job.sources[0]?.path ?? null) : null),
      });
    } else {
      this.#outcome[index] = "done";
      this.planesDone += planes;
      this.bytesRead += result.bytesRead;
      this.bytesWritten += result.bytesWritten;
      this.pixels += result.pixels;
      if (result.rows !== "") entry.rows.set(index, result.rows);
      if (result.planeRows !== "") entry.planeRows.set(index, result.planeRows);
      entry.parts.set(index, result.parts);
      for (const [i, t] of result.thumbnails.entries()) {
        const channel = job.thumbnails[i];
        if (channel !== undefined && !entry.thumbnails.some((x) => x.channel === channel)) {
          entry.thumbnails.push({ well: job.well, site: job.site, channel, ...t });
        }
      }
    }
    if (--entry.remaining === 0) this.#save(entry);
  }

  /** Sums by channel, added up in the order of the jobs, so that they do not depend on which thread was first. */
  #totals(entry: WellEntry): ChannelTotals[] {
    const totals = new Map<number, ChannelTotals>();
    for (const [index, parts] of [...entry.parts].sort(([a], [b]) => a - b)) {
      const job = this.plan.jobs[index] as Job;
      for (const [i, part] of parts.entries()) {
        const channel = job.parts[i]?.channel ?? 0;
        let t = totals.get(channel);
        if (t === undefined) {
          t = { channel, objects: 0, sums: [], low: null, high: null };
          totals.set(channel, t);
        }
        t.objects += part.objects;
        for (const [c, sum] of part.sums.entries()) t.sums[c] = (t.sums[c] ?? 0) + sum;
        if (part.low !== undefined && part.high !== undefined) {
          t.low = t.low === null ? part.low : Math.min(t.low, part.low);
          t.high = t.high === null ? part.high : Math.max(t.high, part.high);
        }
      }
    }
    return [...totals.values()].sort((a, b) => a.channel - b.channel);
  }

  #cancel(entry: WellEntry, index: number): void {
    this.#outcome[index] = "cancelled";
    const planes = (this.plan.jobs[index] as Job).sources.length;
    this.planesCancelled += planes;
    entry.cancelled += planes;
  }

  /** Everything not begun is cancelled. */
  cancelRest(): void {
    for (const entry of this.#wells.values()) {
      for (const i of entry.jobs) if (this.#outcome[i] === "pending") this.#cancel(entry, i);
    }
  }

  /** Keeps what unfinished wells have: their rows are valid, and `--resume` redoes the well. */
  saveUnfinished(): void {
    for (const entry of this.#wells.values())
      if (entry.reused === null && entry.saved === null) this.#save(entry);
  }

  #status(entry: WellEntry): Outcome {
    if (entry.failures.length > 0) return "failed";
    return entry.cancelled > 0 ? "cancelled" : entry.remaining > 0 ? "pending" : "done";
  }

  #save(entry: WellEntry): void {
    const inOrder = (rows: ReadonlyMap<number, string>) =>
      [...rows]
        .sort(([a], [b]) => a - b)
        .map(([, r]) => r)
        .join("");
    entry.saved = {
      version: 1,
      well: entry.well,
      key: entry.key,
      status: this.#status(entry),
      planes: entry.planes,
      failedPlanes: entry.failedPlanes,
      fields: entry.fields,
      totals: this.#totals(entry),
      failures: entry.failures,
      thumbnails: entry.thumbnails
        .sort((a, b) => a.channel - b.channel)
        .map((t) => ({
          site: t.site,
          channel: t.channel,
          width: t.width,
          height: t.height,
          outline: t.outline !== null,
        })),
    };
    this.#ended.push(entry.saved);
    this.states.save(entry.saved, inOrder(entry.rows), inOrder(entry.planeRows), entry.thumbnails);
    entry.rows.clear();
    entry.planeRows.clear();
    entry.parts.clear();
  }

  /** Wells that ended since the last call. */
  takeEnded(): WellState[] {
    const ended = this.#ended;
    this.#ended = [];
    return ended;
  }

  /** Wells whose results this run makes anew. */
  redoneWells(): string[] {
    return [...this.#wells.values()].filter((e) => e.reused === null).map((e) => e.well);
  }

  wellNames(): string[] {
    return [...this.#wells.keys()];
  }

  get wellsTotal(): number {
    return this.#wells.size;
  }

  get wellsDone(): number {
    return [...this.#wells.values()].filter((e) => e.remaining === 0).length;
  }

  /** State of each well of this run, in plate order, and whether it was reused. */
  wells(): { state: WellState; reused: boolean }[] {
    return [...this.#wells.values()].map((e) => ({
      state: (e.reused ?? e.saved) as WellState,
      reused: e.reused !== null,
    }));
  }

  /** Outcome of every job, with the reason of failures. */
  outcomes(): { job: Job; outcome: Outcome | "reused"; reason: string | null }[] {
    return this.plan.jobs.map((job, i) => ({
      job,
      outcome: this.#outcome[i] ?? "pending",
      reason: this.#reason.get(i) ?? null,
    }));
  }
}

/** Planes of the covered wells whose files could not be read, by well. */
function unreadablePlanes(plate: Plate, plan: Plan): Map<string, MissingPlane[]> {
  const covered = new Set(plan.wells);
  const out = new Map<string, MissingPlane[]>();
  for (const plane of plate.missing) {
    if (plane.kind !== "unreadable" || !covered.has(plane.well)) continue;
    out.set(plane.well, [...(out.get(plane.well) ?? []), plane]);
  }
  return out;
}
