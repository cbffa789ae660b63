// SPDX-License-Identifier: MIT
// Reads the headers of a plate's files: all of them, or one a channel on slow file systems.

import { availableParallelism } from "node:os";
import { type NativeFailure, type NativeImageInfo, native } from "../native.js";
import { throwIfCancelled } from "./cancel.js";
import type { ParsedFile } from "./format.js";

/** Reads headers of many files; the native one does so on `threads` threads. Results are in the order of `paths`. */
export type HeaderScanner = (
  paths: readonly string[],
  options: { readonly pages: boolean; readonly description: boolean; readonly threads: number },
) => Promise<readonly (NativeImageInfo | NativeFailure)[]>;

export const nativeScanner: HeaderScanner = (paths, options) => native().scanImages(paths, options);

/** Files a call: the addon is entered rarely, and a cancelled scan stops soon. */
const batch = 1024;

export type Header = Omit<NativeImageInfo, "description">;

export interface ScannedFile extends ParsedFile {
  /** `null` when unreadable; then `reason` says why. */
  readonly header: Header | null;
  readonly reason: string;
}

export interface ScanOptions {
  readonly scanner: HeaderScanner;
  readonly mode: "all" | "first";
  readonly signal: AbortSignal | undefined;
  /** Size and time of a file whose header is not read. */
  readonly stat: (path: string) => Promise<{ readonly size: number; readonly mtimeMs: number }>;
  /** Results of files that were scanned already, by path. */
  readonly known?: ReadonlyMap<string, NativeImageInfo | NativeFailure>;
}

/** Why a file is unreadable, without its path: notices and missing planes name the file themselves. */
function reasonOf({ error: { code, message, path } }: NativeFailure): string {
  const text = message.startsWith(path) ? message.slice(path.length).replace(/^[,:]\s*/, "") : message;
  return `${code}: ${text}`;
}

/** Scans with the descriptions, which are not kept for the header pass. */
export async function scanWithDescriptions(
  paths: readonly string[],
  options: ScanOptions,
): Promise<(NativeImageInfo | NativeFailure)[]> {
  return scan(paths, options, true);
}

async function scan(
  paths: readonly string[],
  options: ScanOptions,
  description: boolean,
): Promise<(NativeImageInfo | NativeFailure)[]> {
  const results: (NativeImageInfo | NativeFailure)[] = [];
  for (let i = 0; i < paths.length; i += batch) {
    throwIfCancelled(options.signal, "opening the plate");
    const part = await options.scanner(paths.slice(i, i + batch), {
      pages: true,
      description,
      threads: availableParallelism(),
    });
    for (const result of part) results.push(result);
  }
  throwIfCancelled(options.signal, "opening the plate");
  return results;
}

/** Header of every file; in mode `first` the header of a channel's first readable file, with each file's own size and time. */
export async function scanHeaders(
  files: readonly ParsedFile[],
  options: ScanOptions,
): Promise<ScannedFile[]> {
  if (options.mode === "first") return scanFirst(files, options);
  // Entries may share a file: each is scanned once.
  const { known } = options;
  const paths = [...new Set(files.map((f) => f.file.path))].filter((path) => !known?.has(path));
  const results = await scan(paths, options, false);
  const byPath = new Map(paths.map((path, i) => [path, results[i] as NativeImageInfo | NativeFailure]));
  return files.map((file) => {
    const result = (known?.get(file.file.path) ?? byPath.get(file.file.path)) as
      | NativeImageInfo
      | NativeFailure;
    return "error" in result
      ? { ...file, header: null, reason: reasonOf(result) }
      : withPage({ ...file, header: result, reason: "" });
  });
}

/** A page that the metadata names and the file does not have is as unreadable as a damaged file. */
function withPage(file: ScannedFile): ScannedFile {
  const { place, header } = file;
  if (place === undefined || header === null) return file;
  if (header.pages >= 0 && place.page >= header.pages) {
    return {
      ...file,
      header: null,
      reason: `ERR_METADATA: the metadata says page ${place.page} (from 0); the file has ${header.pages}`,
    };
  }
  if (place.sample >= header.samples) {
    return {
      ...file,
      header: null,
      reason: `ERR_METADATA: the metadata says sample ${place.sample} (from 0); a pixel has ${header.samples}`,
    };
  }
  return place.size === undefined ? file : { ...file, header: { ...header, ...place.size } };
}

/** A channel whose first files are all damaged is not worth searching to its end. */
const maxTries = 8;

async function scanFirst(files: readonly ParsedFile[], options: ScanOptions): Promise<ScannedFile[]> {
  const channels = new Map<number, ParsedFile[]>();
  for (const file of files) {
    const list = channels.get(file.channel);
    if (list === undefined) channels.set(file.channel, [file]);
    else list.push(file);
  }
  const headers = new Map<number, Header>();
  const failures = new Map<ParsedFile, string>();
  for (const [channel, list] of channels) {
    for (const file of list.slice(0, maxTries)) {
      const result =
        options.known?.get(file.file.path) ??
        ((await scan([file.file.path], options, false))[0] as NativeImageInfo | NativeFailure);
      if (!("error" in result)) {
        headers.set(channel, result);
        break;
      }
      failures.set(file, reasonOf(result));
    }
  }
  const scanned: ScannedFile[] = [];
  for (let i = 0; i < files.length; i += 64) {
    throwIfCancelled(options.signal, "opening the plate");
    const part = await Promise.all(
      files.slice(i, i + 64).map(async (file): Promise<ScannedFile> => {
        const header = headers.get(file.channel);
        const reason =
          failures.get(file) ?? (header ? "" : `no header of channel ${file.channel} could be read`);
        if (reason !== "" || header === undefined) return { ...file, header: null, reason };
        try {
          const { size, mtimeMs } = await options.stat(file.file.path);
          // Pages of other files are not known; those that the metadata names are believed.
          return withPage({
            ...file,
            header: { ...header, ...(file.place ? { pages: -1 } : {}), bytes: size, mtimeMs },
            reason: "",
          });
        } catch (error) {
          return { ...file, header: null, reason: `ERR_IO: ${(error as Error).message}` };
        }
      }),
    );
    scanned.push(...part);
  }
  return scanned;
}

/** ImageDescription of a few files, by path; unreadable ones are absent. */
export async function scanDescriptions(
  paths: readonly string[],
  options: ScanOptions,
): Promise<Map<string, string>> {
  const results = await scan(paths, options, true);
  const descriptions = new Map<string, string>();
  for (const [i, result] of results.entries()) {
    if (!("error" in result)) descriptions.set(paths[i] as string, result.description);
  }
  return descriptions;
}
