// SPDX-License-Identifier: MIT
// Writes the plate's OME-Zarr metadata: before the pixels, and once more when display ranges are known.

import type { DType } from "../image/dtype.js";
import type { Plate } from "../plates/plate.js";
import type { ChannelDisplay, MultiscaleImage, OmeZarrStore } from "../stores/ome-zarr.js";
import { channelTints } from "./channel-color.js";
import { splitWell } from "./layout.js";
import type { FieldLayout, ImageLayout, Plan } from "./plan.js";
import type { WellState } from "./well-state.js";

/** Display range of a channel over the whole plate. */
export interface Contrast {
  readonly channel: number;
  readonly low: number;
  readonly high: number;
}

function range(dtype: DType): [number, number] {
  const bits = Number(/\d+$/.exec(dtype)?.[0]);
  if (dtype.startsWith("float")) return [0, 1];
  return dtype.startsWith("u") ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
}

export function imageOf(plate: Plate, image: ImageLayout): MultiscaleImage {
  return {
    path: image.path,
    name: image.label ?? image.path,
    axes: image.axes,
    shape: image.shape,
    dtype: image.dtype,
    levels: image.levels,
    pixelSizeUm: plate.pixelSizeUm && {
      x: plate.pixelSizeUm.x * image.pixelRatio.width,
      y: plate.pixelSizeUm.y * image.pixelRatio.height,
    },
    zStepUm: plate.zStepUm,
  };
}

export function channelLabel(plate: Plate, channel: number): string {
  const name = plate.channels.find((c) => c.channel === channel)?.name;
  return name ?? `Channel ${channel}`;
}

/** The group of a field's image, with display windows. */
export function writeImage(
  store: OmeZarrStore,
  plate: Plate,
  field: FieldLayout,
  contrast: readonly Contrast[],
): void {
  for (const image of field.images) {
    if (image.label !== null) continue;
    const [min, max] = range(image.dtype);
    const colors = channelTints(plate.channels.map((c) => channelLabel(plate, c.channel)));
    const channels = plate.channels.map((c, i): ChannelDisplay => {
      const seen = contrast.find((x) => x.channel === c.channel);
      const low = seen?.low ?? min;
      const high = Math.max(seen?.high ?? max, low + (image.dtype.startsWith("float") ? 1e-6 : 1));
      return {
        label: channelLabel(plate, c.channel),
        color: (colors[i] ?? "#ffffff").slice(1).toUpperCase(),
        low,
        high,
        min: Math.min(min, low),
        max: Math.max(max, high),
      };
    });
    store.image(imageOf(plate, image), channels);
  }
}

/** Everything of one field but pixels. */
export function writeField(store: OmeZarrStore, plate: Plate, field: FieldLayout): void {
  writeImage(store, plate, field, []);
  const labels = field.images.filter((i) => i.label !== null);
  for (const image of field.images) if (image.label === null) store.arrays(imageOf(plate, image));
  if (labels.length > 0)
    store.labels(
      field.path,
      labels.map((l) => imageOf(plate, l)),
    );
}

/** The plate, its rows and wells. Results of wells that this run leaves alone stay listed. */
export function writePlate(
  store: OmeZarrStore,
  plate: Plate,
  plan: Pick<Plan, "fields">,
  others: readonly WellState[],
): void {
  const counts = new Map<string, number>(others.map((s) => [s.well, s.fields]));
  for (const f of plan.fields) counts.set(f.well, 0);
  for (const f of plan.fields) counts.set(f.well, (counts.get(f.well) ?? 0) + 1);
  const order = new Map(plate.wells.map((w, i) => [w, i] as const));
  const wells = [...counts]
    .sort(
      ([a], [b]) => (order.get(a) ?? Number.POSITIVE_INFINITY) - (order.get(b) ?? Number.POSITIVE_INFINITY),
    )
    .map(([well, fields]) => ({ ...splitWell(well), fields }));
  store.plate(plate.name, wells);
  for (const { row, column, fields } of wells) store.well(row, column, fields);
}
