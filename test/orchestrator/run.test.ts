// SPDX-License-Identifier: MIT
// run() on small plates: the account of every plane, damage, threads, memory, illumination estimates.

import { existsSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { native } from "../../lib/native.js";
import { op } from "../../lib/ops/index.js";
import { pipeline } from "../../lib/orchestrator/pipeline.js";
import type { Progress } from "../../lib/orchestrator/progress.js";
import { type RunOptions, run } from "../../lib/orchestrator/run.js";
import { openPlate } from "../../lib/plates/index.js";
import { temporaryFolders } from "../helpers/folder.js";
import { pixels, runJson, stateCounts, storeDigests, table } from "../helpers/results.js";
import { type SmallPlateOptions, writePlane } from "../helpers/small-plate.js";
import { thrown } from "../helpers/throws.js";
import { writeTiff } from "../helpers/tiff.js";
import { csv, go, plateIn, segment, statusOf, wells } from "./small-runs.js";

const folder = temporaryFolders();
const make = (options: SmallPlateOptions = {}) => plateIn(folder, options);

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
    for (const [field, site] of [
      ["A/1/0", 1],
      ["A/1/1", 2],
    ] as const) {
      const image = await pixels(out, `${field}/0`);
      const labels = await pixels(out, `${field}/labels/objects/0`);
      const sums = new Map<number, { area: number; sum: number; y: number; x: number }>();
      for (let i = 0; i < labels.data.length; i++) {
        const label = labels.data[i] as number;
        if (label === 0) continue;
        const o = sums.get(label) ?? { area: 0, sum: 0, y: 0, x: 0 };
        sums.set(label, {
          area: o.area + 1,
          sum: o.sum + (image.data[i] as number),
          y: o.y + Math.floor(i / 64),
          x: o.x + (i % 64),
        });
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
      .step(
        "measure",
        op.measure(["area", "mean_intensity", "perimeter", "eccentricity"], { intensity: { c: "correct" } }),
      );
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
    await go(
      root,
      out,
      { onProgress: (p) => seen.push(p) },
      pipeline("p").step("c", op.maxProject(), op.flatField()),
    );
    expect(new Set(seen.map((p) => p.phase))).toEqual(new Set(["estimate", "run"]));
    expect(seen.at(-1)).toMatchObject({
      planesDone: 8,
      planesTotal: 8,
      planesFailed: 0,
      wellsDone: 4,
      wellsTotal: 4,
    });
    for (const [i, p] of seen.entries())
      expect(p.planesDone).toBeGreaterThanOrEqual(seen[i - 1]?.planesDone ?? 0);
  });

  test.each<[Partial<RunOptions>, string]>([
    [{ out: "" }, 'run(): "out" must be a folder, and is '],
    [{ zarr: "0.3" as never }, 'run(): "zarr" must be "0.4" or "0.5", and is 0.3'],
    [
      { compression: "gzip" as never },
      'run(): "compression" must be blosc-lz4, blosc-zstd, zstd or none, and is gzip',
    ],
    [{ chunk: 8 }, 'run(): "chunk" must be an integer from 16 to 8192 px, and is 8'],
    [{ levels: 0 }, 'run(): "levels" must be an integer from 1 to 16, and is 0'],
    [{ threads: 1.5 }, 'run(): "threads" must be an integer from 1 to 1024, and is 1.5'],
    [
      { resume: true, overwrite: true },
      'run(): "overwrite" must be absent when resume is asked for, and is true',
    ],
  ])("refuses the options %j", async (options, message) => {
    const { root, out } = make({ wells: ["A01"], channels: [0] });
    const error = await thrown(() => go(root, out, options));
    expect([error.code, error.message]).toEqual(["ERR_INVALID_ARGUMENT", message]);
    expect(existsSync(out)).toBe(false);
  });

  test("that a pipeline does not fit leaves no folder", async () => {
    const { root, out } = make({ wells: ["A01"] });
    expect((await thrown(() => go(root, out, {}, pipeline("p").step("m", op.measure())))).code).toBe(
      "ERR_PIPELINE",
    );
    expect(existsSync(out)).toBe(false);
  });
});

describe("memory", () => {
  test("that is short takes threads away, and is an error when not even one fits", async () => {
    const { root, out } = make({ wells: ["A01"], channels: [0] });
    const available = vi.spyOn(process, "availableMemory");
    try {
      // 64 x 48 px as float32 or int32 are 12 KiB a tile.
      available.mockReturnValue(100_000);
      expect((await go(root, out, { threads: 8 })).outcome).toBe("complete");
      expect(runJson(out).options.threads).toBeLessThan(8);
      available.mockReturnValue(10_000);
      const other = join(folder(), "out");
      expect(await thrown(() => go(root, other))).toMatchObject({
        code: "ERR_POOL_MEMORY",
        argument: "plate",
      });
      expect(existsSync(other)).toBe(false);
    } finally {
      available.mockRestore();
    }
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
    expect(report.failures[0]).toMatchObject({
      well: "A02",
      site: 1,
      channel: 1,
      timepoint: 1,
      code: "ERR_TIFF_DAMAGED",
      path: bad,
    });
    expect(report.failures[0]?.message).toMatch(/\(step "project"\)$/);
    const failed = runJson(out).planeStates.filter((p) => p.state === "failed");
    expect(failed.map((p) => p.path)).toEqual(["ZStep_1/demo_A02_s1_w1.tif", "ZStep_2/demo_A02_s1_w1.tif"]);
    for (const p of failed) expect(p.reason).toContain("demo_A02_s1_w1.tif");
    // The well's other field is there.
    expect(
      new Set(
        table(out)
          .filter((r) => r.well === "A02")
          .map((r) => r.site),
      ),
    ).toEqual(new Set(["2"]));
  });

  test("when the plate was opened fails its field: a projection over the rest would look whole", async () => {
    const { root, out } = make();
    writeFileSync(join(root, "ZStep_1", "demo_B02_s1_w1.tif"), "no TIFF");
    const report = await go(root, out);
    expect(report.outcome).toBe("incomplete");
    expect(statusOf(out)).toEqual({ A01: "done", A02: "done", B01: "done", B02: "failed" });
    expect(report.failures).toEqual([
      {
        well: "B02",
        site: 1,
        channel: 1,
        timepoint: 1,
        code: "ERR_PLANE_UNREADABLE",
        message: "ZStep_1/demo_B02_s1_w1.tif: ERR_TIFF_DAMAGED: not a TIFF: only 7 bytes",
        path: null,
      },
    ]);
    const bad = runJson(out).planeStates.filter((p) => p.state !== "done");
    expect(bad).toMatchObject([
      { well: "B02", z_index: 2, state: "failed" },
      { well: "B02", z_index: 1, state: "missing", kind: "unreadable" },
    ]);
    expect(table(out).filter((r) => r.well === "B02")).toEqual([]);
  });

  test("and was the well's only one fails the well, and nothing old is shown for it", async () => {
    const { root, out } = make({ channels: [0] });
    expect((await go(root, out)).outcome).toBe("complete");
    writeFileSync(join(root, "demo_B02_s1_w1.tif"), "no TIFF");
    const report = await go(root, out, { resume: true });
    expect(statusOf(out)).toEqual({ A01: "reused", A02: "reused", B01: "reused", B02: "failed" });
    expect(report.failures.map((f) => f.code)).toEqual(["ERR_PLANE_UNREADABLE"]);
    expect(existsSync(join(out, "plate.ome.zarr", "B", "2"))).toBe(false);
  });

  test("that changed its size after the plate was opened is refused, not read into the wrong shape", async () => {
    const { root, out, planes } = make({ wells: ["A01"], channels: [0] });
    const plate = await openPlate(root);
    writePlane(root, planes[0] as never, { width: 32, height: 32 });
    const report = await run(segment, plate, { out });
    expect(report.failures[0]).toMatchObject({
      code: "ERR_OP_SHAPE",
      message: expect.stringContaining(
        "the file changed since the plate was opened: it was 64 x 48 uint16 and is 32 x 32 uint16",
      ),
    });
  });
});

describe("an illumination estimate", () => {
  test("hands its end to the run after it, every time", async () => {
    // A result queued by the first pass was once delivered to it while the next was under way, which then never ended.
    const { root } = make({ wells: ["A01", "A02"], channels: [0], width: 16, height: 16 });
    const plate = await openPlate(root);
    const p = pipeline("p").step(
      "c",
      op.flatField(),
      op.gaussian({ sigma: 1 }),
      op.flatField({ from: "mean" }),
    );
    for (let i = 0; i < 40; i++) {
      const report = await run(p, plate, { out: join(folder(), "out"), threads: 3 });
      expect(report.outcome).toBe("complete");
    }
  });

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
