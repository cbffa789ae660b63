// SPDX-License-Identifier: MIT
// `tilecast bench`: measures this node, compares two results, makes a page of one.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { compareResults } from "../bench/compare.js";
import { renderPage } from "../bench/page.js";
import type { MakePlate } from "../bench/question.js";
import { questions } from "../bench/questions/index.js";
import { parseResult } from "../bench/result.js";
import { measureNode } from "../bench/run.js";
import { comparisonText, machineLine, resultText, verdictText } from "../bench/text.js";
import { TilecastError } from "../errors.js";
import { makeDemoPlate } from "./demo-plate.js";
import { duration, paint, wantsColor } from "./terminal.js";

const width = Math.max(...questions.map((q) => q.name.length));

export const benchHelp = `Usage: tilecast bench [QUESTION...] [options]
       tilecast bench compare A.json B.json [--json FILE]
       tilecast bench page RESULT.json PAGE.html

Measures this node: each question in fresh processes, in a shuffled order; medians, their spread, and ratios to the limit that was measured
beside them. Then says where the node falls short. All questions by default:

${questions.map((q) => `  ${q.name.padEnd(width)}  ${q.title}`).join("\n")}

      --quick        a first look in seconds: two short trials, small images
      --folder DIR   the file system to measure; default the system's folder for temporary files
      --threads N    "all cores" are at most N; default every core this process may use
      --trials N     default 5
      --seconds S    time for each measurement of a trial, default 0.25
      --seed N       of the shuffled order, default 1
      --json FILE    the result as JSON; - is stdout, instead of the table
      --html FILE    the result as a page with plots
  -q, --quiet        no progress
  -h, --help

compare says how many times as good B is as A and whether the ranges of the trials are apart. It and page also take the results of the
development benchmarks (npm run bench, in bench/results).`;

const usage = (message: string, argument: string) =>
  new TilecastError("ERR_USAGE", `${message}; see tilecast bench --help`, { argument });

function number(
  name: string,
  text: string | undefined,
  fallback: number,
  least: number,
  whole: boolean,
): number {
  if (text === undefined) return fallback;
  const n = Number(text);
  if (text.trim() === "" || !(n >= least) || n > 1e6 || (whole && !Number.isInteger(n)))
    throw usage(
      `--${name} must be ${whole ? "an integer" : "a number"} of at least ${least}, and is "${text}"`,
      name,
    );
  return n;
}

function load(path: string) {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new TilecastError("ERR_IO", `cannot read ${path}: ${(cause as Error).message}`, { path, cause });
  }
  return parseResult(text, path);
}

function save(path: string, text: string): void {
  try {
    if (path === "-") process.stdout.write(text);
    else writeFileSync(path, text);
  } catch (cause) {
    throw new TilecastError("ERR_IO", `cannot write ${path}: ${(cause as Error).message}`, { path, cause });
  }
}

const json = (value: unknown) => `${JSON.stringify(value, null, 1)}\n`;

function compareCommand(paths: readonly string[], jsonPath: string | undefined): number {
  const [a, b, ...more] = paths;
  if (a === undefined || b === undefined || more.length > 0)
    throw usage(`tilecast bench compare takes two results, and got ${paths.length}`, "compare");
  const [from, to] = [load(a), load(b)];
  const differences = compareResults(from, to);
  if (jsonPath !== undefined) save(jsonPath, json({ a: from.machine, b: to.machine, differences }));
  if (jsonPath !== "-") {
    const c = paint(wantsColor(process.stdout));
    const names = [`a: ${basename(a)}`, `b: ${basename(b)}`] as const;
    process.stdout.write(`a: ${machineLine(from)}\nb: ${machineLine(to)}\n\n`);
    process.stdout.write(comparisonText(differences, names, c));
  }
  return 0;
}

function pageCommand(paths: readonly string[]): number {
  const [from, to, ...more] = paths;
  if (from === undefined || to === undefined || more.length > 0)
    throw usage("tilecast bench page takes a result and the page to write", "page");
  save(to, renderPage(load(from)));
  return 0;
}

/** A plate for the plate question: the demo's, with less of it for a quick look. */
const plateOf =
  (quick: boolean, cores: number, signal: AbortSignal): MakePlate =>
  (folder) =>
    // At least two fields a core, so that every core has work to the end.
    makeDemoPlate(folder, {
      wells: quick ? Math.min(24, Math.max(2, cores)) : Math.min(96, Math.max(24, cores * 2)),
      signal,
    });

interface Told {
  readonly quick: boolean;
  readonly folder: string;
  readonly cores: number;
  readonly trials: number;
  readonly seconds: number;
  readonly seed: number;
}

async function measure(names: readonly string[], told: Told, quiet: boolean) {
  const unknown = names.filter((n) => !questions.some((q) => q.name === n));
  if (unknown.length > 0)
    throw usage(
      `tilecast bench has no question "${unknown.join('", "')}"; known: ${questions.map((q) => q.name).join(", ")}`,
      "QUESTION",
    );
  if (!existsSync(told.folder)) throw usage(`--folder: ${told.folder} does not exist`, "folder");
  const asked = questions.filter((q) => names.length === 0 || names.includes(q.name));
  const stop = new AbortController();
  const onSignal = (name: string) => stop.abort(name);
  process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
  const terminal = process.stderr.isTTY === true && process.env.TERM !== "dumb";
  const onStep = (text: string, done: number, total: number) => {
    const line = `${done + 1}/${total}  ${text}`;
    process.stderr.write(terminal ? `\r${line}\u001b[K` : `${line}\n`);
  };
  try {
    return await measureNode({
      ...told,
      questions: asked,
      makePlate: plateOf(told.quick, told.cores, stop.signal),
      signal: stop.signal,
      ...(quiet ? {} : { onStep }),
    });
  } catch (error) {
    if (stop.signal.aborted) return stop.signal.reason === "SIGTERM" ? 143 : 130;
    throw error;
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
    if (terminal && !quiet) process.stderr.write("\r\u001b[K");
  }
}

/** `tilecast bench ...`; gives the exit code. */
export async function benchCommand(args: string[]): Promise<number> {
  const text = { type: "string" } as const;
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      quick: { type: "boolean" },
      folder: text,
      threads: text,
      trials: text,
      seconds: text,
      seed: text,
      json: text,
      html: text,
      quiet: { type: "boolean", short: "q" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) {
    process.stdout.write(`${benchHelp}\n`);
    return 0;
  }
  const [first, ...rest] = positionals;
  if (first === "compare") return compareCommand(rest, values.json);
  if (first === "page") return pageCommand(rest);
  const quick = values.quick ?? false;
  const began = performance.now();
  const result = await measure(
    positionals,
    {
      quick,
      folder: values.folder ?? tmpdir(),
      cores: number("threads", values.threads, availableParallelism(), 1, true),
      trials: number("trials", values.trials, quick ? 2 : 5, 1, true),
      seconds: number("seconds", values.seconds, quick ? 0.02 : 0.25, 0, false),
      seed: number("seed", values.seed, 1, 0, true),
    },
    values.quiet ?? false,
  );
  if (typeof result === "number") return result;
  if (values.json !== undefined) save(values.json, json(result));
  if (values.html !== undefined) save(values.html, renderPage(result));
  if (values.json === "-") return 0;
  const c = paint(wantsColor(process.stdout));
  process.stdout.write(
    `${machineLine(result)}\n${c.dim(`medians of ${result.options.trials} trials, in ${duration((performance.now() - began) / 1000)}${quick ? "; --quick: a first look, for figures to keep run it without" : ""}`)}\n\n${resultText(result, c)}\n${verdictText(result.verdicts, c)}\n`,
  );
  if (values.json === undefined && values.html === undefined)
    process.stdout.write(
      c.dim("\nkeep it: --json FILE; see it: --html FILE; two nodes: tilecast bench compare A.json B.json\n"),
    );
  return 0;
}
