// SPDX-License-Identifier: MIT
// What the catalogue says of a source: enough for a page to draw the plate before any of its metadata is read.

import { channelTints } from "../orchestrator/channel-color.js";
import { Axes } from "../orchestrator/layout.js";
import { channelLabel } from "../orchestrator/store-layout.js";
import type { PlaneRef, Plate } from "../plates/plate.js";

export interface ChannelDescription {
  readonly number: number;
  readonly name: string;
  /** rrggbb */
  readonly color: string;
}

export interface SourceDescription {
  readonly id: string;
  readonly name: string;
  /** An image is shown without a plate around it; its one well is that of the file's name, or A01. */
  readonly kind: "plate" | "image";
  readonly role: "input" | "output";
  /** The run that reads or writes it, if any. */
  readonly run: string | null;
  /** Below the page's address. */
  readonly url: string;
  readonly rows: number;
  readonly columns: number;
  /** Paths of the fields of each well, in the order of their sites. */
  readonly fields: Readonly<Record<string, readonly string[]>>;
  /** Numbers of those sites, as the measurements have them. */
  readonly sites: Readonly<Record<string, readonly number[]>>;
  readonly channels: readonly ChannelDescription[];
  readonly labels: readonly string[];
  readonly timepoints: number;
  readonly slices: number;
  /** Micrometres, [y, x]. */
  readonly pixelSize: readonly [number, number] | null;
  /** Whether `/api/table` answers for it. */
  readonly table: boolean;
  readonly live: boolean;
}

/** What a plate's catalogue says; the planes are those that are shown. */
export function describePlate(
  plate: Plate,
  planes: readonly Pick<PlaneRef, "well" | "site" | "z_index">[],
  rest: Pick<SourceDescription, "id" | "role" | "run" | "labels" | "table" | "live"> & {
    readonly name?: string;
    readonly kind?: SourceDescription["kind"];
  },
): SourceDescription {
  const axes = new Axes(plate, planes);
  const fields: Record<string, string[]> = Object.fromEntries(plate.wells.map((well) => [well, []]));
  const sites: Record<string, number[]> = Object.fromEntries(plate.wells.map((well) => [well, []]));
  for (const key of axes.fieldOf.keys()) {
    const at = key.lastIndexOf("/");
    const well = key.slice(0, at);
    const site = Number(key.slice(at + 1));
    fields[well]?.push(axes.fieldPath(well, site));
    sites[well]?.push(site);
  }
  const names = plate.channels.map((c) => channelLabel(plate, c.channel));
  const tints = channelTints(names);
  return {
    name: plate.name,
    kind: "plate",
    ...rest,
    url: `data/${rest.id}`,
    rows: plate.plateFormat.rows,
    columns: plate.plateFormat.columns,
    fields,
    sites,
    channels: plate.channels.map((c, i) => ({
      number: c.channel,
      name: names[i] as string,
      color: (tints[i] as string).slice(1),
    })),
    timepoints: plate.timepoints.length,
    slices: Math.max(1, axes.z.size),
    pixelSize: plate.pixelSizeUm === null ? null : [plate.pixelSizeUm.y, plate.pixelSizeUm.x],
  };
}
