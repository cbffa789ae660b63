// SPDX-License-Identifier: MIT
// zmqruntime 0.6 (generation D) against this runtime, in both directions: ping, executions, replay, ends that are announced, cancellation, stop.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { Endpoint } from "../../lib/runtime/endpoint.js";
import { ExecutionClient, type ProgressItem } from "../../lib/runtime/execution-client.js";
import { ExecutionServer } from "../../lib/runtime/execution-server.js";
import { InstanceManager } from "../../lib/runtime/instance-manager.js";
import type { Pong } from "../../lib/runtime/messages.js";
import { thisProcess } from "../../lib/runtime/process-identity.js";
import { findServers } from "../../lib/runtime/scan.js";
import { stopServer } from "../../lib/runtime/stop-server.js";
import { needsPeer } from "../helpers/shared.js";
import { filesOf, testEndpoints, until } from "./endpoints.js";
import { PythonWorker, zmqruntimePeers } from "./peers.js";

const peer = zmqruntimePeers().D;
const program = fileURLToPath(new URL("zmqruntime_peer.py", import.meta.url));
const child = fileURLToPath(new URL("server-child.mjs", import.meta.url));
const endpoints = testEndpoints();

let python: PythonWorker | undefined;
const ask = (what: string, endpoint: Endpoint, more = {}) => {
  python ??= new PythonWorker(peer?.python as string, readFileSync(program, "utf8"), peer?.env);
  return python.ask({ what, dir: endpoint.socketDir, port: endpoint.port, ...more });
};
const request = { plate_id: "p1", pipeline_code: "x = 1", config_code: "config = 1" };
const asked = { type: "execute", subject_id: "p1", pipeline_code: "x = 1", config_code: "config = 1" };
const untilAborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(new Error("stopped"))));

async function serve() {
  const endpoint = endpoints.ipc();
  return endpoints.keep(
    await new ExecutionServer({
      endpoint,
      generation: "D",
      launch: (await ask("root", endpoint)) as NonNullable<Pong["launch"]>,
      execute: async ({ plate_id }, { progress, signal, workers }) => {
        if (plate_id === "bad") throw new Error("no such plate");
        workers([process.pid]);
        for (let i = 0; i < 3; i++) {
          progress({ phase: "running", status: "running", completed: i, total: 2, axis_id: "A01" });
          await new Promise((r) => setTimeout(r, 20));
        }
        if (plate_id === "slow") await untilAborted(signal);
        return { well_count: 2, wells: ["A01", "B02"] };
      },
    }).start(),
  );
}

describe("its client against our server", () => {
  needsPeer(peer, "zmqruntime 0.6");

  test("it pings, finds, submits, follows without a gap, and is told of the end", async () => {
    const { endpoint } = await serve();
    expect(await ask("ping", endpoint)).toMatchObject({
      server: "ExecutionServer",
      application: { identifier: "tilecast" },
      process_identity: { pid: process.pid },
      alive: true,
    });
    expect(await ask("scan", endpoint)).toMatchObject([{ port: endpoint.port, server_role: "execution" }]);
    const { result, events } = (await ask("run", endpoint, { request: asked })) as {
      result: unknown;
      events: { progress_sequence: number }[];
    };
    expect(result).toMatchObject({
      status: "complete",
      results: { partition_count: 2, partition_values: ["A01", "B02"] },
      execution: { subject_id: "p1", progress_sequence: 3 },
    });
    // Its client raises for a gap.
    expect(events.map((e) => e.progress_sequence)).toEqual([1, 2, 3]);
    expect(await ask("run", endpoint, { request: { ...asked, subject_id: "bad" } })).toMatchObject({
      result: {
        status: "failed",
        message: "no such plate",
        execution: { traceback: expect.stringContaining("Error: ") },
      },
    });
    expect(await ask("run", endpoint, { request: { ...asked, subject_id: "" } })).toMatchObject({
      result: { status: "error" },
    });
    expect(await ask("status", endpoint)).toMatchObject({
      status: { status: "ok", active_executions: 0 },
      cancel: { status: "error", error: "Execution none not found" },
    });
  });

  test("it reads what runs, waits and works, replays what it missed, and cancels one execution", async () => {
    const { endpoint } = await serve();
    const client = endpoints.keep(new ExecutionClient({ endpoint, timeoutMs: 20_000, generation: "D" }));
    const done = await client.submit(request);
    await client.wait(done);
    const [slow, queued] = [
      await client.submit({ ...request, plate_id: "slow" }),
      await client.submit({ ...request, plate_id: "queued" }),
    ];
    await until(async () => (await client.status(slow)).progress_sequence === 3);
    // Its reader refuses a key that it does not know, and one that is missing.
    expect(await ask("ping", endpoint)).toMatchObject({
      active_executions: 2,
      running_executions: [{ execution_id: slow, subject_id: "slow" }],
      queued_executions: [{ execution_id: queued, subject_id: "queued", queue_position: 1 }],
      workers: [
        {
          pid: process.pid,
          create_time: thisProcess()?.create_time,
          status: expect.stringMatching(/^[a-z-]+$/),
        },
      ],
    });
    expect(await ask("observe", endpoint, { ids: [done, slow, queued] })).toEqual({
      [done]: {
        sequence: 3,
        event: expect.objectContaining({
          execution_id: done,
          subject_id: "p1",
          axis_id: "A01",
          progress_sequence: 3,
        }),
        delivery_error: null,
        terminal_snapshot: expect.objectContaining({
          status: "ok",
          execution: expect.objectContaining({ execution_id: done, status: "complete" }),
        }),
      },
      [slow]: {
        sequence: 3,
        event: expect.objectContaining({ execution_id: slow, completed: 2, total: 2, percent: 100 }),
        delivery_error: null,
        terminal_snapshot: null,
      },
      [queued]: null,
    });
    expect(await ask("cancel", endpoint, { id: slow })).toMatchObject({ status: "ok", workers_killed: 1 });
    expect(await client.wait(slow)).toMatchObject({ status: "cancelled" });
    expect(await client.wait(queued)).toMatchObject({ status: "complete" });
  });

  test("an end that is meant for another process is refused", async () => {
    const { endpoint } = await serve();
    const client = endpoints.keep(new ExecutionClient({ endpoint, timeoutMs: 20_000 }));
    await client.ping({ timeoutMs: 20_000 });
    await expect(
      client.request("force_shutdown", { process_identity: { pid: process.pid, create_time: 1 } }),
    ).rejects.toMatchObject({
      code: "ERR_REMOTE",
      message: `force_shutdown on ${endpoint}: the shutdown is meant for process ${process.pid}, started at 1, and this one is ${process.pid}, started at ${thisProcess()?.create_time}; nothing is done`,
    });
    await client.ping({ timeoutMs: 20_000 });
  });

  test("it ends our server and sees that it is gone", async () => {
    const endpoint = endpoints.ipc();
    const launch = JSON.stringify(await ask("root", endpoint));
    // A process of its own: its client kills what the pong names.
    await new InstanceManager({
      endpoint,
      launch: ({ journal }) => ({
        command: process.execPath,
        args: [
          child,
          String(endpoint.port),
          endpoint.socketDir,
          journal,
          "ready",
          `${endpoint.socketDir}/started.txt`,
          "D",
          launch,
        ],
      }),
    }).ensure();
    expect(await ask("stop", endpoint)).toEqual([true, true]);
    expect(filesOf(endpoint).filter((f) => f.endsWith(".sock"))).toEqual([]);
  });
});

describe("our client against its server", () => {
  needsPeer(peer, "zmqruntime 0.6");

  test("start, submit, follow, replay, cancel, stop", async () => {
    const endpoint = endpoints.ipc();
    const manager = new InstanceManager({
      endpoint,
      startTimeoutMs: 60_000,
      launch: ({ journal }) => ({
        command: peer?.python as string,
        args: [program, "serve", String(endpoint.port), endpoint.socketDir, journal],
        env: peer?.env ?? {},
      }),
    });
    expect(await manager.ensure()).toMatchObject({
      started: true,
      generation: "D",
      pong: { server_role: "execution", control_capabilities: ["force_shutdown", "ping", "shutdown"] },
    });
    expect(
      (await findServers({ configs: [endpoint.config], tcp: false, timeoutMs: 20_000 })).map((f) => f.state),
    ).toMatchObject([{ state: "ready", generation: "D" }]);

    const client = endpoints.keep(new ExecutionClient({ endpoint, timeoutMs: 20_000 }));
    const items: ProgressItem[] = [];
    const record = await client.run(request, { onProgress: (item) => items.push(item) });
    expect(record).toMatchObject({
      status: "complete",
      plate_id: "p1",
      results_summary: { well_count: 2, wells: ["A01", "B02"] },
    });
    // A subscription may begin late, by ZeroMQ's nature; from then on nothing is missing.
    expect(items.at(-1)?.event).toMatchObject({ plate_id: "p1", progress_sequence: 3 });
    expect(items.map(({ missed }) => missed)).toEqual(items.map(() => 0));
    expect(await client.run({ ...request, plate_id: "bad" })).toMatchObject({
      status: "failed",
      error: "no such plate",
      traceback: expect.stringContaining("ValueError"),
    });

    const slow = await client.submit({ ...request, plate_id: "slow" });
    const queued = await client.submit(request);
    await until(async () => (await client.status(slow)).progress_sequence === 3);
    // Who comes late is told of what runs, and not of what has ended.
    const late = endpoints.keep(new ExecutionClient({ endpoint, timeoutMs: 20_000 }));
    await late.ping({ timeoutMs: 20_000 });
    for await (const { event, missed } of await late.progress()) {
      expect([event.execution_id, event.progress_sequence, missed]).toEqual([slow, 3, 0]);
      break;
    }
    await late.cancel(queued);
    expect(await late.wait(queued)).toMatchObject({ status: "cancelled" });
    await expect(client.submit({ ...request, plate_id: "" })).rejects.toMatchObject({ code: "ERR_REMOTE" });
    expect(await stopServer(endpoint, { kill: true, timeoutMs: 5000 })).toMatchObject({
      how: expect.stringMatching(/asked|killed/),
    });
  });
});
