// SPDX-License-Identifier: MIT
// A viewer as a sink of one run: connected when the run begins, let go of when it is over.

import { TilecastError } from "../../errors.js";
import type { StreamPayload } from "../payload.js";
import type { DrainOptions, RunDescription, RunSink, SinkWants } from "../sink.js";
import type { ViewerStream } from "../viewer-stream.js";
import type { Viewer } from "./viewer.js";

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
    const stream = this.#stream;
    await stream?.drain(options);
    if (stream?.state === "gone") throw new TilecastError("ERR_STREAM", stream.stats.lastError);
  }

  get unsent(): number {
    return this.#stream?.unsent ?? 0;
  }

  async close(options: { readonly drainMs: number }): Promise<void> {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#stats = stream && { ...stream.stats };
    await stream?.close(options);
  }

  get stats(): Readonly<Record<string, unknown>> {
    return { ...(this.#stream?.stats ?? this.#stats) };
  }
}
