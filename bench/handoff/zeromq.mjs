// SPDX-License-Identifier: MIT
// zeromq.js in the handoff benchmark: the image's bytes through a pair of sockets, to another process (ipc) or inside this one (inproc).

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Pair } from "zeromq";
import { look, mark, measure, task } from "./common.mjs";

async function answer(socket) {
  for await (const [image] of socket) {
    if (image.length === 0) break;
    await socket.send(String(look(image)));
  }
  socket.close();
}

async function open(bytes, transport) {
  const folder = mkdtempSync(join(tmpdir(), "tilecast-bench-"));
  const endpoint = transport === "ipc" ? `ipc://${join(folder, "s")}` : `inproc://${bytes}`;
  const socket = new Pair();
  await socket.bind(endpoint);
  let gone;
  if (transport === "ipc") {
    const program = fileURLToPath(import.meta.url);
    const child = spawn(process.execPath, [program, "--answer", endpoint], { stdio: "inherit" });
    gone = once(child, "exit");
  } else {
    const other = new Pair();
    other.connect(endpoint);
    gone = answer(other);
  }
  // Sent without a copy, so the next image is another buffer.
  const images = [Buffer.alloc(bytes), Buffer.alloc(bytes)];
  let image;
  return {
    prepare(n) {
      image = images[n % 2];
      return mark(image, n);
    },
    async handOver() {
      await socket.send(image);
      const [reply] = await socket.receive();
      return Number(reply.toString());
    },
    async close() {
      await socket.send("");
      await gone;
      socket.close();
      rmSync(folder, { recursive: true });
    },
  };
}

if (process.argv[2] === "--answer") {
  const socket = new Pair();
  socket.connect(process.argv[3]);
  await answer(socket);
} else await measure(task(), (bytes) => open(bytes, process.argv[2]));
