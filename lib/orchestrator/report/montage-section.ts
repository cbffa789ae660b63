// SPDX-License-Identifier: MIT
// The section with one picture a well: stacked layers by channel, so that switching views and outlines is a matter of CSS.

import { parseWell } from "../../plates/well.js";
import { channelTints } from "../channel-color.js";
import { formatNumber, plural } from "./format.js";
import { type Html, html, trusted } from "./html.js";
import type { Montage, MontageImage } from "./montage.js";
import { wellState } from "./plate-map.js";
import type { ReportData, WellReport } from "./report-data.js";

/** The rules that show one channel, for `channels` of them. */
export function montageStyle(channels: number): string {
  let css = "";
  for (let i = 0; i < channels; i++) css += `[data-view="${i}"] .c${i}{display:block}`;
  return css;
}

function picture(images: readonly MontageImage[], montage: Montage, name: string): Html {
  const first = images[0] as MontageImage;
  const slot = new Map(montage.channels.map((c, i) => [c, i]));
  // Base64 of our own making: escaping megabytes of it would take longer than encoding the pictures.
  const img = (m: MontageImage, src: string) =>
    html`<img src="${trusted(src)}" width="${m.width}" height="${m.height}" alt="" loading="lazy" decoding="async">`;
  return html`<span class="pic" role="img" aria-label="Image of ${name}" style="aspect-ratio:${first.width}/${first.height}">${images.map(
    (m) => html`<span class="layer c${slot.get(m.channel)}">${img(m, m.picture)}</span>`,
  )}${images.map((m) => (m.outline === null ? null : html`<span class="outline c${slot.get(m.channel)}">${img(m, m.outline)}</span>`))}</span>`;
}

function tile(
  w: WellReport,
  i: number,
  images: readonly MontageImage[] | undefined,
  montage: Montage,
  cell: string,
): Html {
  const kind =
    w.status === "failed" || w.failedPlanes > 0 ? " flawed" : w.status === "done" ? "" : " waiting";
  const shown =
    images === undefined
      ? html`<span class="pic empty"><span>${w.status === "done" ? "no image" : w.status === "pending" ? "not started" : w.status}</span></span>`
      : picture(images, montage, w.well);
  const note =
    w.status !== "done"
      ? ""
      : w.failedPlanes > 0
        ? `${formatNumber(w.failedPlanes)} lost`
        : formatNumber(w.objects);
  return html`<button type="button" class="tile${kind}" id="tile-${i}" data-i="${i}"${cell === "" ? null : html` style="${cell}"`} title="${w.well}: ${wellState(w)}">${shown}<span class="caption"><b>${w.well}</b><span>${note}</span></span></button>`;
}

/** The images section, or a quiet sentence where the run made no thumbnails. */
export function montageSection(data: ReportData, montage: Montage): Html {
  if (montage.channels.length === 0) {
    return html`<section class="card" id="montage" aria-labelledby="montage-title"><h2 id="montage-title">Images</h2><p class="quiet">The run made no thumbnails.</p></section>`;
  }
  const known = new Map(data.plate.channels.map((c) => [c.channel, c.name]));
  const names = montage.channels.map((c) => known.get(c) ?? `channel ${c}`);
  const tints = channelTints(names);
  const composite = names.length > 1;
  const positions = data.wells.map((w) => parseWell(w.well));
  // Laid out as on the plate when every well has a place there; rows and columns without wells take no room.
  const columns = [...new Set(positions.map((p) => p?.column ?? -1))].sort((a, b) => a - b);
  const rows = [...new Set(positions.map((p) => p?.row ?? -1))].sort((a, b) => a - b);
  // A few wells of a wide plate would be specks there: they flow at a readable size instead.
  const sparse = columns.length > 12 && data.wells.length <= 96;
  const placed =
    !sparse &&
    positions.every((p) => p !== undefined) &&
    new Set(positions.map((p) => `${p?.row},${p?.column}`)).size === positions.length;
  const least = sparse
    ? 104
    : columns.length <= 6
      ? 120
      : columns.length <= 12
        ? 72
        : columns.length <= 24
          ? 44
          : 34;
  const size = sparse || columns.length <= 12 ? "" : columns.length <= 24 ? " dense" : " dense tiny";
  const views = [
    ...(composite ? [{ value: "composite", name: "Composite" }] : []),
    ...names.map((name, i) => ({ value: String(i), name })),
  ];
  return html`<section class="card" id="montage" aria-labelledby="montage-title"><div class="card-head"><h2 id="montage-title">Images</h2>
<div class="controls"><fieldset class="segments" id="views"><legend class="hide">Channel</legend>${views.map(
    (v, i) =>
      html`<label><input type="radio" name="view" value="${v.value}"${i === 0 ? html` checked` : null}><span>${v.value === "composite" ? null : html`<i class="dot" style="background:${tints[Number(v.value)]}" aria-hidden="true"></i>`}${v.name}</span></label>`,
  )}</fieldset>${montage.outlined ? html`<label class="switch"><input type="checkbox" id="outlines" checked><span>Outlines</span></label>` : null}</div></div>
<div class="scroll"><div class="montage${placed ? " placed" : ""}${size}" id="pictures" data-view="${composite ? "composite" : "0"}" style="--columns:${columns.length};--least:${least}px;${tints.map((t, i) => `--tint-${i}:${t};`).join("")}">${data.wells.map(
    (w, i) => {
      const at = positions[i];
      const cell =
        placed && at !== undefined
          ? `grid-area:${rows.indexOf(at.row) + 1}/${columns.indexOf(at.column) + 1}`
          : "";
      return tile(w, i, montage.wells.get(w.well), montage, cell);
    },
  )}</div></div>
<p class="quiet">One field of each well (${plural(montage.wells.size, "picture")}), every channel at one display range for the whole plate, so that brightness can be compared.${size === "" ? " Below each: objects found." : ""} Click one to enlarge it.</p></section>`;
}
