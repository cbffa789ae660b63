// SPDX-License-Identifier: MIT
// How channels and labels look: kept while fields change, so that what is seen can be compared.

import { computed, signal } from "@preact/signals";
import { type MapName, rgbOf } from "../color-maps.js";
import * as address from "../state/address.js";
import { source } from "../state/model.js";
import type { SourceDescription } from "../state/types.js";
import type { Field } from "./field.js";
import { type Histogram, histogramOf } from "./histogram.js";
import type { ChannelColor } from "./lut-extension.js";
import type { ChannelLook } from "./viewer.js";

type Limits = readonly [number, number];

/** Chosen by the user, by source and channel. */
const chosenLimits = signal<Readonly<Record<string, Limits>>>({});
/** From the metadata, or from the first field that was seen. */
const defaultLimits = signal<Readonly<Record<string, Limits>>>({});
const chosenColors = signal<Readonly<Record<string, string>>>({});
const chosenMaps = signal<Readonly<Record<string, MapName>>>({});

/** Of the field that is shown; one a channel. */
export const histograms = signal<readonly (Histogram | undefined)[]>([]);

export const labelFilled = signal(false);
export const labelOpacity = signal(0.9);
/** Channel whose objects are drawn, where each has its own; undefined: the first that has any. */
export const labelChannel = signal<number | undefined>(undefined);

const keyOf = (s: SourceDescription, channel: number) => `${s.id}/${channel}`;

export function limitsOf(s: SourceDescription, channel: number): Limits {
  const key = keyOf(s, channel);
  return chosenLimits.value[key] ?? defaultLimits.value[key] ?? [0, 255];
}

export function setLimits(s: SourceDescription, channel: number, limits: Limits): void {
  chosenLimits.value = { ...chosenLimits.value, [keyOf(s, channel)]: limits };
}

/** `#rrggbb` */
export function colorOf(s: SourceDescription, channel: number): string {
  return chosenColors.value[keyOf(s, channel)] ?? `#${s.channels[channel]?.color ?? "ffffff"}`;
}

export function setColor(s: SourceDescription, channel: number, color: string): void {
  chosenColors.value = { ...chosenColors.value, [keyOf(s, channel)]: color };
}

/** Undefined: one colour. */
export function mapOf(s: SourceDescription, channel: number): MapName | undefined {
  return chosenMaps.value[keyOf(s, channel)];
}

export function setMap(s: SourceDescription, channel: number, map: MapName | undefined): void {
  const { [keyOf(s, channel)]: _, ...others } = chosenMaps.value;
  chosenMaps.value = map === undefined ? others : { ...others, [keyOf(s, channel)]: map };
}

function colorOfChannel(s: SourceDescription, c: number): ChannelColor {
  const map = mapOf(s, c);
  return map === undefined ? { color: rgbOf(colorOf(s, c)) } : { map };
}

export function looks(s: SourceDescription, count: number): ChannelLook[] {
  return Array.from({ length: count }, (_, c) => ({
    visible: !address.hidden.value.includes(c),
    color: colorOfChannel(s, c),
    limits: limitsOf(s, c),
  }));
}

/** Counts the smallest level of each channel, and takes display ranges from it where nothing else says what they are. */
export async function examine(
  s: SourceDescription,
  field: Field,
  plane: { t: number; z: number },
): Promise<readonly (Histogram | undefined)[]> {
  const level = field.levels.length - 1;
  const [height, width] = field.size(level);
  const found = await Promise.all(
    Array.from({ length: field.channels }, async (_, c) =>
      histogramOf((await field.read(level, { ...plane, c }, [0, height], [0, width])).data),
    ),
  );
  const defaults = { ...defaultLimits.value };
  for (const [c, histogram] of found.entries()) {
    const window = field.windows[c];
    const key = keyOf(s, c);
    if (window) defaults[key] = [window.start, window.end];
    else if (histogram && defaults[key] === undefined) defaults[key] = histogram.auto;
  }
  defaultLimits.value = defaults;
  return found;
}

/** Name of the label image to draw, or undefined. */
export const labelName = computed<string | undefined>(() => {
  const names = source.value?.labels ?? [];
  const asked = address.label.value;
  return asked === "-" ? undefined : names.includes(asked) ? asked : names[0];
});
