// SPDX-License-Identifier: MIT
// op.measurePlane against numpy, scipy and scikit-image: every feature, on every plane of a run, before and after a projection.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { op, planeFeatures } from "../../lib/ops/index.js";
import { compile } from "../../lib/orchestrator/compile.js";
import { pipeline } from "../../lib/orchestrator/pipeline.js";
import { run } from "../../lib/orchestrator/run.js";
import { openPlate } from "../../lib/plates/index.js";
import { temporaryFolders } from "../helpers/folder.js";
import { needsData, needsPeer, python, runPython, shared } from "../helpers/shared.js";
import { smallPlate } from "../helpers/small-plate.js";
import { thrown } from "../helpers/throws.js";

const folder = temporaryFolders();

/** What each row of planes.csv should hold; the planes of a row come with it, in order: its own, then the one that it is compared with. */
const judge = `
import csv, json, sys, warnings
import numpy as np, scipy.ndimage as ndi, tifffile
from skimage import measure
warnings.filterwarnings("ignore")
table, plan = sys.argv[1:]
plan = json.load(open(plan))
rows = list(csv.DictReader(open(table, newline="")))
wrong = []
for row, (own, other) in zip(rows, plan["planes"], strict=True):
    read = lambda stack: np.max([tifffile.imread(path, key=page) for path, page in stack], axis=0)
    image = read(own)
    a, b = image.astype(np.float64), read(other).astype(np.float64)
    step = a[:, 2:] - a[:, :-2]
    in_a, in_b = a > a.max() * 0.3, b > b.max() * 0.3
    want = dict(
        mean=a.mean(), std=a.std(), min=a.min(), max=a.max(), saturated=(a >= plan["saturation"]).mean(),
        focus_laplacian=ndi.laplace(a, mode="reflect").var(), focus_brenner=(step**2).mean(),
        focus_tenengrad=(ndi.sobel(a, 0) ** 2 + ndi.sobel(a, 1) ** 2).mean(), focus_variance=a.var() / a.mean(),
        pearson_b=measure.pearson_corr_coeff(a, b)[0], overlap_b=measure.manders_overlap_coeff(a, b),
        manders_1_b=measure.manders_coloc_coeff(a, in_b), manders_2_b=measure.manders_coloc_coeff(b, in_a),
    )
    for q in plan["percentiles"]:
        want[f"percentile_{q}"] = np.percentile(a, q)
    for i, n in enumerate(np.histogram(image, 7, plan["range"])[0]):
        want[f"histogram_{i}"] = n
    if set(want) != set(row) - {"plate", "well", "site", "channel", "timepoint", "z_index", "step"}:
        wrong.append(f"columns {sorted(set(want) ^ set(row))}")
    for name, value in want.items():
        if not abs(float(row[name]) - value) <= 1e-9 * max(1, abs(value)):
            wrong.append(f"{row['well']} {row['site']} {row['channel']} {row['z_index']} {row['step']}: {name} is {row[name]} instead of {value}")
print(json.dumps(dict(rows=len(rows), wrong=wrong)))
`;

const options = { percentiles: [0, 12.5, 50, 100], bins: 7, range: [3, 130] as const, mandersThreshold: 30 };

const rowsOf = (out: string) =>
  readFileSync(join(out, "planes.csv"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => line.split(","));

describe("op.measurePlane", () => {
  describe("gives what numpy, scipy and scikit-image give", () => {
    needsPeer(python(), "Python");

    async function check(root: string): Promise<void> {
      const plate = await openPlate(root);
      const channels = plate.channels.map((c) => c.channel);
      const [first, second] = channels as [number, number];
      const saturation = 140;
      const each = (channel: number) => [
        op.measurePlane(planeFeatures, {
          ...options,
          saturation,
          with: { b: { step: "read", channel: channel === first ? second : first } },
        }),
      ];
      const out = join(folder(), "out");
      const all = Object.fromEntries(channels.slice(0, 2).map((c) => [String(c), each(c)]));
      const p = pipeline("quality")
        .step("read", op.rescale({ dtype: "float32" }))
        .step("all, of it", all);
      const report = await run(p, plate, { out, threads: 2, levels: 1 });
      expect(report.failures).toEqual([]);
      const [head = [], ...rows] = rowsOf(out);
      // The step's name has a comma, and is quoted: one field more.
      const at = (row: string[], name: string) => row[head.indexOf(name)];
      const stack = (row: string[], channel: number) =>
        plate.planes
          .filter(
            (q) =>
              q.well === at(row, "well") &&
              q.channel === channel &&
              String(q.site) === at(row, "site") &&
              String(q.timepoint) === at(row, "timepoint") &&
              String(q.z_index ?? "") === at(row, "z_index"),
          )
          .map((q) => [q.path, q.page]);
      const planes = rows.map((row) => {
        const own = Number(at(row, "channel"));
        return [stack(row, own), stack(row, own === first ? second : first)];
      });
      const plan = join(folder(), "plan.json");
      writeFileSync(plan, JSON.stringify({ planes, saturation, ...options }));
      const verdict = runPython(judge, [join(out, "planes.csv"), plan]) as { rows: number; wrong: string[] };
      expect(verdict.wrong).toEqual([]);
      expect(verdict.rows).toBe(
        plate.planes.filter((q) => q.channel === first || q.channel === second).length,
      );
    }

    test.each(["uint8", "uint16", "float32"] as const)("on a generated plate of %s", async (dtype) => {
      const root = join(folder(), "plate");
      smallPlate(root, { wells: ["A01", "B03"], sites: 2, channels: [0, 0], dtype, width: 91, height: 70 });
      await check(root);
    });

    describe("on the human cells", () => {
      const root = shared("data", "human-cells");
      needsData(root, "human-cells");
      test("of real nuclei and actin", async () => check(root as string));
    });
  });

  test("has a row a slice before a projection and one after it, and keeps complete wells on resume", async () => {
    const root = join(folder(), "plate");
    smallPlate(root, { wells: ["A01", "A02"], channels: [3], dtype: "uint16" });
    const plate = await openPlate(root);
    const out = join(folder(), "out");
    const p = pipeline("focus")
      .step("slices", op.measurePlane(["focus_laplacian"]), op.maxProject())
      .step("projected", op.measurePlane(["mean"]));
    await run(p, plate, { out, threads: 2, wells: ["A01"] });
    await run(p, plate, { out, threads: 2, resume: true });
    const [head, ...rows] = rowsOf(out);
    expect(head).toEqual([
      ...["plate", "well", "site", "channel", "timepoint", "z_index", "step"],
      ...["focus_laplacian", "mean"],
    ]);
    expect(rows.map((r) => r.slice(1, 7).join(" "))).toEqual(
      ["A01", "A02"].flatMap((well) => [
        ...[1, 2, 3].map((z) => `${well} 1 1 1 ${z} slices`),
        `${well} 1 1 1  projected`,
      ]),
    );
    for (const r of rows) expect([r[7] !== "", r[8] !== ""]).toEqual([r[6] === "slices", r[6] !== "slices"]);
  });

  test("leaves what NaN spoils empty, and the rest", async () => {
    const root = join(folder(), "plate");
    smallPlate(root, {
      wells: ["A01"],
      dtype: "float32",
      width: 20,
      height: 10,
      value: (x, y) => (x === 3 && y === 4 ? Number.NaN : x),
    });
    const out = join(folder(), "out");
    const p = pipeline("p").step(
      "s",
      op.measurePlane(["mean", "min", "max", "percentiles", "focus_brenner"]),
    );
    await run(p, await openPlate(root), { out, threads: 1 });
    expect(rowsOf(out)[1]?.slice(7)).toEqual(["", "0", "19", "", "", "", ""]);
  });

  test("refuses what it cannot measure, by name", async () => {
    const root = join(folder(), "plate");
    smallPlate(root, { wells: ["A01"], dtype: "float32" });
    const plate = await openPlate(root);
    const refused = async (...ops: Parameters<typeof op.measurePlane>[]) => {
      const steps = ops.map((args) => op.measurePlane(...args));
      const error = await thrown(() => compile(pipeline("p").step("s", ...steps), plate));
      return [error.code, error.message];
    };
    expect(await refused([["pearson"]])).toEqual([
      "ERR_PIPELINE",
      'step "s": measurePlane: "pearson" compares the plane with another image; name it in "with"',
    ]);
    expect(await refused([["saturated"]])).toEqual([
      "ERR_PIPELINE",
      'step "s": measurePlane: a float32 image has no greatest value; give "saturation"',
    ]);
    expect(await refused([["histogram"]])).toEqual([
      "ERR_PIPELINE",
      'step "s": measurePlane: a float32 image has no range of its own; give "range" for the histogram',
    ]);
    expect(await refused([["mean"]], [["max"]])).toEqual([
      "ERR_PIPELINE",
      'step "s": measurePlane: channel 1 is measured twice in a step; put all features into one',
    ]);
  });
});
