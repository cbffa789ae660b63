// SPDX-License-Identifier: MIT
// The script of the page: selecting a measurement, the tooltip, keyboard movement on the plate, the well's panel, link state.

/**
 * Plain JavaScript as text, because it runs in the reader's browser and not here. It reads the texts that report.ts embedded and
 * writes them with textContent and setAttribute only. State lives in the URL's fragment, so that a view can be linked to:
 * `#measure=1&view=0&outlines=0&well=B03&theme=dark`.
 */
export const clientScript = `"use strict";
(() => {
const byId = (id) => document.getElementById(id);
const root = document.documentElement;
window.addEventListener("error", (e) => root.setAttribute("data-error", String(e.message)));
const data = JSON.parse(byId("data").textContent);
const svgNs = "http://www.w3.org/2000/svg";
const state = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
const remember = (key, value) => {
  if (value === null) state.delete(key); else state.set(key, value);
  try { history.replaceState(null, "", state.size ? "#" + state : location.pathname + location.search); } catch { /* an embedded page may not change its address */ }
};

// Theme
const theme = (name) => root.setAttribute("data-theme", name);
if (state.get("theme") === "dark" || state.get("theme") === "light") theme(state.get("theme"));
byId("theme").addEventListener("click", () => {
  const now = root.getAttribute("data-theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  const next = now === "dark" ? "light" : "dark";
  theme(next);
  remember("theme", next);
});

// Heat map
const map = byId("plate-map");
const shapes = new Map([...map.querySelectorAll(".well")].map((g) => [Number(g.dataset.i), g]));
const select = byId("measure");
let scale = data.scales[0];
const label = (i) => data.wells[i].name + ", " + data.wells[i].state + (scale ? ", " + scale.name + ": " + scale.texts[i] : "");
const paint = () => {
  for (const [i, g] of shapes) {
    const step = scale.steps[i];
    g.classList.toggle("blank", step < 0);
    g.firstElementChild.style.fill = step < 0 ? "" : "#" + data.colours.slice(step * 6, step * 6 + 6);
    g.setAttribute("aria-label", label(i));
  }
  byId("legend-name").textContent = scale.name;
  byId("legend-summary").textContent = scale.summary;
  byId("legend-histogram").setAttribute("d", scale.histogram);
  const ticks = byId("legend-ticks");
  ticks.replaceChildren();
  for (const t of scale.ticks) {
    const line = document.createElementNS(svgNs, "line");
    for (const [k, v] of [["x1", t.x], ["x2", t.x], ["y1", 54], ["y2", 59]]) line.setAttribute(k, v);
    const text = document.createElementNS(svgNs, "text");
    text.setAttribute("x", t.x);
    text.setAttribute("y", 71);
    text.setAttribute("text-anchor", t.at < 0.06 ? "start" : t.at > 0.94 ? "end" : "middle");
    text.textContent = t.label;
    ticks.append(line, text);
  }
};
const measure = (k) => {
  if (!data.scales[k]) return;
  scale = data.scales[k];
  select.value = String(k);
  paint();
};
if (select) {
  select.addEventListener("change", () => { measure(Number(select.value)); remember("measure", select.value); });
  if (state.has("measure")) measure(Number(state.get("measure")));
}

// Pictures: the view and outlines are attributes; CSS does the rest
const pictures = byId("pictures");
const tileOf = (i) => byId("tile-" + i);
const copyOf = (i) => {
  const pic = tileOf(i) && tileOf(i).querySelector(".pic");
  if (!pic || pic.classList.contains("empty")) return null;
  const copy = pic.cloneNode(true);
  for (const img of copy.querySelectorAll("img")) img.loading = "eager";
  return copy;
};
const frames = [pictures, byId("tip-picture"), byId("well-picture")].filter(Boolean);
if (pictures) for (const f of frames.slice(1)) f.style.cssText = pictures.style.cssText;
const view = (name) => { for (const f of frames) f.setAttribute("data-view", name); };
const outlines = (on) => { for (const f of frames) f.classList.toggle("no-outlines", !on); };
if (pictures) {
  view(pictures.getAttribute("data-view"));
  for (const input of document.querySelectorAll("[name=view]")) {
    if (state.get("view") === input.value) { input.checked = true; view(input.value); }
    // A browser that restores a form on reload checks another button than the markup does.
    else if (input.checked && !state.has("view")) view(input.value);
    input.addEventListener("change", () => { view(input.value); remember("view", input.value); });
  }
  const box = byId("outlines");
  if (box) {
    if (state.get("outlines") === "0") box.checked = false;
    outlines(box.checked);
    box.addEventListener("change", () => { outlines(box.checked); remember("outlines", box.checked ? null : "0"); });
  }
}

// Tooltip
const tip = byId("tip");
const mark = byId("legend-mark");
const hideTip = () => { tip.hidden = true; if (mark) mark.setAttribute("hidden", ""); };
const showTip = (i) => {
  const well = data.wells[i];
  byId("tip-name").textContent = well.name + (well.state === "done" ? "" : " (" + well.state + ")");
  byId("tip-value").textContent = scale ? scale.name + ": " + scale.texts[i] : "";
  byId("tip-more").textContent = well.more;
  const copy = copyOf(i);
  byId("tip-picture").replaceChildren(...(copy ? [copy] : []));
  tip.hidden = false;
  const at = shapes.get(i).getBoundingClientRect();
  const x = Math.min(innerWidth - tip.offsetWidth - 8, Math.max(8, at.left + at.width / 2 - tip.offsetWidth / 2));
  const above = at.top - tip.offsetHeight - 10;
  tip.style.transform = "translate(" + Math.round(x) + "px," + Math.round(above > 8 ? above : at.bottom + 10) + "px)";
  if (mark && scale && scale.steps[i] >= 0) {
    mark.removeAttribute("hidden");
    mark.setAttribute("transform", "translate(" + (scale.steps[i] / 255) * 256 + " 0)");
  } else if (mark) mark.setAttribute("hidden", "");
};
const wellAt = (e) => { const g = e.target.closest(".well"); return g ? Number(g.dataset.i) : -1; };
map.addEventListener("pointerover", (e) => { const i = wellAt(e); if (i >= 0) showTip(i); else hideTip(); });
map.addEventListener("pointerleave", hideTip);
map.addEventListener("focusin", (e) => { const i = wellAt(e); if (i >= 0 && e.target.matches(":focus-visible")) showTip(i); });
map.addEventListener("focusout", hideTip);
addEventListener("scroll", hideTip, { passive: true });

// One tab stop for the plate; arrows move to the next well that exists in that direction
const cells = new Map([...shapes.keys()].map((i) => [data.wells[i].row + "," + data.wells[i].column, i]));
const limit = { row: 0, column: 0 };
for (const i of shapes.keys()) for (const k of ["row", "column"]) limit[k] = Math.max(limit[k], data.wells[i][k]);
const focusWell = (i) => {
  for (const g of map.querySelectorAll('[tabindex="0"]')) g.setAttribute("tabindex", "-1");
  shapes.get(i).setAttribute("tabindex", "0");
  shapes.get(i).focus();
};
const goTo = (i) => {
  const tile = tileOf(i);
  for (const t of document.querySelectorAll(".marked")) t.classList.remove("marked");
  shapes.get(i).classList.add("marked");
  hideTip();
  if (!tile) return open(i);
  tile.classList.add("marked");
  tile.scrollIntoView({ block: "center", inline: "center" });
  tile.focus({ preventScroll: true });
};
map.addEventListener("click", (e) => { const i = wellAt(e); if (i >= 0) goTo(i); });
map.addEventListener("keydown", (e) => {
  const i = wellAt(e);
  if (i < 0) return;
  if (e.key === "Enter" || e.key === " ") { e.preventDefault(); return goTo(i); }
  if (e.key === "Escape") return hideTip();
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[e.key];
  if (!step) return;
  e.preventDefault();
  for (let r = data.wells[i].row + step[0], c = data.wells[i].column + step[1]; r >= 0 && c >= 0 && r <= limit.row && c <= limit.column; r += step[0], c += step[1]) {
    const next = cells.get(r + "," + c);
    if (next !== undefined) return focusWell(next);
  }
});

// The panel of one well
const dialog = byId("well");
let shown = 0;
const fill = (i) => {
  shown = i;
  const well = data.wells[i];
  byId("well-name").textContent = well.name;
  byId("well-state").textContent = well.state;
  const copy = copyOf(i);
  byId("well-picture").replaceChildren(...(copy ? [copy] : ["No picture was made of this well."]));
  const rows = [...data.scales.map((s) => [s.name, s.texts[i]])];
  byId("well-values").replaceChildren(...rows.map(([name, value]) => {
    const tr = document.createElement("tr");
    const th = document.createElement("th");
    th.scope = "row";
    th.textContent = name;
    const td = document.createElement("td");
    td.textContent = value;
    tr.append(th, td);
    return tr;
  }));
  byId("well-failures").replaceChildren(...well.failures.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
};
const open = (i) => { fill(i); if (!dialog.open) dialog.showModal(); remember("well", data.wells[i].name); };
const turn = (by) => open((shown + by + data.wells.length) % data.wells.length);
if (pictures) pictures.addEventListener("click", (e) => { const t = e.target.closest(".tile"); if (t) open(Number(t.dataset.i)); });
byId("well-before").addEventListener("click", () => turn(-1));
byId("well-after").addEventListener("click", () => turn(1));
byId("well-close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (e) => { if (e.target === dialog) dialog.close(); });
dialog.addEventListener("keydown", (e) => {
  if (e.key === "ArrowLeft") turn(-1);
  if (e.key === "ArrowRight") turn(1);
});
dialog.addEventListener("close", () => { remember("well", null); if (tileOf(shown)) tileOf(shown).focus({ preventScroll: true }); });
if (state.has("well")) {
  const i = data.wells.findIndex((w) => w.name === state.get("well"));
  if (i >= 0) open(i);
}

// Copying; a page from file:// may lack the clipboard, then there is no button
if (navigator.clipboard) {
  for (const button of document.querySelectorAll(".copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(button.previousElementSibling.textContent);
        button.textContent = "Copied";
      } catch { button.textContent = "Select it"; }
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }
}
root.setAttribute("data-ready", "");
})();
`;
