// SPDX-License-Identifier: MIT
// Check, connect, start, with real processes: one instance for many starters, and nothing killed that is not ours.

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { Reply } from "zeromq";
import type { Endpoint } from "../../lib/runtime/endpoint.js";
import { InstanceManager, type InstanceManagerOptions } from "../../lib/runtime/instance-manager.js";
import { writePickle } from "../../lib/runtime/pickle-writer.js";
import { findServers } from "../../lib/runtime/scan.js";
import { ZmqServer } from "../../lib/runtime/server.js";
import { lockStartup } from "../../lib/runtime/startup-lock.js";
import { StartupJournal, StartupReader } from "../../lib/runtime/startup-status.js";
import { stopServer } from "../../lib/runtime/stop-server.js";
import { temporaryFolders } from "../helpers/folder.js";
import { startupLines } from "./captures.js";
import { filesOf, staleSocket, testEndpoints } from "./endpoints.js";

const endpoints = testEndpoints();
const folder = temporaryFolders();
const program = fileURLToPath(new URL("server-child.mjs", import.meta.url));

const countFile = (endpoint: Endpoint) => join(endpoint.socketDir, "started.txt");
/** Process ids of all that were started for it. */
const started = (endpoint: Endpoint): number[] =>
  existsSync(countFile(endpoint))
    ? readFileSync(countFile(endpoint), "utf8").trim().split("\n").map(Number)
    : [];

const used: Endpoint[] = [];
afterEach(() => {
  // What a failed test has left: ids that its own processes wrote.
  for (const endpoint of used.splice(0))
    for (const pid of started(endpoint)) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // Gone, as it should be.
      }
    }
});

function manager(endpoint: Endpoint, behaviour = "ready", options: Partial<InstanceManagerOptions> = {}) {
  used.push(endpoint);
  return new InstanceManager({
    endpoint,
    launch: ({ journal }) => ({
      command: process.execPath,
      args: [program, String(endpoint.port), endpoint.socketDir, journal, behaviour, countFile(endpoint)],
    }),
    ...options,
  });
}
const isRunning = (pid: number) => {
  try {
    process.kill(pid, 0);
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.[0] !== "Z";
  } catch {
    return false;
  }
};
const left = (endpoint: Endpoint) => filesOf(endpoint).filter((f) => /\.sock$|\.jsonl$|\.bind$/.test(f));

describe("start", () => {
  test("starts where nobody is, connects where somebody is, and the server outlives its starter's handle", async () => {
    const endpoint = endpoints.ipc();
    const phases: string[] = [];
    const m = manager(endpoint, "ready", { onStatus: (s) => phases.push(s.phase) });
    expect(await m.check()).toEqual({ state: "absent" });
    await expect(m.connect()).rejects.toMatchObject({
      code: "ERR_INSTANCE",
      message: `${endpoint}: nobody listens there`,
    });
    const instance = await m.ensure();
    expect(instance).toMatchObject({
      started: true,
      generation: "C",
      pong: { server_role: "execution", ready: true },
    });
    expect(phases.slice(0, 2)).toEqual(["starting_process", "binding_endpoint"]);
    expect(await m.ensure()).toMatchObject({ started: false, pid: instance.pid });
    expect(await manager(endpoint).connect()).toMatchObject({ started: false, pid: instance.pid });
    expect(started(endpoint)).toEqual([instance.pid]);
    expect(await stopServer(endpoint)).toEqual({ endpoint, how: "asked" });
    expect(await stopServer(endpoint)).toEqual({ endpoint, how: "absent" });
    expect(left(endpoint)).toEqual([]);
  });

  test("five processes that ask twice each at once, and this one, end up with one instance", async () => {
    const endpoint = endpoints.ipc();
    mkdirSync(endpoint.socketDir, { recursive: true });
    const script = `
import { InstanceManager, zmqConfigs } from ${JSON.stringify(new URL("../../dist/runtime/index.js", import.meta.url).href)};
const config = { ...zmqConfigs.tilecast, ipcSocketDir: ${JSON.stringify(endpoint.socketDir)} };
const m = new InstanceManager({ endpoint: { mode: "ipc", port: ${endpoint.port}, config }, launch: ({ journal }) => ({ command: process.execPath, args: [${JSON.stringify(program)}, "${endpoint.port}", ${JSON.stringify(endpoint.socketDir)}, journal, "ready", ${JSON.stringify(countFile(endpoint))}] }) });
const both = await Promise.all([m.ensure(), m.ensure()]);
console.log(JSON.stringify(both.map((i) => [i.started, i.pid])));
process.exit(0);
`;
    const starter = () =>
      new Promise<[boolean, number][]>((resolve, reject) => {
        const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
          stdio: ["ignore", "pipe", "inherit"],
        });
        let out = "";
        child.stdout.on("data", (d) => {
          out += d;
        });
        child.once("close", () => (out ? resolve(JSON.parse(out)) : reject(new Error("no output"))));
      });
    const here = manager(endpoint)
      .ensure()
      .then((i): [boolean, number][] => [[i.started, i.pid as number]]);
    const results = (await Promise.all([here, ...Array.from({ length: 5 }, starter)])).flat();
    expect(results).toHaveLength(11);
    expect(results.filter(([isStarter]) => isStarter)).toHaveLength(1);
    expect(new Set(results.map(([, pid]) => pid)).size).toBe(1);
    expect(started(endpoint)).toHaveLength(1);
    // Its starter may have ended: it runs on.
    expect(await manager(endpoint).connect()).toMatchObject({ pid: results[0]?.[1] });
    await stopServer(endpoint);
  });

  test("a slow start lives on its journal's activity", async () => {
    const endpoint = endpoints.ipc();
    const messages: string[] = [];
    // 1.5 s of work with a line every 250 ms, and never silent for long: the process' own start takes the most.
    const m = manager(endpoint, "slow", { startTimeoutMs: 5000, onStatus: (s) => messages.push(s.message) });
    expect(await m.ensure()).toMatchObject({ started: true });
    expect(messages).toContain("part 5");
    await stopServer(endpoint);
  });

  test("a crash is told with exit code, last words and the end of the log", async () => {
    const endpoint = endpoints.ipc();
    const error = await manager(endpoint, "crash")
      .ensure()
      .catch((e) => e);
    expect(error).toMatchObject({ code: "ERR_INSTANCE" });
    expect(error.message).toContain(
      "ended with exit code 3; its last words: starting_process: test server process started; its log ",
    );
    expect(error.message).toContain("no module named courage");
    expect(left(endpoint)).toEqual([]);
  });

  test("a reported failure, silence and a signal end the started process, since it is ours", async () => {
    const failing = endpoints.ipc();
    await expect(manager(failing, "fail").ensure()).rejects.toMatchObject({
      message: expect.stringContaining(
        "reported a failure; its last words: failed: the configuration is wrong",
      ),
    });
    const silent = endpoints.ipc();
    await expect(manager(silent, "hang", { startTimeoutMs: 1500 }).ensure()).rejects.toMatchObject({
      code: "ERR_TIMEOUT",
    });
    const cancelled = endpoints.ipc();
    const abort = new AbortController();
    const m = manager(cancelled, "hang", { onStatus: () => abort.abort() });
    await expect(m.ensure({ signal: abort.signal })).rejects.toMatchObject({ code: "ERR_CANCELLED" });
    for (const endpoint of [failing, silent, cancelled])
      for (const pid of started(endpoint)) expect(isRunning(pid)).toBe(false);
  });

  test("a program that does not exist", async () => {
    const endpoint = endpoints.ipc();
    const m = new InstanceManager({
      endpoint,
      launch: () => ({ command: "no-such-program-anywhere", args: [] }),
    });
    await expect(m.ensure()).rejects.toMatchObject({
      code: "ERR_INSTANCE",
      message: expect.stringContaining("could not be started: spawn no-such-program-anywhere ENOENT"),
    });
  });

  test("socket files of a process that was killed are replaced", async () => {
    const endpoint = endpoints.ipc();
    const m = manager(endpoint);
    const { pid } = await m.ensure();
    process.kill(pid as number, "SIGKILL");
    while (isRunning(pid as number)) await new Promise((r) => setTimeout(r, 5));
    expect(await m.check()).toMatchObject({ state: "stale" });
    const again = await m.ensure();
    expect(again.started).toBe(true);
    expect(again.pid).not.toBe(pid);
    await stopServer(endpoint);
  });
});

describe("what is not ours is left alone", () => {
  test("a server that hangs (stopped by a signal) is told and not killed", async () => {
    const endpoint = endpoints.ipc();
    const m = manager(endpoint, "ready", { pingTimeoutMs: 200 });
    const { pid } = await manager(endpoint).ensure();
    process.kill(pid as number, "SIGSTOP");
    try {
      expect(await m.check()).toMatchObject({ state: "hung" });
      await expect(m.ensure()).rejects.toMatchObject({
        code: "ERR_INSTANCE",
        message: `${endpoint}: it takes connections and said nothing within 200 ms; it is left alone, since nothing proves whose it is: end it yourself or use another port`,
      });
      await expect(stopServer(endpoint, { timeoutMs: 200 })).rejects.toMatchObject({ code: "ERR_INSTANCE" });
      expect(isRunning(pid as number)).toBe(true);
    } finally {
      process.kill(pid as number, "SIGCONT");
    }
    // It may still chew on what came meanwhile.
    await stopServer(endpoint, { timeoutMs: 20_000 });
  });

  test("a peer that speaks ZeroMQ and does not answer, one that answers nonsense, and a web server", async () => {
    const mute = await endpoints.tcp();
    const socket = new Reply({ linger: 0 });
    await socket.bind(mute.controlUrl);
    expect(await manager(mute, "ready", { pingTimeoutMs: 200 }).check()).toEqual({
      state: "hung",
      why: "it speaks ZeroMQ and did not answer a ping within 200 ms",
    });
    socket.close();

    const odd = await endpoints.tcp();
    const gong = new Reply({ linger: 0 });
    await gong.bind(odd.controlUrl);
    void (async () => {
      for await (const _ of gong) await gong.send(writePickle({ type: "gong" }));
    })();
    expect(await manager(odd, "ready", { pingTimeoutMs: 20_000 }).check()).toMatchObject({
      state: "foreign",
    });
    gong.close();

    const web = await endpoints.tcp();
    const server = createServer((s) =>
      s
        .on("error", () => undefined)
        .once("data", () => s.end("HTTP/1.1 400 Bad Request\r\n\r\n", () => s.destroy())),
    );
    await new Promise<void>((r) => server.listen(web.controlPort, "127.0.0.1", r));
    const m = manager(web, "ready", { pingTimeoutMs: 200 });
    expect(await m.check()).toEqual({ state: "foreign", why: "it does not speak ZeroMQ" });
    await expect(m.ensure()).rejects.toMatchObject({ code: "ERR_INSTANCE", retriable: false });
    expect(started(web)).toEqual([]);
    await new Promise((r) => server.close(r));
  });

  test("a server of another application is foreign to whoever rejects it", async () => {
    const endpoint = endpoints.ipc();
    endpoints.keep(
      await new ZmqServer({
        endpoint,
        application: { application_id: "other", application_version: "1" },
      }).start(),
    );
    const m = manager(endpoint, "ready", {
      reject: (pong) =>
        pong.application?.application_id === "tilecast"
          ? undefined
          : `it is ${pong.application?.application_id}`,
    });
    await expect(m.ensure()).rejects.toMatchObject({
      message: expect.stringContaining(`${endpoint}: it is other`),
    });
  });

  test("a server that is not ready yet is waited for", async () => {
    const endpoint = endpoints.ipc();
    const server = endpoints.keep(new ZmqServer({ endpoint }));
    server.ready = false;
    await server.start();
    expect(await manager(endpoint).check()).toMatchObject({ state: "starting" });
    setTimeout(() => {
      server.ready = true;
    }, 100);
    expect(await manager(endpoint).ensure()).toMatchObject({ started: false });
  });
});

describe("lock and journal", () => {
  test("the lock excludes, releases, and gives way to deadline and signal", async () => {
    const endpoint = endpoints.ipc();
    const first = await lockStartup(endpoint, { timeoutMs: 20_000 });
    await expect(lockStartup(endpoint, { timeoutMs: 100 })).rejects.toMatchObject({
      code: "ERR_TIMEOUT",
      retriable: true,
    });
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 20);
    await expect(lockStartup(endpoint, { timeoutMs: 60_000, signal: abort.signal })).rejects.toMatchObject({
      code: "ERR_CANCELLED",
    });
    const second = lockStartup(endpoint, { timeoutMs: 60_000 });
    await first.release();
    await first.release();
    await (await second).release();
  });

  test("flock(1) of another process and this lock exclude each other; a process that dies lets go", async () => {
    const endpoint = endpoints.ipc();
    mkdirSync(endpoint.socketDir, { recursive: true });
    const holder: ChildProcess = spawn(
      "flock",
      ["-x", "-F", endpoint.startupLockPath, "sh", "-c", "echo held; exec sleep 600"],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    await new Promise((r) => holder.stdout?.once("data", r));
    await expect(lockStartup(endpoint, { timeoutMs: 100 })).rejects.toMatchObject({ code: "ERR_TIMEOUT" });
    const gone = new Promise((r) => holder.once("exit", r));
    holder.kill("SIGKILL");
    await gone;
    await (await lockStartup(endpoint, { timeoutMs: 20_000 })).release();
  });

  test("a journal is followed line by line; half a line waits, a damaged one is skipped", () => {
    const path = join(folder(), "j.jsonl");
    const reader = new StartupReader(path);
    expect(reader.read()).toEqual([]);
    const journal = new StartupJournal(path);
    journal.emit("loading_config", "größer");
    expect(reader.read()).toMatchObject([{ phase: "loading_config", message: "größer", sequence: 1 }]);
    const line = startupLines[0] as string;
    writeFileSync(path, `garbage\n${line.slice(0, 20)}`, { flag: "a" });
    expect(reader.read()).toEqual([]);
    writeFileSync(path, `${line.slice(20)}\n`, { flag: "a" });
    expect(reader.read()).toEqual([
      {
        phase: "starting_process",
        message: "Execution server process started",
        sequence: 1,
        timestamp: 1795360210.0850878,
      },
    ]);
    expect(readFileSync(path, "utf8").split("\n")[0]).toMatch(
      /^\{"phase":"loading_config","message":"gr\\u00f6\\u00dfer","sequence":1,"timestamp":[\d.]+\}$/,
    );
  });
});

test("servers are found by their socket files; leftovers and acknowledgement listeners are told apart", async () => {
  const config = endpoints.config();
  const endpoint = endpoints.ipc(config);
  expect(await findServers({ configs: [config], tcp: false })).toEqual([]);
  endpoints.keep(await new ZmqServer({ endpoint, name: "One" }).start());
  for (const name of ["tilecast-zmq-7555.sock", "tilecast-zmq-x.sock", "tilecast-zmq-5565.sock", "other.txt"])
    writeFileSync(join(endpoint.socketDir, name), "");
  await staleSocket(join(endpoint.socketDir, "tilecast-zmq-5555.sock"));
  const found = await findServers({ configs: [config], tcp: false, timeoutMs: 20_000 });
  expect(found.map((f) => [f.endpoint.port, f.state.state])).toEqual([
    [5555, "stale"],
    [5565, "foreign"],
    [7777, "ready"],
  ]);
  expect(readdirSync(endpoint.socketDir)).toContain("other.txt");
});
