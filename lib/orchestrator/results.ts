// SPDX-License-Identifier: MIT
// The end of a run: the table put together, display ranges, run.json and the report.

import { cpus } from "node:os";
import { join, relative } from "node:path";
import type { NativeRunner } from "../native.js";
import type { Plate } from "../plates/plate.js";
import type { ArrayEncoding, OmeZarrStore } from "../stores/ome-zarr.js";
import { version } from "../version.js";
import type { Alignment } from "./alignment.js";
import { alignmentRemarks, positionsTable } from "./alignment-cache.js";
import { type Account, type BoundReport, boundOf, type EngineReport } from "./engine-report.js";
import type { Ledger } from "./ledger.js";
import type { Pipeline } from "./pipeline.js";
import type { Plan } from "./plan.js";
import type { Throughput } from "./progress.js";
import { replaceFile } from "./replace-file.js";
import { renderReport } from "./report/report.js";
import type { FailureReport, Outcome, ReportData, WellReport } from "./report/report-data.js";
import type { RunOptions } from "./run-options.js";
import type { SinksReport } from "./sinks.js";
import { type Contrast, channelLabel, writeField, writeImage } from "./store-layout.js";
import type { WellState, WellStates } from "./well-state.js";

/** How a run ended. */
export interface RunReport {
  /** complete: every plane done or reused. incomplete: something failed. cancelled: through the signal. */
  readonly outcome: "complete" | "incomplete" | "cancelled";
  readonly out: string;
  readonly planes: {
    readonly total: number;
    readonly done: number;
    readonly reused: number;
    readonly failed: number;
    readonly cancelled: number;
  };
  readonly wells: readonly WellReport[];
  readonly objects: number;
  readonly megapixels: number;
  readonly megabytesRead: number;
  readonly megabytesWritten: number;
  readonly seconds: number;
  /** Megapixels read a second, over the whole run. */
  readonly megapixelsPerSecond: number;
  readonly failures: readonly FailureReport[];
  /** Worker seconds by op. */
  readonly timings: readonly { readonly stage: string; readonly op: string; readonly seconds: number }[];
  /** What ran where, and why. */
  readonly engine: EngineReport;
  /** How near the run came to what its parts allow. Null where it had nothing to do. */
  readonly bound: BoundReport | null;
  /** What became of the sinks; absent in a run without. */
  readonly sinks?: SinksReport;
}

export interface RunEnd {
  readonly pipeline: Pipeline;
  readonly plate: Plate;
  readonly plan: Plan;
  readonly options: RunOptions;
  readonly encoding: ArrayEncoding;
  /** That compute, and beside them those that wait for a GPU. */
  readonly threads: number;
  readonly workers: number;
  readonly out: string;
  readonly started: Date;
  /** performance.now() at the start. */
  readonly began: number;
  readonly ledger: Ledger;
  /** Complete wells of earlier runs of the same pipeline that this run left alone. */
  readonly earlier: readonly WellState[];
  readonly store: OmeZarrStore;
  readonly states: WellStates;
  readonly throughput: Throughput;
  readonly timings: ReturnType<NativeRunner["timings"]>;
  readonly account: Account;
  readonly engine: EngineReport;
  readonly cancelled: boolean;
  /** How images were found to lie, in the wells of the plate. */
  readonly alignments: readonly Alignment[];
  readonly sinks: SinksReport | null;
}

/** Columns whose mean over a well says something; the rest is geometry or a number. */
function shownColumns(plan: Plan): { name: string; index: number }[] {
  return plan.columns
    .slice(plan.keyColumns)
    .map((name, index) => ({ name, index }))
    .filter(({ name }) => name !== "label" && !/^(centroid|bbox)_|^orientation$/.test(name));
}

function contrastOf(states: readonly WellState[]): Contrast[] {
  const seen = new Map<number, { lows: number[]; highs: number[] }>();
  for (const t of states.flatMap((s) => s.totals)) {
    if (t.low === null || t.high === null) continue;
    const c = seen.get(t.channel) ?? { lows: [], highs: [] };
    c.lows.push(t.low);
    c.highs.push(t.high);
    seen.set(t.channel, c);
  }
  // The median low keeps backgrounds dark; a high quantile of the highs lets all but the odd bright well (debris) fit.
  const quantile = (values: number[], q: number) =>
    [...values].sort((a, b) => a - b)[Math.round((values.length - 1) * q)] as number;
  return [...seen].map(([channel, { lows, highs }]) => ({
    channel,
    low: quantile(lows, 0.5),
    high: quantile(highs, 0.9),
  }));
}

/** What a well gave, as the report and the page show it. */
export function wellReport(plate: Plate, plan: Plan, state: WellState, reused: boolean): WellReport {
  const values: Record<string, number | null> = {};
  for (const t of state.totals) {
    if (plan.columns.length === 0) continue;
    const label = channelLabel(plate, t.channel);
    values[`${label}: objects`] = t.objects;
    for (const { name, index } of shownColumns(plan)) {
      values[`${label}: ${name} (mean)`] = t.objects === 0 ? null : (t.sums[index] ?? 0) / t.objects;
    }
  }
  return {
    well: state.well,
    status: state.status,
    reused,
    planes: state.planes,
    failedPlanes: state.failedPlanes,
    objects: state.totals.reduce((n, t) => n + t.objects, 0),
    values,
  };
}

export function finishRun(end: RunEnd): RunReport {
  const { plate, plan, ledger, states, store, out } = end;
  const entries = ledger.wells();
  const contrast = contrastOf(entries.map((e) => e.state));
  // Cancelled before any of a field's jobs began: the plate lists it, so it must open (empty).
  const begun = new Set(
    ledger
      .outcomes()
      .filter((o) => o.outcome !== "cancelled")
      .map(({ job }) => `${job.well}/${job.site}`),
  );
  for (const field of plan.fields) {
    if (!begun.has(`${field.well}/${field.site}`)) writeField(store, plate, field);
    writeImage(store, plate, field, contrast);
  }

  if (plan.columns.length > 0 || plan.planeColumns.length > 0) {
    const order = new Map(plate.wells.map((w, i) => [w, i]));
    const wells = [...entries.map((e) => e.state.well), ...end.earlier.map((s) => s.well)];
    wells.sort((a, b) => (order.get(a) ?? 0) - (order.get(b) ?? 0));
    // One well after the other: a plate's table need not fit in memory.
    const parts = function* (
      columns: readonly string[],
      rows: (well: string) => Uint8Array,
    ): Generator<string | Uint8Array> {
      yield `${columns.join(",")}\n`;
      for (const well of wells) yield rows(well);
    };
    const table = (name: string, columns: readonly string[], rows: (well: string) => Uint8Array) => {
      if (columns.length > 0) replaceFile(join(out, name), parts(columns, rows));
    };
    table("measurements.csv", plan.columns, (well) => states.rows(well));
    table("planes.csv", plan.planeColumns, (well) => states.planeRows(well));
  }

  if (end.alignments.length > 0) {
    replaceFile(join(out, "positions.csv"), positionsTable(plate, end.alignments));
  }

  const wells = entries.map((e) => wellReport(plate, plan, e.state, e.reused));
  const failures = entries.flatMap((e) => e.state.failures);
  const planes = {
    total: ledger.planesTotal,
    done: ledger.planesDone,
    reused: ledger.planesReused,
    failed: ledger.planesFailed,
    cancelled: ledger.planesCancelled,
  };
  const outcome = end.cancelled ? "cancelled" : failures.length > 0 ? "incomplete" : "complete";
  // Waiting for viewers at the end is not the run's work.
  const seconds = (performance.now() - end.began) / 1000 - (end.sinks?.drainSeconds ?? 0);
  const amounts = {
    megapixels: ledger.pixels / 1e6,
    megabytesRead: ledger.bytesRead / 1e6,
    megabytesWritten: ledger.bytesWritten / 1e6,
    seconds,
  };
  const report: RunReport = {
    outcome,
    out,
    planes,
    wells,
    objects: wells.reduce((n, w) => n + w.objects, 0),
    ...amounts,
    megapixelsPerSecond: ledger.pixels / 1e6 / seconds,
    failures,
    timings: end.timings,
    engine: end.engine,
    bound:
      end.timings.length === 0
        ? null
        : boundOf(end.account, { ...amounts, threads: end.threads, workers: end.workers }),
    ...(end.sinks === null ? {} : { sinks: end.sinks }),
  };
  replaceFile(join(out, "run.json"), [JSON.stringify(runJson(end, report, contrast), null, 1)]);
  replaceFile(join(out, "report.html"), [renderReport(reportData(end, report, contrast))]);
  return report;
}

function runJson(end: RunEnd, report: RunReport, contrast: readonly Contrast[]): object {
  const { plate, plan, ledger, options, encoding } = end;
  const short = (path: string) => relative(plate.root, path);
  return {
    tilecast: version,
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    started: end.started.toISOString(),
    seconds: report.seconds,
    outcome: report.outcome,
    plate: { name: plate.name, format: plate.format, root: plate.root, wells: plate.wells.length },
    pipeline: { name: end.pipeline.name, planes: end.pipeline.planes, steps: end.pipeline.steps },
    options: {
      wells: options.wells ?? null,
      resume: options.resume ?? false,
      threads: end.threads,
      engine: end.engine.asked,
      zarr: encoding.version,
      compression: encoding.compression,
      level: encoding.level,
      chunk: encoding.chunk,
      sharded: encoding.sharded,
    },
    planes: report.planes,
    objects: report.objects,
    megapixels: report.megapixels,
    megabytesRead: report.megabytesRead,
    megabytesWritten: report.megabytesWritten,
    timings: report.timings,
    engine: report.engine,
    bound: report.bound,
    ...(report.sinks === undefined ? {} : { sinks: report.sinks }),
    contrast,
    remarks: [...plan.remarks, ...alignmentRemarks(end.alignments)],
    ...(end.alignments.length === 0 ? {} : { alignments: end.alignments }),
    notices: plate.notices,
    wells: report.wells.map((w) => ({
      well: w.well,
      status: w.status,
      reused: w.reused,
      planes: w.planes,
      failedPlanes: w.failedPlanes,
      objects: w.objects,
    })),
    failures: report.failures,
    // One entry a plane: nothing is lost silently.
    planeStates: [
      ...ledger.outcomes().flatMap(({ job, outcome, reason }) =>
        job.sources.map((s) => ({
          path: short(s.path),
          page: s.page,
          sample: s.sample,
          well: s.well,
          site: s.site,
          channel: s.channel,
          z_index: s.z_index,
          timepoint: s.timepoint,
          state: outcome,
          ...(reason === null ? {} : { reason }),
        })),
      ),
      ...plan.unused.map(({ plane: s, reason }) => ({
        path: short(s.path),
        page: s.page,
        sample: s.sample,
        well: s.well,
        site: s.site,
        channel: s.channel,
        z_index: s.z_index,
        timepoint: s.timepoint,
        state: "unused",
        reason,
      })),
      ...plate.missing.map((m) => ({ ...m, state: "missing" })),
    ],
  };
}

function reportData(end: RunEnd, report: RunReport, contrast: readonly Contrast[]): ReportData {
  const { plate, plan, states, ledger } = end;
  const byOp = new Map<string, number>();
  for (const t of report.timings) byOp.set(t.op, (byOp.get(t.op) ?? 0) + t.seconds);
  const planes: Record<Outcome, number> = {
    done: report.planes.done + report.planes.reused,
    failed: report.planes.failed,
    cancelled: report.planes.cancelled,
    pending: 0,
  };
  const measured = plan.columns.length > 0;
  const computed = [...new Set(plan.jobs.flatMap((j) => j.channels))].sort((a, b) => a - b);
  return {
    plate: {
      name: plate.name,
      format: plate.format,
      root: plate.root,
      rows: plate.plateFormat.rows,
      columns: plate.plateFormat.columns,
      channels: computed.map((c) => ({ channel: c, name: channelLabel(plate, c) })),
      sites: plate.sites.length,
      timepoints: plate.timepoints.length,
    },
    run: {
      started: end.started.toISOString(),
      seconds: report.seconds,
      tilecast: version,
      node: process.version,
      machine: `${cpus()[0]?.model ?? "unknown CPU"}, ${cpus().length} cores`,
      threads: end.threads,
      pipeline: end.pipeline.name,
      steps: end.pipeline.describe(),
      planes,
      megapixels: report.megapixels,
      megabytesRead: report.megabytesRead,
      outcome: report.outcome,
      command: end.options.command ?? null,
    },
    engine: report.engine,
    bound: report.bound,
    stages: [...byOp].map(([name, seconds]) => ({ name, seconds })).sort((a, b) => b.seconds - a.seconds),
    throughput: end.throughput.samples(),
    wells: report.wells,
    failures: report.failures,
    measurements: measured
      ? computed.flatMap((c) => {
          const label = channelLabel(plate, c);
          return [`${label}: objects`, ...shownColumns(plan).map(({ name }) => `${label}: ${name} (mean)`)];
        })
      : [],
    thumbnails: ledger.wells().flatMap(({ state }) => states.thumbnails(state.well)),
    contrast,
    notices: [
      ...(report.engine.warning ? [report.engine.warning] : []),
      ...plate.notices.map((n) => n.message),
      ...plan.remarks,
      ...alignmentRemarks(end.alignments),
      ...unusedNotice(plan),
    ],
  };
}

function unusedNotice(plan: Plan): string[] {
  const reasons = new Map<string, number>();
  for (const u of plan.unused) reasons.set(u.reason, (reasons.get(u.reason) ?? 0) + 1);
  return [...reasons].map(([reason, n]) => `${n} plane${n === 1 ? "" : "s"} not read: ${reason}.`);
}
