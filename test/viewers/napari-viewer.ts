// SPDX-License-Identifier: MIT
// Starts a display and tilecast's napari viewer on it, as a user's machine has them, each viewer with a home folder of its own.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ZmqClient } from "../../lib/runtime/client.js";
import { Endpoint, zmqConfigs } from "../../lib/runtime/endpoint.js";
import { asDict } from "../../lib/runtime/message-schema.js";
import type { PickleValue } from "../../lib/runtime/pickle-value.js";
import { pause } from "../../lib/runtime/zmq.js";
import { leftOut, repository, viewersPython } from "../helpers/shared.js";

/** A Python with napari, where there are also Xvfb and the package; `undefined`, with a printed line, otherwise. */
export function napariPython(): string | undefined {
  const path = viewersPython();
  if (path === undefined) return undefined;
  const why =
    spawnSync("Xvfb", ["-help"]).error !== undefined
      ? "no Xvfb"
      : spawnSync(path, ["-c", "import napari, qtpy.QtWidgets"], { stdio: "ignore" }).status !== 0
        ? "its Python has no napari"
        : undefined;
  if (why === undefined) return path;
  leftOut("tests of the napari viewer", why);
  return undefined;
}

/** A display of its own; the server picks the number. */
export class Display implements AsyncDisposable {
  private constructor(
    readonly child: ChildProcess,
    readonly name: string,
  ) {}

  static async open(): Promise<Display> {
    const child = spawn("Xvfb", ["-displayfd", "3", "-screen", "0", "1400x1000x24", "-nolisten", "tcp"], {
      stdio: ["ignore", "ignore", "ignore", "pipe"],
    });
    const number = await new Promise<string>((resolve, reject) => {
      let text = "";
      child.stdio[3]?.on("data", (d) => {
        text += d;
        if (text.includes("\n")) resolve(text.trim());
      });
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`Xvfb ended with ${code}`)));
    });
    return new Display(child, `:${number}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await ended(this.child, () => this.child.kill());
  }
}

/** Resolves with the exit code (or the signal's name) of a process that is told to end. */
export async function ended(child: ChildProcess, tell?: () => void): Promise<number | string> {
  const over = () => child.exitCode ?? child.signalCode;
  const before = over();
  if (before !== null) return before;
  const end = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  tell?.();
  await end;
  return over() as number | string;
}

export interface NapariStart {
  readonly python: string;
  readonly display: string;
  /** Home folder; its sockets are there. */
  readonly home: string;
  readonly port?: number;
  readonly args?: readonly string[];
}

/** One viewer process. */
export class NapariProcess implements AsyncDisposable {
  readonly endpoint: Endpoint;
  readonly client: ZmqClient;
  stderr = "";

  private constructor(
    readonly child: ChildProcess,
    readonly home: string,
    port: number,
    readonly journal: string,
  ) {
    const config = { ...zmqConfigs.tilecast, ipcSocketDir: join(home, ".tilecast", "ipc") };
    this.endpoint = new Endpoint({ port, config, mode: "ipc" });
    this.client = new ZmqClient({ endpoint: this.endpoint });
    child.stderr?.on("data", (d) => {
      this.stderr += d;
    });
  }

  /** Starts it, without waiting. */
  static spawn({ python, display, home, port = 5555, args = [] }: NapariStart): NapariProcess {
    const journal = join(home, `startup-${Date.now()}-${Math.random().toString(36).slice(2)}.jsonl`);
    const child = spawn(
      python,
      ["-m", "tilecast_napari", "--port", String(port), "--startup-status", journal, ...args],
      {
        stdio: ["ignore", "ignore", "pipe"],
        env: {
          ...process.env,
          HOME: home,
          XDG_RUNTIME_DIR: home,
          NAPARI_CONFIG: join(home, "napari.yaml"),
          DISPLAY: display,
          QT_QPA_PLATFORM: "xcb",
          LIBGL_ALWAYS_SOFTWARE: "1",
          PYTHONPATH: join(repository, "viewers", "napari"),
        },
      },
    );
    return new NapariProcess(child, home, port, journal);
  }

  /** Starts it and waits until it says that it is ready. */
  static async start(options: NapariStart): Promise<NapariProcess> {
    const viewer = NapariProcess.spawn(options);
    await viewer.ready();
    return viewer;
  }

  phases(): { readonly phase: string; readonly message: string }[] {
    if (!existsSync(this.journal)) return [];
    return readFileSync(this.journal, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  }

  async ready(): Promise<void> {
    while (!this.phases().some(({ phase }) => phase === "server_ready")) {
      if (this.child.exitCode !== null || this.child.signalCode !== null)
        throw new Error(`the viewer ended before it was ready: ${this.stderr}`);
      await pause(50);
    }
  }

  /** A control; returns the reply whatever its status. */
  async ask(type: string, payload?: PickleValue): Promise<{ readonly [key: string]: unknown }> {
    const reply = await this.client.call(
      { type, ...(payload !== undefined && { payload }) },
      { timeoutMs: 30_000 },
    );
    return asDict(reply) ?? {};
  }

  /** What the pong says under `tilecast`. */
  async status(): Promise<{ readonly [key: string]: unknown }> {
    return asDict((await this.ask("ping")).tilecast) ?? {};
  }

  async settle(): Promise<string> {
    while (true) {
      const { settle_phase: phase } = await this.ask("settle");
      if (phase !== "running") return String(phase);
      await pause(20);
    }
  }

  /** The bytes that the viewer has for a plane, and whether it had them in memory. */
  async readPlane(routeKey: string, values: { readonly [component: string]: string | number }) {
    const reply = await this.ask("read_plane", { route_key: routeKey, axis_indices: { ...values } });
    if (reply.status !== "success") throw new Error(String(reply.message));
    return {
      shape: reply.shape as number[],
      dtype: String(reply.dtype),
      bytes: Buffer.from(String(reply.data), "base64"),
      resident: reply.resident === true,
    };
  }

  socketFiles(): string[] {
    const folder = join(this.home, ".tilecast", "ipc");
    return existsSync(folder) ? readdirSync(folder) : [];
  }

  /** Ends it as a desktop does; returns the exit code. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | string> {
    const code = await ended(this.child, () => this.child.kill(signal));
    await this.client.close();
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGCONT");
    await this.stop("SIGKILL");
  }
}
