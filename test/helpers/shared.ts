// SPDX-License-Identifier: MIT
// Finds what tests use from outside the repository, real images and a Python with tifffile, and says what is not there.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach } from "vitest";

export const repository = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

const told = new Set<string>();

/** Prints once what a run of the tests leaves out and why. */
export function leftOut(what: string, why: string): void {
  const line = `LEFT OUT: ${what}: ${why}`;
  if (!told.has(line)) console.warn(line);
  told.add(line);
}

/** Skips the tests of this block, with the reason, when `what` is not there: real data beside the repository. */
export function needsData(what: unknown, name: string): void {
  beforeEach(({ skip }) => {
    if (what === undefined) skip(`${name} is not beside the repository`);
  });
}

/** The same for a peer that the set-up script installs: its absence is a failure where CI is set. */
export function needsPeer(what: unknown, name: string): void {
  beforeEach(({ skip }) => {
    if (what !== undefined) return;
    if (process.env.CI) throw new Error(`${name} is missing; scripts/setup installs it`);
    skip(`${name} is missing; scripts/setup installs it`);
  });
}

/** A file or folder beside the repository (`../shared/...`); `undefined`, with a printed line, when it is not there. */
export function shared(...parts: string[]): string | undefined {
  const path = join(repository, "..", "shared", ...parts);
  if (existsSync(path)) return path;
  leftOut(`tests on ${parts.join("/")}`, "not beside the repository");
  return undefined;
}

/** The Python that oracles run in: TILECAST_PYTHON, else the one that the set-up script installs. */
export function python(): string | undefined {
  const path = process.env.TILECAST_PYTHON ?? join(repository, ".venv", "bin", "python");
  if (existsSync(path)) return path;
  leftOut("tests against Python oracles", "no Python (set TILECAST_PYTHON, or run scripts/setup)");
  return undefined;
}

/** The Python with napari and OpenHCS: TILECAST_VIEWERS_PYTHON, else the one that the set-up script installs. */
export function viewersPython(): string | undefined {
  const path = process.env.TILECAST_VIEWERS_PYTHON ?? join(repository, ".venv-viewers", "bin", "python");
  if (existsSync(path)) return path;
  leftOut(
    "tests with napari and OpenHCS",
    "no .venv-viewers (set TILECAST_VIEWERS_PYTHON, or run scripts/setup)",
  );
  return undefined;
}

/** Runs a Python program that prints JSON. */
export function runPython(program: string, args: readonly string[] = []): unknown {
  const path = python();
  if (path === undefined) throw new Error("no Python");
  const result = spawnSync(path, ["-c", program, ...args], { encoding: "utf8", maxBuffer: 1 << 28 });
  if (result.status !== 0) throw new Error(`Python failed: ${result.stderr}`);
  return JSON.parse(result.stdout);
}
