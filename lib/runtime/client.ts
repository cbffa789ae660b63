// SPDX-License-Identifier: MIT
// A client of any server of the family: typed control requests, the data channel, ping with detection of the peer's generation.

import type { Push, Subscriber } from "zeromq";
import { TilecastError } from "../errors.js";
import { Counters, clientCounters, type Snapshot } from "./counters.js";
import { type Endpoint, type EndpointOptions, toEndpoint } from "./endpoint.js";
import { asDict, type Generation } from "./message-schema.js";
import {
  type MessageOf,
  type Pong,
  type ReplyKind,
  type RequestKind,
  readMessage,
  readPong,
  replyTo,
  writeMessage,
} from "./messages.js";
import { readPickle } from "./pickle-reader.js";
import type { PickleValue } from "./pickle-value.js";
import { writePickle } from "./pickle-writer.js";
import { Requester } from "./requester.js";
import { type CurveClientKeys, requireSafe } from "./security.js";
import { keepalive, loadZmq } from "./zmq.js";

export interface ZmqClientOptions {
  readonly endpoint: Endpoint | EndpointOptions;
  /** Which generation's keys requests have until a ping has shown the server's; default C. */
  readonly generation?: Generation;
  /** How long one attempt may take; default 5000, as upstream. */
  readonly timeoutMs?: number;
  /** Attempts after the first; default 2 for requests that may be made twice without harm, 0 for others. */
  readonly retries?: number;
  readonly curve?: CurveClientKeys;
}

export interface CallOptions {
  readonly timeoutMs?: number;
  readonly retries?: number;
  readonly signal?: AbortSignal;
}

export interface PingResult {
  readonly pong: Pong;
  readonly generation: Generation;
  readonly latencyMs: number;
  /** The pong as it came. */
  readonly raw: PickleValue;
}

/** Requests whose repetition changes nothing. A repeated `execute` would run twice. */
const repeatable: ReadonlySet<RequestKind> = new Set<RequestKind>([
  "ping",
  "status",
  "register_progress",
  "unregister_progress",
  "state",
  "payloads",
  "settle",
]);

export class ZmqClient implements AsyncDisposable {
  readonly endpoint: Endpoint;
  readonly #options: ZmqClientOptions;
  readonly #counters = new Counters(clientCounters);
  readonly #control: Requester;
  #data: Requester | undefined;
  readonly #subscribers = new Set<Subscriber>();
  #push: Push | undefined;
  /** zeromq.js allows one send at a time. */
  #pushes: Promise<unknown> = Promise.resolve();
  #generation: Generation;
  #closed = false;

  constructor(options: ZmqClientOptions) {
    this.#options = options;
    this.endpoint = toEndpoint(options.endpoint);
    requireSafe(this.endpoint, options.curve);
    this.#generation = options.generation ?? "C";
    this.#control = new Requester(this.endpoint.controlUrl, this.#counters, options.curve);
  }

  /** The server's generation after the first ping. */
  get generation(): Generation {
    return this.#generation;
  }

  /** Counters so far, as {@link clientCounters} explains them. */
  stats(): Snapshot<typeof clientCounters> {
    return this.#counters.snapshot();
  }

  /** Asks whether the server lives. Default: one attempt of 500 ms. Throws ERR_TIMEOUT, or ERR_WIRE for something that is no pong. */
  async ping(options: CallOptions = {}): Promise<PingResult> {
    const begin = performance.now();
    const raw = await this.call({ type: "ping" }, { timeoutMs: 500, retries: 0, ...options });
    const result = { ...readPong(raw), latencyMs: performance.now() - begin, raw };
    this.#generation = result.generation;
    return result;
  }

  /**
   * Makes a request and reads its reply. Throws ERR_REMOTE with the server's words when it answers with an error, ERR_TIMEOUT, ERR_WIRE or
   * ERR_CANCELLED.
   */
  async request<K extends RequestKind>(
    kind: K,
    message: MessageOf<K>,
    options: CallOptions = {},
  ): Promise<MessageOf<ReplyKind<K>>> {
    const retries = options.retries ?? this.#options.retries ?? (repeatable.has(kind) ? 2 : 0);
    const raw = await this.call(writeMessage(kind, message, this.#generation), { ...options, retries });
    const reply = asDict(raw);
    if (reply?.status === "error") {
      const words = reply.error ?? reply.message ?? "no reason given";
      throw new TilecastError("ERR_REMOTE", `${kind} on ${this.endpoint}: ${String(words)}`);
    }
    return readMessage(replyTo(kind), raw);
  }

  /** Sends any dict on the control channel and returns the decoded reply. */
  async call(message: { readonly [key: string]: unknown }, options: CallOptions = {}): Promise<PickleValue> {
    const reply = await this.#control.request(writePickle(message), {
      timeoutMs: options.timeoutMs ?? this.#options.timeoutMs ?? 5000,
      retries: options.retries ?? this.#options.retries ?? 0,
      signal: options.signal,
    });
    // A viewer's state is the largest reply there is.
    return readPickle(reply, { maxBytes: 64 * 2 ** 20 });
  }

  /** Sends one message on a data channel that replies (a viewer's), and returns the reply. Default: one attempt of 30 s, as upstream. */
  async send(message: string | Uint8Array, options: CallOptions = {}): Promise<Buffer> {
    this.#data ??= new Requester(this.endpoint.dataUrl, this.#counters, this.#options.curve);
    return this.#data.request(message, {
      timeoutMs: options.timeoutMs ?? 30_000,
      retries: options.retries ?? 0,
      signal: options.signal,
    });
  }

  /**
   * Queues one message for a data channel that collects (PULL). Resolves when it is on its way, which is not yet there; throws ERR_TIMEOUT,
   * retriable, when the server has taken nothing for `timeoutMs` (default 30 s) and the queue is full.
   */
  async push(message: string | Uint8Array, options: { readonly timeoutMs?: number } = {}): Promise<void> {
    const zmq = await loadZmq();
    if (this.#closed) throw new TilecastError("ERR_STREAM", "the client is closed");
    const timeoutMs = options.timeoutMs ?? 30_000;
    if (this.#push === undefined) {
      this.#push = new zmq.Push({ ...keepalive, ...this.#curveOptions, linger: 1000, reconnectInterval: 20 });
      this.#push.connect(this.endpoint.dataUrl);
    }
    const socket = this.#push;
    const sent = this.#pushes.then(async () => {
      socket.sendTimeout = timeoutMs;
      await socket.send(message);
    });
    this.#pushes = sent.catch(() => undefined);
    try {
      await sent;
    } catch (cause) {
      if (this.#closed) throw new TilecastError("ERR_STREAM", "the client is closed", { cause });
      throw new TilecastError(
        "ERR_TIMEOUT",
        `${this.endpoint.dataUrl} took nothing for ${timeoutMs} ms: ${(cause as Error).message}`,
        { retriable: true, cause },
      );
    }
  }

  get #curveOptions() {
    const { curve } = this.#options;
    return curve === undefined
      ? {}
      : {
          curveServerKey: curve.serverKey,
          curvePublicKey: curve.publicKey,
          curveSecretKey: curve.secretKey,
        };
  }

  /**
   * Subscribes to a data channel that publishes; iterate the result. It ends when the client is closed or the signal aborted. What is
   * published before the connection stands is missed, by ZeroMQ's nature.
   */
  async subscribe(options: { readonly signal?: AbortSignal } = {}): Promise<AsyncIterable<Buffer>> {
    const zmq = await loadZmq();
    if (this.#closed) throw new TilecastError("ERR_STREAM", "the client is closed");
    const socket = new zmq.Subscriber({
      ...keepalive,
      linger: 0,
      receiveHighWaterMark: 100_000,
      reconnectInterval: 20,
      maxMessageSize: 64 * 2 ** 20,
      ...this.#curveOptions,
    });
    this.#subscribers.add(socket);
    const close = () => {
      if (!socket.closed) socket.close();
      this.#subscribers.delete(socket);
    };
    if (options.signal?.aborted) close();
    else {
      options.signal?.addEventListener("abort", close, { once: true });
      socket.connect(this.endpoint.dataUrl);
      socket.subscribe();
    }
    return (async function* () {
      try {
        for await (const [frame] of socket) if (frame !== undefined) yield frame;
      } catch (error) {
        if (!socket.closed) throw error;
      } finally {
        options.signal?.removeEventListener("abort", close);
        close();
      }
    })();
  }

  /** Closes every socket; what waits for a reply ends with an error. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#control.close();
    this.#data?.close();
    for (const socket of this.#subscribers) if (!socket.closed) socket.close();
    if (this.#push && !this.#push.closed) this.#push.close();
    this.#subscribers.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
