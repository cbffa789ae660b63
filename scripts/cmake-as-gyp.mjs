#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// Stands in for node-gyp when prebuildify builds (npm run prebuild): builds with cmake-js and leaves a copy where node-gyp would.
//
// prebuildify calls it as `rebuild --target=... --devdir=... --arch=x64 --release`, then strips and *moves* the first .node file of
// build/Release below its own folder (--cwd build/prebuild). The copy keeps the developer's own build/Release usable, and the build
// incremental.

import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  allowPositionals: true,
  strict: false,
  options: { arch: { type: "string" }, debug: { type: "boolean" }, runtime: { type: "string" } },
});
// N-API binaries are the same for every runtime and version; other architectures need a toolchain that this does not know.
if (values.debug || (values.runtime ?? "node") !== "node" || (values.arch ?? process.arch) !== process.arch) {
  console.error(
    `cmake-as-gyp: builds releases for node on ${process.arch} only, asked for: ${process.argv.slice(2).join(" ")}`,
  );
  process.exit(1);
}

const root = fileURLToPath(new URL("..", import.meta.url));
const cmakeJs = join(root, "node_modules/cmake-js/bin/cmake-js");
const built = spawnSync(process.execPath, [cmakeJs, "build", "-d", "native", "-O", "build"], {
  cwd: root,
  stdio: "inherit",
});
if (built.status !== 0) process.exit(built.status ?? 1);

const to = join(process.cwd(), "build/Release");
mkdirSync(to, { recursive: true });
copyFileSync(join(root, "build/Release/tilecast.node"), join(to, "tilecast.node"));
