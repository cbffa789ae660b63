// SPDX-License-Identifier: MIT
// Starts servers in processes of their own, and ends them with the test.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach } from "vitest";
import type { Endpoint } from "../../lib/runtime/index.js";

const script = fileURLToPath(new URL("server-child.mjs", import.meta.url));

export function childServers() {
  const running: ChildProcess[] = [];
  afterEach(async () => {
    for (const child of running.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    }
  });
  return {
    keep<T extends ChildProcess>(child: T): T {
      running.push(child);
      return child;
    },
    /** Resolves when it listens. */
    async start(kind: "execution" | "viewer", endpoint: Endpoint, logFile = ""): Promise<ChildProcess> {
      const { mode, port, socketDir } = endpoint;
      const child = this.keep(
        spawn(process.execPath, [script, kind, mode, String(port), socketDir, logFile], {
          stdio: ["ignore", "pipe", "inherit"],
        }),
      );
      const [first] = await Promise.race([
        once(child.stdout as NodeJS.ReadableStream, "data"),
        once(child, "exit"),
      ]);
      if (String(first) !== "ready\n") throw new Error(`the server ended with ${first}`);
      return child;
    },
  };
}

/** Resolves when it has ended, with how. */
export async function exitOf(child: ChildProcess): Promise<number | NodeJS.Signals | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.signalCode ?? child.exitCode;
}
