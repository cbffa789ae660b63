// SPDX-License-Identifier: MIT
// Finds the image that an op's parameter names: a step's result, or the image that is written, of this channel or another one.

import { TilecastError } from "../errors.js";
import type { Op } from "../ops/op.js";
import type { ImageSource } from "../ops/parameter.js";
import { specOf } from "../ops/table.js";
import type { Plate } from "../plates/plate.js";
import { resolveChannel } from "./channel.js";
import type { Step } from "./pipeline.js";
import { describeStream, type Place, type Stream, type Value } from "./stream.js";

/** Whose parameter it is, and what flows there. */
export interface SourceUse {
  readonly op: string;
  readonly argument: string;
  readonly stream: Stream;
  /** Every stream of the job. */
  readonly streams: readonly Stream[];
  readonly place: Place;
  readonly plate: Plate;
}

/** The value of `source`; throws ERR_PIPELINE when there is none, or none of the size of `like` (called `what` in the message). */
export function findImage(source: ImageSource, use: SourceUse, like: Value, what: string): Value {
  const { step, channel } = typeof source === "string" ? { step: source, channel: undefined } : source;
  const { op, argument, stream: s, streams, place, plate } = use;
  const where = `step "${place.step}": ${op}`;
  const of =
    channel === undefined
      ? s
      : streams.find(
          (x) =>
            x.channel === resolveChannel(plate, channel, where) &&
            x.z === s.z &&
            x.timepoint === s.timepoint &&
            x.site === s.site,
        );
  if (of === undefined) {
    throw new TilecastError(
      "ERR_PIPELINE",
      `${where}: channel ${channel} has no image in well ${s.well}, site ${s.site}`,
      { argument },
    );
  }
  const value = step === undefined ? of.image : of.results.get(step);
  if (value === undefined || value === null) {
    const known = [...of.results.keys()];
    throw new TilecastError(
      "ERR_PIPELINE",
      step === undefined
        ? `${where}: the image of ${describeStream(of)} is written only later; name a step in "${argument}" (${known.join(", ")})`
        : `${where}: there is no earlier step "${step}" with an image for channel ${of.channel}; known: ${known.join(", ") || "none"}`,
      { argument },
    );
  }
  if (value.height !== like.height || value.width !== like.width) {
    throw new TilecastError(
      "ERR_PIPELINE",
      `${where}: the image of ${describeStream(of)} is ${value.width} x ${value.height} px and the ${what} ${like.width} x ${like.height}`,
      { argument },
    );
  }
  return value;
}

/** Names of op's parameters that are images of the run. */
const imageParameters = (op: Op): string[] =>
  Object.entries(specOf(op.name).parameters)
    .filter(([, p]) => p.type === "image")
    .map(([name]) => name);

/** The images that an op takes besides the one that flows to it, in the order of its parameters. */
export function otherImages(op: Op): { readonly argument: string; readonly source: ImageSource }[] {
  return imageParameters(op).flatMap((argument) => {
    const source = op.parameters[argument] as ImageSource | undefined;
    return source === undefined ? [] : [{ argument, source }];
  });
}

/** Whether one of the ops takes an image of another channel. */
export function takesOtherChannels(ops: readonly Op[]): boolean {
  return (
    ops.some(
      (o) =>
        (o.name === "measure" && /"channel"/.test(JSON.stringify(o.parameters.intensity ?? ""))) ||
        (o.name === "measurePlane" && /"channel"/.test(JSON.stringify(o.parameters.with ?? ""))),
    ) ||
    ops.flatMap(otherImages).some(({ source }) => typeof source !== "string" && source.channel !== undefined)
  );
}

/** What the images named anywhere in a pipeline mean for its jobs. */
export function namedImages(steps: readonly Step[]): {
  /** Some op takes an image of another channel: all channels of a field must be in one job. */
  readonly acrossChannels: boolean;
  /** Steps whose result a second image is: kept although it is a mask. */
  readonly steps: ReadonlySet<string>;
} {
  const ops = steps.flatMap((s) => s.chain ?? Object.values(s.chains ?? {}).flat());
  const seconds = ops.flatMap(otherImages).map((o) => o.source);
  return {
    acrossChannels: takesOtherChannels(ops),
    steps: new Set(seconds.map((s) => (typeof s === "string" ? s : s.step)).filter((s) => s !== undefined)),
  };
}
