// SPDX-License-Identifier: MIT
// Colocalisation of two channels in objects, against scikit-image; what the compiler refuses of it.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { op } from "../../lib/ops/index.js";
import { compile } from "../../lib/orchestrator/compile.js";
import { pipeline } from "../../lib/orchestrator/pipeline.js";
import { run } from "../../lib/orchestrator/run.js";
import { openPlate } from "../../lib/plates/index.js";
import { temporaryFolders } from "../helpers/folder.js";
import { needsData, needsPeer, python, runPython, shared } from "../helpers/shared.js";
import { smallPlate } from "../helpers/small-plate.js";
import { thrown } from "../helpers/throws.js";

const folder = temporaryFolders();

/** By object, in the order of the table's rows: pearson, overlap, manders 1 and 2. */
const judge = `
import json, sys, numpy as np, tifffile, warnings
from skimage import measure
warnings.filterwarnings("ignore")
first, second, level, percent = sys.argv[1:]
a, b = (tifffile.imread(p).astype(np.float64) for p in (first, second))
labels = measure.label(a > float(level), connectivity=2)
out = []
for r in measure.regionprops(labels):
    mask = labels == r.label
    in_a, in_b = (x > x[mask].max() * float(percent) / 100 for x in (a, b))
    constant = np.ptp(a[mask]) == 0 or np.ptp(b[mask]) == 0
    out.append([None if r.area < 2 or constant else measure.pearson_corr_coeff(a, b, mask)[0], measure.manders_overlap_coeff(a, b, mask),
                measure.manders_coloc_coeff(a, in_b, mask), measure.manders_coloc_coeff(b, in_a, mask)])
print(json.dumps(out))
`;

const measured = (channels: readonly number[], level: number, percent: number) =>
  pipeline("colocalisation")
    .step("raw", op.convert({ dtype: "float32" }))
    .step("nuclei", {
      [`${channels[0]}`]: [
        op.threshold({ value: level }),
        op.label(),
        op.measure(["pearson", "overlap", "manders"], {
          intensity: { a: { step: "raw" }, b: { step: "raw", channel: channels[1] as number } },
          mandersThreshold: percent,
        }),
      ],
    });

async function check(root: string, level: number, percent: number, well: string): Promise<void> {
  const plate = await openPlate(root);
  const channels = plate.channels.map((c) => c.channel);
  const out = join(folder(), "out");
  const report = await run(measured(channels, level, percent), plate, { out, threads: 2, wells: [well] });
  expect(report.failures).toEqual([]);
  const [head = "", ...lines] = readFileSync(join(out, "measurements.csv"), "utf8").trim().split("\n");
  const columns = head.split(",");
  expect(columns.slice(-4)).toEqual(["pearson_a_b", "overlap_a_b", "manders_1_a_b", "manders_2_a_b"]);
  const mine = plate.planes.filter((p) => p.well === well && p.site === plate.planes[0]?.site);
  const path = (i: number) => mine.find((p) => p.channel === channels[i])?.path as string;
  const want = runPython(judge, [path(0), path(1), String(level), String(percent)]) as (number | null)[][];
  expect(want.length).toBeGreaterThan(5);
  const site = columns.indexOf("site");
  const rows = lines.map((l) => l.split(",")).filter((r) => Number(r[site]) === mine[0]?.site);
  expect(rows.length).toBe(want.length);
  for (const [i, row] of rows.entries()) {
    for (const [k, text] of row.slice(-4).entries()) {
      const expected = want[i]?.[k];
      if (expected === null || expected === undefined) expect(text).toBe("");
      else expect(Number(text)).toBeCloseTo(expected, 8);
    }
  }
}

describe("colocalisation of two channels in objects", () => {
  describe("is what scikit-image gives", () => {
    needsPeer(python(), "Python");

    test("on a generated plate", async () => {
      const root = join(folder(), "plate");
      smallPlate(root, { wells: ["B02"], channels: [0, 0], dtype: "uint16", width: 150, height: 120 });
      await check(root, 60, 40, "B02");
    });

    describe("on the human cells", () => {
      const root = shared("data", "human-cells");
      needsData(root, "human-cells");
      test("with the paper's threshold of 0, and with CellProfiler's", async () => {
        const well = (await openPlate(root as string)).wells[0] as string;
        await check(root as string, 40, 0, well);
        await check(root as string, 40, 15, well);
      });
    });
  });

  test("is refused with one image only", async () => {
    const root = join(folder(), "plate");
    smallPlate(root, { wells: ["B02"], channels: [0, 0] });
    const plate = await openPlate(root);
    const p = pipeline("p").step("s", op.otsu(), op.label(), op.measure(["area", "manders"]));
    const error = await thrown(() => compile(p, plate));
    expect([error.code, error.message]).toEqual([
      "ERR_PIPELINE",
      'step "s": measure: "manders" compares two images; name them in "intensity", such as { a: { channel: 1 }, b: { channel: 2 } }',
    ]);
  });
});
