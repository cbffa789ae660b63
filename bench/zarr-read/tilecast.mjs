// SPDX-License-Identifier: MIT
// tilecast's part of the zarr-read benchmark: every plane of an array into a tile of a pool, as many at a time as there are cores.

import { TilePool } from "../../dist/index.js";
import { openZarrArray } from "../../dist/stores/zarr-array.js";
import { readZarrPlane } from "../../dist/stores/zarr-reader.js";
import { measure, task } from "../harness/measure.mjs";

const [planes, height, width] = task().shape;
const pool = TilePool.create({ slotBytes: height * width * 2, slots: planes });
try {
  await measure({
    open: openZarrArray,
    read: (array) => Promise.all(Array.from({ length: planes }, (_, z) => readZarrPlane(pool, array, [z]))),
    pixelsOf: (tiles) => tiles.map((tile) => tile.view()),
    done(tiles) {
      for (const tile of tiles) tile.release();
    },
  });
} finally {
  pool.close();
}
