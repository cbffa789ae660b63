// SPDX-License-Identifier: MIT
// A viewer as a sink of one run: connected when the run begins, let go of when it is over.

import type { StreamPayload } from "../payload.js";
import type { DrainOptions, RunDescription, RunSink, SinkWants } from "../sink.js";
import type { ViewerStream } from "../viewer-stream.js";
import type { Viewer } from "./viewer.js";

/** What is known by its store alone is a few hundred bytes a plane; a viewer that does not take it in this time is stalled. */
const closeMs = 10_000;

export class ViewerSink implements RunSink {
  readonly name: string;
  readonly wants: SinkWants;
  readonly #viewer: Viewer;
  #stream: ViewerStream | undefined;
  #stats: Readonly<Record<string, unknown>> | undefined;

  constructor(viewer: Viewer) {
    this.#viewer = viewer;
    this.name = viewer.name;
    this.wants = viewer.wants;
  }

  async open(options: { readonly signal?: AbortSignal }): Promise<void> {
    this.#stream = await this.#viewer.connect(options);
  }

  begin(run: RunDescription): void {
    this.#stream?.begin(run);
  }

  accept(payloads: readonly StreamPayload[]): void {
    this.#stream?.accept(payloads);
  }

  async drain(options: DrainOptions): Promise<void> {
    await this.#stream?.drain(options);
  }

  async close(): Promise<void> {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#stats = stream && { ...stream.stats };
    await stream?.close({ drainMs: closeMs });
  }

  get stats(): Readonly<Record<string, unknown>> {
    return { ...(this.#stream?.stats ?? this.#stats) };
  }
}
