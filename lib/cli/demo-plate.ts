// SPDX-License-Identifier: MIT
// A small plate to try tilecast with: ImageXpress files of painted cells with a dose response, and the truth about them.

import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { TilecastError } from "../errors.js";
import { formatWell } from "../plates/well.js";
import {
  expose,
  makeNoise,
  makeOptics,
  makeRandom,
  type Optics,
  paintSignal,
  placeCells,
  type Random,
  type Stain,
} from "./demo-plate-field.js";
import { encodeTiff } from "./demo-plate-tiff.js";

export interface DemoPlateOptions {
  /** How many wells, filled row by row into the smallest plate format that holds them. Default 24, a whole 24-well plate. */
  readonly wells?: number;
  /** Fields of each well. Default 2. */
  readonly sites?: number;
  /** Width and height of a field in pixels. Default 512: small enough to be made in seconds, large enough for a hundred cells. */
  readonly size?: number;
  /** Equal seeds give equal bytes. Default 1. */
  readonly seed?: number;
  /** 1: nuclei only; 2: nuclei and cells. Default 2. */
  readonly channels?: 1 | 2;
  /** The plate's name and the prefix of its files. Default "demo". */
  readonly name?: string;
  readonly signal?: AbortSignal;
}

export interface DemoWellTruth {
  readonly well: string;
  /** 0 (untreated) to 1 (highest dose). */
  readonly dose: number;
  /** Nuclei in each site, in the order of sites; none touches another or the edge. */
  readonly counts: readonly number[];
}

export interface DemoPlate {
  /** Absolute path to open as a plate. */
  readonly root: string;
  /** Names, sorted by row and column. */
  readonly wells: readonly string[];
  /** Image planes on disk, thumbnails not counted. */
  readonly planes: number;
  readonly truth: readonly DemoWellTruth[];
}

/** Slices of every stack; the middle one is in focus. */
const zSlices = 3;
const pixelSizeUm = 0.6835;
const zStepUm = 5;
const thumbnailSide = 80;
const dateTime = "2026:01:15 09:30:00";

const waves: readonly {
  readonly name: string;
  readonly stain: Stain;
  readonly nanometres: number;
  readonly background: number;
  readonly projected: boolean;
}[] = [
  { name: "DAPI", stain: "nuclei", nanometres: 447, background: 120, projected: false },
  { name: "GFP", stain: "cells", nanometres: 536, background: 90, projected: true },
];

const formats: readonly (readonly [rows: number, columns: number])[] = [
  [2, 3],
  [3, 4],
  [4, 6],
  [6, 8],
  [8, 12],
  [16, 24],
  [32, 48],
];

function whole(name: string, value: number, low: number, high: number): number {
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new TilecastError(
      "ERR_INVALID_ARGUMENT",
      `${name}: expected a whole number from ${low} to ${high}, got ${value}`,
      { argument: name },
    );
  }
  return value;
}

/** Hill's equation: the share of the full effect at `dose`. */
function effect(dose: number, half: number): number {
  return dose ** 3 / (dose ** 3 + half ** 3);
}

/** 32 uppercase hexadecimal digits in the groups of a GUID, as MetaXpress appends them to names. */
function guid(random: Random): string {
  let hex = "";
  for (let i = 0; i < 4; i++)
    hex += Math.floor(random() * 4294967296)
      .toString(16)
      .padStart(8, "0");
  hex = hex.toUpperCase();
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** The HTD file: which wells, sites and waves were acquired, as quoted keys with values, CRLF between lines. */
function htd(
  name: string,
  rows: number,
  columns: number,
  wells: number,
  sites: number,
  channels: number,
): string {
  const across = Math.ceil(Math.sqrt(sites));
  const down = Math.ceil(sites / across);
  const flags = (count: number, test: (i: number) => boolean) =>
    Array.from({ length: count }, (_, i) => (test(i) ? "TRUE" : "FALSE")).join(", ");
  const lines = [
    '"HTSInfoFile", Version 1.0',
    `"Description", "${name}"`,
    '"TimePoints", 1',
    '"ZSeries", TRUE',
    `"ZSteps", ${zSlices}`,
    '"ZProjection", TRUE',
    `"XWells", ${columns}`,
    `"YWells", ${rows}`,
  ];
  for (let r = 0; r < rows; r++)
    lines.push(`"WellsSelection${r + 1}", ${flags(columns, (c) => r * columns + c < wells)}`);
  lines.push('"Sites", TRUE', `"XSites", ${across}`, `"YSites", ${down}`);
  for (let r = 0; r < down; r++)
    lines.push(`"SiteSelection${r + 1}", ${flags(across, (c) => r * across + c < sites)}`);
  lines.push('"Waves", TRUE', `"NWavelengths", ${channels}`);
  for (let w = 0; w < channels; w++)
    lines.push(`"WaveName${w + 1}", "${waves[w]?.name}"`, `"WaveCollect${w + 1}", 1`);
  lines.push('"EndFile"', "");
  return lines.join("\r\n");
}

/** The part of MetaSeries' ImageDescription that readers use. */
function description(
  plate: string,
  well: string,
  site: number,
  wave: number,
  side: number,
  pixelUm: number,
  z: number,
  id: string,
): string {
  const { name, nanometres } = waves[wave] as (typeof waves)[number];
  const prop = (key: string, type: string, value: string | number) =>
    `<prop id="${key}" type="${type}" value="${value}"/>`;
  return [
    "<MetaData>",
    prop(
      "Description",
      "string",
      `Plate Name: ${plate}&#13;&#10;Exposure: 15 ms&#13;&#10;Painted by tilecast; no specimen was imaged.`,
    ),
    prop("ApplicationName", "string", "MetaMorph"),
    "<PlaneInfo>",
    prop("plane-type", "string", "plane"),
    prop("pixel-size-x", "int", side),
    prop("pixel-size-y", "int", side),
    prop("bits-per-pixel", "int", 16),
    prop("spatial-calibration-state", "bool", "on"),
    prop("spatial-calibration-x", "float", pixelUm),
    prop("spatial-calibration-y", "float", pixelUm),
    prop("spatial-calibration-units", "string", "um"),
    prop("image-name", "string", name),
    prop("plane-guid", "guid", `{${id}}`),
    prop("stage-label", "string", `${well} : Site ${site}`),
    prop("z-position", "float", 9340 + z * zStepUm),
    prop("wavelength", "float", nanometres),
    prop("_IllumSetting_", "string", name),
    prop("_MagNA_", "float", 0.75),
    prop("_MagSetting_", "string", "20X Plan Apo Lambda"),
    "</PlaneInfo>",
    "</MetaData>",
  ].join("\r\n");
}

/** Every pixel of the thumbnail is the one nearest to its centre, as the microscope's software does it. */
function shrink(pixels: Uint16Array, size: number, side: number): Uint16Array {
  const out = new Uint16Array(side * side);
  for (let y = 0; y < side; y++) {
    const row = Math.floor(((y + 0.5) * size) / side) * size;
    for (let x = 0; x < side; x++)
      out[y * side + x] = pixels[row + Math.floor(((x + 0.5) * size) / side)] as number;
  }
  return out;
}

/** Images being compressed and written at once: keeps every libuv thread busy and bounds memory at some 20 MB. */
const inFlight = 24;

class Writer {
  private readonly pending = new Set<Promise<void>>();
  private failure: unknown;
  planes = 0;

  constructor(
    private readonly root: string,
    private readonly plate: string,
    private readonly random: Random,
  ) {}

  /** Queues one plane and its thumbnail; `z` 0 is the top level. Waits while too much is in flight. */
  async plane(
    well: string,
    site: number,
    wave: number,
    z: number,
    size: number,
    pixels: Uint16Array,
  ): Promise<void> {
    const folder = z === 0 ? this.root : join(this.root, `ZStep_${z}`);
    const stem = `${this.plate}_${well}_s${site}_w${wave + 1}`;
    const side = Math.min(thumbnailSide, size);
    this.planes++;
    this.queue(join(folder, `${stem}`), "", well, site, wave, z, size, pixelSizeUm, pixels);
    this.queue(
      join(folder, `${stem}`),
      "_thumb",
      well,
      site,
      wave,
      z,
      side,
      (pixelSizeUm * size) / side,
      shrink(pixels, size, side),
    );
    while (this.pending.size >= inFlight) await Promise.race(this.pending);
    if (this.failure !== undefined) throw this.failure;
  }

  private queue(
    stem: string,
    kind: string,
    well: string,
    site: number,
    wave: number,
    z: number,
    side: number,
    pixelUm: number,
    pixels: Uint16Array,
  ): void {
    // Drawn here and not in the task, so that the order in which tasks end cannot change a name.
    const id = guid(this.random);
    const text = description(this.plate, well, site, wave, side, Number(pixelUm.toFixed(5)), z, id);
    const task: Promise<void> = encodeTiff(side, side, pixels, text, dateTime)
      .then((tiff) => writeFile(`${stem}${kind}${id}.tif`, tiff))
      .catch((error: unknown) => {
        this.failure ??= error;
      })
      .finally(() => this.pending.delete(task));
    this.pending.add(task);
  }

  async end(): Promise<void> {
    await Promise.all(this.pending);
    if (this.failure !== undefined) throw this.failure;
  }
}

interface Field {
  readonly optics: Optics;
  readonly noise: Float32Array;
  readonly random: Random;
  /** Room for the signals in and out of focus, used again for every field. */
  readonly sharp: Float32Array;
  readonly blurred: Float32Array;
}

/** Paints and queues every plane of one field: a stack of each wave, and the stored projection where the wave has one. */
async function writeField(
  writer: Writer,
  field: Field,
  cells: ReturnType<typeof placeCells>,
  well: string,
  site: number,
  channels: number,
): Promise<void> {
  const { optics, noise, random, sharp, blurred } = field;
  for (let w = 0; w < channels; w++) {
    const wave = waves[w] as (typeof waves)[number];
    paintSignal(sharp, optics, cells, wave.stain, 0);
    paintSignal(blurred, optics, cells, wave.stain, 1);
    const stack: Uint16Array[] = [];
    for (let z = 1; z <= zSlices; z++) {
      const pixels = expose(optics, z === 2 ? sharp : blurred, wave.background, noise, random);
      stack.push(pixels);
      await writer.plane(well, site, w, z, optics.size, pixels);
    }
    if (!wave.projected) continue;
    const projection = (stack[0] as Uint16Array).slice();
    for (const slice of stack.slice(1)) {
      for (let i = 0; i < projection.length; i++) {
        if ((slice[i] as number) > (projection[i] as number)) projection[i] = slice[i] as number;
      }
    }
    await writer.plane(well, site, w, 0, optics.size, projection);
  }
}

/**
 * Writes a plate into `dir`, which is created where needed. Columns are doses from none to the highest; each row is a compound
 * of other potency. A dose kills cells and makes the rest express GFP, so that both show on a heat map. Both waves have a stack
 * of 3 slices in `ZStep_<n>`; GFP has a stored maximum projection too, as real plates mix them. No addon is needed.
 *
 * @throws TilecastError `ERR_INVALID_ARGUMENT`, `ERR_CANCELLED`; errors of the file system as they come.
 */
export async function makeDemoPlate(dir: string, options: DemoPlateOptions = {}): Promise<DemoPlate> {
  const wellCount = whole("wells", options.wells ?? 24, 1, 1536);
  const sites = whole("sites", options.sites ?? 2, 1, 100);
  const size = whole("size", options.size ?? 512, 32, 8192);
  const seed = whole("seed", options.seed ?? 1, 0, 0xffffffff);
  const channels = whole("channels", options.channels ?? 2, 1, 2);
  const name = options.name ?? "demo";
  if (!/^[A-Za-z0-9-]{1,64}$/.test(name)) {
    throw new TilecastError(
      "ERR_INVALID_ARGUMENT",
      `name: expected letters, digits and hyphens, got ${JSON.stringify(name)}`,
      { argument: "name" },
    );
  }
  const [rows, columns] = formats.find(([r, c]) => r * c >= wellCount) as readonly [number, number];

  const root = resolve(dir);
  for (let z = 1; z <= zSlices; z++) await mkdir(join(root, `ZStep_${z}`), { recursive: true });
  await writeFile(join(root, `${name}.HTD`), htd(name, rows, columns, wellCount, sites, channels));

  const optics = makeOptics(size);
  const noise = makeNoise(makeRandom(seed ^ 0x5eed));
  const sharp = new Float32Array(size * size);
  const blurred = new Float32Array(size * size);
  const writer = new Writer(root, name, makeRandom(seed ^ 0x6e1d));
  const truth: DemoWellTruth[] = [];
  // 110 cells in 350 x 350 um is a culture before it becomes confluent.
  const full = 110 * (size / 512) ** 2;
  try {
    for (let i = 0; i < wellCount; i++) {
      const row = Math.floor(i / columns);
      const column = i % columns;
      const well = formatWell({ row, column });
      const dose = columns > 1 ? column / (columns - 1) : 0;
      const strength = effect(dose, 0.35 + 0.5 * (row / rows));
      const counts: number[] = [];
      for (let site = 1; site <= sites; site++) {
        if (options.signal?.aborted) {
          throw new TilecastError("ERR_CANCELLED", "making the demo plate was cancelled", {
            cause: options.signal.reason,
            retriable: true,
          });
        }
        // Seeded by the field, so that a plate with more sites has the same first ones.
        const random = makeRandom(
          Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(i + 1, 0x85ebca6b) ^ Math.imul(site, 0xc2b2ae35),
        );
        const wanted = Math.max(1, Math.round(full * (1 - 0.85 * strength) * (0.92 + 0.16 * random())));
        const cells = placeCells(random, size, wanted, 160 + 2000 * strength);
        counts.push(cells.length);
        await writeField(writer, { optics, noise, random, sharp, blurred }, cells, well, site, channels);
      }
      truth.push({ well, dose, counts });
    }
  } finally {
    // Also after a failure: nothing may still be writing when the caller removes the folder.
    await writer.end();
  }
  return { root, wells: truth.map((t) => t.well), planes: writer.planes, truth };
}
