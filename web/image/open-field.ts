// SPDX-License-Identifier: MIT
// Opens what the address asks for: a field, the field that it was made of, its labels.

import * as address from "../state/address.js";
import { fieldPath, input, source, well } from "../state/model.js";
import { examine, histograms, labelName } from "./display.js";
import { Field } from "./field.js";
import { Probe } from "./tile-source.js";

export interface Opened {
  readonly key: string;
  readonly main: Field;
  readonly beside: Field | undefined;
  readonly labels: Field | undefined;
  /** The first channel that has labels. */
  readonly firstLabelled: number;
  readonly probes: ReadonlyMap<Field, Probe>;
}

/** A source can be one image: then the field's own path is empty. */
const below = (...parts: readonly string[]) => parts.filter((p) => p !== "").join("/");

export async function openAll(key: string, signal: AbortSignal): Promise<Opened> {
  const s = source.peek();
  const path = fieldPath.peek();
  if (s === undefined || path === undefined) throw new Error("nothing is chosen");
  const main = await Field.open(below(s.url, path), signal);
  const plane = { t: address.timepoint.peek(), z: address.slice.peek() };
  const other = input.peek();
  const index = s.fields[well.peek() ?? ""]?.indexOf(path) ?? 0;
  const otherPath = other?.fields[well.peek() ?? ""]?.[index];
  const [beside, labels] = await Promise.all([
    address.beside.peek() && other && otherPath !== undefined
      ? Field.open(below(other.url, otherPath), signal)
      : undefined,
    // A running job may have written the image and not its labels yet.
    labelName.peek() === undefined
      ? undefined
      : Field.open(below(s.url, path, "labels", labelName.peek() as string), signal, true).catch(
          () => undefined,
        ),
  ]);
  histograms.value = await examine(s, main, plane);
  if (beside && other) await examine(other, beside, { t: plane.t, z: middle(beside, plane.z) });
  let firstLabelled = 0;
  if (labels) {
    const level = labels.levels.length - 1;
    const [height, width] = labels.size(level);
    for (let c = 0; c < labels.channels; c++) {
      const { data } = await labels.read(level, { ...plane, c }, [0, height], [0, width]);
      if (!data.some((v) => v !== 0)) continue;
      firstLabelled = c;
      break;
    }
  }
  signal.throwIfAborted();
  const fields = [main, beside, labels].filter((f) => f !== undefined);
  return { key, main, beside, labels, firstLabelled, probes: new Map(fields.map((f) => [f, new Probe(f)])) };
}

/** Results are often projections: beside them the stack's slice of the slider, or its middle. */
export function middle(field: Field, z: number): number {
  const s = source.peek();
  return field.slices > 1 && (s?.slices ?? 1) === 1 ? Math.floor(field.slices / 2) : z;
}
