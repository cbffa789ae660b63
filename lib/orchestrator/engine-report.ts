// SPDX-License-Identifier: MIT
// What ran where and why, and how near a run came to what its parts allow: for run.json and the report.

import type { NativeRunner } from "../native.js";
import type { NativeGpuAccount, NativeGpuStats, NativeOnCpu } from "../native-engine.js";
import type { EngineDecision } from "./engine.js";

/** One part of the pipeline, and where it ran. */
export interface SegmentReport {
  readonly steps: readonly string[];
  /** "flatField, gaussian, otsu, label, measure" */
  readonly ops: string;
  readonly engine: "cpu" | "gpu";
  readonly reason: string;
  /** Measured tiles a second: of all cores, and of the GPU. */
  readonly rates?: { readonly cpu: number; readonly gpu: number };
  /** That the GPU did in this run. */
  readonly tiles: number;
  /** Tiles that the processor did after all, with the same result. */
  readonly redone: readonly { readonly reason: string; readonly tiles: number }[];
}

export interface EngineReport {
  readonly asked: "cpu" | "gpu" | "auto";
  /** Whether the GPU had a part in it. */
  readonly used: "cpu" | "gpu";
  readonly reason: string;
  readonly adapter?: {
    readonly name: string;
    readonly driver: string;
    readonly backend: string;
    readonly software: boolean;
    /** How planes got there: bound or copied from mapped memory, or staged. */
    readonly planes: string;
  };
  readonly segments: readonly SegmentReport[];
  /** Ops that only the processor can do as they were asked for. */
  readonly onProcessor: readonly { readonly step: string; readonly op: string; readonly reason: string }[];
  readonly calibrationSeconds: number;
  /** One sentence, where the processor had to help out. */
  readonly warning?: string;
}

/**
 * How long the busiest resource had to work, and what share of the run's time that is. A run that took no longer than its bound has a share of 1.
 */
export interface BoundReport {
  readonly limitedBy: "processor" | "gpu" | "files";
  readonly seconds: number;
  /** `seconds` over the run's seconds. */
  readonly share: number;
  /** Processor time of all ops over the threads that compute. */
  readonly processorSeconds: number;
  /** That the GPU's thread waited for the device while work was on it. */
  readonly gpuSeconds: number;
  /** That threads were blocked in reads and writes, over the threads. */
  readonly filesSeconds: number;
  /** On one core, while it did that: megapixels a second, of planes read. Null where nothing was done. */
  readonly rates: {
    readonly decode: number | null;
    readonly compute: number | null;
    readonly encode: number | null;
    /** Megabytes a second that went through files, by the time that threads waited for them. */
    readonly files: number | null;
  };
}

export function engineReport(decision: EngineDecision, account: NativeGpuAccount | null): EngineReport {
  const { adapter } = decision;
  const done = new Map(account?.segments.map((s) => [s.key, s]));
  const step = ({ stage, op, reason }: NativeOnCpu) => ({ step: stage, op, reason });
  const segments = decision.segments.map((s): SegmentReport => {
    const a = done.get(s.key);
    return {
      steps: s.stages,
      ops: s.title,
      engine: s.engine,
      reason: s.reason,
      ...(s.rates ? { rates: s.rates } : {}),
      tiles: a?.tiles ?? 0,
      redone: a?.redone ?? [],
    };
  });
  const warning = warningOf(segments);
  return {
    asked: decision.asked,
    used: decision.gpu ? "gpu" : "cpu",
    reason: decision.reason,
    ...(adapter
      ? {
          adapter: {
            name: adapter.name,
            driver: adapter.driver,
            backend: adapter.backend,
            software: adapter.software,
            planes: adapter.planes,
          },
        }
      : {}),
    segments,
    onProcessor: decision.onCpu.map(step),
    calibrationSeconds: decision.calibrationSeconds,
    ...(warning ? { warning } : {}),
  };
}

function warningOf(segments: readonly SegmentReport[]): string | null {
  const reasons = new Map<string, number>();
  for (const { reason, tiles } of segments.flatMap((s) => s.redone))
    reasons.set(reason, (reasons.get(reason) ?? 0) + tiles);
  const all = [...reasons].sort(([, a], [, b]) => b - a);
  const tiles = all.reduce((n, [, t]) => n + t, 0);
  if (tiles === 0) return null;
  const shown = all.slice(0, 3).map(([reason, n]) => `${n} for ${reason}`);
  const more = all.length > 3 ? `, and ${all.length - 3} other reasons` : "";
  return `${tiles} ${tiles === 1 ? "tile" : "tiles"} of the GPU's had to be done by the processor: ${shown.join("; ")}${more}.`;
}

/** What a run's parts took. */
export interface Account {
  readonly processor: ReturnType<NativeRunner["processor"]>;
  /** Of the device's thread during the run. */
  readonly gpuSeconds: number;
}

export const nothing: Account = {
  processor: { read: 0, compute: 0, write: 0, blocked: 0 },
  gpuSeconds: 0,
};

export const gpuSeconds = (before: NativeGpuStats, after: NativeGpuStats) =>
  after.waitSeconds - before.waitSeconds;

export function boundOf(
  { processor, gpuSeconds }: Account,
  run: {
    readonly seconds: number;
    /** That compute. */
    readonly threads: number;
    readonly workers: number;
    readonly megapixels: number;
    readonly megabytesRead: number;
    readonly megabytesWritten: number;
  },
): BoundReport {
  const { read, compute, write, blocked } = processor;
  const parts = {
    processor: (read + compute + write) / run.threads,
    gpu: gpuSeconds,
    files: blocked / run.workers,
  };
  const limitedBy = (["processor", "gpu", "files"] as const).reduce((a, b) => (parts[b] > parts[a] ? b : a));
  const rate = (amount: number, seconds: number) => (amount > 0 && seconds > 0 ? amount / seconds : null);
  return {
    limitedBy,
    seconds: parts[limitedBy],
    share: run.seconds > 0 ? parts[limitedBy] / run.seconds : 0,
    processorSeconds: parts.processor,
    gpuSeconds: parts.gpu,
    filesSeconds: parts.files,
    rates: {
      decode: rate(run.megapixels, read),
      compute: rate(run.megapixels, compute),
      encode: rate(run.megapixels, write),
      files: rate(run.megabytesRead + run.megabytesWritten, blocked),
    },
  };
}
