// SPDX-License-Identifier: MIT
// What waits to be sent to a viewer, within a budget of slots: beyond it the oldest pixels are let go, and their planes announced by their stores.

import { dtypeSize } from "../image/dtype.js";
import type { LoanedPixels, StreamPayload } from "./payload.js";

export interface Queued {
  readonly payload: StreamPayload;
  /** When it was handed over, on the clock of `performance.now()`. */
  readonly readyAt: number;
  /** How often it was sent without an answer. */
  readonly attempts?: number;
}

/** What a viewer has not answered to so often is what it cannot bear. */
const maxAttempts = 3;

export interface QueueBudget {
  /** Slots that may be on loan here, those of the batch under way included. */
  planes: number;
  /** Bytes of shapes, points, tracks and tables that may wait. */
  readonly otherBytes: number;
}

/** What had to be let go of, for the counters. */
export interface QueueLosses {
  /** Pixels that were given back; the plane is announced by its store. */
  storeOnly: number;
  /** Payloads that the viewer will never hear of. */
  dropped: number;
}

/** Bytes of the pixels. */
export const pixelBytes = (payload: StreamPayload): number =>
  "shape" in payload ? payload.shape[0] * payload.shape[1] * dtypeSize(payload.dtype) : 0;

/** Roughly what a payload without pixels takes in this process. */
function heapBytes(payload: StreamPayload): number {
  switch (payload.kind) {
    case "shapes":
      return payload.shapes.reduce((sum, s) => sum + 64 + 8 * s.vertices.length, 0);
    case "points":
      return 8 * payload.points.length;
    case "tracks":
      return 48 * payload.tracks.length;
    case "table":
      return 16 * payload.columns.length * payload.rows.length;
    default:
      return 0;
  }
}

export const releasePixels = ({ pool, slot, generation }: LoanedPixels): void =>
  pool.release(slot, generation);

/** The same plane without pixels; undefined when it cannot be read from anywhere else. */
function byStore(payload: StreamPayload): StreamPayload | undefined {
  if (!("shape" in payload) || payload.store === undefined) return undefined;
  const { pixels: _, ...rest } = payload;
  return rest;
}

export class SendQueue {
  /** In the order of arrival; what is put back has lower keys. */
  #entries = new Map<number, Queued>();
  readonly #holding = new Map<number, Queued>();
  readonly #others = new Map<number, number>();
  #next = 0;
  #otherBytes = 0;
  /** Slots of batches under way. */
  #out = 0;
  readonly losses: QueueLosses = { storeOnly: 0, dropped: 0 };

  constructor(
    readonly budget: QueueBudget,
    /** Whether the viewer can be told of planes by their stores. */
    private readonly useStores: () => boolean,
  ) {}

  get size(): number {
    return this.#entries.size;
  }

  /** Slots on loan here. */
  get held(): number {
    return this.#holding.size + this.#out;
  }

  /** Whether another plane would push one out. */
  get isFull(): boolean {
    return this.held >= this.budget.planes;
  }

  push(entry: Queued): void {
    this.#insert(this.#next++, entry);
    while (this.held > this.budget.planes && this.#holding.size > 0) {
      const [key] = this.#holding.keys();
      this.#letGo(key as number);
    }
    while (this.#otherBytes > this.budget.otherBytes && this.#others.size > 1) {
      const [key] = this.#others.keys();
      this.#remove(key as number);
      this.losses.dropped++;
    }
  }

  #insert(key: number, entry: Queued): void {
    this.#entries.set(key, entry);
    if ("shape" in entry.payload) {
      if (entry.payload.pixels) this.#holding.set(key, entry);
    } else {
      const bytes = heapBytes(entry.payload);
      this.#others.set(key, bytes);
      this.#otherBytes += bytes;
    }
  }

  #remove(key: number): void {
    this.#entries.delete(key);
    this.#holding.delete(key);
    this.#otherBytes -= this.#others.get(key) ?? 0;
    this.#others.delete(key);
  }

  /** Gives the pixels back; the entry keeps its place where its plane can be announced without them. */
  #letGo(key: number): void {
    const entry = this.#holding.get(key) as Queued;
    const { payload } = entry;
    if ("shape" in payload && payload.pixels) releasePixels(payload.pixels);
    this.#holding.delete(key);
    const left = this.useStores() ? byStore(payload) : undefined;
    if (left === undefined) {
      this.#entries.delete(key);
      this.losses.dropped++;
    } else {
      this.#entries.set(key, { ...entry, payload: left });
      this.losses.storeOnly++;
    }
  }

  /** The oldest; whoever takes it owns its pixels, and says `back` when their slot is no longer held. */
  take(): Queued | undefined {
    const first = this.#entries.entries().next();
    if (first.done) return undefined;
    const [key, entry] = first.value;
    if (this.#holding.has(key)) this.#out++;
    this.#remove(key);
    return entry;
  }

  /** A taken entry's slot has been given up. */
  back(): void {
    this.#out--;
  }

  /**
   * Puts entries that were taken, and whose pixels are gone, in front again, by their stores; counts those that have none.
   */
  putBack(entries: readonly Queued[]): void {
    const again: Queued[] = [];
    for (const entry of entries) {
      const isPlane = "shape" in entry.payload;
      const payload = isPlane ? (this.useStores() ? byStore(entry.payload) : undefined) : entry.payload;
      const attempts = (entry.attempts ?? 0) + 1;
      if (payload === undefined || attempts >= maxAttempts) {
        this.losses.dropped++;
        continue;
      }
      if (isPlane && "pixels" in entry.payload) this.losses.storeOnly++;
      again.push({ ...entry, payload, attempts });
    }
    if (again.length === 0) return;
    const rest = [...this.#entries];
    this.#entries = new Map();
    const from = (rest[0]?.[0] ?? this.#next) - again.length;
    again.forEach((entry, i) => {
      this.#insert(from + i, entry);
    });
    for (const [key, entry] of rest) this.#entries.set(key, entry);
  }

  /** Gives all pixels back, e.g. because the viewer stands still; what can be announced by its store stays. */
  letGoOfPixels(): void {
    for (const key of [...this.#holding.keys()]) this.#letGo(key);
  }

  /** Empties it; everything in it counts as dropped. */
  clear(): void {
    for (const { payload } of this.#holding.values())
      if ("shape" in payload && payload.pixels) releasePixels(payload.pixels);
    this.losses.dropped += this.#entries.size;
    this.#entries.clear();
    this.#holding.clear();
    this.#others.clear();
    this.#otherBytes = 0;
  }
}
