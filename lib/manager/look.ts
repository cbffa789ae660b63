// SPDX-License-Identifier: MIT
// One look at the host: its servers, those that are starting, and what the processes use.

import { findServers, type ZmqConfig } from "../runtime/index.js";
import { ProcessMeter } from "../runtime/process-usage.js";
import type { Scan } from "./instance-model.js";
import { findLaunching } from "./launching.js";
import { pongOf } from "./server-info.js";

export interface LookOptions {
  /** Where to look; default the applications of the family, over IPC and the usual TCP ports. */
  readonly configs?: readonly ZmqConfig[];
  readonly tcp?: boolean;
  /** For each answer; default 500. */
  readonly timeoutMs?: number;
}

export type Look = (signal: AbortSignal) => Promise<Scan>;

/** All endpoints at once. CPU is what was used since the look before. */
export function makeLook({ configs, tcp, timeoutMs }: LookOptions = {}): Look {
  const meter = new ProcessMeter();
  return async (signal) => {
    const found = await findServers({
      signal,
      ...(configs && { configs }),
      ...(tcp !== undefined && { tcp }),
      ...(timeoutMs !== undefined && { timeoutMs }),
    });
    const silent = found.flatMap((each) => {
      const pong = pongOf(each);
      const pid = pong?.memory_mb === undefined ? pong?.process_identity?.pid : undefined;
      return pid === undefined ? [] : [pid];
    });
    const usage = new Map(
      meter.read(silent).map((p) => [p.pid, { memoryMb: p.memory_mb, cpuPercent: p.cpu_percent }]),
    );
    return { found, launching: findLaunching(configs), usage, at: Date.now() };
  };
}
