// SPDX-License-Identifier: MIT
// tilecast in the tiff-read benchmark: a plane decoded into a loaned tile.

import { TilePool } from "../../dist/index.js";
import { native } from "../../dist/native.js";
import { measure, task } from "../harness/measure.mjs";

const { width, height } = task();
const pool = TilePool.create({ slotBytes: width * height * 2, slots: 1 });
let tile;
try {
  await measure({
    async read(path) {
      // One tile at a time: whoever asks for the next one is done with the last.
      tile?.release();
      tile = await pool.loan([height, width], "uint16");
      await native().readPlane(pool.native, tile.slot, tile.generation, path, 0, 0);
      return tile;
    },
    pixelsOf: (read) => [read.view()],
  });
} finally {
  pool.close();
}
