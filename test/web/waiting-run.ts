// SPDX-License-Identifier: MIT
// A run in a gateway whose wells, from the second on, wait until the test lets each of them go.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
// Built: a user's function runs in a worker thread, which has a file of its own.
import { op, openPlate, pipeline, run } from "../../dist/index.js";
import type { Gateway } from "../../dist/web/gateway.js";
import { RunView } from "../../dist/web/run-view.js";
import { type SmallPlateOptions, smallPlate } from "../helpers/small-plate.js";

export const wells = ["A01", "A02", "B01", "B02"];

/** Starts it in an empty folder. */
export async function startRun(g: Gateway, dir: string, options: SmallPlateOptions, resume = false) {
  const root = join(dir, "plate");
  if (!resume) smallPlate(root, { wells, ...options });
  const plate = await openPlate(root);
  const module = join(dir, "wait.mjs");
  // One that is written anew is another function: nothing of the run before would be kept.
  if (!resume)
    writeFileSync(
      module,
      `import { existsSync } from "node:fs";
       const cell = new Int32Array(new SharedArrayBuffer(4));
       export default function ({ data, components }, out) {
         while (components.well !== "A01" && !existsSync(${JSON.stringify(join(dir, "go-"))} + components.well))
           Atomics.wait(cell, 0, 0, 20);
         out.set(data);
       }`,
    );
  const steps = pipeline("slow")
    .step("project", op.maxProject(), op.javascript({ module: pathToFileURL(module).href, output: "uint16" }))
    .step("segment", op.threshold({ value: 40 }), op.label({ name: "spots" }))
    .step("measure", op.measure(["area", "mean_intensity"]));
  const out = join(dir, "out");
  const controller = new AbortController();
  const view = await RunView.open(g, {
    plate,
    name: "out",
    table: join(out, "measurements.csv"),
    cancel: () => controller.abort(),
  });
  const ended = run(steps, plate, {
    out,
    threads: 1,
    resume,
    sinks: [view],
    signal: controller.signal,
    onProgress: (p) => view.progress(p),
    onWell: (well) => view.well(well),
  }).then((report) => {
    view.ended(report);
    return report;
  });
  const go = (...of: string[]) => {
    for (const well of of) writeFileSync(join(dir, `go-${well}`), "");
  };
  return { ended, go, out };
}
