// SPDX-License-Identifier: MIT
// Lists a plate's folder once; every microscope layout is then recognised and read from that list alone.

import { lstat, readdir, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import { throwIfCancelled } from "./cancel.js";
import { noticeOf } from "./notice.js";
import type { Notice } from "./plate.js";

export interface ListedFile {
  /** Path relative to the plate, always with `/`. */
  readonly relative: string;
  /** Absolute path. */
  readonly path: string;
  readonly name: string;
  /** Folders between the plate and the file. */
  readonly folders: readonly string[];
}

export interface Listing {
  /** Absolute path of the plate. */
  readonly root: string;
  /** Sorted by relative path (code units). Hidden files are left out. */
  readonly files: readonly ListedFile[];
  /** Files with a TIFF extension in either case, in the same order. */
  readonly images: readonly ListedFile[];
  readonly notices: readonly Notice[];
}

export interface ListOptions {
  readonly signal?: AbortSignal | undefined;
  /** Folders below the plate that are entered; deeper ones become a notice. Microscopes nest three or four. */
  readonly maxDepth?: number;
}

/** Folders read at a time: enough to hide the latency of a file server, few enough to leave it usable. */
const parallelFolders = 16;

export const imageName = /\.tiff?$/i;

interface Folder {
  readonly path: string;
  readonly real: string;
  readonly folders: readonly string[];
}

/** A list made by hand, for tests and for folders that are not on a disk. */
export function listingOf(
  root: string,
  relatives: readonly string[],
  notices: readonly Notice[] = [],
): Listing {
  const files = [...relatives].sort().map((relative) => {
    const parts = relative.split("/");
    const name = parts.pop() as string;
    return { relative, path: join(root, ...parts, name), name, folders: parts };
  });
  return { root, files, images: files.filter((f) => imageName.test(f.name)), notices };
}

/**
 * Walks `root` (absolute). Symbolic links are followed, but no folder is entered twice, so that loops end. Hidden files
 * and folders, and the inside of `.zarr` folders (millions of chunks, no plate), are left out. What cannot be entered
 * becomes a notice.
 */
export async function listFolder(root: string, options: ListOptions = {}): Promise<Listing> {
  const { signal, maxDepth = 8 } = options;
  const relatives: string[] = [];
  const hidden: string[] = [];
  const zarr: string[] = [];
  const deep: string[] = [];
  const loops: string[] = [];
  const garbled: string[] = [];
  const refused: { relative: string; reason: string }[] = [];

  const entered = new Set<string>();
  const rootReal = await realpath(root);
  let level: Folder[] = [{ path: root, real: rootReal, folders: [] }];
  entered.add(rootReal);

  const readFolder = async (folder: Folder): Promise<Folder[]> => {
    const prefix = folder.folders.length === 0 ? "" : `${folder.folders.join("/")}/`;
    let entries: Awaited<ReturnType<typeof readEntries>>;
    try {
      entries = await readEntries(folder.path);
    } catch (error) {
      // The plate itself must be readable; below it, one closed folder must not hide the rest.
      if (folder.folders.length === 0) throw error;
      refused.push({ relative: prefix, reason: (error as NodeJS.ErrnoException).code ?? String(error) });
      return [];
    }
    const below: Folder[] = [];
    for (const entry of entries) {
      const relative = prefix + entry.name;
      if (entry.name.startsWith(".")) {
        hidden.push(relative);
        continue;
      }
      const path = join(folder.path, entry.name);
      // Undecodable bytes came as U+FFFD, and nothing can be opened by that.
      if (entry.name.includes("\uFFFD") && !(await isThere(path))) {
        garbled.push(relative);
        continue;
      }
      let isFolder = entry.isDirectory();
      let real = `${folder.real === sep ? "" : folder.real}${sep}${entry.name}`;
      if (entry.isSymbolicLink()) {
        // A dangling link stays a file: the header scan then says what is wrong with it.
        isFolder = await stat(path).then(
          (s) => s.isDirectory(),
          () => false,
        );
        if (isFolder) real = await realpath(path);
      }
      if (!isFolder) {
        if (entry.isFile() || entry.isSymbolicLink()) relatives.push(relative);
      } else if (/\.zarr$/i.test(entry.name)) {
        zarr.push(relative);
      } else if (folder.folders.length >= maxDepth) {
        deep.push(relative);
      } else if (entered.has(real)) {
        loops.push(relative);
      } else {
        entered.add(real);
        below.push({ path, real, folders: [...folder.folders, entry.name] });
      }
    }
    return below;
  };

  while (level.length > 0) {
    const next: Folder[] = [];
    for (let i = 0; i < level.length; i += parallelFolders) {
      throwIfCancelled(signal, "opening the plate");
      const found = await Promise.all(level.slice(i, i + parallelFolders).map(readFolder));
      next.push(...found.flat());
    }
    level = next;
  }

  const notices: Notice[] = [];
  if (refused.length > 0) {
    const reasons = [...new Set(refused.map((r) => r.reason))].sort().join(", ");
    const folders = refused.map((r) => r.relative).sort();
    notices.push(
      noticeOf("unreadable", folders, (n) => `${n} folder${n === 1 ? "" : "s"} cannot be read (${reasons})`),
    );
  }
  if (garbled.length > 0)
    notices.push(
      noticeOf(
        "unreadable",
        garbled.sort(),
        (n) =>
          `${n} ${n === 1 ? "entry whose name is" : "entries whose names are"} not valid UTF-8; rename ${n === 1 ? "it" : "them"}`,
      ),
    );
  const leftOut: [string[], (n: number) => string][] = [
    [hidden, (n) => `${n} hidden ${n === 1 ? "entry" : "entries"} (name starts with a dot)`],
    [zarr, (n) => `${n} Zarr folder${n === 1 ? "" : "s"}: not part of a TIFF plate`],
    [deep, (n) => `${n} folder${n === 1 ? "" : "s"} nested deeper than ${maxDepth} levels`],
    [loops, (n) => `${n} link${n === 1 ? "" : "s"} to a folder that is read already`],
  ];
  for (const [names, say] of leftOut)
    if (names.length > 0) notices.push(noticeOf("ignored", names.sort(), say));
  return listingOf(root, relatives, notices);
}

function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

function readEntries(path: string) {
  return readdir(path, { withFileTypes: true });
}

/** Text of a metadata file: UTF-8, UTF-16 with a byte-order mark, else Windows-1252, which the microscopes' software writes. */
export function decodeText(bytes: Uint8Array): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}
