// SPDX-License-Identifier: MIT
// The standard pipeline over the real ImageXpress plate, judged by the whole-plate oracle that lies beside the repository.

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { op } from "../../lib/ops/index.js";
import { pipeline } from "../../lib/orchestrator/pipeline.js";
import { run } from "../../lib/orchestrator/run.js";
import { openPlate } from "../../lib/plates/index.js";
import { temporaryFolders } from "../helpers/folder.js";
import { needsData, needsPeer, python, shared } from "../helpers/shared.js";

const folder = temporaryFolders();
const plateRoot = shared("data", "imagexpress-plate", "2023-02-21", "1334");
const oracle = shared("oracle");

/** Runs a Python program of the oracle. */
function judge(...args: string[]): { code: number | null; text: string } {
  const { status, stdout, stderr } = spawnSync(python() as string, args, { encoding: "utf8", cwd: oracle });
  return { code: status, text: stdout + stderr };
}

/** The oracle's columns as tilecast names them. */
const columns = {
  t: "timepoint",
  sum_raw: "integrated_intensity_raw",
  mean_raw: "mean_intensity_raw",
  max_raw: "max_intensity_raw",
  sum_corr: "integrated_intensity_corr",
  mean_corr: "mean_intensity_corr",
  max_corr: "max_intensity_corr",
};

describe("the standard pipeline over the ImageXpress plate", () => {
  needsPeer(python(), "Python");
  needsData(plateRoot && oracle, "imagexpress-plate or the oracle");

  test.each(["0.5", "0.4"] as const)(
    "as OME-Zarr %s gives every pixel, label and measurement of the oracle",
    async (zarr) => {
      const root = plateRoot as string;
      const work = folder();
      const program = join(oracle as string, "oracle.py");
      const illumination = join(work, "illumination_w{c}.npy");
      expect(judge(program, root, "--make-illum", illumination, "--out", work)).toMatchObject({ code: 0 });
      const truth = join(work, "truth");
      const made = judge(
        program,
        root,
        "--illum",
        illumination,
        "--background",
        "5",
        "--arrays",
        "--jobs",
        "2",
        "--out",
        truth,
      );
      expect(made, made.text).toMatchObject({ code: 0 });
      const tiff =
        "import numpy, sys, tifffile\nfor f in sys.argv[1:]: tifffile.imwrite(f[:-3] + 'tif', numpy.load(f))";
      const files = [1, 2, 3, 4].map((c) => illumination.replace("{c}", String(c)));
      expect(judge("-c", tiff, ...files)).toMatchObject({ code: 0 });

      const out = join(work, "out");
      const standard = pipeline("standard")
        .step("project", op.maxProject())
        .step("correct", op.flatField({ image: join(work, "illumination_w{channel}.tif"), background: 5 }))
        .step("smooth", op.gaussian({ sigma: 1.5 }))
        .step("segment", op.otsu(), op.label())
        .step(
          "measure",
          op.measure(
            ["area", "centroid", "bbox", "integrated_intensity", "mean_intensity", "max_intensity"],
            {
              intensity: { raw: "project", corr: "correct" },
            },
          ),
        );
      const report = await run(standard, await openPlate(root), { out, threads: 2, zarr });
      expect(report.outcome).toBe("complete");
      const map = Object.entries(columns).map((pair) => pair.join("="));
      const compared = judge(
        join(oracle as string, "compare.py"),
        truth,
        ...[
          "--zarr",
          join(out, "plate.ome.zarr"),
          "--csv",
          join(out, "measurements.csv"),
          "--map",
          map.join(","),
        ],
        ...["--rtol", "1e-6", "--excuse", "0.01"],
      );
      expect(compared.code, compared.text).toBe(0);
      expect(compared.text).not.toContain("not compared");
      expect(report.objects).toBeGreaterThan(100);
    },
  );
});
