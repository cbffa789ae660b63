// SPDX-License-Identifier: MIT
// Puts a plate together from its layout and its headers.

import type { DType } from "../image/dtype.js";
import type { ParsedPlate } from "./format.js";
import { type Header, type ScannedFile, type ScanOptions, scanDescriptions, scanHeaders } from "./headers.js";
import { median } from "./median.js";
import { type MetaSeries, parseMetaSeries } from "./metaseries.js";
import { absentNotices, expectationNotices, findMissing, planeOrder } from "./missing.js";
import { noticeOf, plural } from "./notice.js";
import { settleDuplicates, spreadFiles, unreadableNotices } from "./planes.js";
import type { ChannelInfo, Notice, PlaneRef, Plate } from "./plate.js";
import { compareWells, plateFormatOf } from "./well.js";

const ascending = (values: Iterable<number>): number[] => [...new Set(values)].sort((a, b) => a - b);

/** Values by how often they occur, most often first. */
function byFrequency<T>(values: readonly T[], key: (value: T) => string): { value: T; count: number }[] {
  const counts = new Map<string, { value: T; count: number }>();
  for (const value of values) {
    const entry = counts.get(key(value));
    if (entry === undefined) counts.set(key(value), { value, count: 1 });
    else entry.count++;
  }
  return [...counts.values()].sort((a, b) => b.count - a.count);
}

export function channelInfos(
  planes: readonly PlaneRef[],
  nameOf: (channel: number) => string | null,
): ChannelInfo[] {
  const groups = new Map<number, PlaneRef[]>();
  for (const plane of planes) {
    const group = groups.get(plane.channel);
    if (group === undefined) groups.set(plane.channel, [plane]);
    else group.push(plane);
  }
  return ascending(groups.keys()).map((channel) => {
    const group = groups.get(channel) as PlaneRef[];
    const slices = group.map((p) => p.z_index).filter((z) => z !== null);
    return {
      channel,
      name: nameOf(channel),
      zSlices: ascending(slices),
      storedPlanes: group.length - slices.length,
      planes: group.length,
      sizes: byFrequency(group, (p) => `${p.width}x${p.height}`).map(({ value, count }) => ({
        width: value.width,
        height: value.height,
        planes: count,
      })),
      dtypes: byFrequency(group, (p) => p.dtype).map(({ value }): DType => value.dtype),
      compressions: byFrequency(group, (p) => p.compression).map(({ value }) => value.compression),
    };
  });
}

export function mixedNotices(channels: readonly ChannelInfo[]): Notice[] {
  const notices: Notice[] = [];
  const sizes = (c: ChannelInfo) =>
    c.sizes.map((s) => `${s.width}x${s.height} (${plural(s.planes, "plane")})`);
  for (const c of channels) {
    if (c.sizes.length > 1) {
      notices.push({
        kind: "mixed",
        message: `channel ${c.channel} has planes of ${c.sizes.length} sizes`,
        count: c.planes - (c.sizes[0]?.planes ?? 0),
        examples: sizes(c),
      });
    }
    if (c.dtypes.length > 1) {
      notices.push({
        kind: "mixed",
        message: `channel ${c.channel} has planes of ${c.dtypes.length} dtypes`,
        count: c.dtypes.length,
        examples: c.dtypes,
      });
    }
  }
  // Channels that are uniform in themselves but unlike each other: normal for some microscopes, and good to know.
  const uniform = channels.filter((c) => c.sizes.length === 1 && c.dtypes.length === 1);
  const kinds = byFrequency(uniform, (c) => `${c.sizes[0]?.width}x${c.sizes[0]?.height} ${c.dtypes[0]}`);
  if (kinds.length > 1) {
    notices.push({
      kind: "mixed",
      message: "channels differ in image size or dtype",
      count: uniform.length,
      examples: uniform.map(
        (c) => `channel ${c.channel}: ${c.sizes[0]?.width}x${c.sizes[0]?.height} ${c.dtypes[0]}`,
      ),
    });
  }
  return notices;
}

/** A few files a channel that tell names, pixel size and slice distance: a stored plane, and one field's stack. */
function telling(planes: readonly PlaneRef[]): PlaneRef[] {
  const chosen: PlaneRef[] = [];
  for (const channel of ascending(planes.map((p) => p.channel))) {
    const own = planes.filter((p) => p.channel === channel && p.page === 0);
    const stored = own.find((p) => p.z_index === null);
    if (stored) chosen.push(stored);
    const first = own.find((p) => p.z_index !== null);
    if (first) {
      const stack = own.filter(
        (p) =>
          p.z_index !== null &&
          p.well === first.well &&
          p.site === first.site &&
          p.timepoint === first.timepoint,
      );
      // Ends and middle: enough for a distance, however deep the stack.
      chosen.push(
        ...new Set(
          [stack[0], stack[1], stack[stack.length >> 1], stack.at(-1)].filter((p) => p !== undefined),
        ),
      );
    }
  }
  return chosen;
}

/**
 * Distance of slices. Stage positions carry noise of a few percent, so the microscope's own setting, which it writes into
 * projections, is taken where the positions bear it out (within a fifth).
 */
function zStepOf(told: readonly { plane: PlaneRef; meta: MetaSeries }[]): number | null {
  const steps: number[] = [];
  for (const [i, a] of told.entries()) {
    const b = told[i + 1];
    if (
      b === undefined ||
      a.plane.channel !== b.plane.channel ||
      a.plane.z_index === null ||
      b.plane.z_index === null
    )
      continue;
    if (a.meta.zPositionUm === null || b.meta.zPositionUm === null) continue;
    steps.push(Math.abs(b.meta.zPositionUm - a.meta.zPositionUm) / (b.plane.z_index - a.plane.z_index));
  }
  const measured = median(steps.filter((step) => step > 0));
  const set = median(told.map(({ meta }) => meta.projectionStepUm).filter((step) => step !== null));
  if (measured === null) return told.some(({ plane }) => plane.z_index !== null) ? set : null;
  if (set !== null && Math.abs(measured - set) <= set / 5) return set;
  return Math.round(measured * 1000) / 1000;
}

/**
 * Whether the resolution in a TIFF's header can be a microscope's. Software without a calibration writes the screen's or the
 * printer's (72, 96 or 300 dots per inch: 353, 265 and 85 micrometres); a 1x objective with 4x4 binning stays below 50.
 */
function believable({ pixelSizeXUm: x, pixelSizeYUm: y }: Header): boolean {
  return x > 0 && y > 0 && x < 50 && y < 50;
}

/** Reads headers and assembles the plate. */
export async function buildPlate(
  root: string,
  format: string,
  parsed: ParsedPlate,
  listingNotices: readonly Notice[],
  options: ScanOptions,
): Promise<Plate> {
  const scanned = await scanHeaders(parsed.files, options);
  const { files, notices: duplicates } = settleDuplicates(scanned);
  const { planes, notices: spread, sourceChannel } = await spreadFiles(files);
  const wells = [...new Set(files.map((f) => f.well))].sort(compareWells);
  const lost = parsed.lost ?? [];
  const order = planeOrder([...new Set([...wells, ...lost.map((p) => p.well)])].sort(compareWells));
  planes.sort(order);

  // Layouts with metadata files of their own need no description.
  const chosen = parsed.pixelSizeUm === undefined ? telling(planes) : [];
  const descriptions = await scanDescriptions([...new Set(chosen.map((p) => p.path))], options);
  const told: { plane: PlaneRef; meta: MetaSeries }[] = [];
  for (const plane of chosen) {
    const meta = parseMetaSeries(descriptions.get(plane.path) ?? "");
    if (meta !== null) told.push({ plane, meta });
  }
  const sampleNames = ["red", "green", "blue", "alpha"];
  const nameOf = (channel: number): string | null => {
    const source = sourceChannel.get(channel);
    const meta = told.find((t) => t.plane.channel === channel)?.meta;
    const name = parsed.channelNames.get(source ?? channel) ?? meta?.imageName ?? meta?.illumination ?? null;
    if (source === undefined) return name;
    const sample = planes.find((p) => p.channel === channel)?.sample ?? 0;
    // Two samples are grey and alpha, more than four are spectral: only three and four are colours.
    const siblings = [...sourceChannel.values()].filter((c) => c === source).length;
    const colour = siblings === 3 || siblings === 4 ? sampleNames[sample] : `sample ${sample + 1}`;
    return name === null ? (colour ?? null) : `${name} ${colour}`;
  };

  const channels = channelInfos(planes, nameOf);
  const sites = ascending(files.map((f) => f.site));
  const timepoints = ascending(files.map((f) => f.timepoint));
  const missing = findMissing(planes, files, wells, sourceChannel, lost, parsed.listsEveryPlane).sort(order);
  const header = scanned.find((f) => f.header !== null && believable(f.header))?.header;
  const promised =
    parsed.expected === null
      ? []
      : expectationNotices(
          parsed.expected,
          {
            wells,
            sites,
            timepoints,
            channels: new Set(files.map((f) => f.channel)),
            deepestStack: Math.max(0, ...channels.map((c) => c.zSlices.length)),
          },
          parsed.channelNames,
        );
  return {
    format,
    pattern: parsed.pattern,
    root,
    name: parsed.name,
    wells,
    sites,
    channels,
    timepoints,
    plateFormat: parsed.plateFormat ?? plateFormatOf(wells),
    pixelSizeUm:
      parsed.pixelSizeUm ??
      told.find((t) => t.meta.pixelSizeUm !== null)?.meta.pixelSizeUm ??
      (header ? { x: header.pixelSizeXUm, y: header.pixelSizeYUm } : null),
    zStepUm: parsed.zStepUm ?? zStepOf(told),
    ...(parsed.siteGrid ? { siteGrid: parsed.siteGrid } : {}),
    ...(parsed.sitePositions?.length ? { sitePositions: parsed.sitePositions } : {}),
    planes,
    missing,
    notices: [
      ...listingNotices,
      ...parsed.notices,
      ...spread,
      ...unheededHeaders(scanned, options),
      ...duplicates,
      ...unreadableNotices(files),
      ...absentNotices(missing, channels, timepoints.length > 1),
      ...promised,
      ...mixedNotices(channels),
    ],
  };
}

function unheededHeaders(scanned: readonly ScannedFile[], options: ScanOptions): Notice[] {
  if (options.mode === "all") return [];
  const read = new Set(scanned.map((f) => f.channel)).size;
  const unread = scanned.map((f) => f.file.relative).slice(read);
  if (unread.length === 0) return [];
  return [
    noticeOf(
      "ignored",
      unread,
      (n) =>
        `the headers of ${plural(n, "file")}: sizes and dtypes are those of one file a channel (headers: "first")`,
    ),
  ];
}
