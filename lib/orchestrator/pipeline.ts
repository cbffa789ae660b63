// SPDX-License-Identifier: MIT
// Pipelines: named steps, each a chain of ops or one chain a channel. Immutable, plain data.

import { TilecastError } from "../errors.js";
import { type Projectable, projectable } from "../ops/families/projections.js";
import { type Op, printOp } from "../ops/op.js";
import { show } from "../ops/parameter.js";

/** Chains by value of the group-by component: channel number or name. A channel without a chain passes the step unchanged. */
export type Chains = Readonly<Record<string, readonly Op[]>>;

export interface StepOptions {
  /**
   * Components that are stacked into the array that a projection of this step gets (OpenHCS: variable components).
   * Default `["z_index"]`, because z is what a plate has stacks of.
   */
  readonly variableComponents?: readonly Projectable[];
  /** Component that selects among chains (OpenHCS: group by). Only `"channel"`, the default, selects anything today. */
  readonly groupBy?: "channel";
}

export interface Step {
  readonly name: string;
  /** One chain for every channel, or chains by channel. */
  readonly chain: readonly Op[] | null;
  readonly chains: Chains | null;
  readonly variableComponents: readonly Projectable[];
  readonly groupBy: "channel";
}

/** Which planes of a channel that has both a z stack and the microscope's own projection a run reads. */
export type PlaneChoice = "auto" | "stack" | "stored";

export interface PipelineOptions {
  /**
   * `"auto"` (default): the slices where a channel has any, else what is stored outside a stack, so that every channel takes part.
   * `"stack"`: slices only. `"stored"`: acquired projections and single planes only. What is not read is listed in run.json.
   */
  readonly planes?: PlaneChoice;
}

function isOp(value: unknown): value is Op {
  return typeof value === "object" && value !== null && "name" in value && "parameters" in value;
}

function checkChain(where: string, chain: readonly unknown[]): readonly Op[] {
  if (chain.length === 0) throw new TilecastError("ERR_INVALID_ARGUMENT", `${where} has no op`);
  for (const [i, item] of chain.entries()) {
    if (!isOp(item)) {
      throw new TilecastError(
        "ERR_INVALID_ARGUMENT",
        `${where}: item ${i + 1} must be an op such as op.gaussian({ sigma: 1.5 }), and is ${show(item)}`,
      );
    }
  }
  return Object.freeze([...(chain as readonly Op[])]);
}

/** A list of steps. Every method gives a new pipeline; none changes this one. */
export class Pipeline {
  readonly name: string;
  readonly steps: readonly Step[];
  readonly planes: PlaneChoice;

  /** Use {@link pipeline}. */
  constructor(name: string, steps: readonly Step[], planes: PlaneChoice) {
    this.name = name;
    this.steps = Object.freeze([...steps]);
    this.planes = planes;
    Object.freeze(this);
  }

  /**
   * Adds a step: a chain of ops, `step("smooth", op.flatField(), op.gaussian({ sigma: 2 }))`, or one chain a channel by number or
   * name, `step("segment", { DAPI: [op.otsu(), op.label()] })`. Options may come last.
   *
   * Throws ERR_INVALID_ARGUMENT for a name that is taken or empty, and for anything that is not an op.
   */
  step(name: string, ...rest: readonly (Op | Chains | StepOptions)[]): Pipeline {
    if (typeof name !== "string" || name.trim() === "") {
      throw new TilecastError(
        "ERR_INVALID_ARGUMENT",
        `pipeline "${this.name}": a step needs a name first, and got ${show(name)}`,
        { argument: "name" },
      );
    }
    if (this.steps.some((s) => s.name === name)) {
      throw new TilecastError(
        "ERR_INVALID_ARGUMENT",
        `pipeline "${this.name}" already has a step "${name}"`,
        { argument: "name" },
      );
    }
    const where = `step "${name}"`;
    const items = [...rest];
    let options: StepOptions = {};
    const last = items.at(-1);
    if (items.length > 1 && last !== undefined && !isOp(last)) {
      options = items.pop() as StepOptions;
    }
    for (const key of Object.keys(options)) {
      if (key !== "variableComponents" && key !== "groupBy") {
        throw new TilecastError(
          "ERR_INVALID_ARGUMENT",
          `${where} has no option "${key}"; it takes variableComponents, groupBy`,
          { argument: key },
        );
      }
    }
    const groupBy = options.groupBy ?? "channel";
    if (groupBy !== "channel") {
      throw new TilecastError(
        "ERR_INVALID_ARGUMENT",
        `${where}: groupBy must be "channel", and is ${show(groupBy)}`,
        { argument: "groupBy" },
      );
    }
    const variableComponents = options.variableComponents ?? ["z_index"];
    for (const c of variableComponents) {
      if (!(projectable as readonly string[]).includes(c)) {
        throw new TilecastError(
          "ERR_INVALID_ARGUMENT",
          `${where}: "${c}" is not a component that can vary; expected ${projectable.join(", ")}`,
          { argument: "variableComponents" },
        );
      }
    }
    const [first] = items;
    const perChannel = items.length === 1 && first !== undefined && !isOp(first);
    const step: Step = Object.freeze({
      name,
      chain: perChannel ? null : checkChain(where, items),
      chains: perChannel
        ? Object.freeze(
            Object.fromEntries(
              Object.entries(first as Chains).map(([key, chain]) => {
                if (!Array.isArray(chain)) {
                  throw new TilecastError(
                    "ERR_INVALID_ARGUMENT",
                    `${where}: the chain of channel ${key} must be an array of ops, and is ${show(chain)}`,
                  );
                }
                return [key, checkChain(`${where}, channel ${key}`, chain)];
              }),
            ),
          )
        : null,
      variableComponents: Object.freeze([...variableComponents]),
      groupBy,
    });
    return new Pipeline(this.name, [...this.steps, step], this.planes);
  }

  /** One line a step, as the report prints them. */
  describe(): string[] {
    return this.steps.map((s) => {
      const chain = (ops: readonly Op[]) => ops.map(printOp).join(" \u2192 ");
      if (s.chain) return `${s.name}: ${chain(s.chain)}`;
      return `${s.name}: ${Object.entries(s.chains ?? {})
        .map(([key, ops]) => `[${key}] ${chain(ops)}`)
        .join("; ")}`;
    });
  }
}

/** An empty pipeline; add steps with {@link Pipeline.step}. */
export function pipeline(name: string, options: PipelineOptions = {}): Pipeline {
  if (typeof name !== "string" || name.trim() === "") {
    throw new TilecastError("ERR_INVALID_ARGUMENT", `a pipeline needs a name, and got ${show(name)}`, {
      argument: "name",
    });
  }
  const planes = options.planes ?? "auto";
  if (!["auto", "stack", "stored"].includes(planes)) {
    throw new TilecastError(
      "ERR_INVALID_ARGUMENT",
      `pipeline "${name}": planes must be "auto", "stack" or "stored", and is ${show(planes)}`,
      { argument: "planes" },
    );
  }
  return new Pipeline(name, [], planes);
}
