// SPDX-License-Identifier: MIT
// How a child process ended.

import type { ChildProcess } from "node:child_process";

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
