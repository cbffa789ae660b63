// SPDX-License-Identifier: MIT
// What a stream to a viewer counts, and its report.

import type { AckCounts, AckLatency } from "./ack-tracker.js";

export const streamCounters = {
  given: "payloads that were handed over to be sent",
  sent: "payloads that left in a batch, those announced by their stores included",
  accepted: "payloads that the viewer took",
  refused: "payloads that the viewer could not take",
  unsupported: "payloads of a kind that this viewer does not show",
  dropped: "payloads that the viewer never heard of",
  storeOnly: "planes whose pixels were let go of and that are announced by their stores",
  kept: "objects of shared memory that the viewer keeps mapped",
  pixelBytes: "bytes of pixels that viewers were given",
  copiedBytes: "bytes of pixels that were copied on their way",
  batches: "batches that were sent",
  timeouts: "batches that were not answered in time",
  errors: "batches that were refused, or answered with something that is no reply",
  reconnects: "viewers that were found again, or after another",
} as const;

export type StreamState =
  /** It takes batches. */
  | "ready"
  /** It lives and does not answer. */
  | "stalled"
  /** Its process, or its endpoint, is gone. */
  | "gone"
  | "closed";

export type StreamStats = Readonly<Record<keyof typeof streamCounters, number>> & {
  readonly state: StreamState;
  readonly queued: number;
  /** Slots that the stream holds on loan. */
  readonly held: number;
  /** Why the last thing that failed did; empty when nothing has. */
  readonly lastError: string;
  readonly acks: AckCounts;
  readonly latency: AckLatency;
};
