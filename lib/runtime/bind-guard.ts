// SPDX-License-Identifier: MIT
// Keeps processes of ours from binding one socket path at once: libzmq removes whatever file it finds there.

import { randomUUID } from "node:crypto";
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { TilecastError } from "../errors.js";
import { isAlive, thisProcess } from "./process-identity.js";
import { pause } from "./zmq.js";

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}

/** Whether the process that wrote this, its id and where known its start time, has ended. */
function isLeftOver(text: string): boolean {
  const [pid, time] = text.split(" ").map(Number);
  if (pid === undefined || !(pid > 0)) return true;
  return (time === undefined ? undefined : isAlive({ pid, create_time: time })) === false || !isRunning(pid);
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** Removes the guard of a dead process, and not that of one which has taken its place since it was read. */
function discard(guard: string, text: string): void {
  const aside = `${guard}.${randomUUID()}`;
  try {
    renameSync(guard, aside);
    if (textOf(aside) !== text) linkSync(aside, guard);
  } catch {
    // Somebody else was faster.
  }
  rmSync(aside, { force: true });
}

/**
 * Does `work` while this process alone may bind `path`. The guard is a file beside it, which says whose it is; linked, so that it is never
 * there without its content. Python peers do not look at it: they are kept out by the start-up lock, which their launchers take. Throws
 * ERR_ENDPOINT when the folder cannot be written to, or, retriable, when another process binds for more than five seconds.
 */
export async function withBindGuard<T>(path: string, work: () => Promise<T>): Promise<T> {
  const guard = `${path}.bind`;
  const own = `${guard}.${randomUUID()}`;
  const { pid, create_time } = { create_time: undefined, ...(thisProcess() ?? { pid: process.pid }) };
  try {
    writeFileSync(own, create_time === undefined ? `${pid}` : `${pid} ${create_time}`, { mode: 0o600 });
  } catch (cause) {
    throw new TilecastError("ERR_ENDPOINT", `cannot listen on ${path}: ${(cause as Error).message}`, {
      path,
      cause,
    });
  }
  try {
    await take(guard, own, path);
    try {
      return await work();
    } finally {
      rmSync(guard, { force: true });
    }
  } finally {
    rmSync(own, { force: true });
  }
}

async function take(guard: string, own: string, path: string): Promise<void> {
  const deadline = Date.now() + 5000;
  while (true) {
    try {
      return linkSync(own, guard);
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
    }
    const text = textOf(guard);
    if (text === undefined) continue;
    if (isLeftOver(text)) discard(guard, text);
    else if (Date.now() > deadline) {
      const [pid] = text.split(" ");
      throw new TilecastError("ERR_ENDPOINT", `${path} is being bound by process ${pid}`, {
        path,
        retriable: true,
      });
    } else await pause(10);
  }
}
