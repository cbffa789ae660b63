// SPDX-License-Identifier: MIT
// The executions of one server: those that it names, those whose events come, and how the last ones ended.

import { type ExecutionRecord, type Pong, ProgressTracker, type ReceivedProgress } from "../runtime/index.js";
import { ExecutionEntry } from "./execution-entry.js";
import type { ExecutionNode } from "./node.js";

/** Ended ones that stay to be looked at. */
const maxEnded = 10;
/** Waiting ones that are listed; the server's node counts them all. */
const maxListed = 200;

export class Executions {
  readonly #entries = new Map<string, ExecutionEntry>();
  readonly #tracker = new ProgressTracker();

  #entry(id: string): ExecutionEntry {
    let entry = this.#entries.get(id);
    if (entry === undefined) {
      entry = new ExecutionEntry(id);
      this.#entries.set(id, entry);
    }
    return entry;
  }

  /** Takes what a pong says; returns the ids of those that are not in it any more: the server is to be asked how they ended. */
  pong({ running_executions, queued_executions }: Pong): string[] {
    // Old viewers and servers have no lists; that means nothing.
    if (running_executions === undefined) return [];
    const named = new Set<string>();
    for (const { execution_id: id, plate_id, start_time, compile_only } of running_executions) {
      named.add(id);
      this.#entry(id).running(plate_id, start_time, compile_only);
    }
    for (const { execution_id: id, plate_id, queue_position } of queued_executions ?? []) {
      named.add(id);
      if (this.#entries.has(id) || this.#entries.size < maxListed)
        this.#entry(id).queued(plate_id, queue_position);
    }
    return [...this.#entries.values()].filter((e) => !e.isEnded && !named.has(e.id)).map((e) => e.id);
  }

  /** Takes an event; false for one that is stale, repeated, late or contradictory: then nothing has changed. */
  event(event: ReceivedProgress): boolean {
    if (!this.#tracker.accept(event).accepted) return false;
    if (!this.#entries.has(event.execution_id) && this.#entries.size >= 2 * maxListed) return false;
    return this.#entry(event.execution_id).event(event);
  }

  /** How the server has an execution; `undefined`: it does not know it. */
  record(id: string, record: ExecutionRecord | undefined): void {
    if (record === undefined) this.#entries.get(id)?.lost();
    else this.#entries.get(id)?.record(record);
  }

  /** Running ones, then those that wait in their order, then the last that ended, newest first. */
  nodes(serverKey: string): ExecutionNode[] {
    const all = [...this.#entries.values()];
    const over = all.filter((e) => e.isEnded).sort((a, b) => b.endedAt - a.endedAt);
    for (const { id } of over.splice(maxEnded)) this.#entries.delete(id);
    const waiting = all.filter((e) => e.state === "queued").sort((a, b) => a.position - b.position);
    const active = all.filter((e) => !e.isEnded && e.state !== "queued");
    return [...active, ...waiting, ...over].map((entry) => entry.node(serverKey));
  }
}
