// SPDX-License-Identifier: MIT
// The report's account of engines: how near the run came to its bound, and what ran where and why.

import type { BoundReport, SegmentReport } from "../engine-report.js";
import { formatNumber, formatRate, formatSeconds, plural } from "./format.js";
import { type Html, html } from "./html.js";
import type { ReportData } from "./report-data.js";

const busiest: Readonly<Record<BoundReport["limitedBy"], string>> = {
  processor: "the processor",
  gpu: "the GPU",
  files: "reading and writing files",
};

/** One sentence, and the rates behind it. */
export function boundText({ bound, run }: ReportData): Html | null {
  if (bound === undefined || bound === null) return null;
  const { decode, compute, encode, files } = bound.rates;
  const rates = [
    decode === null ? "" : `decoding ${formatRate(decode)} Mpx/s`,
    compute === null ? "" : `ops ${formatRate(compute)} Mpx/s`,
    encode === null ? "" : `compressing and writing ${formatRate(encode)} Mpx/s`,
  ].filter((text) => text !== "");
  return html`<p class="quiet" id="bound">Bound: ${busiest[bound.limitedBy]} had ${formatSeconds(bound.seconds)} of work, ${Math.round(100 * bound.share)}% of the run's ${formatSeconds(run.seconds)}.${rates.length === 0 ? null : ` One core: ${rates.join(", ")}.`}${files === null ? null : ` Files: ${formatRate(files)} MB/s while threads waited for them.`}</p>`;
}

function tiles({ tiles, redone }: SegmentReport): string {
  const again = redone.reduce((n, r) => n + r.tiles, 0);
  return again === 0 ? formatNumber(tiles) : `${formatNumber(tiles)}, and ${formatNumber(again)} redone`;
}

/** Nothing where only the processor was asked for. */
export function enginesSection({ engine }: ReportData): Html | null {
  if (engine === undefined || engine.asked === "cpu") return null;
  const { adapter, segments, onProcessor } = engine;
  const rows = [
    ...segments.map(
      (s) =>
        html`<tr><th scope="row">${s.engine === "gpu" ? "GPU" : "CPU"}</th><td>${s.steps.join(", ")}</td><td>${s.ops}</td><td>${s.engine === "gpu" ? tiles(s) : ""}</td><td>${s.reason}</td></tr>`,
    ),
    ...onProcessor.map(
      (o) =>
        html`<tr><th scope="row">CPU</th><td>${o.step}</td><td>${o.op}</td><td></td><td>${o.reason}</td></tr>`,
    ),
  ];
  return html`<h3>Engines</h3><p class="quiet">${engine.asked === "auto" ? "Automatic" : "GPU"}: ${engine.reason}.${adapter === undefined ? null : ` ${adapter.name}, ${adapter.driver || adapter.backend}.`}${engine.calibrationSeconds > 0 ? ` Rates of ${plural(segments.length, "part")} were measured in ${formatSeconds(engine.calibrationSeconds)}.` : null}</p>
${rows.length === 0 ? null : html`<div class="scroll" tabindex="0" role="region" aria-label="Engines"><table class="failures"><thead><tr><th scope="col">Engine</th><th scope="col">Step</th><th scope="col">Ops</th><th scope="col">Tiles</th><th scope="col">Why</th></tr></thead><tbody>${rows}</tbody></table></div>`}`;
}
