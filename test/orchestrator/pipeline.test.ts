// SPDX-License-Identifier: MIT
// Pipelines: immutable plain data, and what their methods refuse.

import { describe, expect, test } from "vitest";
import { op } from "../../lib/ops/index.js";
import { pipeline } from "../../lib/orchestrator/pipeline.js";
import { thrown } from "../helpers/throws.js";

// What JavaScript may pass.
const anything = (value: unknown) => value as never;
const refusal = async (action: () => unknown) => {
  const error = await thrown(action);
  expect(error.code).toBe("ERR_INVALID_ARGUMENT");
  return error.message;
};

describe("a pipeline", () => {
  test("is not changed by adding a step", () => {
    const empty = pipeline("p");
    const one = empty.step("smooth", op.gaussian({ sigma: 1 }));
    expect(empty.steps).toEqual([]);
    expect(one.steps.map((s) => s.name)).toEqual(["smooth"]);
    expect(Object.isFrozen(one) && Object.isFrozen(one.steps) && Object.isFrozen(one.steps[0])).toBe(true);
  });

  test("describes itself in a line a step", () => {
    const p = pipeline("p")
      .step("project", op.maxProject({ over: ["site", "z_index"] }))
      .step("segment", { DAPI: [op.otsu(), op.label({ minArea: 5 })], GFP: [op.threshold({ value: 3 })] });
    expect(p.describe()).toEqual([
      "project: maxProject(over: site z_index)",
      "segment: [DAPI] otsu() → label(minArea: 5); [GFP] threshold(value: 3)",
    ]);
  });

  test("has the defaults of OpenHCS's grouping", () => {
    expect(pipeline("p").step("s", op.otsu()).steps[0]).toMatchObject({
      variableComponents: ["z_index"],
      groupBy: "channel",
    });
    const options = { variableComponents: ["site"] } as const;
    expect(pipeline("p").step("s", op.maxProject(), options).steps[0]?.variableComponents).toEqual(["site"]);
    expect(pipeline("p").step("s", { 1: [op.maxProject()] }, options).steps[0]).toMatchObject({
      chain: null,
      variableComponents: ["site"],
    });
  });
});

describe("a pipeline refuses", () => {
  test("a missing name, an unknown choice of planes", async () => {
    expect(await refusal(() => pipeline(" "))).toBe('a pipeline needs a name, and got " "');
    expect(await refusal(() => pipeline("p", { planes: anything("slices") }))).toBe(
      'pipeline "p": planes must be "auto", "stack" or "stored", and is "slices"',
    );
  });

  test("a step without a name, or with one that is taken", async () => {
    expect(await refusal(() => pipeline("p").step(anything(op.otsu())))).toBe(
      'pipeline "p": a step needs a name first, and got {"name":"otsu","parameters":{}}',
    );
    expect(await refusal(() => pipeline("p").step("s", op.otsu()).step("s", op.label()))).toBe(
      'pipeline "p" already has a step "s"',
    );
  });

  test("a step without ops, or with something else than ops", async () => {
    expect(await refusal(() => pipeline("p").step("s"))).toBe('step "s" has no op');
    expect(await refusal(() => pipeline("p").step("s", op.otsu(), anything("label"), op.label()))).toBe(
      'step "s": item 2 must be an op such as op.gaussian({ sigma: 1.5 }), and is "label"',
    );
    expect(await refusal(() => pipeline("p").step("s", { 1: [] }))).toBe('step "s", channel 1 has no op');
    expect(await refusal(() => pipeline("p").step("s", { 1: anything(op.otsu()) }))).toBe(
      'step "s": the chain of channel 1 must be an array of ops, and is {"name":"otsu","parameters":{}}',
    );
  });

  test("options that it does not know", async () => {
    expect(await refusal(() => pipeline("p").step("s", op.otsu(), anything({ groupby: "channel" })))).toBe(
      'step "s" has no option "groupby"; it takes variableComponents, groupBy',
    );
    expect(
      await refusal(() => pipeline("p").step("s", op.otsu(), { variableComponents: anything(["channel"]) })),
    ).toBe('step "s": "channel" is not a component that can vary; expected z_index, site, timepoint');
    expect(await refusal(() => pipeline("p").step("s", op.otsu(), { groupBy: anything("well") }))).toBe(
      'step "s": groupBy must be "channel", and is "well"',
    );
  });
});
