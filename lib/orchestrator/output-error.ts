// SPDX-License-Identifier: MIT
// What the system says while results are written, as an error of ours: what failed, where, and what to do.

import { TilecastError } from "../errors.js";

interface SystemError extends Error {
  readonly code: string;
  readonly syscall: string;
  readonly path?: string;
}

function isSystemError(error: unknown): error is SystemError {
  const e = error as Partial<SystemError> | null;
  return error instanceof Error && typeof e?.code === "string" && typeof e.syscall === "string";
}

/** By the system's code; what is complete is kept in every case, and resuming does the rest. */
const advice: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full: make room, then resume the run",
  EDQUOT: "your quota is used up: make room, then resume the run",
  EACCES: "choose a folder that you may write to",
  EPERM: "choose a folder that you may write to",
  EROFS: "the file system is read-only: choose another folder",
  EEXIST: "a file is in the way: choose another folder",
  ENOTDIR: "a file is in the way: choose another folder",
  ENOENT: "the folder cannot be made, or went away during the run: see to it, then resume the run",
  EIO: "the disk or its network failed: see to it, then resume the run",
  ESTALE: "the network file system lost the folder: see to it, then resume the run",
  ENAMETOOLONG: "choose a folder with a shorter path",
};

/** ERR_IO for a refusal of the system while `out` was written; any other error as it is. */
export function outputError(error: unknown, out: string): unknown {
  if (!isSystemError(error)) return error;
  const hint = advice[error.code];
  return new TilecastError(
    "ERR_IO",
    `results cannot be written into ${out} (${error.message})${hint === undefined ? "" : `: ${hint}`}`,
    { path: error.path ?? out, argument: "out", cause: error },
  );
}
