// SPDX-License-Identifier: MIT
// Sends payloads to one viewer: takes them at once, sends them in batches as fast as the viewer takes those, and never holds its user up.

import { isTilecastError } from "../errors.js";
import { ZmqClient } from "../runtime/client.js";
import { type Endpoint, type EndpointOptions, toEndpoint } from "../runtime/endpoint.js";
import { cancelled } from "../runtime/zmq.js";
import { AckListener } from "./ack-listener.js";
import { AckTracker, type ImageAck } from "./ack-tracker.js";
import { BatchSender, type FoundViewer, viewerOf } from "./batch-sender.js";
import type { ValueDomain, ValueNames } from "./component-values.js";
import type { DisplayOptions, ViewerType } from "./display.js";
import type {
  ComponentValues,
  PointsPayload,
  StoredPlane,
  StreamPayload,
  StreamShape,
  TablePayload,
  TracksPayload,
} from "./payload.js";
import { PixelFeed, type PlanePixels } from "./pixel-feed.js";
import { releasePixels } from "./send-queue.js";
import type { DrainOptions, RunDescription, RunSink, SinkWants } from "./sink.js";
import type { StreamState, StreamStats } from "./stream-counters.js";
import { ViewerControls } from "./viewer-controls.js";
import { BatchEncoder, type Flavour } from "./wire-batch.js";

export interface ViewerStreamOptions {
  readonly endpoint: Endpoint | EndpointOptions;
  /** Default: as the viewer's pong says. */
  readonly flavour?: Flavour;
  readonly display?: DisplayOptions;
  /** Values and names of the plate's components, where they are known beforehand. */
  readonly values?: ValueDomain;
  readonly names?: ValueNames;
  /** For reports; default e.g. `napari on port 5555`. */
  readonly name?: string;
  /** What it wants of a run. */
  readonly wants?: SinkWants;
  /** Slots that the stream may hold on loan at once, the batch under way included; default 16, or what a run allows its sinks. */
  readonly slots?: number;
  /** Items of one batch at most; default 64, and never more than half of the slots. */
  readonly maxBatch?: number;
  /** How long a viewer may take for a batch before it counts as stalled; default 30 s, as upstream. */
  readonly replyTimeoutMs?: number;
  /** Ask for acknowledgements, which is how "shown" is known; default true. */
  readonly acknowledge?: boolean;
  /** Look for the viewer again when it has gone, for as long as the stream is open; default false. */
  readonly reconnect?: boolean;
}

/** Where something that is sent without a run belongs. */
export interface SendOptions {
  /** Name of the layer or window; what has the same name shares one. Default `images`. */
  readonly name?: string;
  /** Default: the first of each, well A01. */
  readonly components?: Partial<ComponentValues>;
  /** Micrometres a pixel, [y, x]. */
  readonly pixelSize?: readonly [number, number];
  /** Where the same plane can be read again. */
  readonly store?: StoredPlane;
  readonly signal?: AbortSignal;
}

function commonOf({ name = "images", components, pixelSize }: SendOptions) {
  return {
    components: { site: 1, channel: 1, z_index: 1, timepoint: 1, well: "A01", ...components },
    producer: { stepName: null, position: null, kind: "manual", output: name },
    ...(pixelSize && { pixelSize }),
  } as const;
}

/** A viewer that takes nothing for so long while its stream closes is not waited for. */
const quietMs = 2000;
const now = (): number => performance.now();
let streams = 0;

/** A sink of a run, and usable without one: `send` payloads, `drain`, `close`. */
export class ViewerStream implements RunSink, AsyncDisposable {
  readonly name: string;
  readonly wants?: SinkWants;
  readonly endpoint: Endpoint;
  readonly flavour: Flavour;
  readonly viewer: ViewerType;
  /** Clear, settle, state, screenshot, macros, ... */
  readonly controls: ViewerControls;
  readonly client: ZmqClient;
  readonly #options: ViewerStreamOptions;
  readonly #id: string;
  readonly #encoder: BatchEncoder;
  readonly #sender: BatchSender;
  readonly #acks: AckTracker;
  readonly #listener: AckListener | undefined;
  readonly #ackUser: (ack: ImageAck) => void;
  #feed: PixelFeed | undefined;
  #closing: Promise<void> | undefined;

  /**
   * Pings the viewer and makes ready to send. Throws ERR_TIMEOUT where nobody answers, ERR_INSTANCE where no viewer does, ERR_CANCELLED.
   */
  static async connect(
    options: ViewerStreamOptions & { readonly signal?: AbortSignal; readonly timeoutMs?: number },
  ): Promise<ViewerStream> {
    const { signal, timeoutMs = 5000 } = options;
    if (signal?.aborted) throw cancelled(signal, "connecting to a viewer");
    const endpoint = toEndpoint(options.endpoint);
    const client = new ZmqClient({ endpoint });
    let listener: AckListener | undefined;
    // The stream comes after its listener.
    const target: { onAck(ack: ImageAck): void } = { onAck: () => undefined };
    const onAck = (ack: ImageAck) => target.onAck(ack);
    try {
      const { pong } = await client.ping({ timeoutMs, ...(signal && { signal }) });
      const found = viewerOf(pong, endpoint);
      const flavour = options.flavour ?? found.flavour;
      let why = "";
      if (options.acknowledge !== false) {
        try {
          listener = await AckListener.open(endpoint, flavour === "openhcs" ? "shared" : "own", onAck);
        } catch (error) {
          if (!isTilecastError(error, "ERR_ENDPOINT")) throw error;
          why = `another process receives this viewer's acknowledgements: what is shown is not known here (${error.message})`;
        }
      }
      const stream = new ViewerStream(
        { ...options, endpoint },
        client,
        { ...found, flavour },
        listener,
        onAck,
      );
      stream.#sender.lastError = why;
      target.onAck = (ack) => stream.#onAck(ack);
      return stream;
    } catch (error) {
      await listener?.release(onAck);
      await client.close();
      throw error;
    }
  }

  private constructor(
    options: ViewerStreamOptions & { readonly endpoint: Endpoint },
    client: ZmqClient,
    { flavour, viewer, pong }: FoundViewer,
    listener: AckListener | undefined,
    onAck: (ack: ImageAck) => void,
  ) {
    const { endpoint, replyTimeoutMs = 30_000 } = options;
    this.#options = options;
    this.endpoint = endpoint;
    this.client = client;
    this.flavour = flavour;
    this.viewer = viewer;
    this.name = options.name ?? `${viewer} on port ${endpoint.port}`;
    if (options.wants) this.wants = options.wants;
    this.controls = new ViewerControls(client, flavour, viewer);
    this.#id = `${process.pid.toString(36)}-${Date.now().toString(36)}-${streams++}`;
    this.#listener = listener;
    this.#ackUser = onAck;
    this.#acks = new AckTracker(replyTimeoutMs);
    this.#encoder = new BatchEncoder({
      flavour,
      viewer,
      ...(options.display && { display: options.display }),
      ...(options.values && { values: options.values }),
      ...(options.names && { names: options.names }),
      ...(listener && { returnRoute: listener.route }),
    });
    this.#sender = new BatchSender({
      endpoint,
      client,
      encoder: this.#encoder,
      acks: this.#acks,
      acknowledged: listener !== undefined,
      id: this.#id,
      viewer,
      flavour,
      reader: pong.process_identity,
      slots: options.slots ?? 16,
      maxBatch: options.maxBatch ?? 64,
      replyTimeoutMs,
      reconnect: options.reconnect ?? false,
    });
  }

  /** A run tells what will come. */
  begin(run: RunDescription): void {
    this.#encoder.declare(run);
    if (this.#options.slots === undefined) this.#sender.queue.budget.planes = Math.max(1, run.tiles);
  }

  /** Takes payloads as {@link send} does. */
  accept(payloads: readonly StreamPayload[]): void {
    for (const payload of payloads) this.send(payload);
  }

  /**
   * Takes a payload, and with it the lease of its pixels, which is given back when the viewer has them, or room is needed. Never throws
   * and never waits; a payload that cannot be sent is counted.
   */
  send(payload: StreamPayload): void {
    this.#sender.counters.add("given");
    if (!this.#encoder.canShow(payload)) this.#discard(payload, "unsupported");
    else if (this.#closing !== undefined || this.#sender.isOver) this.#discard(payload, "dropped");
    else this.#sender.push(payload);
  }

  /**
   * Sends pixels without a run: a tile is shared as it is, an array copied once, into a slot of the stream's own. Resolves when they are on
   * their way; a stream whose slots are all taken makes the caller wait, and so sets the pace.
   *
   * Throws ERR_INVALID_ARGUMENT, ERR_POOL_MEMORY, ERR_CANCELLED.
   */
  sendImage(given: PlanePixels, options: SendOptions = {}): Promise<void> {
    return this.#sendPlane("image", given, options);
  }

  /** As {@link sendImage}, for integers whose 0 is background. */
  sendLabels(given: PlanePixels, options: SendOptions = {}): Promise<void> {
    return this.#sendPlane("labels", given, options);
  }

  async #sendPlane(kind: "image" | "labels", given: PlanePixels, options: SendOptions): Promise<void> {
    const { store, signal } = options;
    const stop = signal ? AbortSignal.any([signal, this.#sender.ended]) : this.#sender.ended;
    while (this.isFull && this.#sender.state === "ready" && !stop.aborted) await this.#sender.changed(stop);
    if (signal?.aborted) throw cancelled(signal, "sending to a viewer");
    this.#feed ??= new PixelFeed(this.#sender.queue.budget.planes);
    const { pixels, shape, dtype, copied } = await this.#feed.place(given, signal);
    this.#sender.counters.add("copiedBytes", copied);
    this.send({ kind, shape, dtype, pixels, ...(store && { store }), ...commonOf(options) });
  }

  sendShapes(shapes: readonly StreamShape[], options: SendOptions = {}): void {
    this.send({ kind: "shapes", shapes, ...commonOf(options) });
  }

  /** `points`: y0, x0, y1, x1, ... */
  sendPoints(points: PointsPayload["points"], options: SendOptions = {}): void {
    this.send({ kind: "points", points, ...commonOf(options) });
  }

  sendTracks(tracks: TracksPayload["tracks"], options: SendOptions = {}): void {
    this.send({ kind: "tracks", tracks, ...commonOf(options) });
  }

  sendTable(table: Pick<TablePayload, "columns" | "rows">, options: SendOptions = {}): void {
    this.send({ kind: "table", columns: table.columns, rows: table.rows, ...commonOf(options) });
  }

  #discard(payload: StreamPayload, as: "unsupported" | "dropped"): void {
    if ("shape" in payload && payload.pixels) releasePixels(payload.pixels);
    this.#sender.counters.add(as);
  }

  /** Whether another plane would push an older one out. */
  get isFull(): boolean {
    return this.#sender.queue.isFull;
  }

  get state(): StreamState {
    return this.#sender.state;
  }

  /** A report of this moment. */
  get stats(): StreamStats {
    const counts = this.#sender.counters.snapshot();
    const { storeOnly, dropped } = this.#sender.queue.losses;
    return Object.freeze({
      ...counts,
      storeOnly,
      dropped: counts.dropped + dropped,
      state: this.#sender.state,
      queued: this.#sender.queue.size,
      held: this.#sender.queue.held,
      lastError: this.#sender.lastError,
      acks: this.#acks.counts(now()),
      latency: this.#acks.latency(),
    });
  }

  #onAck(ack: ImageAck): void {
    if (!ack.image_id.startsWith(`${this.#id}-`)) return;
    if (this.#acks.acknowledged(ack, now()) && ack.error !== null) this.#sender.lastError = ack.error;
    if (this.#acks.pending === 0) this.#sender.tell();
  }

  /** Resolves when everything that was handed over has been taken by the viewer, or counted as lost. */
  async flush(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options;
    const stop = signal ? AbortSignal.any([signal, this.#sender.ended]) : this.#sender.ended;
    while (!this.#sender.isIdle && !stop.aborted) await this.#sender.changed(stop);
    if (signal?.aborted) throw cancelled(signal, "sending to a viewer");
  }

  /** Payloads that wait, or are under way. */
  get unsent(): number {
    return this.#sender.unsent;
  }

  /** Whether everything that was handed over is on screen, let go of, or counted as lost. */
  get isSettled(): boolean {
    return this.#sender.isIdle && this.#acks.pending === 0;
  }

  /**
   * Resolves when everything is sent and acknowledged, or the time (default 30 s) is over; every slot has been given back then, if need be
   * by announcing planes by their stores. Never throws; {@link isSettled} and {@link stats} say what was reached.
   */
  async drain(options: Partial<DrainOptions> = {}): Promise<void> {
    const over = new AbortController();
    const timer = setTimeout(() => over.abort(), options.timeoutMs ?? 30_000);
    const stop = AbortSignal.any([
      over.signal,
      this.#sender.ended,
      ...(options.signal ? [options.signal] : []),
    ]);
    while (!this.isSettled && !stop.aborted && !this.#sender.isOver) await this.#sender.changed(stop);
    clearTimeout(timer);
    if (this.#sender.queue.held > 0) await this.#sender.letGo();
  }

  /**
   * Closes: what waits is sent for at most `drainMs` (default 0: not at all) to a viewer that takes it, the rest counted as dropped; every slot is given back.
   * Idempotent; the viewer goes on.
   */
  close(options: { readonly drainMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options.drainMs ?? 0);
    return this.#closing;
  }

  async #close(drainMs: number): Promise<void> {
    if (drainMs > 0) await this.#sendRest(drainMs);
    await this.#sender.end();
    this.#acks.forgetAll();
    this.#feed?.close();
    await this.#listener?.release(this.#ackUser);
    await this.client.close();
  }

  /** Until everything is sent, the time is over, or the viewer seems to stand still. */
  async #sendRest(timeoutMs: number): Promise<void> {
    const over = AbortSignal.any([AbortSignal.timeout(timeoutMs), this.#sender.ended]);
    let quiet = over;
    while (!this.#sender.isIdle && this.#sender.state === "ready" && !quiet.aborted) {
      quiet = AbortSignal.any([over, AbortSignal.timeout(quietMs)]);
      await this.#sender.changed(quiet);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
