// SPDX-License-Identifier: MIT
// Servers and clients over real sockets: every pattern, every fault that a peer can commit, and what is left afterwards.

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { describe, expect, test } from "vitest";
import { Publisher, Reply, Request } from "zeromq";
import { ZmqClient } from "../../lib/runtime/client.js";
import { Endpoint, zmqConfigs } from "../../lib/runtime/endpoint.js";
import { readPickle } from "../../lib/runtime/pickle-reader.js";
import { writePickle } from "../../lib/runtime/pickle-writer.js";
import { isAlive, processIdentity, thisProcess } from "../../lib/runtime/process-identity.js";
import { generateCurveKeys } from "../../lib/runtime/security.js";
import { ZmqServer } from "../../lib/runtime/server.js";
import { socketFileState } from "../../lib/runtime/socket-file.js";
import { temporaryFolders } from "../helpers/folder.js";
import { filesOf, testEndpoints } from "./endpoints.js";

const endpoints = testEndpoints();
const folder = temporaryFolders();

async function serve(options: Partial<ConstructorParameters<typeof ZmqServer>[0]> & { endpoint: Endpoint }) {
  return endpoints.keep(await new ZmqServer(options).start());
}
const connect = (endpoint: Endpoint, options = {}) => endpoints.keep(new ZmqClient({ endpoint, ...options }));

/** A raw REQ socket, to send what no client of ours would. */
async function raw(endpoint: Endpoint, ...frames: (string | Uint8Array)[]): Promise<unknown> {
  const socket = new Request({ linger: 0, receiveTimeout: 20_000 });
  socket.connect(endpoint.controlUrl);
  await socket.send(frames);
  const [reply] = await socket.receive();
  socket.close();
  return readPickle(reply as Buffer);
}

describe.each(["ipc", "tcp"] as const)("over %s", (mode) => {
  test("ping says who and how, in the generation asked for", async () => {
    for (const generation of ["A", "B", "C", "D"] as const) {
      const endpoint = await endpoints.make(mode);
      const server = await serve({ endpoint, generation, role: "viewer", serverType: "napari", name: "V" });
      const result = await connect(endpoint).ping({ timeoutMs: 20_000 });
      expect(result.generation).toBe(generation);
      expect(result.pong).toMatchObject({
        port: endpoint.port,
        control_port: endpoint.port + 1000,
        ready: true,
        server: "V",
        server_type: "napari",
      });
      if (generation !== "A") expect(result.pong).toMatchObject({ server_role: "viewer" });
      expect(result.pong.memory_mb).toBeGreaterThan(1);
      await server.close();
    }
  });

  test("typed handlers answer, and their errors arrive as errors", async () => {
    const endpoint = await endpoints.make(mode);
    await serve({
      endpoint,
      handlers: {
        cancel: ({ execution_id }) => ({
          status: "ok",
          message: `cancelled ${execution_id}`,
          workers_killed: 2,
        }),
        clear_state: (_, { raw }) => ({
          status: "success",
          type: "clear_state_ack",
          echoed: (raw as { x: number }).x,
        }),
        execute: () => {
          throw new Error("no pipeline today");
        },
      },
    });
    const client = connect(endpoint, { timeoutMs: 20_000 });
    expect(await client.request("cancel", { execution_id: "e1" })).toEqual({
      status: "ok",
      message: "cancelled e1",
      workers_killed: 2,
    });
    expect({ ...((await client.call({ type: "clear_state", x: 7 })) as object) }).toEqual({
      status: "success",
      type: "clear_state_ack",
      echoed: 7,
    });
    await expect(client.request("execute", { plate_id: "p", pipeline_code: "" })).rejects.toMatchObject({
      code: "ERR_REMOTE",
      message: `execute on ${endpoint}: no pipeline today`,
    });
    await expect(client.call({ type: "dance" })).resolves.toMatchObject({
      status: "error",
      error: "Unknown message type: dance",
    });
    await expect(client.call({ type: "cancel" })).resolves.toMatchObject({
      status: "error",
      message: "cancel.execution_id: expected a str, and got nothing",
    });
  });

  test("published messages reach subscribers; a data channel with replies answers each", async () => {
    const pub = await endpoints.make(mode);
    const server = await serve({ endpoint: pub });
    const client = connect(pub);
    const stream = await client.subscribe();
    const got: string[] = [];
    const reading = (async () => {
      for await (const frame of stream) {
        got.push(String(frame));
        if (got.at(-1) === "last") return;
      }
    })();
    // A subscription takes effect at the server's pace: publish until the first one has arrived.
    while (got.length === 0) {
      server.publish("hello");
      await new Promise((r) => setTimeout(r, 5));
    }
    for (let i = 0; i < 100; i++) server.publish(`m${i}`);
    server.publish("last");
    await reading;
    expect(got.filter((m) => m.startsWith("m"))).toEqual(Array.from({ length: 100 }, (_, i) => `m${i}`));

    const rep = await endpoints.make(mode);
    await serve({
      endpoint: rep,
      data: "rep",
      maxDataBytes: 1000,
      onData: (message) => {
        if (String(message) === "bad") throw new Error("bad batch");
        return `got ${message.length}`;
      },
    });
    const sender = connect(rep);
    expect(String(await sender.send("abc"))).toBe("got 3");
    expect(JSON.parse(String(await sender.send("bad")))).toEqual({ status: "error", message: "bad batch" });
    expect(JSON.parse(String(await sender.send("x".repeat(1001))))).toEqual({
      status: "error",
      message: "data message: expected at most 1000 bytes, and got 1001",
    });
  });

  test("a data channel that collects gets every message in order", async () => {
    const endpoint = await endpoints.make(mode);
    const got: string[] = [];
    let all = () => {};
    const complete = new Promise<void>((r) => {
      all = r;
    });
    const server = await serve({
      endpoint,
      data: "pull",
      onData: (message) => {
        got.push(String(message));
        if (got.length === 5000) all();
        if (got.length === 3) throw new Error("one that is refused does not end the rest");
        return undefined;
      },
    });
    const client = connect(endpoint);
    await Promise.all(Array.from({ length: 5000 }, (_, i) => client.push(`m${i}`)));
    await complete;
    expect(got).toEqual(Array.from({ length: 5000 }, (_, i) => `m${i}`));
    expect(server.stats()).toMatchObject({ "data.received": 5000, "data.failed": 1 });
  });

  test("garbage, truncated, oversized and multi-frame messages are answered, and the server goes on", async () => {
    const endpoint = await endpoints.make(mode);
    const server = await serve({ endpoint, maxControlBytes: 1000 });
    const ping = Buffer.from("80049512000000000000007d948c0474797065948c0470696e6794732e", "hex");
    const error = (message: string) => expect.objectContaining({ status: "error", type: "error", message });
    expect(await raw(endpoint, "garbage")).toEqual(
      error("pickle at byte 0: expected protocol 2 to 5, and got a first byte 0x67"),
    );
    expect(await raw(endpoint, "")).toEqual(
      error("pickle at byte 0: expected protocol 2 to 5, and got nothing"),
    );
    for (let cut = 1; cut < ping.length; cut++)
      expect(await raw(endpoint, ping.subarray(0, cut))).toMatchObject({ status: "error" });
    expect(await raw(endpoint, Buffer.alloc(1001))).toEqual(
      error("control message: expected at most 1000 bytes, and got 1001"),
    );
    expect(await raw(endpoint, ping, ping)).toEqual(error("control message: expected one frame, and got 2"));
    expect(await raw(endpoint, writePickle([1]))).toEqual(
      error("control message: expected a dict with str keys, and got a list of 1"),
    );
    expect(await raw(endpoint, ping)).toMatchObject({ type: "pong" });
    const stats = server.stats();
    expect(stats).toMatchObject({
      "control.requests": 34,
      "control.oversized": 1,
      "control.malformed": 32,
      "control.failed": 0,
    });
    expect(Object.isFrozen(stats)).toBe(true);
  });

  test("the second server at an address is refused; the first goes on", async () => {
    const endpoint = await endpoints.make(mode);
    await serve({ endpoint });
    await expect(new ZmqServer({ endpoint }).start()).rejects.toMatchObject({
      code: "ERR_ENDPOINT",
      retriable: true,
    });
    expect((await connect(endpoint).ping({ timeoutMs: 20_000 })).pong.port).toBe(endpoint.port);
  });

  test("shutdown is acknowledged, and the server closes and frees its address", async () => {
    const endpoint = await endpoints.make(mode);
    const server = await serve({ endpoint });
    expect(await connect(endpoint, { timeoutMs: 20_000 }).request("shutdown", {})).toEqual({
      status: "success",
      message: "ZmqServer shutting down",
    });
    await server.closed;
    await serve({ endpoint });
  });
});

describe("clients", () => {
  test("no server: a typed timeout, and the same client reaches the server that comes later", async () => {
    const endpoint = endpoints.ipc();
    mkdirSync(endpoint.socketDir, { recursive: true });
    const client = connect(endpoint);
    await expect(client.ping({ timeoutMs: 50, retries: 2 })).rejects.toMatchObject({
      code: "ERR_TIMEOUT",
      retriable: true,
      message: `no answer from ${endpoint.controlUrl} within 50 ms in 3 attempts`,
    });
    await serve({ endpoint });
    await client.ping({ timeoutMs: 20_000 });
    expect(client.stats()).toMatchObject({ requests: 2, replies: 1, retries: 2, timeouts: 3, sockets: 4 });
  });

  test("a server that takes messages and never answers does not wedge a client", async () => {
    const endpoint = await endpoints.tcp();
    const mute = new Reply({ linger: 0 });
    await mute.bind(endpoint.controlUrl);
    const client = connect(endpoint);
    await expect(client.ping({ timeoutMs: 100, retries: 1 })).rejects.toMatchObject({ code: "ERR_TIMEOUT" });
    await mute.unbind(endpoint.controlUrl);
    mute.close();
    await serve({ endpoint });
    await client.ping({ timeoutMs: 20_000 });
  });

  test("an answer that is no pickle, or no pong, is ERR_WIRE", async () => {
    const endpoint = await endpoints.tcp();
    const odd = new Reply({ linger: 0 });
    await odd.bind(endpoint.controlUrl);
    void (async () => {
      const replies = ["HTTP/1.1 400", writePickle({ type: "gong" })];
      for await (const _ of odd) await odd.send(replies.shift() ?? "");
    })();
    const client = connect(endpoint);
    await expect(client.ping({ timeoutMs: 20_000 })).rejects.toMatchObject({ code: "ERR_WIRE" });
    await expect(client.ping({ timeoutMs: 20_000 })).rejects.toMatchObject({
      message: 'pong.type: expected "pong", and got "gong"',
    });
    odd.close();
  });

  test("a signal ends a request, a subscription and a start at once", async () => {
    const endpoint = endpoints.ipc();
    mkdirSync(endpoint.socketDir, { recursive: true });
    const client = connect(endpoint);
    const abort = new AbortController();
    const waiting = client.ping({ timeoutMs: 600_000, signal: abort.signal });
    const stream = await client.subscribe({ signal: abort.signal });
    const reading = (async () => {
      for await (const _ of stream);
    })();
    setTimeout(() => abort.abort(), 20);
    await expect(waiting).rejects.toMatchObject({ code: "ERR_CANCELLED" });
    await reading;
    await expect(new ZmqServer({ endpoint }).start({ signal: abort.signal })).rejects.toMatchObject({
      code: "ERR_CANCELLED",
    });
  });

  test("pushing to nobody ends with a typed error when the queue is full", async () => {
    const client = connect(await endpoints.tcp());
    const results = await Promise.allSettled(
      Array.from({ length: 1010 }, () => client.push("x", { timeoutMs: 20 })),
    );
    expect(results.at(-1)).toMatchObject({
      status: "rejected",
      reason: { code: "ERR_TIMEOUT", retriable: true },
    });
    await client.close();
    await expect(client.push("x")).rejects.toMatchObject({ code: "ERR_STREAM" });
  });

  test("a closed client's requests end with an error", async () => {
    const client = connect(await endpoints.tcp());
    const waiting = client.ping({ timeoutMs: 600_000 });
    setTimeout(() => void client.close(), 20);
    await expect(waiting).rejects.toMatchObject({ code: "ERR_STREAM" });
    await expect(client.ping()).rejects.toMatchObject({ code: "ERR_STREAM" });
  });

  test("many requests at once, and a slow handler that keeps no ping waiting", async () => {
    const endpoint = endpoints.ipc();
    let release = () => {};
    const gate = new Promise<void>((r) => {
      release = r;
    });
    await serve({ endpoint, handlers: { settle: () => gate.then(() => ({ status: "success" })) } });
    const client = connect(endpoint, { timeoutMs: 60_000 });
    const slow = client.request("settle", {});
    const pings = await Promise.all(Array.from({ length: 50 }, () => client.ping({ timeoutMs: 60_000 })));
    expect(pings).toHaveLength(50);
    release();
    expect(await slow).toMatchObject({ status: "success" });
  });

  test("a handler beyond its time is answered for", async () => {
    const endpoint = endpoints.ipc();
    await serve({ endpoint, handlerTimeoutMs: 50, handlers: { settle: () => new Promise<never>(() => {}) } });
    await expect(connect(endpoint).request("settle", {})).rejects.toMatchObject({
      message: `settle on ${endpoint}: settle took longer than 50 ms`,
    });
  });

  test("forced closing aborts handlers; the waiting client is told", async () => {
    const endpoint = endpoints.ipc();
    let aborted = false;
    const server = await serve({
      endpoint,
      handlers: {
        settle: (_, { signal }) =>
          new Promise<never>(() => signal.addEventListener("abort", () => (aborted = true))),
      },
    });
    const waiting = connect(endpoint, { timeoutMs: 60_000 }).request("settle", {});
    const told = expect(waiting).rejects.toMatchObject({
      code: "ERR_REMOTE",
      message: `settle on ${endpoint}: the server closed during settle`,
    });
    while (server.stats()["control.requests"] === 0) await new Promise((r) => setTimeout(r, 5));
    await server.close({ force: true });
    await told;
    expect(aborted).toBe(true);
    expect(filesOf(endpoint)).toEqual([]);
  });
});

describe("socket files", () => {
  test("the folder and the sockets are for their owner alone", async () => {
    const dir = `${folder()}/deep/er`;
    const endpoint = endpoints.ipc({ ipcSocketDir: dir });
    await serve({ endpoint });
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    for (const path of [endpoint.dataPath, endpoint.controlPath])
      expect(statSync(path as string).mode & 0o777).toBe(0o600);
  });

  test("paths follow the peers' convention", () => {
    const endpoint = new Endpoint({ mode: "ipc", port: 5555, config: zmqConfigs.openhcs });
    expect(endpoint.controlUrl).toBe(`ipc://${process.env.HOME}/.openhcs/ipc/openhcs-zmq-6555.sock`);
    expect(endpoint.startupLockPath).toBe(
      `${process.env.HOME}/.openhcs/ipc/openhcs-zmq-5555.sock.startup.lock`,
    );
    expect(() => new Endpoint({ port: 65000 })).toThrow("port: expected 1 to 64535, and got 65000");
    expect(() => endpoints.ipc({ ipcSocketDir: `/${"x".repeat(120)}` })).toThrow(
      /the socket's path has 1\d\d bytes/,
    );
  });

  test("the file of a server that was killed is replaced", async () => {
    const endpoint = endpoints.ipc();
    mkdirSync(endpoint.socketDir, { recursive: true });
    const child: ChildProcess = spawn(
      process.execPath,
      [
        "-e",
        `const n=require("net");for(const p of ${JSON.stringify([endpoint.dataPath, endpoint.controlPath])})n.createServer().listen(p);setInterval(()=>{},1e3);setTimeout(()=>console.log("up"),50)`,
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    await new Promise((r) => child.stdout?.once("data", r));
    expect(await socketFileState(endpoint.dataPath as string)).toBe("live");
    await expect(new ZmqServer({ endpoint }).start()).rejects.toMatchObject({
      code: "ERR_ENDPOINT",
      retriable: true,
    });
    const gone = new Promise((r) => child.once("exit", r));
    child.kill("SIGKILL");
    await gone;
    expect(await socketFileState(endpoint.dataPath as string)).toBe("stale");
    await serve({ endpoint });
    await connect(endpoint).ping({ timeoutMs: 20_000 });
  });

  test("closing leaves the file of a thief that took the address", async () => {
    const endpoint = endpoints.ipc();
    const server = await serve({ endpoint });
    // As a Python peer would: libzmq binds over whatever is there.
    const thief = new Publisher({ linger: 0 });
    await thief.bind(endpoint.dataUrl);
    await server.close();
    expect(filesOf(endpoint)).toEqual(["tilecast-zmq-7777.sock"]);
    expect(await socketFileState(endpoint.dataPath as string)).toBe("live");
    thief.close();
  });

  test("of many that bind one address at once, one wins", async () => {
    const endpoint = endpoints.ipc();
    const servers = Array.from({ length: 8 }, () => new ZmqServer({ endpoint }));
    const results = await Promise.allSettled(servers.map((s) => s.start()));
    expect(results.filter((r) => r.status === "fulfilled")).toHaveLength(1);
    await connect(endpoint).ping({ timeoutMs: 20_000 });
    await Promise.all(servers.map((s) => s.close()));
    expect(filesOf(endpoint)).toEqual([]);
  });

  test("a guard left by a dead process does not keep others out", async () => {
    const endpoint = endpoints.ipc();
    mkdirSync(endpoint.socketDir, { recursive: true });
    writeFileSync(`${endpoint.dataPath}.bind`, "999999999");
    await serve({ endpoint });
    expect(existsSync(`${endpoint.dataPath}.bind`)).toBe(false);
  });

  test("a stranger on the TCP port is left alone", async () => {
    const endpoint = await endpoints.tcp();
    const stranger: Server = createServer((s) =>
      s.on("error", () => undefined).end("HTTP/1.1 400 Bad Request\r\n\r\n", () => s.destroy()),
    );
    await new Promise<void>((r) => stranger.listen(endpoint.controlPort, "127.0.0.1", r));
    await expect(new ZmqServer({ endpoint }).start()).rejects.toMatchObject({
      code: "ERR_ENDPOINT",
      retriable: true,
    });
    await expect(connect(endpoint).ping({ timeoutMs: 200 })).rejects.toMatchObject({ code: "ERR_TIMEOUT" });
    expect(stranger.listening).toBe(true);
    await new Promise((r) => stranger.close(r));
  });

  test("a folder that is gone in the meantime does not keep a server from closing", async () => {
    const endpoint = endpoints.ipc();
    const server = await serve({ endpoint });
    rmSync(endpoint.socketDir, { recursive: true });
    await server.close();
  });
});

describe("security", () => {
  test("an address that other hosts reach is refused without keys, on both sides", () => {
    for (const host of ["*", "0.0.0.0", "192.168.1.2", "example.org"]) {
      const endpoint = new Endpoint({ mode: "tcp", host });
      const message = `${host} is not this host alone, and control messages command the server: expected loopback (127.0.0.1, ::1), IPC, or CURVE keys`;
      expect(() => new ZmqServer({ endpoint })).toThrow(
        expect.objectContaining({ code: "ERR_ENDPOINT", message }),
      );
      expect(() => new ZmqClient({ endpoint })).toThrow(
        expect.objectContaining({ code: "ERR_ENDPOINT", message }),
      );
    }
  });

  test("with CURVE keys only clients on the list are served", async () => {
    const { port, config } = await endpoints.tcp();
    const [server, known, stranger] = await Promise.all([1, 2, 3].map(() => generateCurveKeys()));
    if (!server || !known || !stranger) throw new Error("no keys");
    const endpoint = new Endpoint({ mode: "tcp", host: "0.0.0.0", port, config });
    await serve({ endpoint, curve: { ...server, clients: [known.publicKey] } });
    const target = new Endpoint({ mode: "tcp", port, config });
    const keys = { serverKey: server.publicKey };
    await connect(target, { curve: { ...known, ...keys } }).ping({ timeoutMs: 20_000 });
    await expect(
      connect(target, { curve: { ...stranger, ...keys } }).ping({ timeoutMs: 300 }),
    ).rejects.toMatchObject({ code: "ERR_TIMEOUT" });
    await expect(connect(target).ping({ timeoutMs: 300 })).rejects.toMatchObject({ code: "ERR_TIMEOUT" });
  });
});

test.runIf(process.platform === "linux")("a process is known by its id and start time", () => {
  const own = thisProcess();
  expect(own?.pid).toBe(process.pid);
  if (own === undefined) return;
  expect(isAlive(own)).toBe(true);
  expect(isAlive({ ...own, create_time: own.create_time - 100 })).toBe(false);
  expect(processIdentity(2 ** 30)).toBeUndefined();
});
