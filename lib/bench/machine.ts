// SPDX-License-Identifier: MIT
// Facts of this node that a result is stamped with, and the sizes that measurements depend on.

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, realpathSync, statfsSync } from "node:fs";
import { availableParallelism, cpus, freemem, release, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { native } from "../native.js";
import { version } from "../version.js";
import type { MachineFacts } from "./result.js";

function textOf(path: string): string | null {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return null;
  }
}

function names(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** "512K", "32M" as the kernel writes cache sizes. */
function bytesOf(text: string | null): number {
  const [, number, unit] = /^(\d+)([KMG]?)$/.exec(text ?? "") ?? [];
  return number === undefined
    ? 0
    : Number(number) * { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, "": 1 }[unit as "K"];
}

const cpuFolder = "/sys/devices/system/cpu";

/** One core's L2, and all L3 caches together: several cores share one, and a node has several. Guesses where the system does not say. */
export function cacheBytes(): { readonly l2: number; readonly l3: number } {
  let l2 = 0;
  const l3 = new Map<string, number>();
  for (const cpu of names(cpuFolder).filter((n) => /^cpu\d+$/.test(n))) {
    const folder = join(cpuFolder, cpu, "cache");
    for (const index of names(folder).filter((n) => n.startsWith("index"))) {
      const read = (file: string) => textOf(join(folder, index, file));
      if (read("level") === "2") l2 = Math.max(l2, bytesOf(read("size")));
      if (read("level") === "3") l3.set(read("shared_cpu_list") ?? cpu, bytesOf(read("size")));
    }
  }
  const all = [...l3.values()].reduce((sum, n) => sum + n, 0);
  return { l2: l2 || 2 ** 20, l3: all || 32 * 2 ** 20 };
}

/** Cores' worth of time that a container may use; null without a quota. */
function cpuQuota(): number | null {
  const [quota, period] = (textOf("/sys/fs/cgroup/cpu.max") ?? "max").split(" ");
  return quota === undefined || quota === "max" ? null : Number(quota) / Number(period ?? 100_000);
}

/** "0-1", "0,2-3" to a count. */
function countOf(list: string | null): number | null {
  if (list === null || list === "") return null;
  return list
    .split(",")
    .map((part) => part.split("-").map(Number))
    .reduce((sum, [from = 0, to]) => sum + (to ?? from) - from + 1, 0);
}

/** Type of the file system that a folder is on; null where the system has no list of mounts. */
export function fileSystemOf(folder: string): string | null {
  const real = realpathSync(folder);
  const mounts = (textOf("/proc/self/mounts") ?? "").split("\n").flatMap((line) => {
    const [, at, type] = line.split(" ");
    return at !== undefined && type !== undefined && (at === "/" || real === at || real.startsWith(`${at}/`))
      ? [{ at, type }]
      : [];
  });
  // The last mount on the longest path is the one that is seen.
  return (
    mounts.reduce<{ at: string; type: string } | null>(
      (best, m) => (best === null || m.at.length >= best.at.length ? m : best),
      null,
    )?.type ?? null
  );
}

/** Free bytes of a folder's file system. */
export function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

export function shmBytes(): { readonly total: number; readonly free: number } | null {
  try {
    const { bsize, blocks, bavail } = statfsSync("/dev/shm");
    return { total: bsize * blocks, free: bsize * bavail };
  } catch {
    return null;
  }
}

const gigabytes = (bytes: number) => Math.round(bytes / 1e8) / 10;

/** What goes into the result: no name and no path of this machine. */
export function machineFacts(folder: string, cores: number): MachineFacts {
  const { l2, l3 } = cacheBytes();
  const shm = shmBytes();
  const kilohertz = textOf(join(cpuFolder, "cpu0/cpufreq/cpuinfo_max_freq"));
  const limit = process.constrainedMemory() || Number.POSITIVE_INFINITY;
  return {
    date: new Date().toISOString(),
    tilecast: version,
    node: process.version,
    system: `${process.platform}-${process.arch} ${release()}`,
    cpu: cpus()[0]?.model.trim() || process.arch,
    kernels: native().kernels,
    cores,
    coresAvailable: availableParallelism(),
    coresOfMachine: countOf(textOf(join(cpuFolder, "online"))) ?? cpus().length,
    coreQuota: cpuQuota(),
    threadsPerCore: countOf(textOf(join(cpuFolder, "cpu0/topology/thread_siblings_list"))),
    maxGHz: kilohertz === null ? null : Number(kilohertz) / 1e6,
    governor: textOf(join(cpuFolder, "cpu0/cpufreq/scaling_governor")),
    l2KB: Math.round(l2 / 1024),
    l3MB: Math.round(l3 / 2 ** 20),
    memoryGB: gigabytes(Math.min(totalmem(), limit)),
    memoryFreeGB: gigabytes(Math.min(freemem(), limit)),
    numaNodes: countOf(textOf("/sys/devices/system/node/online")) ?? 1,
    sharedMemoryGB: shm === null ? null : gigabytes(shm.total),
    sharedMemoryFreeGB: shm === null ? null : gigabytes(shm.free),
    fileSystem: fileSystemOf(folder),
  };
}

/** The commit of the sources that this runs from; null in an installed package. */
export function commit(): string | null {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  if (!existsSync(join(root, ".git"))) return null;
  const git = (...args: string[]) =>
    execFileSync("git", ["--no-optional-locks", ...args], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  try {
    return git("rev-parse", "HEAD") + (git("status", "--porcelain") === "" ? "" : "-dirty");
  } catch {
    return null;
  }
}

/** Seconds that all cores were busy since boot. */
export function busySeconds(): number {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0) / 1000;
}
