// SPDX-License-Identifier: MIT
// OME-Zarr plates (NGFF 0.4 and 0.5, HCS), and single images as plates of one well.
//
// A field's level 0 is read; its pyramid and labels are results, not planes. Where planes are is the array's own description, so that no
// file is opened but metadata. A plane's size and time, which --resume compares, are those of the files that hold its pixels: all of them
// together, and the newest of them and of the array's metadata. (Of an image in millions of files, the metadata's time alone.)

import { stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { isTilecastError, TilecastError } from "../errors.js";
import {
  insidePath,
  type NgffImage,
  omeAttributes,
  openNgffImage,
  parsePlate,
  parseWell as parseWellGroup,
} from "../stores/ngff.js";
import {
  inFolder,
  type MetadataReader,
  planeCount,
  readZarrNode,
  type ZarrNode,
} from "../stores/zarr-array.js";
import { nativeZarrArray } from "../stores/zarr-reader.js";
import { throwIfCancelled } from "./cancel.js";
import { channelInfos, mixedNotices } from "./catalogue.js";
import { planeOrder } from "./missing.js";
import { noticeOf, plural } from "./notice.js";
import type { Components, MissingPlane, Notice, PlaneRef, Plate } from "./plate.js";
import { compareWells, formatWell, normalizeWell, plateFormatOf } from "./well.js";

export interface OmeZarrOptions {
  /** `first` reads the metadata of one field and believes it for the rest, and looks at no chunk's size and time. */
  readonly headers: "all" | "first";
  readonly signal: AbortSignal | undefined;
  /** Where files are that are not on a disk. */
  readonly remote?: {
    readonly read: MetadataReader;
    /** Of an array's metadata, ms since 1970. */
    readonly mtimeMs: (file: string) => Promise<number>;
  };
}

/** Groups read at a time: enough to hide the latency of a file server, few enough to leave it usable. */
const parallel = 32;

async function mapParallel<T, R>(
  items: readonly T[],
  signal: AbortSignal | undefined,
  f: (item: T) => Promise<R>,
): Promise<R[]> {
  const out: R[] = [];
  let next = 0;
  const work = async () => {
    for (let i = next++; i < items.length; i = next++) {
      throwIfCancelled(signal, "opening the plate");
      out[i] = await f(items[i] as T);
    }
  };
  await Promise.all(Array.from({ length: Math.min(parallel, items.length) }, work));
  return out;
}

/** An image of the plate, before it was looked at. */
interface Field {
  readonly well: string;
  readonly site: number;
  /** Path inside the store; empty for the store itself. */
  readonly path: string;
}

/** Fields as the metadata lists them, and what could not be read of it. */
interface Fields {
  readonly name: string | null;
  readonly fields: readonly Field[];
  /** Wells that name the plate's size, those without fields too. */
  readonly corners: readonly string[];
  readonly notices: readonly Notice[];
}

/** What leads a reason; nothing where the field is the store itself. */
const named = ({ path }: Field) => (path === "" ? "" : `${path}: `);

/** Whether the folder is the root of a Zarr store. */
export async function isZarr(root: string): Promise<boolean> {
  return (await readZarrNode(root)) !== null;
}

function reasonOf(error: unknown): string {
  if (!isTilecastError(error)) throw error;
  const { code, message, path } = error;
  const said = path !== undefined && message.startsWith(path) ? message.slice(path.length) : message;
  return `${code}: ${said.replace(/^[,:]\s*/, "")}`;
}

/** Sites are numbered as their groups are named; where those are no numbers, by their order. */
function sitesOf(paths: readonly string[]): number[] {
  const numeric = paths.every((p) => /^\d{1,6}$/.test(p)) && new Set(paths.map(Number)).size === paths.length;
  return paths.map((p, i) => (numeric ? Number(p) : i));
}

async function fieldsOf(root: string, node: ZarrNode, options: OmeZarrOptions): Promise<Fields> {
  const ome = omeAttributes(node.attributes);
  const plate = parsePlate(root, ome);
  if (plate !== null) {
    const unreadable: string[] = [];
    const reasons = new Set<string>();
    const wells = await mapParallel(plate.wells, options.signal, async (w) => {
      // Names of rows and columns are the plate's own; where they are no wells' names their order counts.
      const well =
        normalizeWell(w.row + w.column) ??
        formatWell({ row: Math.max(0, w.rowIndex), column: Math.max(0, w.columnIndex) });
      try {
        const group = await readZarrNode(inFolder(root, w.path), options.remote?.read);
        const images =
          group === null ? null : parseWellGroup(inFolder(root, w.path), omeAttributes(group.attributes));
        if (images === null) throw new TilecastError("ERR_METADATA", "there is no well");
        const sites = sitesOf(images);
        return images.map(
          (image, i): Field => ({ well, site: sites[i] as number, path: `${w.path}/${image}` }),
        );
      } catch (error) {
        reasons.add(reasonOf(error));
        unreadable.push(w.path);
        return [];
      }
    });
    const lastRow = plate.rows.at(-1) ?? "";
    const lastColumn = plate.columns.at(-1) ?? "";
    const corner = normalizeWell(lastRow + lastColumn);
    return {
      name: plate.name,
      fields: wells.flat(),
      corners: corner === undefined ? [] : [corner],
      notices:
        unreadable.length === 0
          ? []
          : [
              noticeOf(
                "missing",
                unreadable.sort(),
                (n) =>
                  `${plural(n, "well")} that the plate lists cannot be read (${[...reasons].join("; ")})`,
              ),
            ],
    };
  }
  const one = (fields: readonly Field[]): Fields => ({ name: null, fields, corners: [], notices: [] });
  const images = parseWellGroup(root, ome);
  if (images !== null) {
    const well = normalizeWell(basename(dirname(root)) + basename(root)) ?? "A01";
    const sites = sitesOf(images);
    return one(images.map((path, i) => ({ well, site: sites[i] as number, path })));
  }
  if (Array.isArray(ome.multiscales)) return one([{ well: "A01", site: 1, path: "" }]);
  if (ome["bioformats2raw.layout"] !== undefined) {
    const series = await seriesOf(root, options.remote?.read);
    const sites = sitesOf(series);
    return one(series.map((path, i) => ({ well: "A01", site: sites[i] as number, path })));
  }
  throw new TilecastError(
    "ERR_PLATE_FORMAT",
    `${root} is a Zarr ${node.kind} without OME metadata: expected a plate, a well or a multiscale image`,
    { path: root },
  );
}

/** Images of a bioformats2raw store: as its OME group lists them, else numbered from 0. */
async function seriesOf(root: string, read: MetadataReader | undefined): Promise<string[]> {
  const group = await readZarrNode(inFolder(root, "OME"), read);
  const listed = group === null ? undefined : omeAttributes(group.attributes).series;
  if (Array.isArray(listed)) return listed.map((path) => insidePath(root, path));
  const series: string[] = [];
  while ((await readZarrNode(inFolder(root, String(series.length)), read)) !== null)
    series.push(String(series.length));
  return series;
}

/** What metadata may claim without being believed: more planes an image, and more files to look at, than any acquisition has. */
const maxPlanes = 1_000_000;
const maxFiles = 4_000_000;

/** Files that an image's planes are in when every chunk is there. */
function fileCount({ array }: NgffImage): number {
  return array.shape.reduce((n, length, axis) => n * Math.ceil(length / (array.chunk[axis] as number)), 1);
}

/** Components of each plane of an image, in C order of its leading axes. */
function componentsOf(image: NgffImage, { well, site }: Field): { place: Components; index: number[] }[] {
  const lengths = image.array.shape.slice(0, -2);
  const names = image.axes.slice(0, -2);
  const odd = names.find((name, i) => !["t", "c", "z"].includes(name) && (lengths[i] as number) > 1);
  if (odd !== undefined) {
    throw new TilecastError("ERR_ZARR_UNSUPPORTED", `an axis "${odd}" of several planes is not read`);
  }
  if (planeCount(image.array) > maxPlanes)
    throw new TilecastError("ERR_ZARR_UNSUPPORTED", `an image of more than ${maxPlanes} planes is not read`);
  const at = (axis: string, index: readonly number[]) => index[names.indexOf(axis)] ?? 0;
  const stack = (lengths[names.indexOf("z")] ?? 1) > 1;
  return Array.from({ length: planeCount(image.array) }, (_, page) => {
    const index: number[] = [];
    let rest = page;
    for (const length of [...lengths].reverse()) {
      index.unshift(rest % length);
      rest = Math.floor(rest / length);
    }
    return {
      index,
      place: {
        well,
        site,
        channel: at("c", index) + 1,
        z_index: stack ? at("z", index) + 1 : null,
        timepoint: at("t", index) + 1,
      },
    };
  });
}

async function planesOf(
  image: NgffImage,
  field: Field,
  look: boolean,
  remote: OmeZarrOptions["remote"],
): Promise<PlaneRef[]> {
  const { array } = image;
  const height = array.shape.at(-2) as number;
  const width = array.shape.at(-1) as number;
  if (height === 0 || width === 0) throw new TilecastError("ERR_ZARR_DAMAGED", "its planes have no pixels");
  const components = componentsOf(image, field);
  const handle = nativeZarrArray(array);
  const metadata = inFolder(array.path, array.format === 3 ? "zarr.json" : ".zarray");
  const changedMs = remote
    ? await remote.mtimeMs(metadata)
    : await stat(metadata).then(
        (info) => info.mtimeMs,
        () => 0,
      );
  // Of files elsewhere a request each would be needed: the metadata's time stands for them.
  const files = look && !remote && fileCount(image) <= maxFiles ? await handle.statPlanes() : null;
  return components.map(({ place, index }, page): PlaneRef => {
    const bytes = files?.[2 * page] ?? 0;
    const mtimeMs = Math.max(files?.[2 * page + 1] ?? 0, changedMs);
    return {
      ...place,
      path: array.path,
      page,
      sample: 0,
      width,
      height,
      dtype: array.dtype,
      compression: array.compression,
      bytes,
      mtimeMs,
      zarr: { array, index },
    };
  });
}

/**
 * Catalogues the OME-Zarr store in the folder `root`: an HCS plate, a well, a multiscale image, or a bioformats2raw store of several.
 * What cannot be read becomes notices and missing planes. Channel and timepoint numbers, and z slices of stacks, count from 1; an image with
 * one slice has planes without a z_index.
 *
 * Throws ERR_PLATE_FORMAT (no OME metadata, no readable image), ERR_METADATA, ERR_ZARR_DAMAGED (the root's own), ERR_IO, ERR_CANCELLED.
 */
export async function openOmeZarr(root: string, options: OmeZarrOptions): Promise<Plate> {
  const { remote } = options;
  const node = await readZarrNode(root, remote?.read);
  if (node === null) {
    throw new TilecastError(
      "ERR_PLATE_FORMAT",
      `${root} is no Zarr store: it holds no zarr.json, .zgroup or .zarray`,
      {
        path: root,
      },
    );
  }
  const listed = await fieldsOf(root, node, options);
  const look = options.headers === "all";

  let model: NgffImage | undefined;
  const failures = new Map<Field, { kind: MissingPlane["kind"]; reason: string }>();
  const open = async (field: Field): Promise<NgffImage | null> => {
    const path = inFolder(root, field.path);
    if (look || model === undefined) return openNgffImage(path, remote?.read);
    // Same arrays at another place.
    const inside = model.array.path.slice(modelRoot.length);
    return { ...model, array: { ...model.array, path: path + inside } };
  };
  let modelRoot = "";
  const read = async (
    field: Field,
  ): Promise<{ field: Field; image: NgffImage; planes: PlaneRef[] } | null> => {
    try {
      const image = await open(field);
      if (image === null) {
        failures.set(field, { kind: "absent", reason: `${named(field)}no image` });
        return null;
      }
      return { field, image, planes: await planesOf(image, field, look, remote) };
    } catch (error) {
      failures.set(field, { kind: "unreadable", reason: named(field) + reasonOf(error) });
      return null;
    }
  };

  let rest = listed.fields;
  const images: { field: Field; image: NgffImage; planes: PlaneRef[] }[] = [];
  while (!look && model === undefined && rest.length > 0) {
    const [field, ...others] = rest as [Field, ...Field[]];
    rest = others;
    const first = await read(field);
    if (first === null) continue;
    images.push(first);
    model = first.image;
    modelRoot = inFolder(root, field.path);
  }
  for (const found of await mapParallel(rest, options.signal, read)) if (found !== null) images.push(found);
  if (images.length === 0) {
    const [why] = failures.values();
    throw new TilecastError(
      "ERR_PLATE_FORMAT",
      `${root} holds no image that can be read${why === undefined ? "" : `: ${why.reason}`}`,
      { path: root },
    );
  }

  const wells = [...new Set(listed.fields.map((f) => f.well))].sort(compareWells);
  const order = planeOrder(wells);
  const planes = images.flatMap((i) => i.planes).sort(order);
  // What a field that cannot be read should have had: what the first that can be read has.
  const typical = images[0]?.planes ?? [];
  const missing = [...failures]
    .flatMap(([{ well, site }, { kind, reason }]) =>
      typical.map(
        ({ channel, z_index, timepoint }): MissingPlane => ({
          well,
          site,
          channel,
          z_index,
          timepoint,
          kind,
          reason,
        }),
      ),
    )
    .sort(order);
  const names = images.find((i) => i.image.channelNames.length > 0)?.image.channelNames ?? [];
  const channels = channelInfos(planes, (channel) => names[channel - 1] ?? null);
  const ascending = (values: Iterable<number>) => [...new Set(values)].sort((a, b) => a - b);
  return {
    format: "ome-zarr",
    pattern: null,
    root,
    name: listed.name ?? basename(root).replace(/(\.ome)?\.zarr$/i, ""),
    wells,
    sites: ascending(listed.fields.map((f) => f.site)),
    channels,
    timepoints: ascending(planes.map((p) => p.timepoint)),
    plateFormat: plateFormatOf([...wells, ...listed.corners]),
    pixelSizeUm: images.find((i) => i.image.pixelSizeUm !== null)?.image.pixelSizeUm ?? null,
    zStepUm: channels.some((c) => c.zSlices.length > 0)
      ? (images.find((i) => i.image.zStepUm !== null)?.image.zStepUm ?? null)
      : null,
    planes,
    missing,
    notices: [
      ...listed.notices,
      ...failureNotices(failures),
      ...unheeded(listed.fields, look),
      ...mixedNotices(channels),
    ],
  };
}

function failureNotices(
  failures: ReadonlyMap<Field, { kind: MissingPlane["kind"]; reason: string }>,
): Notice[] {
  return (["absent", "unreadable"] as const).flatMap((kind) => {
    const reasons = [...failures.values()].filter((f) => f.kind === kind).map((f) => f.reason);
    if (reasons.length === 0) return [];
    return [
      noticeOf(kind === "absent" ? "missing" : "unreadable", reasons, (n) =>
        kind === "absent"
          ? `${plural(n, "field")} that the wells list and that ${n === 1 ? "is" : "are"} not there`
          : `${plural(n, "field")} that cannot be read`,
      ),
    ];
  });
}

function unheeded(fields: readonly Field[], look: boolean): Notice[] {
  if (look || fields.length < 2) return [];
  return [
    noticeOf(
      "ignored",
      fields.slice(1).map((f) => f.path),
      (n) =>
        `the metadata of ${plural(n, "field")}: sizes and dtypes are those of one field (headers: "first")`,
    ),
  ];
}
