// SPDX-License-Identifier: MIT
// The life of an execution: submitted, queued, running, and one of three ends. Transitions are checked in one place.

import type {
  ExecutionRecord,
  ExecutionStatus,
  QueuedExecution,
  ResultsSummary,
  RunningExecution,
} from "./messages.js";
import type { ProgressEvent } from "./progress-event.js";

/** Before a server has accepted it a request is `submitted`, on the client alone. */
export type ExecutionPhase = "submitted" | ExecutionStatus;

const next: Readonly<Record<ExecutionPhase, readonly ExecutionPhase[]>> = {
  submitted: ["queued", "failed", "cancelled"],
  queued: ["running", "cancelled"],
  running: ["complete", "failed", "cancelled"],
  complete: [],
  failed: [],
  cancelled: [],
};

export const canFollow = (from: ExecutionPhase, to: ExecutionPhase): boolean => next[from].includes(to);

/** Whether a status, of any release, is an end. Old servers may say `completed`. */
export const isTerminal = (status: string): boolean =>
  status === "complete" || status === "completed" || status === "failed" || status === "cancelled";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Seconds since the epoch, as on the wire. */
const now = (): number => Date.now() / 1000;

/** The executions of a server, in the order in which they came. What has ended is kept up to a number. */
export class ExecutionLedger {
  readonly #records = new Map<string, Mutable<ExecutionRecord>>();
  readonly #lastEvents = new Map<string, ProgressEvent>();

  constructor(private readonly maxEnded: number) {}

  add(id: string, plateId: string, clientAddress: string | undefined, compileOnly: boolean): void {
    this.#records.set(id, {
      execution_id: id,
      plate_id: plateId,
      client_address: clientAddress ?? null,
      status: "queued",
      start_time: null,
      end_time: null,
      error: null,
      compile_only: compileOnly,
    });
    const ended = [...this.#records.values()].filter((r) => isTerminal(r.status));
    for (const { execution_id } of ended.slice(0, Math.max(0, ended.length - this.maxEnded))) {
      this.#records.delete(execution_id);
      this.#lastEvents.delete(execution_id);
    }
  }

  get(id: string): ExecutionRecord | undefined {
    return this.#records.get(id);
  }

  get ids(): string[] {
    return [...this.#records.keys()];
  }

  /** Moves an execution on; false, and nothing happens, when its state does not allow that: an end is final. */
  move(
    id: string,
    to: ExecutionStatus,
    outcome: {
      readonly error?: string;
      readonly traceback?: string;
      readonly results_summary?: ResultsSummary;
    } = {},
  ): boolean {
    const record = this.#records.get(id);
    if (record === undefined || !canFollow(record.status as ExecutionPhase, to)) return false;
    // In one step: whoever sees the end sees its results.
    Object.assign(record, outcome, {
      status: to,
      ...(to === "running" && { start_time: now() }),
      ...(isTerminal(to) && { end_time: now() }),
    });
    return true;
  }

  /** Keeps the newest event; false, and nothing happens, after the end. */
  progressed(id: string, event: ProgressEvent): boolean {
    const record = this.#records.get(id);
    if (record === undefined || isTerminal(record.status)) return false;
    record.progress_sequence = event.progress_sequence;
    this.#lastEvents.set(id, event);
    return true;
  }

  lastEvent(id: string): ProgressEvent | undefined {
    return this.#lastEvents.get(id);
  }

  #with(status: ExecutionStatus): ExecutionRecord[] {
    return [...this.#records.values()].filter((r) => r.status === status);
  }

  running(): RunningExecution[] {
    return this.#with("running").map(({ execution_id, plate_id, start_time, compile_only }) => ({
      execution_id,
      plate_id,
      start_time: start_time ?? 0,
      elapsed: start_time === null ? 0 : Math.max(0, now() - start_time),
      compile_only,
    }));
  }

  queued(): QueuedExecution[] {
    return this.#with("queued").map(({ execution_id, plate_id }, i) => ({
      execution_id,
      plate_id,
      queue_position: i + 1,
    }));
  }
}
