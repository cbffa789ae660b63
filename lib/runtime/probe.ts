// SPDX-License-Identifier: MIT
// What is at an endpoint: nothing, leftovers, a server of the family, one that hangs, or a program that is none.

import { connect } from "node:net";
import { isTilecastError } from "../errors.js";
import { type PingResult, ZmqClient } from "./client.js";
import type { Endpoint } from "./endpoint.js";
import type { CurveClientKeys } from "./security.js";
import { socketFileState } from "./socket-file.js";
import { cancelled } from "./zmq.js";

export type EndpointState =
  /** Nobody listens. */
  | { readonly state: "absent" }
  /** Socket files of a process that is gone. */
  | { readonly state: "stale"; readonly files: readonly string[] }
  /** A server answers; `starting` until it says that it is ready. */
  | ({ readonly state: "ready" | "starting" } & PingResult)
  /** Somebody listens, and speaks ZeroMQ or nothing at all, but does not answer a ping. */
  | { readonly state: "hung"; readonly why: string }
  /** Somebody listens who is no server of the family. */
  | { readonly state: "foreign"; readonly why: string };

/** Whoever listens, by what they send first: a ZMTP peer sends its signature unasked (RFC 37). */
type Listener = "nobody" | "zeromq" | "silent" | "other";

function listener(endpoint: Endpoint, timeoutMs: number): Promise<Listener> {
  return new Promise((resolve) => {
    const path = endpoint.controlPath;
    const socket =
      path === undefined ? connect({ host: endpoint.host, port: endpoint.controlPort }) : connect({ path });
    const got: Buffer[] = [];
    let isConnected = false;
    const end = (who: Listener) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(who);
    };
    const timer = setTimeout(() => end(isConnected || got.length ? "silent" : "nobody"), timeoutMs);
    socket.once("connect", () => {
      isConnected = true;
      // HTTP and its like answer only when spoken to; for ZMTP this is a first byte of a signature.
      socket.write(Buffer.of(0xff));
    });
    socket.on("data", (bytes) => {
      got.push(bytes);
      const all = Buffer.concat(got);
      if (all[0] !== 0xff) end("other");
      else if (all.length >= 10) end(all[9] === 0x7f ? "zeromq" : "other");
    });
    // Closed without a word: a peer that saw at once that this is not its protocol.
    socket.once("end", () => end("other"));
    socket.once("error", ({ code }: NodeJS.ErrnoException) => {
      if (isConnected) end("other");
      // A full backlog and a socket of another user are somebody's.
      else end(code === "ECONNREFUSED" || code === "ENOENT" ? "nobody" : "silent");
    });
  });
}

export interface ProbeOptions {
  /** How long to wait for a pong; default 500. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
  readonly curve?: CurveClientKeys | undefined;
}

/** Looks; sends nothing but a ping, and changes nothing. Throws ERR_CANCELLED through the signal. */
export async function probeEndpoint(endpoint: Endpoint, options: ProbeOptions = {}): Promise<EndpointState> {
  const { timeoutMs = 500, signal, curve } = options;
  const stop = () => {
    if (signal?.aborted) throw cancelled(signal, `a look at ${endpoint}`);
  };
  stop();
  const leftovers: string[] = [];
  if (endpoint.mode === "ipc") {
    const paths = [endpoint.dataPath, endpoint.controlPath] as string[];
    const states = await Promise.all(paths.map(socketFileState));
    leftovers.push(...paths.filter((_, i) => states[i] === "stale"));
    const other = paths.find((_, i) => states[i] === "other");
    if (other !== undefined) return { state: "foreign", why: `${other} is no socket` };
    if (states[1] !== "live") {
      if (states[0] === "live") {
        return { state: "hung", why: "its data socket is there and its control socket is not" };
      }
      return leftovers.length ? { state: "stale", files: leftovers } : { state: "absent" };
    }
  } else if (endpoint.isLocal && (await listener(endpoint, timeoutMs)) === "nobody") {
    return { state: "absent" };
  }
  stop();
  await using client = new ZmqClient({ endpoint, ...(curve && { curve }) });
  try {
    const result = await client.ping({ timeoutMs, ...(signal && { signal }) });
    return { state: result.pong.ready ? "ready" : "starting", ...result };
  } catch (error) {
    if (isTilecastError(error, "ERR_WIRE"))
      return { state: "foreign", why: `its answer to a ping is no pong: ${error.message}` };
    if (!isTilecastError(error, "ERR_TIMEOUT")) throw error;
  }
  switch (await listener(endpoint, timeoutMs)) {
    case "nobody":
      // Gone since; what it has left shows at the next look.
      return await probeEndpoint(endpoint, options);
    case "other":
      return { state: "foreign", why: "it does not speak ZeroMQ" };
    case "zeromq":
      return { state: "hung", why: `it speaks ZeroMQ and did not answer a ping within ${timeoutMs} ms` };
    case "silent":
      return { state: "hung", why: `it takes connections and said nothing within ${timeoutMs} ms` };
  }
}
