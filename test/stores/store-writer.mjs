// SPDX-License-Identifier: MIT
// Replaces a table and an image for ever, each value of one number throughout, until it is killed (stores.test.ts).

import { DiskStore, ZarrStore } from "../../dist/stores/index.js";

const [kind, root] = process.argv.slice(2);
const store = kind === "zarr" ? new ZarrStore(root) : new DiskStore(root);
const key = kind === "zarr" ? "i/plane" : "i.tif";
for (let i = 1; ; i = (i % 200) + 1) {
  await Promise.all([
    store.replace("table", new Uint8Array(300_000).fill(i)),
    store.replace(key, {
      shape: [2048, 2048],
      dtype: "uint16",
      pixels: new Uint16Array(2048 * 2048).fill(i),
    }),
  ]);
  process.send(i);
}
