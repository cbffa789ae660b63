// SPDX-License-Identifier: MIT
// What report.html is made from: plain data, collected by the run, that a test can write by hand.

import type { BoundReport, EngineReport } from "../engine-report.js";

/** A small picture of one channel of a well's first field, raw intensities, with the outlines of its objects. */
export interface Thumbnail {
  readonly well: string;
  readonly site: number;
  readonly channel: number;
  readonly width: number;
  readonly height: number;
  /** Mean intensities, row-major `[height, width]`. */
  readonly pixels: Float32Array;
  /** 1 on the outline of an object, 0 elsewhere; same shape; `null` when the pipeline labels nothing here. */
  readonly outline: Uint8Array | null;
}

export type Outcome = "done" | "failed" | "cancelled" | "pending";

export interface WellReport {
  readonly well: string;
  readonly status: Outcome;
  /** True when `--resume` found it complete and did not redo it. */
  readonly reused: boolean;
  readonly planes: number;
  readonly failedPlanes: number;
  /** Objects, all sites and channels. */
  readonly objects: number;
  /**
   * Values a heat map can show, by measurement name, e.g. "DAPI: objects", "DAPI: area (mean)"; null where the well has none.
   * Means are over the objects of the well.
   */
  readonly values: Readonly<Record<string, number | null>>;
}

export interface FailureReport {
  readonly well: string;
  readonly site: number;
  readonly channel: number;
  readonly timepoint: number;
  readonly code: string;
  readonly message: string;
  readonly path: string | null;
}

export interface ReportData {
  readonly plate: {
    readonly name: string;
    readonly format: string;
    readonly root: string;
    readonly rows: number;
    readonly columns: number;
    readonly channels: readonly { readonly channel: number; readonly name: string }[];
    readonly sites: number;
    readonly timepoints: number;
  };
  readonly run: {
    /** ISO 8601. */
    readonly started: string;
    readonly seconds: number;
    readonly tilecast: string;
    readonly node: string;
    readonly machine: string;
    readonly threads: number;
    readonly pipeline: string;
    /** One line a step, e.g. "segment: otsu() → label(minArea: 30)". */
    readonly steps: readonly string[];
    readonly planes: Readonly<Record<Outcome, number>>;
    readonly megapixels: number;
    readonly megabytesRead: number;
    readonly outcome: "complete" | "incomplete" | "cancelled";
    /** The command that would repeat it, or null when run from the library. */
    readonly command: string | null;
  };
  /** What ran where, and how near the run came to what its parts allow. */
  readonly engine?: EngineReport;
  readonly bound?: BoundReport | null;
  /** Seconds of worker time by stage: read, compute (by op), write. */
  readonly stages: readonly { readonly name: string; readonly seconds: number }[];
  /** Samples over the run: seconds since start, and planes/s and MB/s over the interval that ends there. */
  readonly throughput: readonly {
    readonly seconds: number;
    readonly planesPerSecond: number;
    readonly megabytesPerSecond: number;
  }[];
  readonly wells: readonly WellReport[];
  readonly failures: readonly FailureReport[];
  /** Names for `values`, in the order to offer them. */
  readonly measurements: readonly string[];
  readonly thumbnails: readonly Thumbnail[];
  /** Display range by channel, plate-wide. */
  readonly contrast: readonly { readonly channel: number; readonly low: number; readonly high: number }[];
  /** What the catalogue ignored or missed, one sentence each. */
  readonly notices: readonly string[];
  /** What the run wrote beside the report, which links to it; absent: `plate.ome.zarr` and `measurements.csv`. */
  readonly outputs?: {
    /** The OME-Zarr plate, relative to the report's folder, `/` between names; null when no images were written. */
    readonly images: string | null;
    /** One image group inside it, e.g. "B/3/0"; null: the first field of the first well that is done. */
    readonly exampleImage: string | null;
    /** Tables, relative to the report's folder. */
    readonly tables: readonly string[];
  };
}
