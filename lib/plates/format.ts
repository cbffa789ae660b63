// SPDX-License-Identifier: MIT
// The interface behind which each microscope's folder layout is one file.

import type { ListedFile, Listing } from "./listing.js";
import type { Components, Notice } from "./plate.js";
import type { PlateFormatSize } from "./well.js";

/** A file whose name and folders say which plane (or stack of pages) it holds. */
export interface ParsedFile extends Components {
  readonly file: ListedFile;
  /** The layout says that this is the microscope's own projection, so that its pages are no stack. */
  readonly projection: boolean;
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
  readonly notices: readonly Notice[];
}

export interface Detection {
  /** 0 (certainly not) to 1 (every image fits). */
  readonly score: number;
  /** Why, for the error that tells a user what was looked for. */
  readonly reason: string;
}

export interface PlateFormat {
  readonly name: string;
  detect(listing: Listing): Detection;
  /** Text files that `parse` wants to see. */
  metadata?(listing: Listing): readonly ListedFile[];
  /** Pure: no file is opened. `texts` has what `metadata` asked for, by relative path; one that could not be read is absent. */
  parse(listing: Listing, texts: ReadonlyMap<string, string>): ParsedPlate;
}
