// SPDX-License-Identifier: MIT
// A limit of the tiff-read benchmark: the codec alone on strips or tiles in memory, into one buffer, by the libraries that tilecast is linked with.

import { join } from "node:path";
import { native } from "../../dist/native.js";
import { task } from "../harness/measure.mjs";

const { folder, items, seconds, width, height } = task();
const results = {};
for (const item of items) {
  const pixelsPerSecond = await native().bench.decodeTiff(join(folder, item), 1, seconds);
  results[item] = { s: (width * height) / pixelsPerSecond };
}
process.stdout.write(`${JSON.stringify(results)}\n`);
