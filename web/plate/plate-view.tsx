// SPDX-License-Identifier: MIT
// The plate as a heat map and as what selects wells: an ARIA grid for keys, pointers and readers of any kind.
// biome-ignore-all lint/a11y/useSemanticElements: a table cannot be laid out as a plate of any size
// biome-ignore-all lint/a11y/useFocusableInteractive: cells have the focus, rows never

import { useComputed, useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import * as address from "../state/address.js";
import { well as shownWell, source, wellPhases } from "../state/model.js";
import { selectedWells } from "../state/objects.js";
import type { WellPhase } from "../state/types.js";
import { extent, format, gradient, phaseNames, viridis } from "./color-map.js";
import {
  measure,
  measureError,
  measureGroups,
  measureTitle,
  statistic,
  statistics,
  values,
} from "./measures.js";
import { type Mode, type Place, placeOfWell, rectangle, rowName, select, wellName } from "./wells.js";

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

function modeOf(event: { ctrlKey: boolean; metaKey: boolean; shiftKey: boolean }): Mode {
  return event.ctrlKey || event.metaKey ? "toggle" : event.shiftKey ? "add" : "replace";
}

/** Of the wells that exist: a rectangle over a gap selects what is there. */
function choose(names: readonly string[], mode: Mode): void {
  const fields = source.value?.fields ?? {};
  selectedWells.value = select(
    selectedWells.value,
    names.filter((n) => fields[n] !== undefined),
    mode,
  );
}

function open(name: string): void {
  if ((source.value?.fields[name]?.length ?? 0) === 0) return;
  address.go(() => {
    address.well.value = name;
    address.field.value = 0;
  }, name !== shownWell.value);
}

export function PlateView() {
  const shown = source.value;
  const grid = useRef<HTMLDivElement>(null);
  const focus = useSignal<Place>({ row: 0, column: 0 });
  const anchor = useRef<Place>({ row: 0, column: 0 });
  const drag = useRef<{ from: Place; mode: Mode; before: ReadonlySet<string>; moved: boolean } | undefined>(
    undefined,
  );
  const tip = useSignal<{ name: string; x: number; y: number } | undefined>(undefined);
  const limits = useComputed(() => extent(values.value.values()));
  if (shown === undefined) return null;
  const { rows, columns, fields } = shown;
  const dense = rows * columns > 384;

  const placeAt = (event: PointerEvent): Place | undefined => {
    const box = (grid.current as HTMLDivElement).getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * columns);
    const row = Math.floor(((event.clientY - box.top) / box.height) * rows);
    return row < 0 || column < 0 || row >= rows || column >= columns ? undefined : { row, column };
  };
  const focusOn = (place: Place) => {
    focus.value = place;
    const index = place.row * columns + place.column;
    queueMicrotask(() => grid.current?.querySelectorAll<HTMLElement>("[role=gridcell]")[index]?.focus());
  };

  const onPointerDown = (event: PointerEvent) => {
    const place = placeAt(event);
    if (place === undefined || event.button !== 0) return;
    event.preventDefault();
    (grid.current as HTMLDivElement).setPointerCapture(event.pointerId);
    const mode = modeOf(event);
    const from = event.shiftKey ? anchor.current : place;
    if (!event.shiftKey) anchor.current = place;
    drag.current = { from, mode, before: selectedWells.value, moved: event.shiftKey };
    focusOn(place);
    choose(rectangle(from, place), mode);
    if (mode === "replace") open(wellName(place.row, place.column));
  };
  const onPointerMove = (event: PointerEvent) => {
    const place = placeAt(event);
    tip.value = place && {
      name: wellName(place.row, place.column),
      x: event.clientX,
      y: event.clientY,
    };
    const state = drag.current;
    if (state === undefined || place === undefined) return;
    if (place.row === focus.value.row && place.column === focus.value.column) return;
    focus.value = place;
    selectedWells.value = state.before;
    choose(rectangle(state.from, place), state.mode === "toggle" ? "add" : state.mode);
  };
  const onPointerUp = () => {
    drag.current = undefined;
  };

  const onKeyDown = (event: KeyboardEvent) => {
    const { row, column } = focus.value;
    const steps: Readonly<Record<string, Place>> = {
      ArrowUp: { row: row - 1, column },
      ArrowDown: { row: row + 1, column },
      ArrowLeft: { row, column: column - 1 },
      ArrowRight: { row, column: column + 1 },
      Home: { row: event.ctrlKey ? 0 : row, column: 0 },
      End: { row: event.ctrlKey ? rows - 1 : row, column: columns - 1 },
      PageUp: { row: 0, column },
      PageDown: { row: rows - 1, column },
    };
    const step = steps[event.key];
    if (step) {
      const place = {
        row: Math.min(rows - 1, Math.max(0, step.row)),
        column: Math.min(columns - 1, Math.max(0, step.column)),
      };
      focusOn(place);
      if (event.shiftKey) choose(rectangle(anchor.current, place), "replace");
      else anchor.current = place;
    } else if (event.key === " " || event.key === "Enter") {
      const name = wellName(row, column);
      // As in spreadsheets; headers are for pointers.
      if (event.key === " " && (event.shiftKey || event.ctrlKey)) {
        const line = event.shiftKey
          ? range(columns).map((c) => wellName(row, c))
          : range(rows).map((r) => wellName(r, column));
        choose(line, "add");
        event.preventDefault();
        return;
      }
      if (event.key === "Enter") open(name);
      choose([name], event.key === "Enter" ? "replace" : "toggle");
    } else if (event.key === "a" && (event.ctrlKey || event.metaKey)) choose(Object.keys(fields), "replace");
    else if (event.key === "Escape") selectedWells.value = new Set();
    else return;
    event.preventDefault();
  };

  const phaseOf = (name: string): WellPhase | undefined => wellPhases.value.get(name)?.state;
  const byState = measure.value === "state";
  const span = limits.value;
  const colorOf = (name: string): string | undefined => {
    const v = values.value.get(name);
    if (byState || v === null || v === undefined || span === undefined) return undefined;
    return viridis(span[1] > span[0] ? (v - span[0]) / (span[1] - span[0]) : 0.5);
  };
  const describe = (name: string): string => {
    if (fields[name] === undefined) return `${name}, not imaged`;
    const state = wellPhases.value.get(name);
    const parts = [name];
    if (!byState) parts.push(`${measureTitle.value} ${format(values.value.get(name))}`);
    if (state) parts.push(phaseNames[state.state]);
    if (state?.objects !== undefined) parts.push(`${state.objects.toLocaleString("en")} objects`);
    if (state?.failedPlanes) parts.push(`${state.failedPlanes} planes failed`);
    return parts.join(", ");
  };

  return (
    <section class="plate" aria-label="Plate">
      <div class="plate-by">
        <label>
          <span class="quiet">Colour</span>
          <select
            aria-label="Colour by"
            value={measure.value}
            onChange={(e) => address.go(() => (address.measure.value = e.currentTarget.value))}
          >
            {measureGroups.value.map((g) => (
              <optgroup label={g.title} key={g.title}>
                {g.items.map((i) => (
                  <option value={i.id} key={i.id}>
                    {i.title}
                  </option>
                ))}
              </optgroup>
            ))}
          </select>
        </label>
        {measure.value.startsWith("column:") && (
          <select
            aria-label="Statistic"
            value={statistic.value}
            onChange={(e) => (statistic.value = e.currentTarget.value as typeof statistic.value)}
          >
            {statistics.map((s) => (
              <option key={s}>{s}</option>
            ))}
          </select>
        )}
      </div>
      <div class={`plate-frame ${dense ? "dense" : ""}`} style={{ "--rows": rows, "--columns": columns }}>
        <button
          type="button"
          class="plate-all"
          aria-label="Select all wells"
          title="Select all wells"
          onClick={() => choose(Object.keys(fields), "replace")}
        />
        <div class="plate-columns">
          {range(columns).map((c) => (
            <button
              type="button"
              key={c}
              tabIndex={-1}
              aria-label={`Select column ${c + 1}`}
              onClick={(e) =>
                choose(
                  range(rows).map((r) => wellName(r, c)),
                  modeOf(e),
                )
              }
            >
              {columns <= 12 || (c + 1) % (dense ? 8 : 4) === 0 || c === 0 ? c + 1 : ""}
            </button>
          ))}
        </div>
        <div class="plate-rows">
          {range(rows).map((r) => (
            <button
              type="button"
              key={r}
              tabIndex={-1}
              aria-label={`Select row ${rowName(r)}`}
              onClick={(e) =>
                choose(
                  range(columns).map((c) => wellName(r, c)),
                  modeOf(e),
                )
              }
            >
              {!dense || r % 4 === 0 ? rowName(r) : ""}
            </button>
          ))}
        </div>
        <div
          class={`plate-grid ${byState ? "by-state" : ""}`}
          role="grid"
          aria-label={`Wells, coloured by ${measureTitle.value}`}
          aria-multiselectable="true"
          aria-rowcount={rows}
          aria-colcount={columns}
          ref={grid}
          onKeyDown={onKeyDown}
          onPointerDown={onPointerDown}
          onPointerMove={onPointerMove}
          onPointerUp={onPointerUp}
          onPointerCancel={onPointerUp}
          onPointerLeave={() => (tip.value = undefined)}
        >
          {range(rows).map((r) => (
            <div role="row" aria-rowindex={r + 1} key={r}>
              {range(columns).map((c) => {
                const name = wellName(r, c);
                const there = fields[name] !== undefined;
                const phase = phaseOf(name);
                const selected = selectedWells.value.has(name);
                return (
                  <div
                    key={c}
                    role="gridcell"
                    class={[
                      "cell",
                      there ? (phase ?? "") : "absent",
                      selected ? "selected" : "",
                      name === shownWell.value ? "shown" : "",
                    ].join(" ")}
                    data-well={name}
                    aria-colindex={c + 1}
                    aria-selected={selected}
                    aria-disabled={!there}
                    aria-label={describe(name)}
                    tabIndex={r === focus.value.row && c === focus.value.column ? 0 : -1}
                    onFocus={() => (focus.value = placeOfWell(name) as Place)}
                    style={{ background: there ? colorOf(name) : undefined }}
                  />
                );
              })}
            </div>
          ))}
        </div>
      </div>
      <Legend span={span} byState={byState} />
      {measureError.value !== "" && <p class="error-line">{measureError.value}</p>}
      <p class="quiet selection-line" aria-live="polite">
        {selectedWells.value.size === 0
          ? `${Object.keys(fields).length} wells`
          : `${selectedWells.value.size} of ${Object.keys(fields).length} wells selected`}
        {selectedWells.value.size > 0 && (
          <button type="button" class="link" onClick={() => (selectedWells.value = new Set())}>
            clear
          </button>
        )}
      </p>
      {tip.value && (
        <div class="tip" style={{ left: `${tip.value.x}px`, top: `${tip.value.y}px` }} aria-hidden="true">
          {describe(tip.value.name)}
        </div>
      )}
    </section>
  );
}

function Legend({ span, byState }: { span: readonly [number, number] | undefined; byState: boolean }) {
  if (byState) {
    const counts = new Map<WellPhase, number>();
    for (const { state } of wellPhases.value.values()) counts.set(state, (counts.get(state) ?? 0) + 1);
    return (
      <ul class="legend-states" aria-label="Legend">
        {(Object.keys(phaseNames) as WellPhase[])
          .filter((p) => counts.has(p))
          .map((p) => (
            <li key={p}>
              <span class={`cell ${p}`} />
              {phaseNames[p]} <b>{counts.get(p)}</b>
            </li>
          ))}
      </ul>
    );
  }
  if (span === undefined) return <p class="quiet">No values yet.</p>;
  return (
    <div class="legend" role="img" aria-label={`Scale from ${format(span[0])} to ${format(span[1])}`}>
      <span>{format(span[0])}</span>
      <span class="ramp" style={{ background: gradient }} />
      <span>{format(span[1])}</span>
    </div>
  );
}
