// SPDX-License-Identifier: MIT
// Progress events and scans as servers make them, for tests without sockets.

import type { Scan } from "../../lib/manager/instance-model.js";
import { Endpoint, type FoundServer, type Pong, type ReceivedProgress } from "../../lib/runtime/index.js";

let clock = 1_790_000_000;

/** One of OpenHCS's kind: without a sequence, told apart by its time. */
export function event(given: Partial<ReceivedProgress> & Pick<ReceivedProgress, "phase">): ReceivedProgress {
  const { completed = 0, total = 0 } = given;
  return {
    execution_id: "e1",
    plate_id: "/data/plate one",
    axis_id: "",
    step_name: "",
    status: "running",
    percent: total === 0 ? 0 : (100 * completed) / total,
    timestamp: ++clock,
    ...given,
    completed,
    total,
  };
}

export const endpoint = (port = 7777) => new Endpoint({ mode: "ipc", port });

export function pong(given: Partial<Pong> = {}): Pong {
  return {
    port: 7777,
    control_port: 8777,
    ready: true,
    server: "ExecutionServer",
    server_role: "execution",
    running_executions: [],
    queued_executions: [],
    process_identity: { pid: 100, create_time: 1_789_999_990 },
    ...given,
  };
}

export function ready(given: Partial<Pong> = {}, port = 7777): FoundServer {
  const state = { state: "ready", pong: pong(given), generation: "C", latencyMs: 1, raw: null } as const;
  return { endpoint: endpoint(port), state };
}

export const hung = (port = 7777): FoundServer => ({
  endpoint: endpoint(port),
  state: { state: "hung", why: "it speaks ZeroMQ and did not answer a ping within 500 ms" },
});

export const scan = (...found: FoundServer[]): Scan => ({ found, at: 1_790_000_000_000 });

export const runningNow = (id: string, compile_only = false) => ({
  execution_id: id,
  plate_id: `/data/${id}`,
  start_time: 1_790_000_000,
  elapsed: 1,
  compile_only,
});
