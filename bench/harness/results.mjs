// SPDX-License-Identifier: MIT
// How a benchmark tells its answer: a JSON file in bench/results and a Markdown table on stdout.

import { mkdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { cacheFolder, python, root } from "./machine.mjs";
import { commitOf, machineOf } from "./rows.mjs";

/** A kept result is public: paths of this machine become the names of what lies there. */
function portable(_key, value) {
  if (typeof value !== "string") return value;
  return value
    .replaceAll(python(), "python")
    .replaceAll(process.execPath, "node")
    .replaceAll(cacheFolder(), "$TILECAST_BENCH_DIR")
    .replaceAll(root, "");
}

/**
 * Writes bench/results/<name>-<date>.json; gives its path relative to the repository. It begins with what every result has, `machine`, `commit` and
 * `rows` (harness/rows.mjs), so that `tilecast bench compare` and `tilecast bench page` take it.
 */
export function writeResult(name, result) {
  const folder = join(root, "bench/results");
  mkdirSync(folder, { recursive: true });
  const date = result.stamp.date.slice(0, 19).replace(/[-:]/g, "").replace("T", "-");
  const path = join(folder, `${name}-${date}.json`);
  const { stamp, rows, ...rest } = result;
  const whole = { machine: machineOf(stamp), commit: commitOf(stamp), rows, stamp, ...rest };
  writeFileSync(path, `${JSON.stringify(whole, portable, 1)}\n`);
  return relative(root, path);
}

/** A Markdown table, its columns padded so that it also reads well in a terminal. The first column is text, the others are figures. */
export function table(head, rows) {
  const widths = head.map((h, i) => Math.max(h.length, 3, ...rows.map((r) => r[i].length)));
  const line = (cells) =>
    `| ${cells.map((c, i) => (i === 0 ? c.padEnd(widths[i]) : c.padStart(widths[i]))).join(" | ")} |`;
  const rule = `|${widths.map((w, i) => (i === 0 ? "-".repeat(w + 2) : `${"-".repeat(w + 1)}:`)).join("|")}|`;
  return [line(head), rule, ...rows.map(line)].join("\n");
}

/** 12.3 (11.9..14.0) */
export function figure({ median, min, max }, digits = 2) {
  const f = (x) => x.toFixed(digits);
  return min === max ? f(median) : `${f(median)} (${f(min)}..${f(max)})`;
}
