// SPDX-License-Identifier: MIT
// geotiff.js, the reader in plain JavaScript, in the tiff-read benchmark: the whole file in memory, then its only sample.

import { readFile } from "node:fs/promises";
import { fromArrayBuffer } from "geotiff";
import { measure } from "../harness/measure.mjs";

await measure({
  async read(path) {
    const { buffer, byteOffset, byteLength } = await readFile(path);
    const tiff = await fromArrayBuffer(buffer.slice(byteOffset, byteOffset + byteLength));
    const [pixels] = await (await tiff.getImage()).readRasters();
    return pixels;
  },
});
