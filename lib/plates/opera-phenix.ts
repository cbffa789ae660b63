// SPDX-License-Identifier: MIT
// Opera Phenix and Operetta plates: the folders that Harmony (PerkinElmer, Revvity) exports.
//
// `Images/r<row>c<column>f<field>p<plane>-ch<channel>sk<t>fk<t>fl<n>.tiff` beside `Index.idx.xml` or `Index.xml`. Sites are
// fields, slices planes. sk counts slow kinetics, the time series, from 1 (TimepointID in the index counts from 0 in most
// versions); fk counts fast kinetics, frames within one of its points; fl counts lifetime images (FLIM). The index lists every
// plane that was acquired, and those that could not be; files that it alone names (Harmony 3: `001002-3-001001001.tif`) are
// taken from it. Without an index the names say enough.

import { isTilecastError } from "../errors.js";
import type { Detection, LostPlane, ParsedFile, ParsedPlate, PlateFormat } from "./format.js";
import { Geometry } from "./geometry.js";
import type { ListedFile, Listing } from "./listing.js";
import { noticeOf, plural } from "./notice.js";
import { type PhenixImage, type PhenixIndex, parsePhenixIndex } from "./phenix-index.js";
import type { Components, Notice } from "./plate.js";
import { choosePlateFolder, count, folderName, mostCommon } from "./plate-folder.js";
import { References } from "./references.js";
import { formatWell, maxColumns, maxRows } from "./well.js";

export interface PhenixName {
  readonly well: string;
  readonly field: number;
  readonly plane: number;
  readonly channel: number;
  readonly slow: number;
  readonly fast: number;
  readonly lifetime: number;
}

const namePattern =
  /^r(\d{1,2})c(\d{1,2})f(\d{1,5})p(\d{1,5})-ch(\d{1,3})(?:sk(\d{1,6}))?(?:fk(\d{1,6}))?(?:fl(\d{1,4}))?\.tiff?$/i;

function wellOf(row: number, column: number): string | undefined {
  return row >= 1 && row <= maxRows && column >= 1 && column <= maxColumns
    ? formatWell({ row: row - 1, column: column - 1 })
    : undefined;
}

/** Reads a file name without its folders; `undefined` when it is not one of Harmony's. */
export function parsePhenixName(name: string): PhenixName | undefined {
  const match = namePattern.exec(name);
  const well = match && wellOf(Number(match[1]), Number(match[2]));
  if (!match || well === undefined) return undefined;
  return {
    well: well as string,
    field: Number(match[3]),
    plane: Number(match[4]),
    channel: Number(match[5]),
    slow: Number(match[6] ?? 1),
    fast: Number(match[7] ?? 1),
    lifetime: Number(match[8] ?? 1),
  };
}

/** Index files by preference; those of an export that was renamed or analysed again may lie side by side. */
const indexNames = ["index.idx.xml", "index.xml"];
const isIndex = (file: ListedFile) => indexNames.includes(file.name.toLowerCase());

function detect(listing: Listing): Detection {
  const fit = listing.images.filter((file) => parsePhenixName(file.name) !== undefined).length;
  let score = listing.images.length === 0 ? 0 : fit / listing.images.length;
  // Harmony 3 names its files by numbers alone; its index is then the marker.
  const indexed =
    listing.files.some(isIndex) && listing.images.some((f) => /^\d{6}-\d+-\d{9}\.tif/i.test(f.name));
  if (indexed) score = 1;
  return {
    score,
    reason:
      score === 0
        ? "no image is named r01c01f01p01-ch1sk1fk1fl1.tiff (Opera Phenix, Operetta)"
        : `${Math.round(score * 100)} % of the images are named r01c01f01p01-ch1sk1fk1fl1.tiff (Opera Phenix, Operetta)`,
  };
}

/** The index that goes with the images in `base`: beside them, else in a folder above. */
function chooseIndex(
  listing: Listing,
  texts: ReadonlyMap<string, string>,
  base: string,
): { file: ListedFile | undefined; others: ListedFile[] } {
  const candidates = listing.files.filter(
    (f) =>
      isIndex(f) &&
      texts.has(f.relative) &&
      (base === "" ? "" : `${base}/`).startsWith(f.folders.map((p) => `${p}/`).join("")),
  );
  const rank = (f: ListedFile) => -f.folders.length * 10 + indexNames.indexOf(f.name.toLowerCase());
  const [file, ...others] = candidates.sort((a, b) => rank(a) - rank(b));
  return { file, others };
}

const indexKey = (i: PhenixImage) => `${i.row}/${i.column}/${i.field}/${i.channel}/${i.plane}/${i.timepoint}`;

function parse(listing: Listing, texts: ReadonlyMap<string, string>): ParsedPlate {
  const notices: Notice[] = [];
  const named = new Map<ListedFile, PhenixName>();
  const bases = new Map<string, number>();
  const indexed = new Set(listing.files.filter(isIndex).map((f) => f.folders.join("/")));
  for (const file of listing.images) {
    const name = parsePhenixName(file.name);
    if (name !== undefined) named.set(file, name);
    if (name !== undefined || indexed.has(file.folders.join("/"))) count(bases, file.folders.join("/"));
  }
  const base = choosePlateFolder(listing, bases, "Opera Phenix");
  const { file: indexFile, others } = chooseIndex(listing, texts, base);
  if (others.length > 0) {
    const names = others.map((f) => f.relative);
    notices.push(noticeOf("ignored", names, (n) => `${plural(n, "more index")} beside ${indexFile?.name}`));
  }
  let index: PhenixIndex | undefined;
  if (indexFile !== undefined) {
    try {
      index = parsePhenixIndex(texts.get(indexFile.relative) as string, indexFile.relative);
    } catch (error) {
      if (!isTilecastError(error, "ERR_METADATA")) throw error;
      const { message } = error;
      notices.push(
        noticeOf("unreadable", [indexFile.relative], () => `${message}; the file names alone are used`),
      );
    }
  }
  const source = indexFile?.relative ?? "";
  const references = new References(listing);
  const indexFolder = indexFile?.folders.join("/") ?? "";

  // What the index says about each file, and what it lists without one.
  const entries = new Map<ListedFile, PhenixImage>();
  const absent: { image: PhenixImage; name: PhenixName | undefined; reason: string }[] = [];
  const shifts: number[] = [];
  let elsewhere = 0;
  for (const image of index?.images ?? []) {
    const url = image.url;
    const name = url === null ? undefined : parsePhenixName(url.split(/[\\/]/).at(-1) as string);
    if (name !== undefined) shifts.push(name.slow - image.timepoint);
    if (url !== null && /^https?:/i.test(url)) {
      elsewhere++;
      continue;
    }
    const file = url === null ? undefined : references.find(indexFolder, url, source);
    if (file !== undefined) entries.set(file, image);
    else {
      const state = image.state === null || /^ok$/i.test(image.state) ? "" : ` (${image.state.slice(0, 80)})`;
      const reason =
        url === null
          ? `listed in ${source} without an image${state}`
          : `listed in ${source} and not in the folder${state}`;
      absent.push({ image, name, reason });
    }
  }
  if (elsewhere > 0) {
    notices.push({
      kind: "ignored",
      message: `${plural(elsewhere, "entry").replace(/ys$/, "ies")} of ${source} that lie on a server`,
      count: elsewhere,
      examples: [],
    });
  }
  /** What to add to TimepointID: names count from 1, and not every version starts its IDs alike. */
  const shift = mostCommon(shifts) ?? 1;

  let fastest = 1;
  for (const { fast } of named.values()) fastest = Math.max(fastest, fast);
  for (const { name } of absent) fastest = Math.max(fastest, name?.fast ?? 1);
  const ofName = (n: PhenixName): Components => ({
    well: n.well,
    site: n.field,
    channel: n.channel,
    z_index: n.plane,
    timepoint: (n.slow - 1) * fastest + n.fast,
  });
  const ofImage = (i: PhenixImage): Components | undefined => {
    const well = wellOf(i.row, i.column);
    return well === undefined
      ? undefined
      : {
          well,
          site: i.field,
          channel: i.channel,
          z_index: i.plane,
          timepoint: (i.timepoint + shift - 1) * fastest + 1,
        };
  };

  /** An index without a single whole entry says nothing. */
  const listsAll = index !== undefined && index.images.length > 0;
  const files: ParsedFile[] = [];
  const strangers: string[] = [];
  const foreign: string[] = [];
  const unlisted: string[] = [];
  const lifetimes: string[] = [];
  const disagreeing: string[] = [];
  const geometry = new Geometry();
  for (const file of listing.images) {
    const name = named.get(file);
    const image = entries.get(file);
    const components = name ? ofName(name) : image && ofImage(image);
    if (components === undefined) {
      strangers.push(file.relative);
      continue;
    }
    if (file.folders.join("/") !== base && image === undefined) {
      foreign.push(file.relative);
      continue;
    }
    if (name !== undefined && name.lifetime > 1) {
      lifetimes.push(file.relative);
      continue;
    }
    if (listsAll && image === undefined) unlisted.push(file.relative);
    if (name && image) {
      const i = ofImage(image);
      if (
        i?.well !== components.well ||
        i.site !== components.site ||
        i.channel !== components.channel ||
        i.z_index !== components.z_index
      )
        disagreeing.push(
          `${file.relative} (index: ${i?.well ?? "no well"} field ${image.field} channel ${image.channel} plane ${image.plane})`,
        );
    }
    files.push({ file, ...components, projection: false });
  }
  const told = new Set<string>();
  for (const image of index?.images ?? []) {
    if (image.xUm !== null && image.yUm !== null) geometry.addSite(image.field, image.xUm, image.yUm);
    if (image.zUm === null || told.has(indexKey(image))) continue;
    told.add(indexKey(image));
    geometry.addSlice(indexKey({ ...image, plane: 0 }), image.plane, image.zUm);
  }
  const say: [string[], Notice["kind"], (n: number) => string][] = [
    [strangers, "ignored", (n) => `${plural(n, "TIFF file")} without a Harmony name`],
    [
      foreign,
      "ignored",
      (n) => `${plural(n, "image")} in other folders than ${base === "" ? "the plate's own" : base}`,
    ],
    [
      lifetimes,
      "ignored",
      (n) => `${plural(n, "lifetime image")} (fl2 and further): only the first of each plane is read`,
    ],
    [unlisted, "mixed", (n) => `${plural(n, "image")} that ${source} does not list`],
    [
      disagreeing,
      "mixed",
      (n) => `${plural(n, "image")} that ${source} describes otherwise than the file name; the name is used`,
    ],
  ];
  for (const [items, kind, text] of say) if (items.length > 0) notices.push(noticeOf(kind, items, text));
  if (index !== undefined && index.incomplete > 0) {
    notices.push({
      kind: "unreadable",
      message: `${source} has ${index.incomplete} image${index.incomplete === 1 ? "" : "s"} without row, column, field or channel`,
      count: index.incomplete,
      examples: [],
    });
  }
  const lost = absent.flatMap(({ image, name, reason }): LostPlane[] => {
    const components = name ? ofName(name) : ofImage(image);
    return components === undefined ? [] : [{ ...components, reason }];
  });
  const { rows = null, columns = null } = index ?? {};
  const grid = geometry.siteGrid;
  return {
    name:
      index?.plateName ??
      (/^images$/i.test(folderName(listing, base)) ? parentName(listing, base) : folderName(listing, base)),
    pattern: null,
    files,
    channelNames: index?.channelNames ?? new Map(),
    expected:
      index === undefined ? null : { source, wells: [...new Set([...files, ...lost].map((p) => p.well))] },
    plateFormat:
      rows !== null && columns !== null && rows <= maxRows && columns <= maxColumns
        ? { rows, columns, wells: rows * columns }
        : null,
    lost,
    listsEveryPlane: listsAll,
    ...(index ? { pixelSizeUm: index.pixelSizeUm, zStepUm: geometry.zStepUm } : {}),
    ...(grid ? { siteGrid: grid } : {}),
    sitePositions: geometry.sitePositions,
    notices,
  };
}

/** The measurement's folder, where the images lie in one called Images. */
function parentName(listing: Listing, base: string): string {
  const parts = `${listing.root}/${base}`.split(/[\\/]/).filter(Boolean);
  return parts.at(-2) ?? "plate";
}

export const operaPhenix: PlateFormat = {
  name: "opera-phenix",
  detect,
  metadata: (listing) => listing.files.filter(isIndex),
  parse,
};
