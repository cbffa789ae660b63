// SPDX-License-Identifier: MIT
// Nuclei are found in DAPI; their brightness is measured in DAPI and in GFP. Runs on the plate of `tilecast demo`.
import { op, pipeline } from "tilecast";

export default pipeline("two-channels")
  .step("project", op.maxProject())
  .step("correct", op.flatField({ from: "median" }))
  .step("segment", {
    DAPI: [
      op.gaussian({ sigma: 1.5 }),
      op.otsu(),
      op.label({ minArea: 50, clearBorder: true, name: "nuclei" }),
    ],
  })
  .step("measure", {
    DAPI: [
      op.measure(["area", "eccentricity", "mean_intensity"], {
        intensity: { dapi: "correct", gfp: { channel: "GFP", step: "correct" } },
      }),
    ],
  });
