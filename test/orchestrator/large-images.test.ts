// SPDX-License-Identifier: MIT
// Runs over images larger than a slot: the same files as when they are held whole, resumed, refused where an op cannot be cut.

import { existsSync, readdirSync, readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { op } from "../../lib/ops/index.js";
import { compile } from "../../lib/orchestrator/compile.js";
import { planPool } from "../../lib/orchestrator/large-images.js";
import { type Pipeline, pipeline } from "../../lib/orchestrator/pipeline.js";
import { type RunOptions, run } from "../../lib/orchestrator/run.js";
import { openPlate } from "../../lib/plates/index.js";
import { temporaryFolders } from "../helpers/folder.js";
import { stateCounts, storeDigests } from "../helpers/results.js";
import type { SmallPlateOptions } from "../helpers/small-plate.js";
import { thrown } from "../helpers/throws.js";
import { csv, plateIn } from "./small-runs.js";

const folder = temporaryFolders();
/** Planes of 120 kB, tiles of up to 480 kB, and slots of a few of their rows. */
const large = { width: 300, height: 200, wells: ["A01", "A02"] } as const;
const slots = { maxSlotBytes: 40_000, chunk: 16 } as const;
const make = (options: SmallPlateOptions = {}) => plateIn(folder, { ...large, ...options });

async function go(p: Pipeline, root: string, out: string, options: Partial<RunOptions>) {
  const report = await run(p, await openPlate(root), { out, threads: 2, chunk: 16, ...options });
  return { report, digests: storeDigests(out) };
}

const contrastOf = (out: string) => JSON.parse(readFileSync(join(out, "run.json"), "utf8")).contrast;

const nuclei = pipeline("nuclei")
  .step("project", op.maxProject())
  .step("prepare", op.flatField({ from: "median", images: 4, sigma: 20 }), op.gaussian({ sigma: 1.5 }))
  .step("segment", op.otsu(), op.label({ minArea: 12 }), op.expandLabels({ distance: 2 }))
  .step("measure", op.measure(["area", "centroid", "perimeter", "mean_intensity", "max_intensity"]));

describe("images larger than a slot", () => {
  test("give the files, rows and pictures that they give when they are held whole", async () => {
    const { root, out } = make({ channels: [3, 2], sites: 2 });
    for (const options of [{ zarr: "0.4" }, { zarr: "0.5", threads: 1 }] as const) {
      const whole = await go(nuclei, root, `${out}-whole-${options.zarr}`, options);
      const blocks = await go(nuclei, root, `${out}-${options.zarr}`, { ...options, ...slots });
      expect(blocks.report.outcome).toBe("complete");
      expect(blocks.report.objects).toBeGreaterThan(20);
      expect(blocks.digests).toEqual(whole.digests);
      expect(csv(`${out}-${options.zarr}`)).toBe(csv(`${out}-whole-${options.zarr}`));
      expect(stateCounts(`${out}-${options.zarr}`)).toEqual({ done: 20 });
      expect(contrastOf(`${out}-${options.zarr}`)).toEqual(contrastOf(`${out}-whole-${options.zarr}`));
      expect(blocks.report.megapixels).toBe(whole.report.megapixels);
    }
  });

  test("are mixed with small ones", async () => {
    const { root, out } = make({
      wells: ["A01", "A02", "A03"],
      channels: [0],
      special: (path) => (path.includes("A02") ? { width: 64, height: 48 } : undefined),
    });
    const p = pipeline("p")
      .step("s", op.gaussian({ sigma: 2 }), op.otsu(), op.label())
      .step("m", op.measure(["area"]));
    // Labels held whole are compressed from their runs, to other bytes.
    const options = { zarr: "0.4", compression: "none" } as const;
    const whole = await go(p, root, `${out}-whole`, options);
    const blocks = await go(p, root, out, { ...options, ...slots });
    expect(blocks.digests).toEqual(whole.digests);
    expect(csv(out)).toBe(csv(`${out}-whole`));
  });

  test("cancelled half-way leave nothing that reads as a result, and are completed by resume", async () => {
    const { root, out } = make({ channels: [3] });
    const whole = await go(nuclei, root, `${out}-whole`, { zarr: "0.5", threads: 1 });
    const controller = new AbortController();
    const report = await run(nuclei, await openPlate(root), {
      out,
      threads: 1,
      ...slots,
      signal: controller.signal,
      onProgress: (p) => p.planesDone > 0 && controller.abort(),
    });
    expect(report.outcome).toBe("cancelled");
    const parts = () =>
      readdirSync(out, { recursive: true }).filter((name) => String(name).endsWith(".part"));
    expect(parts()).toEqual([]);
    const again = await go(nuclei, root, out, { threads: 1, ...slots, resume: true });
    expect(again.report.outcome).toBe("complete");
    expect(again.digests).toEqual(whole.digests);
    expect(csv(out)).toBe(csv(`${out}-whole`));
  });

  test("fail alone where one cannot be read", async () => {
    const { root, out, planes } = make({ channels: [0] });
    const plate = await openPlate(root);
    truncateSync(join(root, planes[1]?.path as string), 60_000);
    const p = pipeline("p").step("s", op.gaussian({ sigma: 2 }));
    const report = await run(p, plate, { out, threads: 2, ...slots });
    expect(report.outcome).toBe("incomplete");
    expect(report.failures.map((f) => [f.well, f.code])).toEqual([["A02", "ERR_TIFF_DAMAGED"]]);
    expect(report.planes).toMatchObject({ done: 1, failed: 1 });
    expect(existsSync(join(out, "plate.ome.zarr/A/1/0/0/c.0.0.0"))).toBe(true);
    expect(existsSync(join(out, "plate.ome.zarr/A/2/0/0/c.0.0.0"))).toBe(false);
  });

  test("are refused before a pixel is read where an op needs them whole, with what would help", async () => {
    const { root, out } = make({ channels: [0] });
    const p = pipeline("p").step("even", op.clahe());
    const error = await thrown(() => go(p, root, out, slots));
    expect([error.code, error.argument]).toEqual(["ERR_PIPELINE", "clahe"]);
    expect(error.message).toBe(
      'step "even": clahe needs its whole image in one tile, and an image of well A01 has 300 x 200 px, more than a slot of 40 kB holds. ' +
        "Crop, bin or resize it before, or allow slots of 120 kB (maxSlotBytes, --max-slot): a thread then holds 240 kB",
    );
    expect(existsSync(out)).toBe(false);
    // As it says.
    const small = pipeline("p").step(
      "even",
      op.bin({ factor: 3 }),
      op.convert({ dtype: "uint16" }),
      op.clahe(),
    );
    const whole = await go(small, root, `${out}-whole`, { zarr: "0.4" });
    expect((await go(small, root, out, { zarr: "0.4", ...slots })).digests).toEqual(whole.digests);
  });

  test("share the memory that they are given among threads and objects", async () => {
    const { root } = make({ channels: [3] });
    const plan = compile(nuclei, await openPlate(root));
    const held = planPool(plan, 2, 1e9);
    expect(held.inBlocks.size).toBe(0);
    for (const room of [300_000, 1_000_000, 5_000_000]) {
      const shared = planPool(plan, 8, room, 40_000);
      expect(shared.inBlocks.size).toBe(plan.jobs.length + 2);
      expect(shared.threads * shared.perThread * shared.slotBytes).toBeLessThanOrEqual(room);
      expect(shared.slotBytes).toBeLessThanOrEqual(40_000);
      expect(shared.threads).toBeGreaterThanOrEqual(1);
    }
  });
});
