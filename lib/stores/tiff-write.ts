// SPDX-License-Identifier: MIT
// Writes one plane as a TIFF file of a store, natively.

import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { fromNative, isTilecastError } from "../errors.js";
import { Tile } from "../image/tile.js";
import { native } from "../native.js";
import { isFolder, temporaryPath, type WriteFileOptions } from "./folder.js";
import { type StoredImage, throwIfAborted } from "./store.js";

/** How stores compress TIFF files. */
export type TiffCompression = "none" | "deflate" | "zstd";

const largestClassic = 0xffff_ffff;

/** As `writeAtomically`, of an image. Throws ERR_IO, also where the file is there and may not be. */
export async function writeTiffFile(
  path: string,
  value: StoredImage | Tile,
  compression: TiffCompression,
  { exclusive, sync, signal }: WriteFileOptions,
): Promise<void> {
  const [height, width] = value.shape as readonly [number, number];
  const { dtype } = value;
  const encoding = {
    codec: compression,
    level: compression === "zstd" ? 3 : 6,
    predictor: compression !== "none" && !dtype.startsWith("float"),
    // Strips: intermediates are read again soon, as a whole, and uncompressed ones go straight from the file into a slot.
    tile: 0,
    stripRows: 0,
    classicBytes: largestClassic,
    sync,
    exclusive,
    temporary: temporaryPath(path),
  };
  const page = { description: "", pixelSizeXUm: 0, pixelSizeYUm: 0, levels: 1, threads: 1 };
  const writer = new (native().TiffWriter)();
  let finished = false;
  try {
    try {
      await writer.open(path, encoding);
    } catch (error) {
      if (!isTilecastError(fromNative(error), "ERR_IO") || (await isFolder(dirname(path)))) throw error;
      await mkdir(dirname(path), { recursive: true });
      await writer.open(path, encoding);
    }
    throwIfAborted(signal, `writing ${path}`);
    if (value instanceof Tile) {
      const { nativePool, slot, generation } = value;
      await writer.writeTile(nativePool, slot, generation, dtype, height, width, page);
    } else {
      await writer.writeArray(value.pixels, dtype, height, width, page);
    }
    throwIfAborted(signal, `writing ${path}`);
    await writer.finish();
    finished = true;
  } catch (error) {
    throw fromNative(error);
  } finally {
    if (!finished) await writer.abandon();
  }
}
