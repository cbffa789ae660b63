// SPDX-License-Identifier: MIT
// The sending half of a stream: batches of what has gathered, one request at a time, and what happens when its viewer hangs or dies.

import { isTilecastError, TilecastError } from "../errors.js";
import type { ZmqClient } from "../runtime/client.js";
import { Counters } from "../runtime/counters.js";
import type { Endpoint } from "../runtime/endpoint.js";
import type { Pong, ProcessIdentity } from "../runtime/messages.js";
import { isAlive } from "../runtime/process-identity.js";
import { pause } from "../runtime/zmq.js";
import type { AckTracker } from "./ack-tracker.js";
import type { ViewerType } from "./display.js";
import type { StreamPayload } from "./payload.js";
import { pixelBytes, type Queued, SendQueue } from "./send-queue.js";
import { SlotExports } from "./slot-exports.js";
import { type StreamState, streamCounters } from "./stream-counters.js";
import { readReply, type ViewerReply } from "./viewer-reply.js";
import type { BatchEncoder, Flavour } from "./wire-batch.js";

interface InFlight extends Queued {
  readonly imageId: string | undefined;
  readonly shmName: string | undefined;
}

/** A batch is closed when its items' texts have so many characters. */
const maxBatchChars = 8 * 2 ** 20;
/** Of one item; a viewer takes messages of 64 MiB, and what is not ASCII is escaped. */
const maxItemChars = 48 * 2 ** 20;
const now = (): number => performance.now();
const words = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export interface FoundViewer {
  readonly pong: Pong;
  readonly flavour: Flavour;
  readonly viewer: ViewerType;
}

/** Throws ERR_INSTANCE for a server that is no viewer. */
export function viewerOf(pong: Pong, endpoint: Endpoint): FoundViewer {
  const viewer = pong.server_type ?? pong.viewer;
  if (viewer !== "napari" && viewer !== "fiji") {
    const what = pong.server_type ?? pong.server_role ?? pong.server;
    throw new TilecastError("ERR_INSTANCE", `${endpoint}: expected a viewer, and got ${what}`);
  }
  return { pong, viewer, flavour: pong.tilecast === undefined ? "openhcs" : "tilecast" };
}

export interface BatchSenderOptions {
  readonly endpoint: Endpoint;
  readonly client: ZmqClient;
  readonly encoder: BatchEncoder;
  readonly acks: AckTracker;
  /** Whether items get ids, by which they are acknowledged. */
  readonly acknowledged: boolean;
  /** Of the stream; its items' ids begin with it. */
  readonly id: string;
  readonly viewer: ViewerType;
  readonly flavour: Flavour;
  /** The viewer's process; shared memory is its to read, and its death ends the stream. */
  readonly reader: ProcessIdentity | undefined;
  readonly slots: number;
  readonly maxBatch: number;
  readonly replyTimeoutMs: number;
  readonly reconnect: boolean;
}

/** Owns the pixels from `push` on. Nothing that a viewer does makes it throw. */
export class BatchSender {
  readonly queue: SendQueue;
  readonly counters = new Counters(streamCounters);
  /** Why the last thing that failed did. */
  lastError = "";
  readonly #exports = new SlotExports();
  readonly #abort = new AbortController();
  #reader: ProcessIdentity | undefined;
  #state: StreamState = "ready";
  #images = 0;
  #inFlight = 0;
  #isEnding = false;
  #wake: (() => void) | undefined;
  /** Whoever waits for a change. */
  #waiting: (() => void)[] = [];
  /** Ends the request under way. */
  #hurry: (() => void) | undefined;
  readonly #loop: Promise<void>;

  constructor(private readonly options: BatchSenderOptions) {
    this.#reader = options.reader;
    this.queue = new SendQueue(
      { planes: Math.max(1, options.slots), otherBytes: 64 * 2 ** 20 },
      () => options.flavour === "tilecast",
    );
    this.#loop = this.#run();
  }

  get state(): StreamState {
    return this.#state;
  }

  /** What waits, and what is under way. */
  get unsent(): number {
    return this.queue.size + this.#inFlight;
  }

  get isIdle(): boolean {
    return this.unsent === 0;
  }

  /** There is no viewer, and there will be none. */
  get isOver(): boolean {
    return this.#isEnding || (this.#state === "gone" && !this.options.reconnect);
  }

  /** Aborted when the stream ends. */
  get ended(): AbortSignal {
    return this.#abort.signal;
  }

  push(payload: StreamPayload): void {
    this.queue.push({ payload, readyAt: now() });
    if (this.#state !== "ready") this.queue.letGoOfPixels();
    this.#wake?.();
  }

  /** Until something has changed, or `stop`. */
  changed(stop: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        stop.removeEventListener("abort", done);
        resolve();
      };
      if (stop.aborted) return resolve();
      this.#waiting.push(done);
      stop.addEventListener("abort", done, { once: true });
    });
  }

  /** Something has changed. */
  tell(): void {
    for (const done of this.#waiting.splice(0)) done();
  }

  /** Gives every slot back; planes that can be announced by their stores still are. */
  async letGo(): Promise<void> {
    this.queue.letGoOfPixels();
    if (this.queue.held === 0) return;
    // Those of the batch under way come back with the end of its request.
    this.#hurry?.();
    while (this.#inFlight > 0) await this.changed(this.#abort.signal);
  }

  /** Ends at once: what waits is dropped and counted. */
  async end(): Promise<void> {
    this.#isEnding = true;
    this.#abort.abort();
    this.#wake?.();
    await this.#loop;
    this.#state = "closed";
    this.#exports.takeAllBack();
  }

  async #run(): Promise<void> {
    const { reconnect } = this.options;
    while (!this.#abort.signal.aborted) {
      if (this.#state === "stalled" || (this.#state === "gone" && reconnect)) await this.#findAgain();
      else if (this.queue.size > 0) await this.#sendBatch();
      else {
        this.tell();
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    }
    this.queue.clear();
    this.tell();
  }

  /** What has gathered, up to the limits of a batch, encoded; slots have names from here on. */
  #pack(): { items: string[]; entries: InFlight[] } {
    const { planes } = this.queue.budget;
    const limit = Math.max(1, Math.min(this.options.maxBatch, Math.ceil(planes / 2)));
    const items: string[] = [];
    const entries: InFlight[] = [];
    let chars = 0;
    while (items.length < limit && chars < maxBatchChars) {
      const entry = this.queue.take();
      if (entry === undefined) break;
      const { payload } = entry;
      let shmName: string | undefined;
      try {
        if ("shape" in payload && payload.pixels) {
          const given = this.#exports.give(payload.pixels, this.#reader?.pid ?? 0);
          shmName = given.name;
          this.counters.add("pixelBytes", pixelBytes(payload));
          this.counters.add("copiedBytes", given.copied);
        }
        const imageId = this.options.acknowledged ? `${this.options.id}-${this.#images++}` : undefined;
        const text = this.options.encoder.item(payload, {
          ...(shmName !== undefined && { shmName }),
          ...(imageId !== undefined && { imageId }),
        });
        if (text.length > maxItemChars) {
          const { kind } = payload;
          const limit = `at most ${maxItemChars} characters`;
          throw new TilecastError("ERR_STREAM", `${kind}: expected ${limit} of JSON, and got ${text.length}`);
        }
        items.push(text);
        chars += text.length;
        entries.push({ ...entry, imageId, shmName });
      } catch (error) {
        // No room for a name, or a payload that cannot be written: this one alone is announced by its store, or lost.
        this.lastError = words(error);
        if (shmName !== undefined) this.#exports.takeBack(shmName);
        if ("shape" in payload && payload.pixels) {
          this.queue.back();
          this.queue.putBack([entry]);
        } else this.counters.add("dropped");
      }
    }
    return { items, entries };
  }

  async #sendBatch(): Promise<void> {
    const { items, entries } = this.#pack();
    if (items.length === 0) return;
    for (const { imageId, readyAt } of entries)
      if (imageId !== undefined) this.options.acks.sent(imageId, readyAt);
    this.#inFlight = entries.length;
    this.counters.add("batches");
    this.counters.add("sent", entries.length);
    let reply: ViewerReply | undefined;
    let failure: unknown;
    const watch = this.#watch();
    try {
      const frame = await this.options.client.send(this.options.encoder.message(items), {
        timeoutMs: this.options.replyTimeoutMs,
        signal: watch.signal,
      });
      reply = readReply(frame);
      if (reply === undefined)
        failure = new TilecastError(
          "ERR_WIRE",
          `${this.options.endpoint} replied with something that is no reply`,
        );
    } catch (error) {
      failure = error;
    } finally {
      watch.stop();
    }
    // First: whoever waits for a slot sends again as soon as it is free, which must find room here.
    for (const { payload } of entries) if ("shape" in payload && payload.pixels) this.queue.back();
    if (reply === undefined) this.#unanswered(entries, failure);
    else this.#answered(entries, reply);
    this.#inFlight = 0;
    this.tell();
  }

  /** Ends a request when its viewer has died: the reply would be waited for in vain. */
  #watch(): { readonly signal: AbortSignal; stop(): void } {
    const died = new AbortController();
    const timer = setInterval(() => {
      if (this.#reader !== undefined && isAlive(this.#reader) === false) died.abort();
    }, 200);
    timer.unref();
    const end = () => died.abort();
    this.#hurry = end;
    this.#abort.signal.addEventListener("abort", end, { once: true });
    return {
      signal: died.signal,
      stop: () => {
        clearInterval(timer);
        this.#hurry = undefined;
        this.#abort.signal.removeEventListener("abort", end);
      },
    };
  }

  #answered(entries: readonly InFlight[], reply: ViewerReply): void {
    const at = now();
    if (!reply.accepted) {
      this.counters.add("errors");
      this.lastError = reply.message || "the viewer refused a batch and gave no reason";
    }
    entries.forEach(({ imageId, shmName, readyAt }, i) => {
      if (shmName !== undefined) {
        if (reply.kept.has(shmName)) {
          this.#exports.handOver(shmName);
          this.counters.add("kept");
        } else this.#exports.takeBack(shmName);
      }
      const why = reply.refused.get(i);
      if (why !== undefined) this.lastError = why;
      const taken = reply.accepted && why === undefined;
      this.counters.add(taken ? "accepted" : "refused");
      if (!taken) {
        if (imageId !== undefined) this.options.acks.forget(imageId);
      } else if (imageId === undefined) this.options.acks.acceptedUnacknowledged(readyAt, at);
      else this.options.acks.received(imageId, at);
    });
  }

  /** Nobody knows what became of the batch. Its planes are announced by their stores once the viewer answers again. */
  #unanswered(entries: readonly InFlight[], failure: unknown): void {
    const isDead = this.#reader !== undefined && isAlive(this.#reader) === false;
    for (const { shmName } of entries) {
      if (shmName === undefined) continue;
      if (isDead) this.#exports.takeBack(shmName);
      else this.#exports.handOver(shmName);
    }
    const isTimeout = isTilecastError(failure, "ERR_TIMEOUT");
    for (const { imageId } of entries) if (imageId !== undefined) this.options.acks.forget(imageId);
    this.lastError = isDead
      ? `${this.options.endpoint}: the viewer's process has ended`
      : isTilecastError(failure, "ERR_CANCELLED")
        ? `${this.options.endpoint}: the viewer had not replied when its time was over`
        : words(failure);
    if (isTilecastError(failure, "ERR_WIRE")) {
      // It answers: what it was sent, it has, or refuses to say so.
      this.counters.add("errors");
      this.counters.add("refused", entries.length);
      return;
    }
    this.counters.add(isTimeout ? "timeouts" : "errors");
    this.queue.putBack(entries);
    this.#state = isDead ? "gone" : "stalled";
    if (isDead) this.#lost();
    else this.queue.letGoOfPixels();
    this.tell();
  }

  /** The viewer's process is gone: nothing is read there any more. */
  #lost(): void {
    this.#state = "gone";
    this.#exports.takeAllBack();
    this.options.acks.forgetAll();
    if (this.options.reconnect) this.queue.letGoOfPixels();
    else this.queue.clear();
  }

  /** Asks the viewer, ever more rarely, until it answers, is gone, or the stream is closed. */
  async #findAgain(): Promise<void> {
    const { signal } = this.#abort;
    for (let wait = 100; !signal.aborted; wait = Math.min(2 * wait, 2000)) {
      try {
        const { pong } = await this.options.client.ping({ timeoutMs: 1000, signal });
        const found = viewerOf(pong, this.options.endpoint);
        if (found.viewer !== this.options.viewer || found.flavour !== this.options.flavour)
          throw new Error(`${this.options.endpoint}: another kind of viewer is there now`);
        this.#reader = pong.process_identity;
        this.#state = "ready";
        this.counters.add("reconnects");
        this.tell();
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (this.#state !== "gone" && this.#reader !== undefined && isAlive(this.#reader) === false) {
          this.lastError = `${this.options.endpoint}: the viewer's process has ended`;
          this.#lost();
          if (!this.options.reconnect) return;
        } else if (this.#state !== "gone") this.lastError = words(error);
      }
      await pause(wait, signal);
    }
  }
}
