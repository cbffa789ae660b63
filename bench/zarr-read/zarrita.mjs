// SPDX-License-Identifier: MIT
// zarrita.js's part of the zarr-read benchmark: the whole array by get(), decoded by numcodecs.js (WebAssembly).

import FileSystemStore from "@zarrita/storage/fs";
import { get, open, root } from "zarrita";
import { measure } from "../harness/measure.mjs";

await measure({
  open: (path) => open(root(new FileSystemStore(path)), { kind: "array" }),
  read: (array) => get(array),
  pixelsOf: ({ data }) => [data],
});
