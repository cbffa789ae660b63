// SPDX-License-Identifier: MIT
// Compiling the catalogue's ops: what does not fit is refused with op, parameter, what is expected and what came; sizes follow the chain.

import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Op, op } from "../../lib/ops/index.js";
import { compile } from "../../lib/orchestrator/compile.js";
import { type Pipeline, pipeline } from "../../lib/orchestrator/pipeline.js";
import { openPlate, type Plate } from "../../lib/plates/index.js";
import { temporaryFolders } from "../helpers/folder.js";
import { pixels, table } from "../helpers/results.js";
import { type SmallPlateOptions, smallPlate } from "../helpers/small-plate.js";
import { thrown } from "../helpers/throws.js";
import { go, plateIn } from "./small-runs.js";

const folder = temporaryFolders();

async function plateOf(options: SmallPlateOptions = {}): Promise<Plate> {
  const root = join(folder(), "plate");
  smallPlate(root, { wells: ["A01"], width: 80, height: 60, ...options });
  return openPlate(root);
}

async function refusal(p: Pipeline, options: SmallPlateOptions = {}): Promise<string> {
  const plate = await plateOf(options);
  const error = await thrown(() => compile(p, plate));
  return `${error.code}: ${error.message}`;
}

const at = "channel 1 (well A01, site 1, timepoint 1)";
const one = (...ops: Op[]) => pipeline("p").step("s", ...ops);
const mask = op.threshold({ value: 60 });

describe("an op is refused before any pixel is read", () => {
  test.each<[string, Op[], string]>([
    [
      "on an image where it takes a mask",
      [op.fillHoles()],
      "fillHoles takes mask, and A is an image here; put otsu() or threshold() before it",
    ],
    [
      "on a mask where it takes labels",
      [mask, op.expandLabels({ distance: 2 })],
      "expandLabels takes labels, and A is a mask here; put label() before it",
    ],
    [
      "on a mask where it takes an image",
      [mask, op.median({ radius: 1 })],
      "median takes image, and A is a mask here; a mask is not an image: give it to label(), or save it",
    ],
    [
      "on labels where it takes images or masks",
      [mask, op.label(), op.open({ radius: 2 })],
      "open takes image or mask, and A is labels here; labels can be measured, expanded, filtered, cropped and turned",
    ],
    [
      "beyond the image's last row",
      [op.crop({ y: 10, height: 51, width: 8 })],
      'crop: "height" must be at most 50 from row 10 of an image of 80 x 60 px, and is 51',
    ],
    [
      "beyond the last column, after a turn",
      [op.rotate({ turn: "90" }), op.crop({ x: 50, height: 80, width: 20 })],
      'crop: "width" must be at most 10 from column 50 of an image of 60 x 80 px, and is 20',
    ],
  ])("%s", async (_, ops, message) => {
    expect(await refusal(one(...ops))).toBe(`ERR_PIPELINE: step "s": ${message.replace("A is", `${at} is`)}`);
  });

  test.each<[string, Op[], string, string]>([
    [
      "median of float64",
      [op.convert({ dtype: "float64" }), op.median({ radius: 2 })],
      "median does not take float64",
      "uint8, int8, uint16, int16, uint32, int32, float32",
    ],
    [
      "CLAHE of float32",
      [op.gaussian({ sigma: 1 }), op.clahe()],
      "clahe does not take float32",
      "uint8, uint16",
    ],
    [
      "Li's threshold of int32",
      [op.convert({ dtype: "int32" }), op.li()],
      "li does not take int32",
      "uint8, int8, uint16, int16, float32, float64",
    ],
  ])("for its dtype: %s", async (_, ops, what, expected) => {
    expect(await refusal(one(...ops))).toBe(
      `ERR_OP_DTYPE: step "s": ${what}, which ${at} is here; expected ${expected}. Put op.convert({ dtype: "float32" }) before it`,
    );
  });

  test("whose second image is no earlier step", async () => {
    expect(await refusal(one(op.clip({ low: 0, high: 9 })).step("d", op.subtract({ image: "smooth" })))).toBe(
      'ERR_PIPELINE: step "d": subtract: there is no earlier step "smooth" with an image for channel 1; known: s',
    );
  });

  test("whose second image has another size", async () => {
    const p = one(op.invert())
      .step("b", op.bin({ factor: 2 }))
      .step("d", op.add({ image: "s" }));
    expect(await refusal(p)).toBe(
      `ERR_PIPELINE: step "d": add: the image of ${at} is 80 x 60 px and the one that it meets is 40 x 30`,
    );
  });

  test("that would write labels of another size than their image", async () => {
    expect(await refusal(one(mask, op.label(), op.crop({ height: 30, width: 20 })))).toBe(
      `ERR_PIPELINE: step "s": the labels of ${at} are 20 x 30 px and the image that is written with them 80 x 60; change the size before the threshold, or save() after it`,
    );
  });

  test("that measures an image of another size than the labels", async () => {
    const p = one(op.invert()).step("l", op.crop({ height: 30, width: 20 }), mask, op.label());
    expect(await refusal(p.step("m", op.measure(["mean_intensity"], { intensity: "s" })))).toBe(
      `ERR_PIPELINE: step "m": measure: the image of ${at} is 80 x 60 px and the labels are 20 x 30`,
    );
  });
});

describe("a chain that changes sizes", () => {
  test("writes image and labels of the size that it ends with", async () => {
    const p = one(
      op.crop({ y: 3, x: 5, height: 41, width: 61 }),
      op.bin({ factor: 2 }),
      op.rotate({ turn: "270" }),
      op.gaussian({ sigma: 1 }),
      op.otsu(),
      op.label(),
    );
    const plan = compile(p, await plateOf());
    expect(plan.fields.flatMap((f) => f.images.map((i) => [i.label, i.dtype, i.shape]))).toEqual([
      [null, "float32", [1, 31, 21]],
      ["objects", "int32", [1, 31, 21]],
    ]);
    // The largest tile is the plane as it is read, 16 bit, or what the crop gives.
    expect(Math.max(...plan.jobs.map((j) => j.tileBytes))).toBe(80 * 60 * 2);
  });

  test("corrects the illumination with an image of the size that it has then", async () => {
    const { root, out } = plateIn(folder, { wells: ["A01"], channels: [0], width: 80, height: 60 });
    const p = one(op.bin({ factor: 2 }), op.flatField({ from: "mean", sigma: 5, shrink: 2 }));
    const report = await go(root, out, {}, p);
    expect([report.outcome, report.failures]).toEqual(["complete", []]);
    expect((await pixels(out, "A/1/0/0")).data).toHaveLength(40 * 30);
  });
});

describe("labels that are changed", () => {
  test("are written once, as they are in the end, under the name that they end with", async () => {
    const chain = (...more: Op[]) =>
      compile(one(mask, op.splitObjects({ name: "cells" }), ...more), plate).fields[0]?.images.map(
        (i) => i.label,
      );
    const plate = await plateOf();
    expect(chain()).toEqual([null, "cells"]);
    expect(chain(op.filterLabels({ minArea: 9 }), op.expandLabels({ distance: 2 }))).toEqual([null, "cells"]);
    expect(chain(op.expandLabels({ distance: 2, name: "grown" }))).toEqual([null, "grown"]);
    expect(chain(op.measure(["area"]), op.expandLabels({ distance: 2, name: "grown" }))).toEqual([
      null,
      "cells",
      "grown",
    ]);
  });

  test("keep their numbers, and the table has their rows alone", async () => {
    const { root, out } = plateIn(folder, { wells: ["A01"], channels: [0] });
    const p = one(
      mask,
      op.label(),
      op.filterLabels({ minArea: 40, clearBorder: true }),
      op.measure(["area"]),
    );
    await go(root, out, {}, p);
    const labels = new Map<number, number>();
    for (const v of (await pixels(out, "A/1/0/labels/objects/0")).data as Int32Array) {
      if (v > 0) labels.set(v, (labels.get(v) ?? 0) + 1);
    }
    const rows = table(out).map((r) => [Number(r.label), Number(r.area)] as const);
    expect(rows.length).toBeGreaterThan(0);
    expect(new Map(rows)).toEqual(labels);
    expect(Math.min(...labels.values())).toBeGreaterThanOrEqual(40);
  });
});

describe("images of other channels", () => {
  test("bring all channels of a field into one job", async () => {
    const plate = await plateOf({ channels: [0, 0], names: ["DAPI", "GFP"] });
    const p = pipeline("ratio")
      .step("smooth", op.gaussian({ sigma: 1 }))
      .step("ratio", { GFP: [op.divide({ image: { step: "smooth", channel: "DAPI" } })] });
    const plan = compile(p, plate);
    expect(plan.jobs).toHaveLength(1);
    const code = plan.programs[plan.jobs[0]?.program ?? 0]?.code ?? [];
    const divide = code.find((i) => i.name === "divide");
    const blurs = code.filter((i) => i.name === "gaussian").map((i) => i.out);
    expect(divide).toMatchObject({ in: blurs[1], inputs: [blurs[0]] });
  });
});
