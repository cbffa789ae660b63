// SPDX-License-Identifier: MIT
// Baseline TIFF (Adobe TIFF 6.0) for the demo plate: one 16-bit grey page in deflate strips, as MetaXpress writes them.

import { promisify } from "node:util";
import { constants, deflate } from "node:zlib";

const deflateAsync = promisify(deflate);

// 128 KB a strip: a zlib call costs a quarter megabyte of fresh state, and decoders still have several strips to share out.
const stripBytes = 128 * 1024;

const short = 3;
const long = 4;
const ascii = 2;
const rational = 5;

/**
 * A little-endian TIFF of `pixels`, row-major `[height, width]`. `description` must be ASCII (tag 270), `dateTime` is
 * `YYYY:MM:DD HH:MM:SS`. Strips are compressed on libuv's threads.
 */
export async function encodeTiff(
  width: number,
  height: number,
  pixels: Uint16Array,
  description: string,
  dateTime: string,
): Promise<Buffer> {
  const rowBytes = width * 2;
  const rowsPerStrip = Math.max(1, Math.min(height, Math.floor(stripBytes / rowBytes)));
  const strips: Promise<Buffer>[] = [];
  const bytes = Buffer.from(pixels.buffer, pixels.byteOffset, pixels.byteLength);
  for (let y = 0; y < height; y += rowsPerStrip) {
    const strip = bytes.subarray(y * rowBytes, Math.min(height, y + rowsPerStrip) * rowBytes);
    // Level 1 is what acquisition software can afford; camera noise has no long matches, so looking for runs only halves the time.
    strips.push(deflateAsync(strip, { level: 1, strategy: constants.Z_RLE, chunkSize: stripBytes }));
  }
  const data = await Promise.all(strips);

  const text = (s: string) => Buffer.from(`${s}\0`, "latin1");
  const longs = (values: readonly number[]) => {
    const out = Buffer.alloc(values.length * 4);
    values.forEach((v, i) => void out.writeUInt32LE(v, i * 4));
    return out;
  };
  const shorts = (value: number) => {
    const out = Buffer.alloc(2);
    out.writeUInt16LE(value);
    return out;
  };

  // Pixels follow the 8-byte header; the directory and what it points to come last, when every offset is known.
  let offset = 8;
  const offsets = data.map((d) => {
    const at = offset;
    offset += d.length;
    return at;
  });
  const padding = offset % 2;
  const directoryAt = offset + padding;

  const entries: readonly (readonly [tag: number, type: number, count: number, value: Buffer])[] = [
    [254, long, 1, longs([0])],
    [256, long, 1, longs([width])],
    [257, long, 1, longs([height])],
    [258, short, 1, shorts(16)],
    [259, short, 1, shorts(8)],
    [262, short, 1, shorts(1)],
    [270, ascii, description.length + 1, text(description)],
    [273, long, offsets.length, longs(offsets)],
    [277, short, 1, shorts(1)],
    [278, long, 1, longs([rowsPerStrip])],
    [279, long, data.length, longs(data.map((d) => d.length))],
    // MetaXpress writes 1 / 1 here and the true size in its description.
    [282, rational, 1, longs([1, 1])],
    [283, rational, 1, longs([1, 1])],
    [296, short, 1, shorts(2)],
    [305, ascii, 11, text("MetaSeries")],
    [306, ascii, dateTime.length + 1, text(dateTime)],
  ];
  const directory = Buffer.alloc(2 + entries.length * 12 + 4);
  directory.writeUInt16LE(entries.length, 0);
  const outside: Buffer[] = [];
  let outsideAt = directoryAt + directory.length;
  entries.forEach(([tag, type, count, value], i) => {
    const at = 2 + i * 12;
    directory.writeUInt16LE(tag, at);
    directory.writeUInt16LE(type, at + 2);
    directory.writeUInt32LE(count, at + 4);
    if (value.length <= 4) {
      value.copy(directory, at + 8);
      return;
    }
    directory.writeUInt32LE(outsideAt, at + 8);
    outside.push(value);
    outsideAt += value.length;
    if (value.length % 2 === 1) {
      outside.push(Buffer.alloc(1));
      outsideAt++;
    }
  });

  const head = Buffer.from([0x49, 0x49, 42, 0, 0, 0, 0, 0]);
  head.writeUInt32LE(directoryAt, 4);
  return Buffer.concat([head, ...data, Buffer.alloc(padding), directory, ...outside]);
}
