// SPDX-License-Identifier: MIT
// Scans become servers: found, missed, gone, replaced, hanging, launching; as a tree that changes only where something has.

import { describe, expect, test } from "vitest";
import { InstanceModel } from "../../lib/manager/instance-model.js";
import type { ServerNode } from "../../lib/manager/node.js";
import { Endpoint, type FoundServer } from "../../lib/runtime/index.js";
import { endpoint, event, hung, ready, runningNow, scan } from "./events.js";

const key = "ipc-tilecast-7777";
const states = (model: InstanceModel) => {
  model.update();
  return model.tree.servers.map((s) => `${s.port} ${s.state} ${s.missed}`);
};
const first = (model: InstanceModel): ServerNode => {
  model.update();
  return model.tree.servers[0] as ServerNode;
};

describe("servers come and go", () => {
  test("one that vanishes is dropped after two missed scans, one that is back in time is not", () => {
    const model = new InstanceModel();
    expect(model.tree).toEqual({ version: 0, scanned: false, error: null, servers: [] });
    model.scan(scan(ready(), ready({}, 5555)));
    expect(states(model)).toEqual(["5555 ready 0", "7777 ready 0"]);
    model.scan(scan(ready()));
    expect(states(model)).toEqual(["5555 ready 1", "7777 ready 0"]);
    model.scan(scan(ready(), ready({}, 5555)));
    expect(states(model)).toEqual(["5555 ready 0", "7777 ready 0"]);
    model.scan(scan(ready()));
    model.scan(scan(ready()));
    expect(states(model)).toEqual(["7777 ready 0"]);
  });

  test("the same scan again changes nothing, and no clock does", () => {
    const model = new InstanceModel();
    model.scan({ found: [ready({ uptime: 10 })], at: 1_790_000_000_000 });
    model.update();
    const { tree } = model;
    model.scan({ found: [ready({ uptime: 15.7 })], at: 1_790_000_005_300 });
    expect(model.update()).toEqual([]);
    expect(model.tree).toBe(tree);
    expect(first(model).startedAt).toBe(1_789_999_990_000);
    model.failed("no sockets");
    expect(model.update()).toEqual([]);
    expect(model.tree).toMatchObject({ version: tree.version + 1, error: "no sockets" });
    expect(model.tree.servers).toBe(tree.servers);
  });

  test("one that hangs is known as what it was, and may be killed; an unknown one may not", () => {
    const model = new InstanceModel();
    model.scan(scan(ready({ running_executions: [runningNow("e1")] })));
    expect(first(model)).toMatchObject({ actions: ["quit", "force-quit"], running: 1 });
    model.scan(scan(hung(), hung(5555)));
    expect(states(model)).toEqual(["5555 hung 0", "7777 hung 0"]);
    expect(model.tree.servers).toMatchObject([
      { type: "unknown", pid: null, actions: [], children: [] },
      {
        type: "execution",
        pid: 100,
        actions: ["force-quit"],
        why: expect.stringContaining("did not answer"),
      },
    ]);
    expect(model.tree.servers[1]?.children).toHaveLength(1);
  });

  test("another process at the address has nothing of the one before", () => {
    const model = new InstanceModel();
    model.scan(scan(ready({ running_executions: [runningNow("e1")], log_file_path: "/log" })));
    const questions = model.scan(scan(ready({ process_identity: { pid: 100, create_time: 1_790_000_200 } })));
    expect(questions).toEqual([]);
    expect(first(model)).toMatchObject({ key, children: [], hasLog: false });
  });

  test("what a killed process has left is nobody's, and is dropped after two looks", () => {
    const model = new InstanceModel();
    model.scan(scan(ready()));
    const files = ["/tmp/x"];
    model.scan(scan({ endpoint: endpoint(), state: { state: "stale", files } }));
    expect(first(model)).toMatchObject({ state: "stale", missed: 1, pid: null, actions: [] });
    for (let look = 0; look < 3; look++) {
      model.scan(scan({ endpoint: endpoint(), state: { state: "stale", files } }));
      expect(states(model)).toEqual([]);
    }
    model.scan(scan(ready()));
    expect(states(model)).toEqual(["7777 ready 0"]);
  });

  test("one that is being started shows what it says, until it listens", () => {
    const model = new InstanceModel();
    const launching = [{ endpoint: endpoint(5555), message: "importing napari" }];
    model.scan({ ...scan(ready()), launching });
    expect(states(model)).toEqual(["5555 launching 0", "7777 ready 0"]);
    expect(first(model)).toMatchObject({ why: "importing napari", key: "ipc-tilecast-5555" });
    const starting = ready({ ready: false, server_role: "viewer", server_type: "napari" }, 5555).state;
    const found: FoundServer = {
      endpoint: endpoint(5555),
      state: { ...starting, state: "starting" } as FoundServer["state"],
    };
    model.scan({ ...scan(ready(), found), launching });
    expect(states(model)).toEqual(["5555 starting 0", "7777 ready 0"]);
  });

  test("IPC and TCP at one port, and two applications, are servers of their own", () => {
    const model = new InstanceModel();
    const state = ready().state;
    const tcp = { endpoint: new Endpoint({ mode: "tcp", port: 7777 }), state };
    model.scan(scan(ready(), tcp));
    model.update();
    expect(model.tree.servers.map((s) => s.key)).toEqual([key, "tcp-127.0.0.1-7777"]);
  });
});

describe("what a server is", () => {
  test("a viewer says what it holds and what waits, in what unit ever it is sent", () => {
    const model = new InstanceModel();
    const facts = { planes: 12, resident: 8, shown: 10, dropped: 1, queued: 2 };
    const tilecast = { ...facts, memory_used: 100 * 2 ** 20, memory_budget: 2 ** 31, protocol: 1 };
    const of = { server_role: "viewer", server_type: "napari", server: "N\u001b[2J" } as const;
    const viewer = ready({ ...of, tilecast, memory_mb: 512.4, cpu_percent: 3.7 });
    model.scan(scan(viewer));
    expect(first(model)).toMatchObject({
      type: "viewer",
      role: "napari",
      label: "N?[2J 7777",
      memoryMb: 512,
      cpuPercent: 4,
      viewer: { ...facts, memoryUsedMb: 100, memoryBudgetMb: 2048 },
    });
    model.scan(scan(ready({ ...of, tilecast: { planes: "many" } })));
    expect(first(model).viewer).toMatchObject({ planes: 0, queued: null });
    model.scan(scan(ready({ ...of })));
    expect(first(model).viewer).toBeNull();
  });

  test("memory of a server that does not tell it is that of its process", () => {
    const model = new InstanceModel();
    model.scan({ ...scan(ready()), usage: new Map([[100, { memoryMb: 77.6, cpuPercent: 50.2 }]]) });
    expect(first(model)).toMatchObject({ memoryMb: 78, cpuPercent: 50 });
  });

  test("its percentage is the mean over what runs, its failures are executions", () => {
    const model = new InstanceModel();
    const running_executions = [runningNow("e1"), runningNow("e2")];
    model.scan(scan(ready({ running_executions })));
    const wells = { total_wells: ["A01", "A02"], phase: "init" };
    expect(model.event(key, event({ ...wells, execution_id: "e1" }))).toBe(true);
    for (const axis_id of ["A01", "A02"])
      model.event(key, event({ phase: "axis_error", execution_id: "e1", axis_id, status: "error" }));
    model.event(key, event({ phase: "running", execution_id: "e2", completed: 1, total: 4 }));
    expect(first(model)).toMatchObject({
      percent: 12.5,
      failed: 1,
      children: [{ failed: 2 }, { failed: 0 }],
    });
    expect(model.event("elsewhere", event({ phase: "running" }))).toBe(false);
  });
});
