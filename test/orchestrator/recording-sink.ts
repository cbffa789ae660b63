// SPDX-License-Identifier: MIT
// A sink that remembers what it was given, and looks at tiles before it gives them back.

import { createHash } from "node:crypto";
import type { NativePoolStats, NativeTilePool } from "../../lib/native.js";
import type { PlanePayload, StreamPayload } from "../../lib/streaming/payload.js";
import type { RunDescription, RunSink, SinkWants } from "../../lib/streaming/sink.js";

export interface SeenPlane {
  readonly payload: PlanePayload;
  /** sha256 of the tile's bytes; null of a plane known by its store alone. */
  readonly digest: string | null;
}

export interface RecordingOptions {
  readonly name?: string;
  readonly wants?: SinkWants;
  /** Whether tiles are given back at once (default), at the end, or never. */
  readonly release?: "at once" | "at the end" | "never";
  readonly onAccept?: (payloads: readonly StreamPayload[]) => void;
}

const bytesOf: Readonly<Record<string, number>> = { uint8: 1, uint16: 2, int32: 4, float32: 4 };

/** Where a plane belongs, for comparing. */
export const placeOf = (p: StreamPayload) =>
  [p.kind, p.producer.stepName, p.producer.output, ...Object.values(p.components)].join(" ");

export class RecordingSink implements RunSink {
  readonly name: string;
  readonly wants: SinkWants;
  readonly planes: SeenPlane[] = [];
  readonly others: StreamPayload[] = [];
  begun: RunDescription | null = null;
  drains = 0;
  readonly #held: NonNullable<PlanePayload["pixels"]>[] = [];
  #pool: NativeTilePool | null = null;

  constructor(readonly options: RecordingOptions = {}) {
    this.name = options.name ?? "recorder";
    this.wants = options.wants ?? {};
  }

  get stats() {
    return { planes: this.planes.length };
  }

  /** Of the run's pool, also when it is closed; null when no tile was ever given. */
  get poolStats(): NativePoolStats | null {
    return this.#pool?.stats() ?? null;
  }

  begin(run: RunDescription): void {
    this.begun = run;
  }

  accept(payloads: readonly StreamPayload[]): void {
    for (const payload of payloads) {
      if (payload.kind !== "image" && payload.kind !== "labels") {
        this.others.push(payload);
        continue;
      }
      const { pixels, shape, dtype } = payload;
      let digest: string | null = null;
      if (pixels) {
        const { pool, slot } = pixels;
        this.#pool = pool;
        const bytes = shape[0] * shape[1] * (bytesOf[dtype] as number);
        digest = createHash("sha256")
          .update(new Uint8Array(pool.buffers[0] as ArrayBuffer, slot * pool.slotBytes, bytes))
          .digest("hex");
        this.#held.push(pixels);
      }
      this.planes.push({ payload, digest });
    }
    this.options.onAccept?.(payloads);
    if ((this.options.release ?? "at once") === "at once") this.#letGo();
  }

  async drain(): Promise<void> {
    this.drains++;
    if (this.options.release !== "never") this.#letGo();
  }

  #letGo(): void {
    for (const { pool, slot, generation } of this.#held.splice(0)) pool.release(slot, generation);
  }
}
