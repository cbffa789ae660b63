// SPDX-License-Identifier: MIT
// Files of a folder as keys: listing, atomic writing, and what unfinished writes of dead processes leave behind.

import { createHash } from "node:crypto";
import type { Dirent } from "node:fs";
import { type FileHandle, link, mkdir, open, readdir, rename, stat, unlink } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { TilecastError } from "../errors.js";
import { byCodeUnits, temporaryPrefix, throwIfAborted } from "./store.js";

export const errnoOf = (error: unknown): string => (error as NodeJS.ErrnoException | null)?.code ?? "";

/** Nothing is there: no such name, or a file where a folder would have to be. */
export const isAbsent = (error: unknown): boolean => ["ENOENT", "ENOTDIR"].includes(errnoOf(error));

/** Of this machine: process ids mean nothing on another one that shares the folder. */
const host = createHash("sha256").update(hostname()).digest("hex").slice(0, 8);
let counter = 0;

/** A name beside `path` that nobody else has, and that {@link sweepTemporaries} knows. */
export const temporaryPath = (path: string): string =>
  join(dirname(path), `${temporaryPrefix}${host}-${process.pid}-${counter++}.tmp`);

export async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isDirectory() ?? false;
}

/** Every regular file below `folder`, links followed, as `/`-separated names relative to `root`, sorted; unfinished ones too when asked for. */
export async function filesBelow(
  root: string,
  folder: string,
  signal: AbortSignal | undefined,
  temporaries = false,
): Promise<string[]> {
  const found: string[] = [];
  const walk = async (name: string, depth: number): Promise<void> => {
    throwIfAborted(signal, `listing ${root}`);
    let entries: Dirent[];
    try {
      entries = await readdir(join(root, name), { withFileTypes: true });
    } catch (error) {
      if (isAbsent(error)) {
        // Its name came out of the listing above, so that the folder is there.
        if (await isGarbled(join(root, name))) throw garbledName(join(root, name));
        return;
      }
      throw error;
    }
    for (const entry of entries) {
      const at = name === "" ? entry.name : `${name}/${entry.name}`;
      if (entry.name.startsWith(temporaryPrefix) !== temporaries && !entry.isDirectory()) continue;
      if (entry.isDirectory()) await walk(at, depth + 1);
      else if (entry.isFile()) found.push(at);
      else if (entry.isSymbolicLink()) {
        const target = await stat(join(root, at)).catch(() => null);
        if (target?.isFile()) found.push(at);
        // A link into its own parents would never end: no store is as deep.
        else if (target?.isDirectory() && depth < 32) await walk(at, depth + 1);
      }
    }
  };
  await walk(folder, 0);
  return found.sort(byCodeUnits);
}

/** What undecodable bytes of a name become. */
const replacement = "\uFFFD";

/** Whether a path that is not there stands for one whose name is not valid UTF-8, which no string can name. */
export async function isGarbled(path: string): Promise<boolean> {
  for (let at = path; at.includes(replacement); at = dirname(at)) {
    const name = basename(at);
    if (!name.includes(replacement)) continue;
    const names = await readdir(dirname(at), { encoding: "buffer" }).catch(() => []);
    if (names.some((bytes) => bytes.toString() === name && !Buffer.from(name).equals(bytes))) return true;
  }
  return false;
}

export function garbledName(path: string): TilecastError {
  return new TilecastError(
    "ERR_IO",
    `${path}: the name is not valid UTF-8, so that it cannot be opened; rename it`,
    {
      path,
    },
  );
}

/** An error for what is not there: `notFound`, unless it is there under a name that cannot be said. */
export async function absentError(path: string, notFound: () => TilecastError): Promise<TilecastError> {
  return (await isGarbled(path)) ? garbledName(path) : notFound();
}

export async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

/** No two steps: of links and renames the system makes one. File systems without links (exFAT, some network shares) leave a gap of microseconds. */
async function linkNew(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path);
  } catch (error) {
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"].includes(errnoOf(error))) throw error;
    if (await isFile(path)) throw Object.assign(new Error("the file exists"), { code: "EEXIST" });
    await rename(temporary, path);
    return;
  }
  await unlink(temporary);
}

export interface WriteFileOptions {
  /** Fail with EEXIST when `path` is there. */
  readonly exclusive: boolean;
  /** Wait until the disk has it: survives a power cut, not only a crash of the process. */
  readonly sync: boolean;
  readonly signal: AbortSignal | undefined;
}

/** Writes the parts one after another beside `path` and gives the file its name at the end. Makes folders. Throws errors of the system, ERR_CANCELLED. */
export async function writeAtomically(
  path: string,
  parts: readonly Uint8Array[],
  { exclusive, sync, signal }: WriteFileOptions,
): Promise<void> {
  const folder = dirname(path);
  const temporary = temporaryPath(path);
  let file: FileHandle;
  try {
    file = await open(temporary, "wx", 0o666);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
    await mkdir(folder, { recursive: true });
    file = await open(temporary, "wx", 0o666);
  }
  try {
    try {
      for (const part of parts) {
        // In pieces, so that a cancelled write of a large image ends soon.
        for (let at = 0; at < part.length; ) {
          throwIfAborted(signal, `writing ${path}`);
          const { bytesWritten } = await file.write(part, at, Math.min(part.length - at, 8 * 1024 * 1024));
          at += bytesWritten;
        }
      }
      if (sync) await file.sync();
    } finally {
      await file.close();
    }
    throwIfAborted(signal, `writing ${path}`);
    if (exclusive) await linkNew(temporary, path);
    else await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
  if (sync) {
    const directory = await open(folder, "r");
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) !== "ESRCH";
  }
}

/** Removes unfinished files that dead processes of this machine left; gives their number. */
export async function sweepTemporaries(root: string, signal: AbortSignal | undefined): Promise<number> {
  let removed = 0;
  for (const name of await filesBelow(root, "", signal, true)) {
    const match = /(?:^|\/)\.tilecast-([0-9a-f]{8})-(\d+)-\d+\.tmp$/.exec(name);
    if (match?.[1] !== host || isAlive(Number(match[2]))) continue;
    try {
      await unlink(join(root, name));
      removed++;
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
  }
  return removed;
}
