// SPDX-License-Identifier: MIT
// Ends a server: asks it, waits until it is gone, and kills only the very process that its pong named.

import { isTilecastError, TilecastError } from "../errors.js";
import { ZmqClient } from "./client.js";
import { type Endpoint, type EndpointOptions, toEndpoint } from "./endpoint.js";
import type { ProcessIdentity } from "./messages.js";
import { probeEndpoint } from "./probe.js";
import { isAlive } from "./process-identity.js";
import type { CurveClientKeys } from "./security.js";
import { cancelled, pause } from "./zmq.js";

export interface StopOptions {
  /** `force_shutdown` instead of `shutdown`. An execution server is always asked by force: its `shutdown` only ends its work. */
  readonly force?: boolean;
  /** Until it must be gone; default 10 000. */
  readonly timeoutMs?: number;
  /** Kills it when it does not go by itself: only a process of this host that its pong has named. */
  readonly kill?: boolean;
  readonly signal?: AbortSignal;
  readonly curve?: CurveClientKeys;
}

export interface StopResult {
  readonly endpoint: Endpoint;
  /** How it ended; `absent`: there was none. */
  readonly how: "asked" | "killed" | "absent";
}

/** Throws ERR_INSTANCE for what hangs or is foreign, since nothing proves whose process it is; ERR_TIMEOUT when it stays. */
export async function stopServer(
  given: Endpoint | EndpointOptions,
  options: StopOptions = {},
): Promise<StopResult> {
  const endpoint = toEndpoint(given);
  const { signal, timeoutMs = 10_000, curve } = options;
  const found = await probeEndpoint(endpoint, { timeoutMs: Math.min(timeoutMs, 1000), signal, curve });
  if (found.state === "absent" || found.state === "stale") return { endpoint, how: "absent" };
  if (found.state === "hung" || found.state === "foreign") {
    throw new TilecastError("ERR_INSTANCE", `${endpoint} is not stopped: ${found.why}`);
  }
  const { pong } = found;
  const kind = options.force || pong.server_role === "execution" ? "force_shutdown" : "shutdown";
  await using client = new ZmqClient({ endpoint, generation: found.generation, ...(curve && { curve }) });
  try {
    // Generation D refuses when another process has taken the address meanwhile; others are not told.
    const meant =
      endpoint.isLocal && pong.process_identity ? { process_identity: pong.process_identity } : {};
    await client.request(kind, meant, { timeoutMs: Math.min(timeoutMs, 5000), ...(signal && { signal }) });
  } catch (error) {
    // It may be gone before its answer is out.
    if (!isTilecastError(error, "ERR_TIMEOUT")) throw error;
  }
  const identity = endpoint.isLocal ? pong.process_identity : undefined;
  if (await isGone(endpoint, identity, timeoutMs, signal)) return { endpoint, how: "asked" };
  if (options.kill && identity !== undefined && (await killProcess(identity, signal)))
    return { endpoint, how: "killed" };
  throw new TilecastError(
    "ERR_TIMEOUT",
    `${endpoint} acknowledged and is still there after ${timeoutMs} ms`,
    {
      retriable: true,
    },
  );
}

async function isGone(
  endpoint: Endpoint,
  identity: ProcessIdentity | undefined,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    if (signal?.aborted) throw cancelled(signal, `stopping ${endpoint}`);
    if (identity !== undefined && isAlive(identity) === false) return true;
    const { state } = await probeEndpoint(endpoint, { timeoutMs: 100, signal });
    // A server may end and its process go on with other things.
    if (state === "absent" || state === "stale") return true;
    await pause(25, signal);
  }
  return false;
}

/** SIGTERM, five seconds, SIGKILL, to exactly that process; true when it is gone. False where the system cannot tell processes apart. */
export async function killProcess(identity: ProcessIdentity, signal?: AbortSignal): Promise<boolean> {
  for (const [name, ms] of [
    ["SIGTERM", 5000],
    ["SIGKILL", 5000],
  ] as const) {
    const deadline = performance.now() + ms;
    if (isAlive(identity) !== true) return isAlive(identity) === false;
    try {
      process.kill(identity.pid, name);
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "ESRCH";
    }
    while (performance.now() < deadline && isAlive(identity)) await pause(20, signal);
  }
  return isAlive(identity) === false;
}
