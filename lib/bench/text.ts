// SPDX-License-Identifier: MIT
// Results and comparisons as tables for a terminal.

import type { Difference } from "./compare.js";
import { type BenchResult, isLimit, type Row } from "./result.js";
import type { Verdict } from "./verdicts.js";

/** How the caller marks text; identity functions where there is no colour. */
export interface Paint {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly red: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
}

/** Three significant digits. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return "n/a";
  if (value >= 100) return Math.round(value).toLocaleString("en-US");
  return value.toPrecision(3);
}

/** How far the trials scatter about their median, as one share: "±4 %". Empty for one trial. */
export function scatter({ value, spread }: Row): string {
  if (value === null || spread === null || spread.trials < 2 || value === 0) return "";
  return `±${Math.round((50 * (spread.max - spread.min)) / value)} %`;
}

export const percent = (ratio: number): string => `${Math.round(100 * ratio)} %`;

const marks = (ratio: number) =>
  "█".repeat(Math.min(10, Math.max(0, Math.round(ratio * 10)))).padEnd(10, "·");

/** Pads before painting: colour codes have no width. */
function columns(rows: readonly (readonly string[])[], right: readonly boolean[]): string[][] {
  const widths = right.map((_, i) => Math.max(...rows.map((r) => r[i]?.length ?? 0)));
  return rows.map((r) =>
    right.map((isRight, i) => {
      const cell = r[i] ?? "";
      const width = widths[i] ?? 0;
      return isRight ? cell.padStart(width) : cell.padEnd(width);
    }),
  );
}

/** The machine in a line: "AMD EPYC, 2 cores, 8.1 GB, linux-x64 6.1, node v20.19.5". */
export function machineLine({ machine, commit }: BenchResult): string {
  const parts = [
    machine.cpu,
    machine.cores === undefined || machine.cores === null ? null : `${machine.cores} cores`,
    machine.memoryGB === undefined || machine.memoryGB === null ? null : `${machine.memoryGB} GB`,
    machine.system,
    machine.node === undefined || machine.node === null ? null : `node ${machine.node}`,
    machine.kernels === undefined || machine.kernels === null ? null : `kernels ${machine.kernels}`,
    commit === null ? null : `commit ${commit.slice(0, 12)}${commit.endsWith("-dirty") ? "-dirty" : ""}`,
  ];
  return parts.filter((p) => p !== null && p !== undefined && p !== "").join(", ");
}

/** A table a question: figure, scatter, share of the limit. Limits are what the ratios rest on, not rows of their own, unless a peer is there too. */
export function resultText(result: BenchResult, c: Paint): string {
  const lines: string[] = [];
  for (const question of new Set(result.rows.map((r) => r.question))) {
    const all = result.rows.filter((r) => r.question === question);
    const rows = all.filter((r) => !isLimit(r));
    const alone = new Set(rows.map((r) => r.subject)).size === 1;
    const peers = rows.some((r) => r.ratioToBestPeer !== null);
    const cells = rows.map((r) => [
      alone ? r.case : `${r.case}: ${r.subject}`,
      r.value === null ? "-" : figure(r.value),
      r.value === null ? (r.missing ?? "not measured") : r.unit,
      scatter(r),
      peers ? (r.ratioToBestPeer === null ? "" : `${r.ratioToBestPeer.toFixed(2)} x best other`) : "",
      r.ratioToLimit === null ? "" : marks(r.ratioToLimit),
      r.ratioToLimit === null ? "" : percent(r.ratioToLimit),
      r.ratioToLimit === null ? "" : `of ${r.limit ?? "the limit"}`,
    ]);
    lines.push(c.bold(question));
    for (const [
      name = "",
      value = "",
      unit = "",
      spread = "",
      peer = "",
      bar = "",
      ratio = "",
      of = "",
    ] of columns(cells, [false, true, false, true, true, false, true, false])) {
      const line = `  ${name}  ${c.bold(value)} ${unit}  ${c.dim(spread)}  ${peers ? `${peer}  ` : ""}${c.dim(bar)} ${ratio} ${c.dim(of)}`;
      lines.push(line.trimEnd());
    }
    lines.push("");
  }
  return lines.join("\n");
}

export function verdictText(verdicts: readonly Verdict[], c: Paint): string {
  const width = Math.max(0, ...verdicts.map((v) => v.about.length));
  return verdicts
    .flatMap((v) => [
      `${v.state === "good" ? c.green("✓") : c.yellow("!")} ${v.about.padEnd(width)}  ${v.text}`,
      ...(v.advice === "" ? [] : [`  ${" ".repeat(width)}  ${c.dim(`-> ${v.advice}`)}`]),
    ])
    .join("\n");
}

const words: Record<Difference["outcome"], string> = {
  better: "better",
  worse: "worse",
  same: "within the spread",
  unknown: "one trial: spread unknown",
  missing: "missing",
};

/** Two results side by side, with a last line that counts. */
export function comparisonText(
  differences: readonly Difference[],
  names: readonly [string, string],
  c: Paint,
): string {
  const cells = differences.map((d) => [
    `${d.question}: ${d.case}`,
    d.subject,
    d.a === null ? "-" : figure(d.a),
    d.b === null ? "-" : figure(d.b),
    d.unit,
    d.ratio === null ? "-" : `${d.ratio.toFixed(2)} x`,
    d.outcome === "missing" && d.reason !== undefined ? `missing: ${d.reason}` : words[d.outcome],
  ]);
  const head = ["question: case", "subject", names[0], names[1], "unit", "b / a", ""];
  const paintOf = { better: c.green, worse: c.red, same: c.dim, unknown: c.dim, missing: c.yellow };
  const [first = [], ...rows] = columns([head, ...cells], [false, false, true, true, false, true, false]);
  const count = (outcome: Difference["outcome"]) => differences.filter((d) => d.outcome === outcome).length;
  return [
    c.bold(first.join("  ").trimEnd()),
    ...rows.map((row, i) => paintOf[differences[i]?.outcome ?? "same"](row.join("  ").trimEnd())),
    "",
    `${count("better")} better, ${count("worse")} worse, ${count("same")} within the spread, ${count("unknown")} of unknown spread, ${count("missing")} missing`,
    "",
  ].join("\n");
}
