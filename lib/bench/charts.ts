// SPDX-License-Identifier: MIT
// The page's charts as inline SVG: bars with the trials' spread and the share of the limit, and how rates scale with cores.

import { niceTicks } from "../orchestrator/report/format.js";
import { type Html, html } from "../orchestrator/report/html.js";
import { isLimit, type Row } from "./result.js";
import { figure, percent } from "./text.js";

const width = 1120;
const rowHeight = 24;
const headHeight = 26;
const labelEnd = 268;
const barStart = 280;
const barEnd = 660;
const figureEnd = 760;
const meterStart = 800;
const meterEnd = 900;

/** Subjects get hues in the order of their first row; ours is always the first. */
function hueOf(subjects: readonly string[], row: Row): string {
  if (isLimit(row)) return "limit";
  return `s${subjects.indexOf(row.subject) % 7}`;
}

const cut = (text: string, most: number) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

interface Line {
  readonly label: string;
  readonly head: boolean;
  /** Beside a heading: how the first subject does against the best other one. */
  readonly note?: string;
  readonly row: Row | null;
}

/** A line a case; where a case has several subjects, a heading and a line each. */
function linesOf(rows: readonly Row[]): Line[] {
  const cases = new Map<string, Row[]>();
  for (const row of rows) cases.set(row.case, [...(cases.get(row.case) ?? []), row]);
  return [...cases].flatMap(([name, own]): Line[] => {
    const only = own.length === 1 ? own[0] : undefined;
    if (only !== undefined) return [{ label: name, head: false, row: only }];
    const first = own[0];
    const ratio = first?.ratioToBestPeer ?? null;
    return [
      {
        label: name,
        head: true,
        row: null,
        ...(ratio === null ? {} : { note: `${first?.subject} is ${ratio.toFixed(2)} x the best other` }),
      },
      ...own.map((row) => ({ label: row.subject, head: false, row })),
    ];
  });
}

function bar(row: Row, y: number, x: (value: number) => number, hue: string, ours: boolean): Html {
  const middle = y + rowHeight / 2;
  const label = html`<title>${row.subject}, ${row.case}: ${row.value === null ? (row.missing ?? "not measured") : `${figure(row.value)} ${row.unit}`}${row.spread === null ? "" : `, ${figure(row.spread.min)} to ${figure(row.spread.max)} in ${row.spread.trials} trials`}</title>`;
  if (row.value === null)
    return html`<g>${label}<text class="none" x="${barStart}" y="${middle}" dy=".35em">${cut(`not measured: ${row.missing ?? "no reason given"}`, 110)}</text></g>`;
  const end = Math.max(x(row.value), barStart + 1.5);
  const { min, max, trials } = row.spread ?? { min: row.value, max: row.value, trials: 1 };
  const whisker =
    trials > 1 &&
    html`<path class="whisker" d="M${x(min).toFixed(1)} ${middle}H${x(max).toFixed(1)}M${x(min).toFixed(1)} ${middle - 3.5}v7M${x(max).toFixed(1)} ${middle - 3.5}v7"/>`;
  const ratio = row.ratioToLimit;
  // One core beside all of them: told apart at a glance.
  const shade = / 1 core$/.test(row.case) && ours ? " lighter" : "";
  const meter =
    ratio !== null &&
    html`<rect class="meter" x="${meterStart}" y="${y + 8}" width="${meterEnd - meterStart}" height="8" rx="4"/><rect class="reached" x="${meterStart}" y="${y + 8}" width="${(Math.min(1, ratio) * (meterEnd - meterStart)).toFixed(1)}" height="8" rx="4"/>
<text x="${meterEnd + 52}" y="${middle}" dy=".35em" text-anchor="end">${percent(ratio)}</text><text class="of" x="${meterEnd + 60}" y="${middle}" dy=".35em">of ${cut(row.limit ?? "the limit", 26)}</text>`;
  return html`<g>${label}<rect class="bar ${hue}${shade}" x="${barStart}" y="${y + 5}" width="${(end - barStart).toFixed(1)}" height="14" rx="2"/>${whisker}
<text class="value" x="${figureEnd}" y="${middle}" dy=".35em" text-anchor="end">${figure(row.value)}</text>${meter}</g>`;
}

/** Bars of all rows of one question and unit. */
export function barChart(rows: readonly Row[], subjects: readonly string[]): Html {
  const unit = rows[0]?.unit ?? "";
  const peak = Math.max(0, ...rows.map((r) => Math.max(r.value ?? 0, r.spread?.max ?? 0)));
  const ticks = niceTicks(0, peak > 0 ? peak : 1, 4);
  const top = Math.max(peak, ticks.at(-1) ?? 1) || 1;
  const x = (value: number) => barStart + (value / top) * (barEnd - barStart);
  const lines = linesOf(rows);
  let y = headHeight;
  const places = lines.map((line, i) => {
    // Air above a heading, and before the first line without one.
    if (line.head && i > 0) y += 6;
    const at = y;
    y += rowHeight;
    return at;
  });
  const bounded = rows.some((r) => r.ratioToLimit !== null);
  return html`<div class="scroll"><svg class="bars" viewBox="0 0 ${width} ${y + 4}" role="img" aria-label="${rows[0]?.question ?? ""} in ${unit}">
<g class="grid">${ticks.map((t) => html`<line x1="${x(t).toFixed(1)}" x2="${x(t).toFixed(1)}" y1="${headHeight - 4}" y2="${y}"/>`)}</g>
<g class="ticks">${ticks.map((t) => html`<text x="${x(t).toFixed(1)}" y="14" text-anchor="middle">${t === 0 ? "0" : figure(t)}</text>`)}<text x="${figureEnd}" y="14" text-anchor="end">${unit}</text>${bounded && html`<text x="${meterStart}" y="14">share of the limit</text>`}</g>
${lines.map(({ label, head, row, note }, i) => {
  const at = places[i] as number;
  return html`<text class="${head ? "case" : row !== null && isLimit(row) ? "of" : "name"}" x="${head ? 0 : labelEnd}" y="${at + rowHeight / 2}" dy=".35em"${head ? "" : html` text-anchor="end"`}>${cut(label, head ? 100 : 42)}${note !== undefined && html`<tspan class="of" dx="12">${note}</tspan>`}</text>${row !== null && bar(row, at, x, hueOf(subjects, row), subjects.length === 1)}`;
})}</svg></div>`;
}

const chartWidth = 560;
const chartHeight = 260;
const left = 58;
const right = 14;
const bottom = 34;

/** Rates of one case at three or more counts of cores, with the line that perfect scaling would follow; null when there are fewer. */
export function scalingChart(rows: readonly Row[]): Html | null {
  const points = rows
    .flatMap((r) => {
      const [, cores] = /, (\d+) cores?$/.exec(r.case) ?? [];
      return cores === undefined || r.value === null
        ? []
        : [{ cores: Number(cores), row: r, value: r.value }];
    })
    .sort((a, b) => a.cores - b.cores);
  const first = points[0];
  const last = points.at(-1);
  if (points.length < 3 || first === undefined || last === undefined) return null;
  const ideal = (cores: number) => (first.value / first.cores) * cores;
  const peak = Math.max(ideal(last.cores), ...points.map((p) => p.row.spread?.max ?? p.value));
  const yTicks = niceTicks(0, peak, 4);
  const top = Math.max(peak, yTicks.at(-1) ?? 1);
  const x = (cores: number) => left + (cores / last.cores) * (chartWidth - left - right);
  const y = (value: number) => chartHeight - bottom - (value / top) * (chartHeight - bottom - 16);
  const at = (cores: number, value: number) => `${x(cores).toFixed(1)} ${y(value).toFixed(1)}`;
  return html`<figure class="chart scaling"><figcaption><b>Scaling</b> <span class="quiet">${first.row.unit} by cores; the dashed line is one core's rate as many times</span></figcaption>
<svg viewBox="0 0 ${chartWidth} ${chartHeight}" role="img" aria-label="Scaling: ${points.map((p) => `${p.cores} cores ${figure(p.value)} ${p.row.unit}`).join(", ")}">
<g class="grid">${yTicks.map((t) => html`<line x1="${left}" x2="${chartWidth - right}" y1="${y(t).toFixed(1)}" y2="${y(t).toFixed(1)}"/>`)}</g>
<path class="ideal" d="M${at(0, 0)}L${at(last.cores, ideal(last.cores))}"/>
<path class="line planes" d="M${points.map((p) => at(p.cores, p.value)).join("L")}"/>
${points.map((p) => html`<path class="whisker" d="M${at(p.cores, p.row.spread?.min ?? p.value)}L${at(p.cores, p.row.spread?.max ?? p.value)}"/><circle class="s0" cx="${x(p.cores).toFixed(1)}" cy="${y(p.value).toFixed(1)}" r="4"/>`)}
<g class="ticks">${yTicks.map((t) => html`<text x="${left - 8}" y="${y(t).toFixed(1)}" dy=".35em" text-anchor="end">${t === 0 ? "0" : figure(t)}</text>`)}
${points.filter((p, i) => i === points.length - 1 || p.cores * 12 >= last.cores).map((p) => html`<text x="${x(p.cores).toFixed(1)}" y="${chartHeight - 12}" text-anchor="middle">${p.cores}</text>`)}</g></svg></figure>`;
}
