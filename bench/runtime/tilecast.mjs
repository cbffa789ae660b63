// SPDX-License-Identifier: MIT
// Times requests of tilecast/runtime (`tilecast`), or of bare ZeroMQ sockets (`limit`); prints milliseconds of each.

import { fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Reply, Request } from "zeromq";
import { ExecutionClient, ExecutionServer, writePickle, zmqConfigs } from "../../dist/runtime/index.js";

const [program, requests, given] = process.argv.slice(2);
/** A server is started by its client, in the client's folder. */
const isServer = given !== undefined;
const folder = given ?? mkdtempSync(join(tmpdir(), "tilecast-bench-"));
const count = Number(requests);
const endpoint = { mode: "ipc", port: 7777, config: { ...zmqConfigs.tilecast, ipcSocketDir: folder } };
const request = { plate_id: "p", pipeline_code: "x = 1", config_code: "config = 1" };
const bare = `ipc://${folder}/bare.sock`;
/** About what a pong has. */
const pongBytes = 600;

async function timed(times, work) {
  const taken = [];
  for (let i = 0; i < times; i++) {
    const began = performance.now();
    await work();
    taken.push(performance.now() - began);
  }
  return taken;
}

const servers = {
  tilecast: () => new ExecutionServer({ endpoint, execute: async () => undefined }).start(),
  limit: async () => {
    const socket = new Reply();
    await socket.bind(bare);
    (async () => {
      for await (const _ of socket) await socket.send(Buffer.alloc(pongBytes));
    })();
  },
};

const clients = {
  async tilecast() {
    const client = new ExecutionClient({ endpoint });
    const ping = () => client.ping({ timeoutMs: 5000 });
    await timed(count, ping);
    return {
      ping: await timed(count, ping),
      submit: await timed(count, () => client.submit(request)),
      complete: await timed(Math.ceil(count / 20), () => client.run(request)),
    };
  },
  async limit() {
    const socket = new Request();
    socket.connect(bare);
    const message = writePickle({ type: "ping" });
    const exchange = async () => {
      await socket.send(message);
      await socket.receive();
    };
    await timed(count, exchange);
    return { ping: await timed(count, exchange) };
  },
};

if (isServer) {
  await servers[program]();
  process.send("ready");
} else {
  const server = fork(fileURLToPath(import.meta.url), [program, requests, folder]);
  await new Promise((resolve) => server.once("message", resolve));
  process.stdout.write(`${JSON.stringify(await clients[program]())}\n`, () => {
    server.kill();
    rmSync(folder, { recursive: true, force: true });
    process.exit();
  });
}
