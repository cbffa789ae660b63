// SPDX-License-Identifier: MIT
// Which process is meant, safe against reuse of process ids: the id with the start time as psutil computes it.

import { readFileSync } from "node:fs";
import type { ProcessIdentity } from "./messages.js";

/** Clock ticks a second that Linux shows to programs: 100 on every architecture that Node runs on (USER_HZ). */
const ticksPerSecond = 100;

/**
 * The process of that id; `undefined` when there is none, or where the system does not tell (only Linux is asked). Peers compare the time with
 * psutil's by equality, hence psutil's own arithmetic: boot time plus ticks since boot.
 */
export function processIdentity(pid: number): ProcessIdentity | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name, in parentheses, may hold spaces and parentheses. State is field 3, start time field 22.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z" || fields[0] === "X") return undefined;
    const boot = /^btime (\d+)$/m.exec(readFileSync("/proc/stat", "utf8"))?.[1];
    const ticks = Number(fields[19]);
    if (boot === undefined || !Number.isFinite(ticks)) return undefined;
    return { pid, create_time: ticks / ticksPerSecond + Number(boot) };
  } catch {
    return undefined;
  }
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
