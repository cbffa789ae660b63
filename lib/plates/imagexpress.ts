// SPDX-License-Identifier: MIT
// ImageXpress plates: the folders that MetaXpress (Molecular Devices) acquires to and exports.
//
// `<name>_<well>[_s<site>][_w<channel>][<GUID>].tif`, in folders `TimePoint_<n>` and `ZStep_<n>` in either nesting.
// MetaXpress leaves `_s` and `_w` out when there is one site or one channel. Files outside any ZStep folder are single
// planes or projections that the microscope made; exports keep those in ZStep_0. `_thumb` files are the microscope's previews.

import type { Detection, Expected, ParsedFile, ParsedPlate, PlateFormat } from "./format.js";
import { type Htd, parseHtd } from "./htd.js";
import type { ListedFile, Listing } from "./listing.js";
import { noticeOf, plural } from "./notice.js";
import type { Notice } from "./plate.js";
import { choosePlateFolder, count, folderName, mostCommon } from "./plate-folder.js";
import { normalizeWell } from "./well.js";

export interface ImageXpressName {
  readonly plate: string;
  readonly well: string;
  readonly site: number;
  readonly channel: number;
  readonly thumbnail: boolean;
  /** Whether a site, channel or GUID is written out: `x_A01.tif` alone could be anybody's. */
  readonly distinct: boolean;
}

const guid = /[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$/;
// The plate's name is lazy and wells are capitals, or `_w12` and `_s12` would be wells of a 1536-well plate.
const stemPattern = /^(?:(.*?)_)?([A-Z]{1,2}\d{2})(?:_[sS](\d{1,5}))?(?:_[wW](\d{1,3}))?(_thumb)?$/;

/** Reads a file name without its folders; `undefined` when it is not one of MetaXpress's. */
export function parseImageXpressName(name: string): ImageXpressName | undefined {
  const stem = name.replace(/\.tiff?$/i, "");
  if (stem === name) return undefined;
  // The GUID follows the channel without a separator (`_w1` + `1D01380B-...`), and it starts with a digit as often as not:
  // only its fixed length at the end tells where the channel's digits stop.
  const bare = stem.replace(guid, "");
  const match = stemPattern.exec(bare);
  const well = match?.[2] && normalizeWell(match[2]);
  if (match === null || !well) return undefined;
  return {
    plate: match[1] ?? "",
    well,
    site: match[3] === undefined ? 1 : Number(match[3]),
    channel: match[4] === undefined ? 1 : Number(match[4]),
    thumbnail: match[5] !== undefined,
    distinct: bare !== stem || match[3] !== undefined || match[4] !== undefined,
  };
}

interface Place {
  /** The plate's own folder, relative. */
  readonly base: string;
  readonly z: number | undefined;
  readonly timepoint: number | undefined;
}

/** Splits the trailing ZStep and TimePoint folders off. */
function placeOf(folders: readonly string[]): Place {
  let z: number | undefined;
  let timepoint: number | undefined;
  let end = folders.length;
  for (; end > 0; end--) {
    const match = /^(ZStep|TimePoint)_(\d{1,6})$/i.exec(folders[end - 1] as string);
    if (match === null) break;
    const value = Number(match[2]);
    if ((match[1] as string).toLowerCase() === "zstep") {
      if (z !== undefined) break;
      z = value;
    } else {
      if (timepoint !== undefined) break;
      timepoint = value;
    }
  }
  return { base: folders.slice(0, end).join("/"), z, timepoint };
}

const isHtd = (file: ListedFile) => /\.htd$/i.test(file.name);

function expectedOf(htd: Htd, source: string): Expected {
  return {
    source,
    ...(htd.wells.length > 0 ? { wells: htd.wells } : {}),
    ...(htd.sites === null ? {} : { sites: htd.sites }),
    ...(htd.wavelengths === null ? {} : { channels: htd.wavelengths }),
    ...(htd.zSteps === null ? {} : { zSlices: htd.zSteps }),
    ...(htd.timepoints === null ? {} : { timepoints: htd.timepoints }),
  };
}

function detect(listing: Listing): Detection {
  let fit = 0;
  for (const file of listing.images) {
    const name = parseImageXpressName(file.name);
    if (name !== undefined) fit += name.distinct || placeOf(file.folders).z !== undefined ? 1 : 0.5;
  }
  const score = listing.images.length === 0 ? 0 : fit / listing.images.length;
  return {
    score,
    reason:
      fit === 0
        ? "no image is named <plate>_<well>[_s<site>][_w<channel>].tif"
        : `${Math.round(score * 100)} % of the images are named <plate>_<well>[_s<site>][_w<channel>].tif`,
  };
}

function parse(listing: Listing, texts: ReadonlyMap<string, string>): ParsedPlate {
  const parsed: { file: ParsedFile; plate: string; base: string }[] = [];
  const thumbnails: string[] = [];
  const others: string[] = [];
  const bases = new Map<string, number>();
  for (const file of listing.images) {
    const name = parseImageXpressName(file.name);
    if (name === undefined) {
      others.push(file.relative);
      continue;
    }
    if (name.thumbnail) {
      thumbnails.push(file.relative);
      continue;
    }
    const place = placeOf(file.folders);
    count(bases, place.base);
    const plane: ParsedFile = {
      file,
      well: name.well,
      site: name.site,
      channel: name.channel,
      z_index: place.z === undefined || place.z === 0 ? null : place.z,
      timepoint: place.timepoint ?? 1,
      projection: place.z === 0,
    };
    parsed.push({ file: plane, plate: name.plate, base: place.base });
  }
  const base = choosePlateFolder(listing, bases, "ImageXpress");
  const notices: Notice[] = [];
  if (thumbnails.length > 0) {
    notices.push(
      noticeOf(
        "ignored",
        thumbnails,
        (n) => `${plural(n, "thumbnail")} of the microscope (_thumb in the name)`,
      ),
    );
  }
  if (others.length > 0) {
    notices.push(noticeOf("ignored", others, (n) => `${plural(n, "TIFF file")} without an ImageXpress name`));
  }

  const own = parsed.filter((p) => p.base === base);
  const foreign = parsed.filter((p) => p.base !== base).map((p) => p.file.file.relative);
  if (foreign.length > 0) {
    notices.push(
      noticeOf(
        "ignored",
        foreign,
        (n) => `${plural(n, "image")} in folders that are neither ZStep_ nor TimePoint_`,
      ),
    );
  }
  const prefix = mostCommon(own.map((p) => p.plate)) ?? "";
  // The acquisition's own file lies beside the images and bears the plate's name; copies of others may lie there too.
  const candidates = listing.files.filter(
    (f) => isHtd(f) && f.folders.join("/") === base && texts.has(f.relative),
  );
  const chosen =
    candidates.find((f) => f.name.slice(0, -4).toLowerCase() === prefix.toLowerCase()) ?? candidates[0];
  const htd = chosen && parseHtd(texts.get(chosen.relative) as string);
  const unused = candidates.filter((f) => f !== chosen).map((f) => f.relative);
  if (unused.length > 0) {
    notices.push(noticeOf("ignored", unused, (n) => `${plural(n, "more .HTD file")} beside ${chosen?.name}`));
  }
  return {
    name: prefix || folderName(listing, base),
    pattern: null,
    files: own.map((p) => p.file),
    channelNames: htd?.waveNames ?? new Map(),
    expected: chosen && htd ? expectedOf(htd, chosen.relative) : null,
    plateFormat:
      htd?.rows && htd.columns
        ? { rows: htd.rows, columns: htd.columns, wells: htd.rows * htd.columns }
        : null,
    notices,
  };
}

export const imageXpress: PlateFormat = {
  name: "imagexpress",
  detect,
  metadata: (listing) => listing.files.filter(isHtd),
  parse,
};
