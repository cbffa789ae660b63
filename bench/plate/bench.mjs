// SPDX-License-Identifier: MIT
// The plate benchmark: whole-plate runs of tilecast and its Python peers, with the physical limits among the trials. See README.md.

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { output, trial } from "../harness/launch.mjs";
import { cacheFolder, cores, fileSystem, python, quiet, stamp, stampLine } from "../harness/machine.mjs";
import { figure, table, writeResult } from "../harness/results.mjs";
import { rows, titlesOf } from "../harness/rows.mjs";
import { seededRandom, shuffled, spread } from "../harness/stats.mjs";
import { oracle, plate, plateNames, script } from "./plates.mjs";
import { programs } from "./programs.mjs";

const help = `Usage: npm run bench -- plate [options]

  --plate NAME       ${plateNames.join(", ")} (default generated)
  --wells N          only the first N wells
  --rounds N         trials of each program, default 3
  --programs LIST    default tilecast,tuned,naive-n,naive-1
  --threads N        threads or processes of the programs that have several, default every core
  --verify           judge each program's output by the oracle (whole generated plate: 2 minutes more and 12 GB of disk, once)
  --out DIR          where the programs write, default in the cache; its file system is part of what is measured
  --seed N           of the order of trials, default 1
  --max-wait S       wait at most so long for the rest of the machine to be quiet before each trial, default 20
  -h, --help

The cache is $TILECAST_BENCH_DIR, or build/bench. Exit codes: 0; 1 a program failed or its output did not pass; 2 wrong command line.`;

const say = (text) => process.stderr.write(`bench: ${text}\n`);

class UsageError extends Error {}

function parse(argv) {
  const text = (fallback) => ({ type: "string", default: fallback });
  let values;
  try {
    ({ values } = parseArgs({
      args: argv,
      options: {
        plate: text("generated"),
        wells: { type: "string" },
        rounds: text("3"),
        programs: { type: "string" },
        threads: text(String(cores)),
        verify: { type: "boolean", default: false },
        out: { type: "string" },
        seed: text("1"),
        "max-wait": text("20"),
        help: { type: "boolean", short: "h" },
      },
    }));
  } catch (error) {
    throw new UsageError(error.message);
  }
  const integer = (name, least) => {
    const n = Number(values[name]);
    if (!Number.isSafeInteger(n) || n < least)
      throw new UsageError(`--${name} must be an integer of at least ${least}, and is "${values[name]}"`);
    return n;
  };
  if (!plateNames.includes(values.plate))
    throw new UsageError(`--plate must be one of ${plateNames.join(", ")}, and is "${values.plate}"`);
  const threads = integer("threads", 1);
  const known = programs(threads);
  const names =
    values.programs?.split(",") ?? Object.keys(known).filter((n) => n !== "naive-n" || threads > 1);
  const unknown = names.filter((n) => !(n in known));
  if (unknown.length > 0)
    throw new UsageError(`--programs: no ${unknown.join(", ")} among ${Object.keys(known).join(", ")}`);
  if (!names.includes("tilecast"))
    throw new UsageError("--programs must hold tilecast: the ratios are to it");
  return {
    help: values.help,
    plate: values.plate,
    wells: values.wells === undefined ? undefined : integer("wells", 1),
    rounds: integer("rounds", 1),
    programs: names,
    threads,
    verify: values.verify,
    out: values.out ?? join(cacheFolder(), "out"),
    seed: integer("seed", 0),
    maxWaitS: integer("max-wait", 0),
  };
}

/** Files below a folder with their sizes, relative. */
function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((e) => e.isFile())
    .map((e) => join(e.parentPath, e.name))
    .map((path) => [relative(folder, path), statSync(path).size]);
}

const megabytes = (files) => files.reduce((sum, [, bytes]) => sum + bytes, 0) / 1e6;

/**
 * On ext4 without a journal, creating files right after many were unlinked spent a third of a profile's samples looking over freed
 * inodes (`recently_deleted` in fs/ext4/ialloc.c): that would measure our own clearing up. So nothing is unlinked between trials, and a
 * run waits for what the one before has unlinked; a minute was enough in the few pairs that were tried.
 */
const inodeRestMs = 65_000;

/** The folders that the trials write to: a fresh one for each, all of them unlinked at the end. */
class Outputs {
  constructor(folder) {
    this.parent = folder;
    this.folder = join(folder, "trials");
    this.count = 0;
  }

  async open() {
    // Leftovers of a run that was cut off. The parent's own time says when something was last removed from it.
    rmSync(this.folder, { recursive: true, force: true });
    const since = existsSync(this.parent) ? Date.now() - statSync(this.parent).mtimeMs : inodeRestMs;
    mkdirSync(this.folder, { recursive: true });
    if (since >= inodeRestMs || !fileSystem(this.parent)?.startsWith("ext")) return;
    say(
      `another run's output was removed here just now: waiting ${Math.ceil((inodeRestMs - since) / 1000)} s`,
    );
    await delay(inodeRestMs - since);
  }

  next() {
    this.count++;
    return join(this.folder, String(this.count));
  }

  /** Gives the space back but keeps the inodes. */
  empty(out) {
    for (const [path] of filesBelow(out)) truncateSync(join(out, path));
  }

  close() {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The whole benchmark as one object, so that every step sees the same options. */
class PlateBench {
  constructor(options, thePlate) {
    this.options = options;
    this.plate = thePlate;
    this.programs = programs(options.threads);
    this.outputs = new Outputs(options.out);
  }

  /** The state that every trial starts from: the plate in the page cache, nothing left to write back, and others asleep. */
  async prepare() {
    for (const [path] of this.plate.files) readFileSync(path);
    await output("sync", []);
    return quiet(this.options.maxWaitS);
  }

  async run(name, out, thePlate = this.plate) {
    const program = this.programs[name];
    const { said, cost } = await trial(python(), program.command(thePlate, out), {
      env: program.env(thePlate),
    });
    return { ...program.told(said), ...cost };
  }

  /** Brings every program and its libraries into the page cache, lets numba compile, and notes what files tilecast writes. */
  async warmUp() {
    say("warming up: each program once");
    const one = await plate(this.plate.name, 1, say);
    for (const name of this.options.programs.filter((n) => n !== "tilecast")) {
      await this.run(name, this.outputs.next(), one);
    }
    const out = this.outputs.next();
    await this.run("tilecast", out);
    this.written = filesBelow(out);
    this.outputs.empty(out);
  }

  async limits(out) {
    const task = join(this.options.out, "limits.json");
    writeFileSync(task, JSON.stringify({ read: this.plate.files, write: this.written }));
    const [command, ...args] = script(
      "limits.py",
      task,
      ...["--out", out, "--processes", String(this.options.threads)],
    );
    return JSON.parse((await output(command, args)).stdout);
  }

  async verdict(name, out) {
    const folder = await oracle(this.plate, say);
    const results = this.programs[name].results(out);
    const [command, ...args] = script("compare.py", folder, ...results, "--excuse", "0.01");
    const { stdout, code } = await output(command, args, { expect: [0, 1] });
    const last = stdout.trimEnd().split("\n").at(-1);
    if (!/^(PASS|FAIL) /.test(last)) throw new Error(`compare.py gave no verdict on ${name}:\n${stdout}`);
    if (code !== 0) say(`${name} does not pass:\n${stdout.trimEnd()}`);
    return last;
  }

  async rounds() {
    const random = seededRandom(this.options.seed);
    const trials = Object.fromEntries(["limits", ...this.options.programs].map((n) => [n, []]));
    const verdicts = {};
    for (let round = 1; round <= this.options.rounds; round++) {
      for (const name of shuffled(Object.keys(trials), random)) {
        const busyBefore = await this.prepare();
        const out = this.outputs.next();
        const result = name === "limits" ? await this.limits(out) : await this.run(name, out);
        trials[name].push({ round, busyBefore, ...result });
        const told =
          name === "limits"
            ? `read ${result.read_s.toFixed(2)} s, write ${result.write_s.toFixed(2)} s`
            : `${result.wall_s.toFixed(2)} s, own clock ${result.runS.toFixed(2)} s`;
        say(`round ${round} of ${this.options.rounds}, ${name}: ${told}`);
        if (name !== "limits" && this.options.verify && !(name in verdicts))
          verdicts[name] = await this.verdict(name, out);
        this.outputs.empty(out);
      }
    }
    return { trials, verdicts };
  }
}

/** The same work has the same number of pixels: a program that skipped a file would otherwise look fast. */
function megapixels(trials, names) {
  const seen = new Set(names.flatMap((n) => trials[n].map((t) => Math.round(t.megapixels * 10) / 10)));
  if (seen.size !== 1)
    throw new Error(`the programs disagree on the pixels they read: ${[...seen].join(", ")} Mpx`);
  return trials.tilecast[0].megapixels;
}

/** How many times as fast as a peer tilecast is: of the medians, and the extremes of the rounds, whose trials were neighbours in time. */
function speedup(trials, peer, key) {
  const rounds = trials.tilecast.map((t, i) => trials[peer][i][key] / t[key]);
  const of = (name) => spread(trials[name].map((t) => t[key])).median;
  return { ofMedians: of(peer) / of("tilecast"), min: Math.min(...rounds), max: Math.max(...rounds) };
}

function evaluate({ trials, verdicts }, names) {
  const all = (name, key) => spread(trials[name].map((t) => t[key]));
  const mpx = megapixels(trials, names);
  const summary = Object.fromEntries(
    names.map((n) => [
      n,
      {
        wallS: all(n, "wall_s"),
        runS: all(n, "runS"),
        megapixelsPerSecond: mpx / all(n, "runS").median,
        userS: all(n, "user_s"),
        systemS: all(n, "system_s"),
        maxRssMb: all(n, "max_rss_mb"),
        foreignCores: trials[n].some((t) => t.foreign_cores === null) ? null : all(n, "foreign_cores"),
        objects: trials[n][0].objects,
        outputMb: trials[n][0].outputMb,
        verdict: verdicts[n] ?? null,
      },
    ]),
  );
  const rate = (what) => spread(trials.limits.map((t) => t[`${what}_mb`] / t[`${what}_s`]));
  const limits = {
    readS: all("limits", "read_s"),
    readMbPerS: rate("read"),
    writeS: all("limits", "write_s"),
    writeMbPerS: rate("write"),
    copyMbPerS: rate("copy"),
  };
  const floor = limits.readS.median + limits.writeS.median;
  const ratios = Object.fromEntries(
    names
      .filter((n) => n !== "tilecast")
      .map((n) => [n, { wall: speedup(trials, n, "wall_s"), run: speedup(trials, n, "runS") }]),
  );
  return { megapixels: mpx, summary, limits, ratios, limitShareOfRun: floor / summary.tilecast.runS.median };
}

function report(options, thePlate, result, titles) {
  const { summary, limits, ratios } = result;
  const times = ({ ofMedians, min, max }) =>
    `${ofMedians.toFixed(2)} (${min === max ? "one round" : `${min.toFixed(2)}..${max.toFixed(2)}`})`;
  const verdict = (s) => (s.verdict === null ? "-" : s.verdict.split(" ")[0]);
  const noisy = Object.values(summary).some((s) => (s.foreignCores?.max ?? 0) > 0.25);
  const gb = (rate) => `${(rate.median / 1000).toFixed(2)} GB/s`;
  return [
    `## Whole plate: ${thePlate.name}, ${thePlate.wells.length} wells, ${thePlate.files.length} files, ` +
      `${result.megapixels.toFixed(1)} Mpx, ${megabytes(thePlate.files).toFixed(0)} MB`,
    "",
    stampLine(result.stamp),
    "",
    `Seconds: median (min..max) of ${options.rounds} rounds. Output on ${result.outputFileSystem ?? "an unknown file system"}.`,
    "",
    table(
      [
        "program",
        "whole process",
        "own clock",
        "Mpx/s",
        "CPU s user + system",
        "RSS MB",
        "out MB",
        "objects",
        "foreign cores",
        "oracle",
      ],
      options.programs.map((n) => {
        const s = summary[n];
        return [
          titles[n].title,
          figure(s.wallS),
          figure(s.runS),
          s.megapixelsPerSecond.toFixed(1),
          `${s.userS.median.toFixed(1)} + ${s.systemS.median.toFixed(1)}`,
          s.maxRssMb.median.toFixed(0),
          s.outputMb.toFixed(1),
          String(s.objects),
          s.foreignCores === null ? "?" : s.foreignCores.median.toFixed(2),
          verdict(s),
        ];
      }),
    ),
    "",
    ...(options.programs.length === 1
      ? []
      : [
          table(
            ["tilecast is so many times as fast as", "whole process", "own clock"],
            Object.entries(ratios).map(([n, r]) => [titles[n].title, times(r.wall), times(r.run)]),
          ),
          "",
        ]),
    `Limits, by as many processes as the programs have threads (${options.threads}): reading the plate's files from the page cache ${figure(limits.readS)} s (${gb(limits.readMbPerS)}), ` +
      `writing files of tilecast's output's sizes ${figure(limits.writeS)} s (${gb(limits.writeMbPerS)}), ` +
      `copying memory ${gb(limits.copyMbPerS)}.`,
    `Reading and writing at these rates alone would take ${(100 * result.limitShareOfRun).toFixed(0)} % of tilecast's own run time.`,
    ...(noisy
      ? ["", "Others took more than 0.25 cores during some trials: repeat this on a quiet machine."]
      : []),
  ].join("\n");
}

/** Mpx/s by each program's own clock; the limit reads the plate's files and writes those of tilecast's output, nothing else. */
function plateRows(options, thePlate, { megapixels: mpx, trials }, titles) {
  const rate = (seconds) => ({ values: seconds.map((s) => mpx / s) });
  return rows({
    question: "plate",
    unit: "Mpx/s",
    cases: [
      {
        name: `${thePlate.name}, ${thePlate.wells.length} wells, ${options.threads} core${options.threads === 1 ? "" : "s"}`,
        rates: {
          ...Object.fromEntries(options.programs.map((n) => [n, rate(trials[n].map((t) => t.runS))])),
          limits: rate(trials.limits.map((t) => t.read_s + t.write_s)),
        },
      },
    ],
    // The number of threads is in the case; the subject is the same on every machine.
    titles: { ...titlesOf(titles), tilecast: "tilecast", limits: "limit: read and write the files" },
    limit: "limits",
  });
}

async function main(argv) {
  const options = parse(argv);
  if (options.help) return console.log(help);
  const thePlate = await plate(options.plate, options.wells, say);
  const bench = new PlateBench(options, thePlate);
  const stamped = await stamp();
  await bench.outputs.open();
  let outcome;
  try {
    await bench.warmUp();
    outcome = await bench.rounds();
  } finally {
    bench.outputs.close();
  }
  const result = {
    question: "plate",
    stamp: stamped,
    options,
    plate: {
      name: thePlate.name,
      wells: thePlate.wells.length,
      files: thePlate.files.length,
      megabytes: megabytes(thePlate.files),
    },
    outputFileSystem: fileSystem(options.out),
    output: { files: bench.written.length, megabytes: megabytes(bench.written) },
    commands: Object.fromEntries(
      options.programs.map((n) => [n, bench.programs[n].command({ ...thePlate, folder: "PLATE" }, "OUT")]),
    ),
    ...evaluate(outcome, options.programs),
    trials: outcome.trials,
  };
  result.rows = await plateRows(options, thePlate, result, bench.programs);
  console.log(report(options, thePlate, result, bench.programs));
  say(`every trial is in ${writeResult(`plate-${thePlate.name}`, result)}`);
  if (Object.values(outcome.verdicts).some((v) => v.startsWith("FAIL"))) process.exitCode = 1;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  const usage = error instanceof UsageError;
  process.stderr.write(`bench: ${error.message}${usage ? `\n\n${help}` : ""}\n`);
  process.exitCode = usage ? 2 : 1;
}
