// SPDX-License-Identifier: MIT
// The report's sections that are text and tables: the verdict, key figures, failures, notices, steps, facts, how to open the data.

import { parseWell } from "../../plates/well.js";
import { splitWell } from "../layout.js";
import { formatInstant, formatMegabytes, formatNumber, formatRate, formatSeconds, plural } from "./format.js";
import { type Html, html } from "./html.js";
import type { FailureReport, ReportData } from "./report-data.js";

const outcomes = {
  complete: { word: "Complete", mark: "M3 8.5l3.2 3.2L13 5" },
  incomplete: { word: "Incomplete", mark: "M8 3.5v5.5M8 11.6v.9" },
  cancelled: { word: "Cancelled", mark: "M4 8h8" },
} as const;

/** One sentence that says whether a person has to do something. */
export function verdict(data: ReportData): string {
  const count = (status: string) => data.wells.filter((w) => w.status === status).length;
  const done = count("done");
  const failed = count("failed");
  const open = data.wells.length - done - failed;
  const flawed = data.wells.filter((w) => w.status === "done" && w.failedPlanes > 0).length;
  if (data.wells.length > 0 && done === data.wells.length && flawed === 0) {
    return data.wells.length === 1 ? "The well is done." : `All ${formatNumber(done)} wells are done.`;
  }
  const parts = [
    `${formatNumber(done)} of ${plural(data.wells.length, "well")} ${done === 1 ? "is" : "are"} done`,
  ];
  if (failed > 0) parts.push(`${formatNumber(failed)} failed`);
  if (flawed > 0) parts.push(`${formatNumber(flawed)} lost single planes`);
  if (open > 0) parts.push(`${formatNumber(open)} ${open === 1 ? "was" : "were"} not processed`);
  return `${parts.join(", ")}.`;
}

function figure(label: string, value: string, note: string | null, bad = false): Html {
  return html`<div class="figure"><dt>${label}</dt><dd>${value}</dd>${note === null ? null : html`<dd class="note${bad ? " bad" : ""}">${note}</dd>`}</div>`;
}

export function header(data: ReportData): Html {
  const { plate, run } = data;
  const { word, mark } = outcomes[run.outcome];
  const done = data.wells.filter((w) => w.status === "done").length;
  const reused = data.wells.filter((w) => w.reused).length;
  const objects = data.wells.reduce((sum, w) => sum + w.objects, 0);
  const open = run.planes.cancelled + run.planes.pending;
  const lost = [
    run.planes.failed > 0 ? `${formatNumber(run.planes.failed)} failed` : "",
    open > 0 ? `${formatNumber(open)} not done` : "",
  ].filter((t) => t !== "");
  const rate = run.seconds > 0 ? run.megapixels / run.seconds : 0;
  return html`<header class="top"><div class="bar"><p class="brand"><svg viewBox="0 0 16 16" aria-hidden="true"><rect x="1" y="1" width="6" height="6" rx="1.5"/><rect x="9" y="1" width="6" height="6" rx="1.5" opacity=".65"/><rect x="1" y="9" width="6" height="6" rx="1.5" opacity=".65"/><rect x="9" y="9" width="6" height="6" rx="1.5" opacity=".35"/></svg>tilecast <span>run report</span></p>
<nav aria-label="Sections"><a href="#plate">Plate</a><a href="#montage">Images</a><a href="#performance">Performance</a><a href="#failures">Failures${data.failures.length > 0 ? html` <b class="count">${formatNumber(data.failures.length)}</b>` : null}</a><a href="#run">Run</a><a href="#open">Open</a></nav>
<button type="button" id="theme" class="icon" aria-label="Switch between light and dark" title="Light or dark"><svg viewBox="0 0 16 16" aria-hidden="true"><path d="M8 1.5a6.5 6.5 0 1 0 0 13z"/><circle cx="8" cy="8" r="6" fill="none" stroke="currentColor"/></svg></button></div>
<div class="title"><p class="outcome ${run.outcome}"><svg viewBox="0 0 16 16" aria-hidden="true"><path d="${mark}"/></svg>${word}</p><h1>${plate.name}</h1>
<p class="lead">${verdict(data)} <span class="quiet">${formatInstant(run.started)} · ${run.pipeline} · ${plate.format}</span></p></div>
<dl class="figures">${figure("Wells", formatNumber(done), done === data.wells.length ? (reused > 0 ? `${formatNumber(reused)} reused` : "all done") : `of ${formatNumber(data.wells.length)}`, done !== data.wells.length)}
${figure("Planes", formatNumber(run.planes.done), lost.length === 0 ? "none failed" : lost.join(", "), lost.length > 0)}
${figure("Objects", formatNumber(objects), done > 0 && objects > 0 ? `${formatNumber(Math.round(objects / done))} a well` : null)}
${figure("Throughput", `${formatRate(rate)} Mpx/s`, run.seconds > 0 ? `${formatRate(run.planes.done / run.seconds)} planes/s` : null)}
${figure("Read", formatMegabytes(run.megabytesRead), run.seconds > 0 ? `${formatRate(run.megabytesRead / run.seconds)} MB/s` : null)}
${figure("Time", formatSeconds(run.seconds), plural(run.threads, "thread"))}</dl></header>`;
}

// A whole night of failures would make the page unusable; the table of failures that the run writes has every one.
const mostFailures = 1000;

export function failures(data: ReportData): Html {
  const all = data.failures;
  if (all.length === 0) {
    return html`<section class="card" id="failures" aria-labelledby="failures-title"><h2 id="failures-title">Failures</h2><p class="quiet">None. Every plane that was started was processed.</p></section>`;
  }
  const codes = new Map<string, number>();
  for (const f of all) codes.set(f.code, (codes.get(f.code) ?? 0) + 1);
  const names = new Map(data.plate.channels.map((c) => [c.channel, c.name]));
  const index = new Map(data.wells.map((w, i) => [w.well, i]));
  const row = (f: FailureReport) => {
    const i = index.get(f.well);
    const plane = [
      `site ${f.site}`,
      names.get(f.channel) ?? `channel ${f.channel}`,
      data.plate.timepoints > 1 ? `t ${f.timepoint}` : "",
    ].filter((t) => t !== "");
    return html`<tr><th scope="row">${i === undefined ? f.well : html`<a href="#tile-${i}">${f.well}</a>`}</th><td>${plane.join(", ")}</td><td><code>${f.code}</code></td><td>${f.message}${f.path === null ? null : html`<br><span class="path">${f.path}</span>`}</td></tr>`;
  };
  return html`<section class="card" id="failures" aria-labelledby="failures-title"><div class="card-head"><h2 id="failures-title">Failures</h2><ul class="chips">${[
    ...codes,
  ]
    .sort((a, b) => b[1] - a[1])
    .map(([code, n]) => html`<li><code>${code}</code> ${formatNumber(n)}</li>`)}</ul></div>
<div class="scroll tall" tabindex="0" role="region" aria-labelledby="failures-title"><table class="failures"><thead><tr><th scope="col">Well</th><th scope="col">Plane</th><th scope="col">Code</th><th scope="col">Reason</th></tr></thead><tbody>${all.slice(0, mostFailures).map(row)}</tbody></table></div>
${all.length > mostFailures ? html`<p class="quiet">The first ${formatNumber(mostFailures)} of ${formatNumber(all.length)} are shown.</p>` : null}</section>`;
}

export function notices(data: ReportData): Html | null {
  if (data.notices.length === 0) return null;
  return html`<section class="card" id="notices" aria-labelledby="notices-title"><h2 id="notices-title">Notices</h2><ul class="notices">${data.notices.map((n) => html`<li>${n}</li>`)}</ul></section>`;
}

function codeBlock(code: string, label: string): Html {
  return html`<div class="code"><pre tabindex="0" role="region" aria-label="${label}"><code>${code}</code></pre><button type="button" class="copy" hidden>Copy</button></div>`;
}

export function runFacts(data: ReportData): Html {
  const { plate, run } = data;
  const channels = plate.channels.map((c) => c.name).join(", ");
  const facts: (readonly [string, string])[] = [
    ["Started", formatInstant(run.started)],
    ["Plate", `${plate.name} (${plate.format})`],
    ["Folder", plate.root],
    [
      "Layout",
      `${plate.rows} x ${plate.columns} wells, ${plural(plate.sites, "site")}, ${plural(plate.timepoints, "timepoint")}`,
    ],
    ["Channels", channels === "" ? "none" : channels],
    ["Machine", run.machine],
    ["Threads", formatNumber(run.threads)],
    ["Versions", `tilecast ${run.tilecast}, Node.js ${run.node}`],
  ];
  return html`<section class="card" id="run" aria-labelledby="run-title"><div class="columns"><div><h2 id="run-title">Pipeline <span class="quiet">${run.pipeline}</span></h2>
<ol class="steps">${run.steps.map((step) => {
    const colon = step.indexOf(":");
    return colon > 0
      ? html`<li><b>${step.slice(0, colon)}</b><code>${step.slice(colon + 1).trim()}</code></li>`
      : html`<li><code>${step}</code></li>`;
  })}</ol></div><div><h2>Run</h2><dl class="facts">${facts.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl></div></div>
${run.command === null ? null : html`<h3>Run it again</h3>${codeBlock(run.command, "Command")}`}</section>`;
}

/** A word for a POSIX shell. */
function shellWord(text: string): string {
  return /^[\w./@%+=:,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** A link to a file beside the report. The leading `./` keeps a name such as `javascript:x` from being read as a scheme. */
function relativeUrl(path: string): string {
  return `./${path.split("/").map(encodeURIComponent).join("/")}`;
}

/** What run() writes when the data does not say otherwise: a table only where there is something to measure. */
function usualOutputs(data: ReportData): NonNullable<ReportData["outputs"]> {
  return {
    images: "plate.ome.zarr",
    exampleImage: null,
    tables: data.measurements.length > 0 ? ["measurements.csv"] : [],
  };
}

function exampleImage(data: ReportData): string {
  const well = (data.wells.find((w) => w.status === "done") ?? data.wells[0])?.well;
  if (well === undefined || parseWell(well) === undefined) return "A/1/0";
  const { row, column } = splitWell(well);
  return `${row}/${column}/0`;
}

export function howToOpen(data: ReportData): Html {
  const { images, tables, exampleImage: given } = data.outputs ?? usualOutputs(data);
  const example = given ?? exampleImage(data);
  // JSON's string literals are Python's and JavaScript's too.
  const store = JSON.stringify(images);
  const path = JSON.stringify(`${images}/${example}`);
  const level = JSON.stringify(`${example}/0`);
  const files = tables.map((t) => html`<li><a href="${relativeUrl(t)}">${t}</a></li>`);
  const snippets =
    images === null
      ? html`<p class="quiet">The run wrote no images.</p>`
      : html`<p class="quiet">The images are one OME-Zarr plate, <code>${images}</code>, beside this report. Run these in the report's folder.</p>
<div class="snippets"><div><h3>napari</h3>${codeBlock(`pip install "napari[all]" napari-ome-zarr\nnapari --plugin napari-ome-zarr ${shellWord(images)}`, "napari")}</div>
<div><h3>Python</h3>${codeBlock(`import zarr\n\nimage = zarr.open_group(${path}, mode="r")\npixels = image["0"][:]  # full resolution\nprint(image.attrs.asdict())`, "Python")}</div>
<div><h3>JavaScript</h3>${codeBlock(`import * as zarr from "zarrita";\nimport { FileSystemStore } from "@zarrita/storage";\n\nconst root = zarr.root(new FileSystemStore(${store}));\nconst image = await zarr.open(root.resolve(${level}), { kind: "array" });\nconst { data, shape } = await zarr.get(image);`, "JavaScript")}</div></div>`;
  return html`<section class="card" id="open" aria-labelledby="open-title"><h2 id="open-title">Open the results</h2>${snippets}
${files.length === 0 ? null : html`<h3>Tables</h3><ul class="files">${files}</ul>`}</section>`;
}
