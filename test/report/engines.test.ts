// SPDX-License-Identifier: MIT
// The report's account of engines and of the bound.

import { expect, test } from "vitest";
import { type BoundReport, boundOf, type EngineReport } from "../../lib/orchestrator/engine-report.js";
import { boundText, enginesSection } from "../../lib/orchestrator/report/engines-section.js";
import type { ReportData } from "../../lib/orchestrator/report/report-data.js";

const engine: EngineReport = {
  asked: "auto",
  used: "gpu",
  reason: "rates measured on Fast <GPU>",
  adapter: { name: "Fast <GPU>", driver: "driver 550", backend: "Vulkan", software: false, planes: "copy" },
  segments: [
    {
      steps: ["smooth", "segment"],
      ops: "gaussian, otsu, label",
      engine: "gpu",
      reason: "900 tiles/s on the GPU, 300 tiles/s on 8 threads",
      tiles: 96,
      redone: [{ reason: "NaN", tiles: 2 }],
    },
  ],
  onProcessor: [{ step: "split", op: "splitObjects", reason: "splitObjects has no GPU kernel" }],
  calibrationSeconds: 1.25,
};
const data = (more: Partial<ReportData>) => ({ run: { seconds: 10 }, ...more }) as ReportData;

test("engines: every part with where it ran, its tiles and why, escaped", () => {
  const text = enginesSection(data({ engine }))?.text ?? "";
  expect(text).toContain("Automatic: rates measured on Fast &lt;GPU&gt;.");
  expect(text).toContain("<td>96, and 2 redone</td>");
  expect(text).toContain("<td>splitObjects has no GPU kernel</td>");
  expect(text).not.toContain("Fast <GPU>");
});

test("engines: nothing where nobody asked for a GPU", () => {
  expect(enginesSection(data({}))).toBeNull();
  expect(enginesSection(data({ engine: { ...engine, asked: "cpu" } }))).toBeNull();
});

test("the bound is the busiest part's, over the run", () => {
  const run = {
    seconds: 10,
    threads: 4,
    workers: 8,
    megapixels: 1000,
    megabytesRead: 2000,
    megabytesWritten: 400,
  };
  const processor = { read: 10, compute: 16, write: 4, blocked: 8 };
  const bound = boundOf({ processor, gpuSeconds: 5 }, run);
  expect(bound).toMatchObject({
    limitedBy: "processor",
    seconds: 7.5,
    share: 0.75,
    gpuSeconds: 5,
    filesSeconds: 1,
    rates: { decode: 100, compute: 62.5, encode: 250, files: 300 },
  });
  expect(boundOf({ processor, gpuSeconds: 9 }, run)).toMatchObject({ limitedBy: "gpu", share: 0.9 });
  expect(boundOf({ processor: { ...processor, blocked: 80 }, gpuSeconds: 0 }, run).limitedBy).toBe("files");
  const text = boundText(data({ bound: bound as BoundReport }))?.text ?? "";
  expect(text).toContain("Bound: the processor had 7.50 s of work, 75% of the run's 10.0 s.");
  expect(text).toContain("One core: decoding 100 Mpx/s, ops 62.5 Mpx/s, compressing and writing 250 Mpx/s.");
  const idle = boundOf({ processor: { read: 0, compute: 0, write: 0, blocked: 0 }, gpuSeconds: 0 }, run);
  expect(idle.rates).toEqual({ decode: null, compute: null, encode: null, files: null });
});
