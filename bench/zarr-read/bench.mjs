// SPDX-License-Identifier: MIT
// The zarr-read benchmark: Zarr arrays to pixels on one core and on all, by tilecast and by the readers people use. See README.md.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { output, trial } from "../harness/launch.mjs";
import { cacheFolder, cores, python, quiet, stamp, stampLine, tilecastProgram } from "../harness/machine.mjs";
import { figure, table, writeResult } from "../harness/results.mjs";
import { rows, titlesOf } from "../harness/rows.mjs";
import { seededRandom, shuffled, spread } from "../harness/stats.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const node = (file) => (task) => [process.execPath, join(here, file), task];
const inPython = (name) => (task) => [python(), join(here, "readers.py"), name, task];

/** `needs`: npm packages. */
const readers = {
  tilecast: { title: "tilecast", command: node("tilecast.mjs") },
  tensorstore: { title: "tensorstore", command: inPython("tensorstore") },
  zarrs: { title: "zarrs", command: inPython("zarrs") },
  zarr: { title: "zarr-python", command: inPython("zarr") },
  zarrita: { title: "zarrita", command: node("zarrita.mjs"), needs: ["zarrita", "@zarrita/storage"] },
};
const limits = {
  read: { title: "limit: read", command: inPython("read") },
  decode: { title: "limit: decode", command: inPython("decode") },
  copy: { title: "limit: copy", command: inPython("copy") },
};

const help = `Usage: npm run bench -- zarr-read [options]

  --readers LIST     default ${Object.keys(readers).join(",")}
  --arrays TEXT      only arrays whose name has this in it: none, blosc-lz4, zstd, shards
  --rounds N         trials of each reader, default 3
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
        readers: text(Object.keys(readers).join(",")),
        arrays: text(""),
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
  const names = values.readers.split(",");
  const unknown = names.filter((n) => !(n in readers));
  if (unknown.length > 0)
    throw new UsageError(`--readers: no ${unknown.join(", ")} among ${Object.keys(readers).join(", ")}`);
  if (!names.includes("tilecast")) throw new UsageError("--readers must hold tilecast: the ratios are to it");
  return {
    help: values.help,
    readers: names,
    arrays: values.arrays,
    rounds: Math.round(number("rounds", 1)),
    seconds: number("seconds", 0),
    seed: Math.round(number("seed", 0)),
    maxWaitS: number("max-wait", 0),
  };
}

function installed(name) {
  try {
    return createRequire(import.meta.url).resolve(name) !== "";
  } catch (error) {
    // An ESM-only package is there and has no entry for require.
    return error.code === "ERR_PACKAGE_PATH_NOT_EXPORTED";
  }
}

/** The arrays, made at the first need. */
async function corpus(filter) {
  const folder = join(cacheFolder(), "zarr");
  const listing = join(folder, "arrays.json");
  if (!existsSync(listing)) {
    say("writing the arrays ...");
    await output(python(), [join(here, "make_arrays.py"), folder]);
  }
  const all = JSON.parse(readFileSync(listing, "utf8"));
  const arrays = all.arrays.filter((a) => a.array.includes(filter));
  if (arrays.length === 0)
    throw new UsageError(`--arrays: none of ${all.arrays.map((a) => a.array).join(", ")}`);
  return { ...all, folder, arrays };
}

/** Cores that trials run on: one, and all where there are more. */
const settings = cores > 1 ? [1, cores] : [1];

async function rounds(options, all) {
  const random = seededRandom(options.seed);
  const programs = { ...Object.fromEntries(options.readers.map((n) => [n, readers[n]])), ...limits };
  const trials = [];
  const task = join(all.folder, "task.json");
  for (let round = 1; round <= options.rounds; round++) {
    const order = settings.flatMap((n) => Object.keys(programs).map((name) => ({ name, n })));
    for (const { name, n } of shuffled(order, random)) {
      const arrays = shuffled(
        all.arrays.map((a) => a.array),
        random,
      );
      writeFileSync(task, JSON.stringify({ ...all, arrays, seconds: options.seconds }));
      const busyBefore = await quiet(options.maxWaitS);
      const { said, cost } = await trial(python(), programs[name].command(task), { oneCore: n === 1 });
      trials.push({ round, reader: name, cores: n, busyBefore, cost, arrays: said });
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
        [...options.readers, ...Object.keys(limits)].map((name) => {
          const results = trials
            .filter((t) => t.reader === name && t.cores === n)
            .map((t) => t.arrays[a.array]);
          const failed = results.find((r) => r.error);
          return [name, failed ? { error: failed.error } : spread(results.map((r) => megabytes / r.s))];
        }),
      );
      if (rates.tilecast.error) throw new Error(`tilecast does not read ${a.array}: ${rates.tilecast.error}`);
      const peers = options.readers.filter((p) => p !== "tilecast" && !rates[p].error);
      const best = peers.sort((p, q) => rates[q].median - rates[p].median)[0] ?? null;
      return {
        ...a,
        cores: n,
        storedShare: a.bytes / (megabytes * 1e6),
        megabytesPerSecond: rates,
        bestPeer: best,
        toBestPeer: best === null ? null : rates.tilecast.median / rates[best].median,
      };
    }),
  );
}

function report(options, all, result) {
  const columns = [...options.readers, ...Object.keys(limits)];
  const programs = { ...readers, ...limits };
  const cell = (rate) => (rate.error ? "-" : figure(rate, 0));
  const foreign = Math.max(...result.trials.map((t) => t.cost.foreign_cores ?? 0));
  const name = (a) => `${a.codec}, ${a.layout}, ${a.cores} core${a.cores === 1 ? "" : "s"}`;
  const errors = [
    ...new Set(
      result.arrays.flatMap((a) =>
        columns
          .filter((c) => a.megabytesPerSecond[c].error)
          .map((c) => `${programs[c].title}, ${a.array}: ${a.megabytesPerSecond[c].error.split("\n")[0]}`),
      ),
    ),
  ];
  return [
    `## Zarr to pixels: ${all.shape.join("x")} ${all.dtype}, chunks ${all.chunk.join("x")}, page cache warm`,
    "",
    stampLine(result.stamp),
    "",
    `MB/s of pixels, median (min..max) of ${options.rounds} rounds.`,
    "",
    table(
      ["array", "stored", ...columns.map((c) => programs[c].title), "best peer", "tilecast / it"],
      result.arrays.map((a) => [
        name(a),
        `${(100 * a.storedShare).toFixed(0)} %`,
        ...columns.map((c) => cell(a.megabytesPerSecond[c])),
        a.bestPeer === null ? "-" : readers[a.bestPeer].title,
        a.toBestPeer === null ? "-" : a.toBestPeer.toFixed(2),
      ]),
    ),
    ...(errors.length > 0 ? ["", "Not read (-):", "", ...errors.map((e) => `- ${e}`)] : []),
    ...(foreign > 0.25
      ? ["", "Others took more than 0.25 cores during some trials: repeat this on a quiet machine."]
      : []),
  ].join("\n");
}

async function main(argv) {
  const options = parse(argv);
  if (options.help) return console.log(help);
  tilecastProgram();
  const missing = options.readers.filter((n) => readers[n].needs?.some((p) => !installed(p)));
  for (const name of missing) say(`${name} is not installed and left out: npm ci`);
  options.readers = options.readers.filter((n) => !missing.includes(n));
  mkdirSync(cacheFolder(), { recursive: true });
  const all = await corpus(options.arrays);
  const stamped = await stamp();
  const trials = await rounds(options, all);
  const arrays = evaluate(options, all, trials);
  const result = {
    question: "zarr-read",
    stamp: stamped,
    rows: await rows({
      question: "zarr-read",
      unit: "MB/s",
      cases: arrays.map((a) => ({
        name: `${a.codec}, ${a.layout}, ${a.cores} core${a.cores === 1 ? "" : "s"}`,
        rates: a.megabytesPerSecond,
      })),
      titles: titlesOf({ ...readers, ...limits }),
      limit: "decode",
      missing: Object.fromEntries(missing.map((n) => [n, `${readers[n].needs.join(", ")} not installed`])),
    }),
    options,
    arrays,
    trials,
  };
  console.log(report(options, all, result));
  say(`every trial is in ${writeResult("zarr-read", result)}`);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  const usage = error instanceof UsageError;
  process.stderr.write(`bench: ${error.message}${usage ? `\n\n${help}` : ""}\n`);
  process.exitCode = usage ? 2 : 1;
}
