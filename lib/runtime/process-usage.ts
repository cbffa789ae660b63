// SPDX-License-Identifier: MIT
// What processes use, as pongs report it: the share of a core since the last look, and resident memory.

import { readFileSync } from "node:fs";
import type { Worker } from "./messages.js";
import { processIdentity, readStat, ticksPerSecond } from "./process-identity.js";

/** Per cent of one core between two looks; 0 at the first, as psutil has it. */
class CoreShare {
  #seconds: number | undefined;
  #at = 0;

  since(cpuSeconds: number): number {
    const now = performance.now() / 1000;
    const [before, then] = [this.#seconds, this.#at];
    this.#seconds = cpuSeconds;
    this.#at = now;
    return before === undefined || now <= then
      ? 0
      : Math.max(0, (100 * (cpuSeconds - before)) / (now - then));
  }
}

/** Of this process. */
export class OwnUsage {
  readonly #share = new CoreShare();

  constructor() {
    this.read();
  }

  read(): { readonly memory_mb: number; readonly cpu_percent: number } {
    const { user, system } = process.cpuUsage();
    return {
      memory_mb: process.memoryUsage.rss() / 2 ** 20,
      cpu_percent: this.#share.since((user + system) / 1e6),
    };
  }
}

/** psutil's words for the states of proc(5). */
const states: Readonly<Record<string, string>> = {
  R: "running",
  S: "sleeping",
  D: "disk-sleep",
  T: "stopped",
  t: "tracing-stop",
  Z: "zombie",
  X: "dead",
  x: "dead",
  K: "wake-kill",
  W: "waking",
  I: "idle",
  P: "parked",
};

/** Of other processes of this host. */
export class ProcessMeter {
  readonly #shares = new Map<string, CoreShare>();

  /** Those of the given ids that exist. None where the system does not tell (only Linux is asked). */
  read(pids: readonly number[]): Worker[] {
    const seen = new Set<string>();
    const workers = [...new Set(pids)].flatMap((pid): Worker[] => {
      const stat = readStat(pid);
      const identity = processIdentity(pid);
      if (stat === undefined || identity === undefined) return [];
      const key = `${pid} ${identity.create_time}`;
      seen.add(key);
      const share = this.#shares.get(key) ?? new CoreShare();
      this.#shares.set(key, share);
      return [
        {
          pid,
          status: states[stat.state] ?? "unknown",
          cpu_percent: share.since(stat.cpuTicks / ticksPerSecond),
          memory_mb: residentMegabytes(pid),
          create_time: identity.create_time,
        },
      ];
    });
    for (const key of this.#shares.keys()) if (!seen.has(key)) this.#shares.delete(key);
    return workers;
  }
}

/** Not from stat, whose pages have another size elsewhere. */
function residentMegabytes(pid: number): number {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return Number(kilobytes ?? 0) / 1024;
  } catch {
    return 0;
  }
}
