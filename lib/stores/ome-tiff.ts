// SPDX-License-Identifier: MIT
// Writes images as OME-TIFF: planes from pool tiles or typed arrays, natively encoded, with pyramids.

import { randomUUID } from "node:crypto";
import { availableParallelism } from "node:os";
import { basename } from "node:path";
import { fromNative, TilecastError } from "../errors.js";
import { type DType, dtypeOf, type TypedArray } from "../image/dtype.js";
import { checkDType, checkInteger, invalidArgument } from "../image/shape.js";
import { Tile } from "../image/tile.js";
import { type NativeTiffEncoding, type NativeTiffPage, type NativeTiffWriter, native } from "../native.js";
import {
  type DimensionOrder,
  dimensionOrders,
  type OmeTiffChannel,
  type OmeTiffDescription,
  omeTiffXml,
  planesOf,
} from "./ome-tiff-xml.js";

/**
 * One plane, `[height, width]` of the image's dtype, in C order: a tile, which stays the caller's to release, or a typed array. Both are read
 * by other threads until the next plane is asked for: do not change, transfer or release them before.
 */
export type OmeTiffPlane = Tile | TypedArray;

export interface OmeTiffImage {
  /** px */
  readonly width: number;
  /** px */
  readonly height: number;
  readonly dtype: DType;
  /** Default 1. */
  readonly sizeZ?: number;
  /** Default: as many as `channels`, or 1. */
  readonly sizeC?: number;
  /** Default 1. */
  readonly sizeT?: number;
  /** Order of the planes. Default XYCZT: channels run fastest, as ImageJ has it. */
  readonly order?: DimensionOrder;
  /** Default: the file's name without its extension. */
  readonly name?: string;
  readonly channels?: readonly OmeTiffChannel[];
  /** Micrometres a pixel. */
  readonly pixelSizeUm?: { readonly x: number; readonly y: number } | null;
  /** Micrometres between slices. */
  readonly zStepUm?: number | null;
  /** Seconds between timepoints. */
  readonly timeStepS?: number | null;
  /** sizeZ * sizeC * sizeT planes in `order`. Asked for one at a time, so that a generator can release a tile when it goes on. */
  readonly planes: Iterable<OmeTiffPlane> | AsyncIterable<OmeTiffPlane>;
}

export interface OmeTiffOptions {
  /** Default deflate, which every reader knows. zstd is several times faster to write and read; older readers lack it. */
  readonly compression?: "none" | "deflate" | "zstd";
  /** Default 6 for deflate (0 to 12), 3 for zstd (1 to 22). */
  readonly level?: number;
  /** Store differences of neighbours, where pixels are compressed. Default: for integers; Bio-Formats reads no floats stored that way. */
  readonly predictor?: boolean;
  /** Edge of the tiles, px, a multiple of 16; 0 for strips. Default 256. */
  readonly tile?: number;
  /** Default: as many as make 256 KiB. */
  readonly rowsPerStrip?: number;
  /**
   * Resolutions, each half of the one before by means, in SubIFDs; `"auto"`: until no side is above 256 px. Default 1: no pyramid.
   */
  readonly levels?: number | "auto";
  /** Default `"auto"`: where a file is larger than 4 GiB. */
  readonly bigTiff?: boolean | "auto";
  /** Wait until the file is on the disk, so that a power failure too leaves the old file or the new one. Default false. */
  readonly sync?: boolean;
  /** That compress a plane at once. Default: as many as there are processors, up to 8. */
  readonly threads?: number;
  /** Identity of the file, for files that are to be the same bytes each time. Default: a random one. */
  readonly uuid?: string;
  /** Ends the writing between two planes. */
  readonly signal?: AbortSignal;
}

export interface OmeTiffReport {
  readonly path: string;
  readonly bytes: number;
  readonly planes: number;
  readonly levels: number;
  /** `urn:uuid:...` */
  readonly uuid: string;
}

const smallestLevel = 256;
const mostThreads = 8;
const mostPlanes = 1 << 20;
const largestClassic = 0xffff_ffff;

function positive(value: unknown, argument: string): number | null {
  if (value === undefined || value === null) return null;
  if (typeof value !== "number" || !(value > 0) || !Number.isFinite(value))
    throw invalidArgument(argument, "a positive number", value);
  return value;
}

function describeImage(path: string, image: OmeTiffImage, uuid: string): OmeTiffDescription {
  if (typeof image !== "object" || image === null)
    throw invalidArgument("image", "{ width, height, dtype, planes }", image);
  const channels = image.channels ?? [];
  if (!Array.isArray(channels)) throw invalidArgument("image.channels", "an array", channels);
  for (const { color } of channels as readonly OmeTiffChannel[]) {
    if (color !== undefined && !/^[0-9a-f]{6}$/i.test(color))
      throw invalidArgument("image.channels: color", "RRGGBB", color);
  }
  const order = image.order ?? "XYCZT";
  if (!dimensionOrders.includes(order))
    throw invalidArgument("image.order", `one of ${dimensionOrders.join(", ")}`, order);
  const sizeC = checkInteger(image.sizeC ?? Math.max(1, channels.length), "image.sizeC", 1, mostPlanes);
  if (channels.length > sizeC)
    throw invalidArgument("image.channels", `of at most ${sizeC} entries (sizeC)`, channels);
  const size = image.pixelSizeUm ?? null;
  const x = positive(size?.x, "image.pixelSizeUm.x");
  const y = positive(size?.y, "image.pixelSizeUm.y");
  const side = 2 ** 31 - 1;
  return {
    name: image.name ?? basename(path).replace(/(\.ome)?\.[^.]*$/i, ""),
    width: checkInteger(image.width, "image.width", 1, side),
    height: checkInteger(image.height, "image.height", 1, side),
    dtype: checkDType(image.dtype, "image.dtype"),
    sizeZ: checkInteger(image.sizeZ ?? 1, "image.sizeZ", 1, mostPlanes),
    sizeC,
    sizeT: checkInteger(image.sizeT ?? 1, "image.sizeT", 1, mostPlanes),
    order,
    channels,
    pixelSizeUm: x === null || y === null ? null : { x, y },
    zStepUm: positive(image.zStepUm, "image.zStepUm"),
    timeStepS: positive(image.timeStepS, "image.timeStepS"),
    fileName: basename(path),
    uuid,
  };
}

function encodingOf(options: OmeTiffOptions, dtype: DType): NativeTiffEncoding {
  const codec = options.compression ?? "deflate";
  if (!["none", "deflate", "zstd"].includes(codec))
    throw invalidArgument("compression", "none, deflate or zstd", codec);
  return {
    codec,
    level: checkInteger(options.level ?? (codec === "zstd" ? 3 : 6), "level", 0, 22),
    predictor: options.predictor ?? !dtype.startsWith("float"),
    tile: checkInteger(options.tile ?? 256, "tile", 0, 1 << 15),
    stripRows: checkInteger(options.rowsPerStrip ?? 0, "rowsPerStrip", 0, 2 ** 31 - 1),
    classicBytes: options.bigTiff === true ? 0 : largestClassic,
    sync: options.sync ?? false,
  };
}

function levelsOf(options: OmeTiffOptions, image: OmeTiffDescription): number {
  const to = (side: number) =>
    Math.max(0, Math.ceil(Math.log2(Math.max(image.width, image.height) / side))) + 1;
  const { levels = 1 } = options;
  // Beyond one pixel there is nothing to halve.
  return levels === "auto" ? to(smallestLevel) : Math.min(checkInteger(levels, "levels", 1), to(1));
}

/** Where a plane's pixels are, checked against the image. */
function writePlane(
  writer: NativeTiffWriter,
  plane: OmeTiffPlane,
  image: OmeTiffDescription,
  page: NativeTiffPage,
  name: string,
): Promise<void> {
  const { height, width, dtype } = image;
  if (plane instanceof Tile) {
    const fits =
      plane.dtype === dtype &&
      plane.shape.at(-2) === height &&
      plane.shape.at(-1) === width &&
      (plane.shape.length === 2 || plane.shape[0] === 1);
    if (!fits)
      throw invalidArgument(
        name,
        `a tile of [${height}, ${width}] ${dtype}`,
        `[${plane.shape.join(", ")}] ${plane.dtype}`,
      );
    return writer.writeTile(plane.nativePool, plane.slot, plane.generation, dtype, height, width, page);
  }
  if (!ArrayBuffer.isView(plane) || dtypeOf(plane) !== dtype || plane.length !== width * height)
    throw invalidArgument(
      name,
      `a tile, or a typed array of ${width * height} ${dtype}`,
      describePlane(plane),
    );
  return writer.writeArray(plane, dtype, height, width, page);
}

const describePlane = (plane: unknown): unknown =>
  ArrayBuffer.isView(plane) ? `${plane.constructor.name}(${(plane as TypedArray).length})` : plane;

/**
 * Writes `image` to `path`, whose folder must exist and whose name should end in `.ome.tif`: planes tiled and compressed, the metadata as OME-XML
 * 2016-06 in the first page. What was at `path` before is replaced at once when all is written; a failure, a signal or the death of the
 * process leaves it as it was.
 *
 * Rejects with ERR_INVALID_ARGUMENT (a plane of another shape or dtype, too few or too many planes), ERR_IO, ERR_SLOT_RELEASED and ERR_POOL_CLOSED (of a
 * tile), ERR_CANCELLED, and with what `planes` throws.
 */
export async function writeOmeTiff(
  path: string,
  image: OmeTiffImage,
  options: OmeTiffOptions = {},
): Promise<OmeTiffReport> {
  if (typeof path !== "string" || path === "") throw invalidArgument("path", "the path of a file", path);
  const uuid = options.uuid ?? randomUUID();
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(uuid))
    throw invalidArgument("uuid", "a UUID", uuid);
  const description = describeImage(path, image, `urn:uuid:${uuid}`);
  const encoding = encodingOf(options, description.dtype);
  const levels = levelsOf(options, description);
  const threads = checkInteger(
    options.threads ?? Math.min(availableParallelism(), mostThreads),
    "threads",
    1,
    1024,
  );
  const expected = description.sizeZ * description.sizeC * description.sizeT;
  if (expected > mostPlanes)
    throw invalidArgument("image", `of at most ${mostPlanes} planes`, `${expected} planes`);
  const { signal } = options;
  const check = () => {
    if (signal?.aborted)
      throw new TilecastError("ERR_CANCELLED", `writing ${path} was cancelled`, {
        path,
        cause: signal.reason,
      });
  };
  check();
  const places = planesOf(description);
  const writer = new (native().TiffWriter)();
  let finished = false;
  try {
    await writer.open(path, encoding);
    let count = 0;
    for await (const plane of image.planes) {
      check();
      const place = places.next();
      if (place.done) throw invalidArgument("image.planes", `${expected} planes`, "more");
      const { z, c, t } = place.value;
      const page: NativeTiffPage = {
        description: count === 0 ? omeTiffXml(description) : "",
        pixelSizeXUm: description.pixelSizeUm?.x ?? 0,
        pixelSizeYUm: description.pixelSizeUm?.y ?? 0,
        levels,
        threads,
      };
      await writePlane(writer, plane, description, page, `plane ${count} (c ${c}, z ${z}, t ${t})`);
      count++;
    }
    check();
    if (count !== expected) throw invalidArgument("image.planes", `${expected} planes`, count);
    const bytes = await writer.finish();
    finished = true;
    return Object.freeze({ path, bytes, planes: count, levels, uuid: description.uuid });
  } catch (error) {
    throw fromNative(error);
  } finally {
    if (!finished) await writer.abandon();
  }
}
