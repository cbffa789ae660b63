// SPDX-License-Identifier: MIT
// Writes small TIFF files for tests: any byte order, dtype and page count, uncompressed or deflate, in strips.

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { deflateSync } from "node:zlib";
import { type DType, dtypeSize } from "../../lib/image/dtype.js";

export interface TiffPageOptions {
  readonly width: number;
  readonly height: number;
  /** Default `uint8`. */
  readonly dtype?: DType;
  /** Interleaved samples a pixel; default 1, 3 is RGB. */
  readonly samples?: number;
  /** Value of a sample; default `x + y`. */
  readonly value?: (x: number, y: number, sample: number) => number;
  readonly description?: string;
  readonly compression?: "none" | "deflate";
  /** Rows a strip; default all. */
  readonly rowsPerStrip?: number;
  /** Micrometres a pixel, stored as pixels per centimetre. */
  readonly pixelSizeUm?: number;
  /** NewSubfileType bit 0. */
  readonly reduced?: boolean;
}

export interface TiffOptions {
  readonly bigEndian?: boolean;
}

const setters = {
  uint8: "setUint8",
  int8: "setInt8",
  uint16: "setUint16",
  int16: "setInt16",
  uint32: "setUint32",
  int32: "setInt32",
  float32: "setFloat32",
  float64: "setFloat64",
} as const;

interface Field {
  readonly tag: number;
  /** 2 ASCII, 3 SHORT, 4 LONG, 5 RATIONAL (pairs). */
  readonly type: 2 | 3 | 4 | 5;
  readonly values: readonly number[];
}

const typeBytes = { 2: 1, 3: 2, 4: 4, 5: 4 } as const;

function pixelStrips(page: TiffPageOptions, little: boolean): Uint8Array[] {
  const { width, height, dtype = "uint8", samples = 1, rowsPerStrip = height } = page;
  const value = page.value ?? ((x: number, y: number) => x + y);
  const size = dtypeSize(dtype);
  const strips: Uint8Array[] = [];
  for (let top = 0; top < height; top += rowsPerStrip) {
    const rows = Math.min(rowsPerStrip, height - top);
    const view = new DataView(new ArrayBuffer(rows * width * samples * size));
    let at = 0;
    for (let y = top; y < top + rows; y++) {
      for (let x = 0; x < width; x++) {
        for (let s = 0; s < samples; s++, at += size) view[setters[dtype]](at, value(x, y, s), little);
      }
    }
    const bytes = new Uint8Array(view.buffer);
    strips.push(page.compression === "deflate" ? deflateSync(bytes) : bytes);
  }
  return strips;
}

/** Bytes of a classic TIFF with these pages. */
export function encodeTiff(
  pages: TiffPageOptions | readonly TiffPageOptions[],
  options: TiffOptions = {},
): Uint8Array {
  const little = !options.bigEndian;
  const list = Array.isArray(pages) ? (pages as readonly TiffPageOptions[]) : [pages as TiffPageOptions];
  const chunks: Uint8Array[] = [];
  let length = 0;
  const append = (bytes: Uint8Array): number => {
    const padding = length % 2;
    if (padding) chunks.push(new Uint8Array(1));
    const offset = length + padding;
    chunks.push(bytes);
    length = offset + bytes.length;
    return offset;
  };
  const head = new DataView(new ArrayBuffer(8));
  head.setUint16(0, little ? 0x4949 : 0x4d4d);
  head.setUint16(2, 42, little);
  append(new Uint8Array(head.buffer));
  /** Where the offset of the next page goes. */
  let link = { view: head, at: 4 };

  for (const page of list) {
    const { width, height, dtype = "uint8", samples = 1, rowsPerStrip = height } = page;
    const strips = pixelStrips(page, little);
    const offsets = strips.map(append);
    const bits = dtypeSize(dtype) * 8;
    const sampleFormat = dtype.startsWith("u") ? 1 : dtype.startsWith("i") ? 2 : 3;
    const fields: Field[] = [
      { tag: 254, type: 4, values: [page.reduced ? 1 : 0] },
      { tag: 256, type: 4, values: [width] },
      { tag: 257, type: 4, values: [height] },
      { tag: 258, type: 3, values: Array(samples).fill(bits) },
      { tag: 259, type: 3, values: [page.compression === "deflate" ? 8 : 1] },
      { tag: 262, type: 3, values: [samples === 3 ? 2 : 1] },
      { tag: 273, type: 4, values: offsets },
      { tag: 277, type: 3, values: [samples] },
      { tag: 278, type: 4, values: [rowsPerStrip] },
      { tag: 279, type: 4, values: strips.map((s) => s.length) },
      { tag: 339, type: 3, values: Array(samples).fill(sampleFormat) },
    ];
    if (page.description !== undefined) {
      fields.push({ tag: 270, type: 2, values: [...new TextEncoder().encode(page.description), 0] });
    }
    if (page.pixelSizeUm !== undefined) {
      const perCentimetre = [Math.round(1e8 / page.pixelSizeUm), 1e4];
      fields.push({ tag: 282, type: 5, values: perCentimetre }, { tag: 283, type: 5, values: perCentimetre });
      fields.push({ tag: 296, type: 3, values: [3] });
    }
    fields.sort((a, b) => a.tag - b.tag);
    const ifd = new DataView(new ArrayBuffer(2 + fields.length * 12 + 4));
    ifd.setUint16(0, fields.length, little);
    for (const [i, { tag, type, values }] of fields.entries()) {
      const at = 2 + i * 12;
      const data = new DataView(new ArrayBuffer(Math.max(4, values.length * typeBytes[type])));
      for (const [j, v] of values.entries()) {
        if (type === 2) data.setUint8(j, v);
        else if (type === 3) data.setUint16(j * 2, v, little);
        else data.setUint32(j * 4, v, little);
      }
      ifd.setUint16(at, tag, little);
      ifd.setUint16(at + 2, type, little);
      ifd.setUint32(at + 4, type === 5 ? values.length / 2 : values.length, little);
      if (data.byteLength > 4) ifd.setUint32(at + 8, append(new Uint8Array(data.buffer)), little);
      else new Uint8Array(ifd.buffer).set(new Uint8Array(data.buffer), at + 8);
    }
    link.view.setUint32(link.at, append(new Uint8Array(ifd.buffer)), little);
    link = { view: ifd, at: 2 + fields.length * 12 };
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

/** Writes a TIFF, and the folders above it. */
export function writeTiff(
  path: string,
  pages: TiffPageOptions | readonly TiffPageOptions[],
  options?: TiffOptions,
): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, encodeTiff(pages, options));
}
