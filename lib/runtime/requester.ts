// SPDX-License-Identifier: MIT
// One request, one reply, over REQ sockets that can never be wedged: a socket that failed is thrown away.

import type { Request } from "zeromq";
import { TilecastError } from "../errors.js";
import type { Counters, clientCounters } from "./counters.js";
import type { CurveClientKeys } from "./security.js";
import { cancelled, keepalive, loadZmq, type Zmq } from "./zmq.js";

export interface RequestOptions {
  /** How long one attempt may take, connecting included. */
  readonly timeoutMs: number;
  /** Attempts after the first, each on a new socket. */
  readonly retries: number;
  readonly signal?: AbortSignal | undefined;
}

/** A peer's reply is bounded too. */
const maxReplyBytes = 256 * 2 ** 20;
/** Sockets that are kept for later; more are in use only while as many requests run at once. */
const maxIdle = 8;

export class Requester {
  /** Connected sockets that wait for nothing: a kept one answers in a quarter of a new one's time. */
  readonly #idle: Request[] = [];
  readonly #busy = new Set<Request>();
  #closed = false;

  constructor(
    readonly url: string,
    private readonly counters: Counters<typeof clientCounters>,
    private readonly curve?: CurveClientKeys,
  ) {}

  #open(zmq: Zmq): Request {
    this.counters.add("sockets");
    const socket = new zmq.Request({
      ...keepalive,
      linger: 0,
      // Not `immediate`: libzmq then drops a reply that came just before the connection ended, which is how a shutdown is acknowledged.
      reconnectInterval: 20,
      maxMessageSize: maxReplyBytes,
      ...(this.curve && {
        curveServerKey: this.curve.serverKey,
        curvePublicKey: this.curve.publicKey,
        curveSecretKey: this.curve.secretKey,
      }),
    });
    socket.connect(this.url);
    return socket;
  }

  /** Throws ERR_TIMEOUT, retriable, when no attempt is answered; ERR_CANCELLED through the signal. */
  async request(message: Uint8Array | string, options: RequestOptions): Promise<Buffer> {
    const zmq = await loadZmq();
    const { signal, timeoutMs, retries } = options;
    this.counters.add("requests");
    for (let attempt = 0; ; attempt++) {
      if (signal?.aborted) throw cancelled(signal, `a request to ${this.url}`);
      if (this.#closed) throw new TilecastError("ERR_STREAM", "the client is closed");
      if (attempt) this.counters.add("retries");
      // A kept socket may be one whose server has gone: only the first attempt takes it.
      const socket = (attempt === 0 ? this.#idle.pop() : undefined) ?? this.#open(zmq);
      const reply = await this.#attempt(socket, message, timeoutMs, signal);
      if (reply !== undefined) return reply;
      if (signal?.aborted) throw cancelled(signal, `a request to ${this.url}`);
      if (this.#closed) throw new TilecastError("ERR_STREAM", "the client is closed");
      this.counters.add("timeouts");
      if (attempt >= retries) {
        throw new TilecastError(
          "ERR_TIMEOUT",
          `no answer from ${this.url} within ${timeoutMs} ms${retries ? ` in ${retries + 1} attempts` : ""}`,
          { retriable: true },
        );
      }
    }
  }

  /** `undefined` when there was no reply; the socket is closed then. */
  #attempt(
    socket: Request,
    message: Uint8Array | string,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Buffer | undefined> {
    this.#busy.add(socket);
    // By hand: AbortSignal.any and a race cost as much as the exchange itself.
    return new Promise((resolve) => {
      const end = (reply?: Buffer) => {
        // A reply that comes after the time is up comes to a closed socket.
        if (!this.#busy.delete(socket)) return;
        clearTimeout(timer);
        signal?.removeEventListener("abort", giveUp);
        const isKept = reply !== undefined && !this.#closed && this.#idle.length < maxIdle;
        if (isKept) this.#idle.push(socket);
        else if (!socket.closed) socket.close();
        if (reply !== undefined) {
          this.counters.add("replies");
          this.counters.add("bytesIn", reply.length);
        }
        resolve(reply);
      };
      const giveUp = () => end();
      const timer = setTimeout(giveUp, timeoutMs);
      signal?.addEventListener("abort", giveUp);
      // Rejected when the socket is closed meanwhile, or libzmq refuses: no reply either way.
      socket
        .send(message)
        .then(() => {
          this.counters.add("bytesOut", message.length);
          return socket.receive();
        })
        .then(([reply]) => end(reply), giveUp);
    });
  }

  close(): void {
    this.#closed = true;
    for (const socket of [...this.#idle, ...this.#busy]) if (!socket.closed) socket.close();
    this.#idle.length = 0;
  }
}
