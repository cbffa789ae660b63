// SPDX-License-Identifier: MIT
// What goes wrong between processes: strangers on an address, garbage on every socket, floods, full queues, suspended and killed peers.

import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer as createWebServer } from "node:http";
import { connect, createServer, type Server, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { Dealer, Publisher, Push, Subscriber } from "zeromq";
import { ZmqClient } from "../../lib/runtime/client.js";
import type { Endpoint } from "../../lib/runtime/endpoint.js";
import { ExecutionServer } from "../../lib/runtime/execution-server.js";
import { findFreeEndpoint } from "../../lib/runtime/free-port.js";
import { InstanceManager } from "../../lib/runtime/instance-manager.js";
import { readPickle } from "../../lib/runtime/pickle-reader.js";
import { writePickle } from "../../lib/runtime/pickle-writer.js";
import { probeEndpoint } from "../../lib/runtime/probe.js";
import { findServers } from "../../lib/runtime/scan.js";
import { type DataPattern, ZmqServer } from "../../lib/runtime/server.js";
import { stopServer } from "../../lib/runtime/stop-server.js";
import { temporaryFolders } from "../helpers/folder.js";
import { filesOf, staleSocket, testEndpoints, until } from "./endpoints.js";

const endpoints = testEndpoints();
const folder = temporaryFolders();
const program = fileURLToPath(new URL("server-child.mjs", import.meta.url));
const ping = writePickle({ type: "ping" });

const children = new Set<number>();
afterEach(() => {
  for (const pid of children) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // Gone, as it should be.
    }
  }
  children.clear();
});

function manager(endpoint: Endpoint, behaviour = "ready", pingTimeoutMs = 20_000) {
  const count = `${endpoint.socketDir}/started.txt`;
  return new InstanceManager({
    endpoint,
    pingTimeoutMs,
    launch: ({ journal }) => ({
      command: process.execPath,
      args: [program, String(endpoint.port), endpoint.socketDir, journal, behaviour, count],
    }),
  });
}
const started = (endpoint: Endpoint) => {
  const pids = readFileSync(`${endpoint.socketDir}/started.txt`, "utf8").trim().split("\n").map(Number);
  for (const pid of pids) children.add(pid);
  return pids;
};
const stateOf = (pid: number): string | undefined => {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.[0];
  } catch {
    return undefined;
  }
};

describe("a stranger on the address", () => {
  const listening = async (server: Server, port: number) => {
    const sockets = new Set<Socket>();
    server.on("connection", (socket) => sockets.add(socket.on("error", () => undefined)));
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    endpoints.keep({
      async [Symbol.asyncDispose]() {
        for (const socket of sockets) socket.destroy();
        await new Promise((resolve) => server.close(resolve));
      },
    });
    return sockets;
  };

  test.each([
    [
      "that never speaks",
      () => createServer(),
      { state: "hung", why: "it takes connections and said nothing within 200 ms" },
    ],
    [
      "that speaks HTTP",
      () => createWebServer((_, response) => response.end("hello")),
      { state: "foreign", why: "it does not speak ZeroMQ" },
    ],
    [
      "that answers whatever comes with text",
      () => createServer((s) => s.once("data", () => s.write("220 mail.example ESMTP\r\n"))),
      { state: "foreign", why: "it does not speak ZeroMQ" },
    ],
  ] as const)(
    "a listener %s is told, left alone, and keeps nobody else from a free port",
    async (_, make, found) => {
      const endpoint = await endpoints.tcp();
      const stranger = make() as Server;
      await listening(stranger, endpoint.controlPort);
      const m = manager(endpoint, "ready", 200);
      expect(await m.check()).toEqual(found);
      await expect(m.ensure()).rejects.toMatchObject({ code: "ERR_INSTANCE" });
      await expect(stopServer(endpoint, { timeoutMs: 200, kill: true })).rejects.toMatchObject({
        code: "ERR_INSTANCE",
        message: `${endpoint} is not stopped: ${found.why}`,
      });
      await expect(new ZmqServer({ endpoint }).start()).rejects.toMatchObject({
        code: "ERR_ENDPOINT",
        retriable: true,
      });
      const client = endpoints.keep(new ZmqClient({ endpoint }));
      await expect(client.ping({ timeoutMs: 100, retries: 1 })).rejects.toMatchObject({
        code: "ERR_TIMEOUT",
        retriable: true,
      });
      expect(stranger.listening).toBe(true);
      const other = await findFreeEndpoint({ mode: "tcp", port: endpoint.port, config: endpoint.config });
      expect(other.port).toBeGreaterThan(endpoint.port);
    },
  );

  test.each(["file", "folder"])("a %s in the place of a socket is told and left as it is", async (kind) => {
    const endpoint = endpoints.ipc();
    const path = endpoint.controlPath as string;
    mkdirSync(endpoint.socketDir, { recursive: true });
    if (kind === "file") writeFileSync(path, "somebody's notes");
    else mkdirSync(path);
    expect(await probeEndpoint(endpoint)).toEqual({ state: "foreign", why: `${path} is no socket` });
    await expect(manager(endpoint).ensure()).rejects.toMatchObject({
      code: "ERR_INSTANCE",
      retriable: false,
      message: expect.stringContaining(`${path} is no socket`),
    });
    await expect(new ZmqServer({ endpoint }).start()).rejects.toMatchObject({
      code: "ERR_ENDPOINT",
      path,
      message: `${path} is there and no socket: remove it, or use another port`,
    });
    if (kind === "file") expect(readFileSync(path, "utf8")).toBe("somebody's notes");
    expect(filesOf(endpoint).filter((name) => name.endsWith(".sock"))).toEqual(["tilecast-zmq-8777.sock"]);
  });
});

describe("folders", () => {
  test("sockets whose folder cannot be made: a typed error that says what to do", async () => {
    const file = `${folder()}/file`;
    writeFileSync(file, "");
    const endpoint = endpoints.ipc({ ipcSocketDir: `${file}/ipc` });
    const refused = {
      code: "ERR_ENDPOINT",
      message: expect.stringMatching(
        /^the folder of the sockets cannot be made: ENOTDIR.*; set an absolute ipcSocketDir that may be written, or use mode "tcp"$/,
      ),
    };
    await expect(new ZmqServer({ endpoint }).start()).rejects.toMatchObject(refused);
    await expect(manager(endpoint).ensure()).rejects.toMatchObject(refused);
    expect(await probeEndpoint(endpoint)).toEqual({ state: "absent" });
  });

  test("a home folder that is too long for sockets has no servers, and hides no others", async () => {
    const config = endpoints.config();
    const tooLong = { ...config, ipcSocketDir: `/${"x".repeat(120)}` };
    const endpoint = endpoints.ipc(config);
    endpoints.keep(await new ZmqServer({ endpoint }).start());
    const found = await findServers({ configs: [tooLong, config], tcp: false, timeoutMs: 20_000 });
    expect(found.map((f) => f.endpoint.port)).toEqual([7777]);
  });
});

describe("garbage", () => {
  /** Bytes straight into the stream, under ZeroMQ; resolves when the server has hung up, or has had time to read them. */
  const raw = (endpoint: Endpoint, which: "data" | "control", bytes: Uint8Array) =>
    new Promise<void>((resolve) => {
      const path = which === "data" ? endpoint.dataPath : endpoint.controlPath;
      const socket = connect(path as string);
      socket.on("error", () => undefined).once("close", () => resolve());
      socket.on("data", () => undefined);
      socket.end(bytes);
    });
  const greeting = Buffer.concat([Buffer.from("ff00000000000000017f03004e554c4c", "hex"), Buffer.alloc(48)]);

  test.each(["pub", "rep", "pull", "none"] as const)(
    "on both sockets of a server with data %s",
    async (data) => {
      const endpoint = endpoints.ipc();
      const got: number[] = [];
      const server = endpoints.keep(
        await new ZmqServer({
          endpoint,
          data,
          maxControlBytes: 1000,
          maxDataBytes: 1000,
          onData: (message) => {
            got.push(message.length);
            return "taken";
          },
        }).start(),
      );
      const junk = [
        Buffer.from("GET / HTTP/1.1\r\n\r\n"),
        Buffer.alloc(100_000, 0xff),
        Buffer.alloc(64),
        greeting,
        // A greeting, and then a frame that claims 2^62 bytes.
        Buffer.concat([greeting, Buffer.from("024000000000000000", "hex")]),
      ];
      for (const which of ["data", "control"] as const) {
        if (which === "data" && data === "none") continue;
        for (const bytes of junk) await raw(endpoint, which, bytes);
        // Far beyond the limit: the connection ends, nobody answers.
        const flood = new Dealer({ linger: 0, receiveTimeout: 300 });
        flood.connect(which === "data" ? endpoint.dataUrl : endpoint.controlUrl);
        await flood.send(["", Buffer.alloc(5000)]);
        await expect(flood.receive()).rejects.toMatchObject({ code: "EAGAIN" });
        flood.close();
      }
      const client = endpoints.keep(new ZmqClient({ endpoint }));
      await client.ping({ timeoutMs: 20_000 });
      if (data === "rep") expect(String(await client.send("abc", { timeoutMs: 20_000 }))).toBe("taken");
      if (data === "pull") {
        await client.push("abc");
        await until(() => got.length > 0);
      }
      expect(got).toEqual(data === "rep" || data === "pull" ? [3] : []);
      expect(server.stats()).toMatchObject({ "control.requests": 1, "data.failed": 0 });
    },
  );

  test.each(["pub", "rep", "pull", "none"] as const)(
    "10 000 small messages at once on each socket of a server with data %s",
    async (data: DataPattern) => {
      const count = 10_000;
      const endpoint = endpoints.ipc();
      const server = endpoints.keep(
        await new ZmqServer({ endpoint, data, onData: async (message) => String(message.length) }).start(),
      );
      const control = new Dealer({ linger: 0, sendHighWaterMark: 0, receiveHighWaterMark: 0 });
      control.connect(endpoint.controlUrl);
      for (let i = 0; i < count; i++) await control.send(["", i % 2 ? ping : "junk"]);
      if (data === "rep") {
        const socket = new Dealer({ linger: 0, sendHighWaterMark: 0, receiveHighWaterMark: 0 });
        socket.connect(endpoint.dataUrl);
        for (let i = 0; i < count; i++) await socket.send(["", "x".repeat(i % 7)]);
        socket.receiveTimeout = 200;
        let replies = 0;
        while (replies + server.stats()["data.undelivered"] < count)
          replies += await socket.receive().then(
            () => 1,
            () => 0,
          );
        expect(replies).toBeGreaterThan(1000);
        socket.close();
      } else if (data === "pull") {
        const socket = new Push({ sendHighWaterMark: 0 });
        socket.connect(endpoint.dataUrl);
        for (let i = 0; i < count; i++) await socket.send("x");
        await until(() => server.stats()["data.received"] === count);
        socket.close();
      } else if (data === "pub") {
        // All that a subscriber can send.
        const socket = new Subscriber({ linger: 0 });
        socket.connect(endpoint.dataUrl);
        for (let i = 0; i < count; i++) socket.subscribe(`topic ${i}`);
        socket.close();
      }
      const answers = { pong: 0, error: 0 };
      // A peer that asks without reading has ten thousand replies kept for it, less what is on its way; what is beyond is counted.
      const undelivered = () => server.stats()["control.undelivered"];
      control.receiveTimeout = 200;
      while (answers.pong + answers.error + undelivered() < count) {
        const [, frame] = await control.receive().catch(() => []);
        if (frame === undefined) continue;
        const { type } = readPickle(frame) as { type: "pong" | "error" };
        answers[type]++;
      }
      control.close();
      expect(answers.pong).toBeGreaterThan(1000);
      expect(answers.error).toBeGreaterThan(1000);
      expect(server.stats()).toMatchObject({
        "control.requests": count,
        "control.malformed": count / 2,
        "data.received": data === "rep" || data === "pull" ? count : 0,
        "data.failed": 0,
      });
    },
  );
});

describe("full queues", () => {
  test("a subscriber that does not read loses messages, neither the server nor another subscriber waits for it", async () => {
    const endpoint = endpoints.ipc();
    const server = endpoints.keep(await new ZmqServer({ endpoint, highWaterMark: 50 }).start());
    const slow = new Subscriber({ linger: 0, receiveHighWaterMark: 1 });
    slow.connect(endpoint.dataUrl);
    slow.subscribe();
    const fast = endpoints.keep(new ZmqClient({ endpoint }));
    const got: number[] = [];
    const stream = await fast.subscribe();
    const reading = (async () => {
      for await (const frame of stream) {
        got.push(frame.readInt32LE());
        if (got.at(-1) === -1) return;
      }
    })();
    const message = (i: number) => {
      const bytes = Buffer.alloc(50_000);
      bytes.writeInt32LE(i);
      return bytes;
    };
    // Both subscriptions stand when a message has come.
    while (got.length === 0) {
      server.publish(message(0));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await slow.receive();
    const first = server.stats()["data.published"];
    const count = 500;
    for (let i = 1; i <= count; i++) {
      server.publish(message(i));
      // At the pace of the one who reads.
      await until(() => got.at(-1) === i);
    }
    server.publish(message(-1));
    await reading;
    expect(got.filter((i) => i > 0)).toEqual(Array.from({ length: count }, (_, i) => i + 1));
    expect(server.stats()).toMatchObject({ "data.published": first + count + 1, "data.dropped": 0 });
    // What waited for the slow one: both queues and what is on the way between them, and none of the last.
    const late: number[] = [];
    for (slow.receiveTimeout = 500; late.length <= count; ) {
      const [frame] = await slow.receive().catch(() => []);
      if (frame === undefined) break;
      late.push(frame.readInt32LE());
    }
    expect(late.length).toBeLessThan(count / 2);
    expect(late).not.toContain(-1);
    slow.close();
  });

  test("no more than a thousand messages are being answered; the rest wait, none is lost", async () => {
    const endpoint = endpoints.ipc();
    let isOpen = false;
    let [running, most] = [0, 0];
    const waiting: (() => void)[] = [];
    const server = endpoints.keep(
      await new ZmqServer({
        endpoint,
        data: "rep",
        onData: async (message) => {
          most = Math.max(most, ++running);
          if (!isOpen) await new Promise<void>((resolve) => waiting.push(resolve));
          running--;
          return message;
        },
      }).start(),
    );
    const socket = new Dealer({ linger: 0, sendHighWaterMark: 0, receiveHighWaterMark: 0 });
    socket.connect(endpoint.dataUrl);
    for (let i = 0; i < 3000; i++) await socket.send(["", String(i)]);
    await until(() => server.stats()["data.held"] > 0);
    // A server that is full of work still answers a ping.
    await endpoints.keep(new ZmqClient({ endpoint })).ping({ timeoutMs: 20_000 });
    expect(running).toBe(1000);
    isOpen = true;
    for (const go of waiting.splice(0)) go();
    const replies = new Set<string>();
    for (let i = 0; i < 3000; i++) replies.add(String((await socket.receive())[1]));
    expect(replies.size).toBe(3000);
    expect(most).toBe(1000);
    socket.close();
  });

  test("who pushes to a server that does not read is told when the queues are full", async () => {
    const endpoint = endpoints.ipc();
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const server = endpoints.keep(
      await new ZmqServer({
        endpoint,
        data: "pull",
        highWaterMark: 10,
        onData: () => gate as Promise<undefined>,
      }).start(),
    );
    const client = endpoints.keep(new ZmqClient({ endpoint }));
    let pushed = 0;
    const fill = async () => {
      for (; ; pushed++) await client.push(Buffer.alloc(50_000), { timeoutMs: 300 });
    };
    await expect(fill()).rejects.toMatchObject({ code: "ERR_TIMEOUT", retriable: true });
    release();
    await until(() => server.stats()["data.received"] === pushed);
    await client.push("more", { timeoutMs: 20_000 });
  });
});

test("a peer that dies with the receive queue full does not take the server with it", async () => {
  const endpoint = endpoints.ipc();
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const options = {
    endpoint,
    data: "pull",
    highWaterMark: 10,
    onData: () => gate as Promise<undefined>,
  } as const;
  const server = endpoints.keep(await new ZmqServer(options).start());
  const client = endpoints.keep(new ZmqClient({ endpoint }));
  await client.ping({ timeoutMs: 20_000 });
  const socket = new Push({ linger: 0, sendHighWaterMark: 0 });
  socket.connect(endpoint.dataUrl);
  for (let i = 0; i < 5000; i++) await socket.send("x");
  await until(() => server.stats()["data.received"] > 0);
  socket.close();
  // libzmq aborts when a heartbeat is due on such a connection; ours were every 5 seconds.
  await new Promise((resolve) => setTimeout(resolve, 6000));
  release();
  await client.ping({ timeoutMs: 20_000 });
});

describe("processes", () => {
  test("a suspended server: requests time out, the same client goes on when it goes on", async () => {
    const endpoint = endpoints.ipc();
    const { pid } = await manager(endpoint).ensure();
    started(endpoint);
    const client = endpoints.keep(new ZmqClient({ endpoint }));
    await client.ping({ timeoutMs: 20_000 });
    process.kill(pid as number, "SIGSTOP");
    for (let i = 0; i < 3; i++)
      await expect(client.ping({ timeoutMs: 50, retries: 1 })).rejects.toMatchObject({
        code: "ERR_TIMEOUT",
        retriable: true,
      });
    expect(await probeEndpoint(endpoint, { timeoutMs: 100 })).toMatchObject({ state: "hung" });
    process.kill(pid as number, "SIGCONT");
    for (let i = 0; i < 20; i++) await client.ping({ timeoutMs: 20_000 });
    // The kept socket, one for each attempt that failed but the first, and one for the pings after that.
    expect(client.stats()).toMatchObject({ requests: 24, replies: 21, timeouts: 6, sockets: 7 });
    await stopServer(endpoint, { timeoutMs: 20_000 });
  });

  test("100 starts and stops leave no file, descriptor or thread; 10 processes no child either", async () => {
    const count = () => ({
      descriptors: readdirSync("/proc/self/fd").length,
      threads: readdirSync("/proc/self/task").length,
    });
    const inProcess = async (endpoint: Endpoint, data: DataPattern) => {
      const server = await new ZmqServer({ endpoint, data, onData: () => "" }).start();
      const client = new ZmqClient({ endpoint });
      await client.ping({ timeoutMs: 20_000 });
      if (data === "rep") await client.send("x", { timeoutMs: 20_000 });
      if (data === "pull") await client.push("x");
      if (data === "pub") await client.subscribe();
      await Promise.all([client.close(), server.close({ graceMs: 20_000 })]);
    };
    const patterns = ["pub", "rep", "pull", "none"] as const;
    for (const mode of ["ipc", "tcp"] as const) {
      const endpoint = await endpoints.make(mode);
      for (const data of patterns) await inProcess(endpoint, data);
      const before = count();
      for (let i = 0; i < 50; i++) await inProcess(endpoint, patterns[i % 4] as DataPattern);
      if (mode === "ipc") expect(filesOf(endpoint)).toEqual([]);
      // libzmq's own thread closes sockets after they are said to be closed.
      await until(() => count().descriptors <= before.descriptors && count().threads <= before.threads);
    }
    const endpoint = endpoints.ipc();
    for (let i = 0; i < 10; i++) {
      await manager(endpoint).ensure();
      await stopServer(endpoint, { timeoutMs: 20_000 });
    }
    const pids = started(endpoint);
    expect(new Set(pids).size).toBe(10);
    await until(() => pids.every((pid) => stateOf(pid) === undefined));
    expect(filesOf(endpoint).sort()).toEqual([
      "server-7777.log",
      "started.txt",
      "tilecast-zmq-7777.sock.startup.lock",
    ]);
  });

  test("a starter that is killed while its server starts: the next one gets a server, and there is one", async () => {
    const endpoint = endpoints.ipc();
    mkdirSync(endpoint.socketDir, { recursive: true });
    writeFileSync(`${endpoint.socketDir}/started.txt`, "");
    const script = `
import { InstanceManager, zmqConfigs } from ${JSON.stringify(new URL("../../dist/runtime/index.js", import.meta.url).href)};
const config = { ...zmqConfigs.tilecast, ipcSocketDir: ${JSON.stringify(endpoint.socketDir)} };
await new InstanceManager({ endpoint: { mode: "ipc", port: 7777, config }, launch: ({ journal }) => ({ command: process.execPath, args: [${JSON.stringify(program)}, "7777", ${JSON.stringify(endpoint.socketDir)}, journal, "slow", ${JSON.stringify(`${endpoint.socketDir}/started.txt`)}] }) }).ensure();
`;
    const starter = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: "inherit" });
    await until(() => readFileSync(`${endpoint.socketDir}/started.txt`, "utf8").includes("\n"));
    const gone = new Promise((resolve) => starter.once("exit", resolve));
    starter.kill("SIGKILL");
    await gone;
    const instance = await manager(endpoint, "slow").ensure();
    const pids = started(endpoint);
    expect(pids).toContain(instance.pid);
    // The orphan and the new one: the one that did not get the address ends.
    await until(() => pids.filter((pid) => stateOf(pid) !== undefined).length === 1);
    expect(await manager(endpoint).connect()).toMatchObject({ pid: instance.pid });
    await stopServer(endpoint, { timeoutMs: 20_000 });
  });

  test("files of a dead server and the guard of a dead binder are replaced", async () => {
    const endpoint = endpoints.ipc();
    mkdirSync(endpoint.socketDir, { recursive: true });
    for (const path of [endpoint.dataPath, endpoint.controlPath] as string[]) {
      await staleSocket(path);
      // The id is in use again, by this process, which began at another time.
      writeFileSync(`${path}.bind`, `${process.pid} 5`);
    }
    expect(await probeEndpoint(endpoint)).toMatchObject({ state: "stale" });
    const server = await new ZmqServer({ endpoint }).start();
    await endpoints.keep(new ZmqClient({ endpoint })).ping({ timeoutMs: 20_000 });
    await server.close();
    expect(filesOf(endpoint)).toEqual([]);
  });

  test("a subscriber that dies is no longer counted", async () => {
    const endpoint = endpoints.ipc();
    endpoints.keep(await new ExecutionServer({ endpoint, execute: async () => undefined }).start());
    const script = `
import { ExecutionClient, zmqConfigs } from ${JSON.stringify(new URL("../../dist/runtime/index.js", import.meta.url).href)};
const config = { ...zmqConfigs.tilecast, ipcSocketDir: ${JSON.stringify(endpoint.socketDir)} };
const client = new ExecutionClient({ endpoint: { mode: "ipc", port: 7777, config }, timeoutMs: 20_000 });
for await (const _ of await client.progress());
`;
    const subscriber = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: "inherit" });
    children.add(subscriber.pid as number);
    const client = endpoints.keep(new ZmqClient({ endpoint }));
    const subscribers = async () => (await client.ping({ timeoutMs: 20_000 })).pong.progress_subscribers;
    await until(async () => (await subscribers()) === 1);
    subscriber.kill("SIGKILL");
    await until(async () => (await subscribers()) === 0);
  });
});

test("a PUB in the place of a server is told from one that is stopped", async () => {
  const endpoint = endpoints.ipc();
  mkdirSync(endpoint.socketDir, { recursive: true });
  const odd = new Publisher({ linger: 0 });
  await odd.bind(endpoint.controlUrl);
  expect(await probeEndpoint(endpoint, { timeoutMs: 100 })).toEqual({
    state: "hung",
    why: "it speaks ZeroMQ and did not answer a ping within 100 ms",
  });
  odd.close();
});
