// SPDX-License-Identifier: MIT
// Events for any number of pages: the newest state of each thing, in batches, to each client as fast as it reads and never faster.

import { randomBytes } from "node:crypto";

/** What happened to one thing; `key` says which, and a later event of the same type and key replaces an earlier one. */
export interface HubEvent {
  readonly type: string;
  readonly key: string;
  readonly [field: string]: unknown;
}

/** One who listens, such as a WebSocket. */
export interface Listener {
  send(text: string): void;
  /** Bytes that were sent and are not on their way yet. */
  readonly bufferedAmount: number;
}

/** A client that has this much unread gets nothing more until it has read it. */
const mostUnread = 2 ** 20;
/** Of one frame; what is beyond comes with the next flush. */
const mostEvents = 5000;

interface Client {
  readonly listener: Listener;
  /** The newest event that it was sent. */
  at: number;
}

/**
 * Keeps one event a thing, so that its memory is that of the newest state, however long it runs and however slowly clients read: a client that
 * falls behind misses states between, never the last one. The same makes resuming simple: all that is newer than what the client has.
 */
export class EventHub {
  /** Tells a client whether its numbers are of this hub. */
  readonly epoch = randomBytes(6).toString("hex");
  /** In order of `n`: an event that is replaced moves to the end. */
  readonly #latest = new Map<string, { readonly n: number; readonly event: HubEvent }>();
  readonly #clients = new Set<Client>();
  #n = 0;
  #timer: NodeJS.Timeout | undefined;

  /** Called when there is somebody to tell, and when nobody is left. */
  onAudience: (isThere: boolean) => void = () => {};

  /** `intervalMs`: between two batches; default 50. */
  constructor(readonly intervalMs = 50) {}

  publish(event: HubEvent): void {
    const id = `${event.type}\0${event.key}`;
    this.#latest.delete(id);
    this.#latest.set(id, { n: ++this.#n, event });
    this.#schedule();
  }

  /** Forgets things, such as those of a source that is gone. */
  forget(matches: (event: HubEvent) => boolean): void {
    for (const [id, { event }] of this.#latest) if (matches(event)) this.#latest.delete(id);
  }

  /**
   * Adds a client. `since` is the newest event that it has of the hub `epoch`; another hub's, or none, is answered by `reset` and everything.
   * Returns what ends it.
   */
  add(listener: Listener, since?: number, epoch?: string): () => void {
    const known = epoch === this.epoch && since !== undefined && since >= 0 && since <= this.#n;
    const client: Client = { listener, at: known ? since : 0 };
    listener.send(JSON.stringify([{ type: known ? "resume" : "reset", epoch: this.epoch, n: client.at }]));
    this.#clients.add(client);
    if (this.#clients.size === 1) this.onAudience(true);
    this.#schedule();
    return () => {
      if (this.#clients.delete(client) && this.#clients.size === 0) this.onAudience(false);
    };
  }

  get clients(): number {
    return this.#clients.size;
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#clients.size === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#flush();
    }, this.intervalMs);
    this.#timer.unref();
  }

  #flush(): void {
    let behind = false;
    // Most clients are equally far: their text is made once.
    const texts = new Map<number, { text: string; to: number }>();
    for (const client of this.#clients) {
      if (client.at === this.#n) continue;
      if (client.listener.bufferedAmount > mostUnread) {
        behind = true;
        continue;
      }
      let made = texts.get(client.at);
      if (made === undefined) {
        made = this.#newer(client.at);
        texts.set(client.at, made);
      }
      if (made.text !== "[]") client.listener.send(made.text);
      client.at = made.to;
      if (made.to < this.#n) behind = true;
    }
    if (behind) this.#schedule();
  }

  #newer(than: number): { text: string; to: number } {
    const batch: { n: number; event: HubEvent }[] = [];
    // From the newest backwards would need an index; states are few thousands and flushes 20 a second.
    for (const entry of this.#latest.values()) {
      if (entry.n <= than) continue;
      batch.push(entry);
      if (batch.length === mostEvents) break;
    }
    const to = batch.length === mostEvents ? (batch.at(-1)?.n ?? this.#n) : this.#n;
    return { text: JSON.stringify(batch.map(({ n, event }) => ({ n, ...event }))), to };
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#clients.clear();
    this.#latest.clear();
  }
}
