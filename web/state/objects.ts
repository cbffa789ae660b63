// SPDX-License-Identifier: MIT
// Which wells and objects are chosen: one choice, which the plate, the image and the table show and change.

import { computed, signal } from "@preact/signals";

/** An object of the measurements; the names are those of their columns. */
export interface ObjectKey {
  readonly well: string;
  readonly site: number;
  readonly channel: number;
  readonly timepoint: number;
  readonly label: number;
}

export const selectedWells = signal<ReadonlySet<string>>(new Set());
/** Objects chosen by a brush in a chart. */
export const selectedObjects = signal<readonly ObjectKey[]>([]);
/** The object under the last click, in the image or in the table. */
export const picked = signal<ObjectKey | undefined>(undefined);

/** Labels of the chosen objects by place, `A01/1/1/1`: well, site, channel, timepoint. */
export const selectedByPlace = computed(() => {
  const places = new Map<string, Set<number>>();
  for (const object of selectedObjects.value) {
    const place = placeOf(object);
    const labels = places.get(place);
    if (labels) labels.add(object.label);
    else places.set(place, new Set([object.label]));
  }
  return places;
});

export function placeOf({ well, site, channel, timepoint }: Omit<ObjectKey, "label">): string {
  return `${well}/${site}/${channel}/${timepoint}`;
}

export function sameObject(a: ObjectKey | undefined, b: ObjectKey | undefined): boolean {
  return a !== undefined && b !== undefined && a.label === b.label && placeOf(a) === placeOf(b);
}
