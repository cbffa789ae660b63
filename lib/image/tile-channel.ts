// SPDX-License-Identifier: MIT
// TileChannel: descriptors of tiles from process to process, in batches.

import { fromNative, TilecastError } from "../errors.js";
import { type NativeChannelStats, type NativeTileChannel, native } from "../native.js";
import { dtypes } from "./dtype.js";
import { checkDType, checkInteger, checkShape, invalidArgument } from "./shape.js";
import type { TileDescriptor } from "./tile-pool.js";

/** The components that a message carries, as numbers that both sides understand (0-based positions in a list, timepoint numbers, ...). */
export const channelComponents = ["well", "site", "channel", "z_index", "timepoint"] as const;

export type ChannelComponents = { readonly [K in (typeof channelComponents)[number]]?: number };

/** One tile, as it travels: where it is, what it is, and a number of the sender's own. */
export interface TileMessage extends Omit<TileDescriptor, "components"> {
  /** 0 to 2^31 - 1 each; those that are not known are left out. */
  readonly components?: ChannelComponents;
  /** 0 to 2^53 - 1. Default 0. */
  readonly tag?: number;
}

export interface ReceivedTile extends TileMessage {
  readonly components: ChannelComponents;
  readonly tag: number;
}

export interface TileChannelOptions {
  /** Messages that it holds; rounded up to a power of two, 2 to 2^20. Default 1024: 64 KiB. */
  readonly capacity?: number;
}

export interface ChannelWaitOptions {
  /** Ends the wait; the promise then rejects with ERR_CANCELLED, whose `cause` is the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface ReceiveOptions extends ChannelWaitOptions {
  /** Most messages of a batch. Default: the channel's capacity. */
  readonly most?: number;
  /**
   * For how long to look for a message, on this thread, before sleeping. Default 20: less than it costs to sleep and be woken. 0 for a thread
   * that must not be held up.
   */
  readonly spinUs?: number;
}

// Offsets of native/src/shm/channel.h's TileDescriptor.
const messageBytes = 56;
const maxComponent = 2 ** 31 - 1;
// A channel that always has something must not keep timers and sockets from theirs.
const longestTurnMs = 2;

function encode(batch: readonly TileMessage[]): ArrayBuffer {
  if (!Array.isArray(batch)) throw invalidArgument("batch", "an array of tile messages", batch);
  const bytes = new ArrayBuffer(batch.length * messageBytes);
  const view = new DataView(bytes);
  batch.forEach((message, i) => {
    const at = i * messageBytes;
    if (typeof message !== "object" || message === null)
      throw invalidArgument(`batch[${i}]`, "a tile message", message);
    const dtype = checkDType(message.dtype, `batch[${i}].dtype`);
    const shape = checkShape(message.shape, `batch[${i}].shape`);
    view.setUint32(at, checkInteger(message.slot, `batch[${i}].slot`, 0, 2 ** 32 - 1), true);
    view.setUint32(at + 4, checkInteger(message.generation, `batch[${i}].generation`, 0, 2 ** 32 - 1), true);
    view.setUint8(at + 8, dtypes.indexOf(dtype));
    view.setUint8(at + 9, shape.length);
    const sizes = shape.length === 2 ? [1, ...shape] : shape;
    sizes.forEach((size, axis) => {
      view.setUint32(at + 12 + 4 * axis, checkInteger(size, `batch[${i}].shape`, 1, 2 ** 32 - 1), true);
    });
    channelComponents.forEach((name, n) => {
      const value = message.components?.[name];
      const number =
        value === undefined ? -1 : checkInteger(value, `batch[${i}].components.${name}`, 0, maxComponent);
      view.setInt32(at + 24 + 4 * n, number, true);
    });
    const tag = checkInteger(message.tag ?? 0, `batch[${i}].tag`, 0);
    view.setUint32(at + 48, tag >>> 0, true);
    view.setUint32(at + 52, Math.floor(tag / 2 ** 32), true);
  });
  return bytes;
}

function decode(bytes: ArrayBuffer): ReceivedTile[] {
  const words = new Int32Array(bytes);
  const messages: ReceivedTile[] = [];
  for (let at = 0; at < words.length; at += messageBytes / 4) {
    const word = (n: number) => words[at + n] as number;
    const unsigned = (n: number) => word(n) >>> 0;
    const kind = word(2);
    const components: Record<string, number> = {};
    for (let n = 0; n < channelComponents.length; n++) {
      const value = word(6 + n);
      if (value >= 0) components[channelComponents[n] as string] = value;
    }
    messages.push({
      slot: unsigned(0),
      generation: unsigned(1),
      dtype: dtypes[kind & 0xff] as TileMessage["dtype"],
      shape:
        ((kind >> 8) & 0xff) === 2 ? [unsigned(4), unsigned(5)] : [unsigned(3), unsigned(4), unsigned(5)],
      components,
      tag: unsigned(12) + unsigned(13) * 2 ** 32,
    });
  }
  return messages;
}

/**
 * A bounded queue of tile messages in shared memory, for any number of senders and receivers in any number of processes. Each message goes to
 * one receiver, in order of sending. A message is not a lease: the sender keeps its tile until it knows that the receiver has leased it
 * (`TilePool.lease`), or accepts that a late receiver gets ERR_SLOT_RELEASED.
 *
 * Whoever dies costs at most the message that it was handling; the others go on within a second. Names go away as a pool's do.
 */
export class TileChannel implements AsyncIterable<ReceivedTile[]> {
  readonly #native: NativeTileChannel;
  #closed = false;
  /** Calls of `receive` under way. */
  #receiving = 0;
  /** When this thread's event loop last had a turn, as far as this channel knows. */
  #turn = 0;

  /** Makes a channel. Throws ERR_INVALID_ARGUMENT and ERR_POOL_MEMORY. */
  static create({ capacity = 1024 }: TileChannelOptions = {}): TileChannel {
    const cells = checkInteger(capacity, "capacity", 2, 2 ** 20);
    return new TileChannel(guard(() => native().TileChannel.create(cells)));
  }

  /** Attaches to a channel of another process. Throws ERR_INVALID_ARGUMENT, ERR_POOL_NOT_FOUND, ERR_POOL_VERSION, ERR_POOL_MEMORY and ERR_IO. */
  static open(id: string): TileChannel {
    if (typeof id !== "string") throw invalidArgument("id", "a string", id);
    return new TileChannel(guard(() => native().TileChannel.open(id)));
  }

  private constructor(channel: NativeTileChannel) {
    this.#native = channel;
  }

  get id(): string {
    return this.#native.id;
  }

  get capacity(): number {
    return this.#native.capacity;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** A report of this moment. Throws ERR_POOL_CLOSED after `close()`. */
  get stats(): NativeChannelStats {
    return Object.freeze(guard(() => this.#native.stats()));
  }

  /** Sends as many as fit now; returns how many. Throws ERR_INVALID_ARGUMENT and ERR_POOL_CLOSED. */
  trySend(batch: readonly TileMessage[]): number {
    return guard(() => this.#native.trySend(encode(batch)));
  }

  /** What is there now, possibly nothing. Throws ERR_POOL_CLOSED. */
  tryReceive(most: number = this.capacity): ReceivedTile[] {
    return decode(guard(() => this.#native.tryReceive(checkInteger(most, "most", 1), 0)));
  }

  /**
   * Sends all, waiting while the channel is full. Batches of several calls go in the order of the calls.
   *
   * Rejects with ERR_INVALID_ARGUMENT, ERR_POOL_CLOSED, ERR_CANCELLED (also when this side closes meanwhile); part of the batch may have been sent then.
   */
  async send(batch: readonly TileMessage[], { signal }: ChannelWaitOptions = {}): Promise<void> {
    const bytes = encode(batch);
    await this.#wait(signal, (done) => this.#native.send(bytes, done));
  }

  /**
   * The messages that are there, as soon as there is one; `undefined` when the channel was closed by its maker and is empty.
   *
   * Rejects with ERR_INVALID_ARGUMENT, ERR_POOL_CLOSED and ERR_CANCELLED (also when this side closes meanwhile).
   */
  async receive({
    signal,
    most = this.capacity,
    spinUs = 20,
  }: ReceiveOptions = {}): Promise<ReceivedTile[] | undefined> {
    const count = checkInteger(most, "most", 1);
    const spin = checkInteger(spinUs, "spinUs", 0, 1e6);
    // Not past one that waits already: messages are given in the order of the calls.
    if (this.#receiving === 0 && !signal?.aborted && performance.now() - this.#turn < longestTurnMs) {
      const bytes = guard(() => this.#native.tryReceive(count, spin));
      if (bytes.byteLength > 0) return decode(bytes);
    }
    this.#receiving++;
    try {
      const bytes = await this.#wait(signal, (done) => this.#native.receive(count, done));
      return bytes === undefined || bytes.byteLength === 0 ? undefined : decode(bytes);
    } finally {
      this.#receiving--;
      this.#turn = performance.now();
    }
  }

  /** Batches of messages until the channel is closed, by either side. */
  async *[Symbol.asyncIterator](): AsyncGenerator<ReceivedTile[], void, void> {
    while (!this.#closed) {
      let batch: ReceivedTile[] | undefined;
      try {
        batch = await this.receive();
      } catch (error) {
        if (this.#closed) return;
        throw error;
      }
      if (batch === undefined) return;
      yield batch;
    }
  }

  /**
   * Detaches. Where this process made the channel, its name goes and the others are told: their sending is refused, and their receiving ends
   * when what was sent is taken. Idempotent.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    guard(() => this.#native.close());
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #wait(
    signal: AbortSignal | undefined,
    start: (done: (error: unknown, bytes?: ArrayBuffer) => void) => () => void,
  ): Promise<ArrayBuffer | undefined> {
    if (signal !== undefined && !(signal instanceof AbortSignal))
      throw invalidArgument("signal", "an AbortSignal", signal);
    if (signal?.aborted) throw cancelled(signal);
    return new Promise((resolve, reject) => {
      const withdraw = guard(() =>
        start((error, bytes) => {
          signal?.removeEventListener("abort", withdraw);
          if (!error) resolve(bytes);
          else if (signal?.aborted && (error as { code?: string }).code === "ERR_CANCELLED")
            reject(cancelled(signal));
          else reject(fromNative(error));
        }),
      );
      signal?.addEventListener("abort", withdraw, { once: true });
    });
  }
}

function cancelled(signal: AbortSignal): TilecastError {
  return new TilecastError("ERR_CANCELLED", "waiting on a tile channel was cancelled", {
    cause: signal.reason,
  });
}

function guard<T>(f: () => T): T {
  try {
    return f();
  } catch (error) {
    throw fromNative(error);
  }
}
