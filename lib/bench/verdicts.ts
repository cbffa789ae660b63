// SPDX-License-Identifier: MIT
// Where the node falls short, in sentences: memory bandwidth, cores, shared memory, NUMA, disk.

import { coresName, node, us } from "./question.js";
import type { MachineFacts, Row } from "./result.js";

export interface Verdict {
  readonly about: "cores" | "memory" | "shared memory" | "NUMA" | "disk" | "noise";
  /** short: the node holds pipelines back here. */
  readonly state: "good" | "short";
  readonly text: string;
  /** What to do about it; empty when nothing needs doing. */
  readonly advice: string;
}

/** Medium rates in three digits: "9.34", "14.3", "382". */
const figure = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString("en-US") : value.toFixed(value >= 10 ? 1 : 2);

const share = (value: number): string => `${Math.round(100 * value)} %`;

/** A worker holds a few planes of 2048 x 2048 px as float32 (17 MB) at once. */
const sharedMemoryPerCoreGB = 0.07;

/** A worker core that moves pixels through a chain copies about this much; measured runs stay below it. */
const copyPerCoreGBs = 1.5;

/** Bytes of the generated image's blosc-lz4 shard by those of its pixels: camera noise hardly compresses further. */
const storedShare = 0.57;

const good = (about: Verdict["about"], text: string): Verdict => ({ about, state: "good", text, advice: "" });
const short = (about: Verdict["about"], text: string, advice: string): Verdict => ({
  about,
  state: "short",
  text,
  advice,
});

function coresVerdicts(machine: MachineFacts, value: Lookup, cores: number): Verdict[] {
  const out: Verdict[] = [];
  const quota = machine.coreQuota;
  if (typeof quota === "number" && quota < cores)
    out.push(
      short(
        "cores",
        `The container may use ${figure(quota)} cores' worth of time, but ${cores} are visible: threads are stopped again and again.`,
        `raise the quota, or run with --threads ${Math.max(1, Math.floor(quota))}`,
      ),
    );
  const machineCores = Number(machine.coresOfMachine ?? cores);
  if (cores < machineCores)
    out.push(
      short(
        "cores",
        `This process may use ${cores} of the machine's ${machineCores} cores.`,
        "on Slurm ask for --cpus-per-task; taskset and cpusets limit too",
      ),
    );
  if (cores === 1) return out;
  const name = "lzw";
  const one = value("tiff-read", `${name}, 1 core`, us);
  const all = value("tiff-read", `${name}, ${coresName(cores)}`, us);
  if (one !== null && all !== null) {
    const efficiency = all / (cores * one);
    const text = `Decoding LZW, which lives in the cores' own caches, is ${figure(all / one)} times as fast on ${cores} cores as on one (${share(efficiency)} of ideal)`;
    const threads = Number(machine.threadsPerCore ?? 1);
    out.push(
      efficiency >= 0.7
        ? good("cores", `${text}.`)
        : short(
            "cores",
            `${text}: the cores share units, slow down together, or are not free.`,
            threads > 1
              ? `two threads share a core here (SMT): ${figure(cores / threads)} cores do the work`
              : "look at the clock under load (turbostat, cpupower frequency-info) and at what else runs",
          ),
    );
  }
  if (machine.governor === "powersave" || machine.governor === "conservative")
    out.push(
      short(
        "cores",
        `The clock is governed by "${machine.governor}", which may lag behind short bursts of work.`,
        "cpupower frequency-set -g performance",
      ),
    );
  return out;
}

function memoryVerdicts(value: Lookup, cores: number): Verdict[] {
  const one = value("memory", "copy, DRAM, 1 core", node);
  const all = value("memory", `copy, DRAM, ${coresName(cores)}`, node);
  if (one === null || all === null) return [];
  const perCore = all / cores;
  const speedup = all / one;
  const saturated =
    speedup < 0.75 * cores ? `, so about ${Math.max(1, Math.round(speedup))} of ${cores} saturate it` : "";
  const text =
    cores === 1
      ? `Memory copies at ${figure(all)} GB/s.`
      : `Memory copies at ${figure(all)} GB/s by all cores, ${figure(perCore)} GB/s a core; one core alone reaches ${figure(one)}${saturated}.`;
  return [
    perCore >= copyPerCoreGBs
      ? good("memory", text)
      : short(
          "memory",
          `${text} That is less than the ${copyPerCoreGBs} GB/s a core that pipelines of cheap steps use.`,
          "check that all memory channels are populated; prefer pipelines that compute more, or fewer threads",
        ),
  ];
}

function sharedVerdicts(machine: MachineFacts, value: Lookup, cores: number): Verdict[] {
  const out: Verdict[] = [];
  const free = machine.sharedMemoryFreeGB;
  const wanted = Math.max(0.5, cores * sharedMemoryPerCoreGB);
  if (free === null)
    out.push(
      short("shared memory", "There is no /dev/shm.", "mount a tmpfs there, as every distribution does"),
    );
  else if (typeof free === "number")
    out.push(
      free >= wanted
        ? good("shared memory", `/dev/shm has ${figure(free)} GB free: enough for ${coresName(cores)}.`)
        : short(
            "shared memory",
            `/dev/shm has ${figure(free)} GB free; ${coresName(cores)} want about ${figure(wanted)} GB for planes of 2048 x 2048 px.`,
            "container: docker run --shm-size=8g; host: mount -o remount,size=50% /dev/shm",
          ),
    );
  const fresh = value("memory", "fill a fresh slot, 1 core", node);
  const warm = value("memory", "fill a warm slot, 1 core", node);
  if (fresh !== null && warm !== null)
    out.push(
      good(
        "shared memory",
        `New shared memory fills at ${figure(fresh)} GB/s, a warm slot at ${figure(warm)}: recycled slots are ${figure(warm / fresh)} times as fast.`,
      ),
    );
  return out;
}

function numaVerdict(machine: MachineFacts, cores: number): Verdict[] {
  const nodes = Number(machine.numaNodes ?? 1);
  return nodes <= 1
    ? [good("NUMA", "One NUMA node: all memory is equally near.")]
    : [
        short(
          "NUMA",
          `${nodes} NUMA nodes: a slot lies near one of them, and ${coresName(cores)} of all nodes take from the same pool.`,
          "run one process a node on a share of the wells: numactl --cpunodebind=N --membind=N tilecast run ... --wells",
        ),
      ];
}

function diskVerdicts(machine: MachineFacts, value: Lookup, cores: number): Verdict[] {
  const device = Math.max(
    value("disk", "write, to the device, 1 core", node) ?? 0,
    value("disk", `write, to the device, ${coresName(cores)}`, node) ?? 0,
  );
  if (device === 0) return [];
  const where = `the folder's file system (${machine.fileSystem ?? "unknown"})`;
  const out: Verdict[] = [];
  const pixels = value("zarr-write", `blosc-lz4, ${coresName(cores)}`, us);
  if (pixels === null) {
    out.push(good("disk", `The device behind ${where} takes ${figure(device)} MB/s.`));
  } else {
    const produced = pixels * storedShare;
    const text = `${coresName(cores)} compress OME-Zarr to about ${figure(produced)} MB/s; the device behind ${where} takes ${figure(device)} MB/s`;
    out.push(
      device >= produced
        ? good("disk", `${text}.`)
        : short(
            "disk",
            `${text}: a long run that fills the page cache waits for it.`,
            "write to a local NVMe or a striped file system (--out, lfs setstripe), or use --compression blosc-zstd",
          ),
    );
  }
  const files = value("disk", `make empty files, ${coresName(cores)}`, node);
  const planes = value("plate", `whole plate in planes, ${coresName(cores)}`, us);
  if (files !== null && planes !== null)
    out.push(
      files >= 4 * planes
        ? good(
            "disk",
            `It makes ${figure(files)} files/s; a run of ${figure(planes)} planes/s makes at most as many.`,
          )
        : short(
            "disk",
            `It makes only ${figure(files)} files/s, and a run reads ${figure(planes)} planes/s: metadata will bound it.`,
            "write to a local disk; keep --zarr 0.5 (one file a plane)",
          ),
    );
  return out;
}

type Lookup = (question: string, name: string, subject: string) => number | null;

/** Judges the figures. Pure: the same figures give the same sentences. Questions that were not asked are not judged. */
export function verdicts(machine: MachineFacts, rows: readonly Row[], foreignCores: number): Verdict[] {
  const value: Lookup = (question, name, subject) =>
    rows.find((r) => r.question === question && r.case === name && r.subject === subject)?.value ?? null;
  const cores = Number(machine.cores ?? 1);
  const out = [
    ...coresVerdicts(machine, value, cores),
    ...memoryVerdicts(value, cores),
    ...sharedVerdicts(machine, value, cores),
    ...numaVerdict(machine, cores),
    ...diskVerdicts(machine, value, cores),
  ];
  if (foreignCores > 0.25)
    out.push(
      short(
        "noise",
        `Others used ${figure(foreignCores)} cores while this was measured: the figures are too low, and their spread is not this node's.`,
        "measure again on a quiet node (salloc --exclusive)",
      ),
    );
  return out;
}
