// SPDX-License-Identifier: MIT
// Writes ImageJ's .roi format (ij.io.RoiEncoder, version 228): polygons, freehand lines, ovals and points with sub-pixel coordinates and a name.

import type { StreamShape } from "./payload.js";

/** ij.gui.Roi's types, as the format numbers them. */
const types = { polygon: 0, oval: 2, polyline: 5, freehand: 7, point: 10 } as const;

const headerBytes = 64;
const header2Bytes = 64;
const version = 228;
const subPixel = 128;

export interface RoiPosition {
  /** 1-based; 0: on every channel, slice, frame. */
  readonly channel?: number;
  readonly slice?: number;
  readonly frame?: number;
}

export interface RoiOptions {
  readonly name?: string;
  readonly position?: RoiPosition;
}

interface Bounds {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

/** Of y0, x0, y1, x1, ... */
function boundsOf(vertices: ArrayLike<number>): Bounds {
  let [top, left, bottom, right] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i + 1 < vertices.length; i += 2) {
    const [y, x] = [vertices[i] as number, vertices[i + 1] as number];
    if (y < top) top = y;
    if (y > bottom) bottom = y;
    if (x < left) left = x;
    if (x > right) right = x;
  }
  return top === Infinity ? { top: 0, left: 0, bottom: 0, right: 0 } : { top, left, bottom, right };
}

const short = (value: number): number => Math.max(-32768, Math.min(32767, Math.round(value)));

/** `vertices`: y0, x0, y1, x1, ... in pixels, the origin at the corner of the first pixel, as in ImageJ. */
function encode(
  type: (typeof types)[keyof typeof types],
  vertices: ArrayLike<number>,
  { name = "", position = {} }: RoiOptions,
): Uint8Array {
  const bounds = boundsOf(vertices);
  const isOval = type === types.oval;
  const count = isOval ? 0 : Math.floor(vertices.length / 2);
  // Two shorts relative to the bounds and two floats a vertex.
  const pointBytes = count * 12;
  const header2 = headerBytes + pointBytes;
  const bytes = new Uint8Array(header2 + header2Bytes + 2 * name.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x49, 0x6f, 0x75, 0x74]); // "Iout"
  view.setInt16(4, version);
  bytes[6] = type;
  const [top, left] = [Math.floor(bounds.top), Math.floor(bounds.left)];
  view.setInt16(8, short(top));
  view.setInt16(10, short(left));
  view.setInt16(12, short(Math.ceil(bounds.bottom)));
  view.setInt16(14, short(Math.ceil(bounds.right)));
  view.setUint16(16, count & 0xffff);
  if (isOval) {
    // Sub-pixel bounds of ovals, ImageJ 1.49 and later: x, y, width, height.
    view.setFloat32(18, bounds.left);
    view.setFloat32(22, bounds.top);
    view.setFloat32(26, bounds.right - bounds.left);
    view.setFloat32(30, bounds.bottom - bounds.top);
  } else if (count > 0xffff) {
    // ij.io.RoiDecoder takes the count from here when the short is 0.
    view.setUint16(16, 0);
    view.setInt32(18, count);
  }
  view.setInt16(50, subPixel);
  view.setInt32(60, header2);
  for (let i = 0; i < count; i++) {
    const [y, x] = [vertices[2 * i] as number, vertices[2 * i + 1] as number];
    view.setInt16(headerBytes + 2 * i, short(x - left));
    view.setInt16(headerBytes + 2 * (count + i), short(y - top));
    view.setFloat32(headerBytes + 4 * (count + i), x);
    view.setFloat32(headerBytes + 4 * (2 * count + i), y);
  }
  view.setInt32(header2 + 4, position.channel ?? 0);
  view.setInt32(header2 + 8, position.slice ?? 0);
  view.setInt32(header2 + 12, position.frame ?? 0);
  view.setInt32(header2 + 16, name === "" ? 0 : header2 + header2Bytes);
  view.setInt32(header2 + 20, name.length);
  for (let i = 0; i < name.length; i++) view.setUint16(header2 + header2Bytes + 2 * i, name.charCodeAt(i));
  return bytes;
}

/** A closed outline, an open line, or an oval within the bounds of its vertices. */
export function encodeRoi(shape: StreamShape, options: RoiOptions = {}): Uint8Array {
  const type = { polygon: types.polygon, path: types.polyline, ellipse: types.oval }[shape.type];
  return encode(type, shape.vertices, { name: `${shape.label}`, ...options });
}

/** Outlines that follow the pixels, such as those of label images. ImageJ draws them alike; its macros tell them apart. */
export function encodeFreehandRoi(vertices: ArrayLike<number>, options: RoiOptions = {}): Uint8Array {
  return encode(types.freehand, vertices, options);
}

/** One multi-point selection; y0, x0, y1, x1, ... */
export function encodePointRoi(points: ArrayLike<number>, options: RoiOptions = {}): Uint8Array {
  return encode(types.point, points, options);
}
