// SPDX-License-Identifier: MIT
// Compiles ops over whole z stacks that give as many planes: a stack's slices are tiles of one job, and keep their z.

import { TilecastError } from "../errors.js";
import type { Op } from "../ops/op.js";
import { specOf } from "../ops/table.js";
import { dtypeOf, type Place, type ProgramBuilder, requireAlike, type Stream, type Value } from "./stream.js";

/** Whether the op needs the other slices of a plane's stack. */
export function isStackOp(op: Op): boolean {
  return specOf(op.name).stack === true || op.parameters.over === "stack";
}

/** Position i of a stack of n continued half-sample symmetrically: d c b a | a b c d | d c b a. */
function reflect(i: number, n: number): number {
  const at = ((i % (2 * n)) + 2 * n) % (2 * n);
  return at < n ? at : 2 * n - 1 - at;
}

/** By slice of a stack of `n`, the weight of each slice in its result; scipy's radius and weights. */
export function stackWeights(sigma: number, n: number): Float64Array[] {
  const radius = Math.trunc(4 * sigma + 0.5);
  const weight = Array.from({ length: 2 * radius + 1 }, (_, i) =>
    radius === 0 ? 1 : Math.exp((-0.5 * (i - radius) ** 2) / sigma ** 2),
  );
  const total = weight.reduce((sum, w) => sum + w, 0);
  return Array.from({ length: n }, (_, z) => {
    const mine = new Float64Array(n);
    for (const [i, w] of weight.entries()) {
      const at = reflect(z + i - radius, n);
      mine[at] = (mine[at] as number) + w / total;
    }
    return mine;
  });
}

/** The streams of each stack, in the order of their z. Throws ERR_PIPELINE when they differ in size or dtype. */
function stacksOf(op: Op, streams: readonly Stream[], place: Place): Stream[][] {
  const stacks = new Map<string, Stream[]>();
  for (const s of streams) {
    const key = [s.channel, s.site, s.timepoint].join("/");
    stacks.set(key, [...(stacks.get(key) ?? []), s]);
  }
  return [...stacks.values()].map((members) => {
    requireAlike(op, members, place);
    return members.sort((a, b) => (a.z ?? 0) - (b.z ?? 0));
  });
}

export function compileStack(
  builder: ProgramBuilder,
  op: Op,
  streams: readonly Stream[],
  place: Place,
): void {
  for (const members of stacksOf(op, streams, place)) {
    if (op.name === "gaussian3d") smoothStack(builder, op, members, place);
    else if (op.name === "normalize") normalizeStack(builder, op, members, place);
    else throw new TilecastError("ERR_INTERNAL", `op ${op.name} has no instruction`);
  }
}

/** Each slice is smoothed, then the slices are: a Gaussian is separable. */
function smoothStack(builder: ProgramBuilder, op: Op, members: readonly Stream[], place: Place): void {
  const { sigma, sigmaZ } = op.parameters as { sigma: number; sigmaZ: number };
  const stage = place.step;
  const smooth = members.map((s): Value => {
    const input = builder.materialize(s, stage);
    const dtype = specOf("gaussian").result(dtypeOf(s), op.parameters);
    const instruction = {
      op: "apply",
      name: "gaussian" as const,
      stage,
      in: input.reg,
      arguments: { sigma },
    };
    return builder.emit(instruction, dtype, input.height, input.width);
  });
  for (const [i, mine] of stackWeights(sigmaZ, members.length).entries()) {
    const s = members[i] as Stream;
    const used = smooth.map((value, k) => ({ value, weight: mine[k] as number })).filter((u) => u.weight > 0);
    const like = smooth[i] as Value;
    s.value =
      used.length === 1
        ? like
        : builder.emit(
            {
              op: "weighTiles",
              stage,
              inputs: used.map((u) => u.value.reg),
              weights: used.map((u) => u.weight),
            },
            "float32",
            like.height,
            like.width,
          );
  }
}

/** One range for all slices: it travels as a tile of two numbers. */
function normalizeStack(builder: ProgramBuilder, op: Op, members: readonly Stream[], place: Place): void {
  const { low, high, outLow, outHigh } = op.parameters as Record<
    "low" | "high" | "outLow" | "outHigh",
    number
  >;
  const stage = place.step;
  const slices = members.map((s) => builder.materialize(s, stage));
  const inputs = slices.map((v) => v.reg);
  const range = builder.emit({ op: "stackRange", stage, inputs, low, high }, "float64", 1, 2);
  for (const [i, s] of members.entries()) {
    const { reg, dtype: from, height, width } = slices[i] as Value;
    const dtype = specOf(op.name).result(from, op.parameters);
    s.value = builder.emit(
      { op: "stretchTile", stage, in: reg, inputs: [range.reg], dtype, low: outLow, high: outHigh },
      dtype,
      height,
      width,
    );
  }
}
