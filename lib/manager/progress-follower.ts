// SPDX-License-Identifier: MIT
// Follows the executions of one server: their progress as it is published, and how one ended when it is asked for.

import { isTilecastError } from "../errors.js";
import {
  type Endpoint,
  ExecutionClient,
  type ExecutionRecord,
  type ReceivedProgress,
} from "../runtime/index.js";
import { pause } from "../runtime/zmq.js";

/** A connection to an execution server. */
export interface Follower extends AsyncDisposable {
  /** `undefined`: the server does not know it. Throws ERR_TIMEOUT. */
  status(executionId: string, signal?: AbortSignal): Promise<ExecutionRecord | undefined>;
  cancel(executionId: string, signal?: AbortSignal): Promise<boolean>;
}

/** Opens one; `onEvent` gets every event until it is closed, those of a server that is slow or away as soon as it is back. */
export type Follow = (endpoint: Endpoint, onEvent: (event: ReceivedProgress) => void) => Follower;

/** Between two attempts to register with a server that does not answer. */
const retryMs = 1000;

export class ProgressFollower implements Follower {
  readonly #client: ExecutionClient;
  readonly #closed = new AbortController();
  readonly #following: Promise<void>;

  constructor(endpoint: Endpoint, onEvent: (event: ReceivedProgress) => void) {
    this.#client = new ExecutionClient({ endpoint });
    this.#following = this.#follow(onEvent);
  }

  async #follow(onEvent: (event: ReceivedProgress) => void): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      // A subscription whose registration failed goes with it: the next attempt makes its own.
      const attempt = new AbortController();
      const either = AbortSignal.any([signal, attempt.signal]);
      try {
        // Shows whose names its messages have.
        await this.#client.ping({ signal });
        for await (const { event } of await this.#client.progress({ signal: either })) onEvent(event);
      } catch {
        // Progress is a help: a server that is slow or gone, or a system out of sockets, shows at the next look, and this tries again.
      } finally {
        attempt.abort();
      }
      await pause(retryMs, signal);
    }
  }

  async status(executionId: string, signal?: AbortSignal): Promise<ExecutionRecord | undefined> {
    try {
      return await this.#client.status(executionId, { retries: 0, ...(signal && { signal }) });
    } catch (error) {
      if (isTilecastError(error, "ERR_REMOTE")) return undefined;
      throw error;
    }
  }

  cancel(executionId: string, signal?: AbortSignal): Promise<boolean> {
    return this.#client.cancel(executionId, signal ? { signal } : {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    await this.#following;
    await this.#client.close();
  }
}
