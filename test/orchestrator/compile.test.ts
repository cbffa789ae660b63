// SPDX-License-Identifier: MIT
// Compiling a pipeline against a plate: what is refused before a pixel is read, which planes are chosen, jobs, layout.

import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { op } from "../../lib/ops/index.js";
import { compile } from "../../lib/orchestrator/compile.js";
import { promote, pyramidLevels, splitWell } from "../../lib/orchestrator/layout.js";
import { type Pipeline, pipeline } from "../../lib/orchestrator/pipeline.js";
import type { Plan } from "../../lib/orchestrator/plan.js";
import { openPlate, type Plate } from "../../lib/plates/index.js";
import { temporaryFolders } from "../helpers/folder.js";
import { shared } from "../helpers/shared.js";
import { type SmallPlateOptions, smallPlate } from "../helpers/small-plate.js";
import { thrown } from "../helpers/throws.js";

const folder = temporaryFolders();

async function plateOf(options: SmallPlateOptions = {}): Promise<Plate> {
  const root = join(folder(), "plate");
  smallPlate(root, { width: 8, height: 6, ...options });
  return openPlate(root);
}

const named = { channels: [3, 0], names: ["DAPI", "GFP"] } as const;

/** Code and message of the refusal. */
async function refusal(p: Pipeline, plate: Plate): Promise<string> {
  const error = await thrown(() => compile(p, plate));
  return `${error.code}: ${error.message}`;
}

const segment = pipeline("p").step("project", op.maxProject()).step("segment", op.otsu(), op.label());

describe("before any pixel is read, a pipeline is refused", () => {
  test("without a step", async () => {
    expect(await refusal(pipeline("empty"), await plateOf())).toBe(
      'ERR_PIPELINE: pipeline "empty" has no step',
    );
  });

  test("that names a channel the plate does not have, in a chain", async () => {
    const p = pipeline("p").step("smooth", { Cy5: [op.gaussian({ sigma: 1 })] });
    expect(await refusal(p, await plateOf(named))).toBe(
      'ERR_PIPELINE: step "smooth" names channel "Cy5", which plate demo does not have; it has 1 (DAPI), 2 (GFP)',
    );
  });

  test("that names a channel the plate does not have, in a measurement", async () => {
    const p = segment.step(
      "measure",
      op.measure(["mean_intensity"], { intensity: { far: { channel: "Cy5" } } }),
    );
    expect(await refusal(p, await plateOf(named))).toBe(
      'ERR_PIPELINE: step "measure": measure names channel "Cy5", which plate demo does not have; it has 1 (DAPI), 2 (GFP)',
    );
  });

  test("whose chain does not fit together, with the op to put in", async () => {
    const plate = await plateOf();
    const at = "channel 1 (well A01, site 1, timepoint 1)";
    expect(await refusal(pipeline("p").step("label", op.label()), plate)).toBe(
      `ERR_PIPELINE: step "label": label takes mask, and ${at} is an image here; put otsu() or threshold() before it`,
    );
    expect(await refusal(pipeline("p").step("m", op.measure()), plate)).toBe(
      `ERR_PIPELINE: step "m": measure takes labels, and ${at} is an image here; put label() before it`,
    );
    expect(await refusal(pipeline("p").step("s", op.otsu(), op.gaussian({ sigma: 1 })), plate)).toBe(
      `ERR_PIPELINE: step "s": gaussian takes image, and ${at} is a mask here; a mask is not an image: give it to label(), or save it`,
    );
    expect(await refusal(segment.step("x", op.gaussian({ sigma: 1 })), plate)).toBe(
      `ERR_PIPELINE: step "x": gaussian takes image, and ${at} is labels here; labels can be measured, expanded, filtered, cropped and turned`,
    );
  });

  test("that gives an op a dtype it does not take", async () => {
    expect(
      await refusal(pipeline("p").step("s", op.sumProject(), op.otsu()), await plateOf({ channels: [2] })),
    ).toBe(
      'ERR_OP_DTYPE: step "s": otsu does not take uint32, which channel 1 (well A01, site 1, timepoint 1) is here; ' +
        'expected uint8, int8, uint16, int16, float32, float64. Put op.convert({ dtype: "float32" }) before it',
    );
  });

  test("that measures or saves twice, or makes two label images of one name", async () => {
    const plate = await plateOf();
    expect(await refusal(segment.step("a", op.measure()).step("b", op.measure(["area"])), plate)).toBe(
      'ERR_PIPELINE: step "b": channel 1 is measured twice; put all features into one measure()',
    );
    expect(
      await refusal(
        pipeline("p")
          .step("a", op.save())
          .step("b", op.gaussian({ sigma: 1 }), op.save()),
        plate,
      ),
    ).toBe("ERR_PIPELINE: channel 1 is saved twice; a field has one image");
  });

  test("that measures on a step that has no image", async () => {
    const p = segment.step("measure", op.measure(["mean_intensity"], { intensity: "correct" }));
    expect(await refusal(p, await plateOf())).toBe(
      'ERR_PIPELINE: step "measure": measure: there is no earlier step "correct" with an image for channel 1; known: project, segment',
    );
  });

  test("whose projection would mix sizes or dtypes", async () => {
    const plate = await plateOf({
      channels: [2],
      wells: ["A01"],
      special: (path) => (path.startsWith("ZStep_2") ? { width: 10 } : undefined),
    });
    expect(await refusal(pipeline("p").step("project", op.maxProject()), plate)).toBe(
      'ERR_PIPELINE: step "project": maxProject would mix channel 1 (well A01, site 1, timepoint 1, z 1), 8 x 6 uint16, ' +
        "with channel 1 (well A01, site 1, timepoint 1, z 2), 10 x 6 uint16",
    );
  });

  test("that reads no plane", async () => {
    const p = pipeline("p", { planes: "stack" }).step("project", op.maxProject());
    expect(await refusal(p, await plateOf())).toBe(
      'ERR_PIPELINE: pipeline "p" reads no plane of plate demo: stored outside a z stack; the pipeline reads planes: "stack"',
    );
    const error = await thrown(async () => compile(segment, await plateOf(), { wells: [] }));
    expect(error.message).toBe('pipeline "p" reads no plane of plate demo: no well is selected');
  });

  test("for wells that the plate does not have", async () => {
    const error = await thrown(async () => compile(segment, await plateOf(), { wells: ["A01", "H12"] }));
    expect([error.code, error.message]).toEqual(["ERR_INVALID_ARGUMENT", "wells: plate demo has no H12"]);
  });
});

/** Job sources as z by channel, and the unused planes, of one field. */
function choice(plan: Plan): { read: Record<string, (number | null)[]>; unused: Record<string, number> } {
  const read: Record<string, (number | null)[]> = {};
  for (const s of plan.jobs.flatMap((j) => j.sources)) {
    const list = read[s.channel] ?? [];
    read[s.channel] = list;
    list.push(s.z_index);
  }
  const unused: Record<string, number> = {};
  for (const u of plan.unused) unused[u.reason] = (unused[u.reason] ?? 0) + 1;
  return { read, unused };
}

describe("the planes that are read", () => {
  const mixed = { wells: ["A01"], channels: [2, 2, 0], projected: [2] } as const;
  const projected = (planes: "auto" | "stack" | "stored") =>
    pipeline("p", { planes }).step("project", op.maxProject());

  test("are the slices where a channel has any, else what is stored", async () => {
    expect(choice(compile(projected("auto"), await plateOf(mixed)))).toEqual({
      read: { 1: [1, 2], 2: [1, 2], 3: [null] },
      unused: { 'acquired projection beside a z stack; planes: "stored" reads it': 1 },
    });
  });

  test("are slices only, on request", async () => {
    expect(choice(compile(projected("stack"), await plateOf(mixed)))).toEqual({
      read: { 1: [1, 2], 2: [1, 2] },
      unused: { 'stored outside a z stack; the pipeline reads planes: "stack"': 2 },
    });
  });

  test("are stored planes only, on request", async () => {
    expect(choice(compile(projected("stored"), await plateOf(mixed)))).toEqual({
      read: { 2: [null], 3: [null] },
      unused: { 'slice of a z stack; the pipeline reads planes: "stored"': 4 },
    });
  });

  const real = shared("data", "imagexpress-plate", "2023-02-21", "1334");
  test.skipIf(!real)("of the real ImageXpress plate are all read or listed as unused", async () => {
    const plate = await openPlate(real as string);
    for (const planes of ["auto", "stack", "stored"] as const) {
      const plan = compile(projected(planes), plate);
      const read = plan.jobs.flatMap((j) => j.sources);
      expect(read.length).toBeGreaterThan(0);
      expect(new Set([...read, ...plan.unused.map((u) => u.plane)])).toEqual(new Set(plate.planes));
      expect(read.length + plan.unused.length).toBe(plate.planes.length);
      if (planes === "auto") expect(plan.fields).toHaveLength(4);
      if (planes === "auto") expect(new Set(read.map((p) => p.channel))).toEqual(new Set([1, 2, 3, 4]));
    }
  });
});

describe("jobs", () => {
  test("of equal shape share one program", async () => {
    const plan = compile(
      segment,
      await plateOf({ wells: ["A01", "A02", "B01"], sites: 2, channels: [2, 2] }),
    );
    expect(plan.jobs).toHaveLength(12);
    expect(plan.programs).toHaveLength(1);
    expect(Math.max(...plan.jobs.map((j) => j.tileBytes))).toBe(8 * 6 * 4); // labels are int32
  });

  test("are one a channel, one a plane without projection, one a field when channels are measured on each other", async () => {
    const plate = await plateOf({ wells: ["A01"], channels: [3, 3] });
    expect(compile(segment, plate).jobs).toHaveLength(2);
    expect(compile(pipeline("p").step("smooth", op.gaussian({ sigma: 1 })), plate).jobs).toHaveLength(6);
    const joint = segment.step("m", op.measure(["mean_intensity"], { intensity: { other: { channel: 2 } } }));
    const plan = compile(joint, plate);
    expect(plan.jobs.map((j) => j.channels)).toEqual([[1, 2]]);
    expect(plan.jobs[0]?.parts.map((p) => p.rowPrefix)).toEqual(["demo,A01,1,1,1,", "demo,A01,1,2,1,"]);
  });

  test("that project over sites or timepoints take all of them", async () => {
    const plate = await plateOf({ wells: ["A01"], sites: 3, timepoints: 2 });
    const over = (over: "site" | "timepoint") =>
      compile(pipeline("p").step("s", op.maxProject({ over })), plate);
    expect(over("site").jobs.map((j) => j.sources.map((s) => s.site))).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ]);
    expect(over("timepoint").jobs.map((j) => j.sources.map((s) => s.timepoint))).toEqual([
      [1, 2],
      [1, 2],
      [1, 2],
    ]);
    const variable = pipeline("p").step("s", op.maxProject(), { variableComponents: ["site", "timepoint"] });
    expect(compile(variable, plate).jobs.map((j) => j.sources.length)).toEqual([6]);
  });

  test("an estimate reads evenly spaced fields, at most as many as asked for", async () => {
    const wells = Array.from({ length: 12 }, (_, i) => `A${String(i + 1).padStart(2, "0")}`);
    const plan = compile(
      pipeline("p").step("c", op.flatField({ from: "mean", images: 4 })),
      await plateOf({ wells }),
    );
    const [estimate, ...more] = plan.resources;
    expect(more).toEqual([]);
    expect(estimate).toMatchObject({ kind: "estimate", method: "mean", height: 6, width: 8 });
    expect(estimate?.kind === "estimate" && estimate.jobs.map((j) => j.well)).toEqual([
      "A01",
      "A04",
      "A07",
      "A10",
    ]);
  });

  test("each channel and size has an estimate of its own", async () => {
    const plan = compile(
      pipeline("p").step("c", op.flatField()),
      await plateOf({
        channels: [0, 0],
        special: (path) => (path === "demo_A02_s1_w2.tif" ? { width: 12 } : undefined),
      }),
    );
    expect(plan.resources.map((r) => r.kind === "estimate" && r.label)).toEqual([
      'channel 1, 8 x 6 px, step "c"',
      'channel 2, 8 x 6 px, step "c"',
      'channel 2, 12 x 6 px, step "c"',
    ]);
  });

  test("a channel without a chain passes a step unchanged", async () => {
    const plan = compile(
      pipeline("p").step("s", { GFP: [op.gaussian({ sigma: 1 })] }),
      await plateOf({ ...named, channels: [0, 0] }),
    );
    const ops = plan.jobs.map((j) => plan.programs[j.program]?.code.map((i) => i.op));
    expect(ops.slice(0, 2)).toEqual([
      ["read", "writeImage", "thumbnail"],
      ["read", "apply", "writeImage", "thumbnail"],
    ]);
  });
});

describe("the layout", () => {
  const axesOf = (plan: Plan) => {
    const image = plan.fields[0]?.images[0];
    return [image?.axes.join(""), image?.shape];
  };

  test("has t where there is time and z where stacks stay", async () => {
    const plate = await plateOf({ wells: ["A01"], channels: [3, 3], timepoints: 2 });
    expect(axesOf(compile(segment, plate))).toEqual(["tcyx", [2, 2, 6, 8]]);
    expect(axesOf(compile(pipeline("p").step("s", op.gaussian({ sigma: 1 })), plate))).toEqual([
      "tczyx",
      [2, 2, 3, 6, 8],
    ]);
    expect(axesOf(compile(segment, await plateOf()))).toEqual(["cyx", [1, 6, 8]]);
  });

  test("is one field a site, in the order of sites, one label image beside its image", async () => {
    const plan = compile(segment, await plateOf({ wells: ["B03"], sites: 2 }));
    expect(plan.fields.map((f) => [f.path, f.images.map((i) => i.path)])).toEqual([
      ["B/3/0", ["B/3/0", "B/3/0/labels/objects"]],
      ["B/3/1", ["B/3/1", "B/3/1/labels/objects"]],
    ]);
  });

  test("holds channels of other sizes and dtypes in the largest and the common one, and says so", async () => {
    const plan = compile(
      pipeline("p").step("s", op.save()),
      await plateOf({
        wells: ["A01"],
        channels: [0, 0],
        special: (path) => (path.includes("_w2") ? { width: 12, height: 5, dtype: "uint8" } : undefined),
      }),
    );
    expect(plan.fields[0]?.images.map((i) => [i.shape, i.dtype])).toEqual([[[2, 6, 12], "uint16"]]);
    expect(plan.remarks).toEqual([
      "In 1 image the channels differ in size or dtype: smaller planes are padded with zeros, dtypes promoted.",
    ]);
  });

  test("an image saved after labels keeps its own dtype", async () => {
    const module = new URL("file:///never-loaded.mjs");
    const p = segment.step("view", op.javascript({ module, output: "uint8" }), op.save());
    const images = compile(p, await plateOf()).fields[0]?.images.map((i) => [i.label, i.dtype]);
    expect(Object.fromEntries(images ?? [])).toEqual({ null: "uint8", objects: "int32" });
  });

  test("promotes dtypes without loss", () => {
    expect(promote("uint8", "uint16")).toBe("uint16");
    expect(promote("uint16", "int16")).toBe("int32");
    expect(promote("uint16", "float32")).toBe("float32");
    expect(promote("uint32", "float32")).toBe("float64");
    expect(promote("uint32", "int32")).toBe("float64");
    expect(promote("int8", "uint8")).toBe("int16");
  });

  test("has levels until the longer side is at most 256 px", () => {
    expect(
      [
        [256, 256],
        [257, 10],
        [512, 512],
        [2160, 2160],
        [1, 1],
      ].map(([h, w]) => pyramidLevels(h as number, w as number)),
    ).toEqual([1, 2, 2, 5, 1]);
  });

  test("names rows and columns as the plate does", () => {
    expect(["A01", "AF48", "P24"].map(splitWell)).toEqual([
      { row: "A", column: "1" },
      { row: "AF", column: "48" },
      { row: "P", column: "24" },
    ]);
  });
});
