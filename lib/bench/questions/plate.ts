// SPDX-License-Identifier: MIT
// How fast a whole plate runs, from TIFF files to OME-Zarr and measurements, on one core and more.

import { rmSync } from "node:fs";
import { join } from "node:path";
import { op } from "../../ops/op.js";
import { pipeline } from "../../orchestrator/pipeline.js";
import { run } from "../../orchestrator/run.js";
import { openPlate } from "../../plates/index.js";
import { coresName, doubling, type Measurement, type Question, scaling, us } from "../question.js";

const work = pipeline("bench")
  .step("project", op.maxProject())
  .step("correct", op.flatField({ from: "median" }))
  .step("smooth", op.gaussian({ sigma: 1.5 }))
  .step("segment", op.otsu(), op.label({ minArea: 30 }))
  .step("measure", op.measure(["area", "centroid", "mean_intensity", "integrated_intensity"]));

export const plate: Question = {
  name: "plate",
  title: "a generated plate end to end: planes/s and how it scales with cores",
  how: "A generated plate (deflate TIFFs of 512 x 512 px, two channels, three slices) through projection, flat-field, blur, Otsu, labels and measurements, written as OME-Zarr with blosc-lz4, a table and a report. The run's own clock, process start-up not counted. The limit of several cores is one core's rate as many times.",
  async prepare(setting, makePlate) {
    const { root, planes } = await makePlate(join(setting.folder, "plate"));
    const opened = await openPlate(root);
    // Once before the trials, for the pixels of a plane and to have everything in the page cache.
    const out = join(setting.folder, "plate-first");
    const { megapixels } = await run(work, opened, { out, threads: setting.cores });
    rmSync(out, { recursive: true, force: true });
    return { root, planes, megapixels };
  },
  measurements(setting) {
    const { root = "", planes = 1, megapixels = 1 } = setting.prepared.plate ?? {};
    return doubling(setting).map(
      (threads): Measurement => ({
        case: `whole plate, ${coresName(threads)}`,
        subject: us,
        unit: "Mpx/s",
        ...scaling("whole plate", us, threads),
        also: {
          case: `whole plate in planes, ${coresName(threads)}`,
          unit: "planes/s",
          factor: Number(planes) / Number(megapixels),
        },
        async measure() {
          const out = join(setting.folder, `plate-${process.pid}-${threads}`);
          try {
            const report = await run(work, await openPlate(String(root)), { out, threads });
            if (report.outcome !== "complete")
              throw new Error(
                `the generated plate's run was ${report.outcome}: ${report.failures[0]?.message}`,
              );
            return report.megapixelsPerSecond;
          } finally {
            rmSync(out, { recursive: true, force: true });
          }
        },
      }),
    );
  },
};
