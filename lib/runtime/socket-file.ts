// SPDX-License-Identifier: MIT
// The files of IPC sockets: who listens on one, binding without stealing, removing only what is one's own.

import { chmodSync, linkSync, rmSync, statSync } from "node:fs";
import { connect } from "node:net";
import type { Socket } from "zeromq";
import { TilecastError } from "../errors.js";
import { withBindGuard } from "./bind-guard.js";

/** `absent`: no file; `stale`: a socket that nobody listens on; `live`: somebody does; `other`: a folder, or a file that is no socket. */
export type SocketFileState = "absent" | "stale" | "live" | "other";

function isSomethingElse(path: string): boolean {
  try {
    return !statSync(path).isSocket();
  } catch {
    return false;
  }
}

/** Asks the kernel by connecting; nothing is sent. */
export function socketFileState(path: string): Promise<SocketFileState> {
  return new Promise((resolve) => {
    if (isSomethingElse(path)) return resolve("other");
    const socket = connect(path);
    const end = (state: SocketFileState) => {
      socket.destroy();
      resolve(state);
    };
    socket.once("connect", () => end("live"));
    socket.once("error", ({ code }: NodeJS.ErrnoException) =>
      // A full backlog (EAGAIN) and a socket of another user (EACCES) are somebody's.
      end(code === "ENOENT" || code === "ENOTDIR" ? "absent" : code === "ECONNREFUSED" ? "stale" : "live"),
    );
  });
}

/** What identifies a file whatever its path; `undefined` when it is gone. */
export function fileIdentity(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false, bigint: true });
  return stat && `${stat.dev}:${stat.ino}`;
}

/** A bound IPC socket's file. */
export class SocketFile {
  private constructor(
    readonly path: string,
    readonly identity: string | undefined,
  ) {}

  /**
   * Binds `socket` to the path, readable and writable for the owner alone. A file that nobody listens on is replaced. Throws ERR_ENDPOINT,
   * retriable, when somebody listens there, and for what is no socket.
   */
  static bind(socket: Socket, path: string): Promise<SocketFile> {
    return withBindGuard(path, async () => {
      const state = await socketFileState(path);
      if (state === "live") {
        throw new TilecastError("ERR_ENDPOINT", `another server listens on ${path}`, {
          path,
          retriable: true,
        });
      }
      // libzmq would remove it.
      if (state === "other") {
        throw new TilecastError(
          "ERR_ENDPOINT",
          `${path} is there and no socket: remove it, or use another port`,
          {
            path,
          },
        );
      }
      try {
        await socket.bind(`ipc://${path}`);
      } catch (cause) {
        throw new TilecastError("ERR_ENDPOINT", `cannot listen on ${path}: ${(cause as Error).message}`, {
          path,
          cause,
        });
      }
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
