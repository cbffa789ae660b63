// SPDX-License-Identifier: MIT
// The child processes of pool-exit.test.ts: makes a pool, says its id, and ends in the way that its argument names.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

const file = fileURLToPath(import.meta.url);

/** The addon is loaded here, so that a main thread whose workers alone have pools does not hold it. */
function makePool() {
  const addon = createRequire(import.meta.url)("node-gyp-build")(join(dirname(file), "..", ".."));
  const pool = addon.TilePool.create(4096, 2);
  process.stdout.write(`${pool.id}\n`);
  return pool;
}

/** Leaves the process alive until somebody ends it. */
function stay() {
  setInterval(() => {}, 1 << 30);
}

const ways = {
  "end of script": () => {
    makePool();
  },
  "uncaught exception": () => {
    makePool();
    throw new Error("on purpose");
  },
  "unhandled rejection": () => {
    makePool();
    Promise.reject(new Error("on purpose"));
  },
  "process.exit": () => {
    makePool();
    process.exit(3);
  },
  "process.exit with a loan and a waiter": () => {
    const pool = makePool();
    pool.tryLoan();
    pool.tryLoan();
    pool.whenFree(() => {});
    setImmediate(() => process.exit(3));
  },
  stay: () => {
    makePool();
    stay();
  },
  "own handler": () => {
    process.on("SIGTERM", () => process.exit(5));
    makePool();
    stay();
  },
  "own handler, added later": () => {
    makePool();
    process.on("SIGTERM", () => process.exit(5));
    stay();
  },
  "own handler, removed again": () => {
    makePool();
    const handler = () => {};
    process.on("SIGTERM", handler);
    process.removeListener("SIGTERM", handler);
    makePool();
    stay();
  },
  "waiter keeps alive": () => {
    const pool = makePool();
    const loans = [pool.tryLoan(), pool.tryLoan()];
    pool.whenFree(() => process.exit(pool.tryLoan() ? 6 : 7));
    // Unreferenced: only the waiter keeps the loop going until it fires.
    setTimeout(() => pool.release(loans[0].slot, loans[0].generation), 50).unref();
  },
  "withdrawn waiter does not keep alive": () => {
    const pool = makePool();
    pool.tryLoan();
    pool.tryLoan();
    pool.whenFree(() => process.exit(7))();
  },
  "throwing callback": () => {
    const pool = makePool();
    process.on("uncaughtException", (error) => {
      process.exit(error.message === "from the callback" && pool.stats().free === 2 ? 6 : 7);
    });
    pool.whenFree(() => {
      throw new Error("from the callback");
    });
  },
  "worker process.exit": () => runWorker("exit"),
  "worker end of script": () => runWorker("end"),
  "worker uncaught exception": () => runWorker("throw"),
  "worker terminated while it waits": () => {
    const worker = runWorker("wait");
    worker.on("message", () => worker.terminate());
  },
  "process.exit while workers have pools": () => {
    runWorker("wait").on("message", () => process.exit(3));
  },
  "many workers": () => {
    for (let i = 0; i < 6; i++)
      runWorker(["exit", "end", "wait"][i % 3]).on("message", function () {
        this.terminate();
      });
  },
  "signal after the only worker with the addon ended": () => {
    runWorker("end").on("exit", () => process.stdout.write("ended\n"));
    stay();
  },
  "signal while workers have pools": () => {
    runWorker("wait");
    stay();
  },
};

function runWorker(way) {
  const worker = new Worker(file, { workerData: way });
  worker.on("error", () => {});
  return worker;
}

const workerWays = {
  exit: () => {
    makePool();
    process.exit(0);
  },
  end: () => {
    makePool();
  },
  throw: () => {
    makePool();
    throw new Error("on purpose");
  },
  wait: () => {
    const pool = makePool();
    pool.tryLoan();
    pool.tryLoan();
    pool.whenFree(() => {});
    parentPort.postMessage("waiting");
  },
};

(isMainThread ? ways[process.argv[2]] : workerWays[workerData])();
