// SPDX-License-Identifier: MIT
// Starts tilecast's napari viewer on a display, as a user's machine has it, each viewer with a home folder of its own.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { asDict } from "../../lib/runtime/message-schema.js";
import { ended } from "../helpers/ended.js";
import { leftOut, repository, viewersPython } from "../helpers/shared.js";
import { newJournal, type Reply, ViewerProcess } from "./viewer-process.js";

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

export interface NapariStart {
  readonly python: string;
  readonly display: string;
  /** Home folder; its sockets are there. */
  readonly home: string;
  readonly port?: number;
  readonly args?: readonly string[];
}

/** One viewer process. */
export class NapariProcess extends ViewerProcess {
  /** Starts it, without waiting. */
  static spawn({ python, display, home, port = 5555, args = [] }: NapariStart): NapariProcess {
    const journal = newJournal(home);
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

  /** What the pong says under `tilecast`. */
  async status(): Promise<Reply> {
    return asDict((await this.ask("ping")).tilecast) ?? {};
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

  override async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGCONT");
    await this.stop("SIGKILL");
  }
}
