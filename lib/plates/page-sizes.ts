// SPDX-License-Identifier: MIT
// Tells a stack of equal pages from a file whose pages differ in size (a pyramid, an overview): only then are pages slices.
//
// Format: TIFF Revision 6.0, section 2; BigTIFF. Reads ImageWidth, ImageLength and NewSubfileType of each page and no more;
// pixels and everything else are the native reader's.

import { type FileHandle, open } from "node:fs/promises";

/** Far above any stack; ends a chain that runs in circles. */
const maxPages = 100_000;

interface Page {
  readonly width: number;
  readonly height: number;
  /** NewSubfileType bit 0: a reduced version of another page. */
  readonly reduced: boolean;
}

async function bytesAt(file: FileHandle, offset: number, length: number): Promise<DataView> {
  const buffer = new Uint8Array(length);
  const { bytesRead } = await file.read(buffer, 0, length, offset);
  if (bytesRead < length) throw new RangeError(`the file ends before byte ${offset + length}`);
  return new DataView(buffer.buffer);
}

async function* pagesOf(file: FileHandle): AsyncGenerator<Page> {
  const head = await bytesAt(file, 0, 8);
  const little = head.getUint16(0) === 0x4949;
  const big = head.getUint16(2, little) === 43;
  const word = (view: DataView, at: number) =>
    big ? Number(view.getBigUint64(at, little)) : view.getUint32(at, little);
  let offset = big ? word(await bytesAt(file, 8, 8), 0) : head.getUint32(4, little);
  const [countBytes, entryBytes, valueAt] = big ? [8, 20, 12] : [2, 12, 8];
  for (let page = 0; offset !== 0 && page < maxPages; page++) {
    const countView = await bytesAt(file, offset, countBytes);
    const count = big ? word(countView, 0) : countView.getUint16(0, little);
    if (count > 65_535) throw new RangeError(`${count} fields in one page`);
    const ifd = await bytesAt(file, offset + countBytes, count * entryBytes + (big ? 8 : 4));
    const fields = new Map<number, number>();
    for (let i = 0; i < count; i++) {
      const tag = ifd.getUint16(i * entryBytes, little);
      if (tag !== 254 && tag !== 256 && tag !== 257) continue;
      const at = i * entryBytes + valueAt;
      const type = ifd.getUint16(i * entryBytes + 2, little);
      fields.set(
        tag,
        type === 3 ? ifd.getUint16(at, little) : type === 16 ? word(ifd, at) : ifd.getUint32(at, little),
      );
    }
    yield {
      width: fields.get(256) ?? 0,
      height: fields.get(257) ?? 0,
      reduced: ((fields.get(254) ?? 0) & 1) === 1,
    };
    offset = word(ifd, count * entryBytes);
  }
}

/** Whether every page of a multi-page TIFF has the first one's size and is an image of its own. Damage reads as no. */
export async function pagesAreUniform(path: string): Promise<boolean> {
  try {
    const file = await open(path);
    try {
      let first: Page | undefined;
      for await (const page of pagesOf(file)) {
        first ??= page;
        if (page.reduced || page.width !== first.width || page.height !== first.height) return false;
      }
      return first !== undefined;
    } finally {
      await file.close();
    }
  } catch {
    return false;
  }
}
