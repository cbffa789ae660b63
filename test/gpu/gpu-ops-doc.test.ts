// SPDX-License-Identifier: MIT
// docs/gpu-ops.md says which ops a GPU applies and how closely; written from the tests' own bounds: `vitest -u` renews it.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { native } from "../../lib/native.js";
import { type Bound, opCases } from "./op-bounds.js";

function words(bound: Bound): string {
  switch (bound.kind) {
    case "equal":
      return "equal";
    case "ulp":
      return `${bound.ulp} ulp`;
    case "scale":
      return `${bound.steps} steps`;
    case "ties":
      return "halves";
  }
}

const columns = [
  ["8 and 16 bits", /int(8|16)$/],
  ["uint32, int32", /int32$/],
  ["float32", /^float32$/],
] as const;

/** Of an op and some dtypes: every bound that its cases have. */
function agreement(name: string, dtypes: RegExp): string {
  const found = opCases.filter((c) => c.op.name === name && c.dtypes.some((d) => dtypes.test(d)));
  const texts = [...new Set(found.map((c) => words(c.bound)))];
  return texts.length > 0 ? texts.join(", ") : "CPU";
}

/** Ops on masks and labels have a test of their own, which takes only the CPU's bits for an answer. */
const labelTest = join(import.meta.dirname, "label-ops.test.ts");
const labelText = existsSync(labelTest) ? readFileSync(labelTest, "utf8") : "";

/** Ops with a row for GPUs, by what holds them to it. */
function opsWithRows() {
  const rows = native().listOps();
  const tried = new Set(opCases.map((c) => c.op.name));
  const gpu = rows.filter((row) => row.gpu).map((row) => row.name);
  const rest = gpu.filter((name) => !tried.has(name));
  const labels = rest.filter((name) => labelText.includes(`"${name}"`));
  return {
    tried: gpu.filter((name) => tried.has(name)),
    labels,
    untried: rest.filter((name) => !labels.includes(name)),
    cpu: rows.filter((row) => !row.gpu).map((row) => row.name),
  };
}

const head = `# Ops on a GPU

Written by test/gpu/gpu-ops-doc.test.ts from the bounds that test/gpu/ops.test.ts holds every op to, on odd sizes, edge values, NaN and
infinities, through another implementation of WebGPU than the engine's. What is compared with is the CPU.

- **equal**: the same bits. Point-wise ops on 8 and 16 bits that float32 would round go through a table of what the CPU makes of every value.
- **n ulp**: within so many units in the last place of the CPU's float32.
- **n steps**: within n * 2^-24 of the greatest magnitude in the image.
- **halves**: integers differ by at most 1, and only where what float32 loses of the exact result decides on which side of half-way it lies.
- **CPU**: the CPU does it, as it does everything in float64; the run's report says why.

Several bounds in a field: the closest is that of parameters and results that float32 holds. GPUs may take numbers below 1.2e-38 for 0. Where a
plane holds NaN and a range is wanted, or infinities that the range would end at, the GPU says so and the CPU raises its error.

`;

const projections = `
## Projections

max and min: equal, any dtype. sum: equal for 8 and 16 bits, else CPU. mean: 4 ulp for 8 and 16 bits, 8 steps for float32. deviation:
16 steps for both. focus: the CPU's choice of plane but where two planes' sharpness agrees to 16 steps. mean and deviation of 32-bit
integers: CPU.

`;

test("docs/gpu-ops.md is what the tests hold ops to", async () => {
  const ops = opsWithRows();
  const line = (name: string) =>
    `| ${[name, ...columns.map(([, dtypes]) => agreement(name, dtypes))].join(" | ")} |`;
  const names = columns.map(([name]) => name);
  const table = [
    `| op | ${names.join(" | ")} |`,
    `| --- | ${names.map(() => "---").join(" | ")} |`,
    ...ops.tried.map(line),
  ];
  const labels = ops.labels.length > 0 ? `\nOn masks and labels, equal: ${ops.labels.join(", ")}.\n` : "";
  const text = `${head}${table.join("\n")}\n${labels}${projections}## On the CPU\n\n${ops.cpu.join(", ")}.\n`;
  await expect(text).toMatchFileSnapshot(join(import.meta.dirname, "../../docs/gpu-ops.md"));
});

test("every op with a row for GPUs is held to a bound, and every op with a bound has a row", () => {
  const { tried, untried } = opsWithRows();
  expect(untried).toEqual([]);
  expect([...new Set(opCases.map((c) => c.op.name))].filter((name) => !tried.includes(name))).toEqual([]);
});
