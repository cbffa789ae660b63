// SPDX-License-Identifier: MIT
// tilecast's part of the zarr-read benchmark: every plane of an array into a tile of a pool, as many at a time as there are cores.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { TilePool } from "../../dist/index.js";
import { openZarrArray } from "../../dist/stores/zarr-array.js";
import { readZarrPlane } from "../../dist/stores/zarr-reader.js";
import { measure } from "./measure.mjs";

const task = JSON.parse(readFileSync(process.argv[2], "utf8"));
const [planes, height, width] = task.shape;
const pool = TilePool.create({ slotBytes: height * width * 2, slots: planes });
try {
  await measure(
    task,
    (name) => openZarrArray(join(task.folder, name)),
    (array) => Promise.all(Array.from({ length: planes }, (_, z) => readZarrPlane(pool, array, [z]))),
    (tiles) => tiles.map((tile) => tile.view()),
    (tiles) => {
      for (const tile of tiles) tile.release();
    },
  );
} finally {
  pool.close();
}
