// SPDX-License-Identifier: MIT
// A ROUTER socket on which every message gets one reply: handlers run side by side, and no more of them than a limit.

import type { Router } from "zeromq";

/** Messages that are being answered at once. Further ones wait in the socket, and then, beyond its high-water mark, at their senders. */
export const maxPending = 1000;

export class ReplyLoop {
  readonly #pending = new Set<Promise<void>>();
  /** zeromq.js allows one send at a time on a socket. */
  #sends: Promise<unknown> = Promise.resolve();
  #onRoom: (() => void) | undefined;

  /**
   * `socket` must be mandatory and wait for no peer. `answer` must not reject. `onHeld` is called each time that reading stops since too many
   * messages are being answered, `onUndelivered` for each reply that its peer did not take.
   */
  constructor(
    private readonly socket: Router,
    private readonly answer: (body: Buffer[]) => Promise<Uint8Array | string>,
    private readonly onHeld: () => void,
    private readonly onUndelivered: () => void,
  ) {}

  /** Ends when the socket is closed. */
  async run(): Promise<void> {
    const { socket } = this;
    try {
      for await (const [identity, delimiter, ...body] of socket) {
        // REQ puts an empty frame before its message; a peer that does not is none of ours.
        if (identity === undefined || delimiter === undefined || delimiter.length > 0) continue;
        const work = this.#reply(identity, body).finally(() => {
          this.#pending.delete(work);
          this.#onRoom?.();
        });
        this.#pending.add(work);
        if (this.#pending.size >= maxPending) {
          this.onHeld();
          await new Promise<void>((resolve) => {
            this.#onRoom = resolve;
          });
          this.#onRoom = undefined;
        }
      }
    } catch (error) {
      if (!socket.closed) throw error;
    }
  }

  async #reply(identity: Buffer, body: Buffer[]): Promise<void> {
    const reply = await this.answer(body);
    this.#sends = this.#sends
      .then(() => this.socket.send([identity, "", reply]))
      // The peer is gone or does not read, or the server closed.
      .catch(this.onUndelivered);
    await this.#sends;
  }

  /** Resolves when what is being answered now has been. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#pending]);
  }
}
