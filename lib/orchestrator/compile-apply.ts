// SPDX-License-Identifier: MIT
// Compiles the ops that are native ops of the same name: dtype and size of their result, their arguments, their second image.

import { TilecastError } from "../errors.js";
import type { Op } from "../ops/op.js";
import type { AnyParameter } from "../ops/parameter.js";
import { specOf } from "../ops/table.js";
import { findImage, otherImages, type SourceUse } from "./image-source.js";
import { dtypeOf, type Place, type ProgramBuilder, type Stream } from "./stream.js";

/** Whether the op changes labels: of a row of such ops only the last one's result is written. */
export function changesLabels(op: Op): boolean {
  const { native, takes, gives } = specOf(op.name);
  return native !== undefined && takes.includes("labels") && (gives === "labels" || gives === "same");
}

/** Whether a chain's image after the op is another place or size than before it. */
export function changesSize(op: Op): boolean {
  return specOf(op.name).size !== undefined;
}

/** Whether it puts images elsewhere than they were acquired: labels after it belong on its result. */
export function movesImages(op: Op): boolean {
  return specOf(op.name).aligns !== undefined;
}

/** Emits the op for one stream. `resource`: what takes the place of a second image. */
export function applyNative(
  builder: ProgramBuilder,
  op: Op,
  s: Stream,
  place: Place,
  images: Omit<SourceUse, "op" | "argument" | "stream" | "place">,
  resource?: number,
): void {
  const spec = specOf(op.name);
  const input = builder.materialize(s, place.step);
  const size = spec.size?.(input, op.parameters) ?? input;
  const ratio = spec.pixelRatio?.(input, op.parameters);
  if (ratio !== undefined) {
    s.pixelRatio = {
      height: s.pixelRatio.height * ratio.height,
      width: s.pixelRatio.width * ratio.width,
    };
  }
  if (typeof size === "string") {
    throw new TilecastError("ERR_PIPELINE", `step "${place.step}": ${op.name}: ${size}`, {
      argument: op.name,
    });
  }
  const others = otherImages(op).map(({ argument, source }) => {
    const use = { ...images, op: op.name, argument, stream: s, place };
    const value = findImage(source, use, input, "one that it meets is");
    const { dtypes } = spec.parameters[argument] as AnyParameter;
    if (dtypes !== undefined && !dtypes.includes(value.dtype)) {
      throw new TilecastError(
        "ERR_OP_DTYPE",
        `step "${place.step}": ${op.name}: "${argument}" must be ${dtypes.join(" or ")}, and is ${value.dtype}`,
        { argument },
      );
    }
    return value.reg;
  });
  const given = (spec.native ?? []).map((name) => [name, op.parameters[name]]);
  s.value = builder.emit(
    {
      op: "apply",
      name: op.name,
      stage: place.step,
      in: input.reg,
      arguments: Object.fromEntries(given.filter(([, value]) => value !== undefined)),
      ...(others.length > 0 ? { inputs: others } : {}),
      ...(resource === undefined ? {} : { resource }),
    },
    spec.result(dtypeOf(s), op.parameters),
    size.height,
    size.width,
  );
  if (spec.gives !== "same" && spec.gives !== "nothing") s.kind = spec.gives;
  if (s.kind === "labels") s.labelName = (op.parameters.name as string | undefined) ?? s.labelName;
}
