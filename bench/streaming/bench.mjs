// SPDX-License-Identifier: MIT
// The streaming benchmark: images a second to viewers, by tilecast and by OpenHCS's own sender, and latencies. See README.md.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { trial } from "../harness/launch.mjs";
import { python, quiet, root, stamp, stampLine } from "../harness/machine.mjs";
import { figure, table, writeResult } from "../harness/results.mjs";
import { rows, titlesOf } from "../harness/rows.mjs";
import { median, seededRandom, shuffled, spread } from "../harness/stats.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const viewersPython = process.env.TILECAST_VIEWERS_PYTHON ?? join(root, ".venv-viewers/bin/python");
const node = (file) => (task) => [process.execPath, join(here, file), JSON.stringify(task)];

const programs = {
  tilecast: { title: "tilecast", command: node("sender.mjs") },
  arrays: { title: "tilecast, from arrays (one copy)", command: node("sender.mjs") },
  openhcs: {
    title: "OpenHCS's sender",
    command: (task) => [viewersPython, join(here, "sender.py"), JSON.stringify(task)],
  },
  limit: { title: "limit: the messages alone", command: node("limit.mjs"), only: "null" },
};

const receivers = {
  null: (port) => ({ command: process.execPath, args: [join(here, "receiver.mjs"), `${port}`] }),
  napari: (port, home) => ({
    command: viewersPython,
    args: [join(here, "napari_server.py"), `${port}`, join(home, "napari.log")],
  }),
};

const help = `Usage: npm run bench -- streaming [options]

  --receivers LIST   null, napari (OpenHCS's own server; needs Xvfb and .venv-viewers); default both
  --programs LIST    default ${Object.keys(programs).join(",")}
  --sizes LIST       edge of the square u16 images, default 512,1080,2160
  --batches LIST     images a call, default 1,8,64
  --rounds N         trials of each program and receiver, default 3
  --seconds S        time for each case in a trial, default 2
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
        receivers: text("null,napari"),
        programs: text(Object.keys(programs).join(",")),
        sizes: text("512,1080,2160"),
        batches: text("1,8,64"),
        rounds: text("3"),
        seconds: text("2"),
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
  const numbers = (name) =>
    values[name].split(",").map((each) => {
      const n = Number(each);
      if (!Number.isSafeInteger(n) || n < 1)
        throw new UsageError(`--${name} must be integers of at least 1, and is "${values[name]}"`);
      return n;
    });
  const names = (name, known) => {
    const list = values[name].split(",");
    const unknown = list.filter((n) => !(n in known));
    if (unknown.length > 0)
      throw new UsageError(`--${name}: no ${unknown.join(", ")} among ${Object.keys(known).join(", ")}`);
    return list;
  };
  const chosen = names("programs", programs);
  if (!chosen.includes("tilecast"))
    throw new UsageError("--programs must hold tilecast: the ratios are to it");
  return {
    help: values.help,
    receivers: names("receivers", receivers),
    programs: chosen,
    sizes: numbers("sizes"),
    batches: numbers("batches"),
    rounds: Math.round(number("rounds", 1)),
    seconds: number("seconds", 0),
    seed: Math.round(number("seed", 0)),
    maxWaitS: number("max-wait", 0),
  };
}

async function startDisplay() {
  const server = spawn("Xvfb", ["-displayfd", "3", "-screen", "0", "1400x1000x24", "-nolisten", "tcp"], {
    stdio: ["ignore", "ignore", "ignore", "pipe"],
  });
  const name = await new Promise((resolve, reject) => {
    server.once("error", () => reject(new Error("Xvfb is not installed: run scripts/setup")));
    server.stdio[3].once("data", (text) => resolve(`:${String(text).trim()}`));
  });
  return { name, close: () => server.kill() };
}

/** A receiver in a home folder of its own, ready. */
async function startReceiver(name, display) {
  const home = mkdtempSync(join(tmpdir(), "tc-bench-"));
  const env = { ...process.env, HOME: home, LIBGL_ALWAYS_SOFTWARE: "1", QT_QPA_PLATFORM: "xcb" };
  if (display) env.DISPLAY = display;
  const port = 5555;
  const { command, args } = receivers[name](port, home);
  const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (text) => {
      said += text;
    });
  const { Endpoint, probeEndpoint, zmqConfigs } = await import(
    pathToFileURL(join(root, "dist/runtime/index.js"))
  );
  const config = { ...zmqConfigs.openhcs, ipcSocketDir: join(home, ".openhcs/ipc") };
  const endpoint = new Endpoint({ mode: "ipc", port, config });
  while ((await probeEndpoint(endpoint)).state !== "ready") {
    if (child.exitCode !== null) throw new Error(`the receiver ${name} ended:\n${said}`);
    await delay(100);
  }
  const ended = new Promise((resolve) => {
    child.once("exit", resolve);
  });
  return {
    port,
    env: { HOME: home },
    async close() {
      child.kill("SIGKILL");
      await ended;
      rmSync(home, { recursive: true, force: true });
    },
  };
}

async function rounds(options, cases) {
  const random = seededRandom(options.seed);
  const display = options.receivers.includes("napari") ? await startDisplay() : undefined;
  const trials = [];
  try {
    for (let round = 1; round <= options.rounds; round++) {
      const pairs = options.receivers.flatMap((receiver) =>
        options.programs
          .filter((program) => (programs[program].only ?? receiver) === receiver)
          .map((program) => ({ receiver, program })),
      );
      for (const { receiver, program } of shuffled(pairs, random)) {
        const busy = await quiet(options.maxWaitS);
        const server = await startReceiver(receiver, display?.name);
        say(
          `round ${round}/${options.rounds}: ${program} to ${receiver}${busy < 0.15 ? "" : ` (others use ${Math.round(100 * busy)} %)`}`,
        );
        try {
          const task = {
            port: server.port,
            program,
            cases: shuffled(cases, random),
            seconds: options.seconds,
          };
          const { said } = await trial(python(), programs[program].command(task), { env: server.env });
          trials.push({ round, receiver, program, busy, results: said });
        } catch (error) {
          say(`${program} to ${receiver} failed: ${error.message}`);
          trials.push({ round, receiver, program, busy, error: error.message });
        } finally {
          await server.close();
        }
      }
    }
  } finally {
    display?.close();
  }
  return trials;
}

/** Images a second of each trial of a case: from the median call. */
function ratesOf(trials, receiver, { size, batch }) {
  const rates = {};
  for (const { program, results, error } of trials.filter((t) => t.receiver === receiver)) {
    rates[program] ??= { values: [] };
    const found = results?.find((r) => r.size === size && r.batch === batch);
    if (found) rates[program].values.push(batch / median(found.calls));
    else rates[program].error ??= error;
  }
  return rates;
}

const nameOf = (receiver, { size, batch }) => `${receiver}, ${size} px, ${batch} a call`;

function report(options, trials, cases) {
  const lines = [];
  for (const receiver of options.receivers) {
    const used = options.programs.filter((p) => (programs[p].only ?? receiver) === receiver);
    const body = cases.map((c) => {
      const rates = ratesOf(trials, receiver, c);
      const at = (p) => (rates[p]?.values.length ? median(rates[p].values) : undefined);
      const megabytes =
        at("tilecast") === undefined ? "-" : ((at("tilecast") * 2 * c.size ** 2) / 1e6).toFixed(0);
      const [own, peer] = [at("tilecast"), at("openhcs")];
      return [
        `${c.size} px, ${c.batch} a call`,
        ...used.map((p) => (at(p) === undefined ? "failed" : figure(spread(rates[p].values), 0))),
        megabytes,
        own && peer ? `${(own / peer).toFixed(1)} x` : "-",
      ];
    });
    const head = [
      `images/s to ${receiver}`,
      ...used.map((p) => programs[p].title),
      "tilecast MB/s",
      "to OpenHCS",
    ];
    lines.push(table(head, body), "");
  }
  const copied = trials
    .filter((t) => t.program === "tilecast")
    .flatMap((t) => t.results ?? [])
    .reduce((sum, r) => sum + r.copiedBytes, 0);
  lines.push(`bytes of pixels that tilecast copied in all its trials: ${copied}`);
  return lines.join("\n");
}

async function main() {
  const options = parse(process.argv.slice(2));
  if (options.help) return process.stdout.write(`${help}\n`);
  const needsPeer = options.programs.includes("openhcs") || options.receivers.includes("napari");
  if (needsPeer && !existsSync(viewersPython))
    throw new Error(
      `no Python with OpenHCS at ${viewersPython}: run scripts/setup, or set TILECAST_VIEWERS_PYTHON`,
    );
  const cases = options.sizes.flatMap((size) => options.batches.map((batch) => ({ size, batch })));
  const about = await stamp();
  const trials = await rounds(options, cases);
  const { said: latency } = await trial(python(), [process.execPath, join(here, "latency.mjs"), "2000"]);
  process.stdout.write(`${stampLine(about)}\n\n${report(options, trials, cases)}\n`);
  const ms = ({ p50, p99 }) => `${p50.toFixed(3)} (p99 ${p99.toFixed(3)})`;
  process.stdout.write(
    `ping over IPC, ms: ${ms(latency.ping)}; submission to acceptance, ms: ${ms(latency.submit)}\n`,
  );
  const { port: _, ...titles } = titlesOf(programs);
  const all = await rows({
    question: "streaming",
    unit: "images/s",
    cases: options.receivers.flatMap((receiver) =>
      cases.map((c) => ({ name: nameOf(receiver, c), rates: ratesOf(trials, receiver, c) })),
    ),
    titles,
    limit: "limit",
  });
  const compact = trials.map(({ results, ...rest }) => ({
    ...rest,
    results: results?.map(({ calls, ...r }) => ({ ...r, ...spread([median(calls)]), count: calls.length })),
  }));
  say(`wrote ${writeResult("streaming", { stamp: about, rows: all, options, latency, trials: compact })}`);
  if (trials.some((t) => t.error)) process.exitCode = 1;
}

main().catch((error) => {
  process.stderr.write(
    error instanceof UsageError ? `bench: ${error.message}\n\n${help}\n` : `bench: ${error.stack}\n`,
  );
  process.exitCode = error instanceof UsageError ? 2 : 1;
});
