// SPDX-License-Identifier: MIT
// The pipeline of the plate benchmark: the work that the docstring of python/oracle.py defines.

const columns = ["area", "centroid", "bbox", "integrated_intensity", "mean_intensity", "max_intensity"];

/** The illumination images and the camera's offset belong to the plate: the benchmark hands them in by the environment. */
export default ({ pipeline, op }) =>
  pipeline("standard")
    .step("project", op.maxProject())
    .step(
      "correct",
      op.flatField({
        image: process.env.BENCH_ILLUMINATION,
        background: Number(process.env.BENCH_BACKGROUND),
      }),
    )
    .step("smooth", op.gaussian({ sigma: 1.5 }))
    .step("segment", op.otsu(), op.label())
    .step("measure", op.measure(columns, { intensity: { raw: "project", corr: "correct" } }));
