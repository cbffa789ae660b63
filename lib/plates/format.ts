// SPDX-License-Identifier: MIT
// The interface behind which each microscope's folder layout is one file.

import type { DType } from "../image/dtype.js";
import type { ListedFile, Listing } from "./listing.js";
import type { Components, Notice, Plate } from "./plate.js";
import type { PlateFormatSize } from "./well.js";

/** A file whose name and folders say which plane (or stack of pages) it holds. */
export interface ParsedFile extends Components {
  readonly file: ListedFile;
  /** The layout says that this is the microscope's own projection, so that its pages are no stack. */
  readonly projection: boolean;
  /**
   * Set by a layout whose metadata says which page and sample of the file the plane is: several entries may then share a
   * file, and its pages are not spread.
   */
  readonly place?: {
    readonly page: number;
    readonly sample: number;
    /** What the metadata says of this page, where pages of the file differ; else the header of the first page counts. */
    readonly size?: { readonly width: number; readonly height: number; readonly dtype: DType };
  };
}

/** A plane that the acquisition's metadata lists and that no file holds. */
export interface LostPlane extends Components {
  /** One clause that follows "n planes:" and "no file:". */
  readonly reason: string;
}

/** What the acquisition's metadata says should be there. Absent fields are not known. */
export interface Expected {
  /** The file it comes from, relative to the plate. */
  readonly source: string;
  readonly wells?: readonly string[];
  /** Sites a well. */
  readonly sites?: number;
  /** Channels, numbered from 1. */
  readonly channels?: number;
  readonly zSlices?: number;
  readonly timepoints?: number;
}

export interface ParsedPlate {
  readonly name: string;
  readonly pattern: string | null;
  readonly files: readonly ParsedFile[];
  readonly channelNames: ReadonlyMap<number, string>;
  readonly expected: Expected | null;
  readonly plateFormat: PlateFormatSize | null;
  readonly lost?: readonly LostPlane[];
  /** The metadata lists every plane that was acquired: wells may then differ without planes being missing. */
  readonly listsEveryPlane?: boolean;
  /** From metadata files; absent or `null` where they say nothing. */
  readonly pixelSizeUm?: Plate["pixelSizeUm"];
  readonly zStepUm?: number | null;
  readonly siteGrid?: Plate["siteGrid"];
  readonly sitePositions?: Plate["sitePositions"];
  readonly notices: readonly Notice[];
}

export interface Detection {
  /** 0 (certainly not) to 1 (every image fits). */
  readonly score: number;
  /** Why, for the error that tells a user what was looked for. */
  readonly reason: string;
}

/** What a TIFF's first page says before any plane is known. */
export interface ImageHead {
  readonly description: string;
  readonly pages: number;
  /** Samples a pixel. */
  readonly samples: number;
}

/** Reads heads of image files, by relative path; of unreadable files there is none. */
export type HeadReader = (files: readonly ListedFile[]) => Promise<ReadonlyMap<string, ImageHead>>;

export interface PlateFormat {
  readonly name: string;
  /** By names alone: detection opens no file. */
  detect(listing: Listing): Detection;
  /** Text files that `parse` wants to see. */
  metadata?(listing: Listing): readonly ListedFile[];
  /** Reads the heads that `parse` wants to see, through `read`, so that one can lead to the next or make it needless. */
  heads?(
    listing: Listing,
    texts: ReadonlyMap<string, string>,
    read: HeadReader,
  ): Promise<ReadonlyMap<string, ImageHead>>;
  /**
   * Pure: no file is opened. `texts` and `heads` have what those asked for, by relative path; what could not be read is
   * absent. Throws ERR_PLATE_FORMAT, and ERR_METADATA where nothing can be believed.
   */
  parse(
    listing: Listing,
    texts: ReadonlyMap<string, string>,
    heads?: ReadonlyMap<string, ImageHead>,
  ): ParsedPlate;
}
