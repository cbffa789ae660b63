// SPDX-License-Identifier: MIT
// The plate benchmark: whole-plate runs of tilecast and its Python peers, with the physical limits among the trials. See README.md.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { median } from "../../dist/bench/result.js";
import { bench } from "../harness/bench.mjs";
import { output, ProgramError, runTrial } from "../harness/launch.mjs";
import { cacheFolder, cores, coresName, fileSystemOf } from "../harness/machine.mjs";
import { isLimitProgram } from "../harness/programs.mjs";
import { figure, spread, table } from "../harness/result.mjs";
import { filesBelow, megabytesOf, Outputs } from "./outputs.mjs";
import { oracle, plate, plateNames, script } from "./plates.mjs";
import { programs } from "./programs.mjs";

const own = {
  plate: {
    kind: "text",
    value: "NAME",
    fallback: "generated",
    known: plateNames,
    help: `one of ${plateNames.join(", ")}`,
  },
  wells: { kind: "integer", value: "N", least: 1, help: "only the first N wells" },
  threads: {
    kind: "integer",
    value: "N",
    least: 1,
    fallback: cores,
    help: "threads or processes of the programs that have several",
  },
  verify: {
    kind: "flag",
    help: "judge each program's output by the oracle (whole generated plate: 2 minutes more and 12 GB of disk, once)",
  },
  out: {
    kind: "text",
    value: "DIR",
    help: "where the programs write, default in the cache; its file system is part of what is measured",
  },
};

const caseNames = ({ plate: thePlate, threads }) => {
  const base = `${thePlate.name}, ${thePlate.wells.length} wells, ${coresName(threads)}`;
  return { own: base, whole: `${base}, whole process` };
};

/** Brings every program and its libraries into the page cache, lets numba compile, and notes what tilecast reads and writes. */
async function warmUp({ all, names, thePlate, outputs, run, say }) {
  say("warming up: each program once");
  const one = await plate(thePlate.name, 1, say);
  for (const name of names.filter((n) => n !== "tilecast" && !isLimitProgram(all[n]))) {
    try {
      await run(all[name].command(one, outputs.next()), { env: all[name].env(one) });
    } catch (error) {
      // Its trial will say so again, in a row.
      if (!(error instanceof ProgramError)) throw error;
      say(`${all[name].title}: ${error.message}`);
    }
  }
  const out = outputs.next();
  const { said } = await run(all.tilecast.command(thePlate, out), { env: all.tilecast.env(thePlate) });
  const written = filesBelow(out);
  outputs.empty(out);
  return { written, megapixels: all.tilecast.told(said).megapixels };
}

async function prepare({ options, programs: names, folder, say }) {
  const thePlate = await plate(options.plate, options.wells, say);
  const parent = options.out ?? join(cacheFolder(), "out");
  const outputs = new Outputs(parent);
  await outputs.open(say, !options.quick);
  const all = programs(options.threads);
  const run = (command, more) => runTrial(command, { folder, timeLimitS: options["time-limit"], ...more });
  try {
    const warm = await warmUp({ all, names, thePlate, outputs, run, say });
    const task = join(folder, "limits.json");
    writeFileSync(task, JSON.stringify({ read: thePlate.files, write: warm.written }));
    const fileSystem = fileSystemOf(parent);
    return {
      plate: thePlate,
      threads: options.threads,
      outputs,
      task,
      fileSystem,
      ...warm,
      verdicts: {},
      say,
    };
  } catch (error) {
    outputs.close();
    throw error;
  }
}

/** compare.py's last line. */
async function judge(name, program, out, { plate: thePlate, say }) {
  const folder = await oracle(thePlate, say);
  const [command, ...args] = script("compare.py", folder, ...program.results(out), "--excuse", "0.01");
  const { stdout, code } = await output(command, args, { expect: [0, 1] });
  const last = stdout.trimEnd().split("\n").at(-1);
  if (!/^(PASS|FAIL) /.test(last)) throw new Error(`compare.py gave no verdict on ${name}:\n${stdout}`);
  if (code !== 0) say(`${name} does not pass:\n${stdout.trimEnd()}`);
  return last;
}

/** The limit reads the plate's files and writes those of tilecast's output, nothing else. */
async function limitsTrial({ context, turn, out, run }) {
  const more = ["--out", out, "--processes", String(context.threads)];
  const { said, cost } = await run(script("limits.py", context.task, ...more));
  const rate = context.megapixels / (said.read_s + said.write_s);
  return { cost, figures: Object.fromEntries(turn.cases.map((c) => [c, rate])), limits: said };
}

async function trial({ options, context, turn, program, run }) {
  // The state that every trial starts from: the plate in the page cache, and nothing left to write back.
  for (const [path] of context.plate.files) readFileSync(path);
  await output("sync", []);
  const out = context.outputs.next();
  try {
    if (turn.program === "limits") return await limitsTrial({ context, turn, out, run });
    const { said, cost } = await run(program.command(context.plate, out), {
      env: program.env(context.plate),
    });
    const told = program.told(said);
    // The same work has the same number of pixels: a program that skipped a file would otherwise look fast.
    if (Math.abs(told.megapixels - context.megapixels) > 0.1)
      throw new ProgramError(
        `it read ${told.megapixels.toFixed(1)} Mpx of ${context.megapixels.toFixed(1)}`,
        JSON.stringify(said),
      );
    if (options.verify) {
      context.verdicts[turn.program] ??= await judge(turn.program, program, out, context);
      const verdict = context.verdicts[turn.program];
      if (verdict.startsWith("FAIL")) throw new ProgramError("its output does not pass the oracle", verdict);
    }
    const { own: ownClock, whole } = caseNames(context);
    const figures = { [ownClock]: told.megapixels / told.runS, [whole]: told.megapixels / cost.wall_s };
    return { cost, figures, told };
  } finally {
    context.outputs.empty(out);
  }
}

function programsTable(trials, all, verdicts) {
  const names = Object.keys(all).filter((n) => trials.some((t) => t.program === n && t.told));
  const head = [
    "program",
    "whole process, s",
    "own clock, s",
    "CPU s user + system",
    "RSS MB",
    "out MB",
    "objects",
  ];
  return table(
    [...head, "foreign cores", "oracle"],
    names.map((name) => {
      const own = trials.filter((t) => t.program === name && t.told);
      const of = (pick) => spread(own.map(pick));
      const middle = (pick, digits = 1) => median(own.map(pick)).toFixed(digits);
      return [
        all[name].title,
        figure(of((t) => t.cost.wall_s)),
        figure(of((t) => t.told.runS)),
        `${middle((t) => t.cost.user_s)} + ${middle((t) => t.cost.system_s)}`,
        middle((t) => t.cost.max_rss_mb, 0),
        own[0].told.outputMb.toFixed(1),
        String(own[0].told.objects),
        own[0].cost.foreign_cores === null ? "?" : middle((t) => t.cost.foreign_cores, 2),
        verdicts[name]?.split(" ")[0] ?? "-",
      ];
    }),
  );
}

function limitLines(trials, threads) {
  const limits = trials.flatMap((t) => t.limits ?? []);
  if (limits.length === 0) return [];
  const seconds = (what) => figure(spread(limits.map((l) => l[`${what}_s`])));
  const rate = (what) =>
    `${(median(limits.map((l) => l[`${what}_mb`] / l[`${what}_s`])) / 1000).toFixed(2)} GB/s`;
  const floor = median(limits.map((l) => l.read_s + l.write_s));
  const runs = trials.filter((t) => t.program === "tilecast" && t.told).map((t) => t.told.runS);
  const share =
    runs.length === 0
      ? ""
      : ` Reading and writing at these rates alone would take ${((100 * floor) / median(runs)).toFixed(0)} % of tilecast's own run time.`;
  return [
    `Limits, by as many processes as the programs have threads (${threads}): reading the plate's files from the page cache ${seconds("read")} s (${rate("read")}), writing files of tilecast's output's sizes ${seconds("write")} s (${rate("write")}), copying memory ${rate("copy")}.${share}`,
  ];
}

await bench({
  name: "plate",
  unit: "Mpx/s",
  digits: 1,
  fileName: (options) => `plate-${options.plate}`,
  own,
  defaults: { rounds: 3, seconds: 0, timeLimit: 1800 },
  quick: { wells: 2 },
  programs: ({ threads }) => programs(threads ?? cores),
  prepare,
  close: ({ outputs }) => outputs.close(),
  turns: ({ context, programs: names }) =>
    names.map((program) => ({ program, cases: Object.values(caseNames(context)) })),
  trial,
  heading: ({ plate: thePlate, megapixels, fileSystem }) =>
    `Whole plate: ${thePlate.name}, ${thePlate.wells.length} wells, ${thePlate.files.length} files, ${megapixels.toFixed(1)} Mpx, ${megabytesOf(thePlate.files).toFixed(0)} MB; output on ${fileSystem ?? "an unknown file system"}`,
  notes: ({ context, trials }) =>
    [
      programsTable(trials, programs(context.threads), context.verdicts),
      ...limitLines(trials, context.threads),
    ].join("\n\n"),
  facts: ({ context }) => ({
    plate: {
      name: context.plate.name,
      wells: context.plate.wells.length,
      files: context.plate.files.length,
      megabytes: megabytesOf(context.plate.files),
      megapixels: context.megapixels,
    },
    outputFileSystem: context.fileSystem,
    output: { files: context.written.length, megabytes: megabytesOf(context.written) },
    commands: Object.fromEntries(
      Object.entries(programs(context.threads))
        .filter(([, p]) => p.command !== undefined)
        .map(([name, p]) => [name, p.command({ ...context.plate, folder: "PLATE" }, "OUT")]),
    ),
    verdicts: context.verdicts,
  }),
});
