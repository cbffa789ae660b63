// SPDX-License-Identifier: MIT
// Pictures of wells for the report: raw thumbnails become PNGs of bounded size, with outlines as a transparent layer of their own.

import { TilecastError } from "../../errors.js";
import { dataUri, encodeGrey, encodeMask } from "./png.js";
import type { ReportData, Thumbnail } from "./report-data.js";

export interface MontageImage {
  readonly channel: number;
  readonly width: number;
  readonly height: number;
  /** 8-bit grey PNG, as a data URI. */
  readonly picture: string;
  /** Transparent PNG of the outlines, as a data URI, or null. */
  readonly outline: string | null;
}

export interface Montage {
  /** By well, then in the order of the plate's channels. */
  readonly wells: ReadonlyMap<string, readonly MontageImage[]>;
  /** Channels that have a picture anywhere, in the plate's order. */
  readonly channels: readonly number[];
  /** Channels with outlines anywhere. */
  readonly outlined: boolean;
}

// Worst case is noise that does not shrink: 8.4 MB of pixels are 11.2 MB of base64, which leaves the page below 15 MB.
const pixelBudget = 8_400_000;
const bytesPerImage = 500;
const largestSide = 320;
const smallestSide = 16;

/** A pink that no fluorophore is shown in: stands out from grey, blue, green and red alike. */
const outlineColour = [255, 88, 150] as const;

/** The longest side a picture may have when the report holds `images` of them. */
export function sideLimit(images: number): number {
  // An outline layer adds at most an eighth of a picture.
  const each = (pixelBudget / Math.max(1, images) - bytesPerImage) / 1.125;
  return Math.round(Math.min(largestSide, Math.max(smallestSide, Math.sqrt(Math.max(0, each)))));
}

function checkThumbnail(t: Thumbnail): void {
  const pixels = t.width * t.height;
  if (!(pixels > 0) || t.pixels.length !== pixels || (t.outline !== null && t.outline.length !== pixels)) {
    throw new TilecastError(
      "ERR_INVALID_ARGUMENT",
      `thumbnails: ${t.well} channel ${t.channel} says ${t.width} x ${t.height} but has ${t.pixels.length} pixels` +
        (t.outline === null ? "" : ` and ${t.outline.length} outline pixels`),
      { argument: "thumbnails" },
    );
  }
}

/** Pixel ranges `[start, end)` of the source below each target pixel; never empty. */
function spans(from: number, to: number): Int32Array {
  const edges = new Int32Array(to + 1);
  for (let i = 0; i <= to; i++) edges[i] = Math.floor((i * from) / to);
  return edges;
}

/** Grey levels of `t` between `low` and `high`, averaged down to `width` x `height`. NaN is black. */
export function toGrey(t: Thumbnail, low: number, high: number, width: number, height: number): Uint8Array {
  const out = new Uint8Array(width * height);
  const scale = high > low ? 255 / (high - low) : 0;
  const { pixels, width: stride } = t;
  if (width === t.width && height === t.height) {
    for (let i = 0; i < out.length; i++) {
      const v = ((pixels[i] as number) - low) * scale + 0.5;
      out[i] = v > 0 ? (v < 255 ? v : 255) : 0;
    }
    return out;
  }
  const xs = spans(t.width, width);
  const ys = spans(t.height, height);
  for (let y = 0, i = 0; y < height; y++) {
    const y0 = ys[y] as number;
    const y1 = Math.max(ys[y + 1] as number, y0 + 1);
    for (let x = 0; x < width; x++, i++) {
      const x0 = xs[x] as number;
      const x1 = Math.max(xs[x + 1] as number, x0 + 1);
      let sum = 0;
      for (let yy = y0; yy < y1; yy++) {
        for (let xx = x0; xx < x1; xx++) sum += pixels[yy * stride + xx] as number;
      }
      const v = (sum / ((x1 - x0) * (y1 - y0)) - low) * scale + 0.5;
      out[i] = v > 0 ? (v < 255 ? v : 255) : 0;
    }
  }
  return out;
}

/** An outline survives down-scaling where any of its pixels falls into the target pixel. */
function shrinkMask(
  mask: Uint8Array,
  from: { width: number; height: number },
  width: number,
  height: number,
): Uint8Array {
  if (width === from.width && height === from.height) return mask;
  const out = new Uint8Array(width * height);
  for (let y = 0; y < from.height; y++) {
    const row = Math.min(height - 1, Math.floor((y * height) / from.height)) * width;
    for (let x = 0; x < from.width; x++) {
      if (mask[y * from.width + x]) out[row + Math.min(width - 1, Math.floor((x * width) / from.width))] = 1;
    }
  }
  return out;
}

/** The range a thumbnail shows when the run recorded none for its channel. */
function ownRange(t: Thumbnail): { low: number; high: number } {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const v of t.pixels) {
    if (v < low) low = v;
    if (v > high) high = v;
  }
  return high > low ? { low, high } : { low: 0, high: 1 };
}

/** Encodes one picture a well and channel (the first that the run sent), none larger than the page can hold. */
export function makeMontage(data: ReportData): Montage {
  const first = new Map<string, Thumbnail[]>();
  let images = 0;
  for (const t of data.thumbnails) {
    checkThumbnail(t);
    const mine = first.get(t.well);
    if (mine === undefined) first.set(t.well, [t]);
    else if (mine.every((m) => m.channel !== t.channel)) mine.push(t);
    else continue;
    images++;
  }
  const limit = sideLimit(images);
  const order = new Map(data.plate.channels.map((c, i) => [c.channel, i]));
  const rank = (channel: number) => order.get(channel) ?? order.size + channel;
  const contrast = new Map(data.contrast.map((c) => [c.channel, c]));
  const seen = new Set<number>();
  let outlined = false;
  const wells = new Map<string, MontageImage[]>();
  for (const [well, thumbnails] of first) {
    thumbnails.sort((a, b) => rank(a.channel) - rank(b.channel));
    wells.set(
      well,
      thumbnails.map((t) => {
        const shrink = Math.min(1, limit / Math.max(t.width, t.height));
        const width = Math.max(1, Math.round(t.width * shrink));
        const height = Math.max(1, Math.round(t.height * shrink));
        const { low, high } = contrast.get(t.channel) ?? ownRange(t);
        seen.add(t.channel);
        if (t.outline !== null) outlined = true;
        return {
          channel: t.channel,
          width,
          height,
          picture: dataUri(encodeGrey(width, height, toGrey(t, low, high, width, height))),
          outline:
            t.outline === null
              ? null
              : dataUri(encodeMask(width, height, shrinkMask(t.outline, t, width, height), outlineColour)),
        };
      }),
    );
  }
  return { wells, channels: [...seen].sort((a, b) => rank(a) - rank(b)), outlined };
}
