// SPDX-License-Identifier: MIT
// The plate heat map: where wells are, what colour each measurement gives them, and the SVG that shows it.

import { parseWell, rowLetters } from "../../plates/well.js";
import { colourSteps, viridisColour } from "./colour-map.js";
import { formatNumber, niceTicks, plural } from "./format.js";
import { type Html, html, trusted } from "./html.js";
import type { Outcome, ReportData, WellReport } from "./report-data.js";

/** One measurement over the plate, ready to paint: the page's script only copies it into attributes. */
export interface Scale {
  readonly name: string;
  /** A step of the colour map a well, -1 where there is no value. */
  readonly steps: readonly number[];
  /** The values as text. */
  readonly texts: readonly string[];
  /** Labelled positions on the legend, 0..1. */
  readonly ticks: readonly { readonly at: number; readonly label: string }[];
  /** SVG path of the histogram above the legend, in a 256 x 40 box. */
  readonly histogram: string;
  readonly summary: string;
}

const bins = 32;

function histogramPath(steps: readonly number[]): string {
  const counts = new Array<number>(bins).fill(0);
  for (const s of steps) {
    const bin = (s * bins) >> 8;
    if (s >= 0) counts[bin] = (counts[bin] as number) + 1;
  }
  const most = Math.max(1, ...counts);
  const width = 256 / bins;
  return counts
    .map((n, i) =>
      n === 0 ? "" : `M${i * width + 0.5} 40v${-Math.max(2, Math.round((n / most) * 38))}h${width - 1}V40z`,
    )
    .join("");
}

/** The scale of one measurement over `wells`. */
export function makeScale(name: string, wells: readonly WellReport[]): Scale {
  const values = wells.map((w) => {
    // A measurement may be called "constructor"; only what the well itself holds counts.
    const v = Object.hasOwn(w.values, name) ? w.values[name] : null;
    return typeof v === "number" && Number.isFinite(v) ? v : null;
  });
  const known = values.filter((v) => v !== null).sort((a, b) => a - b);
  const texts = values.map((v) => (v === null ? "no value" : formatNumber(v)));
  if (known.length === 0) {
    return {
      name,
      steps: values.map(() => -1),
      texts,
      ticks: [],
      histogram: "",
      summary: "No well has a value.",
    };
  }
  const low = known[0] as number;
  const high = known[known.length - 1] as number;
  const half = known.length >> 1;
  const median =
    known.length % 2 === 1
      ? (known[half] as number)
      : ((known[half - 1] as number) + (known[half] as number)) / 2;
  const steps = colourSteps(values, low, high);
  const ticks =
    high > low
      ? niceTicks(low, high, 5).map((v) => ({ at: (v - low) / (high - low), label: formatNumber(v) }))
      : [{ at: 0.5, label: formatNumber(low) }];
  return {
    name,
    steps,
    texts,
    ticks,
    histogram: histogramPath(steps),
    summary: `min ${formatNumber(low)} · median ${formatNumber(median)} · max ${formatNumber(high)}${known.length < wells.length ? ` · ${plural(known.length, "well")}` : ""}`,
  };
}

/** Legend ticks as SVG text in a box 256 wide; ends are anchored inwards so that numbers are never cut off. */
export function legendTicks(scale: Scale): Html[] {
  return scale.ticks.map(
    ({ at, label }) =>
      html`<line x1="${(at * 256).toFixed(1)}" x2="${(at * 256).toFixed(1)}" y1="54" y2="59"/><text x="${(at * 256).toFixed(1)}" y="71" text-anchor="${at < 0.06 ? "start" : at > 0.94 ? "end" : "middle"}">${label}</text>`,
  );
}

const pitch = 20;
// How wide the map is drawn on a desktop screen (style.ts limits it likewise); labels are sized for that.
const drawnWidth = (width: number) => Math.min(860, Math.max(520, width * 3.1));
const marginLeft = 26;
const marginTop = 22;

const words: Record<Outcome, string> = {
  done: "done",
  failed: "failed",
  cancelled: "cancelled",
  pending: "not started",
};

/** A well's state in words, e.g. "failed, 3 of 12 planes". */
export function wellState(w: WellReport): string {
  const parts = [w.status === "done" && w.reused ? "done earlier, reused" : words[w.status]];
  if (w.failedPlanes > 0)
    parts.push(`${formatNumber(w.failedPlanes)} of ${plural(w.planes, "plane")} failed`);
  return parts.join(", ");
}

function glyph(w: WellReport, size: number): Html | null {
  const c = size / 2;
  const r = size * 0.23;
  if (w.status === "failed") {
    const d = `M${c - r} ${c - r}L${c + r} ${c + r}M${c + r} ${c - r}L${c - r} ${c + r}`;
    return html`<path class="halo" d="${d}"/><path class="cross" d="${d}"/>`;
  }
  if (w.status !== "done") return html`<path class="dash" d="M${c - r} ${c}H${c + r}"/>`;
  if (w.failedPlanes > 0) return html`<path class="corner" d="M${size - 7} 0H${size}V7z"/>`;
  return null;
}

function gradient(): Html {
  const stops = Array.from(
    { length: 17 },
    (_, i) => html`<stop offset="${i / 16}" stop-color="${viridisColour(Math.min(255, i * 16))}"/>`,
  );
  return html`<linearGradient id="viridis">${stops}</linearGradient>`;
}

function legend(scale: Scale | undefined): Html {
  return html`<svg class="legend" viewBox="-1 0 258 76" role="img" aria-label="Colour legend with the distribution of the wells' values">
<defs>${gradient()}</defs><path id="legend-histogram" d="${scale?.histogram ?? ""}"/><rect x="0" y="42" width="256" height="12" rx="3" fill="url(#viridis)"/>
<path id="legend-mark" d="M0 41l-5-7h10z" hidden/><g id="legend-ticks">${scale === undefined ? null : legendTicks(scale)}</g></svg>`;
}

function svg(data: ReportData, scale: Scale | undefined): Html {
  const { rows, columns } = data.plate;
  const size = pitch - 3;
  const radius = rows * columns <= 96 ? size / 2 : rows * columns <= 384 ? 5 : 3.5;
  const placed = new Map<string, number>();
  data.wells.forEach((w, i) => {
    const at = parseWell(w.well);
    if (at !== undefined && at.row < rows && at.column < columns) placed.set(`${at.row},${at.column}`, i);
  });
  // Where wells are drawn small, every second label is enough to find one.
  const every = columns > 24 ? 2 : 1;
  const labels: Html[] = [];
  for (let c = 0; c < columns; c += every) {
    labels.push(
      html`<text x="${marginLeft + c * pitch + pitch / 2}" y="${marginTop - 8}" text-anchor="middle">${c + 1}</text>`,
    );
  }
  for (let r = 0; r < rows; r += every) {
    labels.push(
      html`<text x="${marginLeft - 8}" y="${marginTop + r * pitch + pitch / 2}" dy=".35em" text-anchor="end">${rowLetters(r)}</text>`,
    );
  }
  const absent: string[] = [];
  const wells: Html[] = [];
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      const x = marginLeft + c * pitch + 1.5;
      const y = marginTop + r * pitch + 1.5;
      const i = placed.get(`${r},${c}`);
      if (i === undefined) {
        // All empty wells are one path: a 1536-well plate with a few wells stays light.
        const k = size - 2 * radius;
        absent.push(
          `M${x + radius} ${y}h${k}a${radius} ${radius} 0 0 1 ${radius} ${radius}v${k}a${radius} ${radius} 0 0 1 ${-radius} ${radius}h${-k}a${radius} ${radius} 0 0 1 ${-radius} ${-radius}v${-k}a${radius} ${radius} 0 0 1 ${radius} ${-radius}z`,
        );
        continue;
      }
      const w = data.wells[i] as WellReport;
      const step = scale?.steps[i] ?? -1;
      wells.push(
        html`<g class="well ${w.status}${step < 0 ? " blank" : ""}" data-i="${i}" tabindex="${wells.length === 0 ? 0 : -1}" role="button" aria-label="${w.well}, ${wellState(w)}${scale === undefined ? "" : `, ${scale.name}: ${scale.texts[i]}`}" transform="translate(${x} ${y})"><rect width="${size}" height="${size}" rx="${radius}"${step < 0 ? null : trusted(` style="fill:${viridisColour(step)}"`)}/>${glyph(w, size)}</g>`,
      );
    }
  }
  const width = marginLeft + columns * pitch + 8;
  const height = marginTop + rows * pitch + 8;
  const left = marginLeft - 4;
  const top = marginTop - 4;
  const right = width - 3;
  const bottom = height - 3;
  // Plates have their A1 corners cut, so that they go into a reader one way round only.
  const frame = `M${left + 7} ${top}H${right - 5}q5 0 5 5V${bottom - 5}q0 5 -5 5H${left + 7}L${left} ${bottom - 7}V${top + 7}z`;
  return html`<svg id="plate-map" class="plate" viewBox="0 0 ${width} ${height}" style="--plate-width:${width};--label:${Math.min(12, (13 * width) / drawnWidth(width)).toFixed(2)}px;min-width:${Math.min(width, Math.round(columns * 11 + 40))}px" role="group" aria-label="Heat map of the plate; arrow keys move between wells, Enter shows a well's image">
<defs><pattern id="hatch" width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="4" height="4" class="hatch-ground"/><rect width="1.6" height="4" class="hatch-line"/></pattern></defs>
<path class="frame" d="${frame}"/><g class="labels" aria-hidden="true">${labels}</g><path class="absent" d="${absent.join("")}"/>${wells}</svg>`;
}

function key(data: ReportData): Html {
  const has = (test: (w: WellReport) => boolean) => data.wells.some(test);
  const entries: (readonly [boolean, string, string])[] = [
    [has((w) => w.status === "failed"), "failed", "failed"],
    [has((w) => w.status === "done" && w.failedPlanes > 0), "partly", "some planes failed"],
    [has((w) => w.status === "cancelled" || w.status === "pending"), "pending", "cancelled or not started"],
    [
      has((w) => w.status === "done" && !data.measurements.some((m) => w.values[m] != null)),
      "none",
      "no value",
    ],
    [data.wells.length < data.plate.rows * data.plate.columns, "absent", "not on this plate"],
  ];
  const shown = entries.filter(([present]) => present);
  return shown.length === 0
    ? html``
    : html`<ul class="key">${shown.map(([, kind, text]) => html`<li><i class="key-${kind}" aria-hidden="true"></i>${text}</li>`)}</ul>`;
}

/** The section with the measurement's selector, the map, the legend and the key to its marks. */
export function plateMap(data: ReportData, scales: readonly Scale[]): Html {
  const { rows, columns } = data.plate;
  const outside = data.wells.filter((w) => {
    const at = parseWell(w.well);
    return at === undefined || at.row >= rows || at.column >= columns;
  });
  const selector =
    scales.length === 0
      ? html`<p class="quiet">The pipeline measures nothing, so the map shows states only.</p>`
      : html`<label class="field"><span>Measurement</span><select id="measure">${scales.map((s, i) => html`<option value="${i}">${s.name}</option>`)}</select></label>`;
  return html`<section class="card" id="plate" aria-labelledby="plate-title"><div class="card-head"><h2 id="plate-title">Plate</h2>${selector}</div>
<div class="plate-layout"><div class="scroll">${svg(data, scales[0])}</div>
<div class="plate-side">${scales.length === 0 ? null : html`<p class="legend-name" id="legend-name">${scales[0]?.name}</p>${legend(scales[0])}<p class="quiet" id="legend-summary" aria-live="polite">${scales[0]?.summary}</p>`}${key(data)}
<p class="quiet">${plural(data.wells.length, "well")} of a ${formatNumber(rows * columns)}-well plate. Point at a well for its values, click it for its picture.</p>
${
  outside.length === 0
    ? null
    : html`<p class="quiet">Not on the map, because their names are no positions of it: ${outside
        .map((w) => w.well)
        .slice(0, 20)
        .join(", ")}${outside.length > 20 ? `, and ${outside.length - 20} more` : ""}.</p>`
}</div></div></section>`;
}
