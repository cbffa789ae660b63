// SPDX-License-Identifier: MIT
// op.stitch through run(): places against known ones, what becomes of fields that cannot be matched, and the images that it makes.

import { readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isTilecastError } from "../../lib/errors.js";
import { native } from "../../lib/native.js";
import { op } from "../../lib/ops/index.js";
import type { Alignment } from "../../lib/orchestrator/alignment.js";
import { compile } from "../../lib/orchestrator/compile.js";
import { type Pipeline, pipeline } from "../../lib/orchestrator/pipeline.js";
import { run } from "../../lib/orchestrator/run.js";
import { openPlate } from "../../lib/plates/index.js";
import { DiskStore } from "../../lib/stores/index.js";
import { alignmentsOf, farthest, runOver, states } from "../helpers/alignments.js";
import { temporaryFolders } from "../helpers/folder.js";
import { type MosaicField, type MosaicPlateOptions, mosaicPlate } from "../helpers/mosaic-plate.js";
import { phenixPlate } from "../helpers/phenix-plate.js";
import { pixels, runJson, storeDigests, table } from "../helpers/results.js";
import { needsData, shared } from "../helpers/shared.js";
import { hash } from "../helpers/small-plate.js";
import { writeTiff } from "../helpers/tiff.js";

const folder = temporaryFolders();
type Stitch = Parameters<typeof op.stitch>[0];

const stitch = (p: Stitch = {}) => pipeline("stitch").step("stitch", op.stitch({ overlap: 20, ...p }));
const stitched = (plate: MosaicPlateOptions, p: Stitch = {}) => runOver(folder(), plate, stitch(p));

const only = (found: readonly Alignment[]) => {
  expect(found).toHaveLength(1);
  return found[0] as Alignment;
};

describe("places of fields", () => {
  test("a whole number of pixels off are found to a tenth, and their canvas is exact", async () => {
    const { found, fields, report } = await stitched({ rows: 3, columns: 3 });
    expect(report.outcome).toBe("complete");
    expect(states(only(found))).toEqual({ used: 12 });
    expect(farthest(only(found), fields)).toBeLessThan(0.1);
    const whole = only(found).images.map((i) => ({ ...i, y: Math.round(i.y), x: Math.round(i.x) }));
    const [first] = whole;
    const [origin] = fields;
    for (const [i, f] of fields.entries()) {
      expect((whole[i]?.y ?? 0) - (first?.y ?? 0)).toBe(f.y - (origin?.y ?? 0));
      expect((whole[i]?.x ?? 0) - (first?.x ?? 0)).toBe(f.x - (origin?.x ?? 0));
    }
  });

  test.each<[string, MosaicPlateOptions]>([
    [
      "fractions of a pixel off",
      { jitter: (_, site) => ({ y: 3.3 * Math.sin(site), x: 4.7 * Math.cos(3 * site) }) },
    ],
    ["under noise", { noise: 80 }],
    ["under noise and shading", { noise: 40, shading: 0.6 }],
    [
      "where the stage's scale and turn are off",
      { jitter: (_, site) => ({ y: 1.2 * (site % 3) - site, x: 2 * (site % 3) + site }) },
    ],
    ["in few objects", { density: 4 }],
    ["in a crowd", { density: 60 }],
  ])("%s are found within half a pixel", async (_, plate) => {
    const { found, fields } = await stitched({ rows: 3, columns: 3, ...plate });
    expect(states(only(found)).used).toBeGreaterThanOrEqual(8);
    expect(farthest(only(found), fields)).toBeLessThan(0.5);
  });

  test("are those of the grid where nothing is to be seen, or only noise", async () => {
    const { found, out, report } = await stitched(
      { rows: 2, columns: 3, density: 0, shading: 0.5 },
      { columns: 3 },
    );
    expect(report.outcome).toBe("complete");
    expect(states(only(found)).used).toBeUndefined();
    for (const i of only(found).images) {
      expect(i).toMatchObject({ y: i.expected.y, x: i.expected.x, links: 0, group: i.member });
    }
    expect(runJson(out).remarks).toContainEqual(
      expect.stringMatching(/^stitch: 7 of 7 pairs of images were not matched or contradict others/),
    );
  });

  test("are those of the grid where fields do not overlap, or are not to be aligned", async () => {
    const apart = { rows: 2, columns: 2, pitch: { y: 192, x: 216 }, jitter: () => ({ y: 0, x: 0 }) };
    const { found, out } = await stitched(apart, { overlap: 0 });
    expect(only(found).pairs).toEqual([]);
    expect(runJson(out).remarks).toContainEqual(
      expect.stringContaining("in 1 of 1 groups no images overlap enough"),
    );
    const { found: none, out: still } = await stitched({}, { align: false });
    expect(none).toEqual([]);
    expect((await pixels(still, "A/1/0/0")).shape).toEqual([1, 154 + 192, 173 + 216]);
  });

  test("of a field with nothing in common with its neighbours follow the others", async () => {
    const lost = 5;
    const { found, fields } = await stitched({
      rows: 3,
      columns: 3,
      // 2 % larger than the grid, and one field elsewhere altogether.
      jitter: (_, site) =>
        site === lost ? { y: 900, x: 900 } : { y: 2 * Math.floor((site - 1) / 3), x: 2 * ((site - 1) % 3) },
    });
    const at = only(found).images.find((i) => i.member === lost);
    expect(at?.links).toBe(0);
    const others = { ...only(found), images: only(found).images.filter((i) => i.member !== lost) };
    expect(farthest(others, fields)).toBeLessThan(0.3);
    const [first] = only(found).images;
    expect((at?.y ?? 0) - (first?.y ?? 0)).toBeCloseTo(154 + 2, 0);
    expect((at?.x ?? 0) - (first?.x ?? 0)).toBeCloseTo(173 + 2, 0);
  });

  test("stay within maxShift of the grid", async () => {
    const { found } = await stitched(
      { jitter: (_, site) => ({ y: 0, x: site === 2 || site === 4 ? 12 : 0 }) },
      { maxShift: 5 },
    );
    for (const p of only(found).pairs.filter((q) => q.state === "used")) {
      expect(Math.hypot(p.y - p.expected.y, p.x - p.expected.x)).toBeLessThan(5 * Math.SQRT2 + 1);
    }
    expect(states(only(found)).used).toBe(2); // the upper with the lower ones
  });
});

describe("stage positions", () => {
  const scaleOf = (out: string) => {
    const text = readFileSync(join(out, "plate.ome.zarr/A/1/0/zarr.json"), "utf8");
    const { attributes } = JSON.parse(text) as {
      attributes: {
        ome: { multiscales: { datasets: { coordinateTransformations: { scale: number[] }[] }[] }[] };
      };
    };
    return attributes.ome.multiscales[0]?.datasets[0]?.coordinateTransformations[0]?.scale.slice(-2);
  };

  test.each([1, 2])(
    "place fields, y upwards, in pixels of the size that there is (binned %i times)",
    async (factor) => {
      const root = join(folder(), "plate");
      const planes = phenixPlate(root, { wells: [[1, 1]], fields: 4, channels: ["DAPI"] });
      const out = join(folder(), "out");
      const p = pipeline("s").step("all", ...(factor > 1 ? [op.bin({ factor })] : []), op.stitch());
      const report = await run(p, await openPlate(root), { out, threads: 1 });
      expect(report.outcome).toBe("complete");
      const um = 0.29688 * factor;
      const far = Math.round(640 / um);
      const { data, shape } = await pixels(out, "A/1/0/0");
      expect(shape).toEqual([1, far + 12 / factor, far + 16 / factor]);
      const width = far + 16 / factor;
      const corners = [0, far, far * width, far * width + far].map((i) => data[i]);
      expect(corners).toEqual(planes.map((q) => q.value));
      for (const size of scaleOf(out) ?? []) expect(size).toBeCloseTo(um, 9);
    },
  );
});

describe("cells of a real image, cut into fields with noise of their own", () => {
  const root = shared("data", "human-cells");

  needsData(root, "human-cells");

  test("are put together again", async () => {
    await using store = new DiskStore(root as string);
    for (const name of ["d0", "d1", "d2"]) {
      const { pixels: cells } = await store.readImage(`AS_09125_050116030001_D03f00${name}.tif`);
      const at = folder();
      const truth: MosaicField[] = [];
      for (let site = 1; site <= 4; site++) {
        const y = site > 2 ? 224 - (hash(site, 1) % 12) : hash(site, 1) % 6;
        const x = site % 2 === 0 ? 224 - (hash(site, 2) % 12) : hash(site, 2) % 6;
        truth.push({ well: "A01", site, y, x });
        writeTiff(join(at, "plate", `cells_A01_s${site}_w1.tif`), {
          width: 280,
          height: 280,
          dtype: "uint8",
          value: (u, v) => Math.min(255, (cells[(y + v) * 512 + x + u] as number) + (hash(site, u, v) % 5)),
        });
      }
      const out = join(at, "out");
      await run(stitch(), await openPlate(join(at, "plate")), { out, threads: 2 });
      const found = only(alignmentsOf(out));
      for (const p of found.pairs.filter(({ state }) => state === "used")) {
        const [a, b] = [truth[p.first - 1], truth[p.second - 1]] as [MosaicField, MosaicField];
        expect(
          Math.hypot(p.y - (b.y - a.y), p.x - (b.x - a.x)),
          `${name}, ${p.first} and ${p.second}`,
        ).toBeLessThan(0.3);
      }
      // The second channel is dim: of three of its pairs nothing is to be seen in the noise.
      if (name !== "d1") expect(farthest(found, truth), name).toBeLessThan(0.2);
    }
  });
});

describe("a stitched image", () => {
  const flatScene = {
    noise: 0,
    rows: 3,
    columns: 2,
    density: 30,
    scene: { height: 800, width: 700 },
  } as const;

  test("is the scene, without seams, whatever the blend", async () => {
    for (const blend of ["linear", "none", "max"] as const) {
      const { out, fields } = await stitched(flatScene, { blend, columns: 2 });
      const top = Math.min(...fields.map((f) => f.y));
      const left = Math.min(...fields.map((f) => f.x));
      const whole = await pixels(out, "A/1/0/0");
      const height = Math.max(...fields.map((f) => f.y)) - top + 192;
      const width = Math.max(...fields.map((f) => f.x)) - left + 216;
      expect(whole.shape).toEqual([1, height, width]);
      expect(whole.dtype).toBe("uint16");
      // The whole scene as one field of another plate.
      const root = join(folder(), "plate");
      mosaicPlate(root, {
        ...flatScene,
        rows: 1,
        columns: 1,
        height,
        width,
        jitter: () => ({ y: top, x: left }),
      });
      const once = join(folder(), "out");
      await run(pipeline("one").step("same", op.convert({ dtype: "uint16" })), await openPlate(root), {
        out: once,
      });
      const truth = await pixels(once, "A/1/0/0");
      const covered = (y: number, x: number) =>
        fields.some((f) => y >= f.y - top && y < f.y - top + 192 && x >= f.x - left && x < f.x - left + 216);
      let wrong = 0;
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const at = y * width + x;
          if (whole.data[at] !== (covered(y, x) ? truth.data[at] : 0)) wrong++;
        }
      }
      expect(wrong).toBe(0);
    }
  });

  test("counts objects that lie across fields once", async () => {
    const p = stitch({ columns: 2 }).step(
      "find",
      op.threshold({ value: 180 }),
      op.label(),
      op.measure(["area", "centroid"]),
    );
    const { out, report } = await runOver(folder(), flatScene, p);
    const alone = pipeline("fields").step(
      "find",
      op.threshold({ value: 180 }),
      op.label(),
      op.measure(["area"]),
    );
    const fields = await runOver(folder(), flatScene, alone);
    expect(report.outcome).toBe("complete");
    const labels = await pixels(out, "A/1/0/labels/objects/0");
    expect(Array.from(labels.data).reduce((a, b) => Math.max(a, b))).toBe(table(out).length);
    // Each mask pixel is in one object; field by field those in the overlaps are in several.
    const area = (rows: ReturnType<typeof table>) => rows.reduce((s, r) => s + Number(r.area), 0);
    const image = await pixels(out, "A/1/0/0");
    expect(area(table(out))).toBe(Array.from(image.data).filter((v) => v > 180).length);
    expect(table(fields.out).length).toBeGreaterThan(table(out).length);
  });

  test("lies by one channel's places in all channels, and can be measured across them", async () => {
    const p = stitch({ channel: 2 }).step("find", {
      1: [
        op.threshold({ value: 180 }),
        op.label(),
        op.measure(["mean_intensity"], { intensity: { gfp: { step: "stitch", channel: 2 } } }),
      ],
      2: [op.save()],
    });
    const { out, found, fields, report } = await runOver(folder(), { channels: 2, noise: 0 }, p);
    expect(report.outcome).toBe("complete");
    expect(farthest(only(found), fields)).toBeLessThan(0.1);
    const { data, shape } = await pixels(out, "A/1/0/0");
    const [, height = 0, width = 0] = shape;
    // The second channel has half of the first one's light, rounded.
    for (let i = 0; i < height * width; i += 7)
      expect(Math.abs((data[i] ?? 0) / 2 - (data[height * width + i] ?? 0))).toBeLessThanOrEqual(0.75);
    expect(table(out).every((r) => Number(r.mean_intensity_gfp) > 80)).toBe(true);
  });

  test("has a hole where a field is missing", async () => {
    const { out, fields, found } = await stitched({ rows: 3, columns: 3, withhold: (_, site) => site === 5 });
    expect(only(found).images).toHaveLength(8);
    expect(farthest(only(found), fields)).toBeLessThan(0.3);
    const { data, shape } = await pixels(out, "A/1/0/0");
    const [, , width = 0] = shape;
    const [first, hole] = [fields[0], fields[4]];
    const origin = Math.min(...fields.map((f) => f.y));
    const left = Math.min(...fields.map((f) => f.x));
    expect(data[((hole?.y ?? 0) - origin + 96) * width + (hole?.x ?? 0) - left + 108]).toBe(0);
    expect(data[((first?.y ?? 0) - origin + 96) * width + (first?.x ?? 0) - left + 108]).toBeGreaterThan(0);
  });

  test("is the same on any number of threads", async () => {
    const plate = { wells: ["A01", "B02"], noise: 40 };
    const root = join(folder(), "plate");
    mosaicPlate(root, plate);
    const digests: Record<string, string>[] = [];
    for (const threads of [1, 2]) {
      const out = join(folder(), "out");
      await run(stitch(), await openPlate(root), { out, threads });
      digests.push({ ...storeDigests(out), positions: readFileSync(join(out, "positions.csv"), "utf8") });
    }
    expect(digests[0]).toEqual(digests[1]);
  });

  test("holds one field at a time in memory, however many there are", async () => {
    const slots = async (rows: number, columns: number, p: Pipeline) => {
      const root = join(folder(), "plate");
      mosaicPlate(root, { rows, columns, height: 32, width: 32 });
      const plan = compile(p, await openPlate(root));
      return Math.max(...plan.programs.map((program) => native().Runner.slotsNeeded(program)));
    };
    for (const p of [
      stitch(),
      pipeline("s").step("all", op.gaussian({ sigma: 1 }), op.stitch({ overlap: 20 })),
    ]) {
      expect(await slots(2, 2, p)).toBe(await slots(4, 4, p));
    }
  });
});

describe("a run that stitches", () => {
  test("corrects the illumination first, and compares corrected fields", async () => {
    const p = pipeline("s").step("all", op.flatField({ sigma: 20, shrink: 4 }), op.stitch({ overlap: 20 }));
    const { found, fields, report } = await runOver(folder(), { rows: 3, columns: 3, shading: 0.6 }, p);
    expect(report.outcome).toBe("complete");
    expect(farthest(only(found), fields)).toBeLessThan(0.2);
    expect(report.timings.map((t) => t.op)).toEqual(expect.arrayContaining(["align", "place", "flat_field"]));
  });

  test("stitches every slice of a stack by its middle one, or the stack's projection", async () => {
    const slices = await runOver(folder(), { slices: 3, noise: 0 }, stitch());
    expect(farthest(only(slices.found), slices.fields)).toBeLessThan(0.1);
    const stack = await pixels(slices.out, "A/1/0/0");
    const projected = pipeline("p")
      .step("project", op.maxProject())
      .step("stitch", op.stitch({ overlap: 20 }));
    const max = await runOver(folder(), { slices: 3, noise: 0 }, projected);
    expect(only(max.found).images).toEqual(only(slices.found).images);
    const image = await pixels(max.out, "A/1/0/0");
    const [, depth, height = 0, width = 0] = stack.shape;
    expect([depth, ...image.shape]).toEqual([3, 1, height, width]);
    // The first slice is the brightest.
    expect(Array.from(image.data)).toEqual(Array.from(stack.data).slice(0, height * width));
  });

  test("may take another channel's image before the stitch", async () => {
    const p = pipeline("s")
      .step("raw", op.convert({ dtype: "float32" }))
      .step("all", op.subtract({ image: { step: "raw", channel: 2 } }), op.stitch({ overlap: 20 }));
    const { found, fields, report, out } = await runOver(folder(), { channels: 2, noise: 0 }, p);
    expect(report.failures).toEqual([]);
    expect(farthest(only(found), fields)).toBeLessThan(0.1);
    const { data, shape } = await pixels(out, "A/1/0/0");
    expect(shape[0]).toBe(2);
    expect(Array.from(data).reduce((a, b) => Math.max(a, b))).toBeGreaterThan(100);
  });

  test("lists every field's place in positions.csv", async () => {
    const { out, found } = await stitched({ wells: ["A01", "B01"] });
    const [head, ...lines] = readFileSync(join(out, "positions.csv"), "utf8").trimEnd().split("\n");
    expect(head).toBe("plate,well,site,timepoint,channel,step,y,x,expected_y,expected_x,moved,links,group");
    expect(lines.map((l) => l.split(",").slice(1, 6).join())).toEqual(
      ["A01", "B01"].flatMap((w) => [1, 2, 3, 4].map((s) => `${w},${s},,,stitch`)),
    );
    expect(found.map((a) => a.well)).toEqual(["A01", "B01"]);
    for (const line of lines)
      expect(
        line
          .split(",")
          .slice(6)
          .every((v) => Number.isFinite(Number(v))),
      ).toBe(true);
  });

  test("does not look for places again when it is resumed", async () => {
    const at = folder();
    const { root, out, found } = await runOver(at, { wells: ["A01", "B01"] }, stitch());
    const positions = readFileSync(join(out, "positions.csv"), "utf8");
    const again = await run(stitch(), await openPlate(root), { out, threads: 2, resume: true });
    expect(again.planes.reused).toBe(8);
    expect(again.timings).toEqual([]);
    expect(alignmentsOf(out)).toEqual(found);
    // A well whose files have changed is looked at again, the other is not.
    mosaicPlate(root, { wells: ["B01"], jitter: () => ({ y: 0, x: 0 }) });
    const changed = await run(stitch(), await openPlate(root), { out, threads: 2, resume: true });
    expect(changed.planes).toMatchObject({ reused: 4, done: 4 });
    const now = readFileSync(join(out, "positions.csv"), "utf8").split("\n");
    expect(now.slice(0, 5)).toEqual(positions.split("\n").slice(0, 5));
    expect(now.slice(5)).not.toEqual(positions.split("\n").slice(5));
    // Other wells in another run of the same folder stay listed.
    const one = await run(stitch(), await openPlate(root), { out, threads: 2, resume: true, wells: ["B01"] });
    expect(one.planes.reused).toBe(4);
    expect(readFileSync(join(out, "positions.csv"), "utf8").split("\n")).toEqual(now);
  });

  test("fails a well with a field that cannot be decoded, and no other", async () => {
    const at = folder();
    const root = join(at, "plate");
    mosaicPlate(root, { wells: ["A01", "B01"] });
    const plate = await openPlate(root);
    truncateSync(join(root, "demo_A01_s2_w1.tif"), 20_000);
    const report = await run(stitch(), plate, { out: join(at, "out"), threads: 2 });
    expect(report.wells.map((w) => [w.well, w.status])).toEqual([
      ["A01", "failed"],
      ["B01", "done"],
    ]);
    expect(report.failures).toHaveLength(1);
    expect(report.failures[0]?.path).toMatch(/demo_A01_s2_w1\.tif$/);
  });

  test("fails a well with a field that could not be read when the plate was opened", async () => {
    const at = folder();
    const root = join(at, "plate");
    mosaicPlate(root, { wells: ["A01", "B01"] });
    truncateSync(join(root, "demo_A01_s2_w1.tif"), 3);
    const report = await run(stitch(), await openPlate(root), { out: join(at, "out"), threads: 2 });
    expect(report.outcome).toBe("incomplete");
    expect(report.wells.map((w) => [w.well, w.status])).toEqual([
      ["A01", "failed"],
      ["B01", "done"],
    ]);
    expect(report.failures.map((f) => [f.well, f.site, f.code])).toEqual([
      ["A01", 2, "ERR_PLANE_UNREADABLE"],
    ]);
    expect(alignmentsOf(join(at, "out")).map((a) => [a.well, a.images.length])).toEqual([
      ["A01", 3],
      ["B01", 4],
    ]);
  });

  test("can be cancelled while places are looked for", async () => {
    const abort = new AbortController();
    const root = join(folder(), "plate");
    mosaicPlate(root, { wells: ["A01", "B01", "C01"], rows: 3, columns: 3 });
    const report = await run(stitch(), await openPlate(root), {
      out: join(folder(), "out"),
      threads: 1,
      signal: abort.signal,
      onProgress: (p) => {
        expect(p.phase).toBe("estimate");
        abort.abort();
      },
    });
    expect(report.outcome).toBe("cancelled");
    expect(report.planes).toMatchObject({ done: 0, cancelled: 27 });
  });
});

describe("a stitch that cannot be", () => {
  test.each<[string, (p: Pipeline) => Pipeline, string, string]>([
    [
      "in a chain of one channel",
      (p) => p.step("s", { 1: [op.stitch({ overlap: 10 })] }),
      'step "s": stitch moves all channels together; give the step one chain for every channel',
      "stitch",
    ],
    [
      "twice",
      (p) => p.step("s", op.stitch({ overlap: 10 }), op.stitch({ overlap: 10 })),
      'step "s": fields are stitched twice; after the first stitch a well has one image',
      "stitch",
    ],
    [
      "after a projection over sites",
      (p) => p.step("s", op.maxProject({ over: "site" }), op.stitch({ overlap: 10 })),
      'step "s": stitch comes after a projection over sites, which leaves one field',
      "stitch",
    ],
    [
      "of saved fields",
      (p) => p.step("s", op.save(), op.stitch({ overlap: 10 })),
      'step "s": save() comes before stitch; a well has one image, the stitched one',
      "save",
    ],
    [
      "of labels",
      (p) => p.step("s", op.threshold({ value: 1 }), op.label(), op.stitch({ overlap: 10 })),
      'step "s": stitch takes image, and channel 1 (well A01, site 1, timepoint 1) is labels here; labels can be measured, expanded, filtered, cropped and turned',
      "stitch",
    ],
    [
      "without places",
      (p) => p.step("s", op.stitch()),
      'step "s": stitch: the plate\'s metadata does not say where sites lie; give "overlap" (%) and, for other than a square, "columns"',
      "overlap",
    ],
    [
      "on a channel that there is not",
      (p) => p.step("s", op.stitch({ overlap: 10, channel: "RFP" })),
      'step "s": stitch names channel "RFP", which plate demo does not have; it has 1',
      "RFP",
    ],
  ])("is refused before a pixel is read: %s", async (_, build, message, argument) => {
    const root = join(folder(), "plate");
    mosaicPlate(root, { height: 24, width: 24 });
    const plate = await openPlate(root);
    let error: unknown;
    try {
      compile(build(pipeline("p")), plate);
    } catch (e) {
      error = e;
    }
    if (!isTilecastError(error, "ERR_PIPELINE")) throw error ?? new Error("not refused");
    expect(error.message).toBe(message);
    expect(error.argument).toBe(argument);
  });
});
