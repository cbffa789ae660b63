// SPDX-License-Identifier: MIT
// `tilecast demo`: makes a small plate, runs a pipeline over it, says where the results are.

import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { op } from "../ops/op.js";
import { pipeline } from "../orchestrator/pipeline.js";
import { openPlate } from "../plates/index.js";
import { makeDemoPlate } from "./demo-plate.js";
import { runWithProgress } from "./run.js";
import { duration, paint, wantsColor } from "./terminal.js";

export const demoHelp = `Usage: tilecast demo [DIR] [options]

Makes a small plate in DIR/plate (24 wells, 2 sites, 2 channels, 3 slices, a dose response), segments its nuclei and cells, and writes
OME-Zarr, measurements and a report to DIR/results. DIR is tilecast-demo unless given. Needs no Python, GPU or network.

      --wells N   how many wells, default 24
  -q, --quiet
  -h, --help`;

const demoPipeline = pipeline("demo")
  .step("project", op.maxProject())
  .step("correct", op.flatField({ from: "median" }))
  .step("smooth", op.gaussian({ sigma: 1.5 }))
  .step("segment", op.otsu(), op.label({ minArea: 30 }))
  .step(
    "measure",
    op.measure([
      "area",
      "centroid",
      "mean_intensity",
      "integrated_intensity",
      "max_intensity",
      "eccentricity",
    ]),
  );

export async function demoCommand(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      wells: { type: "string" },
      quiet: { type: "boolean", short: "q" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) {
    process.stdout.write(`${demoHelp}\n`);
    return 0;
  }
  const c = paint(wantsColor(process.stdout));
  const say = (text: string) => {
    if (!values.quiet) process.stdout.write(`${text}\n`);
  };
  const dir = resolve(positionals[0] ?? "tilecast-demo");
  const began = performance.now();
  const demo = await makeDemoPlate(
    join(dir, "plate"),
    values.wells === undefined ? {} : { wells: Number(values.wells) },
  );
  say(
    `Made a plate of ${demo.wells.length} wells, ${demo.planes} planes, in ${duration((performance.now() - began) / 1000)}: ${c.dim(demo.root)}`,
  );
  const plate = await openPlate(demo.root);
  say(`Running pipeline "${demoPipeline.name}":`);
  for (const line of demoPipeline.describe()) say(c.dim(`  ${line}`));
  const { code, report } = await runWithProgress(
    demoPipeline,
    plate,
    { out: join(dir, "results"), overwrite: true, command: "tilecast demo" },
    { json: false, quiet: values.quiet ?? false },
  );
  if (code === 0) {
    say(`\nOpen the report: ${c.cyan(pathToFileURL(join(report.out, "report.html")).href)}`);
    say("Then your own plate: npx tilecast info PLATE; npx tilecast run PLATE -p examples/nuclei.mjs -o out");
  }
  return code;
}
