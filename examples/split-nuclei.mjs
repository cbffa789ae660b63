// SPDX-License-Identifier: MIT
// Counts touching nuclei one by one: background out, threshold, holes filled, split by distance, grown into the cytoplasm, measured.
import { op, pipeline } from "tilecast";

export default pipeline("split-nuclei")
  .step("project", op.maxProject())
  .step("background", op.median({ radius: 1 }), op.topHat({ radius: 40 }))
  .step("mask", op.gaussian({ sigma: 1 }), op.li(), op.open({ radius: 2 }), op.fillHoles())
  .step(
    "nuclei",
    op.splitObjects({ distance: 5, name: "nuclei" }),
    op.filterLabels({ minArea: 60 }),
    op.expandLabels({ distance: 3 }),
  )
  .step(
    "measure",
    op.measure(["area", "centroid", "mean_intensity", "integrated_intensity", "eccentricity"], {
      intensity: { raw: {}, flat: "background" },
    }),
  );
