// SPDX-License-Identifier: MIT
// Ends a server for a person who has seen it in the tree: that one, and no other that has its address by now.

import { isTilecastError, TilecastError } from "../errors.js";
import { type Endpoint, type ProcessIdentity, probeEndpoint, stopServer } from "../runtime/index.js";
import { isAlive } from "../runtime/process-identity.js";
import { killProcess } from "../runtime/stop-server.js";
import { pause } from "../runtime/zmq.js";
import type { ServerAction } from "./node.js";
import { listensOn } from "./port-owner.js";

export interface EndOptions {
  readonly signal?: AbortSignal;
  /** Until it must be gone when it is asked; default 10 000, 3000 by force. */
  readonly timeoutMs?: number;
}

/** A server that has ended takes a moment to remove its sockets; what a killed one leaves stays. */
const leavingMs = 500;

/** Waits until nothing is left at the endpoint, for a moment. */
async function hasLeft(endpoint: Endpoint, signal: AbortSignal | undefined): Promise<void> {
  const deadline = performance.now() + leavingMs;
  while (performance.now() < deadline) {
    if ((await probeEndpoint(endpoint, { timeoutMs: 100, signal })).state !== "stale") return;
    await pause(20, signal);
  }
}

/** `identity`: the process that was seen there. Throws ERR_INSTANCE, ERR_TIMEOUT and ERR_CANCELLED. */
export async function endServer(
  endpoint: Endpoint,
  action: ServerAction,
  identity: ProcessIdentity | undefined,
  { signal, timeoutMs }: EndOptions = {},
): Promise<void> {
  const refuse = (why: string) => new TilecastError("ERR_INSTANCE", `${endpoint} is not ended: ${why}`);
  const now = await probeEndpoint(endpoint, { timeoutMs: 1000, ...(signal && { signal }) });
  if (now.state === "absent" || now.state === "stale") return;
  const answers = now.state === "ready" || now.state === "starting";
  const named = answers ? now.pong.process_identity : undefined;
  if (
    identity !== undefined &&
    named !== undefined &&
    (named.pid !== identity.pid || Math.abs(named.create_time - identity.create_time) >= 2)
  )
    throw refuse(`process ${named.pid} has its address by now, and ${identity.pid} was meant`);
  if (action === "quit") {
    await stopServer(endpoint, { ...(signal && { signal }), ...(timeoutMs !== undefined && { timeoutMs }) });
    return hasLeft(endpoint, signal);
  }
  if (now.state === "foreign") throw refuse(now.why);
  if (identity === undefined || isAlive(identity) !== true)
    throw refuse("nothing proves which process it is, so that none can be killed");
  if (identity.pid === process.pid) throw refuse("it is this very process");
  // Sockets in the user's own folder are the user's; a port is anybody's, who could name any process.
  if (endpoint.mode === "tcp" && !listensOn(identity.pid, endpoint.controlPort))
    throw refuse(`process ${identity.pid}, which it names, does not listen on its port`);
  if (answers) {
    try {
      await stopServer(endpoint, { force: true, timeoutMs: timeoutMs ?? 3000, ...(signal && { signal }) });
      return hasLeft(endpoint, signal);
    } catch (error) {
      // It stays, or hangs by now. Killed below and not by stopServer, which would take whoever answers.
      if (!isTilecastError(error, "ERR_TIMEOUT") && !isTilecastError(error, "ERR_INSTANCE")) throw error;
    }
  }
  if (!(await killProcess(identity, signal))) throw refuse(`process ${identity.pid} could not be killed`);
}
