// SPDX-License-Identifier: MIT
// A server with a control channel (typed requests, pickled) and a data channel; whatever arrives is answered, nothing of it is executed.

import type { Context, Publisher, Pull, Router } from "zeromq";
import { TilecastError } from "../errors.js";
import { version } from "../version.js";
import { ControlChannel, type Handlers, type RequestContext } from "./control-channel.js";
import { Counters, type Snapshot, serverCounters } from "./counters.js";
import { DataChannel } from "./data-channel.js";
import { type Endpoint, type EndpointOptions, ensureSocketDir, toEndpoint } from "./endpoint.js";
import { Gate } from "./gate.js";
import { type Awaitable, HandlerRunner } from "./handler-runner.js";
import type { Generation } from "./message-schema.js";
import { type Application, type Pong, type ServerRole, writeMessage } from "./messages.js";
import { thisProcess } from "./process-identity.js";
import { OwnUsage } from "./process-usage.js";
import { ReplyLoop } from "./reply-loop.js";
import { type CurveServerKeys, requireSafe } from "./security.js";
import { SocketFile } from "./socket-file.js";
import { cancelled, closeFully, keepalive, loadZmq, pause, type Zmq } from "./zmq.js";

/** `pub`: the server publishes. `rep`: each data message gets one reply. `pull`: messages come in without a reply. */
export type DataPattern = "pub" | "rep" | "pull" | "none";

export type { Handlers, RequestContext } from "./control-channel.js";

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
  /**
   * Messages that wait for, or from, one peer. Beyond it a subscriber loses what is published, and senders wait. Default 10 000 published,
   * or as replies, 100 000 collected, 1000 else.
   */
  readonly highWaterMark?: number;
  /** A handler that takes longer is answered for, with an error; default 30 s. */
  readonly handlerTimeoutMs?: number;
}

type DataSocket = Router | Publisher | Pull;

export class ZmqServer implements AsyncDisposable {
  readonly endpoint: Endpoint;
  readonly generation: Generation;
  /** What pongs say; a server that is still loading sets it later. */
  ready = true;
  readonly #options: ZmqServerOptions;
  readonly #pattern: DataPattern;
  readonly #counters = new Counters(serverCounters);
  readonly #runner: HandlerRunner;
  readonly #usage = new OwnUsage();
  readonly #files = new Map<DataSocket, SocketFile>();
  readonly #loops: ReplyLoop[] = [];
  #control: Router | undefined;
  #data: DataSocket | undefined;
  #dataChannel: DataChannel;
  #connections = 0;
  #gate: Gate | undefined;
  #startedAt = 0;
  #closing: Promise<void> | undefined;
  #markClosed: () => void = () => undefined;
  /** Resolves when the server has closed, for whatever reason. */
  readonly closed: Promise<void> = new Promise((resolve) => {
    this.#markClosed = resolve;
  });

  constructor(options: ZmqServerOptions) {
    this.#options = options;
    this.#pattern = options.data ?? "pub";
    this.endpoint = toEndpoint(options.endpoint);
    this.generation = options.generation ?? "C";
    requireSafe(this.endpoint, options.curve);
    this.#runner = new HandlerRunner(options.handlerTimeoutMs ?? 30_000);
    this.#dataChannel = new DataChannel({
      maxBytes: this.#maxDataBytes,
      onData: options.onData,
      dataError: options.dataError,
      runner: this.#runner,
      counters: this.#counters,
    });
  }

  get #maxControlBytes(): number {
    return this.#options.maxControlBytes ?? 16 * 2 ** 20;
  }
  get #maxDataBytes(): number {
    return this.#options.maxDataBytes ?? 64 * 2 ** 20;
  }

  /**
   * Binds both channels. Throws ERR_ENDPOINT, retriable, when somebody listens there; nothing of theirs is touched.
   */
  async start(options: { readonly signal?: AbortSignal } = {}): Promise<this> {
    const zmq = await loadZmq();
    const stop = () => {
      if (options.signal?.aborted) throw cancelled(options.signal, `the start of ${this.endpoint}`);
    };
    stop();
    if (this.endpoint.mode === "ipc") ensureSocketDir(this.endpoint);
    try {
      await this.#open(zmq);
      // Peers look at the data address first and ping when both are there.
      await this.#bind(this.#control as Router, this.endpoint.controlPath, this.endpoint.controlUrl);
      if (this.#data) await this.#bind(this.#data, this.endpoint.dataPath, this.endpoint.dataUrl);
      stop();
    } catch (error) {
      await this.close({ force: true });
      throw error;
    }
    this.#startedAt = Date.now();
    this.#serve();
    return this;
  }

  async #open(zmq: Zmq): Promise<void> {
    const { curve, highWaterMark } = this.#options;
    if (curve !== undefined) this.#gate = await Gate.open(curve.clients);
    const secure = {
      ...keepalive,
      ...(curve && { curveServer: true, curveSecretKey: curve.secretKey }),
      ...(this.#gate && { context: this.#gate.context as Context }),
    };
    const router = (maxBytes: number) =>
      new zmq.Router({
        ...secure,
        linger: 1000,
        // A reply that its peer does not take is an error, at once, and not dropped without a word.
        mandatory: true,
        sendTimeout: 0,
        sendHighWaterMark: highWaterMark ?? 10_000,
        receiveHighWaterMark: highWaterMark ?? 1000,
        maxMessageSize: 4 * maxBytes,
      });
    // ROUTER speaks with REQ as REP does, but a slow handler does not keep a ping waiting, and a peer that dies cannot wedge it.
    this.#control = router(this.#maxControlBytes);
    if (this.#pattern === "pub") {
      const sendHighWaterMark = highWaterMark ?? 10_000;
      this.#data = new zmq.Publisher({ ...secure, linger: 1000, sendHighWaterMark });
    } else if (this.#pattern === "rep") {
      this.#data = router(this.#maxDataBytes);
    } else if (this.#pattern === "pull") {
      const receiveHighWaterMark = highWaterMark ?? 100_000;
      const maxMessageSize = 4 * this.#maxDataBytes;
      this.#data = new zmq.Pull({ ...secure, linger: 0, receiveHighWaterMark, maxMessageSize });
    }
    this.#data?.events.on("accept", () => {
      this.#connections++;
    });
    this.#data?.events.on("disconnect", () => {
      this.#connections--;
      this.onDisconnect(this.#connections);
    });
  }

  async #bind(socket: DataSocket, path: string | undefined, url: string): Promise<void> {
    if (path !== undefined) {
      this.#files.set(socket, await SocketFile.bind(socket, path));
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

  #serve(): void {
    const control = new ControlChannel({
      maxBytes: this.#maxControlBytes,
      generation: this.generation,
      pong: () => ({ ...this.pongExtras(), ...writeMessage("pong", this.pong(), this.generation) }),
      handlers: { ...this.handlers(), ...this.#options.handlers },
      runner: this.#runner,
      counters: this.#counters,
    });
    const loop = (
      channel: "control" | "data",
      socket: Router,
      answer: (body: Buffer[]) => Promise<Uint8Array | string>,
    ) => {
      const add = (name: "held" | "undelivered") => () => this.#counters.add(`${channel}.${name}`);
      const replies = new ReplyLoop(socket, answer, add("held"), add("undelivered"));
      this.#loops.push(replies);
      void replies.run();
    };
    loop("control", this.#control as Router, (body) => control.answer(body));
    if (this.#pattern === "rep") loop("data", this.#data as Router, (body) => this.#dataChannel.answer(body));
    else if (this.#pattern === "pull") void this.#dataChannel.drain(this.#data as Pull);
  }

  /** Seconds since the start. */
  get uptime(): number {
    return this.#startedAt === 0 ? 0 : (Date.now() - this.#startedAt) / 1000;
  }

  /** Counters so far, as {@link serverCounters} explains them. */
  stats(): Snapshot<typeof serverCounters> {
    return this.#counters.snapshot();
  }

  /** Called when a peer's connection to the data channel has ended, with the number of those that are left. */
  protected onDisconnect(_connections: number): void {}

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
      ...(role === "viewer" && this.#usage.read()),
    };
  }

  /** Keys of the pong beyond those that the family has; peers ignore what they do not know. */
  protected pongExtras(): { readonly [key: string]: unknown } {
    return {};
  }

  /** The handlers of a subclass, asked for once; those of the options come before them. */
  protected handlers(): Handlers {
    const end = () => {
      // Python's clients set ZMQ_IMMEDIATE, with which libzmq drops a reply that is still unread when the connection ends.
      setTimeout(() => void this.close(), 100);
      return { status: "success", message: `${this.constructor.name} shutting down` };
    };
    return { shutdown: end, force_shutdown: end };
  }

  /** Publishes one message (pattern `pub`). Never blocks: a subscriber that is too slow loses messages, others do not. */
  publish(message: string | Uint8Array): void {
    if (this.#data === undefined || this.#pattern !== "pub")
      throw new TilecastError("ERR_INVALID_ARGUMENT", 'publish: expected a started server with data "pub"');
    if (this.#closing !== undefined) this.#counters.add("data.dropped");
    else this.#dataChannel.publish(this.#data as Publisher, message);
  }

  /**
   * Closes both channels and removes their files. Requests that are being answered get `graceMs` (default 2000) to end; `force` aborts them
   * at once. Idempotent.
   */
  close(options: { readonly force?: boolean; readonly graceMs?: number } = {}): Promise<void> {
    if (options.force) this.#runner.close();
    this.#closing ??= this.#close(options.force ? 0 : (options.graceMs ?? 2000));
    return this.#closing;
  }

  async #close(graceMs: number): Promise<void> {
    const settled = () => Promise.all([...this.#loops, this.#dataChannel].map((c) => c.settled()));
    await within(settled(), graceMs);
    this.#runner.close();
    // The errors that aborted handlers are answered with.
    await within(settled(), 200);
    await Promise.all(
      [this.#control, this.#data].map((socket) => {
        if (socket === undefined) return undefined;
        const file = this.#files.get(socket);
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

/** Waits for the work, not longer than `ms`. */
async function within(work: Promise<unknown>, ms: number): Promise<void> {
  const over = new AbortController();
  await Promise.race([work.finally(() => over.abort()), pause(ms, over.signal)]);
}
