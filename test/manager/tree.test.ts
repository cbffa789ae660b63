// SPDX-License-Identifier: MIT
// Trees are told as changes that a view can apply, share what has not changed, and keep what a person has opened and chosen.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { StepNode, TreeNode } from "../../lib/manager/node.js";
import { apply, diff, findNode, share } from "../../lib/manager/tree.js";
import { TreeView } from "../../lib/manager/tree-view.js";

/** Any kind will do: the tree's logic looks at keys, fields and children. */
function node(key: string, children: readonly TreeNode[] = [], percent = 0): TreeNode {
  return {
    kind: "well",
    key,
    label: key,
    well: key,
    state: "running",
    step: null,
    error: null,
    percent,
    failed: 0,
    children: children as StepNode[],
  };
}

/** A tree over at most so many keys, each once, in any order, nested in any way. */
const trees = fc
  .array(
    fc.record({
      key: fc.integer({ min: 0, max: 14 }),
      depth: fc.nat(3),
      percent: fc.integer({ min: 0, max: 2 }),
    }),
    { maxLength: 15 },
  )
  .map((items) => {
    const unique = [...new Map(items.map((item) => [item.key, item])).values()];
    const build = (from: typeof unique, depth: number): TreeNode[] => {
      const roots: TreeNode[] = [];
      for (let i = 0; i < from.length; ) {
        let end = i + 1;
        while (end < from.length && (from[end] as { depth: number }).depth > depth) end++;
        const { key, percent } = from[i] as (typeof unique)[0];
        roots.push(node(`n${key}`, build(from.slice(i + 1, end), depth + 1), percent));
        i = end;
      }
      return roots;
    };
    return build(unique, 0);
  });

describe("changes", () => {
  test("make any tree out of any other, shared or not", () => {
    fc.assert(
      fc.property(trees, trees, (a, b) => {
        const shared = share(a, b);
        expect(shared).toEqual(b);
        expect(apply(a, diff(a, shared))).toEqual(b);
        expect(apply(a, diff(a, b))).toEqual(b);
      }),
      { numRuns: 500 },
    );
  });

  test("the same content again is the same object, and no change", () => {
    fc.assert(
      fc.property(trees, (a) => {
        const again = share(a, structuredClone(a) as TreeNode[]);
        expect(again).toBe(a);
        expect(diff(a, again)).toEqual([]);
      }),
    );
  });

  test("one field that differs is one update, and what is beside it is not touched", () => {
    const before = [node("p", [node("a"), node("b", [node("c")])])];
    const after = share(before, [node("p", [node("a", [], 5), node("b", [node("c")])])]);
    expect(diff(before, after)).toMatchObject([{ type: "update", key: "a", node: { percent: 5 } }]);
    expect(diff(before, after)[0]).not.toHaveProperty("node.children");
    expect(findNode(after, "b")).toBe(findNode(before, "b"));
    expect(findNode(after, "p")).not.toBe(findNode(before, "p"));
  });

  test("what is gone is told once, with all that was below it; what comes, comes whole", () => {
    const before = [node("a", [node("b"), node("c")]), node("z")];
    const after = [node("z"), node("x", [node("y")])];
    expect(diff(before, after)).toEqual([
      { type: "remove", key: "a", parent: null },
      { type: "insert", key: "x", parent: null, index: 1, node: node("x", [node("y")]) },
    ]);
  });

  test("a well that gets a worker leaves its old place before it is in the new one", () => {
    const before = [node("plate", [node("A01"), node("A02")])];
    const after = [node("plate", [node("w0", [node("A02")]), node("A01")])];
    expect(diff(before, after).map(({ type, key }) => `${type} ${key}`)).toEqual(["remove A02", "insert w0"]);
  });
});

describe("a view of a tree", () => {
  const server = (key: string, children: readonly TreeNode[]): TreeNode =>
    ({ ...node(key, children), kind: "server" }) as unknown as TreeNode;
  const shown = (view: TreeView) =>
    view.rows().map((row) => `${" ".repeat(row.depth)}${row.node.key}${row.isSelected ? "*" : ""}`);

  test("what is opened and chosen survives updates, moves and a server's absence", () => {
    const view = new TreeView();
    const full = [server("s", [node("p", [node("w")]), node("q", [node("v")])])];
    view.update(full);
    expect(shown(view)).toEqual(["s", " p", " q"]);
    view.expand("p");
    view.select(["w", "nothing"]);
    expect(shown(view)).toEqual(["s", " p", "  w*", " q"]);
    view.update([server("s", [node("q", [node("v")], 7), node("p", [node("u"), node("w", [], 9)])])]);
    expect(shown(view)).toEqual(["s", " q", " p", "  u", "  w*"]);
    view.update([]);
    expect(shown(view)).toEqual([]);
    view.update(full);
    // Opened still; chosen no more, since what is done to a selection is done to what was seen when it was made.
    expect(shown(view)).toEqual(["s", " p", "  w", " q"]);
    view.expand("s", false);
    expect(shown(view)).toEqual(["s"]);
  });
});
