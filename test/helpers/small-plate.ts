// SPDX-License-Identifier: MIT
// Writes small ImageXpress plates for tests: discs on a sloped background, different in every plane, computed without the package.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DType } from "../../lib/image/dtype.js";
import { writeTiff } from "./tiff.js";

export interface SmallPlateOptions {
  /** Default A01 and A02. */
  readonly wells?: readonly string[];
  /** Default 1. */
  readonly sites?: number;
  /** z slices of each channel; 0 is a channel stored without a stack. Default `[0]`: one channel, no stack. */
  readonly channels?: readonly number[];
  /** Channels (by number) that have an acquired projection beside their stack. */
  readonly projected?: readonly number[];
  /** Names of the channels, which go into an HTD file. */
  readonly names?: readonly string[];
  /** Default 1: no TimePoint folders. */
  readonly timepoints?: number;
  readonly width?: number;
  readonly height?: number;
  readonly dtype?: DType;
  /** Size and dtype of one plane instead, by its path relative to the plate. */
  readonly special?: (path: string) => { width?: number; height?: number; dtype?: DType } | undefined;
  /** Planes that are zero everywhere. */
  readonly blank?: (plane: SmallPlane) => boolean;
  /** Pixel instead of the discs. */
  readonly value?: (x: number, y: number, plane: SmallPlane) => number;
}

export interface SmallPlane {
  readonly path: string;
  readonly well: string;
  readonly site: number;
  readonly channel: number;
  /** 0: outside a stack. */
  readonly z: number;
  readonly timepoint: number;
}

/** An integer hash: numbers that look random and are the same everywhere. */
export function hash(...values: number[]): number {
  let h = 0x811c9dc5;
  for (const v of values) {
    h = Math.imul(h ^ v, 0x01000193);
    h ^= h >>> 15;
    h = Math.imul(h, 0x2c1b3c6d);
    h ^= h >>> 13;
  }
  return h >>> 0;
}

function discs(plane: SmallPlane, width: number, height: number): (x: number, y: number) => number {
  const well = hash(...[...plane.well].map((c) => c.charCodeAt(0)));
  const place = (i: number, what: number) => hash(well, plane.site, plane.timepoint, i, what) / 2 ** 32;
  const radius = Math.max(2, Math.min(width, height) / 16);
  const spots = Array.from({ length: 9 }, (_, i) => ({
    x: place(i, 1) * width,
    y: place(i, 2) * height,
    r: radius * (0.6 + place(i, 3)),
    light: 60 + 40 * place(i, 4) + 10 * plane.channel,
  }));
  return (x, y) => {
    let v =
      10 +
      Math.floor((20 * x) / width) +
      (hash(well, plane.site, plane.channel, plane.z, plane.timepoint, x, y) % 8);
    for (const s of spots)
      if ((x - s.x) ** 2 + (y - s.y) ** 2 < s.r * s.r) v += s.light - 4 * Math.abs(plane.z - 2);
    return Math.floor(v);
  };
}

/** Writes one plane of a small plate, again if need be. */
export function writePlane(root: string, plane: SmallPlane, options: SmallPlateOptions = {}): void {
  const { width = 64, height = 48, dtype = "uint16" } = { ...options, ...options.special?.(plane.path) };
  const value = options.blank?.(plane) ? () => 0 : (options.value ?? discs(plane, width, height));
  writeTiff(join(root, plane.path), { width, height, dtype, value: (x, y) => value(x, y, plane) });
}

/** Writes a plate into `root` and returns its planes in the order of a catalogue. */
export function smallPlate(root: string, options: SmallPlateOptions = {}): SmallPlane[] {
  const {
    wells = ["A01", "A02"],
    sites = 1,
    channels = [0],
    projected = [],
    timepoints = 1,
    names,
  } = options;
  mkdirSync(root, { recursive: true });
  if (names) {
    const lines = [
      '"HTSInfoFile", Version 1.0',
      '"XWells", 12',
      '"YWells", 8',
      '"Waves", TRUE',
      `"NWavelengths", ${names.length}`,
      ...names.map((n, i) => `"WaveName${i + 1}", "${n}"`),
      '"EndFile"',
    ];
    writeFileSync(join(root, "demo.HTD"), `${lines.join("\r\n")}\r\n`);
  }
  const planes: SmallPlane[] = [];
  for (let timepoint = 1; timepoint <= timepoints; timepoint++) {
    for (const well of wells) {
      for (let site = 1; site <= sites; site++) {
        for (const [i, slices] of channels.entries()) {
          const channel = i + 1;
          for (let z = slices === 0 || projected.includes(channel) ? 0 : 1; z <= slices; z++) {
            const folders = [
              ...(timepoints > 1 ? [`TimePoint_${timepoint}`] : []),
              ...(z > 0 ? [`ZStep_${z}`] : []),
            ];
            const path = [...folders, `demo_${well}_s${site}_w${channel}.tif`].join("/");
            planes.push({ path, well, site, channel, z, timepoint });
          }
        }
      }
    }
  }
  for (const plane of planes) writePlane(root, plane, options);
  return planes;
}
