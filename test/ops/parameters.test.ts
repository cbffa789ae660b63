// SPDX-License-Identifier: MIT
// Constructors of ops: defaults, refusals with the exact message, plain frozen data, and a table that documents itself.

import { describe, expect, test } from "vitest";
import { isTilecastError } from "../../lib/errors.js";
import { dtypes } from "../../lib/image/dtype.js";
import { projectable } from "../../lib/ops/families/projections.js";
import { features, op, opTable, printOp } from "../../lib/ops/index.js";

/** The constructors without their types, as JavaScript sees them. */
const loose = op as unknown as Record<
  string,
  (...args: unknown[]) => { name: string; parameters: Record<string, unknown> }
>;

function refused(name: string, ...args: unknown[]): { message: string; argument: string | undefined } {
  try {
    (loose[name] as (...a: unknown[]) => unknown)(...args);
  } catch (error) {
    if (!isTilecastError(error, "ERR_INVALID_ARGUMENT")) throw error;
    return { message: error.message, argument: error.argument };
  }
  throw new Error(`op.${name} was not refused`);
}

describe("the op table", () => {
  test.each(Object.keys(opTable))("%s documents itself and every parameter", (name) => {
    const spec = opTable[name as keyof typeof opTable];
    expect(loose[name]).toBeTypeOf("function");
    for (const text of [spec.summary, spec.definition]) expect(text).toMatch(/^[\x20-\x7e]{10,}[.;)]$/);
    expect(spec.source.length).toBeGreaterThan(4);
    expect(spec.accepts.every((d) => dtypes.includes(d))).toBe(true);
    for (const d of spec.accepts) expect(dtypes).toContain(spec.result(d, { dtype: "int8", output: "int8" }));
    for (const [key, parameter] of Object.entries(spec.parameters)) {
      const { help, expected, optional, fallback, accepts } = parameter as {
        help: string;
        expected: string;
        optional: boolean;
        fallback: unknown;
        accepts: (v: unknown) => boolean;
      };
      expect(key).toMatch(/^[a-z][A-Za-z]*$/);
      expect(help, `${name}.${key}`).toMatch(/\.$/);
      expect(expected.length, `${name}.${key}`).toBeGreaterThan(3);
      if (!optional) expect(fallback).toBeUndefined();
      if (fallback !== undefined) expect(accepts(fallback), `default of ${name}.${key}`).toBe(true);
      expect(accepts(Symbol("never")), `${name}.${key}`).toBe(false);
    }
  });

  test("never projects over the well or the channel", () => {
    expect(projectable).toEqual(["z_index", "site", "timepoint"]);
  });
});

describe("an op", () => {
  test("is frozen plain data with its defaults filled in", () => {
    const made = op.flatField();
    expect(made).toEqual({
      name: "flatField",
      parameters: { from: "median", background: 0, sigma: 50, images: 64, shrink: 8 },
    });
    expect(structuredClone(made)).toEqual(made);
    expect(Object.isFrozen(made) && Object.isFrozen(made.parameters)).toBe(true);
    expect(op.label()).toEqual({
      name: "label",
      parameters: { minArea: 0, clearBorder: false, name: "objects" },
    });
    expect(op.measure()).toEqual({
      name: "measure",
      parameters: {
        features: ["area", "centroid", "bbox", "integrated_intensity", "mean_intensity", "max_intensity"],
        textureLevels: 32,
        textureDistance: 1,
        mandersThreshold: 15,
      },
    });
    expect(op.flatField({ image: "w{channel}.tif" }).parameters).not.toHaveProperty("from");
  });

  test("takes undefined for absent", () => {
    expect(op.label({ minArea: undefined, name: undefined })).toEqual(op.label());
  });

  test("prints as a person would write it, without defaults", () => {
    expect(printOp(op.gaussian({ sigma: 1.5 }))).toBe("gaussian(sigma: 1.5)");
    expect(printOp(op.maxProject())).toBe("maxProject()");
    expect(printOp(op.label({ minArea: 30, name: "nuclei" }))).toBe("label(minArea: 30, name: nuclei)");
    expect(printOp(op.measure(["area", "centroid"]))).toBe("measure(features: area centroid)");
  });

  test("of the table has one name each and accepts every feature it names", () => {
    expect(op.measure(features).parameters.features).toEqual(features);
  });
});

describe("a wrong parameter is refused with its name and what came", () => {
  test.each<[name: string, args: unknown[], message: string, argument: string | undefined]>([
    ["gaussian", [], 'op.gaussian needs "sigma": number >= 0 and <= 4096 (px)', "sigma"],
    ["gaussian", [2], "op.gaussian takes one object of parameters, and got number", undefined],
    ["gaussian", [null], "op.gaussian takes one object of parameters, and got object", undefined],
    [
      "gaussian",
      [{ sigma: -1 }],
      'op.gaussian: "sigma" must be number >= 0 and <= 4096 (px), and is -1',
      "sigma",
    ],
    [
      "gaussian",
      [{ sigma: "2" }],
      'op.gaussian: "sigma" must be number >= 0 and <= 4096 (px), and is "2"',
      "sigma",
    ],
    [
      "gaussian",
      [{ sigma: Number.NaN }],
      'op.gaussian: "sigma" must be number >= 0 and <= 4096 (px), and is NaN',
      "sigma",
    ],
    ["gaussian", [{ Sigma: 2 }], 'op.gaussian has no parameter "Sigma"; did you mean "sigma"?', "Sigma"],
    [
      "gaussian",
      [{ sigma: 2, radius: 4 }],
      'op.gaussian has no parameter "radius"; it takes sigma',
      "radius",
    ],
    ["otsu", [{ bins: 64 }], 'op.otsu has no parameter "bins"; it takes none', "bins"],
    ["label", [{ min: 3 }], 'op.label has no parameter "min"; did you mean "minArea"?', "min"],
    ["label", [{ minArea: 2.5 }], 'op.label: "minArea" must be integer >= 0 (px), and is 2.5', "minArea"],
    ["label", [{ clearBorder: 1 }], 'op.label: "clearBorder" must be true or false, and is 1', "clearBorder"],
    [
      "label",
      [{ name: "../nuclei" }],
      'op.label: "name" must be name of letters, digits, - and _, and is "../nuclei"',
      "name",
    ],
    ["threshold", [{}], 'op.threshold needs "value": number (intensity)', "value"],
    [
      "maxProject",
      [{ over: "channel" }],
      'op.maxProject: "over" must be one or several of "z_index", "site", "timepoint", and is "channel"',
      "over",
    ],
    [
      "maxProject",
      [{ over: [] }],
      'op.maxProject: "over" must be one or several of "z_index", "site", "timepoint", and is []',
      "over",
    ],
    [
      "flatField",
      [{ image: "a.tif", from: "mean" }],
      'op.flatField takes "image" or "from", not both',
      "from",
    ],
    [
      "flatField",
      [{ from: "mode" }],
      'op.flatField: "from" must be "median" or "mean", and is "mode"',
      "from",
    ],
    ["flatField", [{ shrink: 0 }], 'op.flatField: "shrink" must be integer >= 1 (px), and is 0', "shrink"],
    ["subtractBackground", [], 'op.subtractBackground takes one of "value" and "percentile"', "value"],
    [
      "subtractBackground",
      [{ value: 1, percentile: 1 }],
      'op.subtractBackground takes one of "value" and "percentile"',
      "value",
    ],
    [
      "subtractBackground",
      [{ percentile: 101 }],
      'op.subtractBackground: "percentile" must be number >= 0 and <= 100 (%), and is 101',
      "percentile",
    ],
    [
      "measure",
      [["area", "volume"]],
      `op.measure: "features" must be array of ${features.map((f) => `"${f}"`).join(" or ")}, and is ["area","volume"]`,
      "features",
    ],
    [
      "convert",
      [{ dtype: "uint64" }],
      `op.convert: "dtype" must be ${dtypes.map((d) => `"${d}"`).join(" or ")}, and is "uint64"`,
      "dtype",
    ],
    ["javascript", [{}], 'op.javascript needs "module": URL or absolute path of an ES module', "module"],
    [
      "javascript",
      [{ module: "/m.mjs", kind: "labels", output: "uint16" }],
      'op.javascript of kind "labels" gives int32, not uint16',
      "output",
    ],
  ])("op.%s(%j)", (name, args, message, argument) => {
    expect(refused(name, ...args)).toEqual({ message, argument });
  });

  test.each([
    [{ gfp: { chanel: "GFP" } }],
    [{ raw: 5 }],
    [{ raw: null }],
    [{ raw: { step: 3 } }],
    [{ "a,b": "project" }],
    [{ channel: ["GFP"] }],
    [[]],
    [7],
  ])("a measurement's images %j are refused: a misspelt one would measure another image", (intensity) => {
    expect(refused("measure", ["mean_intensity"], { intensity }).message).toMatch(
      /^op\.measure: "intensity" must be step name, \{ step, channel \}, or an object of column suffix/,
    );
  });

  test("a function's dtype follows from its kind", () => {
    const module = new URL("file:///m.mjs");
    expect(op.javascript({ module, kind: "labels" }).parameters).toMatchObject({
      module: "file:///m.mjs",
      output: "int32",
    });
    expect(op.javascript({ module, kind: "mask" }).parameters.output).toBe("uint8");
    expect(op.javascript({ module }).parameters.output).toBe("float32");
  });
});
