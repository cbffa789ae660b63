// SPDX-License-Identifier: MIT
// tilecast in the tiff benchmark: a plane decoded into a loaned tile.

import { readFileSync } from "node:fs";
import { TilePool } from "../../dist/index.js";
import { native } from "../../dist/native.js";
import { measure } from "./measure.mjs";

const { width, height } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const pool = TilePool.create({ slotBytes: width * height * 2, slots: 1 });
let tile;
try {
  await measure(async (path) => {
    // One tile at a time: whoever asks for the next one is done with the last.
    tile?.release();
    tile = await pool.loan([height, width], "uint16");
    await native().readPlane(pool.native, tile.slot, tile.generation, path, 0, 0);
    return tile.view();
  });
} finally {
  pool.close();
}
