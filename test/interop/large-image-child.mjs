// SPDX-License-Identifier: MIT
// Runs a pipeline over one image in a process of its own and says how much memory it took at most: node large-image-child.mjs IMAGE OUT BYTES

import { op, openPlate, pipeline, run } from "../../dist/index.js";

const [image, out, bytes] = process.argv.slice(2);
const plate = await openPlate(image);
const before = process.memoryUsage().rss;
const report = await run(
  pipeline("slide")
    .step("segment", op.otsu(), op.label())
    .step("measure", op.measure(["area", "integrated_intensity"])),
  plate,
  { out, threads: 2, memory: Number(bytes) },
);
const grown = process.resourceUsage().maxRSS * 1024 - before;
process.stdout.write(JSON.stringify({ outcome: report.outcome, objects: report.objects, grown }));
