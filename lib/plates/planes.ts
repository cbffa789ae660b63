// SPDX-License-Identifier: MIT
// Turns scanned files into planes: settles duplicates, and spreads pages over z and samples over channels.

import type { Header, ScannedFile } from "./headers.js";
import { noticeOf, plural } from "./notice.js";
import { pagesAreUniform } from "./page-sizes.js";
import type { Components, Notice, PlaneRef } from "./plate.js";

export interface Spread {
  readonly planes: PlaneRef[];
  readonly notices: Notice[];
  /** The channel in the file name that a channel was made from, where it differs or has siblings. */
  readonly sourceChannel: ReadonlyMap<number, number>;
}

const fieldKey = (c: Components) => `${c.timepoint}/${c.well}/${c.site}/${c.channel}`;
export const planeKey = (c: Components) => `${fieldKey(c)}/${c.z_index ?? ""}`;

/** Keeps the newest readable file of each component combination. */
export function settleDuplicates(files: readonly ScannedFile[]): { files: ScannedFile[]; notices: Notice[] } {
  const groups = new Map<string, ScannedFile[]>();
  for (const file of files) {
    const key = planeKey(file);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [file]);
    else group.push(file);
  }
  const kept: ScannedFile[] = [];
  const dropped: string[] = [];
  for (const group of groups.values()) {
    // Equal times are settled by path, so that every run uses the same file.
    const newest = group.reduce((a, b) => ((b.header?.mtimeMs ?? -1) >= (a.header?.mtimeMs ?? -1) ? b : a));
    kept.push(newest);
    for (const file of group)
      if (file !== newest) dropped.push(`${file.file.relative} (used: ${newest.file.relative})`);
  }
  if (dropped.length === 0) return { files: kept, notices: [] };
  return {
    files: kept,
    notices: [
      noticeOf(
        "duplicate",
        dropped,
        (n) =>
          `${plural(n, "file")} for a plane that has a newer file (by modification time); the newest is used`,
      ),
    ],
  };
}

/**
 * Numbers the samples of RGB files. When every file of a plate's only channel c has n samples, they are channels c to c+n-1.
 * Else sample s (from 1) of channel c is channel 10c+s, or 100c+s and so on where that is taken, and a notice says so.
 */
function sampleChannels(files: readonly ScannedFile[]): {
  number: (c: number, sample: number) => number;
  notices: Notice[];
} {
  const samples = new Map<number, Set<number>>();
  const names: string[] = [];
  for (const { channel, header, file, place } of files) {
    if (header === null || place !== undefined) continue;
    const set = samples.get(channel) ?? new Set();
    samples.set(channel, set.add(header.samples));
    if (header.samples > 1) names.push(file.relative);
  }
  const coloured = [...samples].filter(([, set]) => Math.max(...set) > 1).map(([channel]) => channel);
  if (coloured.length === 0) return { number: (channel) => channel, notices: [] };
  if (samples.size === 1 && [...samples.values()][0]?.size === 1) {
    return { number: (channel, sample) => channel + sample, notices: [] };
  }
  let factor = 10;
  const most = Math.max(...[...samples.values()].flatMap((set) => [...set]));
  const clash = () =>
    most >= factor ||
    coloured.some((channel) =>
      [...samples.keys()].some((c) => c > factor * channel && c <= factor * channel + most),
    );
  while (clash()) factor *= 10;
  const rule = coloured
    .map(
      (channel) =>
        `channel ${channel} becomes ${factor * channel + 1} to ${factor * channel + Math.max(...(samples.get(channel) as Set<number>))}`,
    )
    .join(", ");
  return {
    number: (channel, sample) => factor * channel + 1 + sample,
    notices: [
      noticeOf("mixed", names, (n) => `${plural(n, "file")} with several samples a pixel (RGB): ${rule}`),
    ],
  };
}

function planeOf(
  file: ScannedFile,
  header: Header,
  channel: number,
  page: number,
  sample: number,
  z_index: number | null,
): PlaneRef {
  return {
    well: file.well,
    site: file.site,
    channel,
    z_index,
    timepoint: file.timepoint,
    path: file.file.path,
    page,
    sample,
    width: header.width,
    height: header.height,
    dtype: header.dtype,
    compression: header.compression,
    bytes: header.bytes,
    mtimeMs: header.mtimeMs,
  };
}

/** Planes of the readable files; `files` must be free of duplicates. */
export async function spreadFiles(files: readonly ScannedFile[]): Promise<Spread> {
  const { number: channelOf, notices } = sampleChannels(files);
  const inStack = new Set<string>();
  for (const file of files) if (file.z_index !== null) inStack.add(fieldKey(file));

  const planes: PlaneRef[] = [];
  const sourceChannel = new Map<number, number>();
  const extraPages: string[] = [];
  for (const file of files) {
    const { header } = file;
    if (header === null) continue;
    const { place } = file;
    if (place !== undefined) {
      planes.push(planeOf(file, header, file.channel, place.page, place.sample, file.z_index));
      continue;
    }
    let pages = 1;
    if (header.pages > 1) {
      // A projection, a slice, and a plane beside a stack are one plane: their further pages are previews.
      const stack = file.z_index === null && !file.projection && !inStack.has(fieldKey(file));
      if (stack && (await pagesAreUniform(file.file.path))) pages = header.pages;
      else extraPages.push(`${file.file.relative} (${header.pages} pages)`);
    }
    for (let page = 0; page < pages; page++) {
      for (let sample = 0; sample < header.samples; sample++) {
        const channel = header.samples === 1 ? file.channel : channelOf(file.channel, sample);
        if (header.samples > 1) sourceChannel.set(channel, file.channel);
        planes.push(planeOf(file, header, channel, page, sample, pages > 1 ? page + 1 : file.z_index));
      }
    }
  }
  if (extraPages.length > 0) {
    notices.push(
      noticeOf(
        "ignored",
        extraPages,
        (n) =>
          `further pages of ${plural(n, "file")}: only the first page is a plane, because pages differ in size or the file is one plane of a stack`,
      ),
    );
  }
  return { planes, notices, sourceChannel };
}

/** Notices about files that cannot be read, one a reason. */
export function unreadableNotices(files: readonly ScannedFile[]): Notice[] {
  const reasons = new Map<string, string[]>();
  const told = new Set<string>();
  for (const file of files) {
    if (file.header !== null || told.has(`${file.file.relative}: ${file.reason}`)) continue;
    told.add(`${file.file.relative}: ${file.reason}`);
    // Offsets differ from file to file; the message without them is what files have in common.
    const reason = file.reason.replace(/\b\d+\b/g, "#");
    const group = reasons.get(reason);
    const example = `${file.file.relative}: ${file.reason}`;
    if (group === undefined) reasons.set(reason, [example]);
    else group.push(example);
  }
  return [...reasons.values()].map((examples) => {
    const reason =
      examples.length === 1 ? (examples[0] as string).slice((examples[0] as string).indexOf(": ") + 2) : "";
    return noticeOf("unreadable", examples, (n) =>
      n === 1 ? `1 file cannot be read: ${reason}` : `${n} files cannot be read; the first: ${examples[0]}`,
    );
  });
}
