// SPDX-License-Identifier: MIT
// What became of each item that a viewer was to acknowledge: sent, received, shown, failed or stuck, and how long each took.

import { type Reservoir, reservoir, type Spread } from "./reservoir.js";

export type AckStatus = "success" | "error";

/** As the viewer writes it; unknown keys are ignored. */
export interface ImageAck {
  readonly image_id: string;
  readonly status: AckStatus;
  readonly error: string | null;
}

export interface AckCounts {
  /** Items that await an acknowledgement, since they were sent with an id. */
  readonly sent: number;
  /** Of those: in a batch that the viewer accepted. */
  readonly received: number;
  /** Of those: on screen. */
  readonly shown: number;
  /** Of those: the viewer could not show them, refused them, is gone, or did not say anything while very many others were sent. */
  readonly failed: number;
  /** Of those: neither shown nor failed for longer than the limit. An acknowledgement that comes later still counts. */
  readonly stuck: number;
  /** Neither shown nor failed, whether stuck or not. */
  readonly pending: number;
  /** Acknowledgements of ids that are not ours, or that were given before: ignored. */
  readonly stray: number;
}

export interface AckLatency {
  /** From the moment that the tile was handed over to the reply, ms. */
  readonly accepted: Spread;
  /** From that moment to the acknowledgement, ms. */
  readonly shown: Spread;
}

interface Pending {
  readonly readyAt: number;
  receivedAt?: number;
}

/** Items that are remembered; a viewer that acknowledges nothing must not fill the memory. */
const maxPending = 100_000;

/** Pure: it is told the time. */
export class AckTracker {
  readonly #pending = new Map<string, Pending>();
  readonly #accepted: Reservoir = reservoir();
  readonly #shown: Reservoir = reservoir();
  #counts = { sent: 0, received: 0, shown: 0, failed: 0, stray: 0 };

  constructor(
    /** Milliseconds without an acknowledgement after which an item is called stuck; upstream's 30 s. */
    readonly stuckAfterMs = 30_000,
  ) {}

  /** An item is about to be sent; `readyAt` is when its pixels were handed over. */
  sent(id: string, readyAt: number): void {
    this.#counts.sent++;
    this.#pending.set(id, { readyAt });
    if (this.#pending.size <= maxPending) return;
    const [oldest] = this.#pending.keys();
    this.#pending.delete(oldest as string);
    this.#counts.failed++;
  }

  /** The batch with it was accepted. */
  received(id: string, now: number): void {
    const item = this.#pending.get(id);
    if (item === undefined || item.receivedAt !== undefined) return;
    item.receivedAt = now;
    this.#counts.received++;
    this.#accepted.add(now - item.readyAt);
  }

  /** The latency of an accepted item that is not acknowledged. */
  acceptedUnacknowledged(readyAt: number, now: number): void {
    this.#accepted.add(now - readyAt);
  }

  /** False when nobody waits for it. An acknowledgement may overtake the reply. */
  acknowledged(ack: ImageAck, now: number): boolean {
    const item = this.#pending.get(ack.image_id);
    if (item === undefined) {
      this.#counts.stray++;
      return false;
    }
    this.received(ack.image_id, now);
    this.#pending.delete(ack.image_id);
    if (ack.status === "success") {
      this.#counts.shown++;
      this.#shown.add(now - item.readyAt);
    } else this.#counts.failed++;
    return true;
  }

  /** It will never be acknowledged: the batch was refused, or the viewer is gone. */
  forget(id: string): void {
    if (this.#pending.delete(id)) this.#counts.failed++;
  }

  /** All that is pending will never be acknowledged. */
  forgetAll(): void {
    this.#counts.failed += this.#pending.size;
    this.#pending.clear();
  }

  get pending(): number {
    return this.#pending.size;
  }

  counts(now: number): AckCounts {
    let stuck = 0;
    for (const { readyAt, receivedAt } of this.#pending.values())
      if (now - (receivedAt ?? readyAt) > this.stuckAfterMs) stuck++;
    return { ...this.#counts, stuck, pending: this.#pending.size };
  }

  latency(): AckLatency {
    return { accepted: this.#accepted.spread(), shown: this.#shown.spread() };
  }
}
