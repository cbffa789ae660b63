// SPDX-License-Identifier: MIT
// Check, connect, start: finds a running server or starts one, so that however many ask at once, there is one.

import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { TilecastError } from "../errors.js";
import { type Endpoint, type EndpointOptions, ensureSocketDir, toEndpoint } from "./endpoint.js";
import type { Generation } from "./message-schema.js";
import type { Pong } from "./messages.js";
import { type EndpointState, probeEndpoint } from "./probe.js";
import { lockStartup } from "./startup-lock.js";
import { StartupReader, type StartupStatus } from "./startup-status.js";
import { cancelled, pause } from "./zmq.js";

/** How to start a server. It gets no input; what it prints goes to `logFile`. */
export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Default: a file beside the sockets. */
  readonly logFile?: string;
}

export interface InstanceManagerOptions {
  readonly endpoint: Endpoint | EndpointOptions;
  /** The command for this endpoint; `journal` is the file to report progress of the start to. Without it nothing is ever started. */
  readonly launch?: (context: {
    readonly endpoint: Endpoint;
    readonly journal: string;
  }) => Launch | Promise<Launch>;
  /** Why a server that answers is not the one wanted, e.g. another application's; `undefined` when it is. */
  readonly reject?: (pong: Pong) => string | undefined;
  readonly pingTimeoutMs?: number;
  /** How long a starting server may be silent: each line of its journal extends it. Default 30 000. */
  readonly startTimeoutMs?: number;
  /** How long another process may hold the start-up lock. Default 120 000. */
  readonly lockTimeoutMs?: number;
  readonly onStatus?: (status: StartupStatus) => void;
}

export interface Instance {
  readonly endpoint: Endpoint;
  readonly pong: Pong;
  readonly generation: Generation;
  /** Whether this call started it. It lives on without its starter; {@link stopServer} ends it. */
  readonly started: boolean;
  readonly pid: number | undefined;
}

interface CallOptions {
  readonly signal?: AbortSignal;
}

export class InstanceManager {
  readonly endpoint: Endpoint;
  readonly #options: InstanceManagerOptions;

  constructor(options: InstanceManagerOptions) {
    this.#options = options;
    this.endpoint = toEndpoint(options.endpoint);
  }

  /** What is there now. A server that `reject` rejects counts as foreign. */
  async check({ signal }: CallOptions = {}): Promise<EndpointState> {
    const found = await probeEndpoint(this.endpoint, {
      timeoutMs: this.#options.pingTimeoutMs ?? 1000,
      signal,
    });
    if (found.state !== "ready" && found.state !== "starting") return found;
    const why = this.#options.reject?.(found.pong);
    return why === undefined ? found : { state: "foreign", why };
  }

  /** Connects to what runs. Throws ERR_INSTANCE, and starts nothing, when none is ready. */
  async connect(options: CallOptions = {}): Promise<Instance> {
    const found = await this.check(options);
    const instance = this.#attached(found);
    if (instance === undefined) throw this.#unusable(found);
    return instance;
  }

  #attached(found: EndpointState, child?: ChildProcess): Instance | undefined {
    if (found.state !== "ready") return undefined;
    const { pong, generation } = found;
    const pid = pong.process_identity?.pid ?? child?.pid;
    return { endpoint: this.endpoint, pong, generation, started: child !== undefined, pid };
  }

  #unusable(found: EndpointState): TilecastError {
    const why = {
      absent: "nobody listens there",
      stale: "its process is gone and has left its socket files",
      starting: "it is not ready yet",
      ready: "it is ready",
    };
    const text = found.state === "hung" || found.state === "foreign" ? found.why : why[found.state];
    const advice =
      found.state === "hung" || found.state === "foreign"
        ? "; it is left alone, since nothing proves whose it is: end it yourself or use another port"
        : "";
    return new TilecastError("ERR_INSTANCE", `${this.endpoint}: ${text}${advice}`, {
      retriable: found.state !== "foreign",
    });
  }

  /**
   * Connects to what runs, or starts it. Throws ERR_INSTANCE when something else is there (it is never killed), or when the started process
   * ends or reports a failure; ERR_TIMEOUT when it is silent for too long (it is killed, being ours); ERR_CANCELLED through the signal.
   */
  async ensure(options: CallOptions = {}): Promise<Instance> {
    const first = this.#attached(await this.check(options));
    if (first !== undefined) return first;
    const { signal } = options;
    await using _lock = await lockStartup(this.endpoint, {
      timeoutMs: this.#options.lockTimeoutMs ?? 120_000,
      signal,
    });
    // Whoever held the lock has started one in the meantime.
    const found = await this.check(options);
    const second = this.#attached(found);
    if (second !== undefined) return second;
    // Awaited here: the lock is released at the end of this scope.
    if (found.state === "starting") return await this.#waitUntilReady(undefined, undefined, signal);
    if (found.state === "hung" || found.state === "foreign") throw this.#unusable(found);
    // Peers take a file for a server.
    if (found.state === "stale") for (const file of found.files) rmSync(file, { force: true });
    return await this.#start(signal);
  }

  async #start(signal: AbortSignal | undefined): Promise<Instance> {
    const { launch } = this.#options;
    if (launch === undefined)
      throw new TilecastError(
        "ERR_INSTANCE",
        `${this.endpoint}: nobody listens there, and how to start a server is not known`,
      );
    ensureSocketDir(this.endpoint);
    const dir = dirname(this.endpoint.startupLockPath);
    const journal = join(dir, `startup-${this.endpoint.port}-${randomUUID()}.jsonl`);
    const given = await launch({ endpoint: this.endpoint, journal });
    const logFile = given.logFile ?? join(dir, `server-${this.endpoint.port}.log`);
    mkdirSync(dirname(logFile), { recursive: true, mode: 0o700 });
    const log = openSync(logFile, "w", 0o600);
    const child = spawn(given.command, given.args, {
      // A session of its own: neither Ctrl-C nor the end of the starter ends it.
      detached: true,
      stdio: ["ignore", log, log],
      env: { ...process.env, ...given.env },
      ...(given.cwd === undefined ? {} : { cwd: given.cwd }),
    });
    closeSync(log);
    const ended = new Promise<string>((resolve) => {
      child.once("error", (error) => resolve(`could not be started: ${error.message}`));
      child.once("exit", (code, name) =>
        resolve(name ? `was ended by ${name}` : `ended with exit code ${code}`),
      );
    });
    try {
      const instance = await this.#waitUntilReady(
        { child, ended, logFile },
        new StartupReader(journal),
        signal,
      );
      child.unref();
      return instance;
    } catch (error) {
      await end(child, ended);
      throw error;
    } finally {
      rmSync(journal, { force: true });
    }
  }

  async #waitUntilReady(
    own:
      | { readonly child: ChildProcess; readonly ended: Promise<string>; readonly logFile: string }
      | undefined,
    reader: StartupReader | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Instance> {
    const startTimeoutMs = this.#options.startTimeoutMs ?? 30_000;
    let active = performance.now();
    let last: StartupStatus | undefined;
    let exit: string | undefined;
    const exited = new AbortController();
    void own?.ended.then((how) => {
      exit = how;
      exited.abort();
    });
    const said = () => (last === undefined ? "" : `; its last words: ${last.phase}: ${last.message}`);
    while (true) {
      for (const status of reader?.read() ?? []) {
        last = status;
        active = performance.now();
        this.#options.onStatus?.(status);
      }
      if (signal?.aborted) throw cancelled(signal, `starting ${this.endpoint}`);
      const isOver = exit !== undefined || last?.phase === "failed";
      const found = await this.check(signal ? { signal } : {});
      // Ours may have ended because another one was faster: that of a starter which was killed.
      const instance = this.#attached(found, exit === undefined ? own?.child : undefined);
      if (instance !== undefined) return instance;
      if (isOver && found.state !== "starting") {
        throw new TilecastError(
          "ERR_INSTANCE",
          `the server for ${this.endpoint} ${exit ?? "reported a failure"}${said()}${tail(own?.logFile)}`,
        );
      }
      const silent = performance.now() - active;
      if (silent >= startTimeoutMs) {
        throw new TilecastError(
          "ERR_TIMEOUT",
          `the server for ${this.endpoint} was not ready and silent for ${Math.round(silent)} ms${said()}${tail(own?.logFile)}`,
          { retriable: true },
        );
      }
      if (found.state === "foreign") throw this.#unusable(found);
      const stops = [signal, exit === undefined ? exited.signal : undefined].filter((s) => s !== undefined);
      await pause(50, AbortSignal.any(stops));
    }
  }
}

/** Our own child, which nobody has seen ready. */
async function end(child: ChildProcess, ended: Promise<string>): Promise<void> {
  for (const name of ["SIGTERM", "SIGKILL"] as const) {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(name);
    const gone = new AbortController();
    void ended.then(() => gone.abort());
    await pause(5000, gone.signal);
  }
}

/** The end of a log, to say why. */
function tail(logFile: string | undefined): string {
  if (logFile === undefined) return "";
  try {
    const lines = readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-5).join("\n");
    return lines === "" ? `; its log ${logFile} is empty` : `; its log ${logFile} ends with:\n${lines}`;
  } catch {
    return "";
  }
}
