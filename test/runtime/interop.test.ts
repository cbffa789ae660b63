// SPDX-License-Identifier: MIT
// The real zmqruntime against this runtime, in both directions: ping, scan, executions, progress, shutdown, start-up lock and journal.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { Endpoint } from "../../lib/runtime/endpoint.js";
import { ExecutionClient } from "../../lib/runtime/execution-client.js";
import { ExecutionServer } from "../../lib/runtime/execution-server.js";
import { InstanceManager } from "../../lib/runtime/instance-manager.js";
import { findServers } from "../../lib/runtime/scan.js";
import { lockStartup } from "../../lib/runtime/startup-lock.js";
import { StartupJournal } from "../../lib/runtime/startup-status.js";
import { stopServer } from "../../lib/runtime/stop-server.js";
import { temporaryFolders } from "../helpers/folder.js";
import { needsPeer } from "../helpers/shared.js";
import { filesOf, testEndpoints } from "./endpoints.js";
import { PythonWorker, zmqruntimePython } from "./peers.js";

const path = zmqruntimePython();
const program = fileURLToPath(new URL("zmqruntime_peer.py", import.meta.url));
const endpoints = testEndpoints();
const folder = temporaryFolders();

let python: PythonWorker | undefined;
const ask = (what: string, endpoint: Endpoint, more = {}) => {
  python ??= new PythonWorker(path as string, readFileSync(program, "utf8"));
  return python.ask({ what, dir: endpoint.socketDir, port: endpoint.port, ...more });
};
const request = { type: "execute", plate_id: "p1", pipeline_code: "x = 1", config_code: "config = 1" };

describe("zmqruntime's client against our server", () => {
  needsPeer(path, "zmqruntime");

  const serve = async (generation: "A" | "B" | "C" | "D", application?: null) =>
    endpoints.keep(
      await new ExecutionServer({
        endpoint: endpoints.ipc(),
        generation,
        ...(application === null && { application }),
        execute: async ({ plate_id }, { progress }) => {
          if (plate_id === "bad") throw new Error("no such plate");
          for (let i = 0; i < 3; i++) {
            progress({ phase: "running", status: "running", completed: i, total: 2 });
            await new Promise((r) => setTimeout(r, 20));
          }
          return { well_count: 2, wells: ["A01", "B02"] };
        },
      }).start(),
    );

  test("ping and scan: pongs of generations B and C are taken; the process identity is psutil's to the bit", async () => {
    for (const generation of ["B", "C"] as const) {
      const { endpoint } = await serve(generation);
      const pong = await ask("ping", endpoint);
      expect(pong).toMatchObject({
        type: "pong",
        port: endpoint.port,
        ready: true,
        server: "ExecutionServer",
        server_role: "execution",
        active_executions: 0,
        process_identity: { pid: process.pid },
        alive: true,
      });
      expect(await ask("scan", endpoint)).toMatchObject([{ port: endpoint.port, server_role: "execution" }]);
    }
  });

  test("as the compatibility table says: A is no server to it, D only without application", async () => {
    expect(await ask("ping", (await serve("A")).endpoint)).toBeNull();
    expect(await ask("ping", (await serve("D")).endpoint)).toBeNull();
    expect(await ask("ping", (await serve("D", null)).endpoint)).toMatchObject({ server_role: "execution" });
  });

  test("it submits, follows progress, and waits for results and errors", async () => {
    const { endpoint } = await serve("C");
    const { result, events } = (await ask("run", endpoint, { request })) as {
      result: unknown;
      events: { progress_sequence: number }[];
    };
    expect(result).toMatchObject({ status: "complete", results: { well_count: 2, wells: ["A01", "B02"] } });
    expect(events.length).toBeGreaterThan(0);
    expect(events[0]).toMatchObject({ type: "progress", plate_id: "p1", phase: "running" });
    expect(await ask("run", endpoint, { request: { ...request, plate_id: "bad" } })).toMatchObject({
      result: { status: "failed", message: "no such plate" },
    });
    expect(await ask("run", endpoint, { request: { ...request, plate_id: "" } })).toMatchObject({
      result: { status: "error", error: "Missing required field: plate_id" },
    });
    expect(await ask("status", endpoint)).toMatchObject({
      status: { status: "ok", active_executions: 0, running_executions: [], queued_executions: [] },
      cancel: { status: "error", error: "Execution none not found" },
    });
  });

  test("it ends our server and sees that it is gone", async () => {
    const server = await serve("C");
    expect(await ask("stop", server.endpoint)).toEqual([true, true]);
    await server.closed;
    expect(filesOf(server.endpoint)).toEqual([]);
  });
});

describe("our client against zmqruntime's server", () => {
  needsPeer(path, "zmqruntime");

  test("check, connect, start; submit, follow, wait, cancel, stop", async () => {
    const endpoint = endpoints.ipc();
    const phases: string[] = [];
    const manager = new InstanceManager({
      endpoint,
      launch: ({ journal }) => ({
        command: path as string,
        args: [program, "serve", String(endpoint.port), endpoint.socketDir, journal],
      }),
      onStatus: (s) => phases.push(s.phase),
    });
    const instance = await manager.ensure();
    expect(instance).toMatchObject({
      started: true,
      generation: "C",
      pong: {
        server: "Server",
        server_role: "execution",
        control_capabilities: ["force_shutdown", "ping", "shutdown"],
      },
    });
    expect(phases).toEqual(["starting_process", "binding_endpoint"]);
    expect(
      (await findServers({ configs: [endpoint.config], tcp: false, timeoutMs: 20_000 })).map(
        (f) => f.state.state,
      ),
    ).toEqual(["ready"]);

    const client = endpoints.keep(new ExecutionClient({ endpoint, timeoutMs: 20_000 }));
    let events = 0;
    const { type: _, ...message } = request;
    const record = await client.run(message, {
      onProgress: ({ event, missed }) => {
        events++;
        expect([event.plate_id, event.phase, missed]).toEqual(["p1", "running", 0]);
      },
    });
    expect(record).toMatchObject({
      status: "complete",
      results_summary: { well_count: 2, wells: ["A01", "B02"] },
    });
    expect(events).toBeGreaterThan(0);
    expect(await client.run({ ...message, plate_id: "bad" })).toMatchObject({
      status: "failed",
      error: "no such plate",
      traceback: expect.stringContaining("ValueError"),
    });
    await expect(client.submit({ ...message, plate_id: "" })).rejects.toMatchObject({
      code: "ERR_REMOTE",
      message: `execute on ${endpoint}: Missing required field: plate_id`,
    });
    const slow = await client.submit({ ...message, plate_id: "slow" });
    const queued = await client.submit(message);
    expect(await client.cancel(queued)).toBe(false);
    expect(await client.status(queued)).toMatchObject({ status: "cancelled" });
    expect((await client.ping({ timeoutMs: 20_000 })).pong).toMatchObject({
      running_executions: [{ execution_id: slow, plate_id: "slow" }],
      progress_subscribers: 1,
    });

    expect(await stopServer(endpoint, { kill: true, timeoutMs: 5000 })).toMatchObject({
      how: expect.stringMatching(/asked|killed/),
    });
    expect(filesOf(endpoint).filter((f) => f.endsWith(".jsonl"))).toEqual([]);
  });

  test("the start-up locks exclude each other", async () => {
    const endpoint = endpoints.ipc();
    const ours = await lockStartup(endpoint, { timeoutMs: 20_000 });
    expect(await ask("lock", endpoint, { ms: 200 })).toBe(false);
    await ours.release();
    expect(await ask("lock", endpoint, { ms: 20_000 })).toBe(true);
    expect(await ask("lock", endpoint, { ms: 20_000, hold: true })).toBe("held");
    await expect(lockStartup(endpoint, { timeoutMs: 200 })).rejects.toMatchObject({ code: "ERR_TIMEOUT" });
    // Any line ends the holding; its own answer comes then.
    expect(await ask("release", endpoint)).toBe(true);
    await (await lockStartup(endpoint, { timeoutMs: 20_000 })).release();
  });

  test("it reads the journal that our servers write", async () => {
    const file = join(folder(), "j.jsonl");
    const journal = new StartupJournal(file);
    journal.emit("loading_config", "µ");
    journal.emit("server_ready", "ready");
    expect(await ask("journal", endpoints.ipc(), { path: file })).toEqual([
      ["loading_config", "µ", 1],
      ["server_ready", "ready", 2],
    ]);
  });
});
