// SPDX-License-Identifier: MIT
// Plates, workers and wells are those that OpenHCS's own progress tree has for the same events, stale ones among them.

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Executions } from "../../lib/manager/executions.js";
import type { TreeNode } from "../../lib/manager/node.js";
import type { ReceivedProgress } from "../../lib/runtime/index.js";
import { temporaryFolders } from "../helpers/folder.js";
import { needsPeer, viewersPython } from "../helpers/shared.js";

const python = viewersPython();
const folder = temporaryFolders();
const program = fileURLToPath(new URL("openhcs_tree.py", import.meta.url));

type Outline = [kind: string, id: string, state: string | null, percent: number, children: Outline[]];
interface Projection {
  readonly taken: boolean[];
  readonly tree: Outline[];
}

const assignments = { worker_0: ["A01", "A02"], worker_1: ["B01", "B02"] };
const wells = Object.values(assignments).flat();
const steps = ["blur", "threshold", "measure", "save"];
const base = { execution_id: "e1", plate_id: "/data/p", status: "running", pid: 1, total: 4 };
const topology = { total_wells: wells, worker_assignments: assignments, step_names: steps };

const kinds = [
  { phase: "axis_started" },
  { phase: "step_started" },
  { phase: "step_completed" },
  { phase: "axis_completed", status: "success", completed: 4 },
  { phase: "axis_error", status: "error", error: "no such file" },
] as const;
/** Times go back now and then: such events are stale for their well. */
const sequences = fc
  .array(
    fc.record({
      well: fc.constantFrom(...wells),
      kind: fc.constantFrom(...kinds),
      completed: fc.nat(3),
      late: fc.integer({ min: 0, max: 12 }),
    }),
    { minLength: 1, maxLength: 40 },
  )
  .map((items): ReceivedProgress[] => {
    const first = { ...base, ...topology, axis_id: "", step_name: "", phase: "init", status: "started" };
    return [
      { ...first, percent: 0, completed: 0, timestamp: 1000 },
      ...items.map(({ well, kind, completed, late }, i) => {
        const done = "completed" in kind ? kind.completed : completed;
        return {
          ...{ ...base, axis_id: well, step_name: steps[completed] as string },
          ...kind,
          completed: done,
          percent: (100 * done) / 4,
          // One in four is as old as some that came before.
          timestamp: 1001 + i - (late > 9 ? late - 8 : 0),
        };
      }),
    ];
  });

const states: Readonly<Record<string, string>> = {
  queued: "queued",
  running: "executing",
  done: "complete",
  failed: "failed",
};
function outline(nodes: readonly TreeNode[]): Outline[] {
  return nodes
    .filter((node) => node.kind !== "step")
    .map((node) => [
      node.kind === "execution" ? "plate" : node.kind,
      node.kind === "execution" ? node.plateId : node.label,
      // Theirs has no state for workers, and calls a plate failed as soon as a well is: for ours that is `failed`.
      node.kind === "well" ? (states[node.state] as string) : null,
      node.percent as number,
      outline(node.children),
    ]);
}
/** To the tenth, as ours; the state of plates is compared by itself. */
const rounded = (nodes: Outline[]): Outline[] =>
  nodes.map(([kind, id, state, percent, below]) => [
    kind,
    id,
    kind === "well" ? state : null,
    Math.round(percent * 10) / 10,
    rounded(below),
  ]);

describe("OpenHCS's progress tree", () => {
  needsPeer(python, "OpenHCS");

  test("is ours: what is taken, percentages, states of wells, and which plates have failed", () => {
    const lists = fc.sample(sequences, 300);
    const result = spawnSync(python as string, [program], {
      input: JSON.stringify(lists),
      encoding: "utf8",
      maxBuffer: 2 ** 28,
      env: { ...process.env, HOME: folder(), PYTHONDONTWRITEBYTECODE: "1" },
    });
    expect(result.stderr).not.toMatch(/Traceback/);
    const theirs = JSON.parse(result.stdout) as Projection[];
    expect(theirs).toHaveLength(300);
    for (const [i, events] of lists.entries()) {
      const executions = new Executions();
      const taken = events.map((event) => executions.event(event));
      const nodes = executions.nodes("s");
      const { tree, taken: expected } = theirs[i] as Projection;
      expect(taken).toEqual(expected);
      expect(outline(nodes)).toEqual(rounded(tree));
      expect((nodes[0]?.failed ?? 0) > 0).toBe(tree[0]?.[2] === "failed");
    }
    expect(theirs.some(({ taken }) => taken.includes(false))).toBe(true);
  });
});
