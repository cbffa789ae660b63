// SPDX-License-Identifier: MIT
// The web benchmark: requests to the gateway under load, beside servers of files, and what the page takes to show a plate. See README.md.

import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { shuffled } from "../../dist/bench/shuffle.js";
import { bench } from "../harness/bench.mjs";
import { ProgramError, runTrial } from "../harness/launch.mjs";
import { figure, spread, table } from "../harness/result.mjs";
import { cases, writeFiles } from "./requests.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const names = Object.keys(cases);
const inNode = (name) => ({ server: (folder) => [process.execPath, join(here, "serve.mjs"), name, folder] });
const isThere = (command) => spawnSync(command, ["-v"]).error === undefined;

const programs = {
  tilecast: { title: "tilecast", ...inNode("tilecast"), limit: "limit" },
  sirv: { title: "sirv, looking at files", ...inNode("sirv"), npm: ["sirv"], limit: "limit" },
  "sirv-listed": { title: "sirv, with a list", ...inNode("sirv-listed"), npm: ["sirv"], limit: "limit" },
  nginx: {
    title: "nginx, one process",
    nginx: true,
    lacks: () => (isThere("nginx") ? undefined : "nginx is not installed: apt-get install nginx-light"),
  },
  limit: { title: "limit: node's http, from memory", ...inNode("limit"), unchecked: true },
};

async function prepare({ options, folder, say }) {
  const files = join(folder, "files");
  mkdirSync(files, { recursive: true });
  writeFiles(files);
  if (options.page === "no") return { files };
  say("the page: starts, a pan, a run of 10 000 tiles ...");
  try {
    const command = [
      process.execPath,
      join(here, "page.mjs"),
      JSON.stringify({ quick: options.quick === true }),
    ];
    const { said } = await runTrial(command, { folder, timeLimitS: options["time-limit"] });
    return { files, page: said };
  } catch (error) {
    if (!(error instanceof ProgramError)) throw error;
    return { files, noPage: error.message };
  }
}

const ms = ({ median, min, max }) => `${median.toFixed(0)} ms (${min.toFixed(0)}..${max.toFixed(0)})`;

const course = (mb) =>
  `${mb[0].toFixed(0)} at first, ${mb.at(-1).toFixed(0)} at last, ${Math.max(...mb).toFixed(0)} at most`;

function pageNotes({ page, noPage }) {
  if (page === undefined) return noPage === undefined ? [] : [`The page was not measured: ${noPage}.`];
  const { starts, frames, run } = page;
  return [
    `From the command's start to the first pixels of an image on screen, of ${starts.length} starts: ${ms(spread(starts.map((s) => s.pixelsMs)))}; to the address printed: ${ms(spread(starts.map((s) => s.addressMs)))}; Chromium's own part, from the address to the page's first paint: ${ms(spread(starts.map((s) => s.paintMs)))}.`,
    ...frames.map(
      (f) =>
        `Panning ${f.what}: ${f.perSecond.toFixed(1)} frames/s, 95 % of them within ${f.p95.toFixed(0)} ms, longest ${f.longest.toFixed(0)} ms; the page's thread was busy for 50 ms and more ${f.longTasks} times, ${f.longTaskMs.toFixed(0)} ms together; its scripts ran for ${f.scriptS.toFixed(2)} s since it was opened. Renderer: ${f.renderer}.`,
    ),
    `A run of ${run.planes} planes in ${run.wells} wells with the page open: ${run.tiles} tiles told to the page in ${run.seconds.toFixed(1)} s, ${(run.tiles / run.seconds).toFixed(0)} tiles/s. Memory of the process, MB: ${course(run.processMb)}; JavaScript heap of the page: ${course(run.heapMb)}.`,
  ];
}

await bench({
  name: "web",
  unit: "requests/s",
  own: {
    connections: {
      kind: "integer",
      value: "N",
      least: 1,
      fallback: 16,
      help: "kept open, each with one request at a time",
    },
    page: {
      kind: "text",
      value: "yes|no",
      known: ["yes", "no"],
      fallback: "yes",
      help: "the page in Chromium, too",
    },
  },
  defaults: { rounds: 5, seconds: 2, timeLimit: 600 },
  quick: { seconds: 0.3 },
  programs: () => programs,
  prepare,
  turns: ({ programs: present }) => present.map((program) => ({ program, cases: names })),
  async trial({ options, context, program, random, run }) {
    const { connections, seconds } = options;
    const { server, nginx, unchecked } = program;
    const task = {
      ...{ server: server?.(context.files), nginx, unchecked, folder: context.files },
      ...{ names: shuffled(names, random), connections, seconds },
    };
    const { said, cost } = await run([process.execPath, join(here, "load.mjs"), JSON.stringify(task)]);
    return {
      cost,
      figures: Object.fromEntries(names.map((name) => [name, said[name].perSecond])),
      results: said,
    };
  },
  heading: () => "Requests to a server of chunks under load",
  notes({ options, context, trials }) {
    const of = (program, name, key) => {
      const values = trials
        .filter((t) => t.program === program && t.results)
        .map((t) => t.results[name][key]);
      return values.length === 0 ? "-" : figure(spread(values), key === "cpuUs" || key === "peakMb" ? 0 : 2);
    };
    const rows = (key) => names.map((name) => [name, ...Object.keys(programs).map((p) => of(p, name, key))]);
    const titles = Object.values(programs).map((p) => p.title);
    return [
      ...[
        ["p50", `median latency, ms, ${options.connections} connections`],
        ["p99", "99th percentile of latencies, ms"],
        ["cpuUs", "the server's CPU time a request, microseconds"],
        ["peakMb", "most memory of the server so far, MB"],
      ].map(([key, title]) => table([title, ...titles], rows(key))),
      ...pageNotes(context),
    ].join("\n\n");
  },
  facts: ({ context: { page } }) => ({ page }),
});
