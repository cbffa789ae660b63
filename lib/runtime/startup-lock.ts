// SPDX-License-Identifier: MIT
// The lock that whoever starts a server holds: flock(2) on a file beside the socket, the same that Python's clients take.

import { spawn } from "node:child_process";
import { type FileHandle, open } from "node:fs/promises";
import { TilecastError } from "../errors.js";
import { type Endpoint, ensureSocketDir } from "./endpoint.js";
import { cancelled, pause } from "./zmq.js";

// Node has no flock(2). The lock belongs to the open file, which a child inherits: the child locks it and ends, and it stays locked as long as
// this process has it open, and no longer, however the process ends.
const lockers: readonly (readonly [program: string, ...args: string[]])[] = [
  ["flock", "-x", "-n", "3"],
  [
    "perl",
    "-e",
    'use Fcntl ":flock"; open(my $f, "+>&=", 3) or exit 2; flock($f, LOCK_EX | LOCK_NB) or exit 1;',
  ],
  [
    "python3",
    "-c",
    "import fcntl, sys\ntry: fcntl.flock(3, fcntl.LOCK_EX | fcntl.LOCK_NB)\nexcept BlockingIOError: sys.exit(1)",
  ],
];

/** Exit code; `undefined` when there is no such program. */
function run([program, ...args]: readonly string[], fd: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const child = spawn(program as string, args, { stdio: ["ignore", "ignore", "ignore", fd] });
    child.once("error", () => resolve(undefined));
    child.once("exit", (code) => resolve(code ?? 2));
  });
}

async function tryLock(fd: number): Promise<boolean> {
  for (const locker of lockers) {
    const code = await run(locker, fd);
    if (code === 0) return true;
    if (code === 1) return false;
  }
  throw new TilecastError(
    "ERR_INSTANCE",
    "starting a server needs one of the programs flock (util-linux), perl or python3, for a lock that Python's clients respect",
  );
}

export interface StartupLock extends AsyncDisposable {
  release(): Promise<void>;
}

/**
 * Waits for the lock of an endpoint, asking every 50 ms as upstream does. Throws ERR_TIMEOUT after `timeoutMs`, ERR_CANCELLED through the
 * signal, ERR_ENDPOINT when there can be no such file. The file stays: removing it would let two processes hold locks on two files of one name.
 */
export async function lockStartup(
  endpoint: Endpoint,
  options: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
): Promise<StartupLock> {
  ensureSocketDir(endpoint);
  const path = endpoint.startupLockPath;
  let file: FileHandle;
  try {
    file = await open(path, "a+", 0o600);
  } catch (cause) {
    throw new TilecastError("ERR_ENDPOINT", `cannot lock ${path}: ${(cause as Error).message}`, {
      path,
      cause,
    });
  }
  const deadline = performance.now() + options.timeoutMs;
  try {
    while (true) {
      if (options.signal?.aborted) throw cancelled(options.signal, `waiting for ${path}`);
      if (await tryLock(file.fd)) break;
      if (performance.now() >= deadline) {
        throw new TilecastError(
          "ERR_TIMEOUT",
          `${path} was held for ${options.timeoutMs} ms: another process is starting this server`,
          { path, retriable: true },
        );
      }
      await pause(50, options.signal);
    }
  } catch (error) {
    await file.close();
    throw error;
  }
  let isOpen = true;
  const release = async () => {
    if (!isOpen) return;
    isOpen = false;
    await file.close();
  };
  return { release, [Symbol.asyncDispose]: release };
}
