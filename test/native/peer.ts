// SPDX-License-Identifier: MIT
// Another process that answers each line of JSON with one.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { python } from "../helpers/shared.js";

const children: ChildProcess[] = [];

/** Ends what a test has left running. */
export function killPeers(): void {
  for (const child of children.splice(0)) child.kill("SIGKILL");
}

export class Peer {
  readonly child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  /** A program of this folder. */
  static node(file: string): Peer {
    return new Peer(process.execPath, fileURLToPath(new URL(file, import.meta.url)));
  }

  static python(file: string): Peer {
    return new Peer(python() as string, fileURLToPath(new URL(file, import.meta.url)));
  }

  private constructor(command: string, ...args: string[]) {
    this.child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
    children.push(this.child);
    if (this.child.stdout === null) throw new Error("no stdout");
    this.#lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  async ask(message: unknown): Promise<Record<string, unknown>> {
    this.child.stdin?.write(`${JSON.stringify(message)}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("the peer ended");
    return JSON.parse(value);
  }

  async kill(): Promise<void> {
    const gone = once(this.child, "exit");
    this.child.kill("SIGKILL");
    await gone;
  }
}
