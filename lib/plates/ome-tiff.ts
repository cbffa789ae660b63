// SPDX-License-Identifier: MIT
// Folders of OME-TIFF files and ImageJ hyperstacks: what each page is stands in the files themselves.
//
// OME-XML lies in the first page's ImageDescription, or in a `.companion.ome` file; it may place planes in other files of the
// folder. With a Plate, wells and sites are its wells and fields. Without one, each file is a well: by its name where the
// folder's names say wells, else A01, A02, ... in order of the names; several images of a file are sites. Channels, slices and
// timepoints have no numbers of their own and count from 1; one slice is no stack. Sub-IFDs (pyramids) are no pages.

import { TilecastError } from "../errors.js";
import type {
  Detection,
  HeadReader,
  ImageHead,
  LostPlane,
  ParsedFile,
  ParsedPlate,
  PlateFormat,
} from "./format.js";
import { parseImageJ } from "./imagej.js";
import type { ListedFile, Listing } from "./listing.js";
import { noticeOf, plural } from "./notice.js";
import { collectFields, type Field } from "./ome-fields.js";
import { isOmeXml } from "./ome-xml.js";
import { FilenamePattern, type PatternMatch, suggestPattern } from "./pattern.js";
import type { Components, Notice } from "./plate.js";
import { folderName } from "./plate-folder.js";
import { compareWells, formatWell, maxColumns, maxRows, plateFormatOf } from "./well.js";

const isOmeName = (file: ListedFile) => /\.ome\.tiff?$/i.test(file.name);
const isCompanion = (file: ListedFile) => /\.companion\.ome$/i.test(file.name);

/** Files a round of reading: the metadata of one often makes reading others needless. */
const headsAtATime = 256;

/** Whether a file that no layout's names fit says by itself what its pages are. */
export function describesItself(head: ImageHead): boolean {
  return isOmeXml(head.description) || (head.pages > 1 && parseImageJ(head.description) !== null);
}

function detect(listing: Listing): Detection {
  const fit = listing.images.filter(isOmeName).length;
  const companion = listing.files.some(isCompanion);
  const score = listing.images.length === 0 ? 0 : companion ? 1 : fit / listing.images.length;
  return {
    score,
    reason:
      score === 0
        ? "no image is named *.ome.tif (OME-TIFF)"
        : companion
          ? "there is a .companion.ome file (OME-TIFF)"
          : `${Math.round(score * 100)} % of the images are named *.ome.tif (OME-TIFF)`,
  };
}

async function readHeads(
  listing: Listing,
  texts: ReadonlyMap<string, string>,
  read: HeadReader,
): Promise<ReadonlyMap<string, ImageHead>> {
  const heads = new Map<string, ImageHead>();
  const byPath = new Map(listing.images.map((file) => [file.relative, file]));
  const covered = new Set<ListedFile>();
  // A cheap look for names; what it misses is read again, which changes nothing.
  const cover = (xml: string, folder: string, own: ListedFile | undefined) => {
    for (const match of xml.matchAll(/\bFileName\s*=\s*"([^"]*)"/g)) {
      const file = byPath.get(folder === "" ? (match[1] as string) : `${folder}/${match[1]}`);
      if (file !== undefined && file !== own) covered.add(file);
    }
  };
  for (const file of listing.files)
    if (texts.has(file.relative))
      cover(texts.get(file.relative) as string, file.folders.join("/"), undefined);
  // The first file alone: in a set of many files it speaks for all of them.
  for (let at = 0, size = 1; at < listing.images.length; at += size, size = at === 1 ? headsAtATime : size) {
    const round = listing.images.slice(at, at + size).filter((file) => !covered.has(file));
    for (const [relative, head] of round.length > 0 ? await read(round) : []) {
      heads.set(relative, head);
      const file = byPath.get(relative);
      if (file && isOmeXml(head.description)) cover(head.description, file.folders.join("/"), file);
    }
  }
  return heads;
}

type Names = (file: ListedFile) => PatternMatch | undefined;

/** Wells and sites of fields that the metadata puts nowhere. */
interface Naming {
  readonly names: Names;
  readonly pattern: string | null;
}

/** The pattern that the first name suggests, if it fits every file and tells them apart. */
function namingOf(homes: readonly ListedFile[]): Naming | undefined {
  const first = homes[0];
  if (first === undefined) return undefined;
  const pattern = FilenamePattern.compile(suggestPattern(first.name));
  const seen = new Set<string>();
  for (const home of homes) {
    const match = pattern.match(home.relative);
    if (match === undefined || typeof match.channel === "string") return undefined;
    const { well, site, channel, z_index, timepoint } = match;
    seen.add(`${well}/${site}/${channel}/${z_index}/${timepoint}`);
  }
  return seen.size === homes.length
    ? { names: (file) => pattern.match(file.relative), pattern: pattern.source }
    : undefined;
}

/** Files as wells A01, A02, ... of the smallest plate that has as many. */
function inOrder(listing: Listing, homes: readonly ListedFile[]): Naming {
  if (homes.length > maxRows * maxColumns) {
    throw new TilecastError(
      "ERR_PLATE_FORMAT",
      `${listing.root} holds ${homes.length} images without wells, more than any plate has; say how the files are named, for example:\n  --pattern "${suggestPattern((homes[0] as ListedFile).name)}"`,
      { path: listing.root, argument: "pattern" },
    );
  }
  const shapes: [number, number][] = [
    [2, 3],
    [4, 6],
    [8, 12],
    [16, 24],
    [maxRows, maxColumns],
  ];
  const [, columns] = shapes.find(([rows, columns]) => rows * columns >= homes.length) as [number, number];
  const matches = new Map(
    homes.map((home, i): [ListedFile, PatternMatch] => [
      home,
      {
        well: formatWell({ row: Math.floor(i / columns), column: i % columns }),
        site: 1,
        channel: 1,
        z_index: null,
        timepoint: 1,
        plate: null,
      },
    ]),
  );
  return { names: (file) => matches.get(file), pattern: null };
}

interface Placed {
  readonly field: Field;
  readonly well: string;
  readonly site: number;
  /** What the file's name says of components that the field has only one of. */
  readonly named: PatternMatch | null;
}

/** Gives every field a well and a site. */
function place(
  listing: Listing,
  fields: readonly Field[],
  given: FilenamePattern | undefined,
  notices: Notice[],
): { placed: Placed[]; pattern: string | null; plate: string | null } {
  const placed: Placed[] = [];
  const free: Field[] = [];
  for (const field of fields) {
    if (field.place !== null) placed.push({ field, ...field.place, named: null });
    else free.push(field);
  }
  if (free.length === 0) return { placed, pattern: null, plate: null };
  // Beside fields of a plate, files without wells are something else.
  if (placed.length > 0 && given === undefined) {
    const homes = [...new Set(free.map((f) => f.home.relative))];
    notices.push(
      noticeOf(
        "ignored",
        homes,
        (n) => `${plural(n, "image file")} outside the plate that the metadata describes`,
      ),
    );
    return { placed, pattern: null, plate: null };
  }
  const homes = [...new Set(free.map((field) => field.home))];
  const naming =
    given !== undefined
      ? { names: (file: ListedFile) => given.match(file.relative), pattern: given.source }
      : (namingOf(homes) ?? inOrder(listing, homes));
  if (naming.pattern === null && homes.length > 0) {
    notices.push({
      kind: "mixed",
      message: `the file names say no wells: ${plural(homes.length, "file")} ${homes.length === 1 ? "is well" : "are wells"} in order of the names`,
      count: homes.length,
      examples: homes.slice(0, 5).map((home) => `${home.relative} is ${naming.names(home)?.well}`),
    });
  }
  const fieldsOf = new Map<ListedFile, Field[]>();
  for (const field of free) {
    const list = fieldsOf.get(field.home);
    if (list === undefined) fieldsOf.set(field.home, [field]);
    else list.push(field);
  }
  const named = [...fieldsOf].map(([home, list]) => ({ home, list, match: naming.names(home) }));
  const strangers = named.filter(({ match }) => match === undefined).map(({ home }) => home.relative);
  if (strangers.length > 0)
    notices.push(
      noticeOf("ignored", strangers, (n) => `${plural(n, "TIFF file")} that the pattern does not fit`),
    );
  const plates = new Set<string | null>();
  // Wells with a file of several images number their sites on; elsewhere the name's number is the site.
  const several = new Set(named.flatMap(({ list, match }) => (list.length > 1 && match ? [match.well] : [])));
  const next = new Map<string, number>();
  for (const { list, match } of named) {
    if (match === undefined) continue;
    plates.add(match.plate);
    for (const field of list) {
      const number = (next.get(match.well) ?? 0) + 1;
      next.set(match.well, number);
      placed.push({
        field,
        well: match.well,
        site: several.has(match.well) ? number : match.site,
        named: match,
      });
    }
  }
  const [plate] = plates;
  return { placed, pattern: naming.pattern, plate: plates.size === 1 ? (plate ?? null) : null };
}

function parseWith(given: FilenamePattern | undefined) {
  return (
    listing: Listing,
    texts: ReadonlyMap<string, string>,
    heads: ReadonlyMap<string, ImageHead> = new Map(),
  ): ParsedPlate => {
    const { fields, plateName, plateFormat, notices: found } = collectFields(listing, texts, heads);
    const notices = [...found];
    const { placed, pattern, plate } = place(listing, fields, given, notices);
    if (placed.length === 0) {
      throw new TilecastError(
        "ERR_PLATE_FORMAT",
        given === undefined
          ? `${listing.root} holds no image that its OME metadata places`
          : `the pattern ${given.source} fits none of the ${plural(listing.images.length, "TIFF file")} in ${listing.root}`,
        { path: listing.root, argument: "pattern" },
      );
    }

    /** Sizes that the metadata gives for the pages of a file: only where they differ do they matter. */
    const sizes = new Map<ListedFile, Set<string>>();
    const sizeKey = (field: Field) => JSON.stringify(field.size);
    for (const { field } of placed)
      for (const { file } of field.planes ?? [])
        sizes.set(file, (sizes.get(file) ?? new Set()).add(sizeKey(field)));

    const files: ParsedFile[] = [];
    const lost: LostPlane[] = [];
    const names = new Map<number, Map<string, number>>();
    for (const { field, well, site, named } of placed) {
      // A field with one channel, slice or timepoint takes its number from the file's name, if that has one.
      const one = field.channelNames.length <= 1 && typeof named?.channel === "number" ? named.channel : 1;
      const components = ({ z, channel, t }: { z: number; channel: number; t: number }): Components => ({
        well,
        site,
        channel: one + channel,
        z_index: field.sizeZ > 1 ? z + 1 : (named?.z_index ?? null),
        timepoint: field.sizeT > 1 ? t + 1 : (named?.timepoint ?? 1),
      });
      if (field.planes === null) {
        files.push({ file: field.home, ...components({ z: 0, channel: 0, t: 0 }), projection: false });
        continue;
      }
      for (const [i, name] of field.channelNames.entries()) {
        if (name === null) continue;
        const known = names.get(one + i) ?? new Map<string, number>();
        names.set(one + i, known.set(name, (known.get(name) ?? 0) + 1));
      }
      for (const { file, page, sample, ...indices } of field.planes) {
        const differ = field.size !== null && (sizes.get(file)?.size ?? 0) > 1;
        files.push({
          file,
          ...components(indices),
          projection: false,
          place: { page, sample, ...(differ && field.size ? { size: field.size } : {}) },
        });
      }
      for (const { reason, ...indices } of field.lost) lost.push({ ...components(indices), reason });
    }

    const channelNames = new Map<number, string>();
    for (const [channel, known] of [...names].sort(([a], [b]) => a - b)) {
      const sorted = [...known].sort((a, b) => b[1] - a[1]);
      channelNames.set(channel, (sorted[0] as [string, number])[0]);
      if (sorted.length > 1) {
        notices.push({
          kind: "mixed",
          message: `channel ${channel} has ${sorted.length} names in the metadata; the most frequent is used`,
          count: sorted.length,
          examples: sorted.slice(0, 5).map(([name, n]) => `${name} (${plural(n, "image")})`),
        });
      }
    }
    const ours = placed.map(({ field }) => field);
    const wells = [...new Set(placed.map((p) => p.well))].sort(compareWells);
    const size = plateFormatOf(wells);
    const fits = plateFormat !== null && plateFormat.rows * plateFormat.columns > 0;
    return {
      name: plateName ?? plate ?? folderName(listing, ""),
      pattern: given?.source ?? pattern,
      files,
      channelNames,
      expected: null,
      plateFormat:
        fits && plateFormat ? { ...plateFormat, wells: plateFormat.rows * plateFormat.columns } : size,
      lost,
      ...metersOf(ours),
      notices,
    };
  };
}

function metersOf(fields: readonly Field[]): Pick<ParsedPlate, "pixelSizeUm" | "zStepUm"> {
  const pixelSizeUm = fields.find((f) => f.pixelSizeUm !== null)?.pixelSizeUm;
  const zStepUm = fields.find((f) => f.zStepUm !== null && f.sizeZ > 1)?.zStepUm;
  return { ...(pixelSizeUm ? { pixelSizeUm } : {}), ...(zStepUm ? { zStepUm } : {}) };
}

/** The layout, with a user's pattern for wells and sites that the metadata does not give. Throws ERR_PATTERN. */
export function omeTiffWith(pattern: string | undefined): PlateFormat {
  return {
    name: "ome-tiff",
    detect,
    metadata: (listing) => listing.files.filter(isCompanion),
    heads: readHeads,
    parse: parseWith(pattern === undefined ? undefined : FilenamePattern.compile(pattern)),
  };
}

export const omeTiff: PlateFormat = omeTiffWith(undefined);
