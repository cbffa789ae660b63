// SPDX-License-Identifier: MIT
// sharp (libvips, libtiff) in the tiff-read benchmark: grey pixels of 16 bits, no cache of operations, one thread.

import sharp from "sharp";
import { measure } from "../harness/measure.mjs";

sharp.concurrency(1);
sharp.cache(false);

await measure({
  async read(path) {
    // Without "grey16" sharp goes through 8 bits of sRGB.
    const data = await sharp(path).toColourspace("grey16").raw({ depth: "ushort" }).toBuffer();
    return new Uint16Array(data.buffer, data.byteOffset, data.length / 2);
  },
});
