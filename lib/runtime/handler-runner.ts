// SPDX-License-Identifier: MIT
// Runs a server's handlers, each within its time, and ends those that are left when the server closes by force.

import { TilecastError } from "../errors.js";

export type Awaitable<T> = T | Promise<T>;

export class HandlerRunner {
  /** One function a running handler; it makes the handler's caller go on with an error. */
  readonly #running = new Set<() => void>();
  #closed = false;

  constructor(private readonly timeoutMs: number) {}

  /** Throws what `work` throws; ERR_TIMEOUT, retriable, when it takes too long or the server closes first: then its signal is aborted. */
  run<T>(what: string, work: (signal: AbortSignal) => Awaitable<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const over = new AbortController();
      const forget = () => {
        clearTimeout(timer);
        this.#running.delete(onClose);
      };
      const stop = (why: string) => {
        forget();
        reject(new TilecastError("ERR_TIMEOUT", why, { retriable: true }));
        over.abort();
      };
      const onClose = () => stop(`the server closed during ${what}`);
      const onLate = () => stop(`${what} took longer than ${this.timeoutMs} ms`);
      const timer = setTimeout(onLate, this.timeoutMs);
      if (this.#closed) return onClose();
      this.#running.add(onClose);
      (async () => work(over.signal))().finally(forget).then(resolve, reject);
    });
  }

  /** Ends what runs, and whatever is asked for from now on. */
  close(): void {
    this.#closed = true;
    for (const end of [...this.#running]) end();
  }
}
