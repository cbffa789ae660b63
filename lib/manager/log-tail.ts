// SPDX-License-Identifier: MIT
// The end of a log file that another process has named: bounded, and only what the user could have written.

import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { isAbsolute } from "node:path";
import { TilecastError } from "../errors.js";

export interface LogTail {
  readonly path: string;
  /** Of the whole file, in bytes. */
  readonly size: number;
  /** Whole lines, the first being cut only where a line is longer than what is read. */
  readonly text: string;
  /** Whether there is more before it. */
  readonly isCut: boolean;
}

const defaultLogBytes = 64 * 1024;
const maxLogBytes = 2 ** 20;

/**
 * Reads at most `bytes` from the end; default 64 KiB, at most 1 MiB. Throws ERR_IO for a file that is not there, is no regular file, belongs to
 * somebody else, or is a link: the path comes from a message, and what it names must be a log of this user's own.
 */
export async function readLogTail(path: string, bytes: number = defaultLogBytes): Promise<LogTail> {
  const refuse = (why: string, cause?: unknown) =>
    new TilecastError("ERR_IO", `the log ${path} ${why}`, {
      path,
      ...(cause === undefined ? {} : { cause }),
    });
  if (!isAbsolute(path)) throw refuse("is not named by an absolute path");
  // A named pipe is not waited for; a link is not followed.
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  const file = await open(path, flags).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ELOOP") throw refuse("is a link", cause);
    throw refuse(`cannot be read: ${cause.message}`, cause);
  });
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw refuse("is no regular file");
    if (process.getuid !== undefined && stat.uid !== process.getuid())
      throw refuse("belongs to another user");
    const wanted = Math.min(stat.size, Math.max(0, bytes), maxLogBytes);
    const buffer = Buffer.alloc(wanted);
    let got = 0;
    while (got < wanted) {
      const { bytesRead } = await file.read(buffer, got, wanted - got, stat.size - wanted + got);
      if (bytesRead === 0) break;
      got += bytesRead;
    }
    const isCut = wanted < stat.size;
    const newline = isCut ? buffer.indexOf(10) : -1;
    const begin = newline >= 0 && newline + 1 < got ? newline + 1 : 0;
    return { path, size: stat.size, text: buffer.toString("utf8", begin, got), isCut };
  } finally {
    await file.close();
  }
}
