// SPDX-License-Identifier: MIT
// The WebSocket of events: resumes where it was, comes back by itself, and says how it stands.

import { signal } from "@preact/signals";
import { base } from "./server.js";
import type { HubMessage } from "./types.js";

export type Connection =
  | { readonly kind: "connecting" }
  | { readonly kind: "open" }
  /** `expired`: a server answers and does not know this address. */
  | { readonly kind: "waiting"; readonly retryAt: number; readonly expired: boolean };

export const connection = signal<Connection>({ kind: "connecting" });

const firstDelayMs = 250;
const longestDelayMs = 8000;

/** Follows the gateway's events. `onReset` comes before everything is sent anew; `onBatch` gets what is new. */
export class EventStream {
  #socket: WebSocket | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #delayMs = firstDelayMs;
  #epoch = "";
  #n = 0;

  constructor(
    readonly onReset: () => void,
    readonly onBatch: (events: readonly HubMessage[]) => void,
  ) {
    // A laptop that wakes up, or a tab that is looked at again, need not wait for the timer.
    addEventListener("online", () => this.retry());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.retry();
    });
  }

  /** Connects now, if it is not connected. */
  retry(): void {
    if (connection.value.kind !== "waiting") return;
    clearTimeout(this.#timer);
    this.connect();
  }

  connect(): void {
    const url = new URL("api/events", base);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    if (this.#epoch !== "") {
      url.searchParams.set("since", String(this.#n));
      url.searchParams.set("epoch", this.#epoch);
    }
    if (connection.value.kind !== "waiting") connection.value = { kind: "connecting" };
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(data as string);
    socket.onclose = () => {
      if (this.#socket === socket) void this.#lost();
    };
  }

  #receive(text: string): void {
    const events = JSON.parse(text) as HubMessage[];
    const [first] = events;
    if (first?.type === "reset" || first?.type === "resume") {
      connection.value = { kind: "open" };
      this.#delayMs = firstDelayMs;
      this.#epoch = String(first.epoch);
      this.#n = Number(first.n);
      if (first.type === "reset") this.onReset();
      events.shift();
    }
    if (events.length === 0) return;
    this.#n = events.at(-1)?.n ?? this.#n;
    this.onBatch(events);
  }

  async #lost(): Promise<void> {
    this.#socket = undefined;
    const delay = this.#delayMs * (0.75 + Math.random() / 2);
    this.#delayMs = Math.min(longestDelayMs, this.#delayMs * 2);
    const wait = (expired: boolean) => {
      connection.value = { kind: "waiting", retryAt: Date.now() + delay, expired };
    };
    wait(connection.value.kind === "waiting" && connection.value.expired);
    this.#timer = setTimeout(() => this.connect(), delay);
    // A WebSocket does not say why it was refused; a request does.
    const status = await fetch(new URL("api/catalog", base)).then(
      (r) => r.status,
      () => 0,
    );
    if (connection.value.kind === "waiting") wait(status === 404);
  }
}
