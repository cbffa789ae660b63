// SPDX-License-Identifier: MIT
// op.javascript: users' functions on worker threads, their results, their failures. Through dist/, whose worker file Node can start.

import { existsSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import * as tilecast from "../../dist/index.js";
import { temporaryFolders } from "../helpers/folder.js";
import { pixels, runJson, stateCounts, table } from "../helpers/results.js";
import { type SmallPlateOptions, smallPlate } from "../helpers/small-plate.js";

const { op, openPlate, pipeline, run } = tilecast;
const folder = temporaryFolders();

/** A plate of one well a site, and the functions under test. */
function make(source: string, options: SmallPlateOptions = {}) {
  const root = join(folder(), "plate");
  smallPlate(root, { wells: ["A01"], ...options });
  const file = join(folder(), "functions.mjs");
  writeFileSync(file, source);
  return { root, out: join(folder(), "out"), file, module: pathToFileURL(file) };
}

const go = async (
  p: tilecast.Pipeline,
  root: string,
  out: string,
  options: Partial<tilecast.RunOptions> = {},
) => run(p, await openPlate(root), { out, threads: 2, ...options });

async function failure(source: string, options: object = {}) {
  const { root, out, module } = make(source);
  const report = await go(pipeline("p").step("mine", op.javascript({ module, ...options })), root, out);
  expect(report.outcome).toBe("incomplete");
  expect(report.failures).toHaveLength(1);
  expect(report.failures[0]?.code).toBe("ERR_FUNCTION");
  expect(stateCounts(out)).toEqual({ failed: 1 });
  return (report.failures[0]?.message ?? "").replaceAll(String(module), "MODULE");
}

describe("a user's function", () => {
  test("before a stitch is called for what is aligned too, with that field's components", async () => {
    const { root, out, module } = make(
      `export default function ({ data, components }, out) {
        if (components.well !== "A01" || ![1, 2].includes(components.site)) throw new Error(JSON.stringify(components));
        for (let i = 0; i < data.length; i++) out[i] = components.site;
      }`,
      { sites: 2 },
    );
    const p = pipeline("p").step("mine", op.javascript({ module }), op.stitch({ overlap: 50, columns: 2 }));
    const report = await go(p, root, out);
    expect(report.failures).toEqual([]);
    const { data, shape } = await pixels(out, "A/1/0/0");
    expect(shape).toEqual([1, 48, 96]);
    // Even fields match nothing: they lie on the grid and fade into each other.
    expect([data[0], data[95]]).toEqual([1, 2]);
    expect(data[47]).toBeGreaterThan(1.4);
    expect(data[47]).toBeLessThan(1.6);
  });

  test("gets the plane, its shape, dtype, components and parameters, and fills the result", async () => {
    const { root, out, module } = make(
      `export function invert({ data, shape, dtype, components, params }, out) {
         if (!(data instanceof Uint16Array) || !(out instanceof Uint16Array) || dtype !== "uint16") throw new Error("dtype");
         if (shape.join() !== "48,64" || data.length !== 48 * 64) throw new Error("shape");
         if (JSON.stringify(components) !== '{"well":"A01","site":1,"channel":1,"timepoint":1}') throw new Error(JSON.stringify(components));
         for (let i = 0; i < data.length; i++) out[i] = params.top - data[i];
       }`,
    );
    const p = (top: number) =>
      pipeline("p").step(
        "mine",
        op.javascript({ module, export: "invert", output: "uint16", params: { top } }),
      );
    const plain = join(folder(), "out");
    await go(pipeline("p").step("copy", op.save()), root, plain);
    const report = await go(p(1000), root, out);
    expect(report.failures).toEqual([]);
    const want = Array.from((await pixels(plain, "A/1/0/0")).data, (v) => 1000 - v);
    const got = await pixels(out, "A/1/0/0");
    expect(got.dtype).toBe("uint16");
    expect(Array.from(got.data)).toEqual(want);
  });

  test("may be async, and may return an array instead", async () => {
    const { root, out, module } = make(
      `export default async ({ data }) => { await new Promise((r) => setTimeout(r, 5)); return Float32Array.from(data, (v) => v / 2); }`,
      { sites: 6 },
    );
    const report = await go(pipeline("p").step("mine", op.javascript({ module })), root, out, { threads: 4 });
    expect(report.failures).toEqual([]);
    const plain = join(folder(), "out");
    await go(pipeline("p").step("copy", op.save()), root, plain);
    for (let field = 0; field < 6; field++) {
      const want = Array.from((await pixels(plain, `A/1/${field}/0`)).data, (v) => v / 2);
      expect(Array.from((await pixels(out, `A/1/${field}/0`)).data)).toEqual(want);
    }
  });

  test("that makes labels has them written and measured", async () => {
    const { root, out, module } = make(
      `export default ({ data, shape: [h, w] }, out) => {
         // Left half 2, right half 5 where bright: numbers with gaps.
         for (let i = 0; i < data.length; i++) out[i] = data[i] > 40 ? (i % w < w / 2 ? 2 : 5) : 0;
       }`,
    );
    const p = pipeline("p")
      .step("segment", op.javascript({ module, kind: "labels" }))
      .step("measure", op.measure(["area", "integrated_intensity"]));
    await go(p, root, out);
    const image = (await pixels(out, "A/1/0/0")).data;
    const labels = await pixels(out, "A/1/0/labels/objects/0");
    expect(labels.dtype).toBe("int32");
    const want = [2, 5].map((label) => {
      const at = Array.from(image, (v, i) => (v > 40 && (i % 64 < 32 ? 2 : 5) === label ? v : 0));
      return { label, area: at.filter((v) => v > 0).length, sum: at.reduce((a, b) => a + b, 0) };
    });
    expect(
      table(out).map((r) => ({
        label: Number(r.label),
        area: Number(r.area),
        sum: Number(r.integrated_intensity),
      })),
    ).toEqual(want);
  });

  test("may stand before a flat-field that is estimated from its results", async () => {
    const { root, out, module } = make(
      `export default ({ data }, out) => { for (let i = 0; i < data.length; i++) out[i] = 7; }`,
    );
    const p = pipeline("p")
      .step("mine", op.javascript({ module }))
      .step("correct", op.flatField({ sigma: 4, shrink: 2 }));
    expect((await go(p, root, out)).failures).toEqual([]);
    for (const v of Array.from((await pixels(out, "A/1/0/0")).data)) expect(v).toBeCloseTo(7, 4);
  });

  test("whose module changed is run again on resume", async () => {
    const { root, out, file, module } = make(`export default (t, out) => { out.fill(1); }`);
    const p = pipeline("p").step("mine", op.javascript({ module }));
    await go(p, root, out);
    expect((await go(p, root, out, { resume: true })).planes.reused).toBe(1);
    writeFileSync(file, `export default (t, out) => { out.fill(22); }`);
    utimesSync(file, new Date(), new Date(Date.now() + 5000));
    expect((await go(p, root, out, { resume: true })).planes.done).toBe(1);
  });
});

describe("a function that fails, fails its plane with the reason", () => {
  test("when it throws", async () => {
    expect(await failure(`export default () => { throw new Error("no nuclei here"); }`)).toBe(
      'function "default" of MODULE failed: no nuclei here (step "mine")',
    );
  });

  test("when it rejects", async () => {
    expect(await failure(`export default async () => { throw new Error("later"); }`)).toBe(
      'function "default" of MODULE failed: later (step "mine")',
    );
  });

  test("when it returns the wrong number of pixels", async () => {
    expect(await failure(`export default () => new Float32Array(10);`)).toBe(
      'function "default" of MODULE failed: expected 3072 pixels written to `out`, or returned as a typed array, and got object of length 10 (step "mine")',
    );
    expect(await failure(`export default () => 5;`)).toBe(
      'function "default" of MODULE failed: expected 3072 pixels written to `out`, or returned as a typed array, and got number of length none (step "mine")',
    );
  });

  test("when the module has no such export", async () => {
    expect(await failure(`export const a = 1, b = 2;`, { export: "c" })).toBe(
      'function "c" of MODULE failed: MODULE has no function "c"; its exports: a, b (step "mine")',
    );
  });

  test("when it ends its thread", async () => {
    expect(await failure(`export default () => process.exit(3);`)).toBe(
      'the worker thread of the function ended with code 3 (step "mine")',
    );
  });

  test("and no other", async () => {
    const { root, out, module } = make(
      `export default ({ components }, out) => { if (components.site === 2) throw new Error("two"); out.fill(1); }`,
      { sites: 4 },
    );
    const report = await go(pipeline("p").step("mine", op.javascript({ module })), root, out);
    expect(report.planes).toMatchObject({ done: 3, failed: 1 });
    expect(report.failures.map((f) => f.site)).toEqual([2]);
  });
});

describe("cancelling", () => {
  test("does not wait for a function that never ends, and counts its plane as cancelled", async () => {
    const flag = join(folder(), "begun");
    const { root, out, module } = make(
      `import { writeFileSync } from "node:fs";
       export default async () => { writeFileSync(${JSON.stringify(flag)}, ""); await new Promise(() => setInterval(() => {}, 1000)); }`,
      { sites: 3 },
    );
    const controller = new AbortController();
    const running = go(pipeline("p").step("mine", op.javascript({ module })), root, out, {
      signal: controller.signal,
    });
    await expect.poll(() => existsSync(flag), { timeout: 30_000 }).toBe(true);
    controller.abort();
    const report = await running;
    expect(report.outcome).toBe("cancelled");
    expect(report.failures).toEqual([]);
    expect(stateCounts(out)).toEqual({ cancelled: 3 });
    expect(runJson(out).outcome).toBe("cancelled");
  });
});
