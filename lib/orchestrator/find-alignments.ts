// SPDX-License-Identifier: MIT
// Runs what finds how images lie, op by op, before the run whose plan depends on it.

import { fromNative } from "../errors.js";
import { type NativeEncoding, type NativeRunner, native } from "../native.js";
import type { Plate } from "../plates/plate.js";
import type { OmeZarrStore } from "../stores/ome-zarr.js";
import {
  type AlignedImage,
  type AlignedPair,
  type Alignment,
  type Alignments,
  type AlignOp,
  alignOps,
} from "./alignment.js";
import { type AlignmentCache, alignmentDigest } from "./alignment-cache.js";
import { type CompileOptions, compileAlignment } from "./compile.js";
import type { AlignGroup, AlignPhase } from "./compile-align.js";
import { execute, nativeJob, prepareResources } from "./execute.js";
import type { Point } from "./field-grid.js";
import { FunctionHost } from "./function-host.js";
import { estimateJobs } from "./large-images.js";
import type { Pipeline } from "./pipeline.js";
import type { Job } from "./plan.js";
import { RunPool, threadsThatFit } from "./run-pool.js";
import { settle } from "./settle-places.js";

export interface AlignEnvironment {
  readonly store: OmeZarrStore;
  readonly encoding: NativeEncoding;
  readonly threads: number;
  /** Bytes of tiles that may be had. */
  readonly room: number;
  readonly cache: AlignmentCache;
  readonly signal: AbortSignal | undefined;
  readonly progress: () => void;
}

/** Everything that was found, and the seconds that it took by step and op. */
export interface FoundAlignments {
  readonly alignments: Alignments;
  readonly timings: ReturnType<NativeRunner["timings"]>;
}

/** A found shift is believed when its strength, Fisher's z, is so many times what mirror images reach, its own and usually those of its group. */
const believable = 1.5;

/** Finds what every op of the pipeline that moves images needs. An aborted signal ends it early, with what has been found. */
export async function findAlignments(
  pipeline: Pipeline,
  plate: Plate,
  options: CompileOptions,
  environment: AlignEnvironment,
): Promise<FoundAlignments> {
  const alignments = new Map<string, Alignment>();
  const timings: FoundAlignments["timings"][number][] = [];
  for (const align of alignOps(pipeline.steps)) {
    if (align.op.parameters.align === false) continue;
    const phase = compileAlignment(pipeline, plate, { ...options, alignments }, align);
    const digests = new Map(
      phase.groups.map((g) => [g.key, alignmentDigest(pipeline, align.place, phase, g, alignments)]),
    );
    const todo = phase.groups.filter((g) => {
      const known = environment.cache.find(g.key, digests.get(g.key) as string);
      if (known !== undefined) alignments.set(g.key, known);
      return known === undefined;
    });
    if (todo.length === 0) continue;
    if (environment.signal?.aborted) break;
    const found = await measure(phase, todo, environment);
    if (found === null) break;
    timings.push(...found.timings);
    for (const group of todo) {
      const alignment = conclude(align, group, found.matches.get(group.resource) as Float64Array);
      alignments.set(group.key, alignment);
      environment.cache.add(group.key, digests.get(group.key) as string, alignment);
    }
  }
  return { alignments, timings };
}

/** The pairs' matches by aligner; null when it was cancelled. An image that cannot be read is left out: the run says so when it meets it. */
async function measure(phase: AlignPhase, groups: readonly AlignGroup[], environment: AlignEnvironment) {
  const { store, signal } = environment;
  const addon = native();
  const jobs = groups.flatMap((g) => g.jobs);
  const inBlocks = new Set<Job>();
  // Images that are put side by side are a camera's: they are held whole.
  const tiles = [...jobs.map(({ job }) => job), ...estimateJobs(phase)].map((job) => job.tileBytes);
  const slotBytes = Math.max(4096, ...tiles);
  const perThread = Math.max(1, ...phase.programs.map((p) => addon.Runner.slotsNeeded(p)));
  const threads = threadsThatFit(environment.threads, perThread * slotBytes, environment.room);
  using runPool = new RunPool(slotBytes, threads * perThread, 0);
  const { pool } = runPool.make();
  const runner = new addon.Runner(pool, {
    threads,
    image: environment.encoding,
    labels: environment.encoding,
    thumbnailPx: 8,
  });
  const functions = new FunctionHost(pool, runner, phase);
  const cancelled = () => signal?.aborted ?? false;
  const abort = () => runner.cancel();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    await prepareResources(
      runner,
      phase,
      store,
      functions,
      inBlocks,
      cancelled,
      environment.progress,
      signal,
    );
    if (cancelled()) return null;
    await execute(
      runner,
      jobs.map(({ job, image }, i) => ({ ...nativeJob(job, i, store, false, [], inBlocks), image })),
      (call) => functions.call(call, jobs[call.job]?.job),
      environment.progress,
      signal,
    );
    if (cancelled()) return null;
    const matches = new Map(groups.map((g) => [g.resource, runner.finishAligner(g.resource)]));
    return { matches, timings: runner.timings() };
  } catch (error) {
    throw fromNative(error);
  } finally {
    signal?.removeEventListener("abort", abort);
    await functions.close();
    runner.close();
  }
}

/** Five numbers a pair: found, y, x, score, chance (native/src/ops/pair_match.h). */
const perMatch = 5;

interface Match extends Point {
  readonly first: number;
  readonly second: number;
  readonly expected: Point;
  readonly score: number;
  readonly chance: number;
  readonly state: "believed" | "chance" | "unmatched";
}

const strength = (correlation: number) => Math.atanh(Math.min(correlation, 1 - 1e-12));

/** What images of the group reach by chance: the third quartile over its pairs, since a strip with little in it tells little of chance. */
function usualChance(data: Float64Array): number {
  const all: number[] = [];
  for (let i = 0; i < data.length; i += perMatch)
    if (data[i] === 1) all.push(strength(data[i + 4] as number));
  all.sort((a, b) => a - b);
  return all[Math.floor((3 * all.length) / 4)] ?? 0;
}

function matchesOf(group: AlignGroup, data: Float64Array): Match[] {
  const usual = usualChance(data);
  return group.pairs.map((pair, i): Match => {
    const [found = 0, y = 0, x = 0, score = 0, chance = 0] = data.subarray(perMatch * i, perMatch * (i + 1));
    const enough = believable * Math.max(strength(chance), usual);
    const state = found === 0 ? "unmatched" : strength(score) > enough ? "believed" : "chance";
    const { first, second } = pair;
    return { first, second, expected: { y: pair.y, x: pair.x }, y, x, score, chance, state };
  });
}

/** Places of a group's images from what its pairs gave. */
function conclude(align: AlignOp, group: AlignGroup, data: Float64Array): Alignment {
  const matches = matchesOf(group, data);
  const believed = matches.filter((m) => m.state === "believed");
  const settled =
    align.op.name === "stitch"
      ? settle(
          group.expected,
          believed.map((m) => ({ ...m, weight: m.score ** 2 })),
        )
      : follow(group, believed);
  const round = (v: number) => Math.round(v * 1000) / 1000;
  const pairs = matches.map((m): AlignedPair => {
    const at = believed.indexOf(m);
    const { state, expected, score, chance } = m;
    return {
      first: group.members[m.first] as number,
      second: group.members[m.second] as number,
      expected: { y: round(expected.y), x: round(expected.x) },
      y: round(m.y),
      x: round(m.x),
      score: round(score),
      chance: round(chance),
      state: state !== "believed" ? state : settled.used[at] ? "used" : "contradicts",
      residual: at < 0 ? null : round(settled.residuals[at] as number),
    };
  });
  const images = group.members.map((member, i): AlignedImage => {
    const at = settled.places[i] as Point;
    const expected = group.expected[i] as Point;
    const links = pairs.filter((p) => p.state === "used" && (p.first === member || p.second === member));
    return {
      member,
      expected: { y: round(expected.y), x: round(expected.x) },
      y: round(at.y),
      x: round(at.x),
      group: group.members[settled.groups[i] as number] as number,
      links: links.length,
    };
  });
  return {
    step: align.place.step,
    op: align.op.name,
    over: group.over,
    well: group.well,
    site: group.site,
    timepoint: group.timepoint,
    images,
    pairs,
  };
}

/** Registration: each image lies where its one comparison says; where that is not believed, as the image that it was compared with. */
function follow(group: AlignGroup, believed: readonly Match[]) {
  const places: Point[] = group.members.map(() => ({ y: 0, x: 0 }));
  const groups = group.members.map((_, i) => i);
  for (const { first, second } of group.pairs) {
    const from = places[first] as Point;
    const match = believed.find((m) => m.second === second);
    places[second] = match === undefined ? from : { y: from.y + match.y, x: from.x + match.x };
    if (match !== undefined) groups[second] = groups[first] as number;
  }
  return { places, groups, used: believed.map(() => true), residuals: believed.map(() => 0) };
}
