// SPDX-License-Identifier: MIT
// Queries of a source's measurements, and what its columns are.

import { computed, effect, signal } from "@preact/signals";
import { run, source } from "./model.js";
import type { ObjectKey } from "./objects.js";
import { AnswerError, get } from "./server.js";

export type Cell = string | number | null;

export interface Rows {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  readonly total: number;
}

export type TableState =
  | { readonly kind: "none" | "loading" }
  /** There will be measurements when the run has ended. */
  | { readonly kind: "later" }
  | { readonly kind: "error"; readonly message: string }
  | {
      readonly kind: "ready";
      readonly source: string;
      readonly columns: readonly string[];
      /** Columns of numbers that are measurements: neither a place nor a label. */
      readonly measures: readonly string[];
      readonly total: number;
    };

export const table = signal<TableState>({ kind: "none" });

/** Where an object is; never a measurement. */
export const placeColumns: ReadonlySet<string> = new Set([
  "plate",
  "well",
  "site",
  "channel",
  "timepoint",
  "z_index",
  "label",
]);

export function rows(
  id: string,
  query: Readonly<Record<string, string | number | undefined>>,
  signal?: AbortSignal,
): Promise<Rows> {
  return get<Rows>(`api/table/${id}`, query, signal);
}

export function group(
  id: string,
  column: string,
  statistic: string,
  signal?: AbortSignal,
): Promise<Record<string, number | null>> {
  return get(`api/table/${id}`, { group: "well", column, stat: statistic }, signal);
}

/** The condition that only this object meets. */
export function whereObject(o: ObjectKey): string {
  return `well=${o.well},site=${o.site},channel=${o.channel},timepoint=${o.timepoint},label=${o.label}`;
}

export function objectOf(columns: readonly string[], row: readonly Cell[]): ObjectKey {
  const at = (name: string) => row[columns.indexOf(name)];
  return {
    well: String(at("well")),
    site: Number(at("site")),
    channel: Number(at("channel")),
    timepoint: Number(at("timepoint") ?? 1),
    label: Number(at("label")),
  };
}

/** Changes when measurements may have appeared. */
const occasion = computed(() => {
  const shown = source.value;
  return shown?.table ? `${shown.id} ${shown.live} ${run.value?.state ?? ""}` : "";
});

/** Reads the columns of what is shown, and again when the run that makes them has ended. */
export function followTable(): void {
  effect(() => {
    const shown = occasion.value;
    const id = source.peek()?.id ?? "";
    if (shown === "") {
      table.value = { kind: "none" };
      return;
    }
    table.value = { kind: "loading" };
    const controller = new AbortController();
    rows(id, { limit: 1 }, controller.signal).then(
      ({ columns, rows: [first], total }) => {
        const numeric = (c: string) => first === undefined || typeof first[columns.indexOf(c)] !== "string";
        const measures = columns.filter((c) => !placeColumns.has(c) && numeric(c));
        table.value = { kind: "ready", source: id, columns, measures, total };
      },
      (error: Error) => {
        if (controller.signal.aborted) return;
        const absent = error instanceof AnswerError && error.status === 404;
        table.value = absent
          ? { kind: source.peek()?.live ? "later" : "none" }
          : { kind: "error", message: error.message };
      },
    );
    return () => controller.abort();
  });
}
