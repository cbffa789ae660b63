// SPDX-License-Identifier: MIT
// What a run gives its results to while it goes on: a viewer's sender, a recorder, a test.

import type { DType } from "../image/dtype.js";
import type { ValueDomain, ValueNames } from "./component-values.js";
import type { Producer, StreamPayload } from "./payload.js";

/** Which results a sink gets. */
export interface SinkWants {
  /** The image that is written of each channel (`op.save` says which). Default true. */
  readonly images?: boolean;
  /** Label images. Default true. */
  readonly labels?: boolean;
  /** Also the images that these steps end with, by the steps' names, written or not. Default none. */
  readonly steps?: readonly string[];
  /** Outlines of the objects of label images, as polygons whose vertices are corners of pixels: pixel (y, x) is [y, y + 1] x [x, x + 1]. Default false. */
  readonly shapes?: boolean;
  /** Centroids of the objects, in pixels whose centres are whole numbers. Default false. */
  readonly points?: boolean;
  /** The measurements of each image, with the columns of measurements.csv. Default false. */
  readonly tables?: boolean;
  /** Only outputs of these names (`producer.output`): `main`, and those of label images such as `objects`. Default all. */
  readonly outputs?: readonly string[];
}

/** One series of payloads that will come. */
export interface RunOutput {
  readonly kind: StreamPayload["kind"];
  readonly producer: Producer;
  readonly title?: string;
  /** Of planes: every dtype and [height, width] that occurs; empty for other kinds. */
  readonly dtypes: readonly DType[];
  readonly shapes: readonly (readonly [number, number])[];
  /** Whether its planes can be read from the store. */
  readonly stored: boolean;
}

/** What a viewer must know before the first tile. */
export interface RunDescription {
  /** The plate's name. */
  readonly plate: string;
  /** Folder of the OME-Zarr plate that the run writes. */
  readonly store: string;
  /** Every component value that payloads of this run can have. */
  readonly values: ValueDomain;
  readonly names: ValueNames;
  /** Micrometres a pixel, [y, x]; absent when unknown. */
  readonly pixelSize?: readonly [number, number];
  /** Micrometres between slices; absent when unknown. */
  readonly zStep?: number;
  /** What this sink will get. */
  readonly outputs: readonly RunOutput[];
  /** How many payloads it will get if every job succeeds. */
  readonly payloads: number;
  /** Tiles that all sinks together may hold. */
  readonly tiles: number;
}

export interface DrainOptions {
  /** Aborted when the time is over, or the run's own signal is. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

/**
 * The run never waits for a sink, nor fails with it: one that throws is detached, which the report tells, and the run goes on.
 * All calls come on the thread of the run.
 */
export interface RunSink {
  /** For the report. */
  readonly name: string;
  readonly wants?: SinkWants;
  /** Makes ready: starts or finds a viewer. Called when the pipeline is known to fit the plate and before anything is written; a rejection is the run's. */
  open?(options: { readonly signal?: AbortSignal }): Promise<void>;
  /** Called once, before any payload, when the run begins. */
  begin(run: RunDescription): void;
  /**
   * Takes results, each exactly once; with the call, the lease of every `pixels` is the sink's, also when it throws. It should return
   * within microseconds: results wait behind it. Without `pixels` (sinks held all the tiles that they may, or `--resume` found the
   * plane done) a plane is read from its `store`.
   */
  accept(payloads: readonly StreamPayload[]): void;
  /**
   * Called once at the end, also after the sink threw: sends what is left and gives back every lease. When it is over, or its time,
   * the pool is closed: slots that are exported by then stay with their readers.
   */
  drain(options: DrainOptions): Promise<void>;
  /** What is not sent yet; read after `drain`. Absent: `drain` resolves when nothing is. */
  readonly unsent?: number;
  /**
   * Called once, last of all and whatever happened after `open` was called: the run has written everything. What is left may be sent,
   * without pixels, for at most `drainMs`.
   */
  close?(options: { readonly drainMs: number }): Promise<void>;
  /** Counters for run.json, read after `drain`. Plain data. */
  readonly stats?: Readonly<Record<string, unknown>>;
}
