// SPDX-License-Identifier: MIT
// What a server does with its data socket: answer each message, collect them, or publish without ever waiting for a subscriber.

import type { Publisher, Pull } from "zeromq";
import { TilecastError } from "../errors.js";
import { errorOf, type RequestContext } from "./control-channel.js";
import type { Counters, serverCounters } from "./counters.js";
import type { Awaitable, HandlerRunner } from "./handler-runner.js";

export interface DataChannelOptions {
  readonly maxBytes: number;
  readonly onData:
    | ((message: Buffer, context: RequestContext) => Awaitable<string | Uint8Array | undefined>)
    | undefined;
  readonly dataError: ((error: Error) => string | Uint8Array) | undefined;
  readonly runner: HandlerRunner;
  readonly counters: Counters<typeof serverCounters>;
}

export class DataChannel {
  /** zeromq.js allows one send at a time on a socket. */
  #sends: Promise<unknown> = Promise.resolve();

  constructor(private readonly options: DataChannelOptions) {}

  /** The reply to one message. Never rejects. */
  async answer(body: readonly Buffer[]): Promise<string | Uint8Array> {
    const { counters, dataError, maxBytes, onData, runner } = this.options;
    const size = body.reduce((sum, f) => sum + f.length, 0);
    counters.add("data.received");
    counters.add("data.bytesIn", size);
    let reply: string | Uint8Array;
    try {
      const [frame] = body;
      if (frame === undefined || body.length !== 1)
        throw new TilecastError("ERR_WIRE", `data message: expected one frame, and got ${body.length}`);
      if (size > maxBytes)
        throw new TilecastError(
          "ERR_WIRE",
          `data message: expected at most ${maxBytes} bytes, and got ${size}`,
        );
      if (onData === undefined) throw new TilecastError("ERR_WIRE", "this server takes no data messages");
      reply = (await runner.run("a data message", (signal) => onData(frame, { signal, raw: frame }))) ?? "";
    } catch (thrown) {
      counters.add("data.failed");
      const error = errorOf(thrown);
      reply = dataError?.(error) ?? JSON.stringify({ status: "error", message: error.message });
    }
    counters.add("data.bytesOut", typeof reply === "string" ? Buffer.byteLength(reply) : reply.length);
    return reply;
  }

  /** Takes messages one after the other: what is not read yet waits in the socket, and then at its sender. Ends when the socket is closed. */
  async drain(socket: Pull): Promise<void> {
    try {
      for await (const body of socket) await this.answer(body);
    } catch (error) {
      if (!socket.closed) throw error;
    }
  }

  /** Never waits for a subscriber: one whose queue is full loses the message, which libzmq tells nobody. Events have numbers for that. */
  publish(socket: Publisher, message: string | Uint8Array): void {
    const { counters } = this.options;
    const size = typeof message === "string" ? Buffer.byteLength(message) : message.byteLength;
    this.#sends = this.#sends
      .then(() => socket.send(message))
      .then(
        () => {
          counters.add("data.published");
          counters.add("data.bytesOut", size);
        },
        () => counters.add("data.dropped"),
      );
  }

  /** Resolves when what was published so far is with libzmq. */
  async settled(): Promise<void> {
    await this.#sends;
  }
}
