// SPDX-License-Identifier: MIT
// An X display of the tests' own (Xvfb), so that viewers can open their windows anywhere.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

export interface Display extends AsyncDisposable {
  /** Value of DISPLAY, e.g. `:101`. */
  readonly name: string;
}

/** Starts Xvfb on a free display number, which it chooses itself. Rejects where Xvfb is not installed. */
export async function startDisplay(width = 1400, height = 1000): Promise<Display> {
  const server: ChildProcess = spawn(
    "Xvfb",
    ["-displayfd", "3", "-screen", "0", `${width}x${height}x24`, "-nolisten", "tcp"],
    { stdio: ["ignore", "ignore", "ignore", "pipe"] },
  );
  const ended = once(server, "close");
  const number = await Promise.race([
    (async () => {
      let text = "";
      for await (const chunk of server.stdio[3] as NodeJS.ReadableStream) {
        text += chunk;
        if (text.includes("\n")) return text.trim();
      }
      throw new Error("Xvfb ended before it had a display");
    })(),
    once(server, "error").then(([error]) => {
      throw error;
    }),
  ]);
  return {
    name: `:${number}`,
    async [Symbol.asyncDispose]() {
      server.kill();
      await ended;
    },
  };
}
