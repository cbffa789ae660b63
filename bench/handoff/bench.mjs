// SPDX-License-Identifier: MIT
// The handoff benchmark: an image to another process or thread and the answer back, by tilecast and by what people use. See README.md.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { shuffled } from "../../dist/bench/shuffle.js";
import { bench } from "../harness/bench.mjs";
import { python } from "../harness/machine.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const inNode = (file, mode) => (task) => [process.execPath, join(here, file), mode, task];
const inPython = (mode) => (task) => [python(), join(here, "peers.py"), mode, task];

const programs = {
  tilecast: { title: "tilecast", command: inNode("tilecast.mjs", "await"), limit: "futex" },
  poll: { title: "tilecast, polling", command: inNode("tilecast.mjs", "poll"), limit: "line" },
  transfer: { title: "postMessage, transfer", command: inNode("worker.mjs", "transfer"), limit: "futex" },
  shared: {
    title: "postMessage, SharedArrayBuffer",
    command: inNode("worker.mjs", "shared"),
    limit: "futex",
  },
  inproc: { title: "zeromq.js inproc", command: inNode("zeromq.mjs", "inproc"), npm: ["zeromq"] },
  ipc: { title: "zeromq.js ipc", command: inNode("zeromq.mjs", "ipc"), npm: ["zeromq"], limit: "futex" },
  queue: { title: "multiprocessing.Queue", command: inPython("queue"), modules: ["numpy"], limit: "futex" },
  pipe: { title: "shared_memory + Pipe", command: inPython("shared"), modules: ["numpy"], limit: "futex" },
  futex: { title: "limit: futex", command: inNode("limits.mjs", "futex") },
  line: { title: "limit: cache line", command: inNode("limits.mjs", "line") },
};
const sizes = { "4 KiB": 4096, "512 KiB": 2 ** 19, "8.9 MiB": 2160 * 2160 * 2, "64 MiB": 2 ** 26 };

await bench({
  name: "handoff",
  unit: "us",
  higherIsBetter: false,
  digits: 1,
  defaults: { rounds: 5, seconds: 0.5 },
  programs: () => programs,
  prepare: ({ folder }) => ({ task: join(folder, "task.json") }),
  turns: ({ programs: names }) => names.map((program) => ({ program, cases: Object.keys(sizes) })),
  async trial({ options, context, program, random, run }) {
    const order = Object.fromEntries(shuffled(Object.entries(sizes), random));
    writeFileSync(context.task, JSON.stringify({ sizes: order, seconds: options.seconds }));
    const { said, cost } = await run(program.command(context.task));
    return { cost, figures: Object.fromEntries(Object.keys(sizes).map((name) => [name, said[name].us])) };
  },
  heading: () => "An image to another process, and the answer back",
});
