// SPDX-License-Identifier: MIT
// The op table of lib/ops and the native one say the same: names, parameters, dtypes, sizes; and `tilecast ops` prints it.

import { describe, expect, test } from "vitest";
import { opsCommand } from "../../lib/cli/ops.js";
import { isTilecastError } from "../../lib/errors.js";
import { type DType, dtypes } from "../../lib/image/dtype.js";
import { type NativeOp, native } from "../../lib/native.js";
import { describeOp, type OpName, opNames } from "../../lib/ops/index.js";
import { specOf } from "../../lib/ops/table.js";

const rows = new Map(
  native()
    .listOps()
    .map((row) => [row.name, row]),
);
const nativeNames = opNames.filter((name) => specOf(name).native !== undefined);

/** Parameters that make a result of some size from 60 x 40 px. */
const some: Readonly<Record<string, Record<string, unknown>>> = {
  crop: { y: 3, x: 5, height: 20, width: 30 },
  rotate: { turn: "90" },
  flip: { axis: "transpose" },
  bin: { factor: 7 },
  resize: { height: 33, width: 21 },
  convert: { dtype: "int16" },
  add: { dtype: "uint16" },
  gaussian: { sigma: 2 },
};

/** A value that a parameter takes. */
function example(p: NativeOp["parameters"][number]): unknown {
  if (p.fallback !== undefined) return p.fallback;
  return { number: 2, integer: 3, flag: true, choice: p.choices[0], dtype: "float64" }[p.type];
}

function argumentsOf(name: OpName): Record<string, unknown> {
  const row = rows.get(name) as NativeOp;
  const required = row.parameters.filter((p) => !p.optional).map((p) => [p.name, example(p)]);
  const defaults = row.parameters.filter((p) => p.fallback !== undefined).map((p) => [p.name, p.fallback]);
  const footprint = specOf(name).parameters.radius?.optional ? { radius: 3 } : {};
  return { ...Object.fromEntries([...required, ...defaults]), ...footprint, ...some[name] };
}

describe("the native ops and the op table", () => {
  test("have the same names", () => {
    expect([...rows.keys()].sort()).toEqual([...nativeNames].sort());
    expect(rows.size).toBe(native().listOps().length);
  });

  test.each(nativeNames)("agree on %s", (name) => {
    const spec = specOf(name);
    const row = rows.get(name) as NativeOp;
    expect(row.accepts).toEqual(dtypes.filter((d) => spec.accepts.includes(d)));
    expect(row.parameters.map((p) => p.name)).toEqual(spec.native);
    for (const p of row.parameters) {
      const mine = spec.parameters[p.name];
      expect(mine, p.name).toBeDefined();
      expect([p.name, p.type, p.optional, p.fallback, p.choices]).toEqual([
        p.name,
        mine?.type,
        mine?.optional,
        mine?.fallback,
        p.type === "choice" ? mine?.choices : [],
      ]);
    }
    const images = Object.values(spec.parameters).filter((p) => p.type === "image");
    const illumination = name === "flatField" ? 1 : 0;
    expect(row.mostOthers).toBe(images.length + illumination);
    expect(row.leastOthers).toBe(images.filter((p) => !p.optional).length + illumination);
    // What the table leaves to the compiler: second images, names of label images, the estimate of an illumination, a stack.
    const others = Object.keys(spec.parameters).filter((k) => !row.parameters.some((p) => p.name === k));
    expect(others.filter((k) => spec.parameters[k]?.type !== "image" && k !== "name")).toEqual(
      name === "flatField"
        ? ["image", "from", "sigma", "images", "shrink"]
        : name === "normalize"
          ? ["over"]
          : [],
    );
  });

  test.each(nativeNames)("agree on dtype and size of what %s gives", (name) => {
    const spec = specOf(name);
    const parameters = argumentsOf(name);
    for (const dtype of spec.accepts as readonly DType[]) {
      const input = { dtype, height: 60, width: 40 };
      const { dtype: result, height, width } = native().opResult(name, input, parameters);
      expect(result, dtype).toBe(spec.result(dtype, parameters));
      expect({ height, width }).toEqual(spec.size?.(input, parameters) ?? { height: 60, width: 40 });
    }
  });

  test("a parameter that the native op does not have, or of another type, is refused with its name", () => {
    const refused = (name: string, parameters: Record<string, unknown>) => {
      try {
        native().opResult(name, { dtype: "uint8", height: 9, width: 9 }, parameters);
      } catch (error) {
        return (error as Error).message;
      }
      return "";
    };
    expect(refused("gausian", {})).toBe('there is no op "gausian"');
    expect(refused("median", { radius: 2.5 })).toBe('op median: "radius" must be an integer, and is 2.5');
    expect(refused("median", { size: 3 })).toBe('op median has no parameter "size"; it takes radius');
    expect(refused("median", {})).toBe('op median needs "radius"');
    expect(refused("rotate", { turn: "45" })).toBe(
      'op rotate: "turn" must be one of "90", "180", "270", and is "45"',
    );
    expect(refused("filterLabels", { clearBorder: 1 })).toBe(
      'op filterLabels: "clearBorder" must be true or false, and is 1',
    );
    expect(refused("convert", { dtype: "uint64" })).toMatch(
      /"dtype" must be one of "uint8", .*, and is "uint64"/,
    );
  });
});

describe("tilecast ops", () => {
  const printed = async (...args: string[]) => {
    let text = "";
    expect(
      await opsCommand(args, {
        write: (t) => {
          text += t;
        },
      }),
    ).toBe(0);
    return text;
  };

  test("lists every op once, by family", async () => {
    const lines = (await printed()).split("\n").filter((l) => l.startsWith("  "));
    expect(lines.map((l) => l.trim().split(" ")[0])).toEqual(opNames);
  });

  test("says what one op does, with its parameters", async () => {
    const text = await printed("median");
    expect(text).toContain("median: Median of a square around each pixel.");
    expect(text).toContain("radius: integer >= 0 and <= 127 (px), required");
    expect(text).toContain("scipy.ndimage.median_filter");
  });

  test("gives programs ranges, units, choices and defaults", async () => {
    const all = JSON.parse(await printed("--json"));
    expect(all).toEqual(JSON.parse(JSON.stringify(opNames.map(describeOp))));
    const adaptive = JSON.parse(await printed("adaptiveThreshold", "--json"));
    expect(adaptive.parameters).toMatchObject([
      { name: "block", type: "integer", unit: "px", min: 1, max: 65535, required: true },
      { name: "offset", type: "number", default: 0, required: false },
      { name: "method", type: "choice", choices: ["mean", "gaussian"], default: "gaussian" },
    ]);
  });

  test("names the ops that a wrong name is near to", async () => {
    await expect(printed("tophat")).rejects.toThrow(
      'there is no op "tophat"; did you mean topHat, blackTopHat?',
    );
    const error = await printed("nosuch").catch((e) => e);
    expect(isTilecastError(error, "ERR_USAGE")).toBe(true);
  });
});
