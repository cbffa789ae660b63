// SPDX-License-Identifier: MIT
// Renders a benchmark's result as one self-contained HTML file: no script, nothing fetched, light and dark.

import { formatInstant } from "../orchestrator/report/format.js";
import { embedJson, type Html, html, trusted } from "../orchestrator/report/html.js";
import { style } from "../orchestrator/report/style.js";
import { version } from "../version.js";
import { barChart, scalingChart } from "./charts.js";
import { coresName, node, us } from "./question.js";
import { type BenchResult, isLimit } from "./result.js";
import { figure } from "./text.js";
import type { Verdict } from "./verdicts.js";

/** Hues of subjects: the report's, distinguishable for common colour-vision deficiencies (after P. Tol's "bright" scheme). */
const hues = ["var(--accent)", "#4477aa", "#ccbb44", "#ee6677", "#aa3377", "#e39b57", "#228833"];

const ownStyle = `
.bars{display:block;width:100%;min-width:880px;font-size:13px}
.bars text{fill:var(--ink)}.bars .ticks text,.bars .of,.bars .none{fill:var(--soft)}.bars .of,.bars .none{font-size:12px}.bars .case{font-weight:600}.bars .value{font-weight:600}
.limit{fill:var(--edge)}${hues.map((h, i) => `.s${i}{fill:${h}}`).join("")}
.whisker{fill:none;stroke:var(--ink);stroke-width:1.2;opacity:.7}
.meter{fill:var(--well)}.reached{fill:var(--accent);opacity:.55}
.lighter{opacity:.62}
.ideal{fill:none;stroke:var(--edge);stroke-width:1.5;stroke-dasharray:5 4}
.scaling{max-width:620px;margin:4px 0 18px}
.how{max-width:110ch;margin-bottom:14px}
.bars+.bars,.scroll+.scroll{margin-top:18px}
.legend-row{list-style:none;display:flex;flex-wrap:wrap;gap:4px 18px;font-size:13px;margin-bottom:10px}
.legend-row svg{width:10px;height:10px;margin-right:7px}
.verdicts{list-style:none;display:grid;gap:12px}
.verdicts li{display:grid;grid-template-columns:22px 142px minmax(0,1fr);gap:0 10px;align-items:baseline}
.verdicts b{font-weight:600}
.verdicts .mark{width:18px;height:18px;border-radius:50%;font-size:12px;line-height:18px;text-align:center;font-weight:700}
.verdicts .good{background:var(--good-ground);color:var(--good)}.verdicts .short{background:var(--warn-ground);color:var(--warn)}
.verdicts .advice{color:var(--soft);font-size:13.5px}
.figures{grid-template-columns:repeat(auto-fit,minmax(176px,1fr));margin-bottom:4px}
.columns.facts-columns{gap:5px 44px}
@media (max-width:640px){.verdicts li{grid-template-columns:22px minmax(0,1fr)}.verdicts li>div{grid-column:2}}
`;

/** The figures that say most about a node, where they were measured. */
function headline({ machine, rows }: BenchResult): Html | null {
  const cores = coresName(Number(machine.cores ?? 1));
  const wanted = [
    { question: "plate", case: `whole plate in planes, ${cores}`, subject: us, title: "Whole plate" },
    { question: "tiff-read", case: `deflate, ${cores}`, subject: us, title: "TIFF, deflate" },
    { question: "zarr-write", case: `blosc-lz4, ${cores}`, subject: us, title: "OME-Zarr, blosc-lz4" },
    { question: "kernels", case: `gaussian, ${cores}`, subject: us, title: "Gaussian" },
    { question: "memory", case: `copy, DRAM, ${cores}`, subject: node, title: "Memory copy" },
    { question: "disk", case: `write, to the device, ${cores}`, subject: node, title: "Write to the device" },
  ];
  const found = wanted.flatMap(({ title, ...w }) => {
    const row = rows.find((r) => r.question === w.question && r.case === w.case && r.subject === w.subject);
    return row === undefined || row.value === null ? [] : [{ title, row, value: row.value }];
  });
  if (found.length === 0) return null;
  return html`<dl class="figures">${found.map(
    ({ title, row, value }) =>
      html`<div class="figure"><dt>${title}</dt><dd>${figure(value)} <span class="quiet">${row.unit}</span><div class="note">${
        row.ratioToLimit === null ? cores : `${Math.round(100 * row.ratioToLimit)} % of ${row.limit}`
      }</div></dd></div>`,
  )}</dl>`;
}

function verdictCard(verdicts: readonly Verdict[]): Html | null {
  if (verdicts.length === 0) return null;
  return html`<section class="card" id="verdict"><h2>Where this node falls short</h2><ul class="verdicts">${verdicts.map(
    (v) =>
      html`<li><span class="mark ${v.state}" aria-label="${v.state === "good" ? "good" : "short"}">${v.state === "good" ? "✓" : "!"}</span><b>${v.about}</b><div>${v.text}${
        v.advice !== "" && html`<div class="advice">${v.advice}</div>`
      }</div></li>`,
  )}</ul></section>`;
}

function questionCard(result: BenchResult, name: string): Html {
  const rows = result.rows.filter((r) => r.question === name);
  const known = result.about?.[name];
  const subjects = [...new Set(rows.filter((r) => !isLimit(r)).map((r) => r.subject))].sort(
    (a, b) => Number(b === us) - Number(a === us),
  );
  // One subject has its limit in the meter beside it; with peers the limits are bars among theirs.
  const shown = subjects.length > 1 ? rows : rows.filter((r) => !isLimit(r));
  const units = [...new Set(shown.map((r) => r.unit))];
  const legend =
    subjects.length > 1 &&
    html`<ul class="legend-row">${[
      ...subjects.map((s, i) => [s, `s${i % 7}`] as const),
      ["limits", "limit"] as const,
    ].map(
      ([label, hue]) =>
        html`<li><svg viewBox="0 0 10 10" aria-hidden="true"><rect class="${hue}" width="10" height="10" rx="3"/></svg>${label}</li>`,
    )}</ul>`;
  return html`<section class="card" id="${name}"><h2>${name}${known !== undefined && html` <span class="quiet">${known.title}</span>`}</h2>
${known !== undefined && html`<p class="quiet how">${known.how}</p>`}${legend}
${units.map((unit) => {
  const own = shown.filter((r) => r.unit === unit);
  return html`${subjects.length === 1 && new Set(own.map((r) => r.case.replace(/, \d+ cores?$/, ""))).size === 1 && scalingChart(own)}${barChart(own, subjects)}`;
})}</section>`;
}

const factNames: Readonly<Record<string, string>> = {
  cpu: "Processor",
  cores: "Cores measured",
  coresAvailable: "Cores available",
  coresOfMachine: "Cores of the machine",
  coreQuota: "Core quota",
  threadsPerCore: "Threads per core",
  maxGHz: "Highest clock, GHz",
  governor: "Clock governor",
  l2KB: "L2 a core, KiB",
  l3MB: "L3 in all, MiB",
  memoryGB: "Memory, GB",
  memoryFreeGB: "Memory free, GB",
  numaNodes: "NUMA nodes",
  sharedMemoryGB: "/dev/shm, GB",
  sharedMemoryFreeGB: "/dev/shm free, GB",
  fileSystem: "File system measured",
  kernels: "Kernels",
  system: "System",
  node: "Node",
  tilecast: "tilecast",
};

function factsCard({ machine, commit }: BenchResult): Html {
  const facts = Object.entries(machine).filter(
    ([name, v]) => v !== null && typeof v !== "object" && name !== "date",
  );
  return html`<section class="card" id="machine"><h2>The machine</h2><dl class="facts">${facts.map(
    ([name, v]) => html`<dt>${factNames[name] ?? name}</dt><dd>${String(v)}</dd>`,
  )}${commit !== null && html`<dt>Commit</dt><dd><code>${commit}</code></dd>`}</dl></section>`;
}

/** The whole page. Takes the development benchmarks' results too, whose further fields it leaves alone. */
export function renderPage(result: BenchResult & { readonly verdicts?: readonly Verdict[] }): string {
  const { machine, commit, rows } = result;
  const verdicts = Array.isArray(result.verdicts) ? (result.verdicts as readonly Verdict[]) : [];
  const names = [...new Set(rows.map((r) => r.question))];
  const date = typeof machine.date === "string" ? formatInstant(machine.date) : "";
  const trials = Math.max(0, ...rows.map((r) => r.spread?.trials ?? 0));
  const lead = [
    machine.cores === undefined || machine.cores === null ? "" : coresName(Number(machine.cores)),
    machine.memoryGB === undefined || machine.memoryGB === null ? "" : `${machine.memoryGB} GB`,
    String(machine.system ?? ""),
  ].filter((part) => part !== "");
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><meta name="generator" content="tilecast ${version}">
<link rel="icon" href="data:,"><title>${String(machine.cpu ?? "Benchmark")} · tilecast bench</title><style>${trusted(style)}${trusted(ownStyle)}</style></head>
<body><header class="top"><div class="bar"><div class="brand">tilecast <span>bench</span></div><nav>${verdicts.length > 0 && html`<a href="#verdict">Verdict</a>`}${names.map((n) => html`<a href="#${n}">${n}</a>`)}<a href="#machine">Machine</a></nav></div>
<div class="title"><h1>${String(machine.cpu ?? "Benchmark")}</h1><p class="lead">${lead.join(", ")}<span class="quiet">${date}</span></p></div>${headline(result)}</header>
<main>${verdictCard(verdicts)}
${names.map((n) => questionCard(result, n))}
${factsCard(result)}</main>
<footer><p>Medians of ${trials} ${trials === 1 ? "trial" : "trials"}, each in a process of its own; the thin lines reach from the lowest to the highest. Written by tilecast ${version}. This page holds everything it shows and asks no server for anything.</p></footer>
<script type="application/json" id="data">${embedJson({ machine, commit, rows })}</script></body></html>
`.text;
}
