// SPDX-License-Identifier: MIT
// A small PNG encoder (W3C PNG, third edition) for what the report draws: 8-bit grey, RGB, and a one-colour transparent mask.

import { constants, crc32, deflateSync } from "node:zlib";
import { TilecastError } from "../../errors.js";

const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

const colourTypes = { grey: 0, rgb: 2, palette: 3 } as const;

function chunk(type: string, data: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(12 + data.length);
  out.writeUInt32BE(data.length, 0);
  out.write(type, 4, "latin1");
  out.set(data, 8);
  out.writeUInt32BE(crc32(out.subarray(4, 8 + data.length)), 8 + data.length);
  return out;
}

function header(width: number, height: number, bitDepth: number, colourType: number): Buffer {
  const data = Buffer.alloc(13);
  data.writeUInt32BE(width, 0);
  data.writeUInt32BE(height, 4);
  data[8] = bitDepth;
  data[9] = colourType;
  return chunk("IHDR", data);
}

function check(width: number, height: number, length: number, samples: number): void {
  if (
    !Number.isInteger(width) ||
    !Number.isInteger(height) ||
    width < 1 ||
    height < 1 ||
    width > 0x7fffffff ||
    height > 0x7fffffff
  ) {
    throw new TilecastError(
      "ERR_INVALID_ARGUMENT",
      `width and height: expected whole numbers from 1 on, got ${width} x ${height}`,
      {
        argument: "width",
      },
    );
  }
  if (length !== width * height * samples) {
    throw new TilecastError(
      "ERR_INVALID_ARGUMENT",
      `pixels: expected ${width * height * samples} bytes for ${width} x ${height}, got ${length}`,
      {
        argument: "pixels",
      },
    );
  }
}

/**
 * Continuous-tone rows with the Sub filter: differences of neighbours are small numbers, which Huffman codes shorten. Run-length
 * matching finds what flat background offers; longer matches hardly occur in camera noise and cost four times the time.
 */
function encodeTone(width: number, height: number, pixels: Uint8Array, samples: 1 | 3): Buffer {
  check(width, height, pixels.length, samples);
  const stride = width * samples;
  const raw = Buffer.allocUnsafe(height * (stride + 1));
  for (let y = 0; y < height; y++) {
    const from = y * stride;
    let to = y * (stride + 1);
    raw[to++] = 1;
    for (let i = 0; i < samples; i++) raw[to++] = pixels[from + i] as number;
    for (let i = samples; i < stride; i++) {
      raw[to++] = ((pixels[from + i] as number) - (pixels[from + i - samples] as number)) & 255;
    }
  }
  const data = deflateSync(raw, { level: 1, strategy: constants.Z_RLE, chunkSize: 64 * 1024 });
  return Buffer.concat([
    signature,
    header(width, height, 8, samples === 1 ? colourTypes.grey : colourTypes.rgb),
    chunk("IDAT", data),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** 8-bit grey; `pixels` is row-major `[height, width]`. */
export function encodeGrey(width: number, height: number, pixels: Uint8Array): Buffer {
  return encodeTone(width, height, pixels, 1);
}

/** 8-bit RGB; `pixels` is row-major `[height, width, 3]`. */
export function encodeRgb(width: number, height: number, pixels: Uint8Array): Buffer {
  return encodeTone(width, height, pixels, 3);
}

/** One bit a pixel: transparent where `mask` is 0, `colour` elsewhere. `mask` is row-major `[height, width]`. */
export function encodeMask(
  width: number,
  height: number,
  mask: Uint8Array,
  colour: readonly [number, number, number],
): Buffer {
  check(width, height, mask.length, 1);
  const stride = (width + 7) >> 3;
  const raw = Buffer.alloc(height * (stride + 1));
  for (let y = 0; y < height; y++) {
    const from = y * width;
    const to = y * (stride + 1) + 1;
    for (let x = 0; x < width; x++) {
      if (mask[from + x]) raw[to + (x >> 3)] = (raw[to + (x >> 3)] as number) | (128 >> (x & 7));
    }
  }
  return Buffer.concat([
    signature,
    header(width, height, 1, colourTypes.palette),
    chunk("PLTE", Uint8Array.of(0, 0, 0, ...colour)),
    // One entry: palette entries past the end of tRNS are opaque.
    chunk("tRNS", Uint8Array.of(0)),
    chunk("IDAT", deflateSync(raw, { level: 1 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** A `data:` URI, so that the page needs no other file. */
export function dataUri(png: Buffer): string {
  return `data:image/png;base64,${png.toString("base64")}`;
}
