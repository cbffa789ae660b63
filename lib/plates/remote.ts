// SPDX-License-Identifier: MIT
// Plates behind a URL: OME-Zarr by its metadata, TIFF files where something lists them.

import { isTilecastError, TilecastError } from "../errors.js";
import { invalidArgument } from "../image/shape.js";
import type { NativeFailure, NativeImageInfo } from "../native.js";
import { HttpStore, type HttpStoreOptions } from "../stores/http.js";
import { inFolder, type MetadataReader, readZarrNode } from "../stores/zarr-array.js";
import { wholePlane } from "../stores/zarr-chunks.js";
import { fetchZarrPlane } from "../stores/zarr-fetch.js";
import type { PlateFormat } from "./format.js";
import type { FormatOption } from "./formats.js";
import type { HeaderScanner } from "./headers.js";
import { decodeText, type Listing } from "./listing.js";
import { omeTiff } from "./ome-tiff.js";
import { isOmeXml } from "./ome-xml.js";
import { openOmeZarr } from "./ome-zarr.js";
import { namesPlate, openFiles } from "./open-files.js";
import { rememberFetcher } from "./plane-fetcher.js";
import type { PlaneRef, Plate } from "./plate.js";

export interface RemoteOptions {
  /** Of a URL: how its server is asked. */
  readonly http?: Omit<HttpStoreOptions, "keys">;
  /** Of a URL: the plate's files, relative to it, where it is a folder of TIFF files. Default: what the folder's `tilecast-files.txt` lists. */
  readonly files?: readonly string[];
}

interface OpenRemoteOptions extends RemoteOptions {
  readonly format?: FormatOption;
  readonly headers?: "all" | "first";
  readonly signal?: AbortSignal | undefined;
}

/** Lists the files of a folder, which HTTP cannot: a relative path a line. */
export const manifestName = "tilecast-files.txt";

/** Headers asked for at a time; the store bounds the requests. */
const parallel = 32;

export const isUrl = (path: string): boolean => /^https?:\/\//i.test(path);

/** The folder's URL, with user and query, and the file in it that was named. */
function partsOf(text: string): { base: URL; file: string | null } {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    // Not shown: it may hold a password.
    throw invalidArgument("path", "a URL of http or https", "what cannot be parsed");
  }
  const at = url.pathname.lastIndexOf("/");
  let name: string;
  try {
    name = decodeURIComponent(url.pathname.slice(at + 1));
  } catch {
    throw invalidArgument("path", "a URL whose path is percent-encoded UTF-8", "what is not");
  }
  if (!/\.tiff?$/i.test(name) && !namesPlate.test(name)) return { base: url, file: null };
  url.pathname = url.pathname.slice(0, at + 1);
  return { base: url, file: name };
}

async function orNull<T>(read: Promise<T>): Promise<T | null> {
  try {
    return await read;
  } catch (error) {
    if (isTilecastError(error, "ERR_KEY_NOT_FOUND")) return null;
    throw error;
  }
}

/**
 * As `openPlate`, of a URL: an OME-Zarr store of every kind; a TIFF file, with the files of its set that its OME-XML names; a `.companion.ome` file with
 * those that it names; a folder of any layout whose files are listed (`files`, or a file `tilecast-files.txt` in it).
 *
 * Planes have no size and time of their own in OME-Zarr: `--resume` sees only that metadata changed.
 */
export async function openRemotePlate(
  text: string,
  chosen: PlateFormat | undefined,
  options: OpenRemoteOptions,
): Promise<Plate> {
  const { headers = "all", signal, format = "auto" } = options;
  const { base, file } = partsOf(text);
  const store = new HttpStore(base, options.http ?? {});
  const root = store.location.replace(/\/+$/, "");
  const keyOf = (path: string) => path.slice(root.length + 1);
  if (file === null && options.files === undefined && (format === "ome-zarr" || chosen === undefined)) {
    const read: MetadataReader = (path) => orNull(store.read(keyOf(path), { signal }));
    if (format === "ome-zarr" || (await readZarrNode(root, read)) !== null) {
      const mtimeMs = async (path: string) => (await orNull(store.stat(keyOf(path), signal)))?.mtimeMs ?? 0;
      const plate = await openOmeZarr(root, { headers, signal, remote: { read, mtimeMs } });
      return remembered(plate, ({ zarr }, stop) => {
        const { array, index } = zarr as NonNullable<PlaneRef["zarr"]>;
        return fetchZarrPlane(store, array, index, wholePlane(array), stop, keyOf(array.path));
      });
    }
  }
  const listing = listingOf(root, await filesOf(store, root, file, options));
  const scanner: HeaderScanner = async (paths, what) => {
    const results: (NativeImageInfo | NativeFailure)[] = [];
    let next = 0;
    const work = async () => {
      for (let i = next++; i < paths.length; i = next++)
        results[i] = await scan(store, keyOf(paths[i] as string), what, signal);
    };
    await Promise.all(Array.from({ length: Math.min(parallel, paths.length) }, work));
    return results;
  };
  const plate = await openFiles(
    listing,
    {
      scanner,
      // Of a file whose header is not read nothing is asked: that would be as many requests as headers.
      stat: async () => ({ size: 0, mtimeMs: 0 }),
      read: (path) => store.read(keyOf(path), { signal }),
    },
    // A single file needs no layout: it says itself what its pages are, or is a plane.
    chosen ?? (file !== null && /\.tiff?$/i.test(file) && options.files === undefined ? omeTiff : undefined),
    { headers, signal },
  );
  return remembered(plate, ({ path, page, sample }, stop) =>
    store.fetchPlane(keyOf(path), page, sample, stop),
  );
}

function remembered(plate: Plate, fetch: Parameters<typeof rememberFetcher>[1]): Plate {
  rememberFetcher(plate.planes, fetch);
  return plate;
}

/** Paths as the store's keys behind the root, so that one gives the other. */
function listingOf(root: string, relatives: readonly string[]): Listing {
  const files = [...relatives].sort().map((relative) => {
    const folders = relative.split("/");
    const name = folders.pop() as string;
    return { relative, path: inFolder(root, relative), name, folders };
  });
  return { root, files, images: files.filter(({ name }) => /\.tiff?$/i.test(name)), notices: [] };
}

async function scan(
  store: HttpStore,
  key: string,
  what: { readonly pages: boolean; readonly description: boolean },
  signal: AbortSignal | undefined,
): Promise<NativeImageInfo | NativeFailure> {
  try {
    return await store.scan(key, what, signal);
  } catch (error) {
    if (!isTilecastError(error) || error.code === "ERR_CANCELLED") throw error;
    const { code, message, page, offset } = error;
    return {
      error: {
        code,
        message,
        path: store.url(key),
        ...(page === undefined ? {} : { page }),
        ...(offset === undefined ? {} : { offset }),
      },
    };
  }
}

async function filesOf(
  store: HttpStore,
  root: string,
  file: string | null,
  { files, signal }: OpenRemoteOptions,
): Promise<string[]> {
  if (files !== undefined) return checked(files, "files", root);
  const manifest = await orNull(store.read(manifestName, { signal }));
  if (manifest !== null) {
    const lines = decodeText(manifest).split(/\r?\n/);
    const listed = lines.filter((line) => line !== "" && !line.startsWith("#"));
    return checked(listed, `${root}/${manifestName}`, root);
  }
  if (file !== null && /\.companion\.ome$/i.test(file)) {
    const xml = decodeText(await store.read(file, { signal }));
    return [file, ...(await setOf(store, file, xml, signal))];
  }
  if (file !== null && /\.tiff?$/i.test(file)) {
    const { description } = await store.scan(file, { pages: false, description: true }, signal);
    return [file, ...(isOmeXml(description) ? await setOf(store, file, description, signal) : [])];
  }
  throw new TilecastError(
    "ERR_PLATE_FORMAT",
    [
      `${inFolder(root, file ?? "")} is no OME-Zarr store, and HTTP lists no folders. Expected one of:`,
      "  an OME-Zarr plate or image",
      "  an OME-TIFF file (its set is found by its metadata), or another TIFF file",
      "  a .companion.ome file",
      `  a folder with a file ${manifestName}, made there with: find . -type f | sed "s|^./||" > ${manifestName}`,
    ].join("\n"),
    { path: root, argument: "path" },
  );
}

/** Throws ERR_METADATA for a path that leads elsewhere. */
function checked(names: readonly string[], where: string, root: string): string[] {
  for (const name of names)
    if (
      typeof name !== "string" ||
      /[\\\0]/.test(name) ||
      name.split("/").some((part) => part === "" || part === "." || part === "..")
    )
      throw new TilecastError(
        "ERR_METADATA",
        `${where}: expected paths relative to ${root}, found ${JSON.stringify(name)}`,
        { path: where },
      );
  return [...new Set(names)].filter((name) => name !== manifestName);
}

/** The other files of a set that are there; a file of one's own that was renamed is not. */
async function setOf(
  store: HttpStore,
  own: string,
  xml: string,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const named = new Set<string>();
  for (const match of xml.matchAll(/\bFileName\s*=\s*"([^"]*)"/g)) named.add(match[1] as string);
  const others = [...named].filter((name) => name !== own && /^[^/\\\0]+\.tiff?$/i.test(name));
  const there = await Promise.all(others.map((name) => store.exists(name, { signal })));
  return others.filter((_, i) => there[i]);
}
