// SPDX-License-Identifier: MIT
// Which nodes a person has opened and selected: kept by key, so that they outlive every change of the tree.

import type { TreeNode } from "./node.js";
import { findNode } from "./tree.js";

/** A line of the list that a tree is shown as. */
export interface TreeRow {
  readonly node: TreeNode;
  /** From 0. */
  readonly depth: number;
  readonly isExpanded: boolean;
  readonly isSelected: boolean;
}

/** Of things that are gone, so many opened ones are remembered: a server that comes back is as it was. */
const maxRemembered = 10_000;

export class TreeView {
  #nodes: readonly TreeNode[] = [];
  /** Opened or closed by hand; the others are as `expandedAtFirst` says. */
  readonly #expanded = new Map<string, boolean>();
  #selected: ReadonlySet<string> = new Set();

  /** `expandedAtFirst`: default servers, so that plates are seen and wells are asked for. */
  constructor(readonly expandedAtFirst: (node: TreeNode) => boolean = (node) => node.kind === "server") {}

  /** Takes a new tree. What is gone is no longer selected: nothing is done to what one does not see. */
  update(nodes: readonly TreeNode[]): void {
    this.#nodes = nodes;
    const left = [...this.#selected].filter((key) => findNode(nodes, key) !== undefined);
    if (left.length < this.#selected.size) this.#selected = new Set(left);
    if (this.#expanded.size > maxRemembered)
      for (const key of [...this.#expanded.keys()].slice(0, this.#expanded.size - maxRemembered))
        if (findNode(nodes, key) === undefined) this.#expanded.delete(key);
  }

  get selected(): ReadonlySet<string> {
    return this.#selected;
  }

  select(keys: Iterable<string>): void {
    this.#selected = new Set([...keys].filter((key) => findNode(this.#nodes, key) !== undefined));
  }

  isExpanded(node: TreeNode): boolean {
    return node.children.length > 0 && (this.#expanded.get(node.key) ?? this.expandedAtFirst(node));
  }

  expand(key: string, isExpanded = true): void {
    this.#expanded.delete(key);
    this.#expanded.set(key, isExpanded);
  }

  /** What is seen, from top to bottom. */
  rows(): TreeRow[] {
    const rows: TreeRow[] = [];
    const walk = (nodes: readonly TreeNode[], depth: number) => {
      for (const node of nodes) {
        const isExpanded = this.isExpanded(node);
        rows.push({ node, depth, isExpanded, isSelected: this.#selected.has(node.key) });
        if (isExpanded) walk(node.children, depth + 1);
      }
    };
    walk(this.#nodes, 0);
    return rows;
  }
}
