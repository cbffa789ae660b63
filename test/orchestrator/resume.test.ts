// SPDX-License-Identifier: MIT
// Runs on top of earlier ones: what is reused, what is redone, what the output folder keeps, cancelling and going on.

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { op } from "../../lib/ops/index.js";
import { pipeline } from "../../lib/orchestrator/pipeline.js";
import { run } from "../../lib/orchestrator/run.js";
import { openPlate } from "../../lib/plates/index.js";
import { temporaryFolders } from "../helpers/folder.js";
import { chunkTimes, pixels, stateCounts, storeDigests, table } from "../helpers/results.js";
import type { SmallPlateOptions } from "../helpers/small-plate.js";
import { thrown } from "../helpers/throws.js";
import { writeTiff } from "../helpers/tiff.js";
import { csv, go, plateIn, segment, statusOf, wells } from "./small-runs.js";

const folder = temporaryFolders();
const make = (options: SmallPlateOptions = {}) => plateIn(folder, options);

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
    await run(
      segment,
      { ...plate, planes: plate.planes.map((p) => ({ ...p, bytes: 600 })) },
      { out, resume: true },
    );
    expect(statusOf(out)).toEqual({ A01: "failed" });
    expect(Math.max(...Array.from((await pixels(out, "A/1/0/0")).data))).toBe(0);
  });

  test("leaves nothing of results under another label name or in the other Zarr format", async () => {
    const { root, out } = make({ wells: ["A01"] });
    const named = (name: string) =>
      pipeline("p").step("s", op.maxProject(), op.threshold({ value: 40 }), op.label({ name }));
    await go(root, out, {}, named("old"));
    await go(root, out, { resume: true, zarr: "0.4" }, named("new"));
    const clean = join(folder(), "out");
    await go(root, clean, { zarr: "0.4" }, named("new"));
    expect(storeDigests(out)).toEqual(storeDigests(clean));
    await go(root, out, { resume: true, zarr: "0.4" }, named("newer"));
    expect(readdirSync(join(out, "plate.ome.zarr", "A/1/0/labels")).sort()).toEqual([
      ".zattrs",
      ".zgroup",
      "newer",
    ]);
  });

  test("adds wells to those of an earlier run", async () => {
    const { root, out } = make();
    await go(root, out, { wells: ["A01", "B02"] });
    await go(root, out, { wells: ["A02"], resume: true });
    const metadata = JSON.parse(readFileSync(join(out, "plate.ome.zarr", "zarr.json"), "utf8"));
    expect(metadata.attributes.ome.plate.wells.map((w: { path: string }) => w.path)).toEqual([
      "A/1",
      "A/2",
      "B/2",
    ]);
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
    const many = Array.from(
      { length: 24 },
      (_, i) => `${"AB"[Math.floor(i / 12)]}${String((i % 12) + 1).padStart(2, "0")}`,
    );
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
    for (const w of [many[0], many.at(-1)] as string[])
      await pixels(out, `${w[0]}/${Number(w.slice(1))}/0/0`);

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
