// SPDX-License-Identifier: MIT
// Publishes progress events on a ZeroMQ PUB socket, on this host only.

import type { Publisher } from "zeromq";
import { TilecastError } from "../errors.js";
import type { ProgressEvent } from "../runtime/progress-event.js";

const loopback = /^tcp:\/\/(127\.\d+\.\d+\.\d+|\[::1\]|localhost):(\d+|\*)$/;

/**
 * A bound PUB socket. A subscriber that is slow or gone never holds the run up: beyond 10 000 waiting events ZeroMQ drops them for that
 * subscriber, which `progress_sequence` shows.
 */
export class ProgressPublisher {
  readonly #socket: Publisher;
  #pending: Promise<unknown> = Promise.resolve();

  private constructor(
    socket: Publisher,
    /** Where it is bound; with port `*` the port that was given. */
    readonly endpoint: string,
  ) {
    this.#socket = socket;
  }

  /**
   * Binds `endpoint`: `tcp://127.0.0.1:PORT` (or `*` for any free port) or `ipc://PATH`.
   *
   * Throws ERR_INVALID_ARGUMENT for an address that other hosts could reach, since the stream is neither authenticated nor encrypted;
   * ERR_STREAM when the package zeromq is not installed or the address is taken.
   */
  static async bind(endpoint: string): Promise<ProgressPublisher> {
    if (!loopback.test(endpoint) && !/^ipc:\/\/.+/.test(endpoint)) {
      throw new TilecastError(
        "ERR_INVALID_ARGUMENT",
        `progress is published on this host only: expected tcp://127.0.0.1:PORT or ipc://PATH, and got "${endpoint}"`,
        { argument: "publish" },
      );
    }
    let zmq: typeof import("zeromq");
    try {
      zmq = await import("zeromq");
    } catch (cause) {
      throw new TilecastError(
        "ERR_STREAM",
        "publishing progress needs the package zeromq: npm install zeromq",
        {
          argument: "publish",
          cause,
        },
      );
    }
    const socket = new zmq.Publisher({ linger: 500, sendHighWaterMark: 10_000 });
    try {
      await socket.bind(endpoint);
    } catch (cause) {
      socket.close();
      throw new TilecastError(
        "ERR_STREAM",
        `cannot publish progress on ${endpoint}: ${(cause as Error).message}`,
        {
          argument: "publish",
          retriable: true,
          cause,
        },
      );
    }
    return new ProgressPublisher(socket, socket.lastEndpoint ?? endpoint);
  }

  /** Queues one event; never blocks and never throws. */
  send(event: ProgressEvent): void {
    const frame = JSON.stringify(event);
    // zeromq.js allows one send at a time.
    this.#pending = this.#pending.then(() => this.#socket.send(frame)).catch(() => undefined);
  }

  /** Sends what is queued, for at most half a second, and closes. Idempotent. */
  async close(): Promise<void> {
    await this.#pending;
    if (!this.#socket.closed) this.#socket.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
