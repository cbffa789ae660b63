// SPDX-License-Identifier: MIT
// A made-up run with pictures of nuclei and cells, for the report's tests.

import type {
  FailureReport,
  Outcome,
  ReportData,
  Thumbnail,
  WellReport,
} from "../../lib/orchestrator/report/report-data.js";

/** Mulberry32: small, seeded, good enough for pictures. */
export function random(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function field(well: string, seed: number, count: number, brightness: number, side: number): Thumbnail[] {
  const rand = random(seed);
  const nuclei = new Float32Array(side * side);
  const cells = new Float32Array(side * side);
  const outline = new Uint8Array(side * side);
  for (let i = 0; i < nuclei.length; i++) {
    nuclei[i] = 180 + 25 * (rand() + rand());
    cells[i] = 200 + 25 * (rand() + rand());
  }
  for (let n = 0; n < count; n++) {
    const cx = rand() * side;
    const cy = rand() * side;
    const r = (0.03 + 0.015 * rand()) * side;
    const stretch = 0.75 + 0.4 * rand();
    const level = 900 + 900 * rand();
    const reach = r * 2.6;
    for (let y = Math.max(0, Math.floor(cy - reach)); y < Math.min(side, cy + reach); y++) {
      for (let x = Math.max(0, Math.floor(cx - reach)); x < Math.min(side, cx + reach); x++) {
        const d = Math.hypot((x - cx) * stretch, y - cy) / r;
        const i = y * side + x;
        nuclei[i] = (nuclei[i] as number) + level / (1 + Math.exp((d - 1) * 9));
        cells[i] = (cells[i] as number) + (brightness * (0.7 + rand() * 0.3)) / (1 + Math.exp((d - 1.8) * 4));
        if (Math.abs(d - 1.12) < 0.9 / r) outline[i] = 1;
      }
    }
  }
  const common = { well, site: 1, width: side, height: side };
  return [
    { ...common, channel: 1, pixels: nuclei, outline },
    { ...common, channel: 2, pixels: cells, outline: null },
  ];
}

export interface FixtureOptions {
  readonly rows?: number;
  readonly columns?: number;
  /** Keeps a well (0-based position); default all. */
  readonly keep?: (row: number, column: number) => boolean;
  readonly status?: (row: number, column: number) => Outcome;
  readonly side?: number;
  readonly samples?: number;
  readonly seconds?: number;
}

export function wellName(row: number, column: number): string {
  const high = row >= 26 ? String.fromCharCode(64 + Math.floor(row / 26)) : "";
  return `${high}${String.fromCharCode(65 + (row % 26))}${String(column + 1).padStart(2, "0")}`;
}

/** A dose response across columns: fewer cells and more GFP to the right, shifted from row to row. */
export function makeReport(options: FixtureOptions = {}): ReportData {
  const {
    rows = 8,
    columns = 12,
    keep = () => true,
    status = () => "done",
    side = 160,
    samples = 60,
    seconds = 41.7,
  } = options;
  const wells: WellReport[] = [];
  const thumbnails: Thumbnail[] = [];
  const failures: FailureReport[] = [];
  const rand = random(7);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      if (!keep(row, column)) continue;
      const well = wellName(row, column);
      const state = status(row, column);
      const dose = columns > 1 ? column / (columns - 1) : 0;
      const effect = 1 / (1 + Math.exp(-(dose - 0.35 - (0.4 * row) / rows) * 10));
      const objects = Math.round((240 - 190 * effect) * (0.92 + 0.16 * rand()));
      const gfp = 300 + 2100 * effect * (0.85 + 0.3 * rand());
      const ok = state === "done";
      wells.push({
        well,
        status: state,
        reused: false,
        planes: 12,
        failedPlanes: state === "failed" ? 3 : 0,
        objects: ok ? objects : 0,
        values: ok
          ? {
              "DAPI: objects": objects,
              "DAPI: area (mean)": 310 + 90 * effect + 20 * rand(),
              "DAPI: mean_intensity (mean)": 1400 + 300 * rand(),
              "GFP: mean_intensity (mean)": gfp,
              "GFP: integrated_intensity (mean)": gfp * 640.5,
            }
          : {},
      });
      if (state === "failed") {
        failures.push({
          well,
          site: 2,
          channel: 1,
          timepoint: 1,
          code: "ERR_TIFF_DAMAGED",
          message: "strip 12 ends at byte 284112, but the file has 131072 bytes",
          path: `ZStep_2/night-run_${well}_s2_w1F1C4D0A2-77E3-4C11-9A0E-5D2B6C8E9F10.tif`,
        });
      }
      if (state === "done")
        thumbnails.push(
          ...field(well, row * 100 + column + 1, Math.max(2, Math.round(objects / 6)), gfp, side),
        );
    }
  }
  const count = (s: Outcome) => wells.filter((w) => w.status === s).length * 12;
  const failed = wells.reduce((sum, w) => sum + w.failedPlanes, 0);
  const throughput = Array.from({ length: samples }, (_, i) => {
    const ramp = Math.min(1, (i + 1) / 5) * (1 - 0.25 * Math.exp(-(((i - samples * 0.6) / 4) ** 2)));
    const planesPerSecond = 620 * ramp * (0.94 + 0.12 * rand());
    return {
      seconds: ((i + 1) * seconds) / samples,
      planesPerSecond,
      megabytesPerSecond: planesPerSecond * 0.29,
    };
  });
  return {
    plate: {
      name: "2026-11-21 kinase screen, plate 7",
      format: "imagexpress",
      root: "/data/screens/kinase/2026-11-21/plate-7",
      rows,
      columns,
      channels: [
        { channel: 1, name: "DAPI" },
        { channel: 2, name: "GFP" },
      ],
      sites: 2,
      timepoints: 1,
    },
    run: {
      started: "2026-11-21T22:04:11.000Z",
      seconds,
      tilecast: "0.1.0",
      node: "20.20.2",
      machine: "Linux x64, 16 x AMD EPYC 7763, 64 GB",
      threads: 16,
      pipeline: "nuclei",
      steps: [
        'project: maxProject(over: "z_index")',
        "smooth: gaussian(sigma: 1.5)",
        "segment: otsu() → label(minArea: 30)",
        "measure: area, centroid, mean_intensity",
      ],
      planes: {
        done: wells.length * 12 - failed - count("cancelled") - count("pending"),
        failed,
        cancelled: count("cancelled"),
        pending: count("pending"),
      },
      megapixels: wells.length * 12 * 4.194,
      megabytesRead: wells.length * 12 * 4.9,
      outcome: wells.every((w) => w.status === "done") ? "complete" : "incomplete",
      command: 'tilecast run "/data/screens/kinase/2026-11-21/plate-7" -p nuclei.mjs -o out',
    },
    stages: [
      { name: "read", seconds: 212.4 },
      { name: "maxProject", seconds: 41.2 },
      { name: "gaussian", seconds: 96.8 },
      { name: "otsu", seconds: 22.6 },
      { name: "label", seconds: 61.9 },
      { name: "measure", seconds: 30.3 },
      { name: "write", seconds: 118.5 },
    ],
    throughput,
    wells,
    failures,
    measurements: [
      "DAPI: objects",
      "DAPI: area (mean)",
      "DAPI: mean_intensity (mean)",
      "GFP: mean_intensity (mean)",
      "GFP: integrated_intensity (mean)",
    ],
    thumbnails,
    contrast: [
      { channel: 1, low: 180, high: 2000 },
      { channel: 2, low: 200, high: 2600 },
    ],
    notices: ["1152 thumbnails of the microscope (_thumb) were ignored."],
    outputs: { images: "plate.ome.zarr", exampleImage: "B/03/0", tables: ["objects.csv", "wells.csv"] },
  };
}
