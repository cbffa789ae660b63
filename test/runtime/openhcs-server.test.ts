// SPDX-License-Identifier: MIT
// OpenHCS 0.8.6 itself: its execution server found, pinged and stopped by us, and its own client and scanner on our execution server.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { psCommand } from "../../lib/cli/ps.js";
import { stopCommand } from "../../lib/cli/stop.js";
import { Endpoint, zmqConfigs } from "../../lib/runtime/endpoint.js";
import { ExecutionClient } from "../../lib/runtime/execution-client.js";
import { ExecutionServer } from "../../lib/runtime/execution-server.js";
import { InstanceManager } from "../../lib/runtime/instance-manager.js";
import { temporaryFolders } from "../helpers/folder.js";
import { needsPeer, viewersPython } from "../helpers/shared.js";
import { filesOf, testEndpoints } from "./endpoints.js";
import { PythonWorker } from "./peers.js";

const python = viewersPython();
const endpoints = testEndpoints();
const folder = temporaryFolders();
/** OpenHCS finds its sockets in the home folder, so each test has one. */
function home() {
  const path = folder();
  mkdirSync(join(path, "cwd"));
  const config = { ...zmqConfigs.openhcs, ipcSocketDir: join(path, ".openhcs", "ipc") };
  const env = { HOME: path, QT_QPA_PLATFORM: "offscreen", PYTHONDONTWRITEBYTECODE: "1" };
  return { path, env, config, endpoint: new Endpoint({ mode: "ipc", port: 7777, config }) };
}

async function output(command: typeof psCommand, config: (typeof zmqConfigs)["openhcs"], ...args: string[]) {
  let out = "";
  const code = await command(args, { configs: [config], tcp: false, stdout: { write: (t) => (out += t) } });
  expect(code).toBe(0);
  return JSON.parse(out);
}

describe("OpenHCS", () => {
  needsPeer(python, "OpenHCS");

  // It takes up to a minute to start: it prepares a catalogue of all of its functions.
  test("its server is started, listed, pinged, asked, and stopped", { timeout: 600_000 }, async () => {
    const { path, env, config, endpoint } = home();
    const phases = new Set<string>();
    const instance = await new InstanceManager({
      endpoint,
      startTimeoutMs: 300_000,
      onStatus: ({ phase }) => phases.add(phase),
      launch: ({ journal }) => ({
        command: python as string,
        args: [
          ...["-m", "openhcs.runtime.zmq_execution_server_launcher", "--port", String(endpoint.port)],
          ...["--transport-mode", "ipc", "--log-file-path", join(path, "server.log")],
          ...["--startup-status-path", journal],
        ],
        env,
        cwd: join(path, "cwd"),
      }),
    }).ensure();
    expect(instance).toMatchObject({ started: true, generation: "C" });
    expect([...phases]).toEqual(
      expect.arrayContaining(["starting_process", "importing_runtime", "creating_server"]),
    );
    expect(await output(psCommand, config as never, "--json", "--timeout", "20000")).toEqual([
      expect.objectContaining({
        port: 7777,
        mode: "ipc",
        app: "openhcs",
        version: "0.8.6",
        role: "execution",
        state: "ready",
        generation: "C",
        pid: instance.pid,
        running: 0,
        queued: 0,
        logFile: join(path, "server.log"),
      }),
    ]);
    const client = endpoints.keep(new ExecutionClient({ endpoint, timeoutMs: 20_000 }));
    expect((await client.ping({ timeoutMs: 20_000 })).pong).toMatchObject({
      application: { application_id: "openhcs", application_version: "0.8.6" },
      workers: [],
      active_executions: 0,
    });
    await expect(client.submit({ plate_id: "p", pipeline_code: "x = 1" })).rejects.toMatchObject({
      code: "ERR_REMOTE",
      message: expect.stringContaining("Missing config"),
    });
    await client.close();
    expect(
      await output(stopCommand, config as never, "7777", "--force", "--kill", "--timeout", "30000", "--json"),
    ).toMatchObject({ port: 7777, app: "openhcs", how: expect.stringMatching(/asked|killed/) });
    expect(filesOf(endpoint).filter((name) => name.endsWith(".jsonl"))).toEqual([]);
    expect(await output(psCommand, config as never, "--json")).toEqual([]);
  });

  test("its scanner, its status call and its client take our server", { timeout: 300_000 }, async () => {
    const { env, endpoint } = home();
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    endpoints.keep(
      await new ExecutionServer({
        endpoint,
        // Its clients admit a server of their own version only.
        application: { application_id: "openhcs", application_version: "0.8.6" },
        execute: async (_, { workers }) => {
          workers([process.pid]);
          await gate;
          return { well_count: 1, wells: ["A01"] };
        },
      }).start(),
    );
    const ours = endpoints.keep(new ExecutionClient({ endpoint, timeoutMs: 20_000 }));
    const id = await ours.submit({ plate_id: "p1", pipeline_code: "x = 1", config_code: "config = 1" });
    const peer = new PythonWorker(
      python as string,
      `
import sys, json
from zmqruntime.config import TransportMode
from openhcs.agent.services.runtime_server_service import RuntimeServerService
from openhcs.runtime.zmq_execution_client import ZMQExecutionClient
service = RuntimeServerService()
ipc = TransportMode.IPC
for line in sys.stdin:
    q = json.loads(line)
    scan = service.scan(ports=(7777,), transport_mode=ipc, timeout_ms=20000)
    info = service.server_info(port=7777, transport_mode=ipc, timeout_ms=20000)
    client = ZMQExecutionClient(port=7777, transport_mode=ipc)
    connected = client.connect_existing(timeout=20.0)
    answer = {
        "scan": [s.control_port for s in scan.servers],
        "info": [info.reachable, info.ready, info.server_type, info.running_executions[0].execution_id, info.workers[0].pid],
        "connected": connected,
        "compatible": client.endpoint_compatibility().observed == client.endpoint_compatibility().expected,
        "status": client.get_status(q["id"], timeout_ms=20000),
        "cancelled": client.cancel_execution(q["id"]),
    }
    client.disconnect()
    print(json.dumps(answer), flush=True)
`,
      env,
    );
    expect(await peer.ask({ id })).toEqual({
      scan: [8777],
      info: [true, true, "execution", id, process.pid],
      connected: true,
      compatible: true,
      status: {
        status: "ok",
        execution: expect.objectContaining({
          execution_id: id,
          plate_id: "p1",
          status: "running",
          error: null,
        }),
      },
      cancelled: { status: "ok", message: "Cancelled - killed 1 workers", workers_killed: 1 },
    });
    expect(await ours.wait(id)).toMatchObject({ status: "cancelled" });
    release();
  });
});
