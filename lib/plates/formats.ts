// SPDX-License-Identifier: MIT
// The list of layouts: their order in detection, their names for options, and their names for people.

import type { PlateFormat } from "./format.js";
import { imageXpress } from "./imagexpress.js";
import { omeTiff } from "./ome-tiff.js";
import { openHcs } from "./openhcs.js";
import { operaPhenix } from "./opera-phenix.js";
import { usualFormats } from "./pattern-format.js";
import { yokogawa } from "./yokogawa.js";

/** Layouts that `format` names, with what people call them. */
export const formatLabels = {
  imagexpress: "ImageXpress",
  "opera-phenix": "Opera Phenix / Operetta",
  yokogawa: "Yokogawa CellVoyager",
  openhcs: "OpenHCS workspace",
  "ome-tiff": "OME-TIFF",
  "ome-zarr": "OME-Zarr",
} as const;

export type NamedFormat = keyof typeof formatLabels;

/** What the option `format` takes. */
export type FormatOption = "auto" | NamedFormat | "pattern";

/** Layouts of image files. An OME-Zarr store is no folder of files (lib/plates/ome-zarr.ts). */
export const namedFormats: Readonly<Record<Exclude<NamedFormat, "ome-zarr">, PlateFormat>> = {
  imagexpress: imageXpress,
  "opera-phenix": operaPhenix,
  yokogawa,
  openhcs: openHcs,
  "ome-tiff": omeTiff,
};

export const formatOptions: readonly FormatOption[] = [
  "auto",
  ...(Object.keys(formatLabels) as NamedFormat[]),
  "pattern",
];

/** In the order in which equal scores are settled: a workspace's own file counts more than how its images are named. */
export const detectable: readonly PlateFormat[] = [
  openHcs,
  imageXpress,
  operaPhenix,
  yokogawa,
  omeTiff,
  ...usualFormats,
];
