// SPDX-License-Identifier: MIT
// From trials to the answer: rows as `tilecast bench` writes them (lib/bench/result.ts), tables of figures and ratios, the files.

import { mkdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { renderPage } from "../../dist/bench/page.js";
import { isLimit, isOurs, median, rowsOf } from "../../dist/bench/result.js";
import { cacheFolder, python, root, viewersPython } from "./machine.mjs";

/** Every subject in every case that it has a part in, the missing ones with their reason. */
export function rowsOfTrials({ name, unit, higherIsBetter = true, programs, turns, missing, trials }) {
  const cases = [...new Set(turns.flatMap((t) => t.cases))];
  const series = cases.flatMap((of) =>
    Object.entries(programs).flatMap(([program, { title, limit }]) => {
      const takesPart = turns.some((t) => t.program === program && t.cases.includes(of));
      if (!takesPart && !(program in missing)) return [];
      const found = trials.filter((t) => t.program === program && of in t.figures).map((t) => t.figures[of]);
      const reason = missing[program] ?? found.find((f) => typeof f !== "number")?.error;
      const limited = [limit ?? []]
        .flat()
        .find((l) => turns.some((t) => t.program === l && t.cases.includes(of)));
      const bound = programs[limited]?.title;
      return [
        {
          question: name,
          case: of,
          subject: title,
          unit,
          higherIsBetter,
          values: reason === undefined ? found : [],
          ...(reason === undefined ? {} : { missing: reason }),
          ...(bound === undefined
            ? {}
            : { limit: { case: of, subject: bound, name: bound.replace(/^limit: /, "") } }),
        },
      ];
    }),
  );
  return rowsOf(series);
}

/** A Markdown table, its columns padded so that it also reads well in a terminal. The first column is text, the others are figures. */
export function table(head, rows) {
  const widths = head.map((h, i) => Math.max(h.length, 3, ...rows.map((r) => r[i].length)));
  const line = (cells) =>
    `| ${cells.map((c, i) => (i === 0 ? c.padEnd(widths[i]) : c.padStart(widths[i]))).join(" | ")} |`;
  const rule = `|${widths.map((w, i) => (i === 0 ? "-".repeat(w + 2) : `${"-".repeat(w + 1)}:`)).join("|")}|`;
  return [line(head), rule, ...rows.map(line)].join("\n");
}

export const spread = (values) => ({
  median: median(values),
  min: Math.min(...values),
  max: Math.max(...values),
});

/** 12.3 (11.9..14.0) */
export function figure({ median: middle, min, max }, digits = 2) {
  const f = (x) => x.toFixed(digits);
  return min === max ? f(middle) : `${f(middle)} (${f(min)}..${f(max)})`;
}

const casesOf = (rows) => [...new Set(rows.map((r) => r.case))];

/** A line a case, a column a subject. */
export function figuresTable(rows, digits) {
  const subjects = [...new Set(rows.map((r) => r.subject))];
  const cell = (name, subject) => {
    const row = rows.find((r) => r.case === name && r.subject === subject);
    return row === undefined || row.value === null
      ? "-"
      : figure({ median: row.value, ...row.spread }, digits);
  };
  return table(
    ["case", ...subjects],
    casesOf(rows).map((name) => [name, ...subjects.map((s) => cell(name, s))]),
  );
}

const ratio = (x) => (x === null ? "-" : x < 0.1 ? x.toPrecision(2) : x.toFixed(2));
const better = (a, b) => (a.higherIsBetter ? a.value / b.value : b.value / a.value);

/** tilecast to the best of the others and to every limit, above 1 is better; undefined when there is nothing to compare with. */
export function ratiosTable(rows) {
  const limits = [...new Set(rows.filter(isLimit).map((r) => r.subject))];
  const lines = rows.flatMap((row) => {
    if (!isOurs(row) || row.value === null) return [];
    const same = rows.filter((r) => r.case === row.case && r.value !== null);
    const best = same.filter((r) => !isLimit(r) && !isOurs(r)).sort((a, b) => better(b, a) - 1)[0];
    return [
      [
        row.subject === "tilecast" ? row.case : `${row.case}: ${row.subject}`,
        best?.subject ?? "-",
        ratio(row.ratioToBestPeer),
        ...limits.map((subject) => {
          const bound = same.find((r) => r.subject === subject);
          return bound === undefined ? "-" : ratio(better(row, bound));
        }),
      ],
    ];
  });
  if (lines.every((line) => line.slice(1).every((cell) => cell === "-"))) return undefined;
  return table(
    ["tilecast is so many times as good", "best peer", "as it", ...limits.map((l) => `as ${l}`)],
    lines,
  );
}

/** Subjects without a figure, with the reason; cases are named only where it holds for some of them. */
export function missingLines(rows) {
  const reasons = new Map();
  for (const row of rows.filter((r) => r.value === null)) {
    const key = JSON.stringify([row.subject, row.missing ?? "not measured"]);
    reasons.set(key, [...(reasons.get(key) ?? []), row.case]);
  }
  return [...reasons].map(([key, cases]) => {
    const [subject, reason] = JSON.parse(key);
    const all = rows.filter((r) => r.subject === subject).length === cases.length;
    return `- ${subject}${all ? "" : ` (${cases.join("; ")})`}: ${reason}`;
  });
}

export function noiseLine(trials) {
  const most = Math.max(0, ...trials.map((t) => t.cost?.foreign_cores ?? 0));
  return most > 0.25
    ? `Others took up to ${most.toFixed(1)} cores during trials: repeat this on a quiet machine.`
    : undefined;
}

/** A kept result is public: paths of this machine become the names of what lies there. */
function portable(_key, value) {
  if (typeof value !== "string") return value;
  return value
    .replaceAll(python(), "python")
    .replaceAll(viewersPython(), "python")
    .replaceAll(process.execPath, "node")
    .replaceAll(cacheFolder(), "$TILECAST_BENCH_DIR")
    .replaceAll(root, "");
}

/**
 * Writes the result as `options.json` and `options.html` say; without the former as bench/results/<name>-<date>.json. Gives the JSON's path, relative to
 * the repository where it is in it. It begins with what every result has: `machine`, `commit` and `rows`.
 */
export function writeResult(name, result, options) {
  const text = `${JSON.stringify(result, portable, 1)}\n`;
  if (options.html !== undefined) writeFileSync(options.html, renderPage(result));
  if (options.json === "-") {
    process.stdout.write(text);
    return "-";
  }
  const folder = join(root, "bench/results");
  if (options.json === undefined) mkdirSync(folder, { recursive: true });
  const date = result.machine.date.slice(0, 19).replace(/[-:]/g, "").replace("T", "-");
  const path = options.json ?? join(folder, `${name}-${date}.json`);
  writeFileSync(path, text);
  return options.json ?? relative(root, path);
}
