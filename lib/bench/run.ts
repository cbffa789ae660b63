// SPDX-License-Identifier: MIT
// Asks the questions: makes what they need, runs the trials in fresh processes and a shuffled order, and gives the rows.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { freemem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { TilecastError } from "../errors.js";
import { native } from "../native.js";
import { busySeconds, cacheBytes, commit, freeBytes, machineFacts, shmBytes } from "./machine.js";
import type { MakePlate, Measurement, Question, Setting } from "./question.js";
import { type BenchResult, median, rowsOf, type Series } from "./result.js";
import { seededRandom, shuffled } from "./shuffle.js";
import type { TrialAnswer, TrialTask } from "./trial.js";
import { type Verdict, verdicts } from "./verdicts.js";

export interface BenchOptions {
  readonly questions: readonly Question[];
  /** On the file system that is to be measured; a folder is made in it, and removed. */
  readonly folder: string;
  /** Cores to use at most. */
  readonly cores: number;
  readonly trials: number;
  /** Time for one measurement. */
  readonly seconds: number;
  /** Smaller images and working sets: a first look. */
  readonly quick: boolean;
  /** Of the order of trials and measurements. */
  readonly seed: number;
  readonly makePlate: MakePlate;
  readonly signal?: AbortSignal;
  /** Called before each step with what it is. */
  readonly onStep?: (text: string, done: number, total: number) => void;
}

export interface NodeResult extends BenchResult {
  readonly verdicts: readonly Verdict[];
  readonly options: {
    readonly trials: number;
    readonly seconds: number;
    readonly quick: boolean;
    readonly seed: number;
  };
  /** What others used of the processor while trials ran, in cores: the median of the trials. */
  readonly foreignCores: number;
}

/** Cases in a shuffled order; a subject and its limit stay neighbours in time, in either order. */
function orderOf(measurements: readonly Measurement[], random: () => number): number[] {
  const cases = new Map<string, number[]>();
  measurements.forEach((m, i) => {
    cases.set(m.case, [...(cases.get(m.case) ?? []), i]);
  });
  return shuffled([...cases.values()], random).flatMap((numbers) => shuffled(numbers, random));
}

const program = fileURLToPath(new URL("trial.js", import.meta.url));

/** How long a process may take to clean up after SIGTERM. */
const graceMs = 5000;

/** A trial that takes longer hangs: measurements may prepare, and a busy node is slow. */
const trialLimitMs = (task: TrialTask) => 60_000 + task.order.length * (5000 + 20_000 * task.setting.seconds);

/** Runs one trial. A process that fails or hangs is an answer too: each of its measurements has the reason. Throws ERR_CANCELLED. */
function runTrial(task: TrialTask, signal: AbortSignal | undefined): Promise<TrialAnswer> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, JSON.stringify(task)], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const timers: NodeJS.Timeout[] = [];
    const end = () => {
      child.kill("SIGTERM");
      timers.push(setTimeout(() => child.kill("SIGKILL"), graceMs));
    };
    let late = false;
    const limitMs = trialLimitMs(task);
    timers.push(
      setTimeout(() => {
        late = true;
        end();
      }, limitMs),
    );
    signal?.addEventListener("abort", end);
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", reject);
    child.on("close", (code, killed) => {
      signal?.removeEventListener("abort", end);
      for (const timer of timers) clearTimeout(timer);
      // What a process that was killed had in shared memory.
      if (killed !== null) native().TilePool.sweep();
      if (signal?.aborted)
        return reject(new TilecastError("ERR_CANCELLED", "cancelled", { cause: signal.reason }));
      if (code === 0 && !late)
        return resolve(JSON.parse(stdout.trimEnd().split("\n").at(-1) as string) as TrialAnswer);
      const lines = stderr.split("\n").filter((line) => line.trim() !== "");
      const telling = lines.findLast((line) => /Error\b/.test(line)) ?? lines.at(-1) ?? "";
      const error = late
        ? `the trial's process took longer than ${Math.round(limitMs / 1000)} s`
        : `the trial's process ended with ${killed ?? `code ${code}`}${telling === "" ? "" : `: ${telling.trim()}`}`;
      resolve({ results: task.order.map((measurement) => ({ measurement, error })), cpuSeconds: 0 });
    });
  });
}

function settingOf(options: BenchOptions, folder: string): Setting {
  const { l2, l3 } = cacheBytes();
  const memory = Math.min(freemem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
  const least = (options.quick ? 64 : 256) * 2 ** 20;
  return {
    cores: options.cores,
    seconds: options.seconds,
    side: options.quick ? 768 : 2048,
    folder,
    mostBytes: Math.min(options.quick ? 2 ** 28 : 2 ** 31, freeBytes(folder) / 4),
    l2,
    l3,
    beyondCaches: Math.min(Math.max(least, (options.quick ? 2 : 4) * l3), memory / 4),
    sharedBytes: (shmBytes()?.free ?? 2 ** 30) / 4,
    prepared: {},
  };
}

/** The series of one question: a value a trial, or the reason why there is none. */
function seriesOf(question: Question, setting: Setting, answers: readonly TrialAnswer[]): Series[] {
  return question.measurements(setting).flatMap((m, number): Series[] => {
    const results = answers.flatMap((a) => a.results.filter((r) => r.measurement === number));
    const error = results.find((r) => r.error !== undefined)?.error;
    const base = {
      question: question.name,
      subject: m.subject,
      higherIsBetter: m.lowerIsBetter !== true,
      ...(error === undefined ? {} : { missing: error }),
    };
    const values = error === undefined ? results.flatMap((r) => r.value ?? []) : [];
    const own: Series = {
      ...base,
      case: m.case,
      unit: m.unit,
      values,
      ...(m.limit === undefined ? {} : { limit: m.limit }),
    };
    if (m.also === undefined) return [own];
    const { factor, ...also } = m.also;
    return [own, { ...base, ...also, values: values.map((v) => v * factor) }];
  });
}

/** Measures this node. What a trial could not measure is a row with the reason. Throws ERR_CANCELLED; ERR_IO, ERR_POOL_MEMORY while it prepares. */
export async function measureNode(options: BenchOptions): Promise<NodeResult> {
  const folder = mkdtempSync(join(options.folder, "tilecast-bench-"));
  try {
    const machine = machineFacts(folder, options.cores);
    let setting = settingOf(options, folder);
    const total = options.questions.length * (options.trials + 1);
    let done = 0;
    for (const question of options.questions) {
      options.signal?.throwIfAborted();
      options.onStep?.(`preparing ${question.name}`, done++, total);
      const found = await question.prepare?.(setting, options.makePlate);
      if (found !== undefined)
        setting = { ...setting, prepared: { ...setting.prepared, [question.name]: found } };
    }
    const random = seededRandom(options.seed);
    const answers = new Map<string, TrialAnswer[]>(options.questions.map((q) => [q.name, []]));
    const foreign: number[] = [];
    for (let trial = 1; trial <= options.trials; trial++) {
      for (const question of shuffled(options.questions, random)) {
        options.onStep?.(`${question.name}, trial ${trial} of ${options.trials}`, done++, total);
        const order = orderOf(question.measurements(setting), random);
        const began = performance.now();
        const busy = busySeconds();
        const answer = await runTrial({ question: question.name, setting, order }, options.signal);
        const seconds = (performance.now() - began) / 1000;
        foreign.push(Math.max(0, busySeconds() - busy - answer.cpuSeconds) / seconds);
        answers.get(question.name)?.push(answer);
      }
    }
    const rows = rowsOf(options.questions.flatMap((q) => seriesOf(q, setting, answers.get(q.name) ?? [])));
    const foreignCores = median(foreign);
    const { trials, seconds, quick, seed } = options;
    return {
      machine,
      commit: commit(),
      rows,
      about: Object.fromEntries(options.questions.map(({ name, title, how }) => [name, { title, how }])),
      verdicts: verdicts(machine, rows, foreignCores),
      options: { trials, seconds, quick, seed },
      foreignCores,
    };
  } catch (error) {
    if (options.signal?.aborted)
      throw new TilecastError("ERR_CANCELLED", "tilecast bench was cancelled", { cause: error });
    throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
