// SPDX-License-Identifier: MIT
// Which process is meant, safe against reuse of process ids: the id with the start time as psutil computes it.

import { readFileSync } from "node:fs";
import type { ProcessIdentity } from "./messages.js";

/** Clock ticks a second that Linux shows to programs: 100 on every architecture that Node runs on (USER_HZ). */
export const ticksPerSecond = 100;

interface ProcessStat {
  /** One letter of proc(5). */
  readonly state: string;
  /** Time in user and system mode. */
  readonly cpuTicks: number;
  /** Since boot. */
  readonly startTicks: number;
}

/** proc(5), `/proc/PID/stat`; `undefined` when there is no such process, or no such file on this system. */
export function readStat(pid: number): ProcessStat | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // The name, in parentheses, may hold spaces and parentheses. State is field 3, times 14 and 15, start 22.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [cpuTicks, startTicks] = [Number(fields[11]) + Number(fields[12]), Number(fields[19])];
  return Number.isFinite(startTicks) ? { state: fields[0] ?? "", cpuTicks, startTicks } : undefined;
}

/**
 * The process of that id; `undefined` when there is none, or where the system does not tell (only Linux is asked). Peers compare the time with
 * psutil's by equality, hence psutil's own arithmetic: boot time plus ticks since boot.
 */
export function processIdentity(pid: number): ProcessIdentity | undefined {
  if (process.platform !== "linux") return undefined;
  const stat = readStat(pid);
  if (stat === undefined || stat.state === "Z" || stat.state === "X") return undefined;
  const boot = /^btime (\d+)$/m.exec(readFileSync("/proc/stat", "utf8"))?.[1];
  return boot === undefined
    ? undefined
    : { pid, create_time: stat.startTicks / ticksPerSecond + Number(boot) };
}

let own: ProcessIdentity | undefined;
/** This process; `undefined` where the system does not tell. */
export function thisProcess(): ProcessIdentity | undefined {
  own ??= processIdentity(process.pid);
  return own;
}

/** Whether that very process runs on this host; `undefined` where the system does not tell. */
export function isAlive(identity: ProcessIdentity): boolean | undefined {
  if (process.platform !== "linux") return undefined;
  const now = processIdentity(identity.pid);
  // The boot time that the kernel shows moves by a second when the clock is set.
  return now !== undefined && Math.abs(now.create_time - identity.create_time) < 2;
}
