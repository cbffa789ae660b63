// SPDX-License-Identifier: MIT
// Opens what a path names as a source of the gateway: a plate of TIFFs, an OME-Zarr plate, the folder of a run's results.

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { openPlate } from "../plates/index.js";
import type { Plate } from "../plates/plate.js";
import { FolderSource } from "./folder-source.js";
import type { Gateway } from "./gateway.js";
import { PlateSource } from "./plate-source.js";
import { describePlate, type SourceDescription } from "./source-description.js";
import { TableFile } from "./table.js";

/** Names in the `labels` group of an image of OME-Zarr 0.4 or 0.5; none where there is no such group. */
export async function labelNames(image: string): Promise<string[]> {
  for (const [file, at] of [
    ["zarr.json", (j: Record<string, unknown>) => j.attributes],
    [".zattrs", (j: Record<string, unknown>) => j],
  ] as const) {
    try {
      const attributes = at(JSON.parse(await readFile(join(image, "labels", file), "utf8"))) as
        | { ome?: { labels?: unknown }; labels?: unknown }
        | undefined;
      const names = attributes?.ome?.labels ?? attributes?.labels;
      if (Array.isArray(names)) return names.filter((n) => typeof n === "string");
    } catch {
      // No such file, or none that can be read: an image without labels.
    }
  }
  return [];
}

/** Adds a plate that is open already; OME-Zarr is served as it is on disk. */
export async function addPlate(
  gateway: Gateway,
  plate: Plate,
  rest: Partial<Pick<SourceDescription, "role" | "run" | "live" | "name">> & { readonly table?: string },
): Promise<string> {
  const { table, ...given } = rest;
  const file = table === undefined ? undefined : new TableFile(table);
  const common = { role: "input", run: null, live: false, table: file !== undefined, ...given } as const;
  if (plate.format === "ome-zarr") {
    const first = plate.planes[0];
    // A plane's path is the array's folder, `A/1/0/0`: its image is above it.
    const labels = first === undefined ? [] : await labelNames(join(first.path, ".."));
    return gateway.addSource(
      new FolderSource(plate.root, common.live),
      (id) => describePlate(plate, plate.planes, { ...common, id, labels }),
      file,
    );
  }
  const source = new PlateSource(plate);
  return gateway.addSource(
    source,
    (id) => describePlate(plate, source.planes, { ...common, id, labels: [] }),
    file,
  );
}

/** What run.json says that the store does not: where results came from, the plate's own numbers, and how the run went. */
interface Report {
  readonly outcome: string;
  readonly plate: { readonly root: string };
  readonly planes: {
    readonly total: number;
    readonly done: number;
    readonly reused: number;
    readonly failed: number;
  };
  readonly seconds: number;
  readonly megapixels: number;
  readonly megabytesRead: number;
  readonly timings: readonly unknown[];
  readonly failures: readonly unknown[];
  readonly wells: readonly { readonly well: string; readonly status: string; readonly reused: boolean }[];
  readonly planeStates: readonly { readonly well: string; readonly site: number; readonly channel: number }[];
}

/** Undefined where there is none, or none of this kind: results can be looked at without it. */
async function readReport(out: string): Promise<Report | undefined> {
  try {
    const report = JSON.parse(await readFile(join(out, "run.json"), "utf8")) as Report;
    return typeof report.plate.root === "string" && Array.isArray(report.planeStates) ? report : undefined;
  } catch {
    return undefined;
  }
}

/** Stores number fields and channels from zero; measurements have the plate's numbers. */
function renumber(gateway: Gateway, id: string, report: Report): void {
  const description = gateway.catalog().sources.find((s) => s.id === id);
  if (description === undefined) return;
  const sites = new Map<string, Set<number>>();
  const channels = new Set<number>();
  for (const { well, site, channel } of report.planeStates) {
    channels.add(channel);
    const known = sites.get(well);
    if (known) known.add(site);
    else sites.set(well, new Set([site]));
  }
  const ascending = (numbers: Iterable<number>) => [...numbers].sort((a, b) => a - b);
  const numbers = ascending(channels);
  gateway.updateSource(id, {
    run: `run of ${id}`,
    sites: Object.fromEntries([...sites].map(([well, of]) => [well, ascending(of)])),
    channels:
      numbers.length === description.channels.length
        ? description.channels.map((c, i) => ({ ...c, number: numbers[i] as number }))
        : description.channels,
  });
}

/** A run that has ended, as pages see one that goes on. */
function publishReport(gateway: Gateway, run: string, report: Report): void {
  const { planes, seconds, megapixels, megabytesRead, timings, failures } = report;
  gateway.events.publish({
    type: "run",
    key: run,
    run,
    state: report.outcome,
    planesDone: planes.done + planes.reused,
    planesFailed: planes.failed,
    planesTotal: planes.total,
    wellsDone: report.wells.filter((w) => w.status === "done").length,
    wellsTotal: report.wells.length,
    seconds,
    megapixels,
    megabytesRead,
    timings,
    failures: failures.slice(0, 100),
  });
  for (const { status, reused, ...well } of report.wells) {
    const state = reused ? "reused" : status === "done" ? "done" : "failed";
    gateway.events.publish({ type: "well", key: `${run}/${well.well}`, run, ...well, state });
  }
}

/**
 * Adds what `path` names; of a folder of results both the results and, when it is still there, the plate that they were made of. Returns the
 * sources' ids, the one to look at first being the first. Rejects as openPlate does.
 */
export async function addPath(gateway: Gateway, path: string): Promise<string[]> {
  const root = resolve(path);
  const store = join(root, "plate.ome.zarr");
  if (!existsSync(store)) return [await addPlate(gateway, await openPlate(root), {})];
  const id = await addPlate(gateway, await openPlate(store), {
    role: "output",
    name: basename(root),
    table: join(root, "measurements.csv"),
  });
  const ids = [id];
  const report = await readReport(root);
  if (report === undefined) return ids;
  renumber(gateway, id, report);
  publishReport(gateway, `run of ${id}`, report);
  if (existsSync(report.plate.root)) {
    // The results can be looked at without it.
    const plate = await openPlate(report.plate.root).catch(() => undefined);
    if (plate !== undefined) ids.push(await addPlate(gateway, plate, { run: `run of ${id}` }));
  }
  return ids;
}
