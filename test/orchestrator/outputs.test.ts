// SPDX-License-Identifier: MIT
// What run() writes, pixel by pixel and row by row: axes, padding, op.save, measurements on other channels, chains per channel.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { op } from "../../lib/ops/index.js";
import { pipeline } from "../../lib/orchestrator/pipeline.js";
import { temporaryFolders } from "../helpers/folder.js";
import { pixels, runJson, table } from "../helpers/results.js";
import type { SmallPlateOptions } from "../helpers/small-plate.js";
import { go, plateIn } from "./small-runs.js";

const folder = temporaryFolders();
const make = (options: SmallPlateOptions = {}) => plateIn(folder, options);

describe("measuring on another channel", () => {
  const expected = async (out: string) => {
    const gfp = await pixels(out, "A/1/0/0");
    const labels = await pixels(out, "A/1/0/labels/objects/0");
    const plane = 64 * 48;
    /** Mean over the GFP plane (index 1) of each label of a channel's plane. */
    return (channel: number) => {
      const sums = new Map<number, [number, number]>();
      for (let i = 0; i < plane; i++) {
        const label = labels.data[channel * plane + i] as number;
        if (label === 0) continue;
        const [n, sum] = sums.get(label) ?? [0, 0];
        sums.set(label, [n + 1, sum + (gfp.data[plane + i] as number)]);
      }
      return [...sums].sort(([a], [b]) => a - b).map(([, [n, sum]]) => sum / n);
    };
  };
  const numbers = (out: string, channel: string, column: string) =>
    table(out)
      .filter((r) => r.channel === channel)
      .map((r) => Number(r[column]));
  const close = (got: number[], want: number[]) => {
    expect(got).toHaveLength(want.length);
    expect(want.length).toBeGreaterThan(0);
    for (const [i, v] of got.entries()) expect(v).toBeCloseTo(want[i] as number, 9);
  };
  const plate = { wells: ["A01"], channels: [2, 0], names: ["DAPI", "GFP"] } as const;

  test("gives that channel's intensities inside each channel's objects, each row under its own channel", async () => {
    const { root, out } = make(plate);
    const p = pipeline("p")
      .step("project", op.maxProject())
      .step("segment", op.threshold({ value: 40 }), op.label())
      .step(
        "measure",
        op.measure(["area", "mean_intensity"], { intensity: { own: {}, gfp: { channel: "GFP" } } }),
      );
    const report = await go(root, out, {}, p);
    const want = await expected(out);
    close(numbers(out, "1", "mean_intensity_gfp"), want(0));
    close(numbers(out, "2", "mean_intensity_gfp"), want(1));
    expect(numbers(out, "2", "mean_intensity_own")).toEqual(numbers(out, "2", "mean_intensity_gfp"));
    // The report's means are a channel's own, not the sum of both.
    const areas = numbers(out, "1", "area");
    const mean = areas.reduce((a, b) => a + b, 0) / areas.length;
    expect(report.wells[0]?.values["DAPI: area (mean)"]).toBeCloseTo(mean, 9);
    expect(report.wells[0]?.values["DAPI: objects"]).toBe(areas.length);
    expect(report.wells[0]?.values["GFP: objects"]).toBe(numbers(out, "2", "area").length);
  });

  test("works where only one channel is segmented, by a chain of its own", async () => {
    const { root, out } = make(plate);
    const p = pipeline("p")
      .step("project", op.maxProject())
      .step("segment", { DAPI: [op.threshold({ value: 40 }), op.label()] })
      .step("measure", {
        DAPI: [op.measure(["mean_intensity"], { intensity: { gfp: { channel: "gfp" } } })],
      });
    await go(root, out, {}, p);
    close(numbers(out, "1", "mean_intensity_gfp"), (await expected(out))(0));
    expect(numbers(out, "2", "mean_intensity_gfp")).toEqual([]);
  });

  test("uses the other channel's result of a named step", async () => {
    const { root, out } = make(plate);
    const p = pipeline("p")
      .step("project", op.maxProject())
      .step("correct", { GFP: [op.rescale({ scale: 2, offset: 1 })] })
      .step("segment", { DAPI: [op.threshold({ value: 40 }), op.label()] })
      .step("measure", {
        DAPI: [
          op.measure(["mean_intensity"], {
            intensity: { gfp: { channel: "GFP", step: "correct" }, raw: { channel: "GFP", step: "project" } },
          }),
        ],
      });
    await go(root, out, {}, p);
    const raw = numbers(out, "1", "mean_intensity_raw");
    close(
      numbers(out, "1", "mean_intensity_gfp"),
      raw.map((v) => 2 * v + 1),
    );
  });

  test("a stack measured slice by slice has each row under its own slice", async () => {
    const { root, out } = make({ wells: ["A01"], channels: [2, 2] });
    const p = pipeline("p").step("segment", {
      1: [op.maxProject(), op.threshold({ value: 40 }), op.label(), op.measure(["area"])],
      2: [op.threshold({ value: 40 }), op.label(), op.measure(["area"])],
    });
    await go(root, out, {}, p);
    const slices = (channel: string) => [
      ...new Set(
        table(out)
          .filter((r) => r.channel === channel)
          .map((r) => r.z_index),
      ),
    ];
    expect(slices("1")).toEqual([""]);
    expect(slices("2")).toEqual(["1", "2"]);
  });
});

describe("chains per channel", () => {
  test("measure what they say, and leave other columns empty", async () => {
    const { root, out } = make({ wells: ["A01"], channels: [0, 0] });
    const p = pipeline("p").step("all", {
      1: [op.threshold({ value: 40 }), op.label({ name: "a" }), op.measure(["area"])],
      2: [op.threshold({ value: 60 }), op.label({ name: "b" }), op.measure(["max_intensity"])],
    });
    await go(root, out, {}, p);
    const rows = table(out);
    expect(Object.keys(rows[0] ?? {})).toEqual([
      "plate",
      "well",
      "site",
      "channel",
      "timepoint",
      "label",
      "area",
      "max_intensity",
    ]);
    expect(
      rows.filter((r) => r.channel === "1").every((r) => Number(r.area) > 0 && r.max_intensity === ""),
    ).toBe(true);
    expect(
      rows.filter((r) => r.channel === "2").every((r) => r.area === "" && Number(r.max_intensity) > 60),
    ).toBe(true);
    const image = JSON.parse(readFileSync(join(out, "plate.ome.zarr", "A/1/0/labels/zarr.json"), "utf8"));
    expect(image.attributes.ome.labels.sort()).toEqual(["a", "b"]);
  });
});

describe("pixels land where the axes say", () => {
  /** A number that tells every pixel of every plane from all others of its channel. */
  const code = (x: number, y: number, p: { z: number; timepoint: number; site: number; channel: number }) =>
    1 + x + 64 * y + 3100 * (p.z + 3 * (p.timepoint - 1)) + 7 * p.site + p.channel;
  const plane = (p: Parameters<typeof code>[2], width = 64, height = 48) =>
    Array.from({ length: width * height }, (_, i) => code(i % width, Math.floor(i / width), p));
  const copy = pipeline("p").step("copy", op.save());

  test("with time, channels and slices; a channel without a stack is slice 0", async () => {
    const { root, out } = make({ wells: ["A01"], channels: [2, 0], timepoints: 2, value: code });
    await go(root, out, {}, copy);
    const { shape, data } = await pixels(out, "A/1/0/0");
    expect(shape).toEqual([2, 2, 2, 48, 64]);
    const at = (t: number, c: number, z: number) => {
      const start = ((t * 2 + c) * 2 + z) * 48 * 64;
      return Array.from(data).slice(start, start + 48 * 64);
    };
    for (const timepoint of [1, 2]) {
      for (const z of [1, 2])
        expect(at(timepoint - 1, 0, z - 1)).toEqual(plane({ z, timepoint, site: 1, channel: 1 }));
      expect(at(timepoint - 1, 1, 0)).toEqual(plane({ z: 0, timepoint, site: 1, channel: 2 }));
      expect(Math.max(...at(timepoint - 1, 1, 1))).toBe(0);
    }
  });

  test("of projections over sites and timepoints", async () => {
    const { root, out } = make({ wells: ["A01"], channels: [0], sites: 3, timepoints: 2, value: code });
    await go(root, out, {}, pipeline("p").step("s", op.maxProject({ over: ["site", "timepoint"] })));
    const { shape, data } = await pixels(out, "A/1/0/0");
    expect(shape).toEqual([1, 48, 64]);
    expect(Array.from(data)).toEqual(plane({ z: 0, timepoint: 2, site: 3, channel: 1 }));
    const other = join(folder(), "out");
    await go(root, other, {}, pipeline("p").step("s", op.sumProject({ over: "site" })));
    const sums = await pixels(other, "A/1/0/0");
    expect([sums.shape, sums.dtype]).toEqual([[2, 1, 48, 64], "uint32"]);
    const want = [1, 2].flatMap((timepoint) => {
      const sites = [1, 2, 3].map((site) => plane({ z: 0, timepoint, site, channel: 1 }));
      return (sites[0] as number[]).map((_, i) => sites.reduce((sum, s) => sum + (s[i] as number), 0));
    });
    expect(Array.from(sums.data)).toEqual(want);
  });

  test("of channels that differ in size and dtype: padded with zeros, promoted", async () => {
    const small = { width: 40, height: 30, dtype: "float32" } as const;
    const { root, out } = make({
      wells: ["A01"],
      channels: [0, 0],
      value: code,
      special: (path) => (path.includes("_w2") ? small : undefined),
    });
    await go(root, out, {}, copy);
    const { shape, dtype, data } = await pixels(out, "A/1/0/0");
    expect([shape, dtype]).toEqual([[2, 48, 64], "float32"]);
    expect(Array.from(data).slice(0, 48 * 64)).toEqual(plane({ z: 0, timepoint: 1, site: 1, channel: 1 }));
    const want = Array.from({ length: 48 * 64 }, (_, i) => {
      const [x, y] = [i % 64, Math.floor(i / 64)];
      return x < 40 && y < 30 ? code(x, y, { z: 0, timepoint: 1, site: 1, channel: 2 }) : 0;
    });
    expect(Array.from(data).slice(48 * 64)).toEqual(want);
    expect(runJson(out).remarks).toHaveLength(1);
  });

  test("of the image that op.save() marks, though the chain goes on", async () => {
    const { root, out } = make({ wells: ["A01"], channels: [0], value: code });
    const p = pipeline("p").step(
      "s",
      op.rescale({ scale: 0.5, dtype: "float64" }),
      op.save(),
      op.threshold({ value: 9 }),
      op.label(),
    );
    await go(root, out, {}, p);
    const image = await pixels(out, "A/1/0/0");
    expect(image.dtype).toBe("float64");
    expect(Array.from(image.data)).toEqual(
      plane({ z: 0, timepoint: 1, site: 1, channel: 1 }).map((v) => v / 2),
    );
    const labels = await pixels(out, "A/1/0/labels/objects/0");
    expect(Array.from(labels.data)).toEqual(Array.from(image.data, (v) => (v > 9 ? 1 : 0)));
  });
});
