// SPDX-License-Identifier: MIT
// The runtime benchmark: what a request to a server costs over IPC, by tilecast and by OpenHCS's zmqruntime. See README.md.

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { median } from "../../dist/bench/result.js";
import { bench } from "../harness/bench.mjs";
import { python } from "../harness/machine.mjs";
import { figure, spread, table } from "../harness/result.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const inNode = (which) => (n) => [process.execPath, join(here, "tilecast.mjs"), which, n];

const programs = {
  tilecast: { title: "tilecast", command: inNode("tilecast"), npm: ["zeromq"], limit: "limit" },
  zmqruntime: {
    title: "zmqruntime",
    command: (n) => [python(), join(here, "peer.py"), n],
    modules: ["zmqruntime"],
    limit: "limit",
  },
  limit: { title: "limit: REQ and REP", command: inNode("limit"), npm: ["zeromq"] },
};
const cases = ["ping", "submit", "complete"];

const percentile = (values, share) => [...values].sort((a, b) => a - b)[Math.floor(values.length * share)];

await bench({
  name: "runtime",
  unit: "ms",
  higherIsBetter: false,
  digits: 3,
  own: {
    requests: {
      kind: "integer",
      value: "N",
      least: 20,
      fallback: 2000,
      help: "pings and submissions of a trial; --seconds has no meaning here",
    },
  },
  defaults: { rounds: 5, seconds: 0 },
  quick: { requests: 200 },
  programs: () => programs,
  prepare: () => ({}),
  turns: ({ programs: names }) =>
    names.map((program) => ({ program, cases: program === "limit" ? ["ping"] : cases })),
  async trial({ options, turn, program, run }) {
    const { said, cost } = await run(program.command(String(options.requests)));
    const each = (of) => Object.fromEntries(turn.cases.map((name) => [name, of(said[name])]));
    return { cost, figures: each(median), p99: each((times) => percentile(times, 0.99)) };
  },
  heading: () => "A request to a server over IPC, one at a time",
  notes({ trials }) {
    const p99 = (program, name) =>
      trials.filter((t) => t.program === program && t.p99).map((t) => t.p99[name]);
    const names = ["tilecast", "zmqruntime"];
    const cell = (values) => (values.length === 0 ? "-" : figure(spread(values), 2));
    return table(
      ["99th percentile", ...names],
      cases.map((name) => [name, ...names.map((program) => cell(p99(program, name)))]),
    );
  },
});
