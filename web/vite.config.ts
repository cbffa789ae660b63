// SPDX-License-Identifier: MIT
// Builds the page into dist/page, from where the gateway serves it: relative addresses, nothing from elsewhere.

import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: here("."),
  // The page lies below a token that is made at each start.
  base: "./",
  resolve: {
    alias: {
      "numcodecs/blosc": here("codecs/blosc.ts"),
      "numcodecs/lz4": here("codecs/lz4.ts"),
      "numcodecs/zstd": here("codecs/zstd.ts"),
      "@vivjs/loaders": here("image/viv-loaders.ts"),
    },
  },
  oxc: {
    // Not by NODE_ENV: development's JSX writes the path of every source into the page.
    jsx: { runtime: "automatic", importSource: "preact", development: false },
  },
  build: {
    outDir: here("../dist/page"),
    emptyOutDir: true,
    // What is bundled is distributed with the package, and so are its licences.
    license: { fileName: "licenses.md" },
    target: "es2022",
    // The page's policy allows no inline scripts, and the polyfill would be one.
    modulePreload: { polyfill: false },
    // deck.gl with what it draws tiles with; it comes from this machine, not over a network.
    chunkSizeWarningLimit: 1500,
  },
});
