// SPDX-License-Identifier: MIT
// zarrita.js's part of the zarr-read benchmark: the whole array by get(), decoded by numcodecs.js (WebAssembly).

import { readFileSync } from "node:fs";
import { join } from "node:path";
import FileSystemStore from "@zarrita/storage/fs";
import { get, open, root } from "zarrita";
import { measure } from "./measure.mjs";

const task = JSON.parse(readFileSync(process.argv[2], "utf8"));
await measure(
  task,
  (name) => open(root(new FileSystemStore(join(task.folder, name))), { kind: "array" }),
  (array) => get(array),
  ({ data }) => [data],
);
