// SPDX-License-Identifier: MIT
// Yokogawa plates: the folders of the CV7000, CV8000 and CQ1.
//
// `<plate>_<well>_T<time>F<field>L<timeline>A<action>Z<slice>C<channel>.tif` beside MeasurementData.mlf, MeasurementDetail.mrf,
// *.mes and *.wpi (lib/plates/yokogawa-records.ts). Every number counts from 1. Timelines and actions are how planes were
// acquired, not which plane it is: two actions that take the same channel at the same place would collide, and get channels of
// their own; an action that projects (MIP) is the microscope's projection. DC_ and SC_ files are dark and shading images.

import { isTilecastError } from "../errors.js";
import type { Detection, LostPlane, ParsedFile, ParsedPlate, PlateFormat } from "./format.js";
import { Geometry } from "./geometry.js";
import type { ListedFile, Listing } from "./listing.js";
import { noticeOf, plural } from "./notice.js";
import type { Components, Notice } from "./plate.js";
import { choosePlateFolder, count, folderName, mostCommon } from "./plate-folder.js";
import { References } from "./references.js";
import { formatWell, maxColumns, maxRows, normalizeWell } from "./well.js";
import {
  parseMes,
  parseMlf,
  parseMrf,
  parseWpi,
  type YokogawaDetail,
  type YokogawaRecord,
} from "./yokogawa-records.js";

export interface YokogawaName {
  readonly plate: string;
  readonly well: string;
  readonly timepoint: number;
  readonly field: number;
  readonly timeline: number;
  readonly action: number;
  readonly z: number;
  readonly channel: number;
}

const namePattern =
  /^(.*)_([A-Z]{1,2}\d{2})_T(\d{4,6})F(\d{3,5})L(\d{2,3})A(\d{2,3})Z(\d{2,4})C(\d{2,3})\.tiff?$/i;

/** Reads a file name without its folders; `undefined` when it is not one of Yokogawa's. */
export function parseYokogawaName(name: string): YokogawaName | undefined {
  const match = namePattern.exec(name);
  const well = match && normalizeWell(match[2] as string);
  if (!match || !well) return undefined;
  const [timepoint, field, timeline, action, z, channel] = match.slice(3).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return { plate: match[1] as string, well, timepoint, field, timeline, action, z, channel };
}

const isMetadata = (file: ListedFile) =>
  /^measurement(data\.mlf|detail\.mrf)$/i.test(file.name) || /\.(mes|wpi)$/i.test(file.name);

function detect(listing: Listing): Detection {
  const fit = listing.images.filter((file) => parseYokogawaName(file.name) !== undefined).length;
  const corrections = listing.images.filter((file) => /^[DS]C_/.test(file.name)).length;
  const others = listing.images.length - (fit > 0 ? corrections : 0);
  const score = fit === 0 ? 0 : fit / others;
  return {
    score,
    reason: `${fit === 0 ? "no image is" : `${Math.round(score * 100)} % of the images are`} named <plate>_A01_T0001F001L01A01Z01C01.tif (Yokogawa)`,
  };
}

/** Where in the sequence a plane was taken; `site` and the rest say which plane it is. */
interface Acquired extends Components {
  readonly action: number;
}

const key = (p: Components) => `${p.timepoint}/${p.well}/${p.site}/${p.channel}/${p.z_index ?? ""}`;

/**
 * Channels of actions that collide: channel c of action a becomes 100a + c, for each action that takes a channel twice at one
 * place. Returns the renumbering.
 */
function separate(planes: readonly Acquired[]): Map<string, number> {
  const first = new Map<string, number>();
  const colliding = new Set<number>();
  for (const p of planes) {
    const k = key(p);
    const action = first.get(k);
    if (action === undefined) first.set(k, p.action);
    else if (action !== p.action) colliding.add(p.channel);
  }
  const renumbered = new Map<string, number>();
  if (colliding.size === 0) return renumbered;
  for (const p of planes)
    if (colliding.has(p.channel)) renumbered.set(`${p.action}/${p.channel}`, 100 * p.action + p.channel);
  return renumbered;
}

function wellOf(record: YokogawaRecord): string | undefined {
  const { row = 0, column = 0 } = record;
  return row >= 1 && row <= maxRows && column >= 1 && column <= maxColumns
    ? formatWell({ row: row - 1, column: column - 1 })
    : undefined;
}

interface Metadata {
  readonly records: readonly YokogawaRecord[];
  /** Relative path of the .mlf; `null` when there is none to believe. */
  readonly source: string | null;
  readonly detail: YokogawaDetail | undefined;
  readonly names: ReadonlyMap<number, string>;
  readonly plate: ReturnType<typeof parseWpi> | undefined;
  readonly notices: Notice[];
}

/** Reads the files in the folder of the images, else those one folder up, where some exports leave them. */
function readMetadata(listing: Listing, texts: ReadonlyMap<string, string>, base: string): Metadata {
  const notices: Notice[] = [];
  const above = base.split("/").slice(0, -1).join("/");
  const read = <T>(test: RegExp, parseOne: (text: string, source: string) => T, prefer?: string | null) => {
    const all = listing.files.filter((f) => test.test(f.name) && texts.has(f.relative));
    const own = all.filter((f) => f.folders.join("/") === base);
    const candidates = own.length > 0 ? own : all.filter((f) => f.folders.join("/") === above);
    const file = candidates.find((f) => f.name === prefer) ?? candidates[0];
    if (file === undefined) return undefined;
    try {
      return { value: parseOne(texts.get(file.relative) as string, file.relative), source: file.relative };
    } catch (error) {
      if (!isTilecastError(error, "ERR_METADATA")) throw error;
      const { message } = error;
      notices.push(noticeOf("unreadable", [file.relative], () => message));
      return undefined;
    }
  };
  const list = read(/^measurementdata\.mlf$/i, parseMlf);
  const detail = read(/^measurementdetail\.mrf$/i, parseMrf)?.value;
  return {
    records: list?.value ?? [],
    source: list?.source ?? null,
    detail,
    names: read(/\.mes$/i, parseMes, detail?.settings)?.value ?? new Map(),
    plate: read(/\.wpi$/i, parseWpi)?.value,
    notices,
  };
}

/** Planes that a failure record stands for: those that other fields have at its time, within what the record says. */
function failed(record: YokogawaRecord, usual: readonly Components[], source: string): LostPlane[] {
  const well = wellOf(record);
  if (well === undefined) return [];
  const said = record.text.replace(/\s+/g, " ").slice(0, 160);
  const reason = `${source} has an error record${said === "" ? "" : `: ${said}`}`;
  return usual
    .filter(
      (p) =>
        (record.timepoint === undefined || p.timepoint === record.timepoint) &&
        (record.field === undefined || p.site === record.field) &&
        (record.channel === undefined || p.channel === record.channel) &&
        (record.z === undefined || p.z_index === record.z),
    )
    .map((p) => ({ ...p, well, reason }));
}

function parse(listing: Listing, texts: ReadonlyMap<string, string>): ParsedPlate {
  const bases = new Map<string, number>();
  const named: { file: ListedFile; name: YokogawaName }[] = [];
  const corrections: string[] = [];
  const strangers: string[] = [];
  for (const file of listing.images) {
    const name = parseYokogawaName(file.name);
    if (name !== undefined) {
      named.push({ file, name });
      count(bases, file.folders.join("/"));
    } else if (/^[DS]C_/.test(file.name)) corrections.push(file.relative);
    else strangers.push(file.relative);
  }
  const base = choosePlateFolder(listing, bases, "Yokogawa");
  const meta = readMetadata(listing, texts, base);
  const { source, detail } = meta;
  const references = new References(listing);
  const mlfFolder = source?.split("/").slice(0, -1).join("/") ?? "";

  const records = new Map<ListedFile, YokogawaRecord>();
  const absent: { record: YokogawaRecord; name: YokogawaName | undefined }[] = [];
  const errors: YokogawaRecord[] = [];
  for (const record of meta.records) {
    if (record.type === "ERR") errors.push(record);
    if (record.type !== "IMG" || record.text === "") continue;
    const file = references.find(mlfFolder, record.text, source as string);
    const name = parseYokogawaName(record.text.split(/[\\/]/).at(-1) as string);
    if (file === undefined) absent.push({ record, name });
    else records.set(file, record);
  }
  /** Actions that project, by number: the name of the action tells, and is written into the list only. */
  const projecting = new Set(
    meta.records.filter((r) => r.type === "IMG" && /mip|project/i.test(r.actionName)).map((r) => r.action),
  );
  const acquired = (name: YokogawaName): Acquired => ({
    well: name.well,
    site: name.field,
    channel: name.channel,
    z_index: projecting.has(name.action) ? null : name.z,
    timepoint: name.timepoint,
    action: name.action,
  });

  const foreign = named
    .filter(({ file }) => file.folders.join("/") !== base)
    .map(({ file }) => file.relative);
  const own = named
    .filter(({ file }) => file.folders.join("/") === base)
    .map(({ file, name }) => ({ file, name, plane: acquired(name) }));
  const gone = absent.flatMap(({ record, name }) => {
    const well = name?.well ?? wellOf(record);
    if (name !== undefined) return [acquired(name)];
    if (well === undefined || record.field === undefined || record.channel === undefined) return [];
    const { field, channel, timepoint = 1, z = 1, action = 1 } = record;
    return [{ well, site: field, channel, z_index: projecting.has(action) ? null : z, timepoint, action }];
  });
  const renumbered = separate([...own.map((o) => o.plane), ...gone]);
  const numbered = ({ action, ...plane }: Acquired): Components => ({
    ...plane,
    channel: renumbered.get(`${action}/${plane.channel}`) ?? plane.channel,
  });

  const files = own.map(
    ({ file, plane }): ParsedFile => ({ file, ...numbered(plane), projection: plane.z_index === null }),
  );
  const lost: LostPlane[] = gone.map((plane) => ({
    ...numbered(plane),
    reason: `listed in ${source} and not in the folder`,
  }));
  // A failure takes a whole field or well away: what was meant to be there is what other wells have.
  const usual = new Map<string, Components>();
  for (const p of [...files, ...lost]) {
    const { site, channel, z_index, timepoint } = p;
    usual.set(`${timepoint}/${site}/${channel}/${z_index ?? ""}`, {
      well: "",
      site,
      channel,
      z_index,
      timepoint,
    });
  }
  const have = new Set([...files, ...lost].map(key));
  for (const record of errors) {
    for (const plane of failed(record, [...usual.values()], source as string)) {
      if (have.has(key(plane))) continue;
      have.add(key(plane));
      lost.push(plane);
    }
  }

  const geometry = new Geometry();
  for (const { type, field, xUm, yUm, zUm, z, row, column, channel, timepoint, action } of meta.records) {
    if (type !== "IMG" || field === undefined) continue;
    if (xUm !== undefined && yUm !== undefined) geometry.addSite(field, xUm, yUm);
    if (zUm !== undefined && z !== undefined)
      geometry.addSlice(`${row}/${column}/${field}/${channel}/${timepoint}/${action}`, z, zUm);
  }

  const channelNames = new Map<number, string>(meta.names);
  for (const [place, channel] of renumbered) {
    const [action, c] = place.split("/").map(Number) as [number, number];
    channelNames.set(channel, `${meta.names.get(c) ?? `channel ${c}`} (action ${action})`);
  }
  const unlisted =
    source === null || meta.records.length === 0 ? [] : own.filter(({ file }) => !records.has(file));
  const notices = [...meta.notices];
  const say: [string[], Notice["kind"], (n: number) => string][] = [
    [
      corrections,
      "ignored",
      (n) => `${plural(n, "dark or shading image")} of the microscope (DC_ or SC_ in the name)`,
    ],
    [strangers, "ignored", (n) => `${plural(n, "TIFF file")} without a Yokogawa name`],
    [
      foreign,
      "ignored",
      (n) => `${plural(n, "image")} in other folders than ${base === "" ? "the plate's own" : base}`,
    ],
    [
      unlisted.map(({ file }) => file.relative),
      "mixed",
      (n) => `${plural(n, "image")} that ${source} does not list`,
    ],
    [
      [...renumbered].map(
        ([place, channel]) => `action ${place.replace("/", " channel ")} is channel ${channel}`,
      ),
      "mixed",
      (n) =>
        `${plural(n, "channel")} of actions that take the same planes: channel c of action a becomes 100a + c`,
    ],
  ];
  for (const [items, kind, text] of say) if (items.length > 0) notices.push(noticeOf(kind, items, text));
  const rows = meta.plate?.rows ?? detail?.rows ?? null;
  const columns = meta.plate?.columns ?? detail?.columns ?? null;
  const grid = geometry.siteGrid;
  return {
    name:
      meta.plate?.name ??
      detail?.title ??
      (mostCommon(own.map(({ name }) => name.plate)) || folderName(listing, base)),
    pattern: null,
    files,
    channelNames,
    expected:
      source === null || meta.records.length === 0
        ? null
        : { source, wells: [...new Set(meta.records.flatMap((r) => wellOf(r) ?? []))] },
    plateFormat:
      rows !== null && columns !== null && rows <= maxRows && columns <= maxColumns
        ? { rows, columns, wells: rows * columns }
        : null,
    lost,
    listsEveryPlane: meta.records.length > 0,
    ...(detail ? { pixelSizeUm: detail.pixelSizeUm } : {}),
    zStepUm: geometry.zStepUm,
    ...(grid ? { siteGrid: grid } : {}),
    sitePositions: geometry.sitePositions,
    notices,
  };
}

export const yokogawa: PlateFormat = {
  name: "yokogawa",
  detect,
  metadata: (listing) => listing.files.filter(isMetadata),
  parse,
};
