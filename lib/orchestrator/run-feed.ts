// SPDX-License-Identifier: MIT
// A run's progress as a stream of events: the plate, each well as it ends, the end.

import { randomUUID } from "node:crypto";
import type { Plate } from "../plates/plate.js";
import { ProgressLog } from "../runtime/progress-event.js";
import { ProgressPublisher } from "../streaming/progress-publisher.js";
import type { Ledger } from "./ledger.js";
import type { Pipeline } from "./pipeline.js";
import type { RunReport } from "./results.js";
import type { WellState } from "./well-state.js";

export class RunFeed {
  readonly #publisher: ProgressPublisher;
  readonly #log: ProgressLog;

  private constructor(publisher: ProgressPublisher, plate: Plate) {
    this.#publisher = publisher;
    this.#log = new ProgressLog(randomUUID(), plate.root);
  }

  /** Binds the endpoint, or gives null when none is asked for. */
  static async open(endpoint: string | undefined, plate: Plate): Promise<RunFeed | null> {
    return endpoint === undefined ? null : new RunFeed(await ProgressPublisher.bind(endpoint), plate);
  }

  started(pipeline: Pipeline, ledger: Ledger): void {
    this.#publisher.send(
      this.#log.event({
        phase: "init",
        status: "started",
        completed: 0,
        total: ledger.planesTotal,
        total_wells: ledger.wellNames(),
        step_names: pipeline.steps.map((s) => s.name),
      }),
    );
  }

  /** The wells that have ended, then where the plate stands. */
  progress(ledger: Ledger, ended: readonly WellState[]): void {
    for (const state of ended) {
      const failed = state.status !== "done";
      const reason = state.failures[0]?.message;
      this.#publisher.send(
        this.#log.event({
          axis_id: state.well,
          phase: failed ? "axis_error" : "axis_completed",
          status: failed ? "error" : "success",
          completed: state.planes - state.failedPlanes,
          total: state.planes,
          ...(reason === undefined ? {} : { error: reason }),
        }),
      );
    }
    this.#publisher.send(
      this.#log.event({
        phase: "running",
        status: "running",
        completed: ledger.planesDone + ledger.planesReused,
        total: ledger.planesTotal,
      }),
    );
  }

  ended(report: RunReport): void {
    const outcome = { complete: "success", incomplete: "failed", cancelled: "cancelled" } as const;
    this.#publisher.send(
      this.#log.event({
        phase: outcome[report.outcome],
        status: outcome[report.outcome],
        completed: report.planes.done + report.planes.reused,
        total: report.planes.total,
        ...(report.failures[0] ? { error: report.failures[0].message } : {}),
      }),
    );
  }

  close(): Promise<void> {
    return this.#publisher.close();
  }
}
