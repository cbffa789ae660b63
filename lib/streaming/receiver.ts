// SPDX-License-Identifier: MIT
// The viewer's side of the wire: a server that takes batches and answers controls. A real receiver says what it does with the items.

import type { Push } from "zeromq";
import { TilecastError } from "../errors.js";
import type { Handlers, RequestContext } from "../runtime/control-channel.js";
import type { Endpoint, EndpointOptions } from "../runtime/endpoint.js";
import { parseJson, stringifyJson } from "../runtime/json.js";
import type { Pong } from "../runtime/messages.js";
import { ZmqServer } from "../runtime/server.js";
import { loadZmq } from "../runtime/zmq.js";
import { version } from "../version.js";
import type { ViewerType } from "./display.js";
import { handsOver, type ReceivedBatch, type ReceivedItem, readBatch } from "./wire-reader.js";

/** What a receiver did with one item. */
export interface ItemResult {
  /** Its shared memory belongs to the receiver now; it has removed the name. Only of items that {@link handsOver} allows it for. */
  readonly kept?: boolean;
  /** Why it could not be taken. */
  readonly refused?: string;
}

export interface ViewerServerOptions {
  readonly endpoint: Endpoint | EndpointOptions;
  readonly viewer: ViewerType;
  /** Class name in the pong. */
  readonly name?: string;
  /** Answers as OpenHCS's viewers do, without tilecast's keys. */
  readonly flavour?: "tilecast" | "openhcs";
  /** Controls beyond `clear_state`, `settle` and the end. */
  readonly handlers?: Handlers;
  readonly logFilePath?: string;
}

/** What `tilecast` in the pong says. */
export interface ReceiverReport {
  readonly keeps: boolean;
  readonly stores: boolean;
  readonly kinds: readonly string[];
  readonly memory_budget: number;
  readonly memory_used: number;
  readonly planes: number;
  readonly resident: number;
  readonly shown: number;
  /** Updates that it has taken and not drawn yet. */
  readonly queued?: number;
  readonly dropped: number;
}

/** Senders that are acknowledged to at once. Each has an address of its own, and leaves without a word. */
const maxRoutes = 16;

/** A viewer's two channels. Subclasses say what becomes of each item, and acknowledge it when it is on screen. */
export abstract class ViewerServer extends ZmqServer {
  readonly viewer: ViewerType;
  readonly #flavour: "tilecast" | "openhcs";
  /** The one that was used last comes last. */
  readonly #routes = new Map<string, { readonly socket: Push; sent: Promise<unknown> }>();
  readonly #ackFallback: string;
  #acksDropped = 0;

  constructor(options: ViewerServerOptions) {
    super({
      endpoint: options.endpoint,
      data: "rep",
      role: "viewer",
      serverType: options.viewer,
      // OpenHCS's clients refuse a viewer of another application version than their own.
      application: null,
      ...(options.name !== undefined && { name: options.name }),
      ...(options.handlers && { handlers: options.handlers }),
      ...(options.logFilePath !== undefined && { logFilePath: options.logFilePath }),
      onData: (message, context) => this.#onData(message, context),
      dataError: (error) => stringifyJson({ status: "error", type: "batch", message: error.message }),
    });
    this.viewer = options.viewer;
    this.#flavour = options.flavour ?? "tilecast";
    const { config, mode, socketDir } = this.endpoint;
    this.#ackFallback =
      mode === "ipc"
        ? `ipc://${socketDir}/${config.ipcSocketPrefix}-${config.sharedAckPort}${config.ipcSocketExtension}`
        : `tcp://127.0.0.1:${config.sharedAckPort}`;
  }

  /** Takes the items of a batch, damaged ones left out; one result an item. It must be done with the pixels, or own them, when it resolves. */
  protected abstract take(batch: ReceivedBatch, context: RequestContext): Promise<readonly ItemResult[]>;

  protected abstract report(): ReceiverReport;

  /** Acknowledgements that could not be sent without waiting. */
  get acksDropped(): number {
    return this.#acksDropped;
  }

  protected override pong(): Pong {
    const own = this.#flavour === "tilecast" && { tilecast: { protocol: 1, version, ...this.report() } };
    return { ...super.pong(), ...own };
  }

  async #onData(message: Buffer, context: RequestContext): Promise<string> {
    const batch = readBatch(parseJson(message));
    const whole = batch.images.filter((item) => item.damage === undefined);
    const taken = [...(await this.take({ ...batch, images: whole }, context))];
    if (taken.length !== whole.length)
      throw new TilecastError("ERR_INTERNAL", `${whole.length} items and ${taken.length} results`);
    const results = batch.images.map(
      ({ damage }): ItemResult =>
        damage === undefined ? (taken.shift() as ItemResult) : { refused: damage },
    );
    const kept = batch.images.filter((_, i) => results[i]?.kept).map((item) => item.shm_name);
    const refused = results.flatMap(({ refused: why }, index) =>
      why === undefined ? [] : [{ index, message: why }],
    );
    const isOurs = this.#flavour === "tilecast" && batch.images.some((item) => handsOver(item, batch));
    // OpenHCS's senders read the status alone.
    if (!isOurs && refused.length > 0) {
      const message = refused.map((each) => each.message).join("; ");
      return stringifyJson({ status: "error", type: "batch", message });
    }
    return stringifyJson({
      status: "success",
      type: "batch",
      ...(kept.length > 0 && { kept }),
      ...(refused.length > 0 && { refused }),
    });
  }

  /** Tells the sender that an item is on screen, or why not. Never waits: what cannot be sent at once is dropped and counted. */
  protected acknowledge(item: ReceivedItem, error: string | null = null): void {
    if (item.image_id === undefined) return;
    const { return_route, producer } = item;
    void this.#push(
      return_route?.url ?? this.#ackFallback,
      stringifyJson({
        type: "image_ack",
        image_id: item.image_id,
        viewer_port: this.endpoint.port,
        viewer_type: this.viewer,
        status: error === null ? "success" : "error",
        timestamp: Date.now() / 1000,
        error,
        ...(return_route && { return_route }),
        ...(producer && { producer }),
      }),
    );
  }

  async #push(url: string, text: string): Promise<void> {
    // A message must not make this process connect to other hosts.
    if (!/^(ipc:\/\/\/|tcp:\/\/(127\.\d+\.\d+\.\d+|localhost|\[::1\]):)/.test(url)) {
      this.#acksDropped++;
      return;
    }
    const zmq = await loadZmq();
    let route = this.#routes.get(url);
    this.#routes.delete(url);
    if (route === undefined) {
      for (const [old, { socket }] of this.#routes) {
        if (this.#routes.size < maxRoutes) break;
        socket.close();
        this.#routes.delete(old);
      }
      const socket = new zmq.Push({
        linger: 0,
        sendTimeout: 0,
        sendHighWaterMark: 100_000,
        reconnectInterval: 20,
      });
      socket.connect(url);
      route = { socket, sent: Promise.resolve() };
    }
    this.#routes.set(url, route);
    const { socket } = route;
    // zeromq.js allows one send at a time.
    route.sent = route.sent
      .then(() => socket.send(text))
      .catch(() => {
        this.#acksDropped++;
      });
  }

  protected override handlers(): Handlers {
    return {
      ...super.handlers(),
      clear_state: () => ({ status: "success", type: "clear_state_ack", message: "Forgotten" }),
      settle: () => ({
        status: "success",
        type: "settle_ack",
        settle_phase: "complete",
        completed_update_count: 0,
        total_update_count: 0,
      }),
    };
  }

  override async close(options: { readonly force?: boolean; readonly graceMs?: number } = {}): Promise<void> {
    await super.close(options);
    for (const { socket, sent } of this.#routes.values()) {
      await sent;
      if (!socket.closed) socket.close();
    }
    this.#routes.clear();
  }
}

export interface NullReceiverOptions extends Omit<ViewerServerOptions, "viewer"> {
  readonly viewer?: ViewerType;
  /** Called with each batch, before it is answered; what it throws refuses the batch. */
  readonly onBatch?: (batch: ReceivedBatch) => void | Promise<void>;
  /** Whether items are acknowledged; default true. */
  readonly acknowledges?: boolean;
}

/** Takes everything, shows nothing: what a sender can be measured and tested with. */
export class NullReceiver extends ViewerServer {
  readonly #options: NullReceiverOptions;
  #items = 0;

  constructor(options: NullReceiverOptions) {
    super({ viewer: "napari", name: "NullReceiver", ...options });
    this.#options = options;
  }

  /** Items so far. */
  get items(): number {
    return this.#items;
  }

  protected override async take(batch: ReceivedBatch): Promise<readonly ItemResult[]> {
    await this.#options.onBatch?.(batch);
    this.#items += batch.images.length;
    if (this.#options.acknowledges !== false) for (const item of batch.images) this.acknowledge(item);
    return batch.images.map(() => ({}));
  }

  protected override report(): ReceiverReport {
    return {
      keeps: false,
      stores: true,
      kinds: ["image", "labels", "shapes", "points", "tracks", "table"],
      memory_budget: 0,
      memory_used: 0,
      planes: this.#items,
      resident: 0,
      shown: this.#items,
      queued: 0,
      dropped: 0,
    };
  }
}
