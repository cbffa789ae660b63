// SPDX-License-Identifier: MIT
// numcodecs' Zstandard for zarrita: decoded here and not by WebAssembly, for the reasons in blosc-chunk.ts.

import { codecClass } from "./decoder-pool.js";

export default codecClass("zstd");
