// SPDX-License-Identifier: MIT
// The tiff benchmark: TIFF file to pixels on one core, by tilecast and by the readers people use. See README.md.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { output, trial } from "../harness/launch.mjs";
import { cacheFolder, python, quiet, stamp, stampLine, tilecastProgram } from "../harness/machine.mjs";
import { figure, table, writeResult } from "../harness/results.mjs";
import { rows, titlesOf } from "../harness/rows.mjs";
import { seededRandom, shuffled, spread } from "../harness/stats.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const node = (file) => (task) => [process.execPath, join(here, file), task];
const inPython = (name) => (task) => [python(), join(here, "readers.py"), name, task];

/** `needs`: an npm package of bench/package.json. */
const readers = {
  tilecast: { title: "tilecast", command: node("tilecast.mjs") },
  tifffile: { title: "tifffile", command: inPython("tifffile") },
  opencv: { title: "OpenCV", command: inPython("opencv") },
  imagecodecs: { title: "by hand + imagecodecs", command: inPython("imagecodecs") },
  sharp: { title: "sharp", command: node("sharp.mjs"), needs: "sharp" },
  geotiff: { title: "geotiff.js", command: node("geotiff.mjs"), needs: "geotiff" },
};
const limits = {
  read: { title: "limit: read the file", command: inPython("read") },
  copy: { title: "limit: copy the pixels", command: inPython("copy") },
};

const help = `Usage: npm run bench -- tiff [options]

  --readers LIST     default ${Object.keys(readers).join(",")}
  --files TEXT       only files whose name has this in it: deflate, p2, tiles
  --rounds N         trials of each reader, default 3
  --seconds S        time for each file in a trial, default 0.3
  --seed N           of the order of trials and files, default 1
  --max-wait S       wait at most so long for the rest of the machine to be quiet before each trial, default 20
  -h, --help

sharp and geotiff.js are installed by: npm ci --prefix bench`;

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
        files: text(""),
        rounds: text("3"),
        seconds: text("0.3"),
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
    files: values.files,
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

/** The files, made at the first need. */
async function corpus(filter) {
  const folder = join(cacheFolder(), "tiff");
  const listing = join(folder, "files.json");
  if (!existsSync(listing)) {
    say("writing the TIFF files ...");
    await output(python(), [join(here, "make_files.py"), folder]);
  }
  const all = JSON.parse(readFileSync(listing, "utf8"));
  const files = all.files.filter((f) => f.file.includes(filter));
  if (files.length === 0) throw new UsageError(`--files: none of ${all.files.map((f) => f.file).join(", ")}`);
  return { ...all, folder, files };
}

async function rounds(options, all) {
  const random = seededRandom(options.seed);
  const programs = { ...Object.fromEntries(options.readers.map((n) => [n, readers[n]])), ...limits };
  const trials = [];
  const task = join(all.folder, "task.json");
  for (let round = 1; round <= options.rounds; round++) {
    for (const name of shuffled(Object.keys(programs), random)) {
      const files = shuffled(
        all.files.map((f) => f.file),
        random,
      );
      writeFileSync(task, JSON.stringify({ ...all, files, seconds: options.seconds }));
      const busyBefore = await quiet(options.maxWaitS);
      const { said, cost } = await trial(python(), programs[name].command(task), { oneCore: true });
      trials.push({ round, reader: name, busyBefore, cost, files: said });
      say(`round ${round} of ${options.rounds}, ${name}`);
    }
  }
  return trials;
}

/** MB/s of pixels of every reader for one file: a spread, or the error of a reader that does not read it. */
function ratesOf(file, names, trials, megabytes) {
  return Object.fromEntries(
    names.map((name) => {
      const results = trials.filter((t) => t.reader === name).map((t) => t.files[file]);
      const failed = results.find((r) => r.error);
      return [name, failed ? { error: failed.error } : spread(results.map((r) => megabytes / r.s))];
    }),
  );
}

function evaluate(options, all, trials) {
  const megabytes = (all.width * all.height * 2) / 1e6;
  return all.files.map((f) => {
    const rates = ratesOf(f.file, [...options.readers, ...Object.keys(limits)], trials, megabytes);
    if (rates.tilecast.error) throw new Error(`tilecast does not read ${f.file}: ${rates.tilecast.error}`);
    const peers = options.readers.filter((n) => n !== "tilecast" && !rates[n].error);
    const best = peers.sort((a, b) => rates[b].median - rates[a].median)[0] ?? null;
    return {
      ...f,
      storedShare: f.bytes / (megabytes * 1e6),
      megabytesPerSecond: rates,
      bestPeer: best,
      toBestPeer: best === null ? null : rates.tilecast.median / rates[best].median,
      toReadLimit: rates.tilecast.median / rates.read.median,
      toCopyLimit: rates.tilecast.median / rates.copy.median,
    };
  });
}

function report(options, all, result) {
  const columns = [...options.readers, ...Object.keys(limits)];
  const programs = { ...readers, ...limits };
  const name = (f) => `${f.codec}, predictor ${f.predictor}, ${f.layout}`;
  const cell = (rate) => (rate.error ? "-" : figure(rate, 0));
  const foreign = Math.max(...result.trials.map((t) => t.cost.foreign_cores ?? 0));
  const errors = [
    ...new Set(
      result.files.flatMap((f) =>
        columns
          .filter((c) => f.megabytesPerSecond[c].error)
          .map((c) => `${programs[c].title}, ${f.codec}: ${f.megabytesPerSecond[c].error.split("\n")[0]}`),
      ),
    ),
  ];
  return [
    `## TIFF to pixels: ${all.width}x${all.height} ${all.dtype}, one core, page cache warm`,
    "",
    stampLine(result.stamp),
    "",
    `MB/s of pixels, median (min..max) of ${options.rounds} rounds.`,
    "",
    table(
      ["file", ...columns.map((c) => programs[c].title)],
      result.files.map((f) => [name(f), ...columns.map((c) => cell(f.megabytesPerSecond[c]))]),
    ),
    "",
    table(
      [
        "file",
        "stored",
        "best peer",
        "tilecast / best peer",
        "tilecast / read limit",
        "tilecast / copy limit",
      ],
      result.files.map((f) => [
        name(f),
        `${(100 * f.storedShare).toFixed(0)} %`,
        f.bestPeer === null ? "-" : readers[f.bestPeer].title,
        f.toBestPeer === null ? "-" : f.toBestPeer.toFixed(2),
        f.toReadLimit.toFixed(2),
        f.toCopyLimit.toFixed(2),
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
  const missing = options.readers.filter((n) => readers[n].needs && !installed(readers[n].needs));
  for (const name of missing) say(`${name} is not installed and left out: npm ci --prefix bench`);
  options.readers = options.readers.filter((n) => !missing.includes(n));
  mkdirSync(cacheFolder(), { recursive: true });
  const all = await corpus(options.files);
  const stamped = await stamp();
  const trials = await rounds(options, all);
  const files = evaluate(options, all, trials);
  const result = {
    question: "tiff",
    stamp: stamped,
    rows: await rows({
      question: "tiff",
      unit: "MB/s",
      cases: files.map((f) => ({
        name: `${f.codec}, predictor ${f.predictor}, ${f.layout}, 1 core`,
        rates: f.megabytesPerSecond,
      })),
      titles: titlesOf({ ...readers, ...limits }),
      limit: "copy",
      missing: Object.fromEntries(missing.map((n) => [n, `${readers[n].needs} is not installed`])),
    }),
    options,
    files,
    trials,
  };
  console.log(report(options, all, result));
  say(`every trial is in ${writeResult("tiff", result)}`);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  const usage = error instanceof UsageError;
  process.stderr.write(`bench: ${error.message}${usage ? `\n\n${help}` : ""}\n`);
  process.exitCode = usage ? 2 : 1;
}
