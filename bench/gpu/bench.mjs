// SPDX-License-Identifier: MIT
// The GPU benchmark: the engine's ops, calls and transfers on this machine's GPU, and a chain on it and on all cores. See README.md.

import { bench } from "../harness/bench.mjs";
import { output } from "../harness/launch.mjs";
import { buildNativeProgram, nativeProgram } from "../harness/native-program.mjs";

const program = nativeProgram("tilecast_gpu_bench");
const args = ({ side, seconds, threads }) => ["--side", side, "--seconds", seconds, "--threads", threads];

const programs = {
  tilecast: { title: "tilecast", limit: "limit" },
  cpu: { title: "tilecast on all cores" },
  limit: { title: "limit: the GPU's memory, or the link" },
};

/** What the last trial said of the GPU beside rates. */
const found = (trials) => trials.findLast((t) => t.program === "tilecast" && t.gpu !== undefined)?.gpu;

const lines = (title, figures) => [
  `${title}:`,
  "",
  ...Object.entries(figures).map(([name, value]) => `- ${name}: ${value.toPrecision(3)}`),
];

await bench({
  name: "gpu",
  unit: "Mpx/s",
  own: {
    side: { kind: "integer", value: "PX", least: 64, fallback: 2048, help: "side of the planes" },
    threads: {
      kind: "integer",
      value: "N",
      least: 1,
      fallback: 8,
      help: "threads that call the engine at once",
    },
  },
  defaults: { rounds: 3, seconds: 1 },
  quick: { side: 512, seconds: 0.05 },
  programs: () => programs,
  async prepare({ options, say }) {
    await buildNativeProgram("tilecast_gpu_bench", say);
    const { stdout } = await output(program, [...args(options), "--list"].map(String));
    return { cases: JSON.parse(stdout) };
  },
  turns: ({ context: { cases }, programs: names }) =>
    names.map((name) => ({ program: name, cases: name === "cpu" ? ["chain"] : cases })),
  async trial({ options, context, turn, run }) {
    if (turn.program === "cpu") {
      const { said, cost } = await run([program, ...args(options), "--cpu"].map(String));
      return { cost, figures: said };
    }
    // One run gives the rates and their limits; the limits of a round come from a run of their own.
    const { said, cost } = await run([program, ...args(options)].map(String));
    const of = turn.program === "limit" ? said.limits : said.rates;
    const figures = Object.fromEntries(context.cases.map((name) => [name, of[name]]));
    return turn.program === "limit" ? { cost, figures } : { cost, figures, gpu: said };
  },
  heading: () => "The GPU: ops on the card, transfers, and a chain from memory to memory",
  notes({ trials }) {
    const gpu = found(trials);
    if (gpu === undefined) return undefined;
    return [
      `Adapter: ${gpu.adapter} (${gpu.driver}).`,
      ...(gpu.software
        ? [
            "",
            "**It is a CPU that plays a GPU: these figures show that it runs, and nothing of a GPU's speed.**",
          ]
        : []),
      "",
      gpu.imports ? "Registered memory is imported." : `Registered memory is staged: ${gpu.why}.`,
      "",
      ...lines("Small tiles, next to no work", gpu.calls),
      "",
      ...lines("Transfers alone", gpu.link),
      "",
      `Copy kernel: ${(gpu.limits["copy bytes/s"] / 1e9).toPrecision(3)} GB/s, read and written.`,
    ].join("\n");
  },
  facts: ({ trials }) => ({ gpu: found(trials) }),
});
