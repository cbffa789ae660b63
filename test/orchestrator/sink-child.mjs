// SPDX-License-Identifier: MIT
// The child process of sinks.test.ts: a run whose sink keeps its tiles, says so, and waits to be killed in the middle.
import { op, openPlate, pipeline, run } from "../../dist/index.js";

const [root, out] = process.argv.slice(2);
const segment = pipeline("segment")
  .step("project", op.maxProject())
  .step("segment", op.threshold({ value: 40 }), op.label());
const sink = {
  name: "keeper",
  begin() {},
  accept(payloads) {
    const { pixels } = payloads.find((p) => p.pixels) ?? {};
    if (pixels) process.stdout.write(`${pixels.pool.id}\n`);
  },
  drain: () => new Promise(() => {}),
};
await run(segment, await openPlate(root), {
  out,
  threads: 2,
  sinks: [sink],
  sinkLimits: { drainMs: 1_000_000 },
});
