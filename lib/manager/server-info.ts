// SPDX-License-Identifier: MIT
// A server that a scan has found, as flat facts: what `tilecast ps` prints and what the tree is made of.

import type { Endpoint, FoundServer, Pong } from "../runtime/index.js";
import { asDict } from "../runtime/message-schema.js";
import type { ServerType, ViewerFacts } from "./node.js";

/** Also a part of URLs: letters, digits, points and hyphens. */
export function serverKey(endpoint: Endpoint): string {
  const where = endpoint.mode === "ipc" ? endpoint.config.appName : endpoint.host;
  return `${endpoint.mode}-${where.replace(/[^A-Za-z0-9.]/g, "_")}-${endpoint.port}`;
}

export const addressOf = (endpoint: Endpoint): string =>
  endpoint.mode === "ipc" ? (endpoint.dataPath as string) : endpoint.dataUrl;

/** The pong of a server that answered. */
export const pongOf = ({ state }: FoundServer): Pong | undefined =>
  state.state === "ready" || state.state === "starting" ? state.pong : undefined;

/** One server, for people and for `--json`. `null` is unknown. */
export function describeServer(found: FoundServer) {
  const { endpoint, state } = found;
  const answered = state.state === "ready" || state.state === "starting" ? state : undefined;
  const pong = answered?.pong;
  return {
    port: endpoint.port,
    mode: endpoint.mode,
    // Over TCP nothing but the answer tells whose it is.
    app: pong?.application?.application_id ?? (endpoint.mode === "ipc" ? endpoint.config.appName : null),
    version: pong?.application?.application_version ?? null,
    server: pong?.server ?? null,
    role: pong?.server_role ?? pong?.server_type ?? null,
    state: state.state,
    why: "why" in state ? state.why : null,
    generation: answered?.generation ?? null,
    pid: pong?.process_identity?.pid ?? null,
    uptimeSeconds: pong?.uptime ?? null,
    running: pong?.running_executions?.length ?? null,
    queued: pong?.queued_executions?.length ?? null,
    latencyMs: answered === undefined ? null : Math.round(answered.latencyMs * 100) / 100,
    logFile: pong?.log_file_path ?? null,
    address: addressOf(endpoint),
  };
}
export type ServerFacts = ReturnType<typeof describeServer>;

/** Old servers tell by their lists or their class alone. */
export function serverType(pong: Pong): ServerType {
  const role = pong.server_role;
  if (role !== undefined && role !== "generic") return role;
  if (pong.server_type === "execution" || pong.running_executions !== undefined) return "execution";
  if (/^(napari|fiji)$/.test(pong.server_type ?? pong.viewer ?? "")) return "viewer";
  return "generic";
}

const count = (value: unknown): number =>
  typeof value === "number" && Number.isFinite(value) && value > 0 ? value : 0;
const megabytes = (bytes: unknown): number => Math.round(count(bytes) / 2 ** 20);

/** From the pong's `tilecast`; null without it. */
export function viewerFacts(pong: Pong): ViewerFacts | null {
  const own = asDict(pong.tilecast);
  if (own === undefined || serverType(pong) !== "viewer") return null;
  return {
    planes: count(own.planes),
    resident: count(own.resident),
    shown: count(own.shown),
    queued: typeof own.queued === "number" ? count(own.queued) : null,
    dropped: count(own.dropped),
    memoryUsedMb: megabytes(own.memory_used),
    memoryBudgetMb: megabytes(own.memory_budget),
  };
}
