// SPDX-License-Identifier: MIT
// Compiles what sinks want to see: which tiles leave a job with its result, and what is derived from label images for them.

import type { Producer } from "../streaming/payload.js";
import type { JobView } from "./plan.js";
import type { Place, ProgramBuilder, Stream, Value } from "./stream.js";

/** What the sinks of a run want together. */
export interface ViewWishes {
  readonly images: boolean;
  readonly labels: boolean;
  readonly shapes: boolean;
  readonly points: boolean;
  readonly tables: boolean;
  /** Steps whose images are wanted, written or not. */
  readonly steps: ReadonlySet<string>;
}

const placeOf = (s: Stream): Pick<JobView, "components" | "z"> => ({
  components: {
    site: s.site,
    channel: s.channel,
    z_index: s.z ?? 1,
    timepoint: s.timepoint,
    well: s.well,
  },
  z: s.z,
});

const tileOf = ({ dtype, height, width }: Value) => ({ dtype, height, width });

/** The views of one job, collected while its program is built. Without wishes it adds nothing to the program. */
export class ViewCompiler {
  readonly views: JobView[] = [];
  readonly #seen = new Set<number>();

  constructor(
    readonly builder: ProgramBuilder,
    readonly wishes: ViewWishes | null,
  ) {}

  /** The image that is written of a stream; `step` is null where it is the plane as it was acquired. */
  written(s: Stream, value: Value, output: number, step: Pick<Place, "step" | "stepIndex"> | null): void {
    if (!this.wishes?.images && !(step !== null && this.wishes?.steps.has(step.step))) return;
    const producer: Producer = {
      stepName: step?.step ?? null,
      position: step?.stepIndex ?? null,
      kind: "main",
      output: "main",
    };
    this.#tile(s, "image", value, output, producer, step === null ? "acquired" : undefined);
  }

  labels(s: Stream, value: Value, output: number, name: string, place: Place): void {
    const { wishes, builder } = this;
    if (wishes === null || !(wishes.labels || wishes.shapes || wishes.points)) return;
    const producer: Producer = {
      stepName: place.step,
      position: place.stepIndex,
      kind: "artifact",
      output: name,
    };
    const view = this.views.length;
    const derive = (op: "outline" | "centroids") =>
      builder.run({ op, stage: place.step, in: value.reg, view });
    if (wishes.labels) this.#tile(s, "labels", value, output, producer);
    else this.#add({ kind: "labels", producer, ...placeOf(s), output, tile: tileOf(value) });
    if (wishes.shapes) derive("outline");
    if (wishes.points) derive("centroids");
  }

  /** The image that a step ends with. A threshold that is not carried out is, into a tile of its own; what follows does not use it. */
  stepEnd(s: Stream, step: string, stepIndex: number): void {
    if (!this.wishes?.steps.has(step) || s.value === null || s.kind === "labels") return;
    const { builder } = this;
    const value =
      s.pending === null
        ? s.value
        : builder.emit(
            {
              op: "threshold",
              stage: s.pending.place.step,
              in: s.value.reg,
              method: s.pending.method,
              a: s.pending.value,
            },
            "uint8",
            s.value.height,
            s.value.width,
          );
    if (this.#seen.has(value.reg)) return;
    this.#tile(s, "image", value, null, {
      stepName: step,
      position: stepIndex,
      kind: "main",
      output: "main",
    });
  }

  table(s: Stream, part: number, place: Place): void {
    if (!this.wishes?.tables) return;
    this.#add({
      kind: "table",
      producer: {
        stepName: place.step,
        position: place.stepIndex,
        kind: "artifact",
        output: "measurements",
      },
      ...placeOf(s),
      output: null,
      tile: null,
      part,
    });
  }

  #tile(
    s: Stream,
    kind: "image" | "labels",
    value: Value,
    output: number | null,
    producer: Producer,
    title?: string,
  ): void {
    this.#seen.add(value.reg);
    this.builder.run({
      op: "view",
      stage: producer.stepName ?? "read",
      in: value.reg,
      view: this.views.length,
      ...(output === null ? {} : { output }),
    });
    this.#add({
      kind,
      producer,
      ...(title === undefined ? {} : { title }),
      ...placeOf(s),
      output,
      tile: tileOf(value),
    });
  }

  #add(view: Omit<JobView, "part"> & { part?: number }): void {
    this.views.push({ part: null, ...view });
  }
}
