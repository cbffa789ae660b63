// SPDX-License-Identifier: MIT
// Decodes Blosc 1 chunks (c-blosc's README_CHUNK_FORMAT.rst) of LZ4, Zstandard and zlib, in place of numcodecs' WebAssembly: that makes
// functions of strings, which the page's security policy forbids, and is twenty times as large.

import { decompress } from "fzstd";
import { decodeLz4Block } from "./lz4-block.js";

const headerBytes = 16;
/** Of a block's part that is compressed by itself (BLOSC_MIN_BUFFERSIZE), and of parts (MAX_SPLITS). */
const [leastSplitElements, mostSplits] = [128, 16];
const formats = ["BloscLZ", "LZ4", "Snappy", "zlib", "Zstandard"];

type Inflate = (source: Uint8Array, target: Uint8Array) => void | Promise<void>;

function fill(target: Uint8Array, decoded: Uint8Array): void {
  if (decoded.length !== target.length) throw new RangeError("a damaged Blosc chunk");
  target.set(decoded);
}

const inflaters: Readonly<Record<number, Inflate>> = {
  1: decodeLz4Block,
  3: async (source, target) => {
    const stream = new Blob([source as Uint8Array<ArrayBuffer>])
      .stream()
      .pipeThrough(new DecompressionStream("deflate"));
    fill(target, new Uint8Array(await new Response(stream).arrayBuffer()));
  },
  4: (source, target) => fill(target, decompress(source, new Uint8Array(target.length))),
};

/** Bytes that were sorted by their place in the element go back to it. */
function unshuffle(source: Uint8Array, target: Uint8Array, size: number): void {
  const count = Math.floor(source.length / size);
  for (let byte = 0; byte < size; byte++) {
    const from = byte * count;
    for (let i = 0, to = byte; i < count; i++, to += size) target[to] = source[from + i] as number;
  }
  target.set(source.subarray(count * size), count * size);
}

/** The same for bits. */
function unshuffleBits(source: Uint8Array, target: Uint8Array, size: number): void {
  const count = Math.floor(source.length / size);
  if (count % 8 !== 0) {
    target.set(source);
    return;
  }
  target.fill(0);
  const rowBytes = count / 8;
  for (let row = 0; row < size * 8; row++) {
    const byte = row >> 3;
    const bit = row & 7;
    for (let i = 0; i < rowBytes; i++) {
      const bits = source[row * rowBytes + i] as number;
      for (let k = 0; k < 8; k++) {
        const at = (i * 8 + k) * size + byte;
        target[at] = (target[at] as number) | (((bits >> k) & 1) << bit);
      }
    }
  }
  target.set(source.subarray(count * size), count * size);
}

/** Decodes one chunk. Rejects with RangeError where it is damaged, and with Error where its format is not known. */
export async function decodeBlosc(source: Uint8Array): Promise<Uint8Array> {
  if (source.length < headerBytes) throw new RangeError("a damaged Blosc chunk");
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  const flags = view.getUint8(2);
  const typeSize = view.getUint8(3);
  const bytes = view.getUint32(4, true);
  const blockBytes = view.getUint32(8, true);
  const out = new Uint8Array(bytes);
  if (bytes === 0) return out;
  if (flags & 2) {
    fill(out, source.subarray(headerBytes, headerBytes + bytes));
    return out;
  }
  const format = flags >> 5;
  const inflate = inflaters[format];
  if (inflate === undefined)
    throw new Error(`Blosc with ${formats[format] ?? `compressor ${format}`} cannot be shown here`);
  const shuffled = ((flags & 1) !== 0 && typeSize > 1) || (flags & 4) !== 0;
  const scratch = shuffled ? new Uint8Array(blockBytes) : undefined;
  for (let block = 0, start = 0; start < bytes; block++, start += blockBytes) {
    const size = Math.min(blockBytes, bytes - start);
    const target = out.subarray(start, start + size);
    const plain = scratch?.subarray(0, size) ?? target;
    const whole = size === blockBytes;
    const split =
      (flags & 0x10) === 0 && typeSize <= mostSplits && blockBytes / typeSize >= leastSplitElements && whole;
    const parts = split ? typeSize : 1;
    const partBytes = Math.floor(size / parts);
    let at = view.getUint32(headerBytes + 4 * block, true);
    for (let part = 0; part < parts; part++) {
      const length = view.getUint32(at, true);
      at += 4;
      const packed = source.subarray(at, at + length);
      if (packed.length !== length) throw new RangeError("a damaged Blosc chunk");
      at += length;
      const piece = plain.subarray(part * partBytes, (part + 1) * partBytes);
      if (length === partBytes) piece.set(packed);
      else await inflate(packed, piece);
    }
    if (flags & 4) unshuffleBits(plain, target, typeSize);
    else if (scratch) unshuffle(plain, target, typeSize);
  }
  return out;
}
