// SPDX-License-Identifier: MIT
// Turns what a job left into what sinks are given, and a plan into what they must know first.

import { join } from "node:path";
import type { NativeJobResult } from "../native.js";
import type { Plate } from "../plates/plate.js";
import type { PlanePayload, StreamPayload } from "../streaming/payload.js";
import type { RunDescription, RunOutput, SinkWants } from "../streaming/sink.js";
import type { Job, JobView, Plan } from "./plan.js";

const pixelSizeOf = (plate: Plate) =>
  plate.pixelSizeUm === null ? {} : { pixelSize: [plate.pixelSizeUm.y, plate.pixelSizeUm.x] as const };

const named = (wants: SinkWants, view: JobView) =>
  wants.outputs === undefined || wants.outputs.includes(view.producer.output);

/** Whether a sink is given the plane of a view. */
export function wantsView(wants: SinkWants, view: JobView): boolean {
  if (!named(wants, view)) return false;
  if (view.kind === "labels") return wants.labels ?? true;
  const { stepName } = view.producer;
  const ofStep = stepName !== null && (wants.steps?.includes(stepName) ?? false);
  return ofStep || (view.output !== null && (wants.images ?? true));
}

/** Kinds of payloads that a sink is given of a view. */
function kindsOf(wants: SinkWants, view: JobView): StreamPayload["kind"][] {
  if (view.kind === "table") return wants.tables && named(wants, view) ? ["table"] : [];
  return [
    ...(wantsView(wants, view) ? [view.kind] : []),
    ...(view.kind === "labels" && named(wants, view) && wants.shapes ? (["shapes"] as const) : []),
    ...(view.kind === "labels" && named(wants, view) && wants.points ? (["points"] as const) : []),
  ];
}

const common = (plate: Plate, view: JobView) => ({
  components: view.components,
  producer: view.producer,
  ...(view.title === undefined ? {} : { title: view.title }),
  ...pixelSizeOf(plate),
});

/** A plane without its pixels. One that is written has the size and dtype of the store's. */
export function announcement(plate: Plate, storeRoot: string, job: Job, view: JobView): PlanePayload {
  const output = view.output === null ? undefined : job.outputs[view.output];
  const { height, width, dtype } = output ?? (view.tile as NonNullable<JobView["tile"]>);
  return {
    kind: view.kind as "image" | "labels",
    ...common(plate, view),
    shape: [height, width],
    dtype,
    ...(output === undefined
      ? {}
      : { store: { path: join(storeRoot, output.image), array: "0", index: output.lead } }),
  };
}

/** What is derived from a view for a sink: outlines, centroids, table rows. */
export function derivedOf(
  wants: SinkWants,
  view: JobView,
  index: number,
  job: Job,
  result: NativeJobResult,
  plate: Plate,
  plan: Plan,
): StreamPayload[] {
  const out: StreamPayload[] = [];
  for (const kind of kindsOf(wants, view)) {
    if (kind === "shapes") {
      const found = result.outlines?.find((o) => o.view === index);
      if (found === undefined) continue;
      out.push({
        kind,
        ...common(plate, view),
        shapes: Array.from(found.labels, (label, ring) => ({
          type: "polygon" as const,
          vertices: found.vertices.subarray(
            2 * (found.offsets[ring] as number),
            2 * (found.offsets[ring + 1] as number),
          ),
          label,
        })),
      });
    } else if (kind === "points") {
      const found = result.centroids?.find((c) => c.view === index);
      if (found === undefined) continue;
      out.push({ kind, ...common(plate, view), points: found.points, labels: [...found.labels] });
    } else if (kind === "table") {
      out.push({
        kind,
        ...common(plate, view),
        columns: plan.columns,
        rows: tableRows(view, job, result, plate, plan),
      });
    }
  }
  return out;
}

/** The rows of one part of a job; its key columns come from the view, since the plate's name may need quotes in CSV. */
function tableRows(view: JobView, job: Job, result: NativeJobResult, plate: Plate, plan: Plan) {
  const prefix = job.parts[view.part ?? -1]?.rowPrefix ?? "";
  const { well, site, channel, timepoint } = view.components;
  const keys: Record<string, string | number | null> = {
    plate: plate.name,
    well,
    site,
    channel,
    timepoint,
    z_index: view.z,
  };
  const lead = plan.columns.slice(0, plan.keyColumns).map((name) => keys[name] ?? null);
  return result.rows
    .split("\n")
    .filter((line) => line !== "" && line.startsWith(prefix))
    .map((line) => [
      ...lead,
      ...line
        .slice(prefix.length)
        .split(",")
        .map((cell) => (cell === "" ? null : Number(cell))),
    ]);
}

/** What each sink must know before the first tile: what is common to all of them is put together once. */
export function describeRun(
  plate: Plate,
  plan: Plan,
  storeRoot: string,
  tiles: number,
): (wants: SinkWants) => RunDescription {
  const views = plan.jobs.flatMap((job) => job.views.map((view) => ({ job, view })));
  const numbers = (of: (v: JobView) => number) =>
    [...new Set(views.map(({ view }) => of(view)))].sort((a, b) => a - b);
  const present = new Set(views.map(({ view }) => view.components.well));
  const values = {
    site: numbers((v) => v.components.site),
    channel: numbers((v) => v.components.channel),
    z_index: numbers((v) => v.components.z_index),
    timepoint: numbers((v) => v.components.timepoint),
    well: plate.wells.filter((w) => present.has(w)),
  };
  const names = {
    channel: Object.fromEntries(
      plate.channels.filter((c) => values.channel.includes(c.channel)).map((c) => [c.channel, c.name]),
    ),
  };
  return (wants) => {
    const outputs = new Map<
      string,
      RunOutput & { dtypes: RunOutput["dtypes"][number][]; shapes: (readonly [number, number])[] }
    >();
    let payloads = 0;
    for (const { job, view } of views) {
      for (const kind of kindsOf(wants, view)) {
        payloads++;
        const key = [kind, view.producer.kind, view.producer.stepName, view.producer.output].join("\0");
        let output = outputs.get(key);
        if (output === undefined) {
          const { producer, title } = view;
          output = {
            kind,
            producer,
            ...(title === undefined ? {} : { title }),
            dtypes: [],
            shapes: [],
            stored: view.output !== null && kind === view.kind,
          };
          outputs.set(key, output);
        }
        if (kind !== "image" && kind !== "labels") continue;
        const { dtype, shape } = announcement(plate, storeRoot, job, view);
        if (!output.dtypes.includes(dtype)) output.dtypes.push(dtype);
        if (!output.shapes.some(([h, w]) => h === shape[0] && w === shape[1])) output.shapes.push(shape);
      }
    }
    return {
      plate: plate.name,
      store: storeRoot,
      values,
      names,
      ...pixelSizeOf(plate),
      ...(plate.zStepUm === null ? {} : { zStep: plate.zStepUm }),
      outputs: [...outputs.values()],
      payloads,
      tiles,
    };
  };
}
