// SPDX-License-Identifier: MIT
// `npm run bench`: runs the benchmark questions, some with their own options or all in their short form, and puts their results together.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));

/** Every folder with a README and a bench.mjs is a question; one without the latter says in its README how it is run. */
function questions() {
  return readdirSync(here, { withFileTypes: true })
    .filter((e) => e.isDirectory() && e.name !== "results" && existsSync(join(here, e.name, "README.md")))
    .map((e) => {
      const [title] = readFileSync(join(here, e.name, "README.md"), "utf8").split("\n");
      const program = join(here, e.name, "bench.mjs");
      return {
        name: e.name,
        title: title.replace(/^#\s*/, ""),
        program: existsSync(program) ? program : undefined,
      };
    });
}

function help(all) {
  const width = Math.max(...all.map((q) => q.name.length));
  const lines = all.map(
    (q) => `  ${q.name.padEnd(width)}  ${q.title}${q.program ? "" : ` (see bench/${q.name}/README.md)`}`,
  );
  return `Usage: npm run bench                                   every question in its short form, some minutes
       npm run bench -- QUESTION... [options]          some questions; one with --help tells its options

${lines.join("\n")}

With no question or several, --json FILE and --html FILE are of all results together. What results are compared and drawn with:
tilecast bench compare A.json B.json, tilecast bench page A.json A.html (docs/bench.md).
`;
}

const say = (text) => process.stderr.write(`bench: ${text}\n`);
let stopped;
let child;
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"])
  process.on(name, () => {
    stopped = name;
    // A terminal's Ctrl-C has reached it already; it takes the second one calmly and cleans up.
    child?.kill(name);
  });

/** Runs one question's program; gives its exit code. */
function run(program, args) {
  return new Promise((resolve, reject) => {
    child = spawn(process.execPath, [program, ...args], { stdio: "inherit" });
    child.on("error", reject);
    child.on("close", (code) => resolve(code ?? 1));
  });
}

/** Takes `--name VALUE` and `--name=VALUE` out of the arguments. */
function takeOption(args, name) {
  const at = args.findIndex((a) => a === `--${name}` || a.startsWith(`--${name}=`));
  if (at < 0) return undefined;
  const [found] = args.splice(at, 1);
  return found.includes("=") ? found.slice(found.indexOf("=") + 1) : args.splice(at, 1)[0];
}

const columns = (rows) => {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((r) => r[i].length)));
  return rows
    .map((r) =>
      r
        .map((cell, i) => cell.padEnd(widths[i]))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
};

/** A line a case of tilecast's: how it does against the best peer and the limit. */
function summary(rows) {
  const ratio = (x, text) => (x === null ? "" : `${x < 0.1 ? x.toPrecision(2) : x.toFixed(2)} x ${text}`);
  const lines = rows
    .filter((r) => r.subject === "tilecast")
    .map((r) => [
      `${r.question}: ${r.case}`,
      r.value === null ? `not measured: ${r.missing}` : `${r.value.toPrecision(3)} ${r.unit}`,
      ratio(r.ratioToBestPeer, "the best peer"),
      ratio(r.ratioToLimit, `limit (${r.limit})`),
    ]);
  const absent = new Map(
    rows.filter((r) => r.value === null).map((r) => [`${r.question}: ${r.subject}`, r.missing]),
  );
  return [
    "## All questions: tilecast, above 1 is better",
    "",
    lines.length > 0 ? columns(lines) : "nothing was measured",
    ...(absent.size > 0 ? ["", "Not measured, some cases or all:", ""] : []),
    ...[...absent].map(([who, why]) => `- ${who}: ${why}`),
  ].join("\n");
}

async function several(asked, args) {
  const json = takeOption(args, "json");
  const html = takeOption(args, "html");
  const folder = mkdtempSync(join(tmpdir(), "tilecast-bench-"));
  const results = [];
  let worst = 0;
  try {
    for (const { name, program } of asked) {
      say(`${name} ...`);
      const path = join(folder, `${name}.json`);
      const code = await run(program, [...args, "--json", path]);
      if (stopped) return code;
      if (code !== 0) say(`${name} ended with code ${code}`);
      worst = Math.max(worst, code);
      if (existsSync(path)) results.push(JSON.parse(readFileSync(path, "utf8")));
      process.stdout.write("\n");
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  if (results.length === 0) return worst;
  const rows = results.flatMap((r) => r.rows);
  const [{ machine, commit }] = results;
  const about = Object.assign({}, ...results.map((r) => r.about));
  const whole = { machine, commit, rows, about };
  process.stdout.write(`${summary(rows)}\n`);
  if (json === "-") process.stdout.write(`${JSON.stringify(whole, null, 1)}\n`);
  else if (json !== undefined) writeFileSync(json, `${JSON.stringify(whole, null, 1)}\n`);
  if (html !== undefined) {
    const { renderPage } = await import("../dist/bench/page.js");
    writeFileSync(html, renderPage(whole));
  }
  return worst;
}

async function main(argv) {
  const all = questions();
  const first = argv.findIndex((a) => a.startsWith("-"));
  const names = first < 0 ? argv : argv.slice(0, first);
  const args = first < 0 ? [] : argv.slice(first);
  if (names.length === 0 && (args.includes("-h") || args.includes("--help"))) {
    process.stdout.write(help(all));
    return 0;
  }
  const unknown = names.filter((n) => !all.some((q) => q.name === n));
  if (unknown.length > 0) {
    process.stderr.write(`bench: no question "${unknown.join('", "')}"\n\n${help(all)}`);
    return 2;
  }
  const asked = all.filter((q) => (names.length === 0 ? q.program : names.includes(q.name)));
  const apart = asked.find((q) => q.program === undefined);
  if (apart !== undefined) {
    say(`${apart.name} is not run from here; see bench/${apart.name}/README.md`);
    return 2;
  }
  if (!existsSync(join(here, "../dist/cli/main.js"))) {
    say("tilecast is not built: run scripts/setup --demo");
    return 1;
  }
  const [only] = asked;
  if (asked.length === 1 && names.length === 1) return run(only.program, args);
  return several(asked, names.length === 0 && !args.includes("--quick") ? ["--quick", ...args] : args);
}

process.exitCode = await main(process.argv.slice(2));
