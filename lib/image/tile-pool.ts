// SPDX-License-Identifier: MIT
// TilePool: equal slots of shared memory, lent out as tiles.

import { fromNative, TilecastError } from "../errors.js";
import {
  type NativeExport,
  type NativeLoan,
  type NativePoolStats,
  type NativeTilePool,
  native,
} from "../native.js";
import { type DType, type SlotMemory, slotView, type TypedArray } from "./dtype.js";
import {
  checkDType,
  checkInteger,
  checkShape,
  invalidArgument,
  type Shape,
  shapeBytes,
  shapePixels,
} from "./shape.js";
import { Tile, type TileComponents } from "./tile.js";

export interface TilePoolOptions {
  /** Bytes of one slot: the largest tile the pool can hold. Rounded up to a multiple of the page size. */
  readonly slotBytes: number;
  /** Number of slots, 1 to 32768. */
  readonly slots: number;
}

export interface TilePoolOpenOptions {
  /**
   * Take leases, but no loans; the slots are mapped without write access. A write to a view ends the process with SIGSEGV: JavaScript
   * has no read-only ArrayBuffer. Default false.
   */
  readonly readOnly?: boolean;
  /** Take no leases either, and no place in the pool's table of processes: `read` copies pixels out and checks that they were not replaced meanwhile. */
  readonly observe?: boolean;
}

/** What another process must be told of a tile; plain data. */
export interface TileDescriptor {
  readonly slot: number;
  readonly generation: number;
  readonly shape: Shape;
  readonly dtype: DType;
  readonly components?: TileComponents;
}

export interface ExportOptions {
  /** Name of the shared-memory object, up to 30 characters, without a slash. Default: one made up. */
  readonly name?: string;
  /** Process that reads it: when it dies, the export ends by itself. */
  readonly reader?: number;
}

/** An exported slot. Readers open `name`; the pixels begin at offset 0, in C order. */
export type SlotExport = NativeExport;

export interface TilePoolStats extends NativePoolStats {
  /** Tiles that were garbage-collected while on loan. Anything but 0 is a missing `release()`. */
  readonly leaked: number;
}

export interface LoanOptions {
  readonly components?: TileComponents;
  /** Ends the wait; the promise then rejects with ERR_CANCELLED, whose `cause` is the signal's reason. */
  readonly signal?: AbortSignal;
}

interface Request {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly pixels: number;
  readonly components: TileComponents | undefined;
}

/** What is known of a tile that was collected before it was released. */
interface Lost {
  readonly loan: NativeLoan;
  readonly shape: Shape;
  readonly dtype: DType;
}

const maxSlots = 32768;

/**
 * A pool of shared-memory slots (`/dev/shm/tc-<id>-*`, mode 0600). Memory is allocated and touched when the pool is made, about a second a
 * gigabyte, and recycled afterwards: make one pool a run. Names go away with `close()`, and also when the process exits, throws, or gets
 * SIGINT, SIGTERM or SIGHUP.
 *
 * A pool belongs to the thread that made it.
 */
export class TilePool {
  readonly #native: NativeTilePool;
  readonly #memory: SlotMemory;
  readonly #slotBytes: number;
  readonly #lost: FinalizationRegistry<Lost>;
  readonly #home;
  #leaked = 0;
  #closed = false;

  /**
   * Makes a pool.
   *
   * Throws ERR_INVALID_ARGUMENT, and ERR_POOL_MEMORY when `/dev/shm` is too small or full (nothing is left behind then) or the runtime allows no
   * external ArrayBuffers.
   */
  static create(options: TilePoolOptions): TilePool {
    if (typeof options !== "object" || options === null)
      throw invalidArgument("options", "{ slotBytes, slots }", options);
    const slotBytes = checkInteger(options.slotBytes, "slotBytes", 1);
    const slots = checkInteger(options.slots, "slots", 1, maxSlots);
    return new TilePool(guard(() => native().TilePool.create(slotBytes, slots)));
  }

  /**
   * Attaches to a pool that another process made. Its tiles are leased by what that process tells of them (`lease`); loans come from the same
   * slots. `close()` detaches; the pool stays usable while any process is attached, and ends when its creator closes it.
   * What a process that dies still held is back within a second.
   *
   * Throws ERR_INVALID_ARGUMENT, ERR_POOL_NOT_FOUND, ERR_POOL_VERSION (another version of tilecast), ERR_POOL_MEMORY and ERR_IO (of another user).
   */
  static open(id: string, options: TilePoolOpenOptions = {}): TilePool {
    if (typeof id !== "string") throw invalidArgument("id", "a string", id);
    if (typeof options !== "object" || options === null)
      throw invalidArgument("options", "{ readOnly, observe }", options);
    const access = options.observe ? "observe" : options.readOnly ? "read" : "write";
    return new TilePool(guard(() => native().TilePool.open(id, access)));
  }

  private constructor(pool: NativeTilePool) {
    this.#native = pool;
    // The addon's accessors cost more than a property.
    this.#memory = {
      buffers: pool.buffers,
      slotsPerBuffer: pool.slotsPerBuffer,
      slotBytes: pool.slotBytes,
    };
    this.#slotBytes = pool.slotBytes;
    this.#lost = new FinalizationRegistry((lost) => this.#reclaim(lost));
    this.#home = {
      native: pool,
      view: (tile: Tile, pixels: number) => this.#view(tile, pixels),
      release: (tile: Tile) => this.#release(tile),
    };
  }

  /** The objects are named `/tc-<id>-<slot>`. */
  get id(): string {
    return this.#native.id;
  }

  get slots(): number {
    return this.#native.slots;
  }

  /** Bytes of a slot, a multiple of the page size. */
  get slotBytes(): number {
    return this.#slotBytes;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** A report of this moment. Readable after `close()` too. */
  get stats(): TilePoolStats {
    return Object.freeze({ ...this.#native.stats(), leaked: this.#leaked });
  }

  /** @internal For calls into the addon that take the pool. */
  get native(): NativeTilePool {
    return this.#native;
  }

  /**
   * A tile, or `undefined` when no slot is free or others wait for one (newcomers do not overtake).
   *
   * Throws ERR_INVALID_ARGUMENT, ERR_SLOT_TOO_SMALL and ERR_POOL_CLOSED.
   */
  tryLoan(shape: Shape, dtype: DType, components?: TileComponents): Tile | undefined {
    const request = this.#check(shape, dtype, components);
    const loan = guard(() => this.#native.tryLoan());
    return loan === undefined ? undefined : this.#tile(loan, request);
  }

  /**
   * A tile, as soon as a slot is free. Waiters are served in the order of their calls, and keep the process alive.
   *
   * Rejects with ERR_INVALID_ARGUMENT, ERR_SLOT_TOO_SMALL, ERR_POOL_CLOSED (also when the pool closes meanwhile), ERR_CANCELLED, and ERR_POOL_MEMORY
   * when all slots were handed over and there has been no memory for new ones for some seconds.
   */
  async loan(shape: Shape, dtype: DType, options: LoanOptions = {}): Promise<Tile> {
    const { signal } = options;
    if (signal !== undefined && !(signal instanceof AbortSignal))
      throw invalidArgument("signal", "an AbortSignal", signal);
    const request = this.#check(shape, dtype, options.components);
    if (signal?.aborted) throw cancelled(signal);
    const loan = guard(() => this.#native.tryLoan()) ?? (await this.#wait(signal));
    return this.#tile(loan, request);
  }

  /**
   * A tile that another process (or another part of this one) has on loan, with a lease of its own: its slot is free only when both have
   * released it.
   *
   * Throws ERR_INVALID_ARGUMENT, ERR_SLOT_TOO_SMALL, ERR_POOL_CLOSED, and ERR_SLOT_RELEASED when the loan is over.
   */
  lease(descriptor: TileDescriptor): Tile {
    const { slot, generation, request } = this.#described(descriptor);
    guard(() => this.#native.addLease(slot, generation));
    return this.#tile({ slot, generation }, request);
  }

  /**
   * A copy of a tile's pixels, without a lease: `undefined` when the loan is over, or ended while they were copied. For observers, and for pixels
   * that are wanted only if they are still there.
   *
   * Throws ERR_INVALID_ARGUMENT, ERR_SLOT_TOO_SMALL and ERR_POOL_CLOSED.
   */
  read(descriptor: TileDescriptor): TypedArray | undefined {
    const { slot, generation, request } = this.#described(descriptor);
    if (this.#closed) throw new TilecastError("ERR_POOL_CLOSED", `the tile pool ${this.id} is closed`);
    if (!this.#native.isCurrent(slot, generation)) return undefined;
    const copy = slotView(this.#memory, slot, request.dtype, request.pixels).slice();
    return this.#native.isCurrent(slot, generation) ? copy : undefined;
  }

  /**
   * Gives a slot on loan a second name, for readers that understand "name, dtype, shape, offset 0" (Python's `multiprocessing.shared_memory`,
   * Appose). Nothing is copied where the system can link shared memory; the report says so. The export keeps a lease until `unexport`, the
   * death of `reader`, or `close()`. The reader may remove the name; the slot stays. A reader that keeps the memory gets it with `handOver`.
   *
   * Throws ERR_SLOT_RELEASED, ERR_INVALID_ARGUMENT (a name that is taken or cannot be), ERR_POOL_MEMORY and ERR_POOL_CLOSED.
   */
  exportSlot(slot: number, generation: number, { name, reader }: ExportOptions = {}): SlotExport {
    if (name === "") throw invalidArgument("name", "1 to 30 characters", name);
    return Object.freeze(guard(() => this.#native.exportSlot(slot, generation, name ?? "", reader ?? 0)));
  }

  /** Ends an export: removes the name, if it is still there, and gives the lease back. False when there is no such export (any more). */
  unexport(name: string): boolean {
    return guard(() => this.#native.unexport(name));
  }

  /**
   * Ends an export whose reader keeps the memory: the exported object stays with whoever mapped it, the name goes, the export's lease ends, and
   * once nobody else leases the tile either, its slot gets a fresh object in the background (`stats.slotsMissing` counts the slots that wait for
   * one). Nothing writes into the old object any more; a tile that is still leased must only be read. An export that was a copy is merely
   * forgotten. False when there is no such export (any more).
   */
  handOver(name: string): boolean {
    return guard(() => this.#native.handOver(name));
  }

  /**
   * Removes the names (of a pool that this process made), frees the memory and refuses further loans; waiting loans reject with ERR_POOL_CLOSED, views become empty (length 0).
   * Idempotent. Native work under way keeps the memory until it is done. Do not close while something else reads a view on another thread
   * (zlib, fs): as after any transfer of an ArrayBuffer, it would read memory that is gone.
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

  #check(shape: Shape, dtype: DType, components: TileComponents | undefined): Request {
    checkDType(dtype);
    const pixels = shapePixels(checkShape(shape));
    const bytes = shapeBytes(shape, dtype);
    if (bytes > this.#slotBytes) {
      throw new TilecastError(
        "ERR_SLOT_TOO_SMALL",
        `a tile of shape [${shape.join(", ")}] and dtype ${dtype} has ${bytes} bytes, but the slots of this pool have ${this.#slotBytes}: make the pool with slotBytes of at least ${bytes}`,
        { argument: "shape" },
      );
    }
    if (components !== undefined && (typeof components !== "object" || components === null)) {
      throw invalidArgument("components", "an object", components);
    }
    return { shape, dtype, pixels, components };
  }

  #described(descriptor: TileDescriptor) {
    if (typeof descriptor !== "object" || descriptor === null)
      throw invalidArgument("descriptor", "{ slot, generation, shape, dtype }", descriptor);
    const slot = checkInteger(descriptor.slot, "slot", 0, this.slots - 1);
    const generation = checkInteger(descriptor.generation, "generation", 0, 2 ** 32 - 1);
    return {
      slot,
      generation,
      request: this.#check(descriptor.shape, descriptor.dtype, descriptor.components),
    };
  }

  #wait(signal: AbortSignal | undefined): Promise<NativeLoan> {
    return new Promise((resolve, reject) => {
      const onFree = () => {
        signal?.removeEventListener("abort", onAbort);
        try {
          // The slot of this very turn, or ERR_POOL_CLOSED.
          resolve(this.#native.tryLoan() as NativeLoan);
        } catch (error) {
          reject(fromNative(error));
        }
      };
      const withdraw = guard(() => this.#native.whenFree(onFree));
      const onAbort = () => {
        withdraw();
        reject(cancelled(signal as AbortSignal));
      };
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  #tile(loan: NativeLoan, request: Request): Tile {
    const { shape, dtype, pixels, components } = request;
    const tile = new Tile(this.#home, loan.slot, loan.generation, shape, dtype, pixels, components);
    this.#lost.register(tile, { loan, shape, dtype }, tile);
    return tile;
  }

  #view(tile: Tile, pixels: number): TypedArray {
    if (!this.#native.isCurrent(tile.slot, tile.generation)) throw this.#stale(tile);
    return slotView(this.#memory, tile.slot, tile.dtype, pixels);
  }

  #stale(tile: Tile): TilecastError {
    if (this.#closed) return new TilecastError("ERR_POOL_CLOSED", `the tile pool ${this.id} is closed`);
    return new TilecastError(
      "ERR_SLOT_RELEASED",
      `view: the loan of slot ${tile.slot} (generation ${tile.generation}) was released already. Use a tile only before its release`,
    );
  }

  #release(tile: Tile): void {
    guard(() => this.#native.release(tile.slot, tile.generation));
    this.#lost.unregister(tile);
  }

  #reclaim({ loan, shape, dtype }: Lost): void {
    if (this.#closed || !this.#native.isCurrent(loan.slot, loan.generation)) return;
    this.#native.release(loan.slot, loan.generation);
    if (this.#leaked++ === 0) {
      process.emitWarning(
        `A tile [${shape.join(", ")}] ${dtype} was garbage-collected while on loan; its slot is back only now. Call release(), or declare it with "using". TilePool.stats.leaked counts further ones.`,
        { type: "TilecastWarning", code: "TILECAST_TILE_LEAKED" },
      );
    }
  }
}

function cancelled(signal: AbortSignal): TilecastError {
  return new TilecastError("ERR_CANCELLED", "waiting for a free slot was cancelled", {
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
