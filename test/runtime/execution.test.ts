// SPDX-License-Identifier: MIT
// Executions over real sockets: queue, progress, ends, cancellation, loss of the server.

import { spawn } from "node:child_process";
import { describe, expect, test } from "vitest";
import { ZmqClient } from "../../lib/runtime/client.js";
import { ExecutionClient, type ProgressItem } from "../../lib/runtime/execution-client.js";
import { type Execute, ExecutionServer } from "../../lib/runtime/execution-server.js";
import { processIdentity } from "../../lib/runtime/process-identity.js";
import {
  ProgressTracker,
  type ReceivedProgress,
  readProgressFrame,
} from "../../lib/runtime/progress-tracker.js";
import { testEndpoints, until } from "./endpoints.js";

const endpoints = testEndpoints();
const request = { plate_id: "p1", pipeline_code: "x = 1", config_code: "config = 1" };

async function pair(
  execute: Execute,
  options: { generation?: "A" | "B" | "C" | "D"; maxEnded?: number } = {},
) {
  const endpoint = endpoints.ipc();
  const server = endpoints.keep(await new ExecutionServer({ endpoint, execute, ...options }).start());
  const client = endpoints.keep(new ExecutionClient({ endpoint, timeoutMs: 20_000 }));
  return { endpoint, server, client };
}
const untilAborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(new Error("stopped"))));

describe.each(["A", "B", "C", "D"] as const)("generation %s", (generation) => {
  test("an execution runs, tells its progress in order, and ends with its results", async () => {
    const { client } = await pair(
      async ({ plate_id }, { progress }) => {
        for (let i = 0; i <= 4; i++)
          progress({ phase: "running", status: "running", completed: i, total: 4, axis_id: "A01" });
        progress({ phase: "success", status: "success", completed: 4, total: 4 });
        return { well_count: 1, wells: [plate_id] };
      },
      { generation },
    );
    const items: ProgressItem[] = [];
    const record = await client.run(request, { onProgress: (item) => items.push(item) });
    expect(client.generation).toBe(generation);
    expect(record).toMatchObject({
      status: "complete",
      plate_id: "p1",
      error: null,
      results_summary: { well_count: 1, wells: ["p1"] },
    });
    expect(record.end_time).toBeGreaterThanOrEqual(record.start_time as number);
    // A subscription may begin late, by ZeroMQ's nature; what it gets is in order.
    const sequence = items.map((i) => i.event.progress_sequence as number);
    expect(sequence).toEqual([...sequence].sort((a, b) => a - b));
    expect(items.every((i) => i.missed === 0 && i.event.plate_id === "p1")).toBe(true);
  });
});

test("one after the other; the pong shows what runs and what waits; cancel ends only the one", async () => {
  const order: string[] = [];
  const { client, endpoint } = await pair(async ({ plate_id }, { signal }) => {
    order.push(plate_id);
    if (plate_id === "slow") await untilAborted(signal);
    return undefined;
  });
  const [slow, second, third] = [
    await client.submit({ ...request, plate_id: "slow" }),
    await client.submit({ ...request, plate_id: "second" }),
    await client.submit({ ...request, plate_id: "third" }),
  ];
  const { pong } = await client.ping({ timeoutMs: 20_000 });
  expect(pong).toMatchObject({
    server_role: "execution",
    server_type: "execution",
    active_executions: 3,
    running_executions: [{ execution_id: slow, plate_id: "slow", compile_only: false }],
    queued_executions: [
      { execution_id: second, plate_id: "second", queue_position: 1 },
      { execution_id: third, plate_id: "third", queue_position: 2 },
    ],
  });
  expect(await client.cancel(second)).toBe(true);
  expect(await client.cancel(slow)).toBe(true);
  expect(await client.cancel(slow)).toBe(false);
  expect(await client.wait(third)).toMatchObject({ status: "complete" });
  expect(await client.wait(slow)).toMatchObject({ status: "cancelled" });
  expect(await client.wait(second)).toMatchObject({ status: "cancelled", start_time: null });
  expect(order).toEqual(["slow", "third"]);
  await expect(client.cancel("none")).rejects.toMatchObject({
    message: `cancel on ${endpoint}: Execution none not found`,
  });
  await expect(client.status("none")).rejects.toMatchObject({
    code: "ERR_REMOTE",
    message: `status on ${endpoint}: Execution none not found`,
  });
});

test("what an execution throws is its error, with the stack; the next one runs", async () => {
  const { client } = await pair(async ({ plate_id }) => {
    if (plate_id === "bad") throw new Error("no such plate");
    return undefined;
  });
  const bad = await client.submit({ ...request, plate_id: "bad" });
  const good = await client.submit(request);
  expect(await client.wait(good)).toMatchObject({ status: "complete" });
  const record = await client.wait(bad);
  expect(record).toMatchObject({ status: "failed", error: "no such plate" });
  expect(record.traceback).toContain("no such plate");
});

test.each([
  [{ ...request, plate_id: "" }, "Missing required field: plate_id"],
  [{ ...request, pipeline_code: "" }, "Missing required field: pipeline_code"],
  [
    { ...request, compile_only: true, compile_artifact_id: "x" },
    "compile_only and compile_artifact_id cannot both be set",
  ],
  [{ plate_id: "p", pipeline_code: "x" }, "Missing config: provide either config_params or config_code"],
])("refused with upstream's words: %#", async (wrong, message) => {
  const { client, endpoint } = await pair(async () => undefined);
  await expect(client.submit(wrong)).rejects.toMatchObject({
    code: "ERR_REMOTE",
    message: `execute on ${endpoint}: ${message}`,
  });
});

test("a signal ends the waiting, and the execution too when asked", async () => {
  const { client } = await pair(async (_, { signal }) => untilAborted(signal));
  const id = await client.submit(request);
  const abort = new AbortController();
  const waiting = client.wait(id, { signal: abort.signal, cancelOnAbort: true });
  setTimeout(() => abort.abort(), 20);
  await expect(waiting).rejects.toMatchObject({ code: "ERR_CANCELLED" });
  expect(await client.wait(id)).toMatchObject({ status: "cancelled" });
});

test("silence ends the waiting, activity extends it", async () => {
  const { client } = await pair(async ({ plate_id }, { progress, signal }) => {
    if (plate_id === "mute") return untilAborted(signal);
    for (let i = 0; i < 12; i++) {
      progress({ phase: "running", status: "running", completed: i, total: 12 });
      await new Promise((r) => setTimeout(r, 100));
    }
    return undefined;
  });
  // 1.2 s of work, never silent for 1 s.
  expect(await client.run(request, { idleTimeoutMs: 1000, pollMs: 50 })).toMatchObject({
    status: "complete",
  });
  const mute = await client.submit({ ...request, plate_id: "mute" });
  await expect(client.wait(mute, { idleTimeoutMs: 150, pollMs: 20 })).rejects.toMatchObject({
    code: "ERR_TIMEOUT",
    message: expect.stringMatching(/^execution .* is running and showed no activity for \d+ ms$/),
  });
});

test("a server that is lost is told from one that is slow", async () => {
  const { client, server } = await pair(async (_, { signal }) => untilAborted(signal));
  const id = await client.submit(request);
  const waiting = client.wait(id, { pollMs: 10, maxFailures: 1 });
  setTimeout(() => void server.close({ force: true }), 50);
  // The last answer may be the cancellation, if it was on its way.
  const result = await waiting.catch((e) => e);
  if (result.status === undefined)
    expect(result).toMatchObject({
      code: "ERR_TIMEOUT",
      message: expect.stringContaining("was lost while execution"),
    });
  else expect(result.status).toBe("cancelled");
});

test("shutdown ends the work and leaves the server; force_shutdown ends both", async () => {
  const { client, server } = await pair(async (_, { signal }) => untilAborted(signal));
  const id = await client.submit(request);
  expect(await client.request("shutdown", {})).toEqual({
    status: "success",
    message: "Workers killed (1), server alive",
  });
  expect(await client.wait(id)).toMatchObject({ status: "cancelled" });
  expect(await client.request("force_shutdown", {})).toEqual({
    status: "success",
    message: "Workers killed (0), server shutting down",
  });
  await server.closed;
});

test("the pong tells the processes that work, as the execution named them, until it ends", async () => {
  const worker = spawn("sleep", ["600"]);
  try {
    const { client } = await pair(async (_, { signal, workers }) => {
      workers([process.pid]);
      // What was said is replaced; what does not exist is left out.
      workers([worker.pid as number, 2 ** 30]);
      return untilAborted(signal);
    });
    const id = await client.submit(request);
    const workersNow = async () => (await client.ping({ timeoutMs: 20_000 })).pong.workers;
    await until(async () => (await workersNow())?.length === 1);
    const [first] = (await workersNow()) ?? [];
    expect(first).toEqual({
      pid: worker.pid,
      status: "sleeping",
      cpu_percent: 0,
      memory_mb: expect.any(Number),
      create_time: processIdentity(worker.pid as number)?.create_time,
    });
    expect(first?.memory_mb).toBeGreaterThan(0.1);
    await client.cancel(id);
    await until(async () => (await workersNow())?.length === 0);
  } finally {
    worker.kill("SIGKILL");
  }
});

test("after the end of an execution nothing of it is published", async () => {
  let afterwards = () => {};
  const { client, server } = await pair(async (_, { signal, progress }) => {
    afterwards = () => void progress({ phase: "running", status: "running", completed: 1, total: 2 });
    afterwards();
    return untilAborted(signal);
  });
  const id = await client.submit(request);
  await until(() => server.stats()["data.published"] === 1);
  await client.cancel(id);
  await client.wait(id);
  afterwards();
  // In order with what was published before.
  server.publish("last");
  await until(() => server.stats()["data.published"] >= 2);
  expect(server.stats()["data.published"]).toBe(2);
  expect(server.execution(id)?.progress_sequence).toBe(1);
});

test("subscribers are counted, and ended executions are forgotten beyond a number", async () => {
  const { client, endpoint } = await pair(async () => undefined, { maxEnded: 2 });
  const other = endpoints.keep(new ZmqClient({ endpoint }));
  expect(await other.request("register_progress", { client_id: "a" })).toMatchObject({
    status: "ok",
    client_id: "a",
    progress_subscribers: 1,
  });
  expect(await other.request("unregister_progress", { client_id: "a" })).toMatchObject({
    progress_subscribers: 0,
  });
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) {
    ids.push(await client.submit(request));
    await client.wait(ids[i] as string);
  }
  const { executions } = await other.request("status", {});
  expect(executions).toEqual(ids.slice(2));
});

describe("ProgressTracker", () => {
  const event = (given: Partial<ReceivedProgress>): ReceivedProgress => ({
    execution_id: "e",
    plate_id: "p",
    axis_id: "",
    step_name: "",
    phase: "running",
    status: "running",
    percent: 0,
    completed: 0,
    total: 1,
    timestamp: 1,
    ...given,
  });

  test("by sequence: order is kept, gaps are counted, what is old is rejected", () => {
    const tracker = new ProgressTracker();
    const verdicts = [5, 6, 6, 9, 7, 10].map((progress_sequence) =>
      tracker.accept(event({ progress_sequence })),
    );
    expect(verdicts).toEqual([
      { accepted: true, missed: 0 },
      { accepted: true, missed: 0 },
      { accepted: false, reason: "duplicate" },
      { accepted: true, missed: 2 },
      { accepted: false, reason: "stale" },
      { accepted: true, missed: 0 },
    ]);
    expect(tracker.missed).toBe(2);
    expect(tracker.accept(event({ execution_id: "other", progress_sequence: 1 }))).toEqual({
      accepted: true,
      missed: 0,
    });
  });

  test("by time within plate, well and channel where there is no sequence", () => {
    const tracker = new ProgressTracker();
    expect(tracker.accept(event({ timestamp: 5 })).accepted).toBe(true);
    expect(tracker.accept(event({ timestamp: 5 }))).toEqual({ accepted: false, reason: "duplicate" });
    expect(tracker.accept(event({ timestamp: 4 }))).toEqual({ accepted: false, reason: "stale" });
    expect(tracker.accept(event({ timestamp: 4, phase: "compile" })).accepted).toBe(true);
    expect(tracker.accept(event({ timestamp: 4, axis_id: "A01" })).accepted).toBe(true);
  });

  test("a frame that is no progress event is refused", () => {
    const frame = (value: unknown) => Buffer.from(JSON.stringify(value));
    expect(() => readProgressFrame(frame({}))).toThrow(
      "progress.execution_id: expected a str, and got nothing",
    );
    expect(() => readProgressFrame(frame(event({ percent: 101 })))).toThrow("expected percent from 0 to 100");
    expect(() => readProgressFrame(frame(event({ completed: 2 })))).toThrow("and got 0, 2 of 1, 1");
    expect(readProgressFrame(frame({ ...event({}), execution_id: undefined, task_id: "t" }))).toMatchObject({
      event: { execution_id: "t" },
    });
  });
});
