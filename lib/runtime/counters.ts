// SPDX-License-Identifier: MIT
// Counters with names like paths and a line of help each; what is read of them is an immutable copy.

export type Help = Readonly<Record<string, string>>;
export type Snapshot<H extends Help> = Readonly<Record<keyof H, number>>;

export class Counters<H extends Help> {
  readonly #values: Record<keyof H, number>;

  constructor(readonly help: H) {
    this.#values = Object.fromEntries(Object.keys(help).map((k) => [k, 0])) as Record<keyof H, number>;
  }

  add(name: keyof H, amount = 1): void {
    this.#values[name] += amount;
  }

  snapshot(): Snapshot<H> {
    return Object.freeze({ ...this.#values });
  }
}

export const serverCounters = {
  "control.requests": "control messages that arrived",
  "control.malformed": "control messages that could not be read, each answered with an error",
  "control.oversized": "control messages beyond the limit of bytes, each answered with an error",
  "control.unknown": "control messages of an unknown type, each answered with an error",
  "control.failed": "control messages whose handler failed, each answered with an error",
  "control.undelivered": "control replies that were dropped since their peer was gone or did not read",
  "control.held": "times reading paused since as many control messages were being answered as may be at once",
  "control.bytesIn": "bytes of control messages",
  "control.bytesOut": "bytes of control replies",
  "data.received": "data messages that arrived",
  "data.failed": "data messages that were refused or whose handler failed",
  "data.undelivered": "data replies that were dropped since their peer was gone or did not read",
  "data.held": "times reading paused since as many data messages were being answered as may be at once",
  "data.bytesIn": "bytes of data messages",
  "data.published": "messages that were published",
  "data.bytesOut": "bytes of published messages and of data replies",
  "data.dropped": "messages that were not published since the server was closing",
} as const;

export const clientCounters = {
  requests: "requests that were made",
  replies: "replies that came",
  retries: "attempts after the first",
  timeouts: "attempts that got no answer in time",
  sockets: "sockets that were opened",
  bytesOut: "bytes of requests",
  bytesIn: "bytes of replies",
} as const;
