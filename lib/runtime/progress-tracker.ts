// SPDX-License-Identifier: MIT
// Receives progress events: reads them, rejects stale and repeated ones, and tells how many were lost.

import { TilecastError } from "../errors.js";
import { parseJson } from "./json.js";
import { asDict } from "./message-schema.js";
import { type MessageOf, readMessage } from "./messages.js";

/** An event as it arrives: of any generation, with the names of generation C. */
export type ReceivedProgress = MessageOf<"progress">;

export type Verdict =
  /** New; `missed` events of the execution were lost before it. */
  | { readonly accepted: true; readonly missed: number }
  | { readonly accepted: false; readonly reason: "stale" | "duplicate" };

/** Which part of a run an event speaks of, as OpenHCS divides them. Each has its own clock. */
function channelOf(phase: string): string {
  if (phase === "init" || phase === "compile") return phase;
  return phase === "pattern_group" ? "step" : "pipeline";
}

interface Seen {
  sequence: number;
  /** Newest timestamp by plate, axis and channel. */
  readonly times: Map<string, number>;
}

/** Executions that are remembered; the oldest are forgotten first. */
const maxExecutions = 1000;
/** Keys by execution: wells times channels of a large plate. */
const maxKeys = 10_000;

/**
 * Keeps events in order. Those with a `progress_sequence` (ours, generation D) are judged by it, others by their time within plate, well and
 * channel, as OpenHCS does.
 */
export class ProgressTracker {
  readonly #executions = new Map<string, Seen>();
  #missed = 0;

  /** Events lost so far, of all executions. */
  get missed(): number {
    return this.#missed;
  }

  accept(event: ReceivedProgress): Verdict {
    const seen = this.#of(event.execution_id);
    if (event.progress_sequence !== undefined) {
      const { sequence } = seen;
      if (event.progress_sequence === sequence) return { accepted: false, reason: "duplicate" };
      if (event.progress_sequence < sequence) return { accepted: false, reason: "stale" };
      // A subscriber that came late has lost nothing that it was promised.
      const missed = sequence === 0 ? 0 : event.progress_sequence - sequence - 1;
      seen.sequence = event.progress_sequence;
      this.#missed += missed;
      return { accepted: true, missed };
    }
    const key = JSON.stringify([event.plate_id, event.axis_id, channelOf(event.phase)]);
    const last = seen.times.get(key);
    if (last !== undefined && event.timestamp <= last)
      return { accepted: false, reason: event.timestamp === last ? "duplicate" : "stale" };
    if (last === undefined && seen.times.size >= maxKeys) seen.times.clear();
    seen.times.set(key, event.timestamp);
    return { accepted: true, missed: 0 };
  }

  #of(id: string): Seen {
    let seen = this.#executions.get(id);
    if (seen === undefined) {
      seen = { sequence: 0, times: new Map() };
      this.#executions.set(id, seen);
      const [oldest] = this.#executions.keys();
      if (this.#executions.size > maxExecutions && oldest !== undefined) this.#executions.delete(oldest);
    }
    return seen;
  }
}

/** What a progress stream carries: an event, or (generation D) the state in which an execution ended. */
export type ProgressNews =
  | { readonly event: ReceivedProgress }
  | { readonly ended: NonNullable<MessageOf<"status_reply">["execution"]> };

/** Reads a frame of a progress stream. Throws ERR_WIRE. */
export function readProgressFrame(frame: Uint8Array): ProgressNews {
  return readNews(parseJson(frame));
}

/**
 * What a subscriber of generation D is told that it has missed, in the order in which it would have come: the newest event of each execution,
 * then its end. What cannot be read is left out.
 */
export function readObservations(
  observations: { readonly [id: string]: unknown } | undefined,
): ProgressNews[] {
  return Object.values(observations ?? {}).flatMap((observation) => {
    const { event, terminal_snapshot } = asDict(observation) ?? {};
    return [event, terminal_snapshot].flatMap((news) => {
      try {
        return news === undefined || news === null ? [] : [readNews(news)];
      } catch {
        return [];
      }
    });
  });
}

function readNews(value: unknown): ProgressNews {
  if (asDict(value)?.execution !== undefined) {
    const { execution } = readMessage("status_reply", value);
    if (execution !== undefined) return { ended: execution };
  }
  const event = readMessage("progress", value);
  const { percent, completed, total } = event;
  // NaN fails these too.
  if (!(percent >= 0 && percent <= 100 && completed <= total && Number.isFinite(event.timestamp))) {
    throw new TilecastError(
      "ERR_WIRE",
      `progress: expected percent from 0 to 100, completed up to total and a time, and got ${percent}, ${completed} of ${total}, ${event.timestamp}`,
    );
  }
  return { event };
}
