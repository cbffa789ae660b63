// SPDX-License-Identifier: MIT
// A client of execution servers, ours and OpenHCS's: submits, follows progress, waits for the end, cancels.

import { randomUUID } from "node:crypto";
import { isTilecastError, TilecastError } from "../errors.js";
import { type CallOptions, ZmqClient } from "./client.js";
import { isTerminal } from "./execution.js";
import type { ExecutionRecord, MessageOf } from "./messages.js";
import {
  type ProgressNews,
  ProgressTracker,
  type ReceivedProgress,
  readObservations,
  readProgressFrame,
} from "./progress-tracker.js";
import { cancelled, pause } from "./zmq.js";

export interface ProgressItem {
  readonly event: ReceivedProgress;
  /** Events of this execution that were lost before this one. */
  readonly missed: number;
}

export interface WaitOptions {
  readonly signal?: AbortSignal;
  /** Cancels the execution on the server too when the signal is aborted. */
  readonly cancelOnAbort?: boolean;
  /** Gives up when nothing has happened for so long: no progress, no change of state. Default: never, as long as the server answers. */
  readonly idleTimeoutMs?: number;
  /** At most so long between questions about the state, which begin close together; default 500. An end that is announced is seen at once. */
  readonly pollMs?: number;
  /** Unanswered questions after which the server counts as lost; default 5. */
  readonly maxFailures?: number;
  readonly onProgress?: (item: ProgressItem) => void;
}

interface News {
  /** What was missed, as far as the server tells. */
  readonly replay: readonly ProgressNews[];
  readonly frames: AsyncIterable<Buffer>;
}

export class ExecutionClient extends ZmqClient {
  readonly clientId: string = randomUUID();
  #registered = false;

  /** Queues an execution and returns its id. Throws ERR_REMOTE with the server's reason when it is refused. */
  async submit(request: MessageOf<"execute">, options: CallOptions = {}): Promise<string> {
    const reply = await this.request("execute", request, options);
    if (reply.execution_id === undefined)
      throw new TilecastError("ERR_WIRE", "execute_reply.execution_id: expected a str, and got nothing");
    return reply.execution_id;
  }

  /** The record of one execution. Throws ERR_REMOTE when the server does not know it. */
  async status(executionId: string, options: CallOptions = {}): Promise<ExecutionRecord> {
    const reply = await this.request(
      "status",
      { execution_id: executionId },
      { timeoutMs: 1000, ...options },
    );
    if (reply.execution === undefined)
      throw new TilecastError("ERR_WIRE", "status_reply.execution: expected a dict, and got nothing");
    return reply.execution;
  }

  /** Cancels that execution; true when it was still to end. */
  async cancel(executionId: string, options: CallOptions = {}): Promise<boolean> {
    const reply = await this.request("cancel", { execution_id: executionId }, options);
    return (reply.workers_killed ?? 0) > 0;
  }

  /**
   * Events of all executions of the server, stale and repeated ones left out, unreadable ones skipped. Registers as a subscriber first and
   * unregisters at the end, as upstream's clients do. A server of generation D begins with the newest event of each execution that runs.
   */
  async progress(options: { readonly signal?: AbortSignal } = {}): Promise<AsyncIterable<ProgressItem>> {
    const { replay, frames } = await this.#news(options.signal);
    const ended = new Set(replay.flatMap((news) => ("ended" in news ? [news.ended.execution_id] : [])));
    return (async function* () {
      const tracker = new ProgressTracker();
      for (const news of replay) {
        const item = followed(tracker, news);
        if (item !== undefined && "event" in item && !ended.has(item.event.execution_id)) yield item;
      }
      for await (const frame of frames) {
        const item = followed(tracker, read(frame));
        if (item !== undefined && "event" in item) yield item;
      }
    })();
  }

  async #news(signal?: AbortSignal): Promise<News> {
    // Subscribed first: what is published during the registration comes twice rather than not at all.
    const frames = await this.subscribe(signal === undefined ? {} : { signal });
    // Each time, since a server forgets a client whose subscriptions have ended; it counts a client once.
    const reply = await this.request(
      "register_progress",
      { client_id: this.clientId },
      signal ? { signal } : {},
    );
    this.#registered = true;
    return { replay: readObservations(reply.progress_observations), frames };
  }

  /**
   * Waits for the end and returns the record: `complete`, `failed` or `cancelled`. Throws ERR_TIMEOUT when the server is lost or nothing
   * happens for `idleTimeoutMs`, ERR_CANCELLED through the signal.
   */
  async wait(executionId: string, options: WaitOptions = {}): Promise<ExecutionRecord> {
    const following = new AbortController();
    const news = this.#news(anySignal(options.signal, following.signal));
    return this.#wait(executionId, options, news, following);
  }

  async #wait(
    executionId: string,
    options: WaitOptions,
    news: Promise<News>,
    following: AbortController,
  ): Promise<ExecutionRecord> {
    const { signal, pollMs = 500, idleTimeoutMs = Number.POSITIVE_INFINITY, maxFailures = 5 } = options;
    const stop = anySignal(signal, following.signal);
    let active = performance.now();
    let wake = new AbortController();
    let failures = 0;
    let delay = Math.min(pollMs, 5);
    let last: string | undefined;
    const followProgress = async () => {
      const tracker = new ProgressTracker();
      const take = (item: ReturnType<typeof followed>) => {
        if (item === undefined) return;
        const id = "event" in item ? item.event.execution_id : item.ended;
        if (id !== executionId) return;
        active = performance.now();
        if ("event" in item) options.onProgress?.(item);
        if (!("event" in item) || isEnd(item.event)) wake.abort();
      };
      const { replay, frames } = await news;
      for (const missed of replay) take(followed(tracker, missed));
      for await (const frame of frames) take(followed(tracker, read(frame)));
    };
    // Progress is a help: without it the state is still asked for.
    const progress = followProgress().catch(() => undefined);
    try {
      while (true) {
        // An end that is announced while the question is on its way is asked for again at once.
        wake = new AbortController();
        try {
          const record = await this.status(executionId, { retries: 0, ...(signal && { signal }) });
          failures = 0;
          if (isTerminal(record.status)) return record;
          if (record.status !== last) active = performance.now();
          last = record.status;
        } catch (error) {
          if (!isTilecastError(error, "ERR_TIMEOUT")) throw error;
          if (++failures >= maxFailures) {
            throw new TilecastError(
              "ERR_TIMEOUT",
              `the server at ${this.endpoint} was lost while execution ${executionId} was ${last ?? "submitted"}: ${error.message}`,
              { cause: error, retriable: true },
            );
          }
        }
        const idle = performance.now() - active;
        if (idle >= idleTimeoutMs) {
          throw new TilecastError(
            "ERR_TIMEOUT",
            `execution ${executionId} is ${last ?? "submitted"} and showed no activity for ${Math.round(idle)} ms`,
            { retriable: true },
          );
        }
        await pause(Math.min(delay, idleTimeoutMs - idle), AbortSignal.any([wake.signal, stop]));
        // An execution that takes a moment is seen to end after a moment also where nobody announces it.
        delay = Math.min(pollMs, delay * 1.5);
        if (signal?.aborted) throw cancelled(signal, `waiting for execution ${executionId}`);
      }
    } catch (error) {
      if (options.cancelOnAbort && isTilecastError(error, "ERR_CANCELLED"))
        await this.cancel(executionId, { timeoutMs: 2000 }).catch(() => false);
      throw error;
    } finally {
      following.abort();
      await progress;
    }
  }

  /** Registers for progress, submits and waits. */
  async run(request: MessageOf<"execute">, options: WaitOptions = {}): Promise<ExecutionRecord> {
    const signal = options.signal ? { signal: options.signal } : {};
    await this.ping({ timeoutMs: 5000, ...signal });
    const following = new AbortController();
    const news = this.#news(anySignal(options.signal, following.signal));
    try {
      await news;
      const id = await this.submit(request, signal);
      return await this.#wait(id, options, news, following);
    } finally {
      following.abort();
    }
  }

  override async close(): Promise<void> {
    if (this.#registered) {
      this.#registered = false;
      // Only a counter on the server; a server that is gone counts nothing.
      await this.request(
        "unregister_progress",
        { client_id: this.clientId },
        { timeoutMs: 500, retries: 0 },
      ).catch(() => undefined);
    }
    await super.close();
  }
}

const anySignal = (given: AbortSignal | undefined, own: AbortSignal): AbortSignal =>
  given ? AbortSignal.any([given, own]) : own;

/** The whole execution's end, not that of a well. */
const isEnd = (event: ReceivedProgress): boolean =>
  event.axis_id === "" && ["success", "failed", "cancelled"].includes(event.phase);

/** `undefined` for what cannot be read: one bad event must not end a stream. */
function read(frame: Uint8Array): ProgressNews | undefined {
  try {
    return readProgressFrame(frame);
  } catch {
    return undefined;
  }
}

function followed(
  tracker: ProgressTracker,
  news: ProgressNews | undefined,
): ProgressItem | { readonly ended: string } | undefined {
  if (news === undefined) return undefined;
  if ("ended" in news) return { ended: news.ended.execution_id };
  const verdict = tracker.accept(news.event);
  return verdict.accepted ? { event: news.event, missed: verdict.missed } : undefined;
}
