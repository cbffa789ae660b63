// SPDX-License-Identifier: MIT
// Work that several callers wait for: each may give up for itself, and with the last of them the work ends.

import { allowListeners, throwIfAborted } from "./store.js";

export class SharedTask<T> {
  readonly #result: Promise<T>;
  readonly #abort = new AbortController();
  #waiting = 0;

  constructor(start: (signal: AbortSignal) => Promise<T>) {
    this.#result = start(this.#abort.signal);
    // Those who wait hear of it; when nobody does any more, nobody need.
    this.#result.catch(() => {});
  }

  /** Whether it was ended for want of callers: a new one must start anew. */
  get abandoned(): boolean {
    return this.#abort.signal.aborted;
  }

  async wait(signal: AbortSignal | undefined, what: string): Promise<T> {
    throwIfAborted(signal, what);
    allowListeners(signal);
    this.#waiting++;
    let stop: (() => void) | undefined;
    try {
      if (signal === undefined) return await this.#result;
      return await Promise.race([
        this.#result,
        new Promise<never>((_, reject) => {
          stop = () => reject(new Error("aborted"));
          signal.addEventListener("abort", stop, { once: true });
        }),
      ]);
    } catch (error) {
      throwIfAborted(signal, what);
      throw error;
    } finally {
      if (stop !== undefined) signal?.removeEventListener("abort", stop);
      if (--this.#waiting === 0) this.#abort.abort();
    }
  }
}
