// SPDX-License-Identifier: MIT
// An execution server: takes requests into a queue, runs them one after the other through a given function, publishes their progress.

import { randomUUID } from "node:crypto";
import type { Handlers } from "./control-channel.js";
import { ExecutionLedger, isTerminal } from "./execution.js";
import { stringifyJson } from "./json.js";
import {
  type ExecutionRecord,
  type MessageOf,
  type Pong,
  type ResultsSummary,
  writeMessage,
} from "./messages.js";
import { ProcessMeter } from "./process-usage.js";
import { type ProgressEvent, type ProgressGiven, ProgressLog, progressOnWire } from "./progress-event.js";
import { ZmqServer, type ZmqServerOptions } from "./server.js";
import { pause } from "./zmq.js";

export interface ExecutionContext {
  readonly executionId: string;
  /** Aborted by a cancellation of this execution, and by the server's end. */
  readonly signal: AbortSignal;
  /** Numbers, times and publishes an event of this execution; after its end nothing is published any more. */
  progress(given: ProgressGiven): ProgressEvent;
  /**
   * Says which processes work for this execution, by their ids; each call replaces what was said. Pongs tell their state, CPU and memory while
   * the execution runs. One that works in threads of the server's own process names `process.pid`.
   */
  workers(pids: readonly number[]): void;
}

/**
 * Carries one request out. What it throws fails the execution; the text of a request is data, which upstream runs as Python and this server
 * hands over as it is.
 */
export type Execute = (
  request: MessageOf<"execute">,
  context: ExecutionContext,
) => Promise<ResultsSummary | undefined>;

export interface ExecutionServerOptions
  extends Omit<ZmqServerOptions, "data" | "onData" | "dataError" | "role" | "serverType"> {
  readonly execute: Execute;
  /** Ended executions that `status` still knows; default 1000. */
  readonly maxEnded?: number;
  /** Waiting executions beyond which new ones are refused; default 10 000. */
  readonly maxQueued?: number;
}

/** Ended executions that a new subscriber of generation D is told of; older ones are found by `status`. */
const maxReplayed = 100;

export class ExecutionServer extends ZmqServer {
  readonly #execute: Execute;
  readonly #maxQueued: number;
  readonly #ledger: ExecutionLedger;
  readonly #queue: { readonly id: string; readonly request: MessageOf<"execute"> }[] = [];
  readonly #aborts = new Map<string, AbortController>();
  /** Ids of clients, in the order in which they registered. */
  readonly #subscribers = new Set<string>();
  readonly #workers = new Map<string, readonly number[]>();
  readonly #meter = new ProcessMeter();
  #working: Promise<void> | undefined;
  #ending = false;

  constructor(options: ExecutionServerOptions) {
    super({ ...options, data: "pub", role: "execution", serverType: "execution" });
    this.#execute = options.execute;
    this.#maxQueued = options.maxQueued ?? 10_000;
    this.#ledger = new ExecutionLedger(options.maxEnded ?? 1000);
  }

  protected override pong(): Pong {
    const running = this.#ledger.running();
    const queued = this.#ledger.queued();
    return {
      ...super.pong(),
      active_executions: running.length + queued.length,
      running_executions: running,
      queued_executions: queued,
      workers: this.#meter.read([...this.#workers.values()].flat()),
      uptime: this.uptime,
      progress_subscribers: this.#subscribers.size,
    };
  }

  protected override handlers(): Handlers {
    const unknown = (id: string) => ({ status: "error", error: `Execution ${id} not found` });
    const registration = (message: string, client_id: string) => ({
      status: "ok",
      message,
      client_id,
      progress_subscribers: this.#subscribers.size,
      progress_observations: this.#observations(),
    });
    const end = (suffix: string) => {
      const ids = this.#ledger.ids.filter((id) => this.#cancel(id));
      return { status: "success", message: `Workers killed (${ids.length}), server ${suffix}` };
    };
    return {
      execute: (request) => this.#submit(request),
      status: ({ execution_id: id }) => {
        if (id === undefined) return this.#overview();
        const execution = this.#ledger.get(id);
        return execution === undefined ? unknown(id) : { status: "ok", execution };
      },
      cancel: ({ execution_id: id }) => {
        if (this.#ledger.get(id) === undefined) return unknown(id);
        const killed = this.#cancel(id) ? 1 : 0;
        return { status: "ok", message: `Cancelled - killed ${killed} workers`, workers_killed: killed };
      },
      register_progress: ({ client_id }) => {
        this.#subscribers.add(client_id);
        return registration("Progress subscriber registered", client_id);
      },
      unregister_progress: ({ client_id }) => {
        this.#subscribers.delete(client_id);
        return registration("Progress subscriber unregistered", client_id);
      },
      // As upstream: only work ends, the server stays.
      shutdown: () => end("alive"),
      force_shutdown: () => {
        // See ZmqServer.handlers.
        setTimeout(() => void this.close(), 100);
        return end("shutting down");
      },
    };
  }

  /** A client that died did not unregister: no more are subscribed than are connected. The oldest are taken for the dead. */
  protected override onDisconnect(connections: number): void {
    for (const id of this.#subscribers) {
      if (this.#subscribers.size <= connections) break;
      this.#subscribers.delete(id);
    }
  }

  /** Generation D tells a new subscriber what it has missed: the newest event of each execution, and how the ended ones ended. */
  #observations(): MessageOf<"registration_reply">["progress_observations"] {
    if (this.generation !== "D") return undefined;
    const ids = this.#ledger.ids;
    const ended = ids.filter((id) => this.#hasEnded(id)).slice(-maxReplayed);
    const running = ids.filter((id) => !this.#hasEnded(id) && this.#ledger.lastEvent(id) !== undefined);
    return Object.fromEntries(
      [...ended, ...running].map((id) => {
        const event = this.#ledger.lastEvent(id);
        return [
          id,
          {
            sequence: event?.progress_sequence ?? 0,
            event: event === undefined ? null : progressOnWire(event, "D"),
            delivery_error: null,
            terminal_snapshot: this.#hasEnded(id) ? this.#snapshot(id) : null,
          },
        ];
      }),
    );
  }

  #hasEnded(id: string): boolean {
    return isTerminal(this.#ledger.get(id)?.status ?? "");
  }

  #snapshot(id: string): { [key: string]: unknown } {
    return writeMessage("status_reply", { status: "ok", execution: this.#ledger.get(id) }, "D");
  }

  #overview(): MessageOf<"status_reply"> {
    const running = this.#ledger.running();
    const queued = this.#ledger.queued();
    return {
      status: "ok",
      active_executions: running.length + queued.length,
      uptime: this.uptime,
      executions: this.#ledger.ids,
      running_executions: running,
      queued_executions: queued,
    };
  }

  /** The texts are upstream's: clients show them. */
  #refusal(request: MessageOf<"execute">): string | undefined {
    if (this.#ending) return "The server is shutting down";
    if (request.plate_id === "") return "Missing required field: plate_id";
    if (request.pipeline_code === "") return "Missing required field: pipeline_code";
    if (request.compile_only && request.compile_artifact_id !== undefined)
      return "compile_only and compile_artifact_id cannot both be set";
    if (request.config_params === undefined && request.config_code === undefined)
      return "Missing config: provide either config_params or config_code";
    if (this.#queue.length >= this.#maxQueued) return `The queue is full: ${this.#maxQueued} executions wait`;
    return undefined;
  }

  #submit(request: MessageOf<"execute">): MessageOf<"execute_reply"> {
    const error = this.#refusal(request);
    if (error !== undefined) return { status: "error", error };
    const id = randomUUID();
    this.#ledger.add(id, request.plate_id, request.client_address, request.compile_only ?? false);
    this.#queue.push({ id, request });
    const message = `Execution queued (position: ${this.#queue.length})`;
    this.#working ??= this.#work();
    return { status: "accepted", execution_id: id, message };
  }

  async #work(): Promise<void> {
    // After the reply to the request that began this.
    await null;
    for (let job = this.#queue.shift(); job !== undefined; job = this.#queue.shift()) {
      const { id, request } = job;
      if (!this.#ledger.move(id, "running")) continue;
      const abort = new AbortController();
      this.#aborts.set(id, abort);
      const log = new ProgressLog(id, request.plate_id);
      const progress = (given: ProgressGiven) => {
        const event = log.event(given);
        if (this.#ledger.progressed(id, event)) this.#publish(progressOnWire(event, this.generation));
        return event;
      };
      const workers = (pids: readonly number[]) => {
        if (this.#aborts.has(id)) this.#workers.set(id, [...pids]);
      };
      try {
        const results_summary = await this.#execute(request, {
          executionId: id,
          signal: abort.signal,
          progress,
          workers,
        });
        this.#ledger.move(id, "complete", results_summary === undefined ? {} : { results_summary });
      } catch (thrown) {
        const error = thrown instanceof Error ? thrown : new Error(String(thrown));
        this.#ledger.move(id, abort.signal.aborted ? "cancelled" : "failed", {
          error: error.message,
          traceback: error.stack ?? error.message,
        });
      }
      this.#aborts.delete(id);
      this.#workers.delete(id);
      this.#announce(id);
    }
    this.#working = undefined;
  }

  /** Generation D publishes the state in which an execution ended, so that clients need not poll. */
  #announce(id: string): void {
    if (this.generation === "D" && this.#hasEnded(id)) this.#publish(this.#snapshot(id));
  }

  #publish(message: { readonly [key: string]: unknown }): void {
    this.publish(stringifyJson(message));
  }

  /** Whether there was anything to cancel. */
  #cancel(id: string): boolean {
    if (!this.#ledger.move(id, "cancelled")) return false;
    this.#aborts.get(id)?.abort();
    if (!this.#aborts.has(id)) this.#announce(id);
    return true;
  }

  /** One execution's record. */
  execution(id: string): ExecutionRecord | undefined {
    const record = this.#ledger.get(id);
    return record && { ...record };
  }

  override async close(options: { readonly force?: boolean; readonly graceMs?: number } = {}): Promise<void> {
    this.#ending = true;
    for (const id of this.#ledger.ids) this.#cancel(id);
    if (!options.force && this.#working !== undefined) {
      // What was cancelled may still have something to put away, or to say.
      const over = new AbortController();
      void this.#working.then(() => over.abort());
      await pause(options.graceMs ?? 2000, over.signal);
    }
    await super.close(options);
  }
}
