// SPDX-License-Identifier: MIT
// Segments nuclei in every channel of a plate: projection, flat-field, smoothing, Otsu, labels, measurements.
import { op, pipeline } from "tilecast";

export default pipeline("nuclei")
  .step("project", op.maxProject())
  .step("correct", op.flatField({ from: "median" }))
  .step("smooth", op.gaussian({ sigma: 1.5 }))
  .step("segment", op.otsu(), op.label({ minArea: 30, name: "nuclei" }))
  .step(
    "measure",
    op.measure(
      [
        "area",
        "centroid",
        "bbox",
        "integrated_intensity",
        "mean_intensity",
        "max_intensity",
        "eccentricity",
        "perimeter",
      ],
      { intensity: { raw: {}, corrected: "correct" } },
    ),
  );
