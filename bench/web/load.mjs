// SPDX-License-Identifier: MIT
// One trial: starts a server, sends it the requests of each case over kept connections, and prints rates, latencies, memory and CPU time as JSON.

import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { cases } from "./requests.mjs";

/** `{ server: command, nginx, folder, names, connections, seconds }` */
const task = JSON.parse(process.argv[2]);

/** Starts it and resolves with its address. nginx prints none: its port is chosen here. */
async function start() {
  if (!task.nginx) {
    const child = spawn(task.server[0], task.server.slice(1), { stdio: ["pipe", "pipe", "inherit"] });
    const address = await new Promise((resolve, reject) => {
      child.stdout.once("data", (text) => resolve(String(text).trim()));
      child.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    });
    return { child, address };
  }
  const probe = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => probe.once("listening", resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  const home = process.env.TMPDIR;
  const conf = join(home, "nginx.conf");
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (t) => `${t}_temp_path ${home}/${t};`,
  );
  writeFileSync(
    conf,
    `daemon off; master_process off; pid ${home}/nginx.pid; error_log stderr crit;
events { worker_connections 1024; }
http { ${temporary.join(" ")} access_log off; sendfile on; keepalive_requests 1000000000;
  server { listen 127.0.0.1:${port}; root ${task.folder}; } }`,
  );
  const child = spawn("nginx", ["-c", conf, "-e", "stderr"], { stdio: ["pipe", "ignore", "inherit"] });
  for (let tries = 0; ; tries++) {
    const there = await new Promise((resolve) => {
      const socket = connect(port, "127.0.0.1", () => socket.end(() => resolve(true)));
      socket.once("error", () => resolve(false));
    });
    if (there) break;
    if (tries === 100 || child.exitCode !== null) throw new Error("nginx does not listen");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { child, address: `http://127.0.0.1:${port}/` };
}

/** Seconds of CPU that a process has taken, and the most memory it had, MB. */
function costOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  const peak = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1];
  return { cpuS: (Number(fields[11]) + Number(fields[12])) / 100, peakMb: Number(peak) / 1024 };
}

const separator = Buffer.from("\r\n\r\n");
// The kernel's receive buffer is emptied into one piece of memory: what a client costs is not what is measured.
const shared = Buffer.allocUnsafe(2 ** 20);

/** A connection that asks for one thing after another. `ask(text)` resolves with `{ status, head, bytes, ms, sum }`. */
function connection(url) {
  let waiting;
  let head = Buffer.alloc(0);
  let left = -1;
  const take = (piece) => {
    if (left >= 0) left -= piece.length;
    else {
      const all = head.length === 0 ? piece : Buffer.concat([head, piece]);
      const at = all.indexOf(separator);
      if (at < 0) {
        // The piece's memory is the next one's too.
        head = Buffer.from(all);
        return;
      }
      head = Buffer.alloc(0);
      waiting.head = all.latin1Slice(0, at);
      waiting.status = Number(waiting.head.slice(9, 12));
      waiting.bytes = waiting.status === 304 ? 0 : Number(/content-length: (\d+)/i.exec(waiting.head)?.[1]);
      left = waiting.bytes - (all.length - at - 4);
    }
    if (left > 0) return;
    const done = waiting;
    waiting = undefined;
    const surplus = left;
    left = -1;
    done.ms = performance.now() - done.began;
    if (surplus !== 0 || Number.isNaN(done.bytes))
      done.reject(new Error(`${surplus} bytes too many after ${done.head}`));
    else done.resolve(done);
  };
  const socket = connect({
    host: "127.0.0.1",
    port: Number(url.port),
    noDelay: true,
    onread: {
      buffer: shared,
      callback: (size, buffer) => {
        take(buffer.subarray(0, size));
        return true;
      },
    },
  });
  socket.once("close", () => waiting?.reject(new Error("the server closed the connection")));
  socket.once("error", (error) => waiting?.reject(error));
  return {
    ask: (text) =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject, began: performance.now() };
        socket.write(text);
      }),
    close: () => socket.destroy(),
  };
}

function textOf(url, { path, range }, tag) {
  const lines = [`GET ${url.pathname}${path} HTTP/1.1`, `Host: ${url.host}`];
  if (range) lines.push(`Range: bytes=${range[0]}-${range[0] + range[1] - 1}`);
  if (tag) lines.push(`If-None-Match: ${tag}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}

const rank = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];

/** Every byte of an answer is compared once, by an ordinary client. */
async function verify(url, { path, range, bytes, known }) {
  if (known || task.unchecked) return;
  const headers = range ? { Range: `bytes=${range[0]}-${range[0] + range[1] - 1}` } : {};
  const got = Buffer.from(await (await fetch(new URL(path, url), { headers })).arrayBuffer());
  const file = readFileSync(join(task.folder, path));
  if (!got.equals(range ? file.subarray(range[0], range[0] + range[1]) : file) || got.length !== bytes)
    throw new Error(`wrong bytes of ${path}`);
}

const { child, address } = await start();
const url = new URL(address);
const results = {};
try {
  for (const name of task.names) {
    const wanted = cases[name];
    const clients = Array.from({ length: task.connections }, () => connection(url));
    const texts = [];
    for (const [i, request] of wanted.entries()) {
      await verify(url, request);
      const tag = request.known
        ? /etag: (.+)/i.exec((await clients[0].ask(textOf(url, request))).head)?.[1]?.trim()
        : undefined;
      texts[i] = textOf(url, request, tag);
    }
    const latencies = [];
    let next = 0;
    const work = async (client, until) => {
      while (performance.now() < until) {
        const i = next++ % wanted.length;
        const { status, bytes, ms } = await client.ask(texts[i]);
        const { range, known, bytes: expected } = wanted[i];
        if (status !== (known ? 304 : range ? 206 : 200) || bytes !== expected)
          throw new Error(`${name}: status ${status}, ${bytes} bytes`);
        latencies.push(ms);
      }
    };
    const warm = performance.now() + 1000 * Math.min(0.5, task.seconds / 4);
    await Promise.all(clients.map((client) => work(client, warm)));
    latencies.length = 0;
    const before = costOf(child.pid);
    const began = performance.now();
    await Promise.all(clients.map((client) => work(client, began + task.seconds * 1000)));
    const seconds = (performance.now() - began) / 1000;
    const after = costOf(child.pid);
    for (const client of clients) client.close();
    latencies.sort((a, b) => a - b);
    results[name] = {
      perSecond: latencies.length / seconds,
      requests: latencies.length,
      p50: rank(latencies, 0.5),
      p99: rank(latencies, 0.99),
      cpuUs: (1e6 * (after.cpuS - before.cpuS)) / latencies.length,
      peakMb: after.peakMb,
    };
  }
} finally {
  child.kill();
}
console.log(JSON.stringify(results));
