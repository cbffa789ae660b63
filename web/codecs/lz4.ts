// SPDX-License-Identifier: MIT
// Decodes numcodecs' LZ4: an LZ4 block after its size.

import { decodeLz4Block } from "./lz4-block.js";

/** As zarrita asks for a codec. */
export default class Lz4 {
  static codecId = "lz4";
  static fromConfig(): Lz4 {
    return new Lz4();
  }
  decode(data: Uint8Array): Uint8Array {
    const size = new DataView(data.buffer, data.byteOffset, data.byteLength).getUint32(0, true);
    const out = new Uint8Array(size);
    decodeLz4Block(data.subarray(4), out);
    return out;
  }
  encode(): never {
    throw new Error("the page writes nothing");
  }
}
