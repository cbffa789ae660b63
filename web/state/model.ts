// SPDX-License-Identifier: MIT
// What the page knows of the gateway: sources, runs, wells, and which planes have just arrived; made of the catalogue and of events.

import { batch, computed, signal } from "@preact/signals";
import * as address from "./address.js";
import { EventStream } from "./events.js";
import { get } from "./server.js";
import type {
  Catalog,
  HubMessage,
  RunLink,
  RunState,
  SourceDescription,
  TileEvent,
  WellState,
} from "./types.js";

export const sources = signal<ReadonlyMap<string, SourceDescription>>(new Map());
export const links = signal<ReadonlyMap<string, RunLink>>(new Map());
export const runs = signal<ReadonlyMap<string, RunState>>(new Map());
export const wellStates = signal<ReadonlyMap<string, WellState>>(new Map());
export const instances = signal<unknown>(undefined);
/** Planes that were announced since the page was opened. */
export const tileCount = signal(0);
export const catalogState = signal<"loading" | "ready" | Error>("loading");
export const version = signal("");

/** The source that is shown: the one asked for, else the results of a run, else the first. */
export const source = computed<SourceDescription | undefined>(() => {
  const all = sources.value;
  const asked = all.get(address.sourceId.value);
  if (asked) return asked;
  const list = [...all.values()];
  return list.find((s) => s.role === "output") ?? list[0];
});

/** The other side of what is shown: the input of results. */
export const input = computed<SourceDescription | undefined>(() => {
  const shown = source.value;
  if (shown === undefined || shown.role !== "output") return undefined;
  return [...sources.value.values()].find((s) => s.role === "input" && s.run !== null && s.run === shown.run);
});

/** The run that writes, or reads, what is shown. */
export const run = computed<RunState | undefined>(() => {
  const id = source.value?.run;
  return id ? runs.value.get(id) : undefined;
});

/** How far the run is with each well of what is shown. */
export const wellPhases = computed<ReadonlyMap<string, WellState>>(() => {
  const id = source.value?.run;
  const of = new Map<string, WellState>();
  if (id) for (const state of wellStates.value.values()) if (state.run === id) of.set(state.well, state);
  return of;
});

export const wells = computed<readonly string[]>(() => Object.keys(source.value?.fields ?? {}));

/** The well whose image is shown. */
export const well = computed<string | undefined>(() => {
  const asked = address.well.value;
  const shown = source.value;
  if (asked !== "" && shown?.fields[asked]) return asked;
  return wells.value.find((w) => (shown?.fields[w]?.length ?? 0) > 0);
});

export const fieldPath = computed<string | undefined>(() => {
  const fields = source.value?.fields[well.value ?? ""] ?? [];
  return fields[Math.min(address.field.value, fields.length - 1)];
});

type TileListener = (tile: TileEvent) => void;
const tileListeners = new Set<TileListener>();

/** Calls back for every plane that arrives; returns what ends that. Planes themselves are not remembered: a run has any number. */
export function onTile(listener: TileListener): () => void {
  tileListeners.add(listener);
  return () => {
    tileListeners.delete(listener);
  };
}

function apply(events: readonly HubMessage[]): void {
  const newSources = new Map(sources.value);
  const newRuns = new Map(runs.value);
  const newWells = new Map(wellStates.value);
  const tiles: TileEvent[] = [];
  const changed = { sources: false, runs: false, wells: false };
  let linked = true;
  for (const event of events) {
    if (event.type === "source") {
      const { type, n, key, ...description } = event;
      newSources.set(String(key), description as unknown as SourceDescription);
      changed.sources = true;
    } else if (event.type === "run") {
      const state = event as unknown as RunState;
      newRuns.set(state.run, state);
      changed.runs = true;
      linked &&= links.value.has(state.run);
    } else if (event.type === "well") {
      const state = event as unknown as WellState;
      newWells.set(`${state.run}/${state.well}`, state);
      changed.wells = true;
    } else if (event.type === "tile") {
      const tile = event as unknown as TileEvent;
      tiles.push(tile);
      // A well whose first plane is there has begun.
      const key = `${newSources.get(tile.source)?.run}/${tile.well}`;
      const state = newWells.get(key);
      if (state?.state !== "waiting") continue;
      newWells.set(key, { ...state, state: "running" });
      changed.wells = true;
    }
    if (event.type === "instances") instances.value = event;
  }
  batch(() => {
    if (changed.sources) {
      sources.value = newSources;
      catalogState.value = "ready";
    }
    if (changed.runs) runs.value = newRuns;
    if (changed.wells) wellStates.value = newWells;
    tileCount.value += tiles.length;
  });
  for (const tile of tiles) for (const listener of tileListeners) listener(tile);
  if (!linked) void readCatalog();
}

async function readCatalog(): Promise<void> {
  try {
    const catalog = await get<Catalog>("api/catalog");
    batch(() => {
      version.value = catalog.version;
      sources.value = new Map(catalog.sources.map((s) => [s.id, s]));
      links.value = new Map(catalog.runs.map((l) => [l.id, l]));
      catalogState.value = "ready";
    });
  } catch (error) {
    if (catalogState.value !== "ready") catalogState.value = error as Error;
  }
}

export const stream = new EventStream(() => {
  batch(() => {
    runs.value = new Map();
    wellStates.value = new Map();
    tileCount.value = 0;
  });
  void readCatalog();
}, apply);

export function start(): void {
  address.followAddress();
  void readCatalog();
  stream.connect();
}
