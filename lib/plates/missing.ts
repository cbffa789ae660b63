// SPDX-License-Identifier: MIT
// Works out which planes a plate lacks, from what its other wells have and from what the metadata promises.

import type { Expected, LostPlane } from "./format.js";
import type { ScannedFile } from "./headers.js";
import { describe, noticeOf, plural } from "./notice.js";
import { planeKey } from "./planes.js";
import type { ChannelInfo, Components, MissingPlane, Notice, PlaneRef } from "./plate.js";
import { summarizeWells } from "./select.js";
import { compareWells } from "./well.js";

/** Order of planes: timepoint, well, site, channel, z with stored planes first. `wells` is every well in order. */
export function planeOrder(wells: readonly string[]): (a: Components, b: Components) => number {
  // Ranks instead of names: parsing well names in a comparison would dominate the catalogue of a large plate.
  const ranks = new Map(wells.map((well, i) => [well, i]));
  const rank = (well: string) => ranks.get(well) ?? ranks.size;
  return (a, b) =>
    a.timepoint - b.timepoint ||
    (a.well === b.well ? 0 : rank(a.well) - rank(b.well)) ||
    a.site - b.site ||
    a.channel - b.channel ||
    (a.z_index ?? -1) - (b.z_index ?? -1);
}

/**
 * Planes that should be there. A channel is expected in every well at a place (timepoint, site) where any well has it; a
 * channel that no well has there was not acquired there. Of a channel's slices and its stored plane, those are expected
 * that at least half of its fields at that timepoint have: a single deeper stack does not make all others incomplete.
 * In no particular order.
 *
 * `lost` are planes that metadata lists and no file holds; with `listsEveryPlane` only they and unreadable files are missing.
 */
export function findMissing(
  planes: readonly PlaneRef[],
  files: readonly ScannedFile[],
  wells: readonly string[],
  sourceChannel: ReadonlyMap<number, number>,
  lost: readonly LostPlane[] = [],
  listsEveryPlane = false,
): MissingPlane[] {
  const unreadable = new Map<string, string>();
  const spreadChannels = new Set(sourceChannel.values());
  // An unreadable file still says that its plane was acquired, except where pages or samples would have been spread.
  const known: Components[] = [...planes];
  const paged = new Set(planes.filter((p) => p.page > 0).map((p) => p.channel));
  for (const file of files) {
    if (file.header !== null) continue;
    unreadable.set(planeKey(file), `${file.file.relative}: ${file.reason}`);
    if (!spreadChannels.has(file.channel) && !paged.has(file.channel)) known.push(file);
  }

  const have = new Set<string>();
  /** "timepoint/channel" to the fields that have it, and how many of them have each slot. */
  const series = new Map<string, { fields: Set<string>; slots: Map<number | null, number> }>();
  const places = new Map<string, { timepoint: number; site: number; channel: number }>();
  for (const p of known) {
    const key = planeKey(p);
    if (have.has(key)) continue;
    have.add(key);
    const seriesKey = `${p.timepoint}/${p.channel}`;
    let s = series.get(seriesKey);
    if (s === undefined) {
      s = { fields: new Set(), slots: new Map() };
      series.set(seriesKey, s);
    }
    s.fields.add(`${p.well}/${p.site}`);
    s.slots.set(p.z_index, (s.slots.get(p.z_index) ?? 0) + 1);
    places.set(`${p.timepoint}/${p.site}/${p.channel}`, p);
  }
  for (const file of files) if (file.header === null) have.delete(planeKey(file));

  const missing: MissingPlane[] = [];
  for (const plane of lost) {
    const key = planeKey(plane);
    if (have.has(key) || unreadable.has(key)) continue;
    have.add(key);
    const { well, site, channel, z_index, timepoint, reason } = plane;
    missing.push({ well, site, channel, z_index, timepoint, kind: "absent", reason });
  }
  if (listsEveryPlane) {
    for (const file of files) {
      if (file.header !== null) continue;
      const { well, site, channel, z_index, timepoint } = file;
      const reason = unreadable.get(planeKey(file)) as string;
      missing.push({ well, site, channel, z_index, timepoint, kind: "unreadable", reason });
    }
    return missing;
  }
  for (const { timepoint, site, channel } of places.values()) {
    const { fields, slots } = series.get(`${timepoint}/${channel}`) as {
      fields: Set<string>;
      slots: Map<number | null, number>;
    };
    const usual = [...slots].filter(([, count]) => 2 * count >= fields.size).map(([z]) => z);
    for (const well of wells) {
      for (const z_index of usual) {
        const plane = { well, site, channel, z_index, timepoint };
        if (have.has(planeKey(plane))) continue;
        const source = { ...plane, channel: sourceChannel.get(channel) ?? channel };
        const reason =
          unreadable.get(planeKey(source)) ?? unreadable.get(planeKey({ ...source, z_index: null }));
        missing.push(
          reason === undefined
            ? { ...plane, kind: "absent", reason: noFile }
            : { ...plane, kind: "unreadable", reason },
        );
      }
    }
  }
  return missing;
}

/** Why a plane is missing that no metadata says anything about. */
const noFile = "no file";

/**
 * One notice a channel about absent planes that only other wells lead to expect, and one a reason about those that the
 * metadata lists; unreadable files have notices of their own.
 */
export function absentNotices(
  missing: readonly MissingPlane[],
  channels: readonly ChannelInfo[],
  timeSeries: boolean,
): Notice[] {
  const reasons = new Map<string, MissingPlane[]>();
  for (const plane of missing) {
    if (plane.kind !== "absent" || plane.reason === noFile) continue;
    const group = reasons.get(plane.reason);
    if (group === undefined) reasons.set(plane.reason, [plane]);
    else group.push(plane);
  }
  const told = [...reasons].map(([reason, group]) =>
    noticeOf(
      "missing",
      group.map((plane) => describe(plane, timeSeries)),
      (n) => `${plural(n, "plane")}: ${reason}`,
    ),
  );
  const groups = new Map<number, MissingPlane[]>();
  for (const plane of missing) {
    if (plane.kind !== "absent" || plane.reason !== noFile) continue;
    const group = groups.get(plane.channel);
    if (group === undefined) groups.set(plane.channel, [plane]);
    else group.push(plane);
  }
  const inferred = [...groups]
    .sort(([a], [b]) => a - b)
    .map(([channel, group]) => {
      const name = channels.find((c) => c.channel === channel)?.name;
      const wells = [...new Set(group.map((p) => p.well))].sort(compareWells);
      return noticeOf(
        "missing",
        group.map((plane) => describe(plane, timeSeries)),
        (n) =>
          `${plural(n, "plane")} of channel ${channel}${name ? ` (${name})` : ""} that other wells or fields have: no file in ${shorten(summarizeWells(wells), wells.length)}`,
      );
    });
  return [...told, ...inferred];
}

function shorten(text: string, wells: number): string {
  return text.length <= 60 ? text : `${plural(wells, "well")}`;
}

/** What the metadata promises and no file fulfils. */
export function expectationNotices(
  expected: Expected,
  plate: {
    readonly wells: readonly string[];
    readonly sites: readonly number[];
    readonly timepoints: readonly number[];
    /** Channels in file names, whether readable or not. */
    readonly channels: ReadonlySet<number>;
    readonly deepestStack: number;
  },
  channelNames: ReadonlyMap<number, string>,
): Notice[] {
  const { source } = expected;
  const notices: Notice[] = [];
  const promised = new Set(expected.wells);
  const have = new Set(plate.wells);
  const absent = [...promised].filter((well) => !have.has(well)).sort(compareWells);
  if (absent.length > 0) {
    notices.push(
      noticeOf(
        "missing",
        absent,
        (n) => `${plural(n, "well")} that ${source} selects ${n === 1 ? "has" : "have"} no file`,
      ),
    );
  }
  const surplus = promised.size === 0 ? [] : plate.wells.filter((well) => !promised.has(well));
  if (surplus.length > 0) {
    notices.push(
      noticeOf("mixed", surplus, (n) => `${plural(n, "well")} with files that ${source} does not select`),
    );
  }
  const channels = Array.from({ length: expected.channels ?? 0 }, (_, i) => i + 1).filter(
    (c) => !plate.channels.has(c),
  );
  if (channels.length > 0) {
    notices.push(
      noticeOf(
        "missing",
        channels.map((c) => `channel ${c}${channelNames.has(c) ? ` (${channelNames.get(c)})` : ""}`),
        (n) => `${plural(n, "channel")} that ${source} lists ${n === 1 ? "has" : "have"} no file`,
      ),
    );
  }
  const counts: [number | undefined, number, string][] = [
    [expected.sites, plate.sites.length, "site"],
    [expected.timepoints, plate.timepoints.length, "timepoint"],
    // One slice means no stack; which channels have one the metadata does not say, so only the deepest is compared.
    [(expected.zSlices ?? 1) > 1 ? expected.zSlices : undefined, plate.deepestStack, "z slice"],
  ];
  for (const [promise, found, noun] of counts) {
    if (promise === undefined || found >= promise) continue;
    notices.push({
      kind: "missing",
      message: `${source} says ${plural(promise, noun)}; the files have ${found}`,
      count: promise - found,
      examples: [],
    });
  }
  return notices;
}
