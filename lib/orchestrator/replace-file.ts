// SPDX-License-Identifier: MIT
// Files that are there as a whole or not at all.

import { closeSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";

/**
 * Replaces a file at once, so that a kill, or a disk that is full, leaves the old one or the new one. `parts` are written one after the
 * other, each completely: writeSync would return early, without an error, where the disk has room for some of it.
 */
export function replaceFile(path: string, parts: Iterable<string | Uint8Array>): void {
  const part = `${path}.part`;
  try {
    const fd = openSync(part, "w");
    try {
      for (const bytes of parts) writeFileSync(fd, bytes);
    } finally {
      closeSync(fd);
    }
    renameSync(part, path);
  } catch (error) {
    // On a full disk half a file would keep the room that the rest needs.
    rmSync(part, { force: true });
    throw error;
  }
}
