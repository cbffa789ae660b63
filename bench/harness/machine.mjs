// SPDX-License-Identifier: MIT
// What a result is stamped with: machine, versions, commit; and the wait until the machine is quiet.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, cpus } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { commit, fileSystemOf, machineFacts } from "../../dist/bench/machine.js";
import { machineLine } from "../../dist/bench/text.js";
import { native } from "../../dist/native.js";
import { Stopped, stop } from "./stop.mjs";

export const root = fileURLToPath(new URL("../..", import.meta.url));

export const cores = availableParallelism();

/** "1 core", "16 cores", as in the cases of `tilecast bench`. */
export { coresName } from "../../dist/bench/question.js";

/** Cores that trials run on: one, and all where there are more. */
export const coreCounts = cores > 1 ? [1, cores] : [1];

/** Type of the file system that a folder is on. */
export { fileSystemOf };

/** The Python with the peers in it: $TILECAST_PYTHON, or the environment that scripts/setup makes. */
export function python() {
  const path = process.env.TILECAST_PYTHON ?? join(root, ".venv/bin/python");
  if (!existsSync(path)) throw new Error(`no Python at ${path}: run scripts/setup, or set TILECAST_PYTHON`);
  return path;
}

/** The Python with OpenHCS and napari in it, which may be absent. */
export const viewersPython = () =>
  process.env.TILECAST_VIEWERS_PYTHON ?? join(root, ".venv-viewers/bin/python");

/** The program under test; a bench never builds, so that nobody measures a build they did not choose. */
export function tilecastProgram() {
  const path = join(root, "dist/cli/main.js");
  if (!existsSync(path)) throw new Error("tilecast is not built: run scripts/setup --demo");
  return path;
}

const pythonPackages = [
  ...[
    "numpy",
    "scipy",
    "scikit-image",
    "opencv-python-headless",
    "numba",
    "tifffile",
    "imagecodecs",
    "pyvips",
  ],
  ...["pyvips-binary", "zarr", "zarrs", "numcodecs", "tensorstore", "ome-zarr", "zmqruntime"],
];
const nodePackages = ["sharp", "geotiff", "zarrita", "zeromq"];

function pythonVersions() {
  const code = `import json, platform, importlib.metadata as m
def v(n):
    try: return m.version(n)
    except m.PackageNotFoundError: return None
print(json.dumps({"python": platform.python_version(), **{n: v(n) for n in ${JSON.stringify(pythonPackages)}}}))`;
  return JSON.parse(execFileSync(python(), ["-I", "-c", code], { encoding: "utf8" }));
}

function nodeVersion(name) {
  const { resolve } = createRequire(import.meta.url);
  const found = (resolve.paths(name) ?? [])
    .map((folder) => join(folder, name, "package.json"))
    .find((path) => existsSync(path));
  return found === undefined ? null : JSON.parse(readFileSync(found, "utf8")).version;
}

/** What every result begins with, and the versions of all that took part. */
export function stamp() {
  const addon = join(root, "build/Release/tilecast.node");
  return {
    machine: machineFacts(cacheFolder(), cores),
    commit: commit(),
    versions: {
      // A dirty tree has no name: the build's digest tells two of them apart.
      addonSha256: existsSync(addon) ? createHash("sha256").update(readFileSync(addon)).digest("hex") : null,
      codecs: native().versions(),
      python: pythonVersions(),
      node: Object.fromEntries(nodePackages.map((name) => [name, nodeVersion(name)])),
    },
  };
}

export const stampLine = (s) =>
  `${s.machine.date.slice(0, 16)}Z, ${machineLine(s)}, Python ${s.versions.python.python}`;

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

/** Waits until others leave 85 % of the machine idle for a second, at most `seconds`; gives the busy share it ended with, null for no wait. */
export async function quiet(seconds) {
  if (seconds === 0) return null;
  const until = performance.now() + seconds * 1000;
  for (;;) {
    const before = cpuTimes();
    await delay(1000, undefined, { signal: stop }).catch(() => {
      throw new Stopped();
    });
    const after = cpuTimes();
    const share = (after.busy - before.busy) / Math.max(1, after.all - before.all);
    if (share < 0.15 || performance.now() > until) return share;
  }
}

/** Where plates, oracles and outputs of benchmarks are kept between runs. */
export function cacheFolder() {
  const folder = process.env.TILECAST_BENCH_DIR ?? join(root, "build/bench");
  mkdirSync(folder, { recursive: true });
  return folder;
}
