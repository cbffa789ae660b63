// SPDX-License-Identifier: MIT
// Opens what a path or a URL names as a source of the gateway: a plate of TIFFs, a TIFF file, an OME-Zarr store, the folder of a run's results.

import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { openPlate } from "../plates/index.js";
import { isTiffName, openImage } from "../plates/open-image.js";
import type { Plate } from "../plates/plate.js";
import { isUrl } from "../plates/remote.js";
import { HttpStore } from "../stores/http.js";
import type { Store } from "../stores/store.js";
import { FolderSource } from "./folder-source.js";
import type { Gateway } from "./gateway.js";
import { PlateSource } from "./plate-source.js";
import { describePlate, type SourceDescription } from "./source-description.js";
import { StoreSource } from "./store-source.js";
import { TableFile } from "./table.js";

/** Text of a file of the source, by its path below it; undefined where it cannot be had. */
type TextReader = (key: string) => Promise<string | undefined>;

const onDisk =
  (root: string): TextReader =>
  (key) =>
    readFile(join(root, key), "utf8").catch(() => undefined);

const inStore =
  (store: Store): TextReader =>
  (key) =>
    store.read(key).then(
      (bytes) => new TextDecoder().decode(bytes),
      () => undefined,
    );

/** Names in the `labels` group of the image at `path` of OME-Zarr 0.4 or 0.5; none where there is no such group. */
async function labelNames(read: TextReader, path: string): Promise<string[]> {
  for (const [file, at] of [
    ["zarr.json", (j: Record<string, unknown>) => j.attributes],
    [".zattrs", (j: Record<string, unknown>) => j],
  ] as const) {
    try {
      const text = await read(below(path, `labels/${file}`));
      if (text === undefined) continue;
      const attributes = at(JSON.parse(text)) as { ome?: { labels?: unknown }; labels?: unknown } | undefined;
      const names = attributes?.ome?.labels ?? attributes?.labels;
      if (Array.isArray(names)) return names.filter((n) => typeof n === "string");
    } catch {
      // None that can be understood: an image without labels.
    }
  }
  return [];
}

const below = (path: string, key: string) => (path === "" ? key : `${path}/${key}`);

/** Where an OME-Zarr plate's images are, which any software may have written, below its root; empty for the root itself. */
function storedFields(plate: Plate): Record<string, Map<number, string>> {
  const fields: Record<string, Map<number, string>> = {};
  for (const { well, site, path } of plate.planes) {
    fields[well] ??= new Map();
    const sites = fields[well];
    // A plane's path is the array's folder, `A/1/0/0`: its image is above it.
    if (!sites.has(site)) sites.set(site, path.slice(plate.root.length + 1).replace(/\/?[^/]*$/, ""));
  }
  return fields;
}

/**
 * Adds a plate that is open already; OME-Zarr is served as it is stored. `url`: where it was opened, of one that is not on a disk. `kind`: "image" for what is
 * shown without a plate around it.
 */
export async function addPlate(
  gateway: Gateway,
  plate: Plate,
  rest: Partial<Pick<SourceDescription, "role" | "run" | "live" | "name" | "kind">> & {
    readonly table?: string;
    readonly url?: string;
  },
): Promise<string> {
  const { table, url, ...given } = rest;
  const file = table === undefined ? undefined : new TableFile(table);
  const common = { role: "input", run: null, live: false, table: file !== undefined, ...given } as const;
  if (plate.format === "ome-zarr") {
    const store = url === undefined ? undefined : new HttpStore(url);
    const fields = storedFields(plate);
    const [first] = Object.values(fields).flatMap((sites) => [...sites.values()]);
    const read = store === undefined ? onDisk(plate.root) : inStore(store);
    const labels = first === undefined ? [] : await labelNames(read, first);
    return gateway.addSource(
      store === undefined ? new FolderSource(plate.root, common.live) : new StoreSource(store),
      (id) => ({
        ...describePlate(plate, plate.planes, { ...common, id, labels }),
        fields: Object.fromEntries(Object.entries(fields).map(([well, of]) => [well, [...of.values()]])),
        sites: Object.fromEntries(Object.entries(fields).map(([well, of]) => [well, [...of.keys()]])),
      }),
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

/** Whether an OME-Zarr store is one image, or an image of several fields, and no plate. */
const isImage = (plate: Plate): boolean =>
  plate.format === "ome-zarr" &&
  Object.values(storedFields(plate)).every((f) => [...f.values()].every((p) => !p.includes("/")));

/**
 * Adds what `path` names, a path or a URL of http(s); of a folder of results both the results and, when it is still there, the plate that they were made
 * of. Returns the sources' ids, the one to look at first being the first. Rejects as openPlate does.
 */
export async function addPath(gateway: Gateway, path: string): Promise<string[]> {
  if (isUrl(path)) {
    const plate = await openPlate(path);
    const kind = isTiffName(new URL(path).pathname) || isImage(plate) ? "image" : "plate";
    return [await addPlate(gateway, plate, { url: path, kind })];
  }
  const root = resolve(path);
  if (isTiffName(root) && (await stat(root).catch(() => undefined))?.isFile())
    return [await addPlate(gateway, await openImage(root), { kind: "image" })];
  const store = join(root, "plate.ome.zarr");
  if (!existsSync(store)) {
    const plate = await openPlate(root);
    return [await addPlate(gateway, plate, { kind: isImage(plate) ? "image" : "plate" })];
  }
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
