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

/**
 * Adds what `path` names; of a folder of results both the results and, when it is still there, the plate that they were made of. Returns the
 * sources' ids, the one to look at first being the first. Rejects as openPlate does.
 */
export async function addPath(gateway: Gateway, path: string): Promise<string[]> {
  const root = resolve(path);
  const store = join(root, "plate.ome.zarr");
  if (!existsSync(store)) return [await addPlate(gateway, await openPlate(root), {})];
  const name = basename(root);
  const ids = [
    await addPlate(gateway, await openPlate(store), {
      role: "output",
      name,
      table: join(root, "measurements.csv"),
    }),
  ];
  const input = await inputOf(root);
  if (input !== undefined && existsSync(input)) {
    // The results can be looked at without it.
    const plate = await openPlate(input).catch(() => undefined);
    if (plate !== undefined) ids.push(await addPlate(gateway, plate, {}));
  }
  return ids;
}

async function inputOf(out: string): Promise<string | undefined> {
  try {
    const report = JSON.parse(await readFile(join(out, "run.json"), "utf8")) as {
      plate?: { root?: unknown };
    };
    return typeof report.plate?.root === "string" ? report.plate.root : undefined;
  } catch {
    return undefined;
  }
}
