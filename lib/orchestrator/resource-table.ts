// SPDX-License-Identifier: MIT
// What a plan needs once a run: illumination images, estimates of them, users' functions; each found by what it is.

import type { Op } from "../ops/op.js";
import type { PlaneRef } from "../plates/plate.js";
import type { Job, Resource } from "./plan.js";
import type { Place, Stream, Value } from "./stream.js";

type EstimateResource = Extract<Resource, { kind: "estimate" }>;

/** An estimate under collection: the groups of planes that it may read. */
export interface Estimate {
  readonly id: number;
  readonly resource: EstimateResource;
  readonly place: Place;
  readonly limit: number;
  readonly groups: PlaneRef[][];
}

export class ResourceTable {
  readonly #resources: Resource[] = [];
  readonly #ids = new Map<string, number>();
  readonly #estimates = new Map<number, Estimate>();

  get all(): readonly Resource[] {
    return this.#resources;
  }

  /** The number of the resource of that key, made at its first mention. */
  id(key: string, make: () => Resource): number {
    let id = this.#ids.get(key);
    if (id === undefined) {
      id = this.#resources.push(make()) - 1;
      this.#ids.set(key, id);
    }
    return id;
  }

  /** A number for a resource that is not known whole yet: {@link replace} follows. */
  reserve(): number {
    return this.#resources.push({ kind: "aligner", height: 0, width: 0, images: 0, pairs: [], reach: 0 }) - 1;
  }

  replace(id: number, resource: Resource): void {
    this.#resources[id] = resource;
  }

  /** The illumination that a flat-field op divides by: a file, or an estimate for the stream's channel and size. */
  illumination(op: Op, s: Stream, input: Value, place: Place, group: readonly PlaneRef[]): number {
    const p = op.parameters as {
      image?: string;
      from?: "median" | "mean";
      background: number;
      sigma: number;
      images: number;
      shrink: number;
    };
    if (p.image !== undefined) {
      const path = p.image.replaceAll("{channel}", String(s.channel));
      return this.id(`file/${path}`, () => ({ kind: "file", path }));
    }
    const key = `estimate/${place.stepIndex}/${place.opIndex}/${s.channel}/${input.height}x${input.width}`;
    const id = this.id(key, () => ({
      kind: "estimate",
      label: `channel ${s.channel}, ${input.width} x ${input.height} px, step "${place.step}"`,
      method: p.from ?? "median",
      sigma: p.sigma,
      shrink: p.shrink,
      background: p.background,
      height: input.height,
      width: input.width,
      jobs: [],
    }));
    let estimate = this.#estimates.get(id);
    if (estimate === undefined) {
      const resource = this.#resources[id] as EstimateResource;
      estimate = { id, resource, place, limit: p.images, groups: [] };
      this.#estimates.set(id, estimate);
    }
    const mine = group.filter((q) => q.channel === s.channel);
    if (estimate.groups.at(-1)?.[0] !== mine[0]) estimate.groups.push(mine);
    return id;
  }

  /** Gives every estimate its jobs: `compile` makes the one that reads a group, over evenly spaced groups. */
  fillEstimates(compile: (estimate: Estimate, group: readonly PlaneRef[]) => Job): void {
    for (const e of this.#estimates.values()) {
      const n = Math.min(e.limit, e.groups.length);
      const jobs = Array.from({ length: n }, (_, i) =>
        compile(e, e.groups[Math.floor((i * e.groups.length) / n)] as PlaneRef[]),
      );
      this.#resources[e.id] = { ...e.resource, jobs };
    }
  }
}
