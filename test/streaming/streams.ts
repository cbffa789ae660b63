// SPDX-License-Identifier: MIT
// Pools, receivers, streams and viewer processes for the tests, each ended after the test that made it.

import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach } from "vitest";
import { TilePool } from "../../lib/image/tile-pool.js";
import type { Endpoint } from "../../lib/runtime/endpoint.js";
import { NullReceiver, type NullReceiverOptions } from "../../lib/streaming/receiver.js";
import { ViewerStream, type ViewerStreamOptions } from "../../lib/streaming/viewer-stream.js";
import { testEndpoints } from "../runtime/endpoints.js";
import { planeBytes } from "./senders.js";

/** Waits for what will be, without a limit of its own: the test's is the limit. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((r) => setTimeout(r, 5));
}

/** Names that a pool's slots have for readers. */
export const exportsOf = (pool: TilePool): string[] =>
  readdirSync("/dev/shm").filter((name) => name.startsWith(`tc-${pool.id}-x`));

export interface ViewerChild {
  readonly process: ChildProcess;
  /** What it has printed since it was ready: a line a plane. */
  readonly lines: string[];
}

export function testStreams() {
  const endpoints = testEndpoints();
  const pools: TilePool[] = [];
  const children: ChildProcess[] = [];
  afterEach(() => {
    for (const pool of pools.splice(0)) pool.close();
    for (const child of children.splice(0)) child.kill("SIGKILL");
  });
  return {
    endpoints,
    makePool(slots: number): TilePool {
      const pool = TilePool.create({ slotBytes: planeBytes, slots });
      pools.push(pool);
      return pool;
    },
    connect: async (endpoint: Endpoint, options: Partial<ViewerStreamOptions> = {}): Promise<ViewerStream> =>
      endpoints.keep(await ViewerStream.connect({ ...options, endpoint })),
    receive: async (options: Partial<NullReceiverOptions> = {}): Promise<NullReceiver> =>
      endpoints.keep(await new NullReceiver({ endpoint: endpoints.ipc(), ...options }).start()),
    /** A viewer in a process of its own, ready; `mute` never answers a batch. */
    async child(endpoint: Endpoint, behaviour: "answer" | "mute"): Promise<ViewerChild> {
      const program = fileURLToPath(new URL("viewer-child.mjs", import.meta.url));
      const args = [program, `${endpoint.port}`, endpoint.socketDir, behaviour];
      const process_ = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
      children.push(process_);
      const lines: string[] = [];
      createInterface({ input: process_.stdout }).on("line", (line) => lines.push(line));
      await until(() => lines.includes("ready"));
      lines.splice(0);
      return { process: process_, lines };
    },
  };
}
