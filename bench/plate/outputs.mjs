// SPDX-License-Identifier: MIT
// The folders that the plate benchmark's trials write to: a fresh one for each, all of them unlinked at the end.

import { existsSync, mkdirSync, readdirSync, rmSync, statSync, truncateSync } from "node:fs";
import { join, relative } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileSystemOf } from "../harness/machine.mjs";
import { stop } from "../harness/stop.mjs";

/** Files below a folder with their sizes, relative. */
export function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((e) => e.isFile())
    .map((e) => join(e.parentPath, e.name))
    .map((path) => [relative(folder, path), statSync(path).size]);
}

export const megabytesOf = (files) => files.reduce((sum, [, bytes]) => sum + bytes, 0) / 1e6;

/**
 * On ext4 without a journal, creating files right after many were unlinked spent a third of a profile's samples looking over freed
 * inodes (`recently_deleted` in fs/ext4/ialloc.c): that would measure our own clearing up. So nothing is unlinked between trials, and a
 * run waits for what the one before has unlinked; a minute was enough in the few pairs that were tried.
 */
const inodeRestMs = 65_000;

export class Outputs {
  #parent;
  #folder;
  #count = 0;

  constructor(parent) {
    this.#parent = parent;
    this.#folder = join(parent, "trials");
  }

  /** `rest`: wait for the inodes of a run before. */
  async open(say, rest) {
    // Leftovers of a run that was cut off. The parent's own time says when something was last removed from it.
    rmSync(this.#folder, { recursive: true, force: true });
    const since = existsSync(this.#parent) ? Date.now() - statSync(this.#parent).mtimeMs : inodeRestMs;
    mkdirSync(this.#folder, { recursive: true });
    if (!rest || since >= inodeRestMs || !fileSystemOf(this.#parent)?.startsWith("ext")) return;
    say(
      `another run's output was removed here just now: waiting ${Math.ceil((inodeRestMs - since) / 1000)} s`,
    );
    await delay(inodeRestMs - since, undefined, { signal: stop });
  }

  next() {
    this.#count++;
    return join(this.#folder, String(this.#count));
  }

  /** Gives the space back but keeps the inodes. A program that failed early has made no folder. */
  empty(out) {
    if (!existsSync(out)) return;
    for (const [path] of filesBelow(out)) truncateSync(join(out, path));
  }

  close() {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
