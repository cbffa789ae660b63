// SPDX-License-Identifier: MIT
// Reads what a run wrote: table, run.json, Zarr arrays (with zarrita), digests of every shard.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import FileSystemStore from "@zarrita/storage/fs";
import { get, open, root } from "zarrita";

export type Row = Record<string, string>;

export function table(out: string): Row[] {
  const [head = "", ...lines] = readFileSync(join(out, "measurements.csv"), "utf8").trimEnd().split("\n");
  const names = head.split(",");
  return lines.map((line) =>
    Object.fromEntries(line.split(",").map((cell, i) => [names[i] ?? `column ${i}`, cell])),
  );
}

export interface PlaneState {
  readonly path?: string;
  readonly page: number;
  readonly sample: number;
  readonly well: string;
  readonly site: number;
  readonly channel: number;
  readonly z_index: number | null;
  readonly timepoint: number;
  readonly state: string;
  readonly reason?: string;
}

export interface RunJson {
  readonly options: { readonly threads: number };
  readonly outcome: string;
  readonly planes: { total: number; done: number; reused: number; failed: number; cancelled: number };
  readonly wells: { well: string; status: string; reused: boolean; planes: number; failedPlanes: number }[];
  readonly failures: {
    well: string;
    site: number;
    channel: number;
    code: string;
    message: string;
    path: string | null;
  }[];
  readonly planeStates: PlaneState[];
  readonly remarks: string[];
}

export function runJson(out: string): RunJson {
  return JSON.parse(readFileSync(join(out, "run.json"), "utf8")) as RunJson;
}

/** How many planes are in each state. */
export function stateCounts(out: string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const p of runJson(out).planeStates) counts[p.state] = (counts[p.state] ?? 0) + 1;
  return counts;
}

export interface Pixels {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly data: ArrayLike<number>;
}

/** A whole array of the plate, e.g. `A/1/0/labels/objects/0`. */
export async function pixels(out: string, path: string): Promise<Pixels> {
  const store = root(new FileSystemStore(join(out, "plate.ome.zarr")));
  const array = await open(store.resolve(path), { kind: "array" });
  const { data, shape } = await get(array, null);
  return { shape, dtype: array.dtype, data: data as unknown as ArrayLike<number> };
}

function walk(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((e) =>
    e.isDirectory() ? walk(join(dir, e.name)) : [join(dir, e.name)],
  );
}

/** sha256 of every file of the store, by path: two runs with equal digests wrote the same bytes. */
export function storeDigests(out: string): Record<string, string> {
  const store = join(out, "plate.ome.zarr");
  return Object.fromEntries(
    walk(store)
      .sort()
      .map((f) => [relative(store, f), createHash("sha256").update(readFileSync(f)).digest("hex")]),
  );
}

/** Modification time of every chunk or shard of a well, ms. */
export function chunkTimes(out: string, well: string): Record<string, number> {
  const dir = join(out, "plate.ome.zarr", well);
  return Object.fromEntries(
    walk(dir)
      .filter((f) => !/(zarr\.json|\.z(attrs|group|array))$/.test(f))
      .sort()
      .map((f) => [relative(dir, f), statSync(f).mtimeMs]),
  );
}
