// SPDX-License-Identifier: MIT
// `tilecast ps` and `tilecast stop` over real servers.

import { describe, expect, test } from "vitest";
import { psCommand } from "../../lib/cli/ps.js";
import { stopCommand } from "../../lib/cli/stop.js";
import { Endpoint, type ZmqConfig } from "../../lib/runtime/endpoint.js";
import { ExecutionServer } from "../../lib/runtime/execution-server.js";
import { ZmqServer } from "../../lib/runtime/server.js";
import { testEndpoints } from "../runtime/endpoints.js";

const endpoints = testEndpoints();

async function ps(configs: readonly ZmqConfig[], ...args: string[]) {
  let out = "";
  const code = await psCommand(args, { configs, tcp: false, stdout: { write: (t) => (out += t) } });
  return { code, out };
}
async function stop(configs: readonly ZmqConfig[], ...args: string[]) {
  let out = "";
  const code = await stopCommand(args, { configs, tcp: false, stdout: { write: (t) => (out += t) } });
  return { code, out };
}
const at = (config: ZmqConfig, port: number) => new Endpoint({ mode: "ipc", port, config });

describe("ps", () => {
  test("nothing runs", async () => {
    expect(await ps([endpoints.config()])).toEqual({ code: 0, out: "no servers run on this host\n" });
    expect((await ps([endpoints.config()], "--json")).out).toBe("[]\n");
  });

  test("servers of two applications, as a table and as JSON", async () => {
    const ours = endpoints.config();
    const theirs = { ...endpoints.config(), appName: "openhcs", ipcSocketPrefix: "openhcs-zmq" };
    endpoints.keep(
      await new ExecutionServer({ endpoint: at(ours, 7777), execute: async () => undefined }).start(),
    );
    endpoints.keep(
      await new ZmqServer({
        endpoint: at(theirs, 5555),
        role: "viewer",
        name: "NapariViewer",
        application: { application_id: "openhcs", application_version: "0.8.6" },
      }).start(),
    );
    const { out } = await ps([ours, theirs], "--timeout", "20000");
    const lines = out.trimEnd().split("\n");
    expect(lines).toHaveLength(3);
    expect(lines[1]).toMatch(
      new RegExp(
        `^7777  ipc   tilecast \\S+ +ExecutionServer  execution  ready  ${process.pid} +\\S+ s +0 running, 0 queued$`,
      ),
    );
    expect(lines[2]).toMatch(/^5555 {2}ipc {3}openhcs 0\.8\.6 +NapariViewer +viewer +ready/);
    const rows = JSON.parse((await ps([ours, theirs], "--json", "--timeout", "20000")).out);
    expect(rows).toMatchObject([
      { port: 7777, app: "tilecast", state: "ready", generation: "C", pid: process.pid, running: 0 },
      { port: 5555, app: "openhcs", version: "0.8.6", role: "viewer", running: null },
    ]);
  });

  test("a name with control characters does not reach the terminal", async () => {
    const config = endpoints.config();
    endpoints.keep(await new ZmqServer({ endpoint: at(config, 7777), name: "a\u001b[2Jb" }).start());
    expect((await ps([config], "--timeout", "20000")).out).toContain("a?[2Jb");
  });

  test("a wrong option", async () => {
    await expect(ps([], "--timeout", "soon")).rejects.toMatchObject({ code: "ERR_USAGE" });
  });
});

describe("stop", () => {
  test("ends a server and says so; then there is none", async () => {
    const config = endpoints.config();
    const server = endpoints.keep(
      await new ExecutionServer({ endpoint: at(config, 7777), execute: async () => undefined }).start(),
    );
    expect(await stop([config], "7777")).toEqual({ code: 0, out: "tilecast port 7777 (ipc) has ended\n" });
    await server.closed;
    await expect(stop([config], "7777")).rejects.toMatchObject({
      code: "ERR_INSTANCE",
      message: "no server on port 7777; tilecast ps lists what runs",
    });
  });

  test("two applications on one port need a name", async () => {
    const ours = endpoints.config();
    const theirs = { ...endpoints.config(), appName: "openhcs" };
    const [a, b] = await Promise.all(
      [ours, theirs].map(async (c) =>
        endpoints.keep(await new ZmqServer({ endpoint: at(c, 7777), application: null }).start()),
      ),
    );
    await expect(stop([ours, theirs], "7777")).rejects.toMatchObject({
      code: "ERR_USAGE",
      message:
        "port 7777 is used by several: tilecast port 7777 (ipc), openhcs port 7777 (ipc); say which by --app or --mode",
    });
    expect(JSON.parse((await stop([ours, theirs], "7777", "--app", "openhcs", "--json")).out)).toMatchObject({
      app: "openhcs",
      how: "asked",
    });
    await b?.closed;
    expect(await a?.close()).toBeUndefined();
  });

  test("a port that is none", async () => {
    await expect(stop([], "all")).rejects.toMatchObject({ code: "ERR_USAGE" });
    await expect(stop([], "1", "--mode", "udp")).rejects.toMatchObject({
      code: "ERR_USAGE",
      message: '--mode: expected ipc or tcp and got "udp"',
    });
  });
});
