// SPDX-License-Identifier: MIT
// `tilecast info PLATE`: says what a plate folder holds, what was ignored and what is missing.

import { parseArgs } from "node:util";
import { TilecastError } from "../errors.js";
import { dtypeSize } from "../image/dtype.js";
import { formatLabels, formatOptions } from "../plates/formats.js";
import {
  type ChannelInfo,
  type Notice,
  openPlate,
  type PlaneRef,
  type Plate,
  parseWell,
  summarizeWells,
} from "../plates/index.js";
import { rowLetters } from "../plates/well.js";

export interface InfoIo {
  readonly stdout: { write(text: string): unknown };
  /** ANSI colours. Default: a terminal without NO_COLOR. */
  readonly color: boolean;
  /** Characters beyond ASCII. Default: what the locale says. */
  readonly unicode: boolean;
  readonly signal?: AbortSignal;
}

export const infoUsage = `Usage: tilecast info PLATE [options]

Says what is in a plate folder: wells, sites, channels, slices, timepoints, image sizes and types,
and what was ignored, damaged or missing. Reads headers only.

Options:
  --pattern PATTERN   how the files are named, e.g. "{plate}_{well}f{site}d{channel}.tif"
  --format FORMAT     ${formatOptions.slice(0, 3).join(", ")},
                      ${formatOptions.slice(3).join(", ")}
  --headers WHICH     all (default), or first: one header a channel, for slow file systems
  --json              the catalogue as JSON
  --planes            with --json: every plane too
  -h, --help          this text
`;

/** Whether a locale of the environment shows Unicode; POSIX precedence. */
function localeIsUtf8(env: NodeJS.ProcessEnv): boolean {
  return /utf-?8/i.test(env.LC_ALL || env.LC_CTYPE || env.LANG || "");
}

function defaultIo(): InfoIo {
  const { env, stdout } = process;
  return {
    stdout,
    color: Boolean(stdout.isTTY) && !env.NO_COLOR && env.TERM !== "dumb",
    unicode: localeIsUtf8(env),
  };
}

const options = {
  pattern: { type: "string" },
  format: { type: "string" },
  headers: { type: "string" },
  json: { type: "boolean", default: false },
  planes: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

function parse(args: string[]) {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (cause) {
    throw new TilecastError("ERR_USAGE", `${(cause as Error).message}\n\n${infoUsage}`, { cause });
  }
}

function oneOf<T extends string>(
  name: string,
  value: string | undefined,
  allowed: readonly T[],
): T | undefined {
  if (value === undefined || (allowed as readonly string[]).includes(value)) return value as T | undefined;
  throw new TilecastError("ERR_USAGE", `--${name}: expected ${allowed.join(", ")} but received "${value}"`, {
    argument: name,
  });
}

/**
 * Runs the command; resolves with the exit code 0. A plate with damaged files or gaps is described, not refused.
 * Throws ERR_USAGE and everything that `openPlate` throws: the dispatcher prints errors.
 */
export async function infoCommand(args: string[], io: Partial<InfoIo> = {}): Promise<number> {
  const { values, positionals } = parse(args);
  const full: InfoIo = { ...defaultIo(), ...io };
  if (values.help) {
    full.stdout.write(infoUsage);
    return 0;
  }
  const [path, ...more] = positionals;
  if (path === undefined || more.length > 0) {
    const came = path === undefined ? "none" : positionals.map((p) => `"${p}"`).join(" ");
    throw new TilecastError("ERR_USAGE", `expected one plate folder but received ${came}\n\n${infoUsage}`);
  }
  if (values.planes && !values.json)
    throw new TilecastError("ERR_USAGE", "--planes: expected together with --json");
  const format = oneOf("format", values.format, formatOptions);
  const headers = oneOf("headers", values.headers, ["all", "first"] as const);
  const plate = await openPlate(path, {
    ...(format === undefined ? {} : { format }),
    ...(headers === undefined ? {} : { headers }),
    pattern: values.pattern,
    signal: full.signal,
  });
  full.stdout.write(values.json ? toJson(plate, values.planes) : describePlate(plate, full));
  return 0;
}

/** The catalogue for machines; `planeCount`, `pixels` and `bytes` stand for the planes when those are left out. */
function toJson(plate: Plate, planes: boolean): string {
  const { planes: list, ...rest } = plate;
  // An array's description is its metadata's business; its place is `path`.
  const shown = list.map(({ zarr, ...plane }) =>
    zarr === undefined ? plane : { ...plane, index: zarr.index },
  );
  const json = { ...rest, planeCount: list.length, ...totals(plate), ...(planes ? { planes: shown } : {}) };
  return `${JSON.stringify(json, null, 2)}\n`;
}

interface Totals {
  readonly pixels: number;
  /** Decoded. */
  readonly pixelBytes: number;
  /** On disk, each file once. */
  readonly fileBytes: number;
}

function totals(plate: Plate): Totals {
  let pixels = 0;
  let pixelBytes = 0;
  let fileBytes = 0;
  const seen = new Set<string>();
  for (const plane of plate.planes) {
    pixels += plane.width * plane.height;
    pixelBytes += plane.width * plane.height * dtypeSize(plane.dtype);
    const files = filesOf(plane);
    if (!seen.has(files)) fileBytes += plane.bytes;
    seen.add(files);
  }
  return { pixels, pixelBytes, fileBytes };
}

/** A key of the files that a plane's `bytes` are the size of: several planes may lie in them. */
function filesOf({ path, zarr }: PlaneRef): string {
  if (zarr === undefined) return path;
  return `${path}/${zarr.index.map((at, axis) => Math.floor(at / (zarr.array.chunk[axis] as number))).join(".")}`;
}

/** Three digits and a decimal unit. */
function amount(value: number, unit: string): string {
  const prefixes = ["", "k", "M", "G", "T", "P"];
  let index = 0;
  let scaled = value;
  while (scaled >= 999.5 && index < prefixes.length - 1) {
    scaled /= 1000;
    index++;
  }
  return `${scaled >= 100 || index === 0 ? Math.round(scaled) : scaled.toPrecision(3)} ${prefixes[index]}${unit}`;
}

/** Sorted numbers as runs: `1-10, 12`. */
function runs(numbers: readonly number[]): string {
  const parts: string[] = [];
  for (let i = 0; i < numbers.length; ) {
    let j = i + 1;
    while (j < numbers.length && numbers[j] === (numbers[i] as number) + (j - i)) j++;
    parts.push(j - i > 2 ? `${numbers[i]}-${numbers[j - 1]}` : numbers.slice(i, j).join(", "));
    i = j;
  }
  return parts.join(", ");
}

function clip(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 3)}...`;
}

interface Look {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly warn: (text: string) => string;
  readonly times: string;
  readonly um: string;
  readonly full: string;
  readonly partial: string;
  readonly none: string;
}

function lookOf({ color, unicode }: InfoIo): Look {
  const style = (open: number, close: number) => (text: string) =>
    color ? `\x1b[${open}m${text}\x1b[${close}m` : text;
  return {
    bold: style(1, 22),
    dim: style(2, 22),
    warn: style(33, 39),
    ...(unicode
      ? { times: "×", um: "µm", full: "●", partial: "◐", none: "·" }
      : { times: "x", um: "um", full: "#", partial: "o", none: "." }),
  };
}

/** The human text: facts, a channel table, the plate map, notices. Lines stay within 100 columns except for long paths. */
export function describePlate(plate: Plate, io: InfoIo): string {
  const look = lookOf(io);
  const { pixels, pixelBytes, fileBytes } = totals(plate);
  const label = Object.hasOwn(formatLabels, plate.format)
    ? formatLabels[plate.format as keyof typeof formatLabels]
    : "";
  const format = [label, plate.pattern === null ? "" : `pattern ${plate.pattern}`].filter(Boolean).join(", ");
  const facts: [string, string][] = [
    [
      "wells",
      `${plate.wells.length} of ${plate.plateFormat.wells}   ${look.dim(clip(summarizeWells(plate.wells), 70))}`,
    ],
    ["sites", `${plate.sites.length}   ${look.dim(clip(runs(plate.sites), 70) + gridOf(plate, look))}`],
    [
      "timepoints",
      `${plate.timepoints.length}${plate.timepoints.length > 1 ? `   ${look.dim(clip(runs(plate.timepoints), 70))}` : ""}`,
    ],
  ];
  if (plate.pixelSizeUm !== null || plate.zStepUm !== null) {
    const { x, y } = plate.pixelSizeUm ?? { x: 0, y: 0 };
    const size =
      x === y
        ? `${+x.toPrecision(5)} ${look.um}`
        : `${+x.toPrecision(5)} ${look.times} ${+y.toPrecision(5)} ${look.um}`;
    const step = plate.zStepUm === null ? "" : `z step ${+plate.zStepUm.toPrecision(4)} ${look.um}`;
    facts.push([
      "pixel size",
      [plate.pixelSizeUm === null ? "unknown" : size, step].filter(Boolean).join(", "),
    ]);
  }
  facts.push([
    "planes",
    `${plate.planes.length}, ${amount(pixels, "px")}: ${amount(pixelBytes, "B")} decoded${fileBytes === 0 ? "" : `, ${amount(fileBytes, "B")} in files`}`,
  ]);
  const lines = [
    `${look.bold(plate.name)}  ${format}`,
    look.dim(plate.root),
    "",
    ...facts.map(([label, value]) => `${label.padEnd(12)}${value}`),
    "",
    ...channelTable(plate.channels, look),
    "",
    ...plateMap(plate, look),
    ...notices(plate.notices, look),
  ];
  return `${lines.join("\n")}\n`;
}

/** How the sites lie, where the metadata says it and there is more than one. */
function gridOf({ siteGrid: grid, sites }: Plate, look: Look): string {
  return grid === undefined || sites.length < 2
    ? ""
    : `, ${grid.rows} ${look.times} ${grid.columns} in rows and columns`;
}

function channelTable(channels: readonly ChannelInfo[], look: Look): string[] {
  const header = ["channel", "name", "z slices", "stored", "size", "dtype", "compression", "planes"];
  const rows = channels.map((c) => [
    String(c.channel),
    clip(c.name ?? "-", 28),
    c.zSlices.length === 0 ? "-" : clip(`${c.zSlices.length} (${runs(c.zSlices)})`, 24),
    // Beside a stack a stored plane is the microscope's projection; alone it is the image.
    c.storedPlanes === 0
      ? "-"
      : c.zSlices.length > 0
        ? `${c.storedPlanes} projection${c.storedPlanes === 1 ? "" : "s"}`
        : `${c.storedPlanes} single`,
    c.sizes
      .map((s) => `${s.width}${look.times}${s.height}`)
      .slice(0, 3)
      .join(" ") + (c.sizes.length > 3 ? " ..." : ""),
    c.dtypes.join(" "),
    c.compressions.join(" "),
    String(c.planes),
  ]);
  const widths = header.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => (row[i] as string).length)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) =>
        i === cells.length - 1 ? cell.padStart(widths[i] as number) : cell.padEnd(widths[i] as number),
      )
      .join("  ");
  return [look.dim(line(header)), ...rows.map(line)];
}

function plateMap(plate: Plate, look: Look): string[] {
  const { rows, columns } = plate.plateFormat;
  const incomplete = new Set(plate.missing.map((plane) => plane.well));
  const marks = new Map<string, string>();
  for (const well of plate.wells) {
    const position = parseWell(well);
    if (position)
      marks.set(
        `${position.row}/${position.column}`,
        incomplete.has(well) ? look.warn(look.partial) : look.full,
      );
  }
  // Two characters a well up to 384 wells; 48 columns only fit with one.
  const gap = columns > 24 ? "" : " ";
  const tens = Array.from({ length: columns }, (_, c) =>
    ((c + 1) % 10 === 0 || (c === 0 && columns < 10) ? String(Math.floor((c + 1) / 10) || "") : "").padStart(
      1,
    ),
  );
  const units = Array.from({ length: columns }, (_, c) => String((c + 1) % 10));
  const lines = columns >= 10 ? [look.dim(`   ${tens.join(gap)}`.trimEnd())] : [];
  lines.push(look.dim(`   ${units.join(gap)}`));
  for (let row = 0; row < rows; row++) {
    const cells = Array.from(
      { length: columns },
      (_, column) => marks.get(`${row}/${column}`) ?? look.dim(look.none),
    );
    lines.push(`${look.dim(rowLetters(row).padStart(2))} ${cells.join(gap)}`);
  }
  const legend = `${look.full} images   ${look.partial} planes missing   ${look.none} nothing`;
  return [...lines, look.dim(`   ${legend}`), ""];
}

function notices(list: readonly Notice[], look: Look): string[] {
  if (list.length === 0) return ["Nothing was ignored, damaged or missing."];
  const lines: string[] = [];
  for (const notice of list) {
    const label = notice.kind.padEnd(12);
    lines.push(`${notice.kind === "ignored" ? look.dim(label) : look.warn(label)}${notice.message}`);
    // What was ignored needs one example; damage and gaps need as many as there are.
    const shown = notice.examples.slice(0, notice.kind === "ignored" ? 1 : 5);
    for (const example of shown) lines.push(look.dim(`${" ".repeat(12)}${example}`));
    if (notice.kind !== "mixed" && notice.count > shown.length && shown.length > 0) {
      lines.push(look.dim(`${" ".repeat(12)}... and ${notice.count - shown.length} more`));
    }
  }
  return lines;
}
