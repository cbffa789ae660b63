// SPDX-License-Identifier: MIT
// Renders a run as one self-contained HTML file that works offline, from file://, in light and dark, on paper and without scripts.

import { createHash } from "node:crypto";
import { parseWell } from "../../plates/well.js";
import { stagesChart, throughputChart } from "./charts.js";
import { clientScript } from "./client-script.js";
import { viridis } from "./colour-map.js";
import { boundText, enginesSection } from "./engines-section.js";
import { formatInstant, formatNumber } from "./format.js";
import { embedJson, type Html, html, trusted } from "./html.js";
import { makeMontage } from "./montage.js";
import { montageSection, montageStyle } from "./montage-section.js";
import { makeScale, plateMap, wellState } from "./plate-map.js";
import type { ReportData } from "./report-data.js";
import { failures, header, howToOpen, notices, runFacts } from "./sections.js";
import { style } from "./style.js";

const sha256 = (text: string) => createHash("sha256").update(text).digest("base64");

/**
 * Nothing may be fetched, no script runs but ours (by its hash), and nothing can be posted: what a hostile file name could
 * still inject past the escaping would stay dead text.
 */
function policy(script: string): string {
  return `default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-${sha256(script)}'; base-uri 'none'; form-action 'none'`;
}

const dialog = html`<dialog id="well" aria-labelledby="well-name"><div class="well-head"><h2 id="well-name"></h2><p id="well-state" class="quiet"></p>
<span class="well-buttons"><button type="button" class="icon" id="well-before" aria-label="Previous well" title="Previous well (left arrow)"><svg viewBox="0 0 16 16" aria-hidden="true"><path class="stroke" d="M10 3L5 8l5 5"/></svg></button><button type="button" class="icon" id="well-after" aria-label="Next well" title="Next well (right arrow)"><svg viewBox="0 0 16 16" aria-hidden="true"><path class="stroke" d="M6 3l5 5-5 5"/></svg></button><button type="button" class="icon" id="well-close" aria-label="Close" title="Close (Esc)"><svg viewBox="0 0 16 16" aria-hidden="true"><path class="stroke" d="M4 4l8 8M12 4l-8 8"/></svg></button></span></div>
<div class="well-body"><div id="well-picture"></div><div class="well-values"><table><tbody id="well-values"></tbody></table><ul id="well-failures"></ul></div></div></dialog>
<div id="tip" role="tooltip" hidden><div id="tip-picture"></div><div><b id="tip-name"></b><span id="tip-value"></span><span id="tip-more" class="quiet"></span></div></div>`;

/** What the page's script needs: texts only, it never builds markup from them. */
function pageData(data: ReportData, scales: ReturnType<typeof makeScale>[]): Html {
  const reasons = new Map<string, string[]>();
  for (const f of data.failures) {
    const mine = reasons.get(f.well);
    if (mine === undefined) reasons.set(f.well, [`${f.code}: ${f.message}`]);
    // More than a few say nothing new in the panel of one well; the failures table has them.
    else if (mine.length < 5) mine.push(`${f.code}: ${f.message}`);
  }
  return embedJson({
    colours: viridis,
    wells: data.wells.map((w) => {
      const at = parseWell(w.well);
      return {
        name: w.well,
        row: at?.row ?? -1,
        column: at?.column ?? -1,
        state: wellState(w),
        more: `${formatNumber(w.objects)} objects, ${formatNumber(w.planes)} planes`,
        failures: reasons.get(w.well) ?? [],
      };
    }),
    scales: scales.map((s) => ({ ...s, ticks: s.ticks.map((t) => ({ ...t, x: (t.at * 256).toFixed(1) })) })),
  });
}

/** The whole page. Throws `ERR_INVALID_ARGUMENT` when a thumbnail's pixels do not fit its size. */
export function renderReport(data: ReportData): string {
  const montage = makeMontage(data);
  const scales = data.measurements.map((name) => makeScale(name, data.wells));
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${policy(clientScript)}">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><meta name="generator" content="tilecast ${data.run.tilecast}">
<title>${data.plate.name} · ${data.run.outcome} · tilecast</title><style>${trusted(style)}${trusted(montageStyle(montage.channels.length))}</style></head>
<body><a class="skip" href="#plate">Skip to the plate</a>${header(data)}
<main>${plateMap(data, scales)}
${montageSection(data, montage)}
<section class="card" id="performance" aria-labelledby="performance-title"><h2 id="performance-title">Performance</h2><div class="columns"><div><h3>Throughput over time</h3>${throughputChart(data)}</div><div><h3>Where the time went</h3>${stagesChart(data)}</div></div>${boundText(data)}${enginesSection(data)}</section>
${failures(data)}
${notices(data)}
${runFacts(data)}
${howToOpen(data)}</main>
<footer><p>Written by tilecast ${data.run.tilecast}, ${formatInstant(data.run.started)}. This page holds everything it shows and asks no server for anything.</p></footer>
${dialog}
<script type="application/json" id="data">${pageData(data, scales)}</script>
<script>${trusted(clientScript)}</script></body></html>
`;
  return page.text;
}
