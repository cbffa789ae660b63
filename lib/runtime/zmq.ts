// SPDX-License-Identifier: MIT
// Loads the package zeromq when it is first needed: it is an optional peer, and nothing else of tilecast depends on it.

import type { Socket } from "zeromq";
import { TilecastError } from "../errors.js";

export type Zmq = typeof import("zeromq");

let loaded: Zmq | undefined;

/** Throws ERR_STREAM when the package is not installed. */
export async function loadZmq(): Promise<Zmq> {
  try {
    // Kept, since an import takes a tenth of a request's time even when the module is there.
    loaded ??= await import("zeromq");
    return loaded;
  } catch (cause) {
    throw new TilecastError("ERR_STREAM", "servers and clients need the package zeromq: npm install zeromq", {
      cause,
    });
  }
}

/**
 * A TCP peer that is gone without a word is noticed within 15 seconds; over IPC the kernel tells at once. By keepalive and not by ZMTP
 * heartbeats: libzmq 4.3.5 aborts the process ("Assertion failed: !_io_error") when the timer of a heartbeat meets a connection whose peer has
 * gone while its messages filled the receive queue, which any peer can bring about.
 */
export const keepalive = {
  tcpKeepalive: 1,
  tcpKeepaliveIdle: 5,
  tcpKeepaliveInterval: 5,
  tcpKeepaliveCount: 2,
};

export const cancelled = (signal: AbortSignal, what: string): TilecastError =>
  new TilecastError("ERR_CANCELLED", `${what} was cancelled`, { cause: signal.reason });

/** Waits, not longer than the signal allows; resolves early, and without an error, when it is aborted. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
  });
}

/**
 * Closes a socket and resolves when libzmq has taken it apart, what lingers sent and its addresses free. `unbind` would do it earlier, but
 * zeromq.js runs that on another thread while a pending receive uses the socket on this one, which libzmq answers with an abort.
 */
export async function closeFully(socket: Socket): Promise<void> {
  if (socket.closed) return;
  const { events } = socket;
  const ended = new AbortController();
  // The last event of a socket's monitor comes from its destructor.
  events.on("end", () => ended.abort());
  socket.close();
  // Linger is bounded, so that this is a bound for a defect only.
  await pause(10_000, ended.signal);
}
