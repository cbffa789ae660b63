// SPDX-License-Identifier: MIT
// Latencies over IPC: ping to pong on a kept socket, and a submission to its acceptance. node latency.mjs N. Prints JSON, in milliseconds.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ExecutionClient, ExecutionServer, zmqConfigs } from "../../dist/runtime/index.js";

const n = Number(process.argv[2]);
const folder = mkdtempSync(join(tmpdir(), "tc-"));
const endpoint = { mode: "ipc", port: 7777, config: { ...zmqConfigs.tilecast, ipcSocketDir: folder } };

async function each(work) {
  const times = [];
  for (let i = -20; i < n; i++) {
    const begin = performance.now();
    await work();
    if (i >= 0) times.push(performance.now() - begin);
  }
  times.sort((a, b) => a - b);
  const rank = (p) => times[Math.ceil(p * n) - 1];
  return { p50: rank(0.5), p99: rank(0.99), count: n };
}

if (process.argv[3] === "serve") {
  const at = { ...endpoint, config: { ...zmqConfigs.tilecast, ipcSocketDir: process.argv[4] } };
  const server = await new ExecutionServer({
    endpoint: at,
    execute: async () => ({ well_count: 0, wells: [] }),
  }).start();
  console.log("ready");
  await server.closed;
} else {
  const { spawn } = await import("node:child_process");
  const child = spawn(process.execPath, [process.argv[1], "0", "serve", folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((r) => child.stdout.once("data", r));
  const client = new ExecutionClient({ endpoint });
  const ping = await each(() => client.ping());
  const request = { plate_id: "p", pipeline_code: "x = 1", config_code: "y = 1" };
  const submit = await each(() => client.submit(request));
  console.log(JSON.stringify({ ping, submit }));
  await client.close();
  child.kill();
  await new Promise((r) => child.once("exit", r));
  rmSync(folder, { recursive: true, force: true });
}
