// SPDX-License-Identifier: MIT
// Runs users' functions on Node worker threads, for native threads that wait for them.

import { Worker } from "node:worker_threads";
import type { NativeFunctionCall, NativeRunner, NativeTilePool } from "../native.js";
import type { PlaneRef } from "../plates/plate.js";
import type { Job, Plan } from "./plan.js";

/** What a worker is told of each call; it maps the pool itself, so no pixel is sent. */
export interface FunctionMessage {
  readonly call: NativeFunctionCall;
  readonly module: string;
  readonly export: string;
  readonly params: unknown;
  readonly components: {
    readonly well: string;
    readonly site: number;
    readonly channel: number;
    readonly timepoint: number;
  };
}

export interface FunctionReply {
  readonly id: number;
  readonly error?: string;
}

/** A worker is started for each call that finds none idle: never more than the native threads that can wait at once. */
export class FunctionHost {
  readonly #idle: Worker[] = [];
  readonly #all = new Set<Worker>();
  readonly #calls = new Map<Worker, number>();
  #closed = false;

  constructor(
    readonly pool: NativeTilePool,
    readonly runner: NativeRunner,
    readonly plan: Pick<Plan, "resources">,
  ) {}

  call(call: NativeFunctionCall, job: Job | undefined): void {
    const resource = this.plan.resources[call.resource];
    if (this.#closed || resource?.kind !== "function" || job === undefined) {
      this.runner.completeCall(call.id, "the run was stopped");
      return;
    }
    const { well, site, channel, timepoint } = job.sources[call.source] as PlaneRef;
    const worker = this.#idle.pop() ?? this.#start();
    this.#calls.set(worker, call.id);
    const message: FunctionMessage = {
      call,
      module: resource.module,
      export: resource.export,
      params: resource.params,
      components: { well, site, channel, timepoint },
    };
    worker.postMessage(message);
  }

  #start(): Worker {
    const worker = new Worker(new URL("./function-worker.js", import.meta.url), {
      workerData: { pool: this.pool.id },
    });
    this.#all.add(worker);
    const end = (why: string) => {
      this.#all.delete(worker);
      const id = this.#calls.get(worker);
      this.#calls.delete(worker);
      if (id !== undefined) this.runner.completeCall(id, why);
    };
    worker.on("message", (reply: FunctionReply) => {
      this.#calls.delete(worker);
      this.#idle.push(worker);
      this.runner.completeCall(reply.id, reply.error);
    });
    worker.on("error", (error) => end(`the worker thread of the function died: ${error.message}`));
    worker.on("exit", (code) => end(`the worker thread of the function ended with code ${code}`));
    return worker;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#all].map((w) => w.terminate()));
  }
}
