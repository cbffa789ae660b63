// SPDX-License-Identifier: MIT
// The zarr-write benchmark: pixels to Zarr arrays on one core and on all, by tilecast and by the writers people use. See README.md.

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { output, trial } from "../harness/launch.mjs";
import {
  cacheFolder,
  cores,
  fileSystem,
  python,
  quiet,
  stamp,
  stampLine,
  tilecastProgram,
} from "../harness/machine.mjs";
import { figure, table, writeResult } from "../harness/results.mjs";
import { rows, titlesOf } from "../harness/rows.mjs";
import { seededRandom, shuffled, spread } from "../harness/stats.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const node = (file) => (task) => [process.execPath, join(here, file), task];
const inPython = (name) => (task) => [python(), join(here, "writers.py"), name, task];

const writers = {
  tilecast: { title: "tilecast", command: node("tilecast.mjs") },
  tensorstore: { title: "tensorstore", command: inPython("tensorstore") },
  zarrs: { title: "zarrs", command: inPython("zarrs") },
  zarr: { title: "zarr-python", command: inPython("zarr") },
};
const limits = { files: { title: "limit: files", command: inPython("files") } };

const help = `Usage: npm run bench -- zarr-write [options]

  --writers LIST     default ${Object.keys(writers).join(",")}
  --arrays TEXT      only arrays whose name has this in it: none, blosc-lz4, zstd, shards
  --folder DIR       where arrays are written, default below $TILECAST_BENCH_DIR
  --rounds N         trials of each writer, default 3
  --seconds S        time for each array in a trial, default 0.4
  --seed N           of the order of trials and arrays, default 1
  --max-wait S       wait at most so long for the rest of the machine to be quiet before each trial, default 20
  -h, --help`;

const say = (text) => process.stderr.write(`bench: ${text}\n`);

class UsageError extends Error {}

function parse(argv) {
  const text = (fallback) => ({ type: "string", default: fallback });
  let values;
  try {
    ({ values } = parseArgs({
      args: argv,
      options: {
        writers: text(Object.keys(writers).join(",")),
        arrays: text(""),
        folder: text(""),
        rounds: text("3"),
        seconds: text("0.4"),
        seed: text("1"),
        "max-wait": text("20"),
        help: { type: "boolean", short: "h" },
      },
    }));
  } catch (error) {
    throw new UsageError(error.message);
  }
  const number = (name, least) => {
    const n = Number(values[name]);
    if (!(n >= least)) throw new UsageError(`--${name} must be at least ${least}, and is "${values[name]}"`);
    return n;
  };
  const names = values.writers.split(",");
  const unknown = names.filter((n) => !(n in writers));
  if (unknown.length > 0)
    throw new UsageError(`--writers: no ${unknown.join(", ")} among ${Object.keys(writers).join(", ")}`);
  if (!names.includes("tilecast")) throw new UsageError("--writers must hold tilecast: the ratios are to it");
  return {
    help: values.help,
    writers: names,
    arrays: values.arrays,
    folder: values.folder,
    rounds: Math.round(number("rounds", 1)),
    seconds: number("seconds", 0),
    seed: Math.round(number("seed", 0)),
    maxWaitS: number("max-wait", 0),
  };
}

/** The arrays, made at the first need. */
async function corpus({ arrays: filter, folder: target }) {
  const folder = join(cacheFolder(), "zarr");
  const listing = join(folder, "arrays.json");
  if (!existsSync(listing)) {
    say("writing the arrays ...");
    await output(python(), [join(here, "../zarr-read/make_arrays.py"), folder]);
  }
  const all = JSON.parse(readFileSync(listing, "utf8"));
  const arrays = all.arrays.filter((a) => a.array.includes(filter));
  if (arrays.length === 0)
    throw new UsageError(`--arrays: none of ${all.arrays.map((a) => a.array).join(", ")}`);
  return {
    ...all,
    source: folder,
    folder: join(target === "" ? folder : resolve(target), `written-${process.pid}`),
    arrays,
  };
}

/** Cores that trials run on: one, and all where there are more. */
const settings = cores > 1 ? [1, cores] : [1];

async function rounds(options, all) {
  const random = seededRandom(options.seed);
  const programs = { ...Object.fromEntries(options.writers.map((n) => [n, writers[n]])), ...limits };
  const trials = [];
  const task = join(all.source, "write-task.json");
  for (let round = 1; round <= options.rounds; round++) {
    const order = settings.flatMap((n) => Object.keys(programs).map((name) => ({ name, n })));
    for (const { name, n } of shuffled(order, random)) {
      const kinds = shuffled(all.arrays, random);
      const { arrays: _, ...rest } = all;
      // A folder each, all removed at the end: see README.md for what deleting between trials does.
      const folder = join(all.folder, String(trials.length));
      mkdirSync(folder, { recursive: true });
      writeFileSync(task, JSON.stringify({ ...rest, folder, kinds, cores: n, seconds: options.seconds }));
      const busyBefore = await quiet(options.maxWaitS);
      const { said, cost } = await trial(python(), programs[name].command(task), { oneCore: n === 1 });
      if (!(name in limits)) {
        const [command, ...args] = inPython("check")(task);
        const checked = JSON.parse((await output(command, args)).stdout);
        for (const { array } of kinds) {
          if (!checked[array]?.good) throw new Error(`${name} wrote wrong pixels into ${array}`);
          said[array].bytes = checked[array].bytes;
        }
      }
      trials.push({ round, writer: name, cores: n, busyBefore, cost, arrays: said });
      say(`round ${round} of ${options.rounds}, ${name}, ${n} core${n === 1 ? "" : "s"}`);
    }
  }
  return trials;
}

function evaluate(options, all, trials) {
  const megabytes = (all.shape.reduce((a, b) => a * b) * 2) / 1e6;
  return all.arrays.flatMap((a) =>
    settings.map((n) => {
      const rates = Object.fromEntries(
        [...options.writers, ...Object.keys(limits)].map((name) => {
          const results = trials
            .filter((t) => t.writer === name && t.cores === n)
            .map((t) => t.arrays[a.array]);
          return [name, { ...spread(results.map((r) => megabytes / r.s)), bytes: results[0].bytes }];
        }),
      );
      const peers = options.writers.filter((p) => p !== "tilecast");
      const best = peers.sort((p, q) => rates[q].median - rates[p].median)[0] ?? null;
      return {
        ...a,
        cores: n,
        storedShare: rates.tilecast.bytes / (megabytes * 1e6),
        peerStoredShare: a.bytes / (megabytes * 1e6),
        megabytesPerSecond: rates,
        bestPeer: best,
        toBestPeer: best === null ? null : rates.tilecast.median / rates[best].median,
      };
    }),
  );
}

function report(options, all, result) {
  const columns = [...options.writers, ...Object.keys(limits)];
  const programs = { ...writers, ...limits };
  const foreign = Math.max(...result.trials.map((t) => t.cost.foreign_cores ?? 0));
  const name = (a) => `${a.codec}, ${a.layout}, ${a.cores} core${a.cores === 1 ? "" : "s"}`;
  return [
    `## Pixels to Zarr: ${all.shape.join("x")} ${all.dtype}, chunks ${all.chunk.join("x")}, no fsync, on ${fileSystem(dirname(all.folder))}`,
    "",
    stampLine(result.stamp),
    "",
    `MB/s of pixels, median (min..max) of ${options.rounds} rounds.`,
    "",
    table(
      ["array", "stored, c-blosc", ...columns.map((c) => programs[c].title), "best peer", "tilecast / it"],
      result.arrays.map((a) => [
        name(a),
        `${(100 * a.storedShare).toFixed(0)} %, ${(100 * a.peerStoredShare).toFixed(0)} %`,
        ...columns.map((c) => figure(a.megabytesPerSecond[c], 0)),
        a.bestPeer === null ? "-" : writers[a.bestPeer].title,
        a.toBestPeer === null ? "-" : a.toBestPeer.toFixed(2),
      ]),
    ),
    ...(foreign > 0.25
      ? ["", "Others took more than 0.25 cores during some trials: repeat this on a quiet machine."]
      : []),
  ].join("\n");
}

async function main(argv) {
  const options = parse(argv);
  if (options.help) return console.log(help);
  tilecastProgram();
  mkdirSync(cacheFolder(), { recursive: true });
  const all = await corpus(options);
  const stamped = await stamp();
  const trials = await rounds(options, all).finally(() =>
    rmSync(all.folder, { recursive: true, force: true }),
  );
  const arrays = evaluate(options, all, trials);
  const result = {
    question: "zarr-write",
    stamp: stamped,
    rows: await rows({
      question: "zarr-write",
      unit: "MB/s",
      cases: arrays.map((a) => ({
        name: `${a.codec}, ${a.layout}, ${a.cores} core${a.cores === 1 ? "" : "s"}`,
        rates: a.megabytesPerSecond,
      })),
      titles: titlesOf({ ...writers, ...limits }),
      limit: "files",
    }),
    options,
    arrays,
    trials,
  };
  console.log(report(options, all, result));
  say(`every trial is in ${writeResult("zarr-write", result)}`);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  const usage = error instanceof UsageError;
  process.stderr.write(`bench: ${error.message}${usage ? `\n\n${help}` : ""}\n`);
  process.exitCode = usage ? 2 : 1;
}
