// SPDX-License-Identifier: MIT
// How a node's percentage and failures come from what is below it: one policy for each kind of node.

import type { TreeNode } from "./node.js";

/** `own`: what the events say of the node itself; null when they say nothing. */
export type PercentPolicy = (own: number | null, children: readonly TreeNode[]) => number | null;

/** Percentages before they were rounded, for the means above them. */
const exact = new WeakMap<TreeNode, number>();
const percentOf = (node: TreeNode): number => exact.get(node) ?? node.percent ?? 0;

const mean = (values: readonly number[]): number | null =>
  values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;

/** The mean over the children, those that are not counted being at 0. */
const meanOfChildren: PercentPolicy = (own, children) =>
  children.length === 0 ? own : mean(children.map(percentOf));

/** What is said of the node itself; the mean where nothing is. */
const ownFirst: PercentPolicy = (own, children) => own ?? meanOfChildren(null, children);

/**
 * The mean, or the node's own count where that is further: servers that report wells only when they end count planes or steps meanwhile, so
 * that a plate of one well moves too.
 */
const meanOrFurther: PercentPolicy = (own, children) =>
  own === null ? meanOfChildren(null, children) : Math.max(own, meanOfChildren(null, children) ?? 0);

/** The mean over what is being worked on; what waits or has ended does not count. */
const meanOfActive: PercentPolicy = (_own, children) =>
  mean(children.filter((child) => child.state === "running" || child.state === "compiling").map(percentOf));

export const percentPolicies: Readonly<Record<TreeNode["kind"], PercentPolicy>> = {
  server: meanOfActive,
  execution: meanOrFurther,
  worker: meanOfChildren,
  well: ownFirst,
  step: ownFirst,
};

const tenth = (percent: number): number => Math.min(100, Math.max(0, Math.round(percent * 10) / 10));

type Unfinished<N> = N extends unknown ? Omit<N, "percent" | "failed" | "children"> : never;

/**
 * Makes a node of its parts: percentage by its kind's policy, `failed` as its own failure or the number of those below, whichever is more, so that a
 * well that failed in one step counts once. A server does not fail with its executions' wells: it counts executions.
 */
export function finish<N extends TreeNode>(
  parts: Unfinished<N>,
  own: { readonly percent?: number | null; readonly failed?: boolean },
  children: N["children"],
): N {
  const kind = (parts as { readonly kind: TreeNode["kind"] }).kind;
  const percent = percentPolicies[kind](own.percent ?? null, children);
  const below =
    kind === "server"
      ? children.filter((child) => child.failed > 0).length
      : children.reduce((sum, child) => sum + child.failed, 0);
  const node = {
    ...parts,
    percent: percent === null ? null : tenth(percent),
    failed: Math.max(own.failed ? 1 : 0, below),
    children,
  } as unknown as N;
  if (percent !== null) exact.set(node, percent);
  return node;
}
