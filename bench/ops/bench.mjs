// SPDX-License-Identifier: MIT
// The ops benchmark: every CPU op by itself, by tilecast, OpenCV, scikit-image and pyclesperanto. See README.md.

import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bench } from "../harness/bench.mjs";
import { output } from "../harness/launch.mjs";
import { cacheFolder, python } from "../harness/machine.mjs";
import { buildNativeProgram, nativeProgram } from "../harness/native-program.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const program = nativeProgram("tilecast_ops_bench");

const own = (task) => [
  "--side",
  task.side,
  "--threads",
  task.threads,
  "--seconds",
  task.seconds,
  "--only",
  task.only,
];
const inC =
  (...more) =>
  (_, task) =>
    [program, ...own(task), ...more].map(String);
const inPython = (name) => (path) => [python(), join(here, "peers.py"), name, path];

const programs = {
  tilecast: { title: "tilecast", command: inC(), limit: "copy" },
  opencv: { title: "OpenCV", command: inPython("opencv"), modules: ["cv2", "skimage"], limit: "copy" },
  skimage: { title: "scikit-image", command: inPython("skimage"), modules: ["skimage"], limit: "copy" },
  clesperanto: {
    title: "pyclesperanto",
    command: inPython("clesperanto"),
    modules: ["pyclesperanto", "skimage"],
    limit: "copy",
  },
  copy: { title: "limit: move the pixels", command: inC("--limit") },
};

const caseName = (row, threads) => `${row}, ${threads} ${threads === 1 ? "core" : "cores"}`;

/** The C++ program, built where the sources are newer, and the image that all work on. */
async function prepare({ options, programs: present, folder, say }) {
  await buildNativeProgram("tilecast_ops_bench", say);
  mkdirSync(cacheFolder(), { recursive: true });
  const image = join(cacheFolder(), `nuclei-${options.side}.raw`);
  await output(program, ["--write", image, "--side", String(options.side)]);
  const task = { image, side: options.side, seconds: options.seconds, only: options.only };
  // What rows there are, without measuring one.
  const { stdout } = await output(
    program,
    [...own({ ...task, threads: 1, seconds: 0 }), "--limit"].map(String),
  );
  const limited = Object.keys(JSON.parse(stdout));
  const path = join(folder, "task.json");
  const rowsOf = { copy: limited };
  for (const name of present.filter((name) => name !== "copy")) {
    writeFileSync(path, JSON.stringify({ ...task, threads: 1, list: true }));
    const command = programs[name].command(path, { ...task, threads: 1, seconds: 0 }).map(String);
    const said = await output(command[0], [...command.slice(1), ...(name === "tilecast" ? ["--list"] : [])]);
    rowsOf[name] = JSON.parse(said.stdout.trimEnd().split("\n").at(-1));
  }
  const wanted = options.cores.length > 0 ? options.cores : [1, availableParallelism()];
  return { rowsOf, task, cores: [...new Set(wanted)], path };
}

await bench({
  name: "ops",
  unit: "Mpx/s",
  own: {
    only: {
      kind: "text",
      value: "TEXT",
      fallback: "",
      help: "only rows whose name has this in it: gaussian, u16",
    },
    side: { kind: "integer", value: "PX", least: 64, fallback: 2048, help: "side of the image" },
    cores: {
      kind: "integers",
      value: "LIST",
      least: 1,
      fallback: [],
      help: "numbers of threads; default 1 and all",
    },
  },
  defaults: { rounds: 3, seconds: 0.1 },
  quick: { only: "gaussian", seconds: 0.05 },
  programs: () => programs,
  prepare,
  turns: ({ context, programs: names }) =>
    names.flatMap((program) =>
      context.cores.map((cores) => ({
        program,
        cores,
        cases: context.rowsOf[program].map((row) => caseName(row, cores)),
      })),
    ),
  labelOf: ({ cores }) => caseName("", cores).slice(2),
  async trial({ context, turn, program, run }) {
    const task = { ...context.task, threads: turn.cores };
    writeFileSync(context.path, JSON.stringify({ ...task, list: false }));
    const { said, cost } = await run(program.command(context.path, task), { oneCore: turn.cores === 1 });
    const figures = Object.entries(said).map(([row, rate]) => [caseName(row, turn.cores), rate]);
    return { cost, figures: Object.fromEntries(figures) };
  },
  heading: ({ task }) => `Each op by itself: ${task.side}x${task.side} px`,
});
