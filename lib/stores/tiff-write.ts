// SPDX-License-Identifier: MIT
// Lays out an uncompressed TIFF (or BigTIFF) of one plane.
//
// TIFF Revision 6.0 (Adobe, 1992); BigTIFF (libtiff design, 2004). Intermediates are read again soon, mostly from the page cache: uncompressed
// rows go straight from the file into a slot.

import { type DType, dtypeSize } from "../image/dtype.js";

/** Strips of about this size: large enough for few of them, small enough for readers that read a strip at a time. */
const stripBytes = 256 * 1024;

/** Header and directory; the pixels, row by row, little-endian, follow immediately. */
export function tiffHead(shape: readonly [y: number, x: number], dtype: DType): Uint8Array {
  const [height, width] = shape;
  const rowBytes = width * dtypeSize(dtype);
  const rows = Math.min(height, Math.max(1, Math.floor(stripBytes / rowBytes)));
  const strips = Math.ceil(height / rows);
  const layout = (big: boolean) => {
    const offsetBytes = big ? 8 : 4;
    const fields = 11;
    const start = big ? 16 : 8;
    const directory = big ? 8 + fields * 20 + 8 : 2 + fields * 12 + 4;
    // One value lies in the directory itself.
    const arrays = strips === 1 ? 0 : 2 * strips * offsetBytes;
    const pixels = Math.ceil((start + directory + arrays) / 16) * 16;
    return { offsetBytes, fields, start, directory, pixels, total: pixels + rowBytes * height };
  };
  const small = layout(false);
  const big = small.total > 0xffff_ffff;
  const { offsetBytes, fields, start, directory, pixels } = big ? layout(true) : small;
  const view = new DataView(new ArrayBuffer(pixels));
  const offset = (at: number, value: number) =>
    big ? view.setBigUint64(at, BigInt(value), true) : view.setUint32(at, value, true);
  view.setUint16(0, 0x4949);
  view.setUint16(2, big ? 43 : 42, true);
  if (big) view.setUint16(4, 8, true);
  offset(big ? 8 : 4, start);
  if (big) view.setBigUint64(start, BigInt(fields), true);
  else view.setUint16(start, fields, true);
  let at = start + (big ? 8 : 2);
  let arrays = start + directory;
  const entry = (tag: number, type: 3 | 4 | 16, values: readonly number[]) => {
    view.setUint16(at, tag, true);
    view.setUint16(at + 2, type, true);
    offset(at + 4, values.length);
    let to = at + 4 + offsetBytes;
    const bytes = type === 3 ? 2 : type === 4 ? 4 : 8;
    if (values.length * bytes > offsetBytes) {
      offset(to, arrays);
      to = arrays;
      arrays += values.length * bytes;
    }
    for (const value of values) {
      if (type === 3) view.setUint16(to, value, true);
      else if (type === 4) view.setUint32(to, value, true);
      else view.setBigUint64(to, BigInt(value), true);
      to += bytes;
    }
    at += big ? 20 : 12;
  };
  const each = (of: (strip: number) => number) => Array.from({ length: strips }, (_, i) => of(i));
  const offsetType = big ? 16 : 4;
  entry(254, 4, [0]);
  entry(256, 4, [width]);
  entry(257, 4, [height]);
  entry(258, 3, [8 * dtypeSize(dtype)]);
  entry(259, 3, [1]);
  entry(262, 3, [1]);
  entry(
    273,
    offsetType,
    each((i) => pixels + i * rows * rowBytes),
  );
  entry(277, 3, [1]);
  entry(278, 4, [rows]);
  entry(
    279,
    offsetType,
    each((i) => Math.min(rows, height - i * rows) * rowBytes),
  );
  entry(339, 3, [dtype.startsWith("u") ? 1 : dtype.startsWith("i") ? 2 : 3]);
  return new Uint8Array(view.buffer);
}
