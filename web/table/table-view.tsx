// SPDX-License-Identifier: MIT
// The measurements: rows of the chosen wells, sorted and filtered by the server, of which only those that are seen are fetched; and charts.

import { computed, signal, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { format } from "../plate/color-map.js";
import * as address from "../state/address.js";
import { source } from "../state/model.js";
import { type ObjectKey, picked, sameObject, selectedObjects, selectedWells } from "../state/objects.js";
import { save } from "../state/save.js";
import { base, get } from "../state/server.js";
import { type Cell, objectOf, type Rows, rows, table, whereObject } from "../state/table.js";
import { HistogramChart, ScatterChart } from "./charts.js";

const rowHeight = 26;
/** Rows of one request; a screen has fewer. */
const pageRows = 200;
/** What the server gives at most at once. */
const mostRows = 100_000;

const sort = signal("");
const filter = signal("");
const filterError = signal("");

/** The conditions of all that narrows the rows. */
export const where = computed(() =>
  [
    selectedWells.value.size > 0 ? `well=${[...selectedWells.value].join("|")}` : "",
    filter.value.replaceAll(/\s/g, ""),
  ]
    .filter((t) => t !== "")
    .join(","),
);

/** Shows an object in the image and the table. */
export function showObject(object: ObjectKey): void {
  picked.value = object;
  const s = source.value;
  const index = s?.sites[object.well]?.indexOf(object.site) ?? -1;
  address.go(() => {
    address.well.value = object.well;
    address.field.value = Math.max(0, index);
  });
}

export function TableView() {
  const t = table.value;
  if (t.kind !== "ready") {
    const [title, text] =
      t.kind === "loading"
        ? ["Loading", "The measurements."]
        : t.kind === "later"
          ? [
              "No measurements yet",
              "They are written when the run has ended. The plate shows values of wells as they come.",
            ]
          : t.kind === "error"
            ? ["The measurements cannot be read", t.message]
            : ["No measurements", "What is shown has none: choose the results of a run."];
    return (
      <div class="message" role="status">
        <h1>{title}</h1>
        <p>{text}</p>
      </div>
    );
  }
  return (
    <div class="table-view">
      <h1 class="unseen">Measurements</h1>
      <Charts measures={t.measures} id={t.source} />
      <Listing columns={t.columns} id={t.source} />
    </div>
  );
}

function Charts({ measures, id }: { measures: readonly string[]; id: string }) {
  const x = useSignal(measures[0] ?? "");
  const y = useSignal(
    measures.find((m) => m.startsWith("mean_intensity")) ?? measures[1] ?? measures[0] ?? "",
  );
  if (measures.length === 0) return null;
  const choice = (value: typeof x, title: string) => (
    <select aria-label={title} value={value.value} onChange={(e) => (value.value = e.currentTarget.value)}>
      {measures.map((m) => (
        <option value={m} key={m}>
          {m.replaceAll("_", " ")}
        </option>
      ))}
    </select>
  );
  return (
    <div class="charts">
      <figure>
        <figcaption>
          {choice(x, "Column of the histogram and of the horizontal axis")}
          <span class="quiet">objects</span>
        </figcaption>
        <HistogramChart id={id} column={x.value} where={where.value} />
      </figure>
      <figure>
        <figcaption>
          {choice(y, "Column of the vertical axis")}
          <span class="quiet">by {x.value.replaceAll("_", " ")}; drag to select objects</span>
        </figcaption>
        <ScatterChart id={id} x={x.value} y={y.value} where={where.value} />
      </figure>
    </div>
  );
}

function Listing({ columns, id }: { columns: readonly string[]; id: string }) {
  const scroller = useRef<HTMLDivElement>(null);
  const top = useSignal(0);
  const height = useSignal(600);
  const total = useSignal(0);
  /** Pages by number; of another query they are thrown away. */
  const pages = useSignal<ReadonlyMap<number, Rows>>(new Map());
  const query = computed(() => ({ sort: sort.value, where: where.value }));

  useEffect(() => {
    const element = scroller.current as HTMLDivElement;
    const observer = new ResizeObserver(() => {
      height.value = element.clientHeight;
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const wanted = useRef({ key: "", controller: new AbortController(), asked: new Set<number>() });
  useSignalEffect(() => {
    const key = JSON.stringify([id, query.value]);
    if (wanted.current.key !== key) {
      wanted.current.controller.abort();
      wanted.current = { key, controller: new AbortController(), asked: new Set() };
      pages.value = new Map();
    }
    const { controller, asked } = wanted.current;
    const first = Math.floor(top.value / rowHeight / pageRows);
    const last = Math.floor((top.value + height.value) / rowHeight / pageRows);
    for (let page = first; page <= last; page++) {
      if (asked.has(page)) continue;
      asked.add(page);
      rows(id, { ...query.value, offset: page * pageRows, limit: pageRows }, controller.signal).then(
        (got) => {
          filterError.value = "";
          total.value = got.total;
          // A few screens either way are kept.
          const near = [...pages.peek()].filter(([n]) => Math.abs(n - page) <= 10);
          for (const n of asked) if (Math.abs(n - page) > 10) asked.delete(n);
          pages.value = new Map([...near, [page, got]]);
        },
        (error: Error) => {
          if (controller.signal.aborted) return;
          filterError.value = error.message;
        },
      );
    }
  });

  // The row of an object that was picked elsewhere is brought into sight.
  useSignalEffect(() => {
    const object = picked.value;
    if (object === undefined) return;
    const controller = new AbortController();
    const asked = { ...query.value, find: whereObject(object) };
    get<{ index: number | null }>(`api/table/${id}`, asked, controller.signal).then(
      ({ index }) => {
        const element = scroller.current;
        if (index === null || element === null) return;
        const y = index * rowHeight;
        if (y < element.scrollTop || y > element.scrollTop + element.clientHeight - 2 * rowHeight)
          element.scrollTop = y - element.clientHeight / 2;
      },
      () => {
        // What is wrong with the conditions is said where rows are asked for.
      },
    );
    return () => controller.abort();
  });

  const firstRow = Math.max(0, Math.floor(top.value / rowHeight) - 8);
  const lastRow = Math.min(total.value, Math.ceil((top.value + height.value) / rowHeight) + 8);
  const at = (n: number): readonly Cell[] | undefined =>
    pages.value.get(Math.floor(n / pageRows))?.rows[n % pageRows];
  const visible = Array.from({ length: Math.max(0, lastRow - firstRow) }, (_, i) => firstRow + i);
  const chosen = new Set(selectedObjects.value.map((o) => JSON.stringify(o)));

  const sortBy = (column: string) => {
    sort.value = sort.value === column ? `-${column}` : sort.value === `-${column}` ? "" : column;
    if (scroller.current) scroller.current.scrollTop = 0;
  };
  const exportCsv = async () => {
    const parts = [`${columns.join(",")}\n`];
    for (let offset = 0; offset < Math.max(1, total.value); offset += mostRows) {
      const got = await rows(id, { ...query.value, offset, limit: mostRows });
      parts.push(got.rows.map((r) => `${r.map(csvCell).join(",")}\n`).join(""));
    }
    save(new Blob(parts, { type: "text/csv" }), "measurements.csv");
  };

  return (
    <>
      <div class="table-bar">
        <label>
          <span class="quiet">Filter</span>
          <input
            type="text"
            spellcheck={false}
            placeholder="area>100, channel=1"
            value={filter.value}
            aria-invalid={filterError.value !== ""}
            onChange={(e) => (filter.value = e.currentTarget.value)}
          />
        </label>
        <span class="quiet number" aria-live="polite">
          {total.value.toLocaleString("en")} objects
          {selectedWells.value.size > 0 ? ` in ${selectedWells.value.size} wells` : ""}
          {chosen.size > 0 ? `, ${chosen.size.toLocaleString("en")} selected` : ""}
        </span>
        {chosen.size > 0 && (
          <button type="button" class="link" onClick={() => (selectedObjects.value = [])}>
            clear
          </button>
        )}
        <span class="space" />
        <a class="button" href={new URL(`api/table/${id}?format=csv`, base).href} download="measurements.csv">
          All as CSV
        </a>
        <button type="button" onClick={() => void exportCsv()}>
          These as CSV
        </button>
      </div>
      {filterError.value !== "" && (
        <p class="error-line" role="alert">
          {filterError.value}
        </p>
      )}
      <section
        class="listing"
        ref={scroller}
        onScroll={(e) => (top.value = e.currentTarget.scrollTop)}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is scrolled by keys
        tabIndex={0}
        aria-label="Measurements"
      >
        <table aria-rowcount={total.value + 1}>
          <thead>
            <tr aria-rowindex={1}>
              {columns.map((c) => (
                <th
                  scope="col"
                  key={c}
                  aria-sort={sort.value === c ? "ascending" : sort.value === `-${c}` ? "descending" : "none"}
                >
                  <button type="button" onClick={() => sortBy(c)}>
                    {c.replaceAll("_", " ")}
                    <i aria-hidden="true">
                      {sort.value === c ? "\u25b4" : sort.value === `-${c}` ? "\u25be" : ""}
                    </i>
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <Spacer height={firstRow * rowHeight} />
          <tbody>
            {visible.map((n) => {
              const row = at(n);
              if (row === undefined)
                return (
                  <tr key={n} class="pending">
                    <td colSpan={columns.length} />
                  </tr>
                );
              const object = objectOf(columns, row);
              const isPicked = sameObject(object, picked.value);
              return (
                <tr
                  key={n}
                  aria-rowindex={n + 2}
                  aria-selected={isPicked}
                  class={`${isPicked ? "picked" : ""} ${chosen.has(JSON.stringify(object)) ? "chosen" : ""}`}
                  onClick={() => showObject(object)}
                  onDblClick={() => address.go(() => (address.view.value = "image"), true)}
                >
                  {row.map((cell, i) => (
                    <td key={columns[i]} class={typeof cell === "number" ? "right number" : ""}>
                      {typeof cell === "number" ? format(cell) : cell}
                    </td>
                  ))}
                </tr>
              );
            })}
          </tbody>
          <Spacer height={(total.value - lastRow) * rowHeight} />
        </table>
      </section>
    </>
  );
}

/** The room of rows that are not drawn. */
function Spacer({ height }: { height: number }) {
  if (height <= 0) return null;
  return (
    <tbody aria-hidden="true">
      <tr style={{ height: `${height}px` }} />
    </tbody>
  );
}

function csvCell(cell: Cell): string {
  const text = cell === null ? "" : String(cell);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
