// SPDX-License-Identifier: MIT
// worker_threads in the handoff benchmark: an ArrayBuffer transferred there and back, or a SharedArrayBuffer that both sides have.

import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { look, mark, measure, task } from "./common.mjs";

if (isMainThread) {
  const shared = process.argv[2] === "shared";
  await measure(task(), async (bytes) => {
    const worker = new Worker(new URL(import.meta.url));
    let buffer = shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);
    let arrived;
    worker.on("message", (message) => arrived(message));
    return {
      prepare: (n) => mark(new Uint8Array(buffer), n),
      async handOver() {
        const reply = new Promise((resolve) => {
          arrived = resolve;
        });
        worker.postMessage({ buffer }, shared ? [] : [buffer]);
        const { found, back } = await reply;
        if (!shared) buffer = back;
        return found;
      },
      close: () => worker.terminate(),
    };
  });
} else {
  parentPort.on("message", ({ buffer }) => {
    const found = look(new Uint8Array(buffer));
    const own = buffer instanceof ArrayBuffer;
    parentPort.postMessage({ found, ...(own ? { back: buffer } : {}) }, own ? [buffer] : []);
  });
}
