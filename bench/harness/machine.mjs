// SPDX-License-Identifier: MIT
// What a result is stamped with: machine, versions, commit; and the wait until the machine is quiet.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

export const cores = availableParallelism();

/** The Python with the peers in it: $TILECAST_PYTHON, or the environment that scripts/setup makes. */
export function python() {
  const path = process.env.TILECAST_PYTHON ?? join(root, ".venv/bin/python");
  if (!existsSync(path)) throw new Error(`no Python at ${path}: run scripts/setup, or set TILECAST_PYTHON`);
  return path;
}

/** The program under test; a bench never builds, so that nobody measures a build they did not choose. */
export function tilecastProgram() {
  const path = join(root, "dist/cli/main.js");
  if (!existsSync(path)) throw new Error("tilecast is not built: run scripts/setup --demo");
  return path;
}

function said(command, args) {
  try {
    return execFileSync(command, args, {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return null;
  }
}

const packages = [
  "numpy",
  "scipy",
  "scikit-image",
  "opencv-python-headless",
  "numba",
  "tifffile",
  "imagecodecs",
  "zarr",
  "zarrs",
  "tensorstore",
  "ome-zarr",
];

/** Type of the file system that a folder is on, as df says it. */
export function fileSystem(folder) {
  return said("df", ["--output=fstype", folder])?.split("\n").at(-1) ?? null;
}

export async function stamp() {
  const { native } = await import(pathToFileURL(join(root, "dist/native.js")));
  const commit = said("git", ["rev-parse", "HEAD"]);
  const changes = said("git", ["--no-optional-locks", "status", "--porcelain"]);
  const addon = join(root, "build/Release/tilecast.node");
  const code = `import json, platform, importlib.metadata as m
def v(n):
    try: return m.version(n)
    except m.PackageNotFoundError: return None
print(json.dumps({"python": platform.python_version(), **{n: v(n) for n in ${JSON.stringify(packages)}}}))`;
  return {
    date: new Date().toISOString(),
    commit,
    dirty: changes === null ? null : changes !== "",
    // A dirty tree has no name: the build's digest tells two of them apart.
    addonSha256: existsSync(addon) ? createHash("sha256").update(readFileSync(addon)).digest("hex") : null,
    kernels: native().kernels,
    cpu: cpus()[0]?.model ?? null,
    cores,
    memoryGb: Math.round(totalmem() / 1e9),
    system: `${process.platform} ${release()}`,
    node: process.version,
    codecs: native().versions(),
    python: JSON.parse(said(python(), ["-I", "-c", code]) ?? "null"),
  };
}

export function stampLine(s) {
  const commit =
    s.commit === null ? "no commit" : `commit ${s.commit.slice(0, 12)}${s.dirty ? " (dirty)" : ""}`;
  return (
    `${s.date.slice(0, 16)}Z, ${commit}, ${s.cpu}, ${s.cores} cores, ${s.memoryGb} GB, ${s.system}, node ${s.node}, ` +
    `Python ${s.python?.python}, kernels ${s.kernels}`
  );
}

function cpuTimes() {
  let busy = 0;
  let all = 0;
  for (const { times } of cpus()) {
    const sum = times.user + times.nice + times.sys + times.idle + times.irq;
    all += sum;
    busy += sum - times.idle;
  }
  return { busy, all };
}

/** Waits until others leave 85 % of the machine idle for a second, at most `seconds`; gives the busy share it ended with. */
export async function quiet(seconds) {
  const until = performance.now() + seconds * 1000;
  for (;;) {
    const before = cpuTimes();
    await delay(1000);
    const after = cpuTimes();
    const share = (after.busy - before.busy) / Math.max(1, after.all - before.all);
    if (share < 0.15 || performance.now() > until) return share;
  }
}

/** Where plates, oracles and outputs of benchmarks are kept between runs. */
export function cacheFolder() {
  return process.env.TILECAST_BENCH_DIR ?? join(root, "build/bench");
}
