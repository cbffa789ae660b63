// SPDX-License-Identifier: MIT
// OpenHCS workspaces: `openhcs_metadata.json` says which files are a plate's images, and may give them other names.
//
// {"subdirectories": {"<folder>": {"image_files": [...], "main": true, "source_filename_parser_name": "...",
// "grid_dimensions": [rows, columns], "pixel_size": um, "channels": {"1": "DAPI"}, "workspace_mapping": {"<virtual>": "<real>"}}}}
// or, before subdirectories, one such object alone. Components are read from the image's name, virtual where there is a mapping;
// pixels are read where the real file lies, and nothing is moved. Facts: OpenHCS (openhcs/microscopes/openhcs.py,
// microscope_interfaces.py, imagexpress.py and opera_phenix.py), whose name parsers the two below follow.

import { TilecastError } from "../errors.js";
import type { Detection, LostPlane, ParsedFile, ParsedPlate, PlateFormat } from "./format.js";
import type { ListedFile, Listing } from "./listing.js";
import { noticeOf, plural } from "./notice.js";
import { parsePhenixName } from "./opera-phenix.js";
import type { Components, Notice } from "./plate.js";
import { folderName } from "./plate-folder.js";
import { References } from "./references.js";
import { normalizeWell } from "./well.js";

const metadataName = "openhcs_metadata.json";
const isMetadata = (file: ListedFile) => file.relative === metadataName;
const isImage = (name: string) => /\.tiff?$/i.test(name);

type Json = { readonly [key: string]: unknown };

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** `x_A01_s001_w1_z001_t001.tif`, parts after the well optional: the names that OpenHCS gives images of every microscope. */
const namePattern =
  /^(?:.*?_)?([A-Z]{1,2}\d{1,2})(?:_s(\d{1,6}))?(?:_w(\d{1,4}))?(?:_z(\d{1,6}))?(?:_t(\d{1,6}))?(?:_.*)?$/;

/** Reads a virtual name; `undefined` when it is none that OpenHCS writes. */
export function parseOpenHcsName(name: string): Components | undefined {
  const phenix = parsePhenixName(name);
  if (phenix !== undefined) {
    const { well, field, channel, plane, slow } = phenix;
    return { well, site: field, channel, z_index: plane, timepoint: slow };
  }
  const match = namePattern.exec(name.replace(/\.\w+$/, ""));
  const well = match && normalizeWell(match[1] as string);
  if (!match || !well) return undefined;
  return {
    well,
    site: Number(match[2] ?? 1),
    channel: Number(match[3] ?? 1),
    z_index: match[4] === undefined ? null : Number(match[4]),
    timepoint: Number(match[5] ?? 1),
  };
}

function detect(listing: Listing): Detection {
  const found = listing.files.some(isMetadata);
  return { score: found ? 1 : 0, reason: `${found ? "there is" : "there is no"} ${metadataName} (OpenHCS)` };
}

function damaged(listing: Listing, what: string, cause?: unknown): TilecastError {
  return new TilecastError(
    "ERR_METADATA",
    `${metadataName}: ${what}. To read the folder without it, say which layout it has (--format) or how its files are named (--pattern)`,
    { path: listing.root, ...(cause === undefined ? {} : { cause }) },
  );
}

function kindOf(value: unknown): string {
  return value === null
    ? "null"
    : Array.isArray(value)
      ? "an array"
      : typeof value === "object"
        ? "an object"
        : `a ${typeof value}`;
}

/** The image set that OpenHCS itself would open, and the names of the others. */
function mainSet(listing: Listing, root: Json): { name: string; set: Json; others: string[] } {
  const { subdirectories } = root;
  // The older form is one set, whose file names say in which folder they lie.
  if (subdirectories === undefined) return { name: ".", set: root, others: [] };
  if (!isObject(subdirectories))
    throw damaged(
      listing,
      `expected "subdirectories" to be an object but received ${kindOf(subdirectories)}`,
    );
  const sets = Object.entries(subdirectories);
  for (const [name, set] of sets) {
    if (!isObject(set))
      throw damaged(
        listing,
        `expected the subdirectory ${JSON.stringify(name)} to be an object but received ${kindOf(set)}`,
      );
  }
  const chosen =
    sets.find(([, set]) => (set as Json).main === true) ??
    sets.find(([name]) => name === "images") ??
    sets[0];
  if (chosen === undefined) throw damaged(listing, '"subdirectories" is empty');
  return {
    name: chosen[0],
    set: chosen[1] as Json,
    others: sets.map(([name]) => name).filter((name) => name !== chosen[0]),
  };
}

interface Image {
  /** Says which plane it is. */
  readonly name: string;
  /** Says where its pixels are. */
  readonly path: string;
}

/** The images of a set: virtual names and real paths where there is a mapping, else the listed files. */
function imagesOf(listing: Listing, set: Json, foreign: { name: string; what: string }[]): Image[] {
  const { workspace_mapping: mapping, image_files: files } = set;
  if (mapping !== undefined && mapping !== null) {
    if (!isObject(mapping))
      throw damaged(listing, `expected "workspace_mapping" to be an object but received ${kindOf(mapping)}`);
    const entries = Object.entries(mapping);
    if (entries.length > 0) {
      return entries.flatMap(([name, target]) => {
        if (typeof target === "string") return [{ name, path: target }];
        // A plane inside a file that only Bio-Formats opens: {"reader": "bioformats", "source_path": ..., "plane_index": ...}
        if (isObject(target) && typeof target.source_path === "string") {
          foreign.push({ name, what: `in ${target.source_path.slice(0, 120)}, which needs Bio-Formats` });
          return [];
        }
        throw damaged(
          listing,
          `expected "workspace_mapping" to give a path for ${JSON.stringify(name)} but received ${kindOf(target)}`,
        );
      });
    }
  }
  if (!Array.isArray(files))
    throw damaged(
      listing,
      `expected "image_files" to be an array but received ${files === undefined ? "none" : kindOf(files)}`,
    );
  return files.map((file: unknown) => {
    if (typeof file !== "string")
      throw damaged(listing, `expected "image_files" to hold paths but received ${kindOf(file)}`);
    return { name: file, path: file };
  });
}

const number = (value: unknown): number | null =>
  typeof value === "number" && Number.isFinite(value) && value > 0 ? value : null;

function parse(listing: Listing, texts: ReadonlyMap<string, string>): ParsedPlate {
  const text = texts.get(metadataName);
  if (text === undefined) {
    throw damaged(
      listing,
      listing.files.some(isMetadata) ? "it cannot be read" : "there is none in the folder",
    );
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw damaged(listing, `it is not JSON (${(cause as Error).message})`, cause);
  }
  if (!isObject(json)) throw damaged(listing, `expected an object but received ${kindOf(json)}`);
  const { name: folder, set, others } = mainSet(listing, json);
  const references = new References(listing);
  const foreign: { name: string; what: string }[] = [];
  const base = folder === "." ? "" : references.relative("", folder, metadataName);

  const files: ParsedFile[] = [];
  const lost: LostPlane[] = [];
  const strange: string[] = [];
  const otherKinds: string[] = [];
  const used = new Set<ListedFile>();
  for (const { name, path } of imagesOf(listing, set, foreign)) {
    const components = parseOpenHcsName(name.split(/[\\/]/).at(-1) as string);
    if (components === undefined) {
      strange.push(name);
      continue;
    }
    // Paths are relative to the plate; older writers left the subdirectory out.
    const file = references.find("", path, metadataName) ?? references.find(base, path, metadataName);
    if (file === undefined) {
      if (isImage(path))
        lost.push({ ...components, reason: `listed in ${metadataName} and not in the folder` });
      else otherKinds.push(path);
      continue;
    }
    if (!isImage(file.name)) {
      otherKinds.push(path);
      continue;
    }
    used.add(file);
    files.push({ file, ...components, projection: false });
  }
  for (const { name, what } of foreign) {
    const components = parseOpenHcsName(name.split(/[\\/]/).at(-1) as string);
    if (components === undefined) strange.push(name);
    else lost.push({ ...components, reason: what });
  }
  if (files.length === 0) {
    const why =
      otherKinds.length > 0
        ? `its images are no TIFF files (${otherKinds[0]})`
        : lost.length > 0
          ? `none of the ${plural(lost.length, "image")} of ${JSON.stringify(folder)} can be read: ${lost[0]?.reason}`
          : strange.length > 0
            ? `none of the ${plural(strange.length, "image")} of ${JSON.stringify(folder)} is named like A01_s001_w1_z001_t001.tif (${strange[0]})`
            : `the image set ${JSON.stringify(folder)} lists no image`;
    throw damaged(listing, why);
  }

  const rest = listing.images.filter((file) => !used.has(file)).map((file) => file.relative);
  const notices: Notice[] = [];
  const say: [string[], Notice["kind"], (n: number) => string][] = [
    [
      others,
      "ignored",
      (n) => `${plural(n, "more image set")} of the workspace; ${JSON.stringify(folder)} is read`,
    ],
    [
      strange,
      "ignored",
      (n) =>
        `${plural(n, "image")} of ${metadataName} that ${n === 1 ? "is" : "are"} not named like A01_s001_w1_z001_t001.tif`,
    ],
    [
      otherKinds,
      "ignored",
      (n) =>
        `${plural(n, "image")} of ${metadataName} that ${n === 1 ? "is no TIFF file" : "are no TIFF files"}`,
    ],
    [
      rest,
      "ignored",
      (n) =>
        `${plural(n, "TIFF file")} that ${n === 1 ? "is" : "are"} not of the image set ${JSON.stringify(folder)}`,
    ],
  ];
  for (const [items, kind, text] of say) if (items.length > 0) notices.push(noticeOf(kind, items, text));

  const channelNames = new Map<number, string>();
  if (isObject(set.channels)) {
    for (const [channel, name] of Object.entries(set.channels)) {
      // OpenHCS keeps None, as a null or as text, for channels without a name.
      if (/^\d{1,6}$/.test(channel) && typeof name === "string" && name !== "" && name !== "None")
        channelNames.set(Number(channel), name);
    }
  }
  const pixel = number(set.pixel_size);
  const [rows, columns] = Array.isArray(set.grid_dimensions) ? set.grid_dimensions.map(number) : [];
  return {
    name:
      typeof set.plate_name === "string" && set.plate_name !== "" ? set.plate_name : folderName(listing, ""),
    pattern: null,
    files,
    channelNames,
    expected: null,
    plateFormat: null,
    lost,
    ...(pixel === null ? {} : { pixelSizeUm: { x: pixel, y: pixel } }),
    ...(rows && columns ? { siteGrid: { rows, columns } } : {}),
    notices,
  };
}

export const openHcs: PlateFormat = {
  name: "openhcs",
  detect,
  metadata: (listing) => listing.files.filter(isMetadata),
  parse,
};
