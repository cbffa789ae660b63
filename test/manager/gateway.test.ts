// SPDX-License-Identifier: MIT
// The manager over HTTP and WebSocket, and on the command line: what pages see, what they can end, and that nothing is looked at for nobody.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { psCommand } from "../../lib/cli/ps.js";
import type { InstanceTree } from "../../lib/manager/node.js";
import { InstanceWatcher } from "../../lib/manager/watcher.js";
import {
  Endpoint,
  ExecutionClient,
  type ExecutionContext,
  ExecutionServer,
  type ZmqConfig,
} from "../../lib/runtime/index.js";
import { NullReceiver } from "../../lib/streaming/index.js";
import { Gateway } from "../../lib/web/gateway.js";
import { addInstances } from "../../lib/web/instances.js";
import { temporaryFolders } from "../helpers/folder.js";
import { testEndpoints, until } from "../runtime/endpoints.js";
import { childServers, exitOf } from "./child.js";
import { scan } from "./events.js";

const endpoints = testEndpoints();
const children = childServers();
const folder = temporaryFolders();
const gateways: Gateway[] = [];
afterEach(async () => {
  for (const gateway of gateways.splice(0)) await gateway.close();
});

async function serve(watcher: InstanceWatcher): Promise<Gateway> {
  const gateway = await new Gateway({ page: folder() }).start();
  gateways.push(gateway);
  addInstances(gateway, watcher);
  return gateway;
}
const watch = (config: ZmqConfig) =>
  new InstanceWatcher({ configs: [config], tcp: false, timeoutMs: 5000, intervalMs: 50 });
const at = (config: ZmqConfig, port = 7777) => new Endpoint({ mode: "ipc", port, config });

async function ask(gateway: Gateway, path: string, method = "GET") {
  const response = await fetch(new URL(`api/instances${path}`, gateway.url), { method });
  const text = await response.text();
  const type = response.headers.get("content-type") ?? "";
  return { status: response.status, type, text, json: type.includes("json") ? JSON.parse(text) : undefined };
}

/** A server that works until it is told to end, and says what it is at. */
async function working(config: ZmqConfig) {
  let context: ExecutionContext | undefined;
  let end = () => {};
  endpoints.keep(
    await new ExecutionServer({
      endpoint: at(config),
      execute: (_, given) =>
        new Promise((resolve) => {
          context = given;
          end = () => resolve(undefined);
          given.signal.addEventListener("abort", end);
        }),
    }).start(),
  );
  const client = endpoints.keep(new ExecutionClient({ endpoint: at(config) }));
  const id = await client.submit({ plate_id: "/data/one", pipeline_code: "x", config_params: {} });
  await until(() => context !== undefined);
  return { id, context: context as unknown as ExecutionContext, end: () => end() };
}

describe("the gateway", () => {
  test("gives the tree, sends it when it changes, and ends what it is told to", async () => {
    const config = endpoints.config();
    const log = join(folder(), "viewer.log");
    writeFileSync(log, "hello\n".repeat(20_000));
    const viewer = await children.start("viewer", at(config, 5555), log);
    const { id, context } = await working(config);
    const gateway = await serve(watch(config));

    const tree = (await ask(gateway, "")).json as InstanceTree;
    expect(tree).toMatchObject({
      scanned: true,
      error: null,
      servers: [
        { key: "ipc-tilecast-5555", type: "viewer", state: "ready", pid: viewer.pid, hasLog: true },
        { key: "ipc-tilecast-7777", children: [{ executionId: id, state: "running" }] },
      ],
    });
    const text = await ask(gateway, "/ipc-tilecast-5555/log");
    expect(text).toMatchObject({ status: 200, type: "text/plain; charset=utf-8" });
    expect(text.text).toMatch(/^\(the end of 120000 bytes\)\nhello\n/);

    const events: InstanceTree[] = [];
    const socket = new WebSocket(new URL("api/events", gateway.url.replace("http", "ws")));
    socket.on("message", (data) => {
      for (const event of JSON.parse(String(data))) if (event.type === "instances") events.push(event);
    });
    await once(socket, "open");
    await until(() => events.length > 0);
    const well = { axis_id: "A01", phase: "axis_started", status: "running" } as const;
    // A subscriber sees what is published once it is there.
    await until(() => {
      context.progress({ ...well, completed: 1, total: 4 });
      return events.at(-1)?.servers[1]?.children[0]?.percent === 25;
    });
    expect(await ask(gateway, `/ipc-tilecast-7777/cancel/${id}`, "POST")).toMatchObject({
      status: 200,
      json: { cancelled: true },
    });
    await until(() => events.at(-1)?.servers[1]?.children[0]?.state === "cancelled");
    expect(await ask(gateway, `/ipc-tilecast-5555/quit/${viewer.pid}`, "POST")).toMatchObject({
      status: 200,
      json: { status: "done" },
    });
    expect(await exitOf(viewer)).toBe(0);
    await until(() => events.at(-1)?.servers.length === 1);
    const versions = events.map((event) => event.version);
    expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
    socket.close();
  });

  test("says what is not there, and why something cannot be done", async () => {
    const config = endpoints.config();
    endpoints.keep(await new NullReceiver({ endpoint: at(config) }).start());
    const gateway = await serve(watch(config));
    await ask(gateway, "");
    for (const path of ["/ipc-tilecast-7777", "/ipc-tilecast-7777/logs", "/ipc-tilecast-7777/log/more"])
      expect(await ask(gateway, path)).toMatchObject({ status: 404, text: "" });
    for (const path of ["", "/ipc-tilecast-7777/explode", "/ipc-tilecast-7777/quit/now"])
      expect(await ask(gateway, path, "POST")).toMatchObject({ status: 404 });
    expect(await ask(gateway, "/nobody/log")).toMatchObject({ status: 409, json: { error: "ERR_INSTANCE" } });
    expect(await ask(gateway, "/nobody/quit", "POST")).toMatchObject({ status: 409 });
    expect(await ask(gateway, "/ipc-tilecast-7777/force-quit", "POST")).toMatchObject({
      status: 409,
      json: { message: expect.stringContaining("this very process") },
    });
    // The page was drawn when another process had the address.
    expect(await ask(gateway, `/ipc-tilecast-7777/quit/${process.pid + 1}`, "POST")).toMatchObject({
      status: 409,
      json: { message: expect.stringContaining(`${process.pid + 1} was meant, and ${process.pid} has`) },
    });
    // Reading ends nothing.
    expect(await ask(gateway, "/ipc-tilecast-7777/quit")).toMatchObject({ status: 404 });
    expect((await ask(gateway, "")).json.servers).toMatchObject([{ state: "ready" }]);
  });

  test("looks only for those who look", async () => {
    let looks = 0;
    const watcher = new InstanceWatcher({
      intervalMs: 10,
      look: async () => {
        looks++;
        return scan();
      },
    });
    const gateway = await serve(watcher);
    const pause = () => new Promise((resolve) => setTimeout(resolve, 100));
    await pause();
    expect(looks).toBe(0);
    await ask(gateway, "");
    await ask(gateway, "");
    expect(looks).toBe(1);
    const sockets = [0, 1].map(() => new WebSocket(new URL("api/events", gateway.url.replace("http", "ws"))));
    await until(() => looks > 3);
    sockets[0]?.terminate();
    const some = looks;
    await until(() => looks > some);
    sockets[1]?.terminate();
    await until(() => gateway.events.clients === 0);
    await watcher.stop();
    const last = looks;
    await pause();
    expect(looks).toBe(last);
  });
});

describe("the command line", () => {
  async function ps(config: ZmqConfig, ...args: string[]) {
    let out = "";
    const stdout = { write: (text: string) => (out += text) };
    await psCommand([...args, "--timeout", "20000"], { configs: [config], tcp: false, stdout });
    return out;
  }

  test("ps --tree shows what a server works on: wells that run or failed, and where", async () => {
    const config = endpoints.config();
    const { context, end } = await working(config);
    const said = setInterval(() => {
      const steps = { total_wells: ["A01", "A02", "A03", "A04"], step_names: ["blur", "measure"] };
      context.progress({ phase: "init", status: "started", completed: 0, total: 4, ...steps });
      const well = { status: "running", total: 2 } as const;
      context.progress({
        ...well,
        axis_id: "A01",
        phase: "axis_started",
        completed: 1,
        step_name: "measure",
      });
      context.progress({ ...well, axis_id: "A02", phase: "axis_error", completed: 0, error: "bad\u001b[2J" });
      context.progress({ ...well, axis_id: "A03", phase: "axis_completed", completed: 2 });
    }, 20);
    try {
      const lines = (await ps(config, "--tree")).trimEnd().split("\n");
      expect(lines.slice(0, 2)).toEqual([
        expect.stringMatching(/^PORT {2}MODE/),
        expect.stringMatching(/^7777 {2}ipc .* 1 running, 0 queued$/),
      ]);
      expect(lines[2]).toMatch(/^ {2}one {2}running {2}37.5 % {2}1 of 4 wells {2}1 failed {2}\d/);
      expect(lines.slice(3)).toEqual([
        "    A01  running  50 %",
        "      measure  running",
        "    A02  failed  0 %  bad?[2J",
        "      blur  failed",
      ]);
      expect(JSON.parse(await ps(config, "--tree", "--json"))).toMatchObject([
        { key: "ipc-tilecast-7777", children: [{ kind: "execution", percent: 37.5, failed: 1 }] },
      ]);
    } finally {
      clearInterval(said);
      end();
    }
  });

  test("view --live serves what runs, without a plate", async () => {
    const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
    const child = children.keep(
      spawn(process.execPath, [main, "view", "--live", "--no-open", "--json"], {
        env: { ...process.env, HOME: folder() },
        stdio: ["ignore", "pipe", "inherit"],
      }),
    );
    const [line] = await once(child.stdout as NodeJS.ReadableStream, "data");
    const { url, data } = JSON.parse(String(line));
    expect(data).toEqual([]);
    const tree = await (await fetch(new URL("api/instances", url))).json();
    expect(tree).toMatchObject({ scanned: true, error: null, servers: expect.any(Array) });
    child.kill("SIGINT");
    expect(await exitOf(child)).toBe(0);
  });
});
