// SPDX-License-Identifier: MIT
// Writes plates whose fields overlap: crops of one scene a well at known places, with noise and shading of their own.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { hash } from "./small-plate.js";
import { writeTiff } from "./tiff.js";

export interface MosaicPlateOptions {
  /** Default A01. */
  readonly wells?: readonly string[];
  /** Of fields. Default 2 x 2. */
  readonly rows?: number;
  readonly columns?: number;
  /** px. Default 192 x 216. */
  readonly height?: number;
  readonly width?: number;
  /** px between neighbours' first pixels, before the jitter. Default four fifths of the field, rounded. */
  readonly pitch?: { readonly y: number; readonly x: number };
  /** How far a field lies from its place on the grid, px; fractions too. Default up to 5 px, whole. */
  readonly jitter?: (well: string, site: number) => { readonly y: number; readonly x: number };
  /** Of the scene, px. Default: what the grid covers and a margin. */
  readonly scene?: { readonly height: number; readonly width: number };
  /** Objects in 10 000 px of the scene. Default 12. */
  readonly density?: number;
  /** Half of the width of the noise, in grey values; objects have 200 to 600. Default 10. */
  readonly noise?: number;
  /** Light lost at the corners. Default 0. */
  readonly shading?: number;
  readonly channels?: number;
  /** Of a stack; each has a third less light than the one before. Default: no stack. */
  readonly slices?: number;
  readonly timepoints?: number;
  /** Moves the whole field with time, px. */
  readonly drift?: (timepoint: number) => { readonly y: number; readonly x: number };
  /** Moves a channel, px. */
  readonly channelShift?: (channel: number) => { readonly y: number; readonly x: number };
  readonly withhold?: (well: string, site: number, channel: number) => boolean;
}

export interface MosaicField {
  readonly well: string;
  readonly site: number;
  /** Where its first pixel lies in the well's scene, px. */
  readonly y: number;
  readonly x: number;
}

interface Blob {
  readonly y: number;
  readonly x: number;
  readonly sigma: number;
  readonly light: number;
}

const background = 100;
/** The scene reaches this far beyond the first field's corner, for jitter and drift. */
const margin = 64;

function sceneOf(well: string, height: number, width: number, density: number): Blob[] {
  const seed = hash(...[...well].map((c) => c.charCodeAt(0)));
  const part = (i: number, what: number) => hash(seed, i, what) / 2 ** 32;
  const count = Math.round((density * height * width) / 1e4);
  return Array.from({ length: count }, (_, i) => ({
    y: part(i, 1) * height - margin,
    x: part(i, 2) * width - margin,
    sigma: 1.2 + 3 * part(i, 3),
    light: 200 + 400 * part(i, 4),
  }));
}

/** A window of a scene without noise, at a place of any fraction of a pixel. */
function draw(blobs: readonly Blob[], y0: number, x0: number, height: number, width: number): Float64Array {
  const out = new Float64Array(height * width).fill(background);
  for (const b of blobs) {
    const reach = 4 * b.sigma;
    const [cy, cx] = [b.y - y0, b.x - x0];
    for (let y = Math.max(0, Math.ceil(cy - reach)); y <= Math.min(height - 1, cy + reach); y++) {
      for (let x = Math.max(0, Math.ceil(cx - reach)); x <= Math.min(width - 1, cx + reach); x++) {
        const d = ((y - cy) ** 2 + (x - cx) ** 2) / (2 * b.sigma ** 2);
        out[y * width + x] = (out[y * width + x] as number) + b.light * Math.exp(-d);
      }
    }
  }
  return out;
}

/** Writes an ImageXpress plate into `root`, sites in rows from the upper left, and returns where its fields lie. */
export function mosaicPlate(root: string, options: MosaicPlateOptions = {}): MosaicField[] {
  const {
    wells = ["A01"],
    rows = 2,
    columns = 2,
    height = 192,
    width = 216,
    pitch = { y: Math.round(0.8 * height), x: Math.round(0.8 * width) },
    jitter = (well, site) => ({
      y: (hash(well.charCodeAt(0), well.charCodeAt(2), site, 7) % 11) - 5,
      x: (hash(well.charCodeAt(0), well.charCodeAt(2), site, 8) % 11) - 5,
    }),
    scene = { height: pitch.y * rows + height + 2 * margin, width: pitch.x * columns + width + 2 * margin },
    density = 12,
    noise = 10,
    shading = 0,
    channels = 1,
    slices = 0,
    timepoints = 1,
    drift = () => ({ y: 0, x: 0 }),
    channelShift = () => ({ y: 0, x: 0 }),
    withhold = () => false,
  } = options;
  const fields: MosaicField[] = [];
  for (const well of wells) {
    const blobs = sceneOf(well, scene.height, scene.width, density);
    for (let site = 1; site <= rows * columns; site++) {
      const off = jitter(well, site);
      const at = {
        y: Math.floor((site - 1) / columns) * pitch.y + off.y,
        x: ((site - 1) % columns) * pitch.x + off.x,
      };
      fields.push({ well, site, ...at });
      for (let t = 1; t <= timepoints; t++) {
        const moved = drift(t);
        for (let channel = 1; channel <= channels; channel++) {
          if (withhold(well, site, channel)) continue;
          const own = channelShift(channel);
          const clean = draw(blobs, at.y + moved.y + own.y, at.x + moved.x + own.x, height, width);
          for (let z = Math.min(1, slices); z <= slices; z++) {
            const folders = [...(timepoints > 1 ? [`TimePoint_${t}`] : []), ...(z > 0 ? [`ZStep_${z}`] : [])];
            const folder = join(root, ...folders);
            mkdirSync(folder, { recursive: true });
            writeTiff(join(folder, `demo_${well}_s${site}_w${channel}.tif`), {
              width,
              height,
              dtype: "uint16",
              value: (x, y) => {
                const i = y * width + x;
                const r = ((2 * x) / width - 1) ** 2 + ((2 * y) / height - 1) ** 2;
                const light = (clean[i] as number) * (1 - (shading * r) / 2) * (2 / 3) ** Math.max(0, z - 1);
                const random = hash(well.charCodeAt(0), well.charCodeAt(2), site, channel, t, z, i) / 2 ** 32;
                return Math.max(0, Math.round(light / channel + noise * (2 * random - 1)));
              },
            });
          }
        }
      }
    }
  }
  return fields;
}
