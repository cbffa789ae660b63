// SPDX-License-Identifier: MIT
// The catalogue: what a plate folder holds, as immutable data that can be sent to another process.

import type { DType } from "../image/dtype.js";
import type { ZarrArray } from "../stores/zarr-array.js";

/** The components that tell planes of a plate apart; the names are those on the wire (OpenHCS). */
export type Component = "well" | "site" | "channel" | "z_index" | "timepoint";

/** Component values of one plane. Numbers are the microscope's own (site 0 stays 0). */
export interface Components {
  /** Row letters and a column of at least two digits: `A01`, `P24`, `AF48`. */
  readonly well: string;
  readonly site: number;
  readonly channel: number;
  /** The slice of a z stack, or `null` for a plane stored outside any stack: a single plane or the microscope's own projection. */
  readonly z_index: number | null;
  /** 1 when the plate has no time series. */
  readonly timepoint: number;
}

/** Where the pixels of one plane are; not the pixels. */
export interface PlaneRef extends Components {
  /** Absolute path of the file; of the array's folder in OME-Zarr. */
  readonly path: string;
  /** 0-based page of a multi-page file; in OME-Zarr the plane's number in the array, in C order. */
  readonly page: number;
  /** 0-based sample (RGB channel) of the page. */
  readonly sample: number;
  readonly width: number;
  readonly height: number;
  readonly dtype: DType;
  readonly compression: string;
  /** Bytes of the file (shared by its planes); in OME-Zarr of the chunks or the shard that the plane is in. */
  readonly bytes: number;
  /** Modification time of the file (OME-Zarr: the newest of those and of the array's metadata), ms since the epoch: with `bytes`, what `--resume` compares. */
  readonly mtimeMs: number;
  /** In OME-Zarr: the array (one object for all of its planes), and the plane's place along its leading axes. */
  readonly zarr?: { readonly array: ZarrArray; readonly index: readonly number[] };
}

export interface ChannelInfo {
  readonly channel: number;
  /** The name the microscope gave ("DAPI"), or `null`. */
  readonly name: string | null;
  /** Distinct z slices of stacks of this channel, ascending; empty when it has none. */
  readonly zSlices: readonly number[];
  /** Planes stored outside a stack: acquired projections where `zSlices` is not empty, single planes else. */
  readonly storedPlanes: number;
  readonly planes: number;
  readonly sizes: readonly { readonly width: number; readonly height: number; readonly planes: number }[];
  readonly dtypes: readonly DType[];
  readonly compressions: readonly string[];
}

/** A file that is not a plane, or a plane that should be there, and why. */
export interface Notice {
  readonly kind: "ignored" | "missing" | "unreadable" | "mixed" | "duplicate";
  /** One sentence for people. */
  readonly message: string;
  /** How many files or planes it is about. */
  readonly count: number;
  /** A few of them (paths relative to the plate, or component combinations). */
  readonly examples: readonly string[];
}

/** Centre of a site relative to the well's, micrometres, y upwards, as the microscope set it: the median over the wells. */
export interface SitePosition {
  readonly site: number;
  readonly xUm: number;
  readonly yUm: number;
}

/** A plane that the metadata lists or the other wells of the plate lead to expect, and that cannot be had. */
export interface MissingPlane extends Components {
  /** `absent`: there is no file (`reason`: what the metadata says about it). `unreadable`: there is one, and `reason` is what the reader said about it. */
  readonly kind: "absent" | "unreadable";
  readonly reason: string;
}

export interface Plate {
  /** Name of the layout: `imagexpress`, `opera-phenix`, `yokogawa`, `openhcs`, `ome-tiff`, `ome-zarr` or `pattern`. */
  readonly format: string;
  /** The filename pattern that was given or recognised; `null` for a layout that needs none. */
  readonly pattern: string | null;
  /** Absolute path of the folder that was opened. */
  readonly root: string;
  /** The plate's name: from metadata, else the folder's or the file prefix. */
  readonly name: string;
  /** Every well that has a file, a well with nothing but unreadable files too. Sorted by row, then column. */
  readonly wells: readonly string[];
  readonly sites: readonly number[];
  readonly channels: readonly ChannelInfo[];
  readonly timepoints: readonly number[];
  /** What the metadata says, else the smallest of 6, 24, 96, 384 and 1536 wells that holds every well. */
  readonly plateFormat: { readonly rows: number; readonly columns: number; readonly wells: number };
  /** Micrometres a pixel and between slices, where known. */
  readonly pixelSizeUm: { readonly x: number; readonly y: number } | null;
  readonly zStepUm: number | null;
  /** How the sites of a well lie, where the metadata says so. */
  readonly siteGrid?: { readonly rows: number; readonly columns: number };
  /** Where sites lie relative to each other, ascending by site; absent where unknown. */
  readonly sitePositions?: readonly SitePosition[];
  /** Sorted by timepoint, well, site, channel, z (stored planes first). */
  readonly planes: readonly PlaneRef[];
  /** Planes to be expected from the other wells and not there, in the order of `planes`. */
  readonly missing: readonly MissingPlane[];
  readonly notices: readonly Notice[];
}
