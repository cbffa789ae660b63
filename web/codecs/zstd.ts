// SPDX-License-Identifier: MIT
// Decodes Zstandard frames, in place of numcodecs' WebAssembly, for the reasons in blosc.ts.

import { decompress } from "fzstd";

/** As zarrita asks for a codec. */
export default class Zstd {
  static codecId = "zstd";
  static fromConfig(): Zstd {
    return new Zstd();
  }
  decode(data: Uint8Array): Uint8Array {
    return decompress(data);
  }
  encode(): never {
    throw new Error("the page writes nothing");
  }
}
