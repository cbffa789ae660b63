// SPDX-License-Identifier: MIT
// Progress events as the OpenHCS family publishes them: one JSON object a frame, no topic.

import type { Generation } from "./message-schema.js";
import { PyFloat } from "./pickle-value.js";

/** One event. Keys and values are those of OpenHCS's progress stream; `axis_id` is the well, "" for the whole plate. */
export interface ProgressEvent {
  readonly type: "progress";
  readonly execution_id: string;
  readonly task_id: string;
  readonly plate_id: string;
  readonly axis_id: string;
  readonly step_name: string;
  readonly phase:
    | "init"
    | "running"
    | "success"
    | "failed"
    | "cancelled"
    | "axis_started"
    | "axis_completed"
    | "axis_error";
  readonly status: "started" | "running" | "success" | "failed" | "cancelled" | "error";
  /** 0 to 100. */
  readonly percent: number;
  readonly completed: number;
  readonly total: number;
  /** Seconds since the epoch; strictly increasing, since receivers drop an event that is not newer than the last of its key. */
  readonly timestamp: number;
  /** 1, 2, 3, ... within an execution: a gap tells a receiver that it lost something. */
  readonly progress_sequence: number;
  readonly pid: number;
  readonly error?: string;
  readonly total_wells?: readonly string[];
  readonly step_names?: readonly string[];
}

/** What a caller says of an event; the rest is the log's. */
export type ProgressGiven = Pick<ProgressEvent, "phase" | "status" | "completed" | "total"> &
  Partial<Pick<ProgressEvent, "axis_id" | "step_name" | "error" | "total_wells" | "step_names">>;

/** Numbers and times the events of one execution. */
export class ProgressLog {
  #sequence = 0;
  #last = 0;

  constructor(
    readonly executionId: string,
    readonly plateId: string,
  ) {}

  event(given: ProgressGiven): ProgressEvent {
    this.#last = Math.max(Date.now() / 1000, this.#last + 1e-6);
    return {
      type: "progress",
      execution_id: this.executionId,
      task_id: this.executionId,
      plate_id: this.plateId,
      axis_id: "",
      step_name: "",
      ...given,
      percent: given.total === 0 ? 100 : (100 * given.completed) / given.total,
      timestamp: this.#last,
      progress_sequence: ++this.#sequence,
      pid: process.pid,
    };
  }
}

/** The event as `generation` names its keys; percent and time are floats for Python even when they are whole. */
export function progressOnWire(event: ProgressEvent, generation: Generation): { [key: string]: unknown } {
  const { plate_id, ...rest } = event;
  return {
    ...(generation === "D" ? { ...rest, subject_id: plate_id } : event),
    percent: new PyFloat(event.percent),
    timestamp: new PyFloat(event.timestamp),
  };
}
