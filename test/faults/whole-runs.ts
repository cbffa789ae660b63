// SPDX-License-Identifier: MIT
// What the fault tests share: `tilecast` as a process, in a mount namespace of its own or as another user; plates that take a while.

import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeEach, expect } from "vitest";
import { storeDigests } from "../helpers/results.js";
import { repository } from "../helpers/shared.js";
import { type SmallPlateOptions, smallPlate } from "../helpers/small-plate.js";

export const main = join(repository, "dist", "cli", "main.js");
export const env = { ...process.env, NO_COLOR: "1", FORCE_COLOR: "" };

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function ended(command: string, args: readonly string[], more: NodeJS.ProcessEnv = {}): Ended {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", env: { ...env, ...more } });
  return { code: status, stdout, stderr };
}

export const cli = (...args: string[]) => ended(process.execPath, [main, ...args]);

/** The same with more in its environment. */
export const cliWith = (more: NodeJS.ProcessEnv, ...args: string[]) =>
  ended(process.execPath, [main, ...args], more);

/** Runs the command line as the user nobody, when this process is root: root may read everything. */
export function cliAsNobody(...args: string[]): Ended {
  if (process.getuid?.() !== 0) return cli(...args);
  const ids = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
  return ended("setpriv", [...ids, process.execPath, main, ...args]);
}

/** A shell script in a mount namespace of its own; `$TILECAST` in it is the command line. */
export function inMounts(script: string, variables: Readonly<Record<string, string>>): Ended {
  const preamble = 'set -u; tilecast() { "$NODE" "$MAIN" "$@"; };';
  return ended("unshare", ["--mount", "sh", "-c", `${preamble} ${script}`], {
    ...variables,
    NODE: process.execPath,
    MAIN: main,
  });
}

/** Skips the tests of this block, with the reason, where no private mounts can be made. */
export function needsMounts(): void {
  const tried = spawnSync("unshare", ["--mount", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]);
  beforeEach(({ skip }) => {
    if (tried.status !== 0) skip("needs root, and a system that lets it mount (unshare --mount)");
  });
}

const quick = `export default ({ pipeline, op }) => pipeline("quick")
  .step("project", op.maxProject())
  .step("segment", op.threshold({ value: 40 }), op.label())
  .step("measure", op.measure(["area", "mean_intensity"]));`;

export const wells = ["A01", "A02", "A03", "B01", "B02", "B03"] as const;

/** A plate of two slices a well, a pipeline, an output folder that is not there yet. */
export function make(folder: () => string, options: SmallPlateOptions = {}) {
  const dir = folder();
  const root = join(dir, "plate");
  const planes = smallPlate(root, { wells, channels: [2], width: 160, height: 120, ...options });
  const file = join(dir, "pipeline.mjs");
  writeFileSync(file, quick);
  return { dir, root, planes, file, out: join(dir, "out") };
}

/**
 * A pipeline whose first plane, on its way, runs `mischief` (statements of a function, run once for all runs): what happens to the
 * others' files then happens at a known moment, between the catalogue and their reading.
 */
export function mischievous(dir: string, mischief: string): string {
  const module = join(dir, "mischief.mjs");
  const marker = JSON.stringify(join(dir, "done"));
  writeFileSync(
    module,
    `import * as fs from "node:fs";
     export default function ({ data }, out) {
       if (first()) {
         ${mischief}
       }
       out.set(data);
     }
     // Several threads run this at once: only one of them can make the file.
     function first() {
       try {
         fs.closeSync(fs.openSync(${marker}, "wx"));
         return true;
       } catch {
         return false;
       }
     }`,
  );
  const file = join(dir, "mischief-pipeline.mjs");
  writeFileSync(
    file,
    `export default ({ pipeline, op }) => pipeline("quick")
       .step("project", op.maxProject(), op.javascript({ module: ${JSON.stringify(pathToFileURL(module).href)}, output: "uint16" }))
       .step("segment", op.threshold({ value: 40 }), op.label())
       .step("measure", op.measure(["area", "mean_intensity"]));`,
  );
  return file;
}

/** The pixels, the metadata and the table of two runs are the same bytes, and nothing half-written is left. */
export function expectSame(out: string, clean: string): void {
  expect(storeDigests(out)).toEqual(storeDigests(clean));
  expect(readFileSync(join(out, "measurements.csv"), "utf8")).toBe(
    readFileSync(join(clean, "measurements.csv"), "utf8"),
  );
  const left = readdirSync(out, { recursive: true, encoding: "utf8" }).filter((f) => f.endsWith(".part"));
  expect(left).toEqual([]);
}

/** Results of an undisturbed run of the same plate and pipeline. */
export function cleanRun(folder: () => string, root: string, file: string): string {
  const out = join(folder(), "out");
  expect(cli("run", root, "-p", file, "-o", out, "-q")).toEqual({ code: 0, stdout: "", stderr: "" });
  return out;
}

/** A message for people, with a code: no stack of ours. */
export function expectTyped({ stderr }: Ended, code: string): void {
  expect(stderr).toMatch(new RegExp(`^tilecast: [^]*\\[${code}\\]\\n$`, "m"));
  expect(stderr).not.toMatch(/^ +at /m);
}
