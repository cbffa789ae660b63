// SPDX-License-Identifier: MIT
// run() on small plates: the account of every plane, damage, resume, cancellation, the output folder, reproducibility.

import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { native } from "../../lib/native.js";
import { op } from "../../lib/ops/index.js";
import { pipeline } from "../../lib/orchestrator/pipeline.js";
import type { Progress } from "../../lib/orchestrator/progress.js";
import { type RunOptions, run } from "../../lib/orchestrator/run.js";
import { openPlate } from "../../lib/plates/index.js";
import { temporaryFolders } from "../helpers/folder.js";
import { chunkTimes, pixels, runJson, stateCounts, storeDigests, table } from "../helpers/results.js";
import { type SmallPlateOptions, smallPlate, writePlane } from "../helpers/small-plate.js";
import { thrown } from "../helpers/throws.js";
import { writeTiff } from "../helpers/tiff.js";

const folder = temporaryFolders();
const wells = ["A01", "A02", "B01", "B02"] as const;

const segment = pipeline("segment")
  .step("project", op.maxProject())
  .step("segment", op.threshold({ value: 40 }), op.label())
  .step("measure", op.measure(["area", "centroid", "mean_intensity"]));

function make(options: SmallPlateOptions = {}) {
  const root = join(folder(), "plate");
  const planes = smallPlate(root, { wells, channels: [2], ...options });
  return { root, planes, out: join(folder(), "out") };
}

const go = async (root: string, out: string, options: Partial<RunOptions> = {}, p = segment) =>
  run(p, await openPlate(root), { out, threads: 2, ...options });

const csv = (out: string) => readFileSync(join(out, "measurements.csv"), "utf8");
const statusOf = (out: string) => Object.fromEntries(runJson(out).wells.map((w) => [w.well, w.reused ? "reused" : w.status]));

describe("a run", () => {
  test("accounts for every plane of the catalogue exactly once", async () => {
    const { root, out, planes } = make({ sites: 2, channels: [3, 2, 0], projected: [2] });
    const report = await go(root, out);
    expect(report.outcome).toBe("complete");
    expect(report.planes).toEqual({ total: 48, done: 48, reused: 0, failed: 0, cancelled: 0 });
    expect(stateCounts(out)).toEqual({ done: 48, unused: 8 });
    const listed = runJson(out).planeStates.map((p) => p.path);
    expect([...listed].sort()).toEqual(planes.map((p) => p.path).sort());
    expect(report.wells.map((w) => [w.well, w.status])).toEqual(wells.map((w) => [w, "done"]));
    expect(table(out)).toHaveLength(report.objects);
    expect(existsSync(join(out, "report.html"))).toBe(true);
  });

  test("reads what the pixels say: an object's row equals the pixels of its label", async () => {
    const { root, out } = make({ wells: ["A01"], sites: 2 });
    await go(root, out);
    const seen = new Set<number>();
    for (const [field, site] of [["A/1/0", 1], ["A/1/1", 2]] as const) {
      const image = await pixels(out, `${field}/0`);
      const labels = await pixels(out, `${field}/labels/objects/0`);
      const sums = new Map<number, { area: number; sum: number; y: number; x: number }>();
      for (let i = 0; i < labels.data.length; i++) {
        const label = labels.data[i] as number;
        if (label === 0) continue;
        const o = sums.get(label) ?? { area: 0, sum: 0, y: 0, x: 0 };
        sums.set(label, { area: o.area + 1, sum: o.sum + (image.data[i] as number), y: o.y + Math.floor(i / 64), x: o.x + (i % 64) });
      }
      const rows = table(out).filter((r) => Number(r.site) === site);
      expect(rows.map((r) => Number(r.label))).toEqual([...sums.keys()].sort((a, b) => a - b));
      for (const r of rows) {
        const o = sums.get(Number(r.label)) as { area: number; sum: number; y: number; x: number };
        expect(Number(r.area)).toBe(o.area);
        expect(Number(r.mean_intensity)).toBeCloseTo(o.sum / o.area, 9);
        expect(Number(r.centroid_y)).toBeCloseTo(o.y / o.area, 9);
        expect(Number(r.centroid_x)).toBeCloseTo(o.x / o.area, 9);
        seen.add(site);
      }
    }
    expect(seen.size).toBe(2);
  });

  test("gives equal bytes with one thread and with four", async () => {
    const { root, out } = make({ sites: 2, channels: [2, 2] });
    const p = pipeline("p")
      .step("correct", op.maxProject(), op.flatField({ from: "median", sigma: 4, shrink: 2 }))
      .step("segment", op.gaussian({ sigma: 1 }), op.otsu(), op.label())
      .step("measure", op.measure(["area", "mean_intensity", "perimeter", "eccentricity"], { intensity: { c: "correct" } }));
    await go(root, out, { threads: 1 }, p);
    const other = join(folder(), "out");
    await go(root, other, { threads: 4 }, p);
    expect(csv(other)).toBe(csv(out));
    expect(storeDigests(other)).toEqual(storeDigests(out));
  });

  test("takes only the wells asked for", async () => {
    const { root, out } = make();
    const report = await go(root, out, { wells: ["B01"] });
    expect(report.wells.map((w) => w.well)).toEqual(["B01"]);
    expect(new Set(table(out).map((r) => r.well))).toEqual(new Set(["B01"]));
    expect(existsSync(join(out, "plate.ome.zarr", "A", "1"))).toBe(false);
  });

  test("needs memory for its threads, not for its plate", async () => {
    const created: number[] = [];
    const TilePool = native().TilePool;
    const create = TilePool.create;
    TilePool.create = (bytes, slots) => {
      created.push(slots);
      return create.call(TilePool, bytes, slots);
    };
    try {
      const small = make({ wells: ["A01"], channels: [2] });
      const large = make({ wells, sites: 3, channels: [9] });
      await go(small.root, small.out);
      await go(large.root, large.out);
    } finally {
      TilePool.create = create;
    }
    expect(created).toHaveLength(2);
    expect(created[1]).toBe(created[0]);
  });

  test("tells its progress, up to the end", async () => {
    const { root, out } = make();
    const seen: Progress[] = [];
    await go(root, out, { onProgress: (p) => seen.push(p) }, pipeline("p").step("c", op.maxProject(), op.flatField()));
    expect(new Set(seen.map((p) => p.phase))).toEqual(new Set(["estimate", "run"]));
    expect(seen.at(-1)).toMatchObject({ planesDone: 8, planesTotal: 8, planesFailed: 0, wellsDone: 4, wellsTotal: 4 });
    for (const [i, p] of seen.entries()) expect(p.planesDone).toBeGreaterThanOrEqual(seen[i - 1]?.planesDone ?? 0);
  });

  test.each<[Partial<RunOptions>, string]>([
    [{ out: "" }, 'run(): "out" must be a folder, and is '],
    [{ zarr: "0.3" as never }, 'run(): "zarr" must be "0.4" or "0.5", and is 0.3'],
    [{ compression: "gzip" as never }, 'run(): "compression" must be blosc-lz4, blosc-zstd, zstd or none, and is gzip'],
    [{ chunk: 8 }, 'run(): "chunk" must be an integer from 16 to 8192 px, and is 8'],
    [{ levels: 0 }, 'run(): "levels" must be an integer from 1 to 16, and is 0'],
    [{ threads: 1.5 }, 'run(): "threads" must be an integer from 1 to 1024, and is 1.5'],
    [{ resume: true, overwrite: true }, 'run(): "overwrite" must be absent when resume is asked for, and is true'],
  ])("refuses the options %j", async (options, message) => {
    const { root, out } = make({ wells: ["A01"], channels: [0] });
    const error = await thrown(() => go(root, out, options));
    expect([error.code, error.message]).toEqual(["ERR_INVALID_ARGUMENT", message]);
    expect(existsSync(out)).toBe(false);
  });

  test("that a pipeline does not fit leaves no folder", async () => {
    const { root, out } = make({ wells: ["A01"] });
    expect((await thrown(() => go(root, out, {}, pipeline("p").step("m", op.measure())))).code).toBe("ERR_PIPELINE");
    expect(existsSync(out)).toBe(false);
  });
});

describe("a plane that cannot be read", () => {
  test("fails its field and no other, and the reason is told", async () => {
    const { root, out } = make({ sites: 2 });
    const plate = await openPlate(root);
    const bad = join(root, "ZStep_2", "demo_A02_s1_w1.tif");
    truncateSync(bad, 600);
    const report = await run(segment, plate, { out, threads: 2 });
    expect(report.outcome).toBe("incomplete");
    expect(report.planes).toEqual({ total: 16, done: 14, reused: 0, failed: 2, cancelled: 0 });
    expect(statusOf(out)).toEqual({ A01: "done", A02: "failed", B01: "done", B02: "done" });
    expect(report.failures).toHaveLength(1);
    expect(report.failures[0]).toMatchObject({ well: "A02", site: 1, channel: 1, timepoint: 1, code: "ERR_TIFF_DAMAGED", path: bad });
    expect(report.failures[0]?.message).toMatch(/\(step "project"\)$/);
    const failed = runJson(out).planeStates.filter((p) => p.state === "failed");
    expect(failed.map((p) => p.path)).toEqual(["ZStep_1/demo_A02_s1_w1.tif", "ZStep_2/demo_A02_s1_w1.tif"]);
    for (const p of failed) expect(p.reason).toContain("demo_A02_s1_w1.tif");
    // The well's other field is there.
    expect(new Set(table(out).filter((r) => r.well === "A02").map((r) => r.site))).toEqual(new Set(["2"]));
  });

  test("when the plate was opened is listed as missing", async () => {
    const { root, out } = make();
    writeFileSync(join(root, "ZStep_1", "demo_B02_s1_w1.tif"), "no TIFF");
    await go(root, out);
    const bad = runJson(out).planeStates.filter((p) => p.state !== "done");
    expect(bad).toMatchObject([{ well: "B02", z_index: 1, state: "missing", kind: "unreadable" }]);
  });

  test("that changed its size after the plate was opened is refused, not read into the wrong shape", async () => {
    const { root, out, planes } = make({ wells: ["A01"], channels: [0] });
    const plate = await openPlate(root);
    writePlane(root, planes[0] as never, { width: 32, height: 32 });
    const report = await run(segment, plate, { out });
    expect(report.failures[0]).toMatchObject({
      code: "ERR_OP_SHAPE",
      message: expect.stringContaining("the file changed since the plate was opened: it was 64 x 48 uint16 and is 32 x 32 uint16"),
    });
  });
});

/** Gives a file another modification time, as writing it again would. */
function touch(path: string): void {
  const later = new Date(Date.now() + 5000);
  utimesSync(path, later, later);
}

describe("resuming", () => {
  test("leaves unchanged wells as they are", async () => {
    const { root, out } = make();
    await go(root, out);
    const before = wells.map((w) => chunkTimes(out, `${w[0]}/${w[2]}`));
    const rows = csv(out);
    const report = await go(root, out, { resume: true });
    expect(report.planes).toEqual({ total: 8, done: 0, reused: 8, failed: 0, cancelled: 0 });
    expect(wells.map((w) => chunkTimes(out, `${w[0]}/${w[2]}`))).toEqual(before);
    expect(csv(out)).toBe(rows);
    expect(stateCounts(out)).toEqual({ reused: 8 });
    expect(report.outcome).toBe("complete");
  });

  test("redoes a well whose file changed, and that one only", async () => {
    const { root, out } = make();
    await go(root, out);
    const before = chunkTimes(out, "A/1");
    touch(join(root, "ZStep_1", "demo_A02_s1_w1.tif"));
    await go(root, out, { resume: true });
    expect(statusOf(out)).toEqual({ A01: "reused", A02: "done", B01: "reused", B02: "reused" });
    expect(chunkTimes(out, "A/1")).toEqual(before);
  });

  test("redoes everything when the pipeline or the encoding changed", async () => {
    const { root, out } = make();
    await go(root, out);
    const all = { A01: "done", A02: "done", B01: "done", B02: "done" };
    await go(root, out, { resume: true, compression: "zstd" });
    expect(statusOf(out)).toEqual(all);
    const other = pipeline("segment")
      .step("project", op.maxProject())
      .step("segment", op.threshold({ value: 45 }), op.label())
      .step("measure", op.measure(["area", "centroid", "mean_intensity"]));
    await go(root, out, { resume: true, compression: "zstd" }, other);
    expect(statusOf(out)).toEqual(all);
  });

  test("redoes everything when the illumination image changed", async () => {
    const { root, out } = make({ channels: [0] });
    const image = join(folder(), "flat.tif");
    writeTiff(image, { width: 64, height: 48, dtype: "float32", value: () => 1 });
    const p = pipeline("p").step("correct", op.flatField({ image }));
    await go(root, out, {}, p);
    await go(root, out, { resume: true }, p);
    expect(statusOf(out)).toEqual({ A01: "reused", A02: "reused", B01: "reused", B02: "reused" });
    writeTiff(image, { width: 64, height: 48, dtype: "float32", value: () => 2 });
    touch(image);
    await go(root, out, { resume: true }, p);
    expect(statusOf(out)).toEqual({ A01: "done", A02: "done", B01: "done", B02: "done" });
  });

  test("redoes a failed well once its file is repaired, and then equals a run without the failure", async () => {
    const { root, out } = make();
    const good = join(folder(), "out");
    await go(root, good);
    const file = join(root, "ZStep_2", "demo_B01_s1_w1.tif");
    const bytes = readFileSync(file);
    const plate = await openPlate(root);
    truncateSync(file, 600);
    await run(segment, plate, { out });
    expect(statusOf(out)).toEqual({ A01: "done", A02: "done", B01: "failed", B02: "done" });
    writeFileSync(file, bytes);
    const report = await go(root, out, { resume: true });
    expect(report.outcome).toBe("complete");
    expect(statusOf(out)).toEqual({ A01: "reused", A02: "reused", B01: "done", B02: "reused" });
    expect(csv(out)).toBe(csv(good));
    expect(storeDigests(out)).toEqual(storeDigests(good));
  });

  test("removes the pixels of a plane that can no longer be read: nothing old is shown as new", async () => {
    const { root, out } = make({ wells: ["A01"], channels: [0] });
    await go(root, out);
    expect(Math.max(...Array.from((await pixels(out, "A/1/0/0")).data))).toBeGreaterThan(0);
    const plate = await openPlate(root);
    const file = join(root, "demo_A01_s1_w1.tif");
    truncateSync(file, 600);
    touch(file);
    await run(segment, { ...plate, planes: plate.planes.map((p) => ({ ...p, bytes: 600 })) }, { out, resume: true });
    expect(statusOf(out)).toEqual({ A01: "failed" });
    expect(Math.max(...Array.from((await pixels(out, "A/1/0/0")).data))).toBe(0);
  });

  test("leaves nothing of results under another label name or in the other Zarr format", async () => {
    const { root, out } = make({ wells: ["A01"] });
    const named = (name: string) => pipeline("p").step("s", op.maxProject(), op.threshold({ value: 40 }), op.label({ name }));
    await go(root, out, {}, named("old"));
    await go(root, out, { resume: true, zarr: "0.4" }, named("new"));
    const clean = join(folder(), "out");
    await go(root, clean, { zarr: "0.4" }, named("new"));
    expect(storeDigests(out)).toEqual(storeDigests(clean));
    await go(root, out, { resume: true, zarr: "0.4" }, named("newer"));
    expect(readdirSync(join(out, "plate.ome.zarr", "A/1/0/labels")).sort()).toEqual([".zattrs", ".zgroup", "newer"]);
  });

  test("adds wells to those of an earlier run", async () => {
    const { root, out } = make();
    await go(root, out, { wells: ["A01", "B02"] });
    await go(root, out, { wells: ["A02"], resume: true });
    const metadata = JSON.parse(readFileSync(join(out, "plate.ome.zarr", "zarr.json"), "utf8"));
    expect(metadata.attributes.ome.plate.wells.map((w: { path: string }) => w.path)).toEqual(["A/1", "A/2", "B/2"]);
    expect([...new Set(table(out).map((r) => r.well))]).toEqual(["A01", "A02", "B02"]);
  });
});

describe("the output folder", () => {
  test("with results is refused unless resume or overwrite is asked for", async () => {
    const { root, out } = make({ wells: ["A01"] });
    await go(root, out);
    const before = storeDigests(out);
    const error = await thrown(() => go(root, out));
    expect(error.code).toBe("ERR_OUTPUT_EXISTS");
    expect(error.message).toBe(
      `${out} already holds results (plate.ome.zarr, measurements.csv, run.json, report.html); resume them, overwrite them, or choose another folder`,
    );
    expect(storeDigests(out)).toEqual(before);
  });

  test("is overwritten only where a run writes", async () => {
    const { root, out } = make();
    mkdirSync(out);
    writeFileSync(join(out, "notes.txt"), "mine");
    await go(root, out);
    await go(root, out, { overwrite: true, wells: ["A02"] });
    expect(readFileSync(join(out, "notes.txt"), "utf8")).toBe("mine");
    expect(existsSync(join(out, "plate.ome.zarr", "B"))).toBe(false);
    expect(readdirSync(join(out, ".tilecast", "wells")).sort()).toEqual(["A02.state"]);
  });
});

describe("cancelling", () => {
  test("keeps what is complete, says what is not, and resuming gives the bytes of an uninterrupted run", async () => {
    const many = Array.from({ length: 24 }, (_, i) => `${"AB"[Math.floor(i / 12)]}${String((i % 12) + 1).padStart(2, "0")}`);
    const { root, out } = make({ wells: many, channels: [3], width: 300, height: 260 });
    const good = join(folder(), "out");
    await go(root, good);
    const controller = new AbortController();
    const report = await go(root, out, {
      threads: 1,
      signal: controller.signal,
      onProgress: (p) => {
        if (p.phase === "run" && p.planesDone > 0) controller.abort();
      },
    });
    expect(report.outcome).toBe("cancelled");
    expect(report.planes.done).toBeGreaterThan(0);
    expect(report.planes.cancelled).toBeGreaterThan(0);
    expect(report.planes.done + report.planes.cancelled).toBe(72);
    expect(stateCounts(out)).toEqual({ done: report.planes.done, cancelled: report.planes.cancelled });
    expect(table(out).length).toBe(report.objects);
    const rows = new Set(csv(good).split("\n"));
    for (const line of csv(out).split("\n")) expect(rows.has(line)).toBe(true);
    // What is listed opens: complete, or empty.
    for (const w of [many[0], many.at(-1)] as string[]) await pixels(out, `${w[0]}/${Number(w.slice(1))}/0/0`);

    const resumed = await go(root, out, { resume: true });
    expect(resumed.outcome).toBe("complete");
    expect(resumed.planes.reused).toBe(report.planes.done);
    expect(csv(out)).toBe(csv(good));
    expect(storeDigests(out)).toEqual(storeDigests(good));
  });

  test("before the first plane does nothing", async () => {
    const { root, out } = make();
    const report = await go(root, out, { signal: AbortSignal.abort() });
    expect(report.outcome).toBe("cancelled");
    expect(stateCounts(out)).toEqual({ cancelled: 8 });
  });

  test("while the illumination is estimated ends as cancelled", async () => {
    const { root, out } = make({ sites: 4 });
    const controller = new AbortController();
    const p = pipeline("p").step("c", op.maxProject(), op.flatField());
    const report = await go(
      root,
      out,
      {
        threads: 1,
        signal: controller.signal,
        onProgress: (progress) => {
          if (progress.phase === "estimate") controller.abort();
        },
      },
      p,
    );
    expect(report.outcome).toBe("cancelled");
    expect(stateCounts(out)).toEqual({ cancelled: 32 });
    expect((await go(root, out, { resume: true }, p)).outcome).toBe("complete");
  });
});

describe("an illumination estimate", () => {
  test("without any readable image says so", async () => {
    const { root, out } = make({ wells: ["A01"], channels: [0] });
    const plate = await openPlate(root);
    truncateSync(join(root, "demo_A01_s1_w1.tif"), 600);
    const error = await thrown(() => run(pipeline("p").step("c", op.flatField()), plate, { out }));
    expect(error.code).toBe("ERR_PIPELINE");
    expect(error.message).toMatch(
      /^the illumination of channel 1, 64 x 48 px, step "c" cannot be estimated: none of 1 images could be read; the first: .*demo_A01_s1_w1\.tif/,
    );
  });

  test("image of another size is refused before a pixel is read", async () => {
    const { root, out } = make({ wells: ["A01"], channels: [0] });
    const image = join(folder(), "flat.tif");
    writeTiff(image, { width: 10, height: 48 });
    const error = await thrown(() => go(root, out, {}, pipeline("p").step("c", op.flatField({ image }))));
    expect([error.code, error.message]).toEqual([
      "ERR_PIPELINE",
      `the illumination image ${image} is 10 x 48 px, and ${join(root, "demo_A01_s1_w1.tif")} is 64 x 48`,
    ]);
  });
});

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
      .step("measure", op.measure(["area", "mean_intensity"], { intensity: { own: {}, gfp: { channel: "GFP" } } }));
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
      .step("measure", { DAPI: [op.measure(["mean_intensity"], { intensity: { gfp: { channel: "gfp" } } })] });
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
        DAPI: [op.measure(["mean_intensity"], { intensity: { gfp: { channel: "GFP", step: "correct" }, raw: { channel: "GFP", step: "project" } } })],
      });
    await go(root, out, {}, p);
    const raw = numbers(out, "1", "mean_intensity_raw");
    close(numbers(out, "1", "mean_intensity_gfp"), raw.map((v) => 2 * v + 1));
  });

  test("a stack measured slice by slice has each row under its own slice", async () => {
    const { root, out } = make({ wells: ["A01"], channels: [2, 2] });
    const p = pipeline("p").step("segment", {
      1: [op.maxProject(), op.threshold({ value: 40 }), op.label(), op.measure(["area"])],
      2: [op.threshold({ value: 40 }), op.label(), op.measure(["area"])],
    });
    await go(root, out, {}, p);
    const slices = (channel: string) => [...new Set(table(out).filter((r) => r.channel === channel).map((r) => r.z_index))];
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
    expect(Object.keys(rows[0] ?? {})).toEqual(["plate", "well", "site", "channel", "timepoint", "label", "area", "max_intensity"]);
    expect(rows.filter((r) => r.channel === "1").every((r) => Number(r.area) > 0 && r.max_intensity === "")).toBe(true);
    expect(rows.filter((r) => r.channel === "2").every((r) => r.area === "" && Number(r.max_intensity) > 60)).toBe(true);
    const image = JSON.parse(readFileSync(join(out, "plate.ome.zarr", "A/1/0/labels/zarr.json"), "utf8"));
    expect(image.attributes.ome.labels.sort()).toEqual(["a", "b"]);
  });
});
