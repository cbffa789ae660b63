// SPDX-License-Identifier: MIT
// The watcher's own work with looks and events that are scripted: when it looks, what it follows and asks, when it tells.

import { afterEach, describe, expect, test, vi } from "vitest";
import type { Scan } from "../../lib/manager/instance-model.js";
import type { Follow } from "../../lib/manager/progress-follower.js";
import { InstanceWatcher, type InstanceWatcherOptions, type TreeUpdate } from "../../lib/manager/watcher.js";
import type { ExecutionRecord, ReceivedProgress } from "../../lib/runtime/index.js";
import { event, ready, runningNow, scan } from "./events.js";

const watchers: InstanceWatcher[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const watcher of watchers.splice(0)) await watcher.close();
});

function watch(options: Partial<InstanceWatcherOptions> & Pick<InstanceWatcherOptions, "look">) {
  const watcher = new InstanceWatcher({ follow: nothing, ...options });
  watchers.push(watcher);
  const told: TreeUpdate[] = [];
  watcher.subscribe((update) => told.push(update));
  return { watcher, told };
}
const nothing: Follow = () => ({
  status: async () => undefined,
  cancel: async () => false,
  async [Symbol.asyncDispose]() {},
});

describe("looking", () => {
  test("pauses grow while nothing changes, and are short while something runs", async () => {
    vi.useFakeTimers();
    let now: Scan = scan();
    let looks = 0;
    const { watcher } = watch({
      intervalMs: 100,
      maxIntervalMs: 1000,
      look: async () => {
        looks++;
        return now;
      },
    });
    const during = async (ms: number) => {
      const before = looks;
      await vi.advanceTimersByTimeAsync(ms);
      return looks - before;
    };
    watcher.start();
    await during(10_000);
    expect(await during(10_000)).toBe(10);
    now = scan(ready({ running_executions: [runningNow("e1")] }));
    await during(1000);
    expect(await during(2000)).toBe(20);
    now = scan(ready());
    await during(10_000);
    expect(await during(10_000)).toBe(10);
    await watcher.stop();
    expect(await during(10_000)).toBe(0);
    watcher.start();
    expect(await during(150)).toBe(2);
  });

  test("looks never overlap, and those who ask at once share one that began after they asked", async () => {
    const open: ((found: Scan) => void)[] = [];
    const { watcher } = watch({ look: () => new Promise((resolve) => open.push(resolve)) });
    const one = watcher.refresh();
    await vi.waitFor(() => expect(open).toHaveLength(1));
    const [two, three] = [watcher.refresh(), watcher.refresh()];
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(open).toHaveLength(1);
    open[0]?.(scan());
    await one;
    await vi.waitFor(() => expect(open).toHaveLength(2));
    open[1]?.(scan(ready()));
    await Promise.all([two, three]);
    expect(open).toHaveLength(2);
    expect(watcher.tree.servers).toHaveLength(1);
  });

  test("a look that fails keeps the tree and says why; the next one mends it", async () => {
    const looks = [scan(ready()), new Error("no package zeromq"), scan(ready())];
    const { watcher, told } = watch({
      look: async () => {
        const next = looks.shift();
        if (next instanceof Error) throw next;
        return next as Scan;
      },
    });
    await watcher.refresh();
    await expect(watcher.refresh()).rejects.toThrow("no package zeromq");
    expect(watcher.tree).toMatchObject({ error: "no package zeromq", servers: [{ port: 7777, missed: 0 }] });
    await watcher.refresh();
    expect(told.map(({ tree, changes }) => [tree.version, tree.error, changes.length])).toEqual([
      [1, null, 1],
      [2, "no package zeromq", 0],
      [3, null, 0],
    ]);
  });

  test("a listener that throws keeps nobody else from being told", async () => {
    const { watcher } = watch({ look: async () => scan(ready()) });
    const thrown = new Promise((resolve) => process.once("uncaughtException", resolve));
    const others = process.listeners("uncaughtException").slice(0, -1);
    for (const each of others) process.off("uncaughtException", each);
    try {
      let told = 0;
      watcher.subscribe(() => {
        throw new Error("a view's own fault");
      });
      watcher.subscribe(() => told++);
      await watcher.refresh();
      expect(told).toBe(1);
      await expect(thrown).resolves.toMatchObject({ message: "a view's own fault" });
    } finally {
      for (const each of others) process.on("uncaughtException", each);
    }
  });

  test("closing ends a look that is under way", async () => {
    let signal: AbortSignal | undefined;
    const { watcher } = watch({
      look: (given) =>
        new Promise((_, reject) => {
          signal = given;
          given.addEventListener("abort", () => reject(given.reason));
        }),
    });
    watcher.start();
    await vi.waitFor(() => expect(signal).toBeDefined());
    await watcher.close();
    expect(signal?.aborted).toBe(true);
    await expect(watcher.refresh()).rejects.toMatchObject({ code: "ERR_CANCELLED" });
  });
});

describe("following", () => {
  function followed() {
    const open = new Map<string, (event: ReceivedProgress) => void>();
    const asked: string[] = [];
    const records = new Map<string, ExecutionRecord>();
    let opened = 0;
    const follow: Follow = (endpoint, onEvent) => {
      opened++;
      open.set(String(endpoint.port), onEvent);
      return {
        async status(id) {
          asked.push(id);
          return records.get(id);
        },
        cancel: async () => true,
        async [Symbol.asyncDispose]() {
          open.delete(String(endpoint.port));
        },
      };
    };
    return { follow, open, asked, records, opened: () => opened };
  }

  test("a thousand events at once are told once, and stale ones not at all", async () => {
    vi.useFakeTimers();
    const { follow, open } = followed();
    const { watcher, told } = watch({ follow, look: async () => scan(ready()) });
    watcher.start();
    await vi.advanceTimersByTimeAsync(0);
    expect(told).toHaveLength(1);
    for (let i = 1; i <= 1000; i++)
      open.get("7777")?.(event({ phase: "running", completed: i, total: 1000, progress_sequence: i }));
    expect(told).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(100);
    expect(told).toHaveLength(2);
    expect(told[1]?.tree.servers[0]?.children).toMatchObject([{ percent: 100 }]);
    open.get("7777")?.(event({ phase: "running", completed: 1, total: 1000, progress_sequence: 1 }));
    await vi.advanceTimersByTimeAsync(100);
    expect(told).toHaveLength(2);
  });

  test("a server is followed by one connection as long as it is the same process", async () => {
    vi.useFakeTimers();
    const { follow, open, opened } = followed();
    let found = [
      ready(),
      ready({ server_role: "viewer", server_type: "napari", running_executions: undefined }, 5555),
    ];
    const { watcher } = watch({ follow, intervalMs: 100, look: async () => scan(...found) });
    watcher.start();
    await vi.advanceTimersByTimeAsync(3000);
    expect([[...open.keys()], opened()]).toEqual([["7777"], 1]);
    found = [ready({ process_identity: { pid: 101, create_time: 1_790_000_100 } })];
    await vi.advanceTimersByTimeAsync(1000);
    expect([[...open.keys()], opened()]).toEqual([["7777"], 2]);
    found = [];
    await vi.advanceTimersByTimeAsync(1000);
    expect([...open.keys()]).toEqual([]);
  });

  test("the server is asked how an execution ended that it no longer names", async () => {
    const { follow, asked, records } = followed();
    const looks = [scan(ready({ running_executions: [runningNow("e1")] })), scan(ready()), scan(ready())];
    const { watcher } = watch({ follow, look: async () => looks.shift() as Scan });
    await watcher.refresh();
    records.set("e1", {
      ...{ execution_id: "e1", plate_id: "p", client_address: null, status: "failed", compile_only: false },
      ...{ start_time: 1, end_time: 2, error: "no such channel" },
    });
    await watcher.refresh();
    await watcher.refresh();
    expect(asked).toEqual(["e1"]);
    expect(watcher.tree.servers[0]?.children).toMatchObject([{ state: "failed", error: "no such channel" }]);
  });

  test("what is not there cannot be ended, cancelled or read", async () => {
    const { watcher } = watch({ look: async () => scan(ready()) });
    await watcher.refresh();
    const gone = { code: "ERR_INSTANCE" };
    await expect(watcher.quit("ipc-tilecast-1")).rejects.toMatchObject(gone);
    await expect(watcher.forceQuit("../7777")).rejects.toMatchObject(gone);
    await expect(watcher.cancel("ipc-tilecast-7777/e9")).rejects.toMatchObject(gone);
    await expect(watcher.log("ipc-tilecast-7777")).rejects.toMatchObject({
      message: "ipc-tilecast-7777 names no log",
    });
  });
});
