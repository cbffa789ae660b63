// SPDX-License-Identifier: MIT
// Trees as values: a new one shares what has not changed with the one before, and the rest is told as changes by key.

import type { TreeNode } from "./node.js";

/** A node's own fields, its children left out. */
type Own<N> = N extends unknown ? Omit<N, "children"> : never;
export type NodeFields = Own<TreeNode>;

/**
 * What makes one tree out of another, in this order: nodes that are gone, then from top to bottom those that are new, elsewhere, or different.
 * `index` is the place among the siblings at that moment. An inserted node comes with all that is below it. One that has another parent now
 * is removed there and inserted here.
 */
export type TreeChange =
  | { readonly type: "remove"; readonly key: string; readonly parent: string | null }
  | {
      readonly type: "insert";
      readonly key: string;
      readonly parent: string | null;
      readonly index: number;
      readonly node: TreeNode;
    }
  | { readonly type: "move"; readonly key: string; readonly parent: string | null; readonly index: number }
  | { readonly type: "update"; readonly key: string; readonly node: NodeFields };

type Plain = Readonly<Record<string, unknown>>;

/** Of plain data. */
function equal(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && equal((a as Plain)[key], (b as Plain)[key]))
  );
}

function sameFields(a: TreeNode, b: TreeNode): boolean {
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => key === "children" || equal(a[key as keyof TreeNode], b[key as keyof TreeNode]))
  );
}

/** `next`, made of the very nodes of `previous` wherever nothing differs; `previous` itself when nothing does at all. */
export function share<N extends TreeNode>(previous: readonly N[], next: readonly N[]): readonly N[] {
  const old = new Map(previous.map((node) => [node.key, node]));
  const shared = next.map((node) => {
    const before = old.get(node.key);
    if (before === undefined || before === node) return node;
    const children = share(before.children, node.children);
    if (children === before.children && sameFields(before, node)) return before;
    return { ...node, children };
  });
  const same = shared.length === previous.length && shared.every((node, i) => node === previous[i]);
  return same ? previous : shared;
}

const fieldsOf = ({ children: _, ...fields }: TreeNode): NodeFields => fields;
const keysOf = (nodes: readonly TreeNode[]) => new Map(nodes.map((node) => [node.key, node]));

/** Subtrees that both trees share cost nothing, as {@link share} leaves them. */
export function diff(previous: readonly TreeNode[], next: readonly TreeNode[]): TreeChange[] {
  const removals: TreeChange[] = [];
  const others: TreeChange[] = [];
  const compare = (before: readonly TreeNode[], after: readonly TreeNode[], parent: string | null) => {
    if (before === after) return;
    const [old, now] = [keysOf(before), keysOf(after)];
    for (const { key } of before) if (!now.has(key)) removals.push({ type: "remove", key, parent });
    // How the siblings stand while the changes are applied.
    const order = before.filter(({ key }) => now.has(key)).map(({ key }) => key);
    for (const [index, node] of after.entries()) {
      const { key } = node;
      const was = old.get(key);
      if (was === undefined) {
        others.push({ type: "insert", key, parent, index, node });
        order.splice(index, 0, key);
        continue;
      }
      if (order[index] !== key) {
        others.push({ type: "move", key, parent, index });
        order.splice(order.indexOf(key, index), 1);
        order.splice(index, 0, key);
      }
      if (was === node) continue;
      if (!sameFields(was, node)) others.push({ type: "update", key, node: fieldsOf(node) });
      compare(was.children, node.children, key);
    }
  };
  compare(previous, next, null);
  return [...removals, ...others];
}

interface Editable {
  node: TreeNode;
  children: Editable[];
}

/** What a view does with changes: `apply(previous, diff(previous, next))` is `next`. Throws RangeError for changes of another tree. */
export function apply(nodes: readonly TreeNode[], changes: readonly TreeChange[]): TreeNode[] {
  const byKey = new Map<string, Editable>();
  const open = (node: TreeNode): Editable => {
    const editable: Editable = { node, children: node.children.map(open) };
    byKey.set(node.key, editable);
    return editable;
  };
  const find = (key: string): Editable => {
    const found = byKey.get(key);
    if (found === undefined) throw new RangeError(`there is no node ${key}`);
    return found;
  };
  const roots = nodes.map(open);
  for (const change of changes) {
    if (change.type === "update") {
      find(change.key).node = { ...change.node, children: [] } as TreeNode;
      continue;
    }
    const siblings = change.parent === null ? roots : find(change.parent).children;
    if (change.type === "insert") {
      siblings.splice(change.index, 0, open(change.node));
      continue;
    }
    const item = find(change.key);
    siblings.splice(siblings.indexOf(item), 1);
    if (change.type === "move") siblings.splice(change.index, 0, item);
  }
  const close = ({ node, children }: Editable): TreeNode =>
    ({ ...node, children: children.map(close) }) as TreeNode;
  return roots.map(close);
}

/** The node of that key, anywhere. */
export function findNode(nodes: readonly TreeNode[], key: string): TreeNode | undefined {
  for (const node of nodes) {
    const found = node.key === key ? node : findNode(node.children, key);
    if (found !== undefined) return found;
  }
  return undefined;
}
