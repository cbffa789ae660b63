// SPDX-License-Identifier: MIT
// A server with a control channel (typed requests, pickled) and a data channel; whatever arrives is answered, nothing of it is executed.

import type { Context, Publisher, Pull, Router } from "zeromq";
import { TilecastError } from "../errors.js";
import { version } from "../version.js";
import { Counters, type Snapshot, serverCounters } from "./counters.js";
import { type Endpoint, type EndpointOptions, ensureSocketDir, toEndpoint } from "./endpoint.js";
import { Gate } from "./gate.js";
import type { Generation } from "./message-schema.js";
import {
  type Application,
  type MessageKind,
  type MessageOf,
  messageKinds,
  type Pong,
  type ReplyKind,
  type RequestKind,
  readMessage,
  replyTo,
  requestKind,
  type ServerRole,
  writeMessage,
} from "./messages.js";
import { readPickle } from "./pickle-reader.js";
import { writePickle } from "./pickle-writer.js";
import { thisProcess } from "./process-identity.js";
import { type CurveServerKeys, requireSafe } from "./security.js";
import { SocketFile } from "./socket-file.js";
import { cancelled, closeFully, heartbeat, loadZmq, pause } from "./zmq.js";

/** What a handler gets besides its message. */
export interface RequestContext {
  /** Aborted when the server is closed by force, or the handler's time is up. */
  readonly signal: AbortSignal;
  /** The message as it came, with what its schema does not name. */
  readonly raw: unknown;
}

type Awaitable<T> = T | Promise<T>;
/** One handler a request; what it throws is answered as an error. A viewer control may be answered with any fields. */
export type Handlers = {
  readonly [K in Exclude<RequestKind, "ping">]?: (
    message: MessageOf<K>,
    context: RequestContext,
  ) => Awaitable<MessageOf<ReplyKind<K>> | { readonly [key: string]: unknown }>;
};

/** `pub`: the server publishes. `rep`: each data message gets one reply. `pull`: messages come in without a reply. */
export type DataPattern = "pub" | "rep" | "pull" | "none";

export interface ZmqServerOptions {
  readonly endpoint: Endpoint | EndpointOptions;
  readonly data?: DataPattern;
  /** What the pong says. */
  readonly role?: ServerRole;
  /** Class name in the pong; default the class's own. */
  readonly name?: string;
  /** `execution`, `napari`, `fiji`; absent for others. */
  readonly serverType?: string;
  /** `null` sends none: OpenHCS's clients of generations C and D cannot read each other's. */
  readonly application?: Application | null;
  /** Which generation's keys are written; default C. Requests of every generation are read. */
  readonly generation?: Generation;
  readonly logFilePath?: string;
  /**
   * Generation D: where the server's code is, who started it and whom it is for. Its clients connect only to a server on their host that
   * reports their own code's folder.
   */
  readonly launch?: Pong["launch"];
  readonly handlers?: Handlers;
  /** Handles a data message; its result is the reply where the pattern has one. */
  readonly onData?: (message: Buffer, context: RequestContext) => Awaitable<string | Uint8Array | undefined>;
  /** Writes the reply to a data message that was refused; default JSON `{"status": "error", "message"}`. */
  readonly dataError?: (error: Error) => string | Uint8Array;
  /** TCP beyond loopback only with these. */
  readonly curve?: CurveServerKeys;
  /** Larger messages are answered with an error; four times as large ones end the connection. Default 16 MiB control, 64 MiB data. */
  readonly maxControlBytes?: number;
  readonly maxDataBytes?: number;
  /** Messages that wait for one peer before new ones are dropped for it; default 10 000 published, 1000 else. */
  readonly highWaterMark?: number;
  /** A handler that takes longer is answered for, with an error; default 30 s. */
  readonly handlerTimeoutMs?: number;
}

const errorOf = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)));

export class ZmqServer implements AsyncDisposable {
  readonly endpoint: Endpoint;
  readonly generation: Generation;
  /** What pongs say; a server that is still loading sets it later. */
  ready = true;
  readonly #options: ZmqServerOptions;
  readonly #counters = new Counters(serverCounters);
  readonly #abort = new AbortController();
  readonly #inFlight = new Set<Promise<void>>();
  readonly #files: [SocketFile, Router | Publisher | Pull][] = [];
  #control: Router | undefined;
  #data: Router | Publisher | Pull | undefined;
  #gate: Gate | undefined;
  /** zeromq.js allows one send at a time on a socket. */
  #controlSends: Promise<unknown> = Promise.resolve();
  #dataSends: Promise<unknown> = Promise.resolve();
  #startedAt = 0;
  #closing: Promise<void> | undefined;
  #markClosed: () => void = () => undefined;
  /** Resolves when the server has closed, for whatever reason. */
  readonly closed: Promise<void> = new Promise((resolve) => {
    this.#markClosed = resolve;
  });

  constructor(options: ZmqServerOptions) {
    this.#options = options;
    this.endpoint = toEndpoint(options.endpoint);
    this.generation = options.generation ?? "C";
    requireSafe(this.endpoint, options.curve);
  }

  /**
   * Binds both channels. Throws ERR_ENDPOINT, retriable, when somebody listens there; nothing of theirs is touched.
   */
  async start(options: { readonly signal?: AbortSignal } = {}): Promise<this> {
    const { curve, highWaterMark } = this.#options;
    const zmq = await loadZmq();
    const stop = () => {
      if (options.signal?.aborted) throw cancelled(options.signal, `the start of ${this.endpoint}`);
    };
    stop();
    if (this.endpoint.mode === "ipc") ensureSocketDir(this.endpoint);
    const pattern = this.#options.data ?? "pub";
    const { maxControlBytes, maxDataBytes } = this.#limits;
    try {
      if (curve !== undefined) this.#gate = await Gate.open(curve.clients);
      const secure = {
        ...heartbeat,
        ...(curve && { curveServer: true, curveSecretKey: curve.secretKey }),
        ...(this.#gate && { context: this.#gate.context as Context }),
      };
      const router = {
        ...secure,
        linger: 1000,
        sendHighWaterMark: highWaterMark ?? 1000,
        receiveHighWaterMark: highWaterMark ?? 1000,
      };
      // ROUTER speaks with REQ as REP does, but a slow handler does not keep a ping waiting, and a peer that dies cannot wedge it.
      this.#control = new zmq.Router({ ...router, maxMessageSize: 4 * maxControlBytes });
      if (pattern === "pub") {
        this.#data = new zmq.Publisher({
          ...secure,
          linger: 1000,
          sendHighWaterMark: highWaterMark ?? 10_000,
        });
      } else if (pattern === "rep") {
        this.#data = new zmq.Router({ ...router, maxMessageSize: 4 * maxDataBytes });
      } else if (pattern === "pull") {
        const receiveHighWaterMark = highWaterMark ?? 100_000;
        this.#data = new zmq.Pull({
          ...secure,
          linger: 0,
          receiveHighWaterMark,
          maxMessageSize: 4 * maxDataBytes,
        });
      }
      // Peers look at the data address first and ping when both are there.
      await this.#bind(this.#control, this.endpoint.controlPath, this.endpoint.controlUrl);
      if (this.#data) await this.#bind(this.#data, this.endpoint.dataPath, this.endpoint.dataUrl);
      stop();
    } catch (error) {
      await this.close({ force: true });
      throw error;
    }
    this.#startedAt = Date.now();
    void this.#serveControl(this.#control);
    if (pattern === "rep") void this.#serveData(this.#data as Router);
    else if (pattern === "pull") void this.#drain(this.#data as Pull);
    return this;
  }

  get #limits() {
    return {
      maxControlBytes: this.#options.maxControlBytes ?? 16 * 2 ** 20,
      maxDataBytes: this.#options.maxDataBytes ?? 64 * 2 ** 20,
    };
  }

  async #bind(socket: Router | Publisher | Pull, path: string | undefined, url: string): Promise<void> {
    if (path !== undefined) {
      this.#files.push([await SocketFile.bind(socket, path), socket]);
      return;
    }
    try {
      await socket.bind(url);
    } catch (cause) {
      throw new TilecastError(
        "ERR_ENDPOINT",
        `cannot listen on ${url}: ${(cause as Error).message}; another program has the port, or the address is not of this host`,
        { retriable: true, cause },
      );
    }
  }

  /** Seconds since the start. */
  get uptime(): number {
    return this.#startedAt === 0 ? 0 : (Date.now() - this.#startedAt) / 1000;
  }

  /** Counters so far, as {@link serverCounters} explains them. */
  stats(): Snapshot<typeof serverCounters> {
    return this.#counters.snapshot();
  }

  /** Fields of the pong; a subclass adds its own. */
  protected pong(): Pong {
    const { name, serverType, role, application, logFilePath, launch } = this.#options;
    const identity = thisProcess();
    return {
      port: this.endpoint.port,
      control_port: this.endpoint.controlPort,
      ready: this.ready,
      server: name ?? this.constructor.name,
      server_type: serverType,
      server_role: role ?? "generic",
      control_capabilities: ["force_shutdown", "ping", "shutdown"],
      application:
        application === null
          ? undefined
          : (application ?? { application_id: "tilecast", application_version: version }),
      log_file_path: logFilePath,
      launch,
      ...(identity && { process_identity: identity }),
      ...(role === "viewer" && { memory_mb: process.memoryUsage.rss() / 2 ** 20, cpu_percent: 0 }),
    };
  }

  /** The handlers of a subclass; those of the options come before them. */
  protected handlers(): Handlers {
    const end = () => {
      // Python's clients set ZMQ_IMMEDIATE, with which libzmq drops a reply that is still unread when the connection ends.
      setTimeout(() => void this.close(), 100);
      return { status: "success", message: `${this.constructor.name} shutting down` };
    };
    return { shutdown: end, force_shutdown: end };
  }

  async #serveControl(socket: Router): Promise<void> {
    try {
      for await (const [identity, delimiter, ...body] of socket) {
        if (identity === undefined || delimiter === undefined || delimiter.length > 0) continue;
        this.#track(this.#answer(socket, identity, body));
      }
    } catch (error) {
      if (!socket.closed) throw error;
    }
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#inFlight.delete(tracked));
    this.#inFlight.add(tracked);
  }

  async #answer(socket: Router, identity: Buffer, body: Buffer[]): Promise<void> {
    this.#counters.add("control.requests");
    let reply: Buffer;
    try {
      reply = writePickle(await this.#controlReply(body));
    } catch (error) {
      this.#counters.add("control.failed");
      reply = writePickle(writeMessage("control_error", { type: "error", message: errorOf(error).message }));
    }
    this.#counters.add("control.bytesOut", reply.length);
    this.#controlSends = this.#controlSends
      .then(() => socket.send([identity, "", reply]))
      // The peer is gone, or the server closed.
      .catch(() => undefined);
    await this.#controlSends;
  }

  async #controlReply(body: Buffer[]): Promise<{ [key: string]: unknown }> {
    const refuse = (counter: "control.malformed" | "control.oversized", message: string) => {
      this.#counters.add(counter);
      return writeMessage("control_error", { type: "error", message });
    };
    const [frame] = body;
    const size = body.reduce((sum, f) => sum + f.length, 0);
    this.#counters.add("control.bytesIn", size);
    if (frame === undefined || body.length !== 1)
      return refuse("control.malformed", `control message: expected one frame, and got ${body.length}`);
    if (size > this.#limits.maxControlBytes) {
      const limit = this.#limits.maxControlBytes;
      return refuse("control.oversized", `control message: expected at most ${limit} bytes, and got ${size}`);
    }
    let raw: unknown;
    let type: string;
    let kind: RequestKind | undefined;
    let message: MessageOf<MessageKind>;
    try {
      raw = readPickle(frame, { maxBytes: this.#limits.maxControlBytes });
      ({ type, kind } = requestKind(raw));
      message = kind === undefined ? ({} as MessageOf<MessageKind>) : readMessage(kind, raw);
    } catch (error) {
      return refuse("control.malformed", errorOf(error).message);
    }
    if (kind === "ping") return writeMessage("pong", this.pong(), this.generation);
    const handler = kind === undefined ? undefined : { ...this.handlers(), ...this.#options.handlers }[kind];
    if (kind === undefined || handler === undefined) {
      this.#counters.add("control.unknown");
      return {
        status: "error",
        type: "error",
        error: `Unknown message type: ${type}`,
        message: `Unknown message type: ${type}`,
      };
    }
    const call = handler as (m: unknown, c: RequestContext) => Awaitable<{ readonly [key: string]: unknown }>;
    const reply = await this.#within(type, (signal) => call(message, { signal, raw }));
    const replyKind = replyTo(kind);
    // A viewer's replies have fields of their own.
    return replyKind === "viewer_reply"
      ? { ...reply }
      : { ...this.#tag(replyKind), ...this.#writeReply(replyKind, reply) };
  }

  #tag(kind: MessageKind): { [key: string]: string } {
    const spec = messageKinds[kind] as { readonly tag?: readonly [string, string] };
    return spec.tag ? { [spec.tag[0]]: spec.tag[1] } : {};
  }

  #writeReply(kind: MessageKind, reply: { readonly [key: string]: unknown }): { [key: string]: unknown } {
    // An error is written as it is: what a kind requires of a success is not there.
    if (reply.status === "error") return { ...reply };
    return writeMessage(kind, reply as MessageOf<typeof kind>, this.generation);
  }

  async #within<T>(what: string, work: (signal: AbortSignal) => Awaitable<T>): Promise<T> {
    const timeoutMs = this.#options.handlerTimeoutMs ?? 30_000;
    const over = new AbortController();
    const signal = AbortSignal.any([this.#abort.signal, over.signal]);
    let timer: NodeJS.Timeout | undefined;
    const stopped = new Promise<never>((_, reject) => {
      const fail = (message: string) =>
        reject(new TilecastError("ERR_TIMEOUT", message, { retriable: true }));
      timer = setTimeout(() => {
        fail(`${what} took longer than ${timeoutMs} ms`);
        over.abort();
      }, timeoutMs);
      this.#abort.signal.addEventListener("abort", () => fail(`the server closed during ${what}`), {
        once: true,
        signal: over.signal,
      });
    });
    try {
      return await Promise.race([(async () => work(signal))(), stopped]);
    } finally {
      clearTimeout(timer);
      over.abort();
    }
  }

  async #serveData(socket: Router): Promise<void> {
    try {
      for await (const [identity, delimiter, ...body] of socket) {
        if (identity === undefined || delimiter === undefined || delimiter.length > 0) continue;
        this.#track(
          this.#handleData(body).then(async (reply) => {
            this.#counters.add("data.bytesOut", reply.length);
            this.#dataSends = this.#dataSends
              .then(() => socket.send([identity, "", reply]))
              .catch(() => undefined);
            await this.#dataSends;
          }),
        );
      }
    } catch (error) {
      if (!socket.closed) throw error;
    }
  }

  async #drain(socket: Pull): Promise<void> {
    try {
      // One after the other: what is not read yet waits in the socket, and then at the sender.
      for await (const body of socket) await this.#handleData(body);
    } catch (error) {
      if (!socket.closed) throw error;
    }
  }

  async #handleData(body: Buffer[]): Promise<string | Uint8Array> {
    const { onData, dataError } = this.#options;
    const size = body.reduce((sum, f) => sum + f.length, 0);
    this.#counters.add("data.received");
    this.#counters.add("data.bytesIn", size);
    try {
      const [frame] = body;
      if (frame === undefined || body.length !== 1)
        throw new TilecastError("ERR_WIRE", `data message: expected one frame, and got ${body.length}`);
      const limit = this.#limits.maxDataBytes;
      if (size > limit)
        throw new TilecastError("ERR_WIRE", `data message: expected at most ${limit} bytes, and got ${size}`);
      if (onData === undefined) throw new TilecastError("ERR_WIRE", "this server takes no data messages");
      return (await this.#within("a data message", (signal) => onData(frame, { signal, raw: frame }))) ?? "";
    } catch (thrown) {
      this.#counters.add("data.failed");
      const error = errorOf(thrown);
      return dataError?.(error) ?? JSON.stringify({ status: "error", message: error.message });
    }
  }

  /** Publishes one message (pattern `pub`). Never blocks: a subscriber that is too slow loses messages, others do not. */
  publish(message: string | Uint8Array): void {
    const socket = this.#data;
    if (socket === undefined || !("send" in socket) || (this.#options.data ?? "pub") !== "pub")
      throw new TilecastError("ERR_INVALID_ARGUMENT", 'publish: expected a server with data "pub"');
    if (this.#closing !== undefined) {
      this.#counters.add("data.dropped");
      return;
    }
    const size = typeof message === "string" ? Buffer.byteLength(message) : message.byteLength;
    this.#dataSends = this.#dataSends
      .then(() => (socket as Publisher).send(message))
      .then(
        () => {
          this.#counters.add("data.published");
          this.#counters.add("data.bytesOut", size);
        },
        () => this.#counters.add("data.dropped"),
      );
  }

  /**
   * Closes both channels and removes their files. Requests that are being answered get `graceMs` (default 2000) to end; `force` aborts them
   * at once. Idempotent.
   */
  close(options: { readonly force?: boolean; readonly graceMs?: number } = {}): Promise<void> {
    if (options.force) this.#abort.abort();
    this.#closing ??= this.#close(options.force ? 0 : (options.graceMs ?? 2000));
    return this.#closing;
  }

  async #close(graceMs: number): Promise<void> {
    const ended = new AbortController();
    const done = async () => {
      await Promise.allSettled([...this.#inFlight]);
      await this.#dataSends;
      ended.abort();
    };
    await Promise.race([done(), pause(graceMs, ended.signal)]);
    this.#abort.abort();
    // The errors that aborted handlers are answered with.
    await Promise.race([Promise.allSettled([...this.#inFlight]), pause(200)]);
    await Promise.all(
      [this.#control, this.#data].map((socket) => {
        const file = this.#files.find(([, s]) => s === socket)?.[0];
        if (socket === undefined) return undefined;
        return file === undefined ? closeFully(socket) : file.release(() => closeFully(socket));
      }),
    );
    this.#gate?.close();
    this.#markClosed();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
