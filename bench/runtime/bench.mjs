// SPDX-License-Identifier: MIT
// The runtime benchmark: how long a ping, a submission and an empty execution take, beside zmqruntime's. See README.md.

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { trial } from "../harness/launch.mjs";
import { python, quiet, stamp, stampLine, tilecastProgram } from "../harness/machine.mjs";
import { figure, table, writeResult } from "../harness/results.mjs";
import { rows, titlesOf } from "../harness/rows.mjs";
import { median, seededRandom, shuffled, spread } from "../harness/stats.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const programs = {
  tilecast: {
    title: "tilecast",
    command: (n) => [process.execPath, join(here, "tilecast.mjs"), "tilecast", n],
  },
  zmqruntime: { title: "zmqruntime", command: (n) => [python(), join(here, "peer.py"), n] },
  limit: {
    title: "limit: REQ and REP",
    command: (n) => [process.execPath, join(here, "tilecast.mjs"), "limit", n],
  },
};
const cases = ["ping", "submit", "complete"];

const help = `Usage: npm run bench -- runtime [options]

  --rounds N         trials of each program, default 5
  --requests N       pings and submissions of a trial, default 2000
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
        rounds: text("5"),
        requests: text("2000"),
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
  return {
    help: values.help,
    rounds: Math.round(number("rounds", 1)),
    requests: Math.round(number("requests", 20)),
    seed: Math.round(number("seed", 0)),
    maxWaitS: number("max-wait", 0),
  };
}

const percentile = (values, share) => [...values].sort((a, b) => a - b)[Math.floor(values.length * share)];

async function rounds(options) {
  const random = seededRandom(options.seed);
  const trials = [];
  for (let round = 1; round <= options.rounds; round++) {
    for (const program of shuffled(Object.keys(programs), random)) {
      const busyBefore = await quiet(options.maxWaitS);
      const { said, cost } = await trial(python(), programs[program].command(String(options.requests)));
      const ms = Object.fromEntries(
        Object.entries(said).map(([name, v]) => [
          name,
          { p50: median(v), p99: percentile(v, 0.99), times: v.length },
        ]),
      );
      trials.push({ round, program, busyBefore, cost, ms });
      say(`round ${round} of ${options.rounds}, ${program}`);
    }
  }
  return trials;
}

function evaluate(trials) {
  return cases.map((name) => {
    const of = (which) =>
      Object.fromEntries(
        Object.keys(programs)
          .map((p) => [p, trials.filter((t) => t.program === p && t.ms[name]).map((t) => t.ms[name][which])])
          .filter(([, values]) => values.length > 0)
          .map(([p, values]) => [p, spread(values)]),
      );
    const p50 = of("p50");
    return { name, p50, p99: of("p99"), faster: p50.zmqruntime.median / p50.tilecast.median };
  });
}

const report = (options, result) =>
  [
    "## A request to a server over IPC, one at a time",
    "",
    stampLine(result.stamp),
    "",
    `Milliseconds, median (min..max) of ${options.rounds} rounds of ${options.requests} requests.`,
    "",
    table(
      [
        "case",
        ...Object.keys(programs).map((p) => `${programs[p].title} p50`),
        "tilecast p99",
        "zmqruntime p99",
        "zmqruntime / tilecast",
      ],
      result.cases.map(({ name, p50, p99, faster }) => [
        name,
        ...Object.keys(programs).map((p) => (p50[p] ? figure(p50[p], 3) : "-")),
        figure(p99.tilecast, 2),
        figure(p99.zmqruntime, 2),
        faster.toFixed(1),
      ]),
    ),
  ].join("\n");

async function main(argv) {
  const options = parse(argv);
  if (options.help) return console.log(help);
  tilecastProgram();
  const stamped = await stamp();
  const trials = await rounds(options);
  const evaluated = evaluate(trials);
  const result = {
    question: "runtime",
    stamp: stamped,
    rows: await rows({
      question: "runtime",
      unit: "1/s",
      cases: evaluated.map(({ name, p50 }) => ({
        name,
        rates: Object.fromEntries(
          Object.entries(p50).map(([p, { values }]) => [p, spread(values.map((ms) => 1000 / ms))]),
        ),
      })),
      titles: titlesOf(programs),
      limit: "limit",
    }),
    options,
    cases: evaluated,
    trials,
  };
  console.log(report(options, result));
  say(`every trial is in ${writeResult("runtime", result)}`);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  const usage = error instanceof UsageError;
  process.stderr.write(`bench: ${error.message}${usage ? `\n\n${help}` : ""}\n`);
  process.exitCode = usage ? 2 : 1;
}
