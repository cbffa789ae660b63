// SPDX-License-Identifier: MIT
// Images too large to be held whole: which jobs run block by block, whether their ops can, and the pool that all jobs of a run share.

import { TilecastError } from "../errors.js";
import { native } from "../native.js";
import type { Job, Plan, Program } from "./plan.js";
import { threadsThatFit } from "./run-pool.js";

/** Slots of jobs in blocks: 512 rows of 32 Ki px in float32, so that rows of chunks are blocks up to that width. */
const blockSlotBytes = 64 * 2 ** 20;

/** Tiles up to this are held whole: a camera's 8 Ki x 4 Ki px in float32. */
export const defaultMaxSlotBytes = 128 * 2 ** 20;

export interface PoolPlan {
  readonly slotBytes: number;
  /** Slots that a thread's job holds at once. */
  readonly perThread: number;
  readonly threads: number;
  /** Jobs that run in blocks, of the plan and of its estimates. */
  readonly inBlocks: ReadonlySet<Job>;
  /** What the objects of one image in blocks may take. */
  readonly objectBytes: number;
}

const size = (bytes: number) =>
  bytes < 1e6
    ? `${Math.ceil(bytes / 1e3)} kB`
    : bytes < 1e9
      ? `${(bytes / 1e6).toFixed(0)} MB`
      : `${(bytes / 1e9).toFixed(1)} GB`;

/** What the native side needs of a job to know the sizes of its tiles. */
const sizesOf = (job: Job) => ({
  program: job.program,
  index: 0,
  thumbnail: false,
  sources: job.sources.map(({ path, page, sample, height, width, dtype }) => ({
    path,
    page,
    sample,
    height,
    width,
    dtype,
  })),
  outputs: [],
  mosaics: job.mosaics,
  rowPrefixes: [],
  planePrefixes: [],
  files: [],
});

/** Largest plane of a job, for messages. */
function describe(job: Job): string {
  const plane = job.sources.reduce((a, b) => (b.height * b.width > a.height * a.width ? b : a));
  return `${plane.width} x ${plane.height} px`;
}

/** The op that a program cannot do in blocks, as messages name it. */
function nameOf(program: Program, unfit: number): string {
  const op = program.code[unfit];
  return op?.op === "function" ? "javascript" : (op?.name ?? op?.op ?? "an op");
}

/** Jobs of the passes that fill estimates. */
export function estimateJobs({ resources }: Pick<Plan, "resources">): Job[] {
  return resources.flatMap((r) => (r.kind === "estimate" ? r.jobs : []));
}

/**
 * How a plan's jobs share `room` bytes on `wanted` threads. Tiles above `given` bytes (default 128 MiB), and those of which not even one
 * thread's fit, go block by block; without `given` those that cannot are held whole where there is the room. A thread has `leastPerThread` slots at
 * least.
 *
 * Throws ERR_PIPELINE where an op needs an image whole that is too large for that, ERR_POOL_MEMORY where nothing fits.
 */
export function planPool(
  plan: Plan,
  wanted: number,
  room: number,
  given?: number,
  leastPerThread = 1,
): PoolPlan {
  const maxSlotBytes = given ?? defaultMaxSlotBytes;
  const { Runner } = native();
  const jobs = [...plan.jobs, ...estimateJobs(plan)];
  const slots = plan.programs.map((p) => Runner.slotsNeeded(p));
  const blockSlot = Math.min(blockSlotBytes, maxSlotBytes);
  const inBlocks = new Set<Job>();
  let slotBytes = 4096;
  let perThread = leastPerThread;
  for (const job of jobs) {
    const whole = slots[job.program] as number;
    if (job.tileBytes <= maxSlotBytes && job.tileBytes * whole <= room) {
      slotBytes = Math.max(slotBytes, job.tileBytes);
      perThread = Math.max(perThread, whole);
      continue;
    }
    const program = plan.programs[job.program] as Program;
    const { unfit, slots: needed } = Runner.inBlocks(program, sizesOf(job), blockSlot);
    // Nobody asked for smaller slots.
    if (unfit >= 0 && given === undefined && job.tileBytes * whole <= room) {
      slotBytes = Math.max(slotBytes, job.tileBytes);
      perThread = Math.max(perThread, whole);
      continue;
    }
    if (unfit >= 0) {
      const name = nameOf(program, unfit);
      const memory = job.tileBytes * whole;
      const advice =
        memory <= room
          ? `allow slots of ${size(job.tileBytes)} (maxSlotBytes, --max-slot): a thread then holds ${size(memory)}`
          : `with slots of ${size(job.tileBytes)} (maxSlotBytes, --max-slot) a thread would hold ${size(memory)}, and ${size(room)} may be used (memory, --memory)`;
      throw new TilecastError(
        "ERR_PIPELINE",
        `step "${program.code[unfit]?.stage ?? ""}": ${name} needs its whole image in one tile, and an image of well ${job.well} has ${describe(job)}, more than a slot of ${size(blockSlot)} holds. Crop, bin or resize it before, or ${advice}`,
        { argument: name },
      );
    }
    inBlocks.add(job);
    perThread = Math.max(perThread, needed);
  }
  if (inBlocks.size > 0) {
    // Half of the room is left to objects.
    const most = Math.floor(room / 2 / perThread);
    slotBytes = Math.max(slotBytes, Math.min(blockSlot, most));
  }
  const threads = threadsThatFit(wanted, perThread * slotBytes, room);
  return {
    slotBytes,
    perThread,
    threads,
    inBlocks,
    objectBytes: Math.max(16 * 2 ** 20, Math.floor((room - threads * perThread * slotBytes) / 2)),
  };
}
