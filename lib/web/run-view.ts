// SPDX-License-Identifier: MIT
// A run in the gateway: its plate and its results as sources, its progress, wells and planes as events, and a way to cancel it.

import { relative, sep } from "node:path";
import type { Progress } from "../orchestrator/progress.js";
import type { WellReport } from "../orchestrator/report/report-data.js";
import type { RunReport } from "../orchestrator/run.js";
import type { Plate } from "../plates/plate.js";
import type { StreamPayload } from "../streaming/payload.js";
import { releasePixels } from "../streaming/send-queue.js";
import type { RunDescription, RunSink } from "../streaming/sink.js";
import { FolderSource } from "./folder-source.js";
import type { Gateway } from "./gateway.js";
import { addPlate } from "./open-source.js";
import { describePlate } from "./source-description.js";
import { TableFile } from "./table.js";

/** What goes into the events that the page shows; see docs/gateway.md. */
export interface RunViewOptions {
  readonly plate: Plate;
  /** Name of the results in the page. */
  readonly name: string;
  /** measurements.csv, which appears at the run's end. */
  readonly table: string;
  readonly cancel: () => void;
}

/**
 * A sink that keeps no pixels: a plane is in the store when it is announced, and pages read it from there. Its other methods are the run's
 * callbacks.
 */
export class RunView implements RunSink {
  readonly name = "web";
  readonly wants = { images: true, labels: true };
  readonly id: string;
  readonly #gateway: Gateway;
  readonly #options: RunViewOptions;
  readonly #input: string;
  #output = "";
  #source: FolderSource | undefined;
  #store = "";
  #planes = 0;
  #last: Progress | undefined;

  private constructor(gateway: Gateway, options: RunViewOptions, input: string) {
    this.#gateway = gateway;
    this.#options = options;
    this.#input = input;
    this.id = "r1";
  }

  static async open(gateway: Gateway, options: RunViewOptions): Promise<RunView> {
    return new RunView(gateway, options, await addPlate(gateway, options.plate, { run: "r1" }));
  }

  begin(run: RunDescription): void {
    const { plate, name, table, cancel } = this.#options;
    this.#store = run.store;
    const source = new FolderSource(run.store, true);
    this.#source = source;
    const wells = new Set(run.values.well ?? []);
    const planes = plate.planes.filter((p) => wells.has(p.well));
    const labels = run.outputs.filter((o) => o.kind === "labels").map((o) => o.producer.output);
    this.#output = this.#gateway.addSource(
      source,
      (id) => ({
        ...describePlate(plate, planes, {
          id,
          name,
          role: "output",
          run: this.id,
          labels: [...new Set(labels)],
          table: true,
          live: true,
        }),
        slices: Math.max(1, run.values.z_index?.length ?? 1),
      }),
      new TableFile(table),
    );
    this.#gateway.addRun({ id: this.id, input: this.#input, output: this.#output, cancel });
    for (const well of wells)
      this.#gateway.events.publish({ type: "well", key: String(well), run: this.id, well, state: "waiting" });
  }

  accept(payloads: readonly StreamPayload[]): void {
    for (const payload of payloads) {
      if (payload.kind !== "image" && payload.kind !== "labels") continue;
      if (payload.pixels) releasePixels(payload.pixels);
      if (payload.store === undefined) continue;
      this.#planes++;
      const path = relative(this.#store, payload.store.path).split(sep).join("/");
      const { index } = payload.store;
      this.#gateway.events.publish({
        type: "tile",
        key: `${path}/${index.join("/")}`,
        source: this.#output,
        path,
        index,
        well: payload.components.well,
      });
    }
  }

  async drain(): Promise<void> {}

  get stats(): Readonly<Record<string, unknown>> {
    return { planes: this.#planes, clients: this.#gateway.events.clients };
  }

  /** The run's `onProgress`. */
  progress(p: Progress): void {
    this.#last = p;
    this.#publish(p.phase === "estimate" ? "estimating" : "running", p);
  }

  /** The run's `onWell`. */
  well(report: WellReport): void {
    const { well, status, objects, planes, failedPlanes, values, reused } = report;
    this.#gateway.events.publish({
      type: "well",
      key: well,
      run: this.id,
      well,
      state: reused ? "reused" : status === "done" ? "done" : "failed",
      planes,
      failedPlanes,
      objects,
      values,
    });
  }

  /** The run is over. */
  ended(report: RunReport): void {
    if (this.#source) this.#source.live = false;
    this.#gateway.updateSource(this.#output, { live: false });
    const { timings, failures } = report;
    this.#publish(report.outcome, this.#last, { timings, failures: failures.slice(0, 100) });
  }

  failed(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#publish("failed", this.#last, { failures: [{ message }] });
  }

  #publish(state: string, progress: Progress | undefined, more: object = {}): void {
    this.#gateway.events.publish({ type: "run", key: this.id, run: this.id, state, ...progress, ...more });
  }
}
