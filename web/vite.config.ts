// SPDX-License-Identifier: MIT
// Builds the page into dist/page, from where the gateway serves it: relative addresses, nothing from elsewhere.

import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  // The page lies below a token that is made at each start.
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: fileURLToPath(new URL("../dist/page", import.meta.url)),
    emptyOutDir: true,
    target: "es2022",
    // The page's policy allows no inline scripts, and the polyfill would be one.
    modulePreload: { polyfill: false },
    // deck.gl with what it draws tiles with; it comes from this machine, not over a network.
    chunkSizeWarningLimit: 1500,
  },
});
