// SPDX-License-Identifier: MIT
// Gathers what comes one by one: into batches by count, bytes and age, and into updates by quiet, for at most so long.

/** When a batch is complete; whatever is reached first. */
export interface BatchPolicy {
  readonly maxItems: number;
  readonly maxBytes: number;
  /** Of the oldest item, ms; 0: as soon as the caller lets go. */
  readonly maxAgeMs: number;
}

/** A clock and timers; tests turn them by hand. */
export interface Clock {
  now(): number;
  /** Calls once, not before `ms` have passed; gives what withdraws it. */
  after(ms: number, call: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, call) {
    const timer = setTimeout(call, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Batches in the order of arrival. `flush` gets each batch; what it throws is the caller's of `add`, or lost with a timer. */
export class BatchEngine<T> {
  #items: T[] = [];
  #bytes = 0;
  #withdraw: (() => void) | undefined;

  constructor(
    readonly policy: BatchPolicy,
    private readonly flushed: (items: T[]) => void,
    private readonly clock: Clock = systemClock,
  ) {}

  get waiting(): number {
    return this.#items.length;
  }

  /** An item that alone exceeds `maxBytes` goes alone; nothing is ever split or dropped. */
  add(item: T, bytes = 0): void {
    if (this.#items.length > 0 && this.#bytes + bytes > this.policy.maxBytes) this.flush();
    this.#items.push(item);
    this.#bytes += bytes;
    if (this.#items.length >= this.policy.maxItems || this.#bytes >= this.policy.maxBytes) this.flush();
    else this.#withdraw ??= this.clock.after(this.policy.maxAgeMs, () => this.flush());
  }

  /** Sends what has gathered, if anything. */
  flush(): void {
    this.#withdraw?.();
    this.#withdraw = undefined;
    if (this.#items.length === 0) return;
    const items = this.#items;
    this.#items = [];
    this.#bytes = 0;
    this.flushed(items);
  }

  /** Forgets what has gathered, and its timer. */
  clear(): void {
    this.#withdraw?.();
    this.#withdraw = undefined;
    this.#items = [];
    this.#bytes = 0;
  }
}

/** When a key's updates are drawn. */
export interface DebouncePolicy {
  /** Without another one for this long. */
  readonly quietMs: number;
  /** The first one waits no longer than this, however many follow. */
  readonly maxWaitMs: number;
}

interface Gathered<T> {
  readonly items: T[];
  readonly since: number;
  withdraw: () => void;
}

/** Debounce with a maximum wait, each key on its own: one busy layer does not hold another one up. */
export class DebounceEngine<T> {
  readonly #keys = new Map<string, Gathered<T>>();

  constructor(
    readonly policy: DebouncePolicy,
    private readonly flushed: (key: string, items: T[]) => void,
    private readonly clock: Clock = systemClock,
  ) {}

  get waiting(): number {
    return [...this.#keys.values()].reduce((sum, { items }) => sum + items.length, 0);
  }

  add(key: string, item: T): void {
    const now = this.clock.now();
    const known = this.#keys.get(key);
    const gathered: Gathered<T> = known ?? { items: [], since: now, withdraw: () => undefined };
    gathered.items.push(item);
    gathered.withdraw();
    const left = gathered.since + this.policy.maxWaitMs - now;
    gathered.withdraw = this.clock.after(Math.max(0, Math.min(this.policy.quietMs, left)), () =>
      this.flush(key),
    );
    this.#keys.set(key, gathered);
  }

  /** Draws one key's updates now, or all. */
  flush(key?: string): void {
    for (const each of key === undefined ? [...this.#keys.keys()] : [key]) {
      const gathered = this.#keys.get(each);
      if (gathered === undefined) continue;
      gathered.withdraw();
      this.#keys.delete(each);
      this.flushed(each, gathered.items);
    }
  }

  clear(): void {
    for (const { withdraw } of this.#keys.values()) withdraw();
    this.#keys.clear();
  }
}
