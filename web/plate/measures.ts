// SPDX-License-Identifier: MIT
// What a plate can be coloured by: the run's state, values that come with the wells while it runs, and statistics of the table's columns.

import { computed, effect, signal } from "@preact/signals";
import * as address from "../state/address.js";
import { source, wellPhases } from "../state/model.js";
import { group, table } from "../state/table.js";

/** `state`; `live:NAME` of the wells' events; `STATISTIC:COLUMN` of the table. */
export type MeasureId = string;

export interface MeasureGroup {
  readonly title: string;
  readonly items: readonly { readonly id: MeasureId; readonly title: string }[];
}

const statistics = ["mean", "median", "sum", "min", "max"] as const;
/** Chosen apart from the column: five times as many entries would hide them. */
export const statistic = signal<(typeof statistics)[number]>("mean");
export { statistics };

const liveNames = computed<readonly string[]>(() => {
  const names = new Set<string>();
  for (const { values } of wellPhases.value.values())
    for (const name of Object.keys(values ?? {})) names.add(name);
  return [...names];
});

export const measureGroups = computed<readonly MeasureGroup[]>(() => {
  const groups: MeasureGroup[] = [];
  const basic = [
    ...(wellPhases.value.size > 0 ? [{ id: "state", title: "State of the run" }] : []),
    { id: "fields", title: "Fields" },
  ];
  groups.push({ title: "Plate", items: basic });
  if (liveNames.value.length > 0)
    groups.push({ title: "Of the run", items: liveNames.value.map((n) => ({ id: `live:${n}`, title: n })) });
  const t = table.value;
  if (t.kind === "ready")
    groups.push({
      title: "Of the objects",
      items: [
        { id: "count:", title: "objects" },
        ...t.measures.map((c) => ({ id: `column:${c}`, title: c.replaceAll("_", " ") })),
      ],
    });
  return groups;
});

/** What the plate is coloured by: as asked, else the count of objects, else the first live value once there is one, else the state. */
export const measure = computed<MeasureId>(() => {
  const ids = measureGroups.value.flatMap((g) => g.items.map((i) => i.id));
  const asked = address.measure.value;
  if (ids.includes(asked)) return asked;
  if (ids.includes("count:")) return "count:";
  return ids.includes("state") ? "state" : "fields";
});

export const measureTitle = computed(() => {
  const title = measureGroups.value.flatMap((g) => g.items).find((i) => i.id === measure.value)?.title ?? "";
  return measure.value.startsWith("column:") ? `${title}, ${statistic.value}` : title;
});

const fromTable = signal<Readonly<Record<string, number | null>>>({});
export const measureError = signal("");

/** One number a well; empty where the state is shown. */
export const values = computed<ReadonlyMap<string, number | null>>(() => {
  const id = measure.value;
  const out = new Map<string, number | null>();
  if (id === "state") return out;
  if (id === "fields") {
    for (const [well, paths] of Object.entries(source.value?.fields ?? {})) out.set(well, paths.length);
  } else if (id.startsWith("live:")) {
    const name = id.slice(5);
    for (const [well, state] of wellPhases.value) out.set(well, state.values?.[name] ?? null);
  } else for (const [well, v] of Object.entries(fromTable.value)) out.set(well, v);
  return out;
});

/** Asks for the statistic when another is chosen, or another table is there. */
export function followMeasure(): void {
  effect(() => {
    const id = measure.value;
    const t = table.value;
    const count = id === "count:";
    if (t.kind !== "ready" || !(count || id.startsWith("column:"))) return;
    const controller = new AbortController();
    const [column, what] = count ? ["", "count"] : [id.slice(7), statistic.value];
    measureError.value = "";
    group(t.source, column, what, controller.signal).then(
      (given) => {
        if (count)
          for (const [well, f] of Object.entries(source.peek()?.fields ?? {}))
            if (f.length) given[well] ??= 0;
        fromTable.value = given;
      },
      (error: Error) => {
        if (!controller.signal.aborted) measureError.value = error.message;
      },
    );
    return () => controller.abort();
  });
}
