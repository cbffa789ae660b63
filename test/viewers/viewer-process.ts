// SPDX-License-Identifier: MIT
// A viewer process of tilecast's with a home folder of its own: its journal, its controls.

import type { ChildProcess } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ZmqClient } from "../../lib/runtime/client.js";
import { Endpoint, zmqConfigs } from "../../lib/runtime/endpoint.js";
import { asDict } from "../../lib/runtime/message-schema.js";
import type { PickleValue } from "../../lib/runtime/pickle-value.js";
import { pause } from "../../lib/runtime/zmq.js";

export type Reply = { readonly [key: string]: unknown };

/** Where the next viewer in this home tells how its start goes. */
export const newJournal = (home: string): string =>
  join(home, `startup-${Date.now()}-${Math.random().toString(36).slice(2)}.jsonl`);

export abstract class ViewerProcess implements AsyncDisposable {
  readonly endpoint: Endpoint;
  readonly client: ZmqClient;
  stderr = "";

  protected constructor(
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

  phases(): { readonly phase: string; readonly message: string }[] {
    if (!existsSync(this.journal)) return [];
    // What follows the last line's end is still being written.
    const lines = readFileSync(this.journal, "utf8").split("\n").slice(0, -1);
    return lines.map((line) => JSON.parse(line));
  }

  async ready(): Promise<void> {
    while (!this.phases().some(({ phase }) => phase === "server_ready")) {
      if (this.child.exitCode !== null || this.child.signalCode !== null)
        throw new Error(`the viewer ended before it was ready: ${this.stderr}`);
      await pause(50);
    }
  }

  /** A control; returns the reply whatever its status. */
  async ask(type: string, payload?: PickleValue): Promise<Reply> {
    const message = { type, ...(payload !== undefined && { payload }) };
    return asDict(await this.client.call(message, { timeoutMs: 60_000 })) ?? {};
  }

  /** Asks until everything that was sent is drawn. */
  async settle(): Promise<Reply> {
    for (;;) {
      const reply = await this.ask("settle");
      if (reply.settle_phase !== "running") return reply;
      await pause(20);
    }
  }

  abstract [Symbol.asyncDispose](): Promise<void>;
}
