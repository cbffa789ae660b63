// SPDX-License-Identifier: MIT
// `tilecast run --view web`: the page of a run.

import { basename, join, resolve } from "node:path";
import { TilecastError } from "../errors.js";
import { InstanceWatcher } from "../manager/index.js";
import type { Plate } from "../plates/plate.js";
import { Gateway } from "../web/gateway.js";
import { addInstances } from "../web/instances.js";
import { RunView } from "../web/run-view.js";
import { openBrowser, untilInterrupted } from "./view.js";

/** The page of one run: open while it goes on, and until Ctrl-C where somebody sits at the terminal. */
export class RunPage {
  private constructor(
    readonly gateway: Gateway,
    readonly view: RunView,
    /** Aborted by the page's button. */
    readonly cancelled: AbortSignal,
  ) {}

  /** Throws ERR_ENDPOINT where the port is taken. */
  static async open(port: number, plate: Plate, out: string, quiet: boolean): Promise<RunPage> {
    const gateway = await new Gateway({ port }).start();
    addInstances(gateway, new InstanceWatcher());
    const cancel = new AbortController();
    const view = await RunView.open(gateway, {
      plate,
      name: basename(resolve(out)),
      table: join(resolve(out), "measurements.csv"),
      cancel: () => cancel.abort(new TilecastError("ERR_CANCELLED", "cancelled in the page")),
    });
    if (!quiet) process.stderr.write(`${gateway.url}\n`);
    openBrowser(gateway.url);
    return new RunPage(gateway, view, cancel.signal);
  }

  async close(): Promise<void> {
    if (process.stderr.isTTY && process.stdin.isTTY && !this.cancelled.aborted) {
      process.stderr.write(`Still shown at ${this.gateway.url} until Ctrl-C; later: tilecast view DIR\n`);
      await untilInterrupted();
    }
    await this.gateway.close();
  }
}
