// SPDX-License-Identifier: MIT
// A temporary folder for one test file, removed when its tests are done.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

/** Returns a function that makes a fresh folder at each call. */
export function temporaryFolders(): () => string {
  const made: string[] = [];
  afterAll(() => {
    for (const path of made) rmSync(path, { recursive: true, force: true });
  });
  return () => {
    const path = mkdtempSync(join(tmpdir(), "tilecast-test-"));
    made.push(path);
    return path;
  };
}
