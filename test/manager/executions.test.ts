// SPDX-License-Identifier: MIT
// Progress of executions becomes plates, workers, wells and steps with percentages, failures and ends.

import { describe, expect, test } from "vitest";
import { Executions } from "../../lib/manager/executions.js";
import type { ExecutionNode, TreeNode } from "../../lib/manager/node.js";
import type { ExecutionRecord } from "../../lib/runtime/index.js";
import { event, pong, runningNow } from "./events.js";

const steps = ["blur", "threshold", "measure"];

function follow(...events: Parameters<typeof event>[0][]): ExecutionNode {
  const executions = new Executions();
  for (const each of events) expect(executions.event(event(each))).toBe(true);
  return only(executions);
}
const only = (executions: Executions): ExecutionNode => {
  const nodes = executions.nodes("s");
  expect(nodes).toHaveLength(1);
  return nodes[0] as ExecutionNode;
};
/** `label state percent !failed`, indented. */
function outline(nodes: readonly TreeNode[], depth = 0): string[] {
  return nodes.flatMap((node) => [
    `${"  ".repeat(depth)}${node.label} ${node.state} ${node.percent}${node.failed ? ` !${node.failed}` : ""}`,
    ...outline(node.children, depth + 1),
  ]);
}
const record = (given: Partial<ExecutionRecord>): ExecutionRecord => ({
  execution_id: "e1",
  plate_id: "/data/e1",
  client_address: null,
  status: "complete",
  start_time: 1_790_000_000,
  end_time: 1_790_000_060,
  error: null,
  compile_only: false,
  ...given,
});

const init = {
  phase: "init",
  total_wells: ["A01", "A02", "B01", "B02"],
  step_names: steps,
  worker_assignments: { worker_0: ["A01", "A02"], worker_1: ["B01", "B02"] },
};

describe("an execution as OpenHCS reports it", () => {
  test("is a tree of workers, wells and steps; percentages are means", () => {
    const node = follow(
      init,
      { phase: "axis_started", axis_id: "A01", total: 3 },
      { phase: "step_completed", axis_id: "A01", step_name: "blur", completed: 1, total: 3 },
      { phase: "step_started", axis_id: "A01", step_name: "threshold", completed: 1, total: 3 },
      { phase: "pattern_group", axis_id: "A01", step_name: "threshold", completed: 1, total: 4 },
      { phase: "axis_completed", axis_id: "B01", status: "success", completed: 3, total: 3 },
    );
    expect(outline([node])).toEqual([
      "plate one running 33.3",
      "  worker_0 running 16.7",
      "    A01 running 33.3",
      "      blur done 100",
      "      threshold running 25",
      "      measure queued 0",
      "    A02 queued 0",
      "  worker_1 running 50",
      "    B01 done 100",
      "    B02 queued 0",
    ]);
    expect(node).toMatchObject({
      key: "s/e1",
      plateId: "/data/plate one",
      position: null,
      wells: { total: 4, done: 1, failed: 0 },
    });
  });

  test("a failed well turns its worker and its plate red, and counts once", () => {
    const node = follow(
      init,
      { phase: "step_started", axis_id: "A02", step_name: "blur", total: 3 },
      {
        phase: "axis_error",
        axis_id: "A02",
        status: "error",
        error: "no such file",
        step_name: "blur",
        total: 3,
      },
    );
    expect(outline([node])).toEqual([
      "plate one running 0 !1",
      "  worker_0 running 0 !1",
      "    A01 queued 0",
      "    A02 failed 0 !1",
      "      blur failed null !1",
      "      threshold queued 0",
      "      measure queued 0",
      "  worker_1 queued 0",
      "    B01 queued 0",
      "    B02 queued 0",
    ]);
    expect(node.children[0]?.children[1]).toMatchObject({ error: "no such file", step: "blur" });
  });

  test("compiling is its own progress, and none of the run's", () => {
    const compiled = [
      init,
      { phase: "compile", completed: 1, total: 2 },
      { phase: "compile", axis_id: "A01", status: "success", completed: 1, total: 1 },
      { phase: "compile", axis_id: "A02", completed: 1, total: 2 },
    ];
    expect(outline([follow(...compiled)])).toEqual([
      "plate one compiling 50",
      "  worker_0 running 75",
      "    A01 compiled 100",
      "    A02 compiling 50",
      "  worker_1 queued 0",
      "    B01 queued 0",
      "    B02 queued 0",
    ]);
    const started = { phase: "axis_started", axis_id: "B02", total: 3 };
    expect(outline([follow(...compiled, started)]).slice(0, 4)).toEqual([
      "plate one running 0",
      "  worker_0 queued 0",
      "    A01 queued 0",
      "    A02 queued 0",
    ]);
  });

  test("claims of workers stand where nothing was assigned, and are rejected where they contradict", () => {
    const executions = new Executions();
    const claim = { phase: "axis_started", axis_id: "A01", worker_slot: "w", owned_wells: ["A01"] };
    expect(executions.event(event(claim))).toBe(true);
    expect(outline(only(executions).children)).toEqual(["w running 0", "  A01 running 0"]);
    const assigned = new Executions();
    expect(assigned.event(event(init))).toBe(true);
    const before = only(assigned);
    for (const wrong of [
      { worker_slot: "worker_7", owned_wells: ["A01"] },
      { worker_slot: "worker_0", owned_wells: ["A01", "B01"] },
    ])
      expect(assigned.event(event({ phase: "axis_started", axis_id: "A01", ...wrong }))).toBe(false);
    expect(only(assigned)).toEqual(before);
    const right = { worker_slot: "worker_0", owned_wells: ["A02", "A01"] };
    expect(assigned.event(event({ phase: "axis_started", axis_id: "A01", ...right }))).toBe(true);
  });
});

test("an execution as tilecast reports it: wells when they end, planes of the plate meanwhile", () => {
  const begin = { phase: "init", total_wells: ["A01", "A02"], step_names: ["only"], total: 8 };
  const running = follow(
    { ...begin, progress_sequence: 1 },
    { phase: "running", completed: 3, total: 8, progress_sequence: 2 },
  );
  expect(outline([running])).toEqual(["plate one running 37.5", "  A01 queued 0", "  A02 queued 0"]);
  const later = follow(
    { ...begin, progress_sequence: 1 },
    {
      phase: "axis_completed",
      axis_id: "A01",
      status: "success",
      completed: 4,
      total: 4,
      progress_sequence: 2,
    },
    {
      phase: "axis_error",
      axis_id: "A02",
      status: "error",
      error: "bad",
      completed: 3,
      total: 4,
      progress_sequence: 3,
    },
    { phase: "running", completed: 7, total: 8, progress_sequence: 4 },
  );
  // Planes are no steps: nobody says in which one the well failed.
  expect(outline([later])).toEqual(["plate one running 87.5 !1", "  A01 done 100", "  A02 failed 75 !1"]);
});

describe("events that are not taken", () => {
  test("stale and repeated ones, by time and by number", () => {
    const executions = new Executions();
    const at = (timestamp: number, completed: number) =>
      executions.event(event({ phase: "running", timestamp, completed, total: 10 }));
    expect([at(5, 5), at(5, 6), at(4, 1), at(6, 7)]).toEqual([true, false, false, true]);
    const numbered = (progress_sequence: number, completed: number) =>
      executions.event(
        event({ execution_id: "e2", phase: "running", progress_sequence, completed, total: 10 }),
      );
    expect([numbered(2, 2), numbered(2, 3), numbered(1, 1), numbered(9, 9)]).toEqual([
      true,
      false,
      false,
      true,
    ]);
    expect(executions.nodes("s").map((n) => n.percent)).toEqual([70, 90]);
  });

  test("those that come after the end, of a well's steps and of the execution", () => {
    const executions = new Executions();
    executions.event(event(init));
    executions.event(
      event({ phase: "axis_completed", axis_id: "A01", status: "success", completed: 3, total: 3 }),
    );
    executions.event(
      event({ phase: "pattern_group", axis_id: "A01", step_name: "blur", completed: 1, total: 9 }),
    );
    expect(outline(only(executions).children)[1]).toBe("  A01 done 100");
    executions.event(event({ phase: "success", status: "success", completed: 1, total: 1 }));
    expect(executions.event(event({ phase: "axis_started", axis_id: "A02" }))).toBe(false);
    expect(only(executions).state).toBe("complete");
  });

  test("more executions and wells than there can be", () => {
    const executions = new Executions();
    for (let i = 0; i < 2000; i++) executions.event(event({ execution_id: `e${i}`, phase: "running" }));
    expect(executions.nodes("s").length).toBeLessThanOrEqual(400);
    const wells = Array.from({ length: 20_000 }, (_, i) => `W${i}`);
    expect(follow({ phase: "init", total_wells: wells }).wells.total).toBe(10_000);
  });
});

describe("what the pong says", () => {
  test("running, queued with their positions, and only compiling, without any event", () => {
    const executions = new Executions();
    const queued = ["q1", "q2"].map((execution_id, i) => ({
      execution_id,
      plate_id: "omero plate",
      queue_position: i + 1,
    }));
    const running_executions = [runningNow("r1"), runningNow("c1", true)];
    executions.pong(pong({ running_executions, queued_executions: queued.reverse() }));
    expect(executions.nodes("s")).toMatchObject([
      { label: "r1", state: "running", position: null, startedAt: 1_790_000_000_000, percent: null },
      { label: "c1", state: "compiling", compileOnly: true },
      { label: "omero plate", state: "queued", position: 1, startedAt: null },
      { label: "omero plate", state: "queued", position: 2 },
    ]);
    const next = [{ execution_id: "q2", plate_id: "omero plate", queue_position: 1 }];
    expect(
      executions.pong(pong({ running_executions: [runningNow("q1")], queued_executions: next })),
    ).toEqual(["r1", "c1"]);
    expect(executions.nodes("s").map((n) => `${n.executionId} ${n.state} ${n.position}`)).toEqual([
      "r1 running null",
      "c1 compiling null",
      "q1 running null",
      "q2 queued 1",
    ]);
  });

  test("an execution that is no longer in it ends as its record says", () => {
    const executions = new Executions();
    const names = ["a", "b", "c", "d", "e"];
    executions.pong(pong({ running_executions: names.map((n) => runningNow(n, n === "b")) }));
    executions.event(event({ ...init, execution_id: "a" }));
    executions.event(event({ ...init, execution_id: "c" }));
    expect(executions.pong(pong())).toEqual(names);
    executions.record("a", record({ end_time: 1_790_000_061 }));
    executions.record("b", record({ compile_only: true, end_time: 1_790_000_062 }));
    executions.record("c", record({ status: "failed", error: "out of disk", end_time: 1_790_000_063 }));
    executions.record("d", undefined);
    // It began after the pong was made.
    executions.record("e", record({ status: "running", end_time: null }));
    expect(executions.nodes("s")).toMatchObject([
      { executionId: "e", state: "running" },
      { executionId: "c", state: "failed", error: "out of disk", failed: 1, endedAt: 1_790_000_063_000 },
      { executionId: "b", state: "compiled", percent: 100 },
      { executionId: "a", state: "complete", percent: 100, wells: { total: 4, done: 4, failed: 0 } },
      { executionId: "d", state: "ended", endedAt: null },
    ]);
    expect(executions.nodes("s")[1]?.children[0]?.children[0]).toMatchObject({ state: "cancelled" });
  });

  test("the last ten that ended stay", () => {
    const executions = new Executions();
    const ids = Array.from({ length: 15 }, (_, i) => `e${i}`);
    executions.pong(pong({ running_executions: ids.map((id) => runningNow(id)) }));
    for (const [i, id] of ids.entries()) executions.record(id, record({ end_time: 1_790_000_100 + i }));
    expect(executions.nodes("s").map((n) => n.executionId)).toEqual(ids.slice(5).reverse());
  });
});
