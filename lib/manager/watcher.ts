// SPDX-License-Identifier: MIT
// Watches the servers and viewers of this host: looks again and again, follows executions, tells what has changed, ends what is to end.

import { isTilecastError, TilecastError } from "../errors.js";
import { pause } from "../runtime/zmq.js";
import { InstanceModel, type Question } from "./instance-model.js";
import { type LogTail, readLogTail } from "./log-tail.js";
import { type Look, type LookOptions, makeLook } from "./look.js";
import type { InstanceTree } from "./node.js";
import { type Follow, type Follower, ProgressFollower } from "./progress-follower.js";
import { endServer } from "./quit.js";
import { findNode, type TreeChange } from "./tree.js";

export interface InstanceWatcherOptions extends LookOptions {
  /** Between two looks while something is going on; default 1000. Never shorter than a look takes. */
  readonly intervalMs?: number;
  /** Between two looks while nothing changes; reached by and by. Default 5000. */
  readonly maxIntervalMs?: number;
  /** What events change is told together, so often at most; default 100. */
  readonly notifyMs?: number;
  /** How to look and to follow; default for real. */
  readonly look?: Look;
  readonly follow?: Follow;
}

export interface TreeUpdate {
  readonly tree: InstanceTree;
  /** What made it out of the tree that was told before. */
  readonly changes: readonly TreeChange[];
}

interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface EndCallOptions extends CallOptions {
  /** The process that is meant, as its node had it: another one that has the address by now is not ended. */
  readonly pid?: number;
  readonly timeoutMs?: number;
}

/** How much longer each pause is than the one before while nothing changes. */
const backOff = 1.5;

/** Nothing is looked at before {@link refresh} or {@link start}. Safe to start and stop any number of times. */
export class InstanceWatcher implements AsyncDisposable {
  readonly #options: InstanceWatcherOptions;
  readonly #look: Look;
  readonly #follow: Follow;
  readonly #model = new InstanceModel();
  readonly #listeners = new Set<(update: TreeUpdate) => void>();
  readonly #followers = new Map<string, { readonly process: string; readonly follower: Follower }>();
  readonly #closed = new AbortController();
  #polling: { readonly stop: AbortController; readonly over: Promise<void> } | undefined;
  #wake = new AbortController();
  #current: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #notifying: NodeJS.Timeout | undefined;
  #lookedAt = 0;

  constructor(options: InstanceWatcherOptions = {}) {
    this.#options = options;
    this.#look = options.look ?? makeLook(options);
    this.#follow = options.follow ?? ((endpoint, onEvent) => new ProgressFollower(endpoint, onEvent));
  }

  /** As it was last told. */
  get tree(): InstanceTree {
    return this.#model.tree;
  }

  /** When the last look ended, in milliseconds since the epoch; 0 before the first. */
  get lookedAt(): number {
    return this.#lookedAt;
  }

  /** Calls back with every change; returns what ends that. */
  subscribe(listener: (update: TreeUpdate) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Begins to look regularly and to follow executions. */
  start(): void {
    if (this.#polling !== undefined || this.#closed.signal.aborted) return;
    const stop = new AbortController();
    this.#polling = { stop, over: this.#poll(stop.signal) };
  }

  async #poll(stop: AbortSignal): Promise<void> {
    const { intervalMs = 1000, maxIntervalMs = 5000 } = this.#options;
    let delay = intervalMs;
    let before = "";
    while (!stop.aborted) {
      const begin = performance.now();
      // A failed look is in the tree.
      await this.refresh().catch(() => undefined);
      const now = this.#activity();
      delay = now === undefined || now !== before ? intervalMs : Math.min(maxIntervalMs, delay * backOff);
      before = now ?? "";
      this.#wake = new AbortController();
      const took = performance.now() - begin;
      await pause(Math.max(delay, took), AbortSignal.any([stop, this.#wake.signal]));
      if (this.#wake.signal.aborted) delay = intervalMs;
    }
  }

  /** What pauses depend on: `undefined` while something is going on, else the same text as long as everything stays as it is. */
  #activity(): string | undefined {
    const { servers, error } = this.tree;
    const isActive = servers.some(
      (s) =>
        s.state === "launching" || s.state === "starting" || s.missed > 0 || (s.running ?? 0) > 0 || s.busy,
    );
    return isActive ? undefined : JSON.stringify([error, servers.map((s) => [s.key, s.state, s.pid])]);
  }

  /** Stops looking and following; what is known stays. */
  async stop(): Promise<void> {
    const polling = this.#polling;
    this.#polling = undefined;
    polling?.stop.abort();
    await polling?.over;
    await this.#closeUnused();
  }

  /** Without polling nothing is followed between looks. */
  async #closeUnused(): Promise<void> {
    if (this.#polling === undefined) await this.#closeFollowers(() => true);
  }

  /**
   * Looks now, or when the look that is under way is over: the tree is then not older than this call. Those who ask at the same time share one
   * look. Throws what the look throws, ERR_CANCELLED after {@link close}.
   */
  refresh(): Promise<void> {
    this.#next ??= (async () => {
      await this.#current?.catch(() => undefined);
      this.#next = undefined;
      this.#current = this.#lookOnce();
      await this.#current;
    })();
    return this.#next;
  }

  async #lookOnce(): Promise<void> {
    const { signal } = this.#closed;
    if (signal.aborted) throw new TilecastError("ERR_CANCELLED", "the watcher is closed");
    try {
      const questions = this.#model.scan(await this.#look(signal));
      this.#followAll();
      await Promise.all(questions.map((question) => this.#ask(question)));
    } catch (error) {
      if (!signal.aborted) this.#model.failed(error instanceof Error ? error.message : String(error));
      throw error;
    } finally {
      await this.#closeUnused();
      this.#lookedAt = Date.now();
      this.#notify();
    }
  }

  #followAll(): void {
    const servers = new Map(this.#model.executionServers().map((server) => [server.key, server]));
    void this.#closeFollowers((key, process) => servers.get(key)?.process !== process);
    for (const { key, endpoint, process } of servers.values()) {
      if (this.#followers.has(key)) continue;
      const follower = this.#follow(endpoint, (event) => {
        // Late ones of a connection that is being closed.
        if (this.#followers.get(key)?.follower === follower && this.#model.event(key, event))
          this.#notifySoon();
      });
      this.#followers.set(key, { process, follower });
    }
  }

  async #closeFollowers(which: (key: string, process: string) => boolean): Promise<void> {
    const closing = [...this.#followers].filter(([key, { process }]) => which(key, process));
    for (const [key] of closing) this.#followers.delete(key);
    await Promise.all(closing.map(([, { follower }]) => follower[Symbol.asyncDispose]()));
  }

  async #ask(question: Question): Promise<void> {
    const follower = this.#followers.get(question.key)?.follower;
    try {
      if (follower)
        this.#model.record(question, await follower.status(question.executionId, this.#closed.signal));
    } catch (error) {
      // A server that does not answer is asked again at the next look.
      if (!isTilecastError(error)) throw error;
    }
  }

  #notifySoon(): void {
    this.#notifying ??= setTimeout(() => this.#notify(), this.#options.notifyMs ?? 100).unref();
  }

  #notify(): void {
    clearTimeout(this.#notifying);
    this.#notifying = undefined;
    const { version } = this.tree;
    const changes = this.#model.update();
    if (this.tree.version === version) return;
    for (const listener of this.#listeners) {
      try {
        listener({ tree: this.tree, changes });
      } catch (error) {
        // It is the process's to know, as for any event, and no reason to stop watching.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  #server(key: string) {
    const server = this.#model.server(key);
    if (server === undefined) throw new TilecastError("ERR_INSTANCE", `there is no server ${key} (any more)`);
    return server;
  }

  /**
   * Asks a server to end, and waits until it is gone. Throws ERR_INSTANCE for one that does not answer or is no server of the family,
   * ERR_TIMEOUT when it stays.
   */
  quit(key: string, options: EndCallOptions = {}): Promise<void> {
    return this.#end(key, "quit", options);
  }

  /**
   * Asks it by force, and kills its process when it does not go: the one that its pong has named, if that is still the very same. One that
   * hangs is killed at once. Throws ERR_INSTANCE where no process is known, or the address is another one's by now.
   */
  forceQuit(key: string, options: EndCallOptions = {}): Promise<void> {
    return this.#end(key, "force-quit", options);
  }

  async #end(key: string, action: "quit" | "force-quit", { pid, ...options }: EndCallOptions): Promise<void> {
    const { found, identity } = this.#server(key);
    if (pid !== undefined && pid !== identity?.pid)
      throw new TilecastError(
        "ERR_INSTANCE",
        `${key} is not ended: process ${pid} was meant, and ${identity?.pid ?? "an unknown one"} has its address`,
      );
    this.#model.busy(key, action);
    this.#notify();
    try {
      await endServer(found.endpoint, action, identity, options);
      this.#model.gone(key);
    } finally {
      this.#model.busy(key, null);
      this.#notify();
      this.#wake.abort();
      await this.refresh().catch(() => undefined);
    }
  }

  /** Cancels one execution, by its node's key; true when it was still to end. Throws ERR_INSTANCE, ERR_TIMEOUT, ERR_REMOTE. */
  async cancel(key: string, options: CallOptions = {}): Promise<boolean> {
    const node = findNode(this.tree.servers, key);
    const server = key.slice(0, key.indexOf("/"));
    if (node?.kind !== "execution")
      throw new TilecastError("ERR_INSTANCE", `there is no execution ${key} (any more)`);
    const { endpoint } = this.#server(server).found;
    // One that is followed has a connection; where nothing is followed one is made.
    const own = this.#followers.has(server) ? undefined : this.#follow(endpoint, () => undefined);
    try {
      const follower = own ?? (this.#followers.get(server)?.follower as Follower);
      return await follower.cancel(node.executionId, options.signal);
    } finally {
      await own?.[Symbol.asyncDispose]();
      await this.refresh().catch(() => undefined);
    }
  }

  /** The end of a server's log. Throws ERR_INSTANCE where it names none, ERR_IO for a file that is not the user's own. */
  async log(key: string, bytes?: number): Promise<LogTail> {
    const { logFile } = this.#server(key);
    if (logFile === undefined) throw new TilecastError("ERR_INSTANCE", `${key} names no log`);
    return readLogTail(logFile, bytes);
  }

  /** Stops, and ends what is under way. Idempotent. */
  async close(): Promise<void> {
    this.#closed.abort();
    await this.stop();
    await this.#current?.catch(() => undefined);
    await this.#closeFollowers(() => true);
    clearTimeout(this.#notifying);
    this.#listeners.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
