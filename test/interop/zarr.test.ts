// SPDX-License-Identifier: MIT
// Plates that run() writes, opened by zarr-python, tensorstore, ome-zarr-py, ome-zarr-models and zarrita: equal pixels on every level.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import type { DType } from "../../lib/image/dtype.js";
import { op } from "../../lib/ops/index.js";
import { pipeline } from "../../lib/orchestrator/pipeline.js";
import { type RunOptions, run } from "../../lib/orchestrator/run.js";
import { openPlate } from "../../lib/plates/index.js";
import { temporaryFolders } from "../helpers/folder.js";
import { pixels } from "../helpers/results.js";
import { needsPeer, python } from "../helpers/shared.js";
import { smallPlate } from "../helpers/small-plate.js";

const folder = temporaryFolders();
const script = fileURLToPath(new URL("./check_plate.py", import.meta.url));
const sigma = 1.5;
const segment = pipeline("segment")
  .step("project", op.maxProject())
  .step("segment", op.gaussian({ sigma }), op.otsu(), op.label());

interface Verdict {
  readonly wrong: string[];
  readonly levels: number;
  readonly digests: Record<string, string>;
  readonly plate: boolean;
  readonly models: Record<string, string>;
}

type Case = Pick<RunOptions, "zarr" | "compression" | "chunk"> & { readonly dtype: DType };

const cases: Case[] = [
  { zarr: "0.5", compression: "blosc-lz4", chunk: 64, dtype: "uint16" },
  { zarr: "0.5", compression: "blosc-zstd", chunk: 64, dtype: "float32" },
  { zarr: "0.5", compression: "zstd", chunk: 100, dtype: "uint8" },
  { zarr: "0.5", compression: "none", chunk: 512, dtype: "uint16" },
  { zarr: "0.4", compression: "blosc-lz4", chunk: 64, dtype: "uint8" },
  { zarr: "0.4", compression: "blosc-zstd", chunk: 512, dtype: "float32" },
  { zarr: "0.4", compression: "zstd", chunk: 100, dtype: "uint16" },
  { zarr: "0.4", compression: "none", chunk: 64, dtype: "uint16" },
];

describe("a plate of odd size, with an empty plane and a missing one", () => {
  needsPeer(python(), "Python");
  const stores: string[] = [];
  let verdicts: Verdict[] = [];

  beforeAll(async () => {
    const path = python();
    if (path === undefined) return;
    const plates = new Map<DType, string>();
    for (const dtype of new Set(cases.map((c) => c.dtype))) {
      const root = join(folder(), "plate");
      plates.set(dtype, root);
      smallPlate(root, {
        wells: ["A01", "B12"],
        sites: 2,
        channels: [2, 0],
        width: 517,
        height: 301,
        dtype,
        blank: (p) => p.well === "B12" && p.site === 1 && p.channel === 1,
      });
      rmSync(join(root, "demo_B12_s2_w2.tif"));
    }
    const spec: object[] = [];
    for (const { dtype, ...options } of cases) {
      const out = join(folder(), "out");
      const plate = await openPlate(plates.get(dtype) as string);
      expect((await run(segment, plate, { out, threads: 2, ...options })).outcome).toBe("complete");
      stores.push(out);
      const fields: Record<string, string[][]> = {};
      for (const p of plate.planes) {
        const key = `${p.well === "A01" ? "A/1" : "B/12"}/${p.site - 1}`;
        const channels = fields[key] ?? [[], []];
        fields[key] = channels;
        channels[p.channel - 1]?.push(p.path);
      }
      spec.push({ store: join(out, "plate.ome.zarr"), version: options.zarr, sigma, fields });
    }
    const file = join(folder(), "spec.json");
    writeFileSync(file, JSON.stringify(spec));
    const result = spawnSync(path, [script, file], { encoding: "utf8", maxBuffer: 1 << 28 });
    if (result.status !== 0) throw new Error(result.stderr);
    verdicts = JSON.parse(result.stdout);
  });

  test.each(cases.map((c, i) => [`${c.zarr} ${c.compression} ${c.dtype} chunk ${c.chunk}`, i] as const))(
    "%s has equal pixels in every reader and on every level",
    async (_, i) => {
      const verdict = verdicts[i] as Verdict;
      expect(verdict.wrong).toEqual([]);
      expect(verdict.levels).toBe(4 * 2 * 3); // fields, image and labels, levels of 517 x 301
      // zarrita, in this process, gets the bytes that zarr-python got.
      const seen: Record<string, string> = {};
      for (const path of Object.keys(verdict.digests)) {
        const { data } = await pixels(stores[i] as string, path);
        const view = data as unknown as Uint8Array;
        seen[path] = createHash("sha256")
          .update(new Uint8Array(view.buffer, view.byteOffset, view.byteLength))
          .digest("hex");
      }
      expect(seen).toEqual(verdict.digests);
    },
  );

  test.each(cases.map((c, i) => [`${c.zarr} ${c.compression} ${c.dtype}`, i] as const))(
    "%s is a plate to ome-zarr-py, and valid to ome-zarr-models down to each label image",
    (_, i) => {
      const verdict = verdicts[i] as Verdict;
      expect(verdict.plate).toBe(true);
      const expected: Record<string, string> = { "": "HCS" };
      for (const well of ["A/1", "B/12"]) {
        expected[well] = "Well";
        for (const site of [0, 1]) {
          expected[`${well}/${site}`] = "Image";
          expected[`${well}/${site}/labels`] = "Labels";
          expected[`${well}/${site}/labels/objects`] = "ImageLabel";
        }
      }
      expect(verdict.models).toEqual(expected);
    },
  );

  test("an empty plane is no file at all: the fill value says it", () => {
    // 0.5, one shard a plane: B12 site 1 is empty in channel 1, site 2 has no channel 2.
    const store = join(stores[0] as string, "plate.ome.zarr", "B/12");
    expect(existsSync(join(store, "0/0/c.0.0.0"))).toBe(false);
    expect(existsSync(join(store, "0/0/c.1.0.0"))).toBe(true);
    expect(existsSync(join(store, "1/0/c.1.0.0"))).toBe(false);
    expect(existsSync(join(store, "1/0/c.0.0.0"))).toBe(true);
  });
});
