// SPDX-License-Identifier: MIT
// Finds a real Python for the wire tests, with or without the real zmqruntime in it, and keeps one interpreter for many questions.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll } from "vitest";
import { leftOut, python } from "../helpers/shared.js";

function works(path: string, program: string): boolean {
  return spawnSync(path, ["-c", program], { stdio: "ignore" }).status === 0;
}

/** A Python for pickle and json: that of the oracles, else the system's. */
export function anyPython(): string | undefined {
  return python() ?? (works("python3", "import pickle") ? "python3" : undefined);
}

/** A Python that has the real peer; `undefined`, with a printed line, where there is none. */
export function zmqruntimePython(): string | undefined {
  const path = python();
  if (path !== undefined && works(path, "import zmqruntime")) return path;
  leftOut("tests against zmqruntime", "the tests' Python does not have it");
  return undefined;
}

/** One release of the real zmqruntime. */
export interface ZmqruntimePeer {
  /** What its users speak. */
  readonly generation: "C" | "D";
  readonly python: string;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * zmqruntime 0.2 (C) and 0.6 (D). The second lies in a folder of its own in the tests' environment, since one environment cannot have both;
 * their dependencies are the same.
 */
export function zmqruntimePeers(): Readonly<Record<"C" | "D", ZmqruntimePeer | undefined>> {
  const path = zmqruntimePython();
  if (path === undefined) return { C: undefined, D: undefined };
  const folder = join(dirname(dirname(path)), "generation-d");
  const hasD = existsSync(join(folder, "zmqruntime"));
  if (!hasD) leftOut("tests against zmqruntime 0.6", `${folder} is missing; scripts/setup makes it`);
  return {
    C: { generation: "C", python: path, env: {} },
    D: hasD ? { generation: "D", python: path, env: { PYTHONPATH: folder } } : undefined,
  };
}

/** A long-running Python program that answers each line of JSON with one. */
export class PythonWorker {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterableIterator<string>;
  #errors = "";

  constructor(path: string, program: string, env: Readonly<Record<string, string>> = {}) {
    this.#child = spawn(path, ["-u", "-c", program], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
    this.#child.stderr?.on("data", (d) => {
      this.#errors += d;
    });
    this.#lines = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream })[
      Symbol.asyncIterator
    ]();
    afterAll(() => this.close());
  }

  async ask(question: unknown): Promise<unknown> {
    this.#child.stdin?.write(`${JSON.stringify(question)}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`Python ended: ${this.#errors}`);
    return JSON.parse(value);
  }

  close(): void {
    this.#child.stdin?.end();
    this.#child.kill();
  }
}
