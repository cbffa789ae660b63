// SPDX-License-Identifier: MIT
// Labels of one channel grown over the mask of another, as cells from nuclei, against scikit-image's watershed.

import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { op } from "../../lib/ops/index.js";
import { compile } from "../../lib/orchestrator/compile.js";
import { pipeline } from "../../lib/orchestrator/pipeline.js";
import { run } from "../../lib/orchestrator/run.js";
import { openPlate } from "../../lib/plates/index.js";
import { temporaryFolders } from "../helpers/folder.js";
import { needsData, needsPeer, python, runPython, shared } from "../helpers/shared.js";
import { thrown } from "../helpers/throws.js";

const folder = temporaryFolders();

/** Per relief: how many pixels of label and of foreground, and how many of them scikit-image labels otherwise. */
const judge = `
import json, sys, numpy as np, zarr, tifffile, scipy.ndimage as ndi
from skimage import segmentation, measure
nuclei_path, cells_path, level, *stores = sys.argv[1:]
nuclei, cells = tifffile.imread(nuclei_path), tifffile.imread(cells_path)
seeds = measure.label(nuclei > 40, connectivity=2).astype(np.int32)
mask = cells > int(level)
report = []
for store, relief in zip(stores, [None, 255 - cells]):
    got = zarr.open_group(store, mode="r")["D/3/0/labels/cells/0"][1]
    want = segmentation.watershed(np.zeros(cells.shape) if relief is None else relief.astype(float), seeds * mask, connectivity=2, mask=mask)
    report.append(dict(cells=len(np.unique(want)) - 1, foreground=int(((got > 0) != (want > 0)).sum()),
                       names=bool(np.array_equal(np.unique(got), np.unique(want))), other=float((got != want).mean() / (want > 0).mean())))
print(json.dumps(report))
`;

describe("nuclei grown into their cells", () => {
  needsPeer(python(), "Python");
  const root = shared("data", "human-cells");
  needsData(root, "human-cells");
  const grown = (relief: object) =>
    pipeline("cells")
      .step("nuclei", { 0: [op.threshold({ value: 40 }), op.label({ name: "nuclei" })] })
      .step("dark", { 1: [op.invert()] })
      .step("cells", {
        1: [
          op.invert(),
          op.threshold({ value: 30 }),
          op.growLabels({ seeds: { step: "nuclei", channel: 0 }, name: "cells", ...relief }),
          op.measure(["area"]),
        ],
      });

  test("take the pixels that scikit-image's watershed gives them, but for ties", async () => {
    const plate = await openPlate(root as string);
    const stores: string[] = [];
    for (const relief of [{}, { relief: "dark" }]) {
      const out = join(folder(), "out");
      const report = await run(grown(relief), plate, { out, threads: 2, levels: 1, compression: "none" });
      expect(report.failures).toEqual([]);
      stores.push(join(out, "plate.ome.zarr"));
    }
    const paths = [0, 1].map((c) => plate.planes.find((p) => p.channel === c)?.path as string);
    const verdicts = runPython(judge, [...paths, "30", ...stores]) as Record<string, number | boolean>[];
    for (const v of verdicts) {
      expect(v).toMatchObject({ foreground: 0, names: true });
      expect(v.cells).toBeGreaterThan(20);
      // Pixels that two seeds reach at once go to whichever the queue holds first.
      expect(v.other).toBeLessThan(0.05);
    }
  });

  test("are refused where the seeds are no labels", async () => {
    const p = pipeline("p")
      .step("dark", op.invert())
      .step("cells", op.threshold({ value: 30 }), op.growLabels({ seeds: "dark" }));
    const plate = await openPlate(root as string);
    const error = await thrown(() => compile(p, plate));
    expect([error.code, error.message]).toEqual([
      "ERR_OP_DTYPE",
      'step "cells": growLabels: "seeds" must be int32, and is uint8',
    ]);
  });
});
