// SPDX-License-Identifier: MIT
// The report's charts as inline SVG: throughput over time, and worker time by stage.

import { formatNumber, formatRate, formatSeconds, niceTicks } from "./format.js";
import { type Html, html } from "./html.js";
import type { ReportData } from "./report-data.js";

const width = 640;
const height = 170;
const left = 52;
const right = 12;
const top = 14;
const bottom = 26;

interface Series {
  readonly id: string;
  readonly label: string;
  readonly unit: string;
  readonly values: readonly number[];
}

/** The unit that a run of `seconds` is plotted in. */
function timeUnit(seconds: number): { readonly size: number; readonly name: string } {
  if (seconds >= 3 * 3600) return { size: 3600, name: "h" };
  if (seconds >= 3 * 60) return { size: 60, name: "min" };
  return { size: 1, name: "s" };
}

// A night has tens of thousands of samples; the eye has 600 pixels.
const mostPoints = 300;

/** Neighbouring samples averaged by the time each stands for, so that totals stay right. */
function thin(samples: ReportData["throughput"]): ReportData["throughput"] {
  if (samples.length <= mostPoints) return samples;
  const out: { seconds: number; planesPerSecond: number; megabytesPerSecond: number }[] = [];
  for (let k = 0; k < mostPoints; k++) {
    const from = Math.floor((k * samples.length) / mostPoints);
    const to = Math.floor(((k + 1) * samples.length) / mostPoints);
    let planes = 0;
    let megabytes = 0;
    let time = 0;
    for (let i = from; i < to; i++) {
      const s = samples[i] as (typeof samples)[number];
      const dt = s.seconds - (samples[i - 1]?.seconds ?? 0);
      planes += s.planesPerSecond * dt;
      megabytes += s.megabytesPerSecond * dt;
      time += dt;
    }
    const seconds = (samples[to - 1] as (typeof samples)[number]).seconds;
    out.push({
      seconds,
      planesPerSecond: time > 0 ? planes / time : 0,
      megabytesPerSecond: time > 0 ? megabytes / time : 0,
    });
  }
  return out;
}

function panel(series: Series, seconds: readonly number[], total: number): Html {
  const unit = timeUnit(total);
  const peak = Math.max(...series.values, 0);
  const yTicks = niceTicks(0, peak > 0 ? peak * 1.05 : 1, 4);
  const yTop = Math.max(peak * 1.05, yTicks[yTicks.length - 1] as number) || 1;
  const x = (s: number) => left + (s / total) * (width - left - right);
  const y = (v: number) => height - bottom - (v / yTop) * (height - top - bottom);
  const points = series.values.map((v, i) => `${x(seconds[i] as number).toFixed(1)} ${y(v).toFixed(1)}`);
  // A sample is the mean of the interval that ends there, so the first one holds from the start on.
  const line = `M${left} ${y(series.values[0] as number).toFixed(1)}L${points.join("L")}`;
  const area = `${line}V${height - bottom}H${left}z`;
  const xTicks = niceTicks(0, total / unit.size, 6);
  return html`<figure class="chart"><figcaption><b>${series.label}</b> <span class="quiet">${series.unit}, peak ${formatRate(peak)}</span></figcaption>
<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${series.label} in ${series.unit} over the run; peak ${formatRate(peak)}">
<g class="grid">${yTicks.map((v) => html`<line x1="${left}" x2="${width - right}" y1="${y(v).toFixed(1)}" y2="${y(v).toFixed(1)}"/>`)}</g>
<path class="area ${series.id}" d="${area}"/><path class="line ${series.id}" d="${line}"/>
<g class="ticks">${yTicks.map((v) => html`<text x="${left - 8}" y="${y(v).toFixed(1)}" dy=".35em" text-anchor="end">${formatNumber(v)}</text>`)}
${xTicks.map((v) => html`<text x="${x(v * unit.size).toFixed(1)}" y="${height - 8}" text-anchor="${x(v * unit.size) > width - 30 ? "end" : "middle"}">${formatNumber(v)}${v === xTicks[xTicks.length - 1] ? ` ${unit.name}` : ""}</text>`)}</g></svg></figure>`;
}

/** Planes/s and MB/s over the run, one above the other on the same time axis. */
export function throughputChart(data: ReportData): Html {
  const samples = thin(
    data.throughput.filter(
      (s) => s.seconds >= 0 && Number.isFinite(s.planesPerSecond) && Number.isFinite(s.megabytesPerSecond),
    ),
  );
  if (samples.length < 2) return html`<p class="quiet">The run was too short to sample its throughput.</p>`;
  const seconds = samples.map((s) => s.seconds);
  const total = Math.max(seconds[seconds.length - 1] as number, 1e-3);
  return html`${panel({ id: "planes", label: "Planes", unit: "planes/s", values: samples.map((s) => s.planesPerSecond) }, seconds, total)}
${panel({ id: "bytes", label: "Read", unit: "MB/s", values: samples.map((s) => s.megabytesPerSecond) }, seconds, total)}`;
}

const stageHues = 8;

/** One bar of all worker time, split by stage, and the numbers beside it. */
export function stagesChart(data: ReportData): Html {
  const total = data.stages.reduce((sum, s) => sum + s.seconds, 0);
  if (!(total > 0)) return html`<p class="quiet">No worker time was recorded.</p>`;
  const available = data.run.seconds * data.run.threads;
  const busy = available > 0 ? Math.min(1, total / available) : 0;
  const share = (s: number) => `${((s / total) * 100).toFixed(s / total < 0.1 ? 1 : 0)}%`;
  return html`<div class="stages" role="img" aria-label="Worker time by stage: ${data.stages.map((s) => `${s.name} ${share(s.seconds)}`).join(", ")}">${data.stages.map(
    (s, i) =>
      html`<span class="hue-${i % stageHues}" style="flex-grow:${((s.seconds / total) * 1000).toFixed(2)}" title="${s.name}: ${formatSeconds(s.seconds)}"></span>`,
  )}</div>
<table class="stage-table"><thead><tr><th scope="col">Stage</th><th scope="col">Worker time</th><th scope="col">Share</th></tr></thead><tbody>${data.stages.map(
    (s, i) =>
      html`<tr><th scope="row"><i class="swatch hue-${i % stageHues}" aria-hidden="true"></i>${s.name}</th><td>${formatSeconds(s.seconds)}</td><td>${share(s.seconds)}</td></tr>`,
  )}</tbody></table>
<p class="quiet">${formatSeconds(total)} of work by ${formatNumber(data.run.threads)} ${data.run.threads === 1 ? "thread" : "threads"} in ${formatSeconds(data.run.seconds)}: the workers were busy ${Math.round(busy * 100)}% of the time.</p>`;
}
