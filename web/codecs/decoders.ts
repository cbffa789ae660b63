// SPDX-License-Identifier: MIT
// What undoes each compression that has no decoder in browsers, by the name that Zarr has for it.

import { decompress } from "fzstd";
import { decodeBlosc } from "./blosc-chunk.js";
import { decodeLz4Block } from "./lz4-block.js";

/** Give memory of their own. Throw, or reject, where the bytes are damaged. */
export const decoders = {
  blosc: decodeBlosc,
  /** numcodecs': an LZ4 block after its size. */
  lz4(data: Uint8Array): Uint8Array {
    const size = new DataView(data.buffer, data.byteOffset, data.byteLength).getUint32(0, true);
    const out = new Uint8Array(size);
    decodeLz4Block(data.subarray(4), out);
    return out;
  },
  zstd: (data: Uint8Array): Uint8Array => decompress(data),
} as const;

export type CodecName = keyof typeof decoders;
