// SPDX-License-Identifier: MIT
// The files of IPC sockets: who listens on one, binding without stealing, removing only what is one's own.

import { chmodSync, closeSync, linkSync, openSync, readFileSync, rmSync, statSync, writeSync } from "node:fs";
import { connect } from "node:net";
import type { Socket } from "zeromq";
import { TilecastError } from "../errors.js";
import { pause } from "./zmq.js";

/** `absent`: no file; `stale`: a file that nobody listens on; `live`: somebody does. */
export type SocketFileState = "absent" | "stale" | "live";

/** Asks the kernel by connecting; nothing is sent. */
export function socketFileState(path: string): Promise<SocketFileState> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const end = (state: SocketFileState) => {
      socket.destroy();
      resolve(state);
    };
    socket.once("connect", () => end("live"));
    socket.once("error", ({ code }: NodeJS.ErrnoException) =>
      // A full backlog (EAGAIN) and a socket of another user (EACCES) are somebody's.
      end(code === "ENOENT" ? "absent" : code === "ECONNREFUSED" || code === "ENOTSOCK" ? "stale" : "live"),
    );
  });
}

/** What identifies a file whatever its path; `undefined` when it is gone. */
export function fileIdentity(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false, bigint: true });
  return stat && `${stat.dev}:${stat.ino}`;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/**
 * Between the look whether a path is free and the bind nobody else may bind: libzmq removes whatever file it finds. Processes of ours agree by
 * a file that is made exclusively and holds the process id; Python peers are kept out by the start-up lock, which their launchers take.
 */
async function withBindGuard<T>(path: string, work: () => Promise<T>): Promise<T> {
  const guard = `${path}.bind`;
  const deadline = Date.now() + 5000;
  let file: number | undefined;
  while (file === undefined) {
    try {
      file = openSync(guard, "wx", 0o600);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      const pid = Number(readGuard(guard));
      // Its maker writes the id at once; an empty one is that young.
      if (pid > 0 && !isRunning(pid)) rmSync(guard, { force: true });
      else if (Date.now() > deadline)
        throw new TilecastError("ERR_ENDPOINT", `${path} is being bound by process ${pid}`, {
          path,
          retriable: true,
        });
      else await pause(10);
    }
  }
  try {
    writeSync(file, String(process.pid));
    return await work();
  } finally {
    closeSync(file);
    rmSync(guard, { force: true });
  }
}

function readGuard(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** A bound IPC socket's file. */
export class SocketFile {
  private constructor(
    readonly path: string,
    readonly identity: string | undefined,
  ) {}

  /**
   * Binds `socket` to the path, readable and writable for the owner alone. A file that nobody listens on is replaced. Throws ERR_ENDPOINT,
   * retriable, when somebody listens there.
   */
  static bind(socket: Socket, path: string): Promise<SocketFile> {
    return withBindGuard(path, async () => {
      if ((await socketFileState(path)) === "live") {
        throw new TilecastError("ERR_ENDPOINT", `another server listens on ${path}`, {
          path,
          retriable: true,
        });
      }
      await socket.bind(`ipc://${path}`);
      chmodSync(path, 0o600);
      return new SocketFile(path, fileIdentity(path));
    });
  }

  /** Closes the socket by `close`, which resolves when libzmq is done, and leaves no file, but that of another process in its place. */
  async release(close: () => Promise<void>): Promise<void> {
    const now = fileIdentity(this.path);
    const isStolen = now !== undefined && now !== this.identity;
    const aside = `${this.path}.${process.pid}.keep`;
    // libzmq removes the path whatever it has become.
    if (isStolen) linkSync(this.path, aside);
    await close();
    if (isStolen) {
      try {
        linkSync(aside, this.path);
      } catch {
        // It survived.
      }
      rmSync(aside, { force: true });
    } else if (this.identity !== undefined && fileIdentity(this.path) === this.identity) {
      rmSync(this.path, { force: true });
    }
  }
}
