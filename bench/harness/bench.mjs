// SPDX-License-Identifier: MIT
// A benchmark question from its command line to its answer; every folder's bench.mjs describes its question and calls this.

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { helpText, readOptions, UsageError } from "./args.mjs";
import { runTrial } from "./launch.mjs";
import { root, stamp, stampLine, tilecastProgram } from "./machine.mjs";
import { isLimitProgram, missingPrograms } from "./programs.mjs";
import { figuresTable, missingLines, noiseLine, ratiosTable, rowsOfTrials, writeResult } from "./result.mjs";
import { exitCodeOfStop, Stopped, stop, stopOnSignals } from "./stop.mjs";
import { runRounds } from "./trials.mjs";

export const say = (text) => process.stderr.write(`bench: ${text}\n`);

function chosen(programs, list) {
  if (list === undefined) return programs;
  const all = Object.keys(programs).filter((name) => !isLimitProgram(programs[name]));
  const names = list.split(",");
  const unknown = names.filter((n) => !all.includes(n));
  if (unknown.length > 0)
    throw new UsageError(`--programs: no ${unknown.join(", ")} among ${all.join(", ")}`);
  if (!names.includes("tilecast"))
    throw new UsageError("--programs must hold tilecast: the ratios are to it");
  return Object.fromEntries(
    Object.entries(programs).filter(([name, p]) => names.includes(name) || isLimitProgram(p)),
  );
}

/** The title and the first paragraph of the question's README. */
function about(name) {
  const path = join(root, "bench", name, "README.md");
  if (!existsSync(path)) return undefined;
  const [title, first] = readFileSync(path, "utf8").split("\n\n");
  return { [name]: { title: title.replace(/^#\s*/, ""), how: first.replaceAll("\n", " ") } };
}

function report(question, { options, stamped, context, trials, rows }) {
  const { name, unit, digits = 0 } = question;
  const absent = missingLines(rows);
  const parts = [
    `## ${question.heading(context)}`,
    stampLine(stamped),
    `${unit}, median (min..max) of ${options.rounds} ${options.rounds === 1 ? "round" : "rounds"}.`,
    figuresTable(rows, digits),
    ratiosTable(rows),
    ...(absent.length > 0 ? [["Not measured (-):", "", ...absent].join("\n")] : []),
    question.notes?.({ options, context, trials }),
    noiseLine(trials),
    options.quick ? `A quick look: run npm run bench -- ${name} for figures to keep.` : undefined,
  ];
  return `${parts.filter((part) => part !== undefined).join("\n\n")}\n`;
}

async function ask(question, options, folder) {
  const programs = chosen(question.programs(options), options.programs);
  tilecastProgram();
  const missing = missingPrograms(programs);
  for (const [name, reason] of Object.entries(missing)) say(`${programs[name].title} is left out: ${reason}`);
  if ("tilecast" in missing) throw new Error(`tilecast cannot run here: ${missing.tilecast}`);
  const present = Object.keys(programs).filter((name) => !(name in missing));
  const stamped = stamp();
  const context = await question.prepare({ options, programs: present, folder, say });
  try {
    const turns = question.turns({ options, context, programs: present });
    const run = (command, more = {}) =>
      runTrial(command, { folder, timeLimitS: options["time-limit"], ...more });
    const trials = await runRounds({
      options,
      turns,
      titleOf: (turn) =>
        [programs[turn.program].title, question.labelOf?.(turn)].filter((t) => t !== undefined).join(", "),
      once: (turn, random) =>
        question.trial({ options, context, turn, program: programs[turn.program], random, run }),
      say,
    });
    const rows = rowsOfTrials({ ...question, programs, turns, missing, trials });
    const result = {
      machine: stamped.machine,
      commit: stamped.commit,
      rows,
      about: about(question.name),
      question: question.name,
      versions: stamped.versions,
      options,
      ...question.facts?.({ options, context, trials }),
      trials,
    };
    const path = writeResult(question.fileName?.(options) ?? question.name, result, options);
    if (path !== "-") {
      process.stdout.write(report(question, { options, stamped, context, trials, rows }));
      say(`every trial is in ${path}`);
    }
    const ours = rows.filter((r) => r.subject === "tilecast" && r.value === null);
    for (const { case: name, missing: reason } of ours) say(`tilecast failed at ${name}: ${reason}`);
    return ours.length > 0 ? 1 : 0;
  } finally {
    await question.close?.(context);
  }
}

/**
 * Runs a question; sets the exit code: 0; 1 tilecast or the bench itself failed (a peer that fails is a row that says why); 2 wrong command line; 130
 * and the like when stopped. On Ctrl-C the trial that runs is ended and what was made is removed.
 *
 * A question has
 *
 * - `name`, `unit`, `higherIsBetter` (default true), `digits` of its table (default 0), `fileName(options)` of its result;
 * - `own`, `defaults`, `quick`: its options, see args.mjs;
 * - `programs(options)`: see programs.mjs;
 * - `prepare({ options, programs, folder, say })`, once, gives the `context` of all that follows, which `close(context)` ends. `folder` is temporary;
 * - `turns({ options, context, programs })`, see trials.mjs, and `labelOf(turn)`, what tells two turns of a program apart;
 * - `trial({ options, context, turn, program, random, run })`: one trial, where `run(command, { env, oneCore })` gives what the program said and cost;
 * - `heading(context)`, `notes({ ... })` of its report, `facts({ ... })` of its JSON.
 */
export async function bench(question, argv = process.argv.slice(2)) {
  stopOnSignals();
  let folder;
  try {
    const options = readOptions(argv, question);
    if (options.help) {
      const programs = Object.entries(question.programs(options));
      const names = programs.filter(([, p]) => !isLimitProgram(p)).map(([name]) => name);
      return process.stdout.write(`${helpText(question.name, question, names)}\n`);
    }
    folder = mkdtempSync(join(tmpdir(), "tilecast-bench-"));
    process.exitCode = await ask(question, options, folder);
  } catch (error) {
    if (stop.aborted || error instanceof Stopped) {
      say(`stopped by ${stop.reason}`);
      process.exitCode = exitCodeOfStop();
      return;
    }
    const usage = error instanceof UsageError;
    say(
      usage ? `${error.message}; see --help` : `${error.message}${error.output ? `\n${error.output}` : ""}`,
    );
    process.exitCode = usage ? 2 : 1;
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}
