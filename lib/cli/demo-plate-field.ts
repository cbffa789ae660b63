// SPDX-License-Identifier: MIT
// Paints one field of the demo plate: nuclei and the cells around them, out of focus above and below, vignetted, with camera noise.

/** Mulberry32 (T. Ettinger, public domain): 32 bits of state, the same numbers on every machine. Yields `[0, 1)`. */
export type Random = () => number;

export function makeRandom(seed: number): Random {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export interface Cell {
  readonly x: number;
  readonly y: number;
  /** Half axes of the nucleus in pixels, and its direction. */
  readonly a: number;
  readonly b: number;
  readonly angle: number;
  /** Peak signal of the nucleus, in counts above background. */
  readonly dna: number;
  /** Signal of the cytoplasm. */
  readonly gfp: number;
  /** A whole number that picks this cell's texture. */
  readonly phase: number;
}

/**
 * Cells that do not touch: a nucleus keeps a clear rim to its neighbours and to the edge, so that the truth is what a
 * segmentation can find. Returns fewer than `wanted` when there is no room.
 */
export function placeCells(random: Random, size: number, wanted: number, brightness: number): Cell[] {
  const cells: Cell[] = [];
  // A hash grid of cell centres keeps the neighbour check constant; nuclei are at most 13 px along the longer half axis.
  const pitch = 32;
  const across = Math.ceil(size / pitch);
  const grid: Cell[][] = Array.from({ length: across * across }, () => []);
  for (let tries = 0; cells.length < wanted && tries < wanted * 30; tries++) {
    const big = random() < 0.08 ? 1.25 : 1;
    const a = (7 + 3.4 * random()) * big;
    const b = a * (0.66 + 0.3 * random());
    const margin = a + 3;
    const x = margin + random() * (size - 2 * margin);
    const y = margin + random() * (size - 2 * margin);
    const column = Math.floor(x / pitch);
    const row = Math.floor(y / pitch);
    let free = size > 2 * margin;
    for (let r = Math.max(0, row - 1); free && r <= Math.min(across - 1, row + 1); r++) {
      for (let c = Math.max(0, column - 1); free && c <= Math.min(across - 1, column + 1); c++) {
        for (const o of grid[r * across + c] as Cell[]) {
          if (Math.hypot(o.x - x, o.y - y) < o.a + a + 5) {
            free = false;
            break;
          }
        }
      }
    }
    if (!free) continue;
    const cell = {
      x,
      y,
      a,
      b,
      angle: random() * Math.PI,
      // Condensed, dividing nuclei are the bright ones.
      dna: (1500 + 900 * random()) * (random() < 0.06 ? 1.7 : 1),
      gfp: brightness * (0.55 + 0.9 * random()),
      phase: (random() * 4096) | 0,
    };
    cells.push(cell);
    (grid[row * across + column] as Cell[]).push(cell);
  }
  return cells;
}

const profileSteps = 512;

/** A disc of radius 1 with an edge of width `softness`, tabulated over the squared radius 0..`reach`². */
function profile(reach: number, softness: number): Float32Array {
  const table = new Float32Array(profileSteps + 1);
  for (let i = 0; i < profileSteps; i++) {
    const r = Math.sqrt(i / profileSteps) * reach;
    // Shifted so that it ends at exactly 0, without a visible rim of the bounding box.
    const edge = 1 / (1 + Math.exp((reach - 1) / softness));
    table[i] = Math.max(0, (1 / (1 + Math.exp((r - 1) / softness)) - edge) / (1 - edge));
  }
  return table;
}

const textureSide = 128;

/** Smooth noise in about -1..1 that tiles: white noise, blurred until its spots are `spot` pixels wide. */
function makeTexture(seed: number, spot: number): Float32Array {
  const random = makeRandom(seed);
  let field = Float32Array.from({ length: textureSide * textureSide }, () => random() - 0.5);
  const mask = textureSide - 1;
  const reach = spot >> 1;
  // Three box blurs along each axis come close to a Gaussian.
  for (let pass = 0; pass < 6; pass++) {
    const step = pass % 2 === 0 ? 1 : textureSide;
    const next = new Float32Array(field.length);
    for (let i = 0; i < field.length; i++) {
      const along = step === 1 ? i & mask : i >> 7;
      let sum = 0;
      for (let k = -reach; k <= reach; k++) sum += field[i + (((along + k) & mask) - along) * step] as number;
      next[i] = sum;
    }
    field = next;
  }
  let squares = 0;
  for (const v of field) squares += v * v;
  const scale = 0.5 / Math.sqrt(squares / field.length);
  return field.map((v) => Math.max(-1, Math.min(1, v * scale)));
}

const chromatin = makeTexture(11, 3);
const shapes = makeTexture(12, 13);

interface Blob {
  readonly x: number;
  readonly y: number;
  readonly a: number;
  readonly b: number;
  readonly angle: number;
  readonly level: number;
  /** Where in the textures this blob lies. */
  readonly phase: number;
  /** How strongly the interior is mottled, and how far the rim departs from an ellipse; 0 for none. */
  readonly mottle: number;
  readonly ragged: number;
}

/** Adds a soft blob to `field`; only its bounding box is visited. */
function paint(field: Float32Array, size: number, c: Blob, reach: number, table: Float32Array): void {
  const { level, mottle, ragged, phase } = c;
  const cos = Math.cos(c.angle);
  const sin = Math.sin(c.angle);
  const ia = 1 / c.a;
  const ib = 1 / c.b;
  const scale = profileSteps / (reach * reach);
  // The box around a turned ellipse, widened by what the ragged rim can add.
  const grow = reach / Math.sqrt(1 - ragged);
  const rx = Math.hypot(c.a * cos, c.b * sin) * grow;
  const ry = Math.hypot(c.a * sin, c.b * cos) * grow;
  const x0 = Math.max(0, Math.ceil(c.x - rx));
  const x1 = Math.min(size - 1, Math.floor(c.x + rx));
  const y0 = Math.max(0, Math.ceil(c.y - ry));
  const y1 = Math.min(size - 1, Math.floor(c.y + ry));
  for (let y = y0; y <= y1; y++) {
    const dy = y - c.y;
    // Along a row both normalised coordinates grow linearly.
    let u = ((x0 - c.x) * cos + dy * sin) * ia;
    let v = (-(x0 - c.x) * sin + dy * cos) * ib;
    const du = cos * ia;
    const dv = -sin * ib;
    const row = ((y + phase) & (textureSide - 1)) * textureSide;
    for (let x = x0, i = y * size + x0; x <= x1; x++, i++, u += du, v += dv) {
      const at = row + ((x + phase * 3) & (textureSide - 1));
      const k = (u * u + v * v) * scale * (1 + ragged * (shapes[at] as number));
      if (k < profileSteps)
        field[i] =
          (field[i] as number) + level * (table[k | 0] as number) * (1 + mottle * (chromatin[at] as number));
    }
  }
}

export interface Optics {
  readonly size: number;
  /** Relative illumination of each pixel: 1 in the middle, about 0.7 in the corners. */
  readonly shading: Float32Array;
}

export function makeOptics(size: number): Optics {
  const shading = new Float32Array(size * size);
  // The brightest point is a little off the middle, as on every real microscope.
  const cx = size * 0.47;
  const cy = size * 0.53;
  for (let y = 0, i = 0; y < size; y++) {
    for (let x = 0; x < size; x++, i++)
      shading[i] = 1 - 0.3 * (((x - cx) ** 2 + (y - cy) ** 2) / (size * size * 0.5));
  }
  return { size, shading };
}

export type Stain = "nuclei" | "cells";

const tables = {
  nuclei: [profile(1.5, 0.07), profile(2.2, 0.2)],
  cells: [profile(1.5, 0.15), profile(1.9, 0.26)],
} as const;
const reaches = { nuclei: [1.5, 2.2], cells: [1.5, 1.9] } as const;

/** Overwrites `field` with one channel's noiseless signal above background. `defocus` is 0 in the focal slice and 1 in its neighbours. */
export function paintSignal(
  field: Float32Array,
  optics: Optics,
  cells: readonly Cell[],
  stain: Stain,
  defocus: 0 | 1,
): void {
  field.fill(0);
  const reach = reaches[stain][defocus];
  const table = tables[stain][defocus];
  const dim = defocus === 0 ? 1 : 0.55;
  const mottle = defocus === 0 ? 0.22 : 0;
  for (const c of cells) {
    const nucleus = { x: c.x, y: c.y, a: c.a, b: c.b, angle: c.angle, phase: c.phase, mottle };
    if (stain === "nuclei") {
      paint(field, optics.size, { ...nucleus, level: c.dna * dim, ragged: 0.12 }, reach, table);
      continue;
    }
    // The cell lies a little askew around its nucleus, which excludes a part of the protein.
    const lean = (c.phase % 16) / 16;
    const cell = {
      x: c.x + (lean - 0.5) * 5,
      y: c.y + (0.5 - lean) * 4,
      a: c.a * (1.75 + 0.5 * lean),
      b: c.b * (1.8 - 0.2 * lean),
      angle: c.angle + lean - 0.5,
    };
    paint(
      field,
      optics.size,
      { ...cell, phase: c.phase, mottle, level: c.gfp * dim, ragged: 0.25 },
      reach,
      table,
    );
    paint(
      field,
      optics.size,
      { ...nucleus, mottle: 0, level: -0.4 * c.gfp * dim, ragged: 0.12 },
      reaches.nuclei[defocus],
      tables.nuclei[defocus],
    );
  }
}

const noiseLength = 1 << 16;

/** Standard normal deviates (sums of uniform ones), drawn once: a plane starts at a random place of the table. */
export function makeNoise(random: Random): Float32Array {
  const table = new Float32Array(noiseLength);
  for (let i = 0; i < noiseLength; i++) {
    let sum = -6;
    for (let k = 0; k < 12; k++) sum += random();
    table[i] = sum;
  }
  return table;
}

const offset = 100;

// The square root of every 8th signal, because Math.sqrt for 90 million pixels is a third of the whole time.
const roots = Float32Array.from({ length: 8192 }, (_, i) => Math.sqrt(i * 8 + 4));

/**
 * What the camera makes of the signal: an offset, illumination, and noise whose variance grows with the light (Poisson's,
 * approximated by a normal one, at one electron a count, with 3 counts of read noise).
 */
export function expose(
  optics: Optics,
  signal: Float32Array,
  background: number,
  noise: Float32Array,
  random: Random,
): Uint16Array {
  const { size, shading } = optics;
  const out = new Uint16Array(size * size);
  for (let y = 0, i = 0; y < size; y++) {
    // A new place for every row, or the table's period would show as a pattern.
    let n = (random() * noiseLength) | 0;
    for (let x = 0; x < size; x++, i++, n++) {
      const light = ((signal[i] as number) + background) * (shading[i] as number);
      const v =
        offset +
        light +
        (noise[n & (noiseLength - 1)] as number) * ((roots[Math.min(8191, (light / 8) | 0)] as number) + 3);
      out[i] = v > 0 ? (v < 65535 ? v + 0.5 : 65535) : 0;
    }
  }
  return out;
}
