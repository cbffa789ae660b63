// SPDX-License-Identifier: MIT
// The handoff benchmark: an image to another process or thread and the answer back, by tilecast and by what people use. See README.md.

import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { trial } from "../harness/launch.mjs";
import { cacheFolder, python, quiet, stamp, stampLine, tilecastProgram } from "../harness/machine.mjs";
import { figure, table, writeResult } from "../harness/results.mjs";
import { rows, titlesOf } from "../harness/rows.mjs";
import { seededRandom, shuffled, spread } from "../harness/stats.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const node = (file, mode) => (task) => [process.execPath, join(here, file), mode, task];
const inPython = (mode) => (task) => [python(), join(here, "peers.py"), mode, task];

/** `limit`: what this way cannot be faster than. `needs`: an npm package. */
const ways = {
  tilecast: { title: "tilecast", command: node("tilecast.mjs", "await"), limit: "futex" },
  poll: { title: "tilecast, polling", command: node("tilecast.mjs", "poll"), limit: "line" },
  transfer: { title: "postMessage, transfer", command: node("worker.mjs", "transfer"), limit: "futex" },
  shared: { title: "postMessage, SharedArrayBuffer", command: node("worker.mjs", "shared"), limit: "futex" },
  inproc: { title: "zeromq.js inproc", command: node("zeromq.mjs", "inproc"), needs: "zeromq" },
  ipc: { title: "zeromq.js ipc", command: node("zeromq.mjs", "ipc"), needs: "zeromq", limit: "futex" },
  queue: { title: "multiprocessing.Queue", command: inPython("queue"), limit: "futex" },
  pipe: { title: "shared_memory + Pipe", command: inPython("shared"), limit: "futex" },
};
const limits = {
  futex: { title: "limit: futex", command: node("limits.mjs", "futex") },
  line: { title: "limit: cache line", command: node("limits.mjs", "line") },
};
const sizes = { "4 KiB": 4096, "512 KiB": 2 ** 19, "8.9 MiB": 2160 * 2160 * 2, "64 MiB": 2 ** 26 };

const help = `Usage: npm run bench -- handoff [options]

  --ways LIST        default ${Object.keys(ways).join(",")}
  --rounds N         trials of each way, default 5
  --seconds S        time for each size in a trial, default 0.5
  --seed N           of the order of trials, default 1
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
        ways: text(Object.keys(ways).join(",")),
        rounds: text("5"),
        seconds: text("0.5"),
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
  const names = values.ways.split(",");
  const unknown = names.filter((n) => !(n in ways));
  if (unknown.length > 0)
    throw new UsageError(`--ways: no ${unknown.join(", ")} among ${Object.keys(ways).join(", ")}`);
  if (!names.includes("tilecast")) throw new UsageError("--ways must hold tilecast: the ratios are to it");
  return {
    help: values.help,
    ways: names,
    rounds: Math.round(number("rounds", 1)),
    seconds: number("seconds", 0),
    seed: Math.round(number("seed", 0)),
    maxWaitS: number("max-wait", 0),
  };
}

function installed(name) {
  try {
    return createRequire(import.meta.url).resolve(name) !== "";
  } catch {
    return false;
  }
}

async function rounds(options, names) {
  const random = seededRandom(options.seed);
  const programs = { ...ways, ...limits };
  const task = join(cacheFolder(), "handoff.json");
  const trials = [];
  for (let round = 1; round <= options.rounds; round++) {
    for (const name of shuffled([...names, ...Object.keys(limits)], random)) {
      const order = Object.fromEntries(shuffled(Object.entries(sizes), random));
      writeFileSync(task, JSON.stringify({ sizes: order, seconds: options.seconds }));
      const busyBefore = await quiet(options.maxWaitS);
      const { said, cost } = await trial(python(), programs[name].command(task));
      trials.push({ round, way: name, busyBefore, cost, sizes: said });
      say(`round ${round} of ${options.rounds}, ${programs[name].title}`);
    }
  }
  return trials;
}

const evaluate = (names, trials) =>
  Object.keys(sizes).map((name) => ({
    name,
    rates: Object.fromEntries(
      [...names, ...Object.keys(limits)].map((way) => [
        way,
        spread(trials.filter((t) => t.way === way).map((t) => t.sizes[name].us)),
      ]),
    ),
  }));

function report(options, result, names) {
  const programs = { ...ways, ...limits };
  const foreign = Math.max(...result.trials.map((t) => t.cost.foreign_cores ?? 0));
  return [
    "## An image to another process, and the answer back",
    "",
    stampLine(result.stamp),
    "",
    `Microseconds, median (min..max) of ${options.rounds} rounds.`,
    "",
    table(
      ["way", ...Object.keys(sizes), "8.9 MiB / tilecast"],
      [...names, ...Object.keys(limits)].map((way) => [
        programs[way].title,
        ...result.cases.map(({ rates }) => figure(rates[way], 1)),
        (result.cases[2].rates[way].median / result.cases[2].rates.tilecast.median).toFixed(2),
      ]),
    ),
    ...(foreign > 0.25
      ? ["", `Others took up to ${foreign.toFixed(1)} cores during trials: repeat this on a quiet machine.`]
      : []),
  ].join("\n");
}

async function main(argv) {
  const options = parse(argv);
  if (options.help) return console.log(help);
  tilecastProgram();
  const missing = options.ways.filter((n) => ways[n].needs !== undefined && !installed(ways[n].needs));
  for (const name of missing) say(`${ways[name].needs} is not installed: ${ways[name].title} is left out`);
  const names = options.ways.filter((n) => !missing.includes(n));
  mkdirSync(cacheFolder(), { recursive: true });
  const stamped = await stamp();
  const trials = await rounds(options, names);
  const cases = evaluate(names, trials);
  const result = {
    question: "handoff",
    stamp: stamped,
    rows: await rows({
      question: "handoff",
      unit: "us",
      higherIsBetter: false,
      cases,
      titles: titlesOf({ ...ways, ...limits }),
      limit: (way) => ways[way]?.limit,
      missing: Object.fromEntries(missing.map((n) => [n, `${ways[n].needs} is not installed`])),
    }),
    options,
    cases,
    trials,
  };
  console.log(report(options, result, names));
  say(`every trial is in ${writeResult("handoff", result)}`);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  const usage = error instanceof UsageError;
  process.stderr.write(`bench: ${error.message}${usage ? `\n\n${help}` : ""}\n`);
  process.exitCode = usage ? 2 : 1;
}
