// SPDX-License-Identifier: MIT
// The watcher over real servers, viewers and processes: what is seen of them, how they are ended, and what is left alone.

import { spawn } from "node:child_process";
import { mkdirSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { readLogTail } from "../../lib/manager/log-tail.js";
import type { ExecutionNode, ServerNode } from "../../lib/manager/node.js";
import { serverKey } from "../../lib/manager/server-info.js";
import { InstanceWatcher, type InstanceWatcherOptions } from "../../lib/manager/watcher.js";
import {
  type Endpoint,
  Endpoint as EndpointClass,
  ExecutionClient,
  type ExecutionContext,
  ExecutionServer,
  type FoundServer,
  type Pong,
  probeEndpoint,
  StartupJournal,
  type ZmqConfig,
  ZmqServer,
} from "../../lib/runtime/index.js";
import { processIdentity } from "../../lib/runtime/process-identity.js";
import { NullReceiver } from "../../lib/streaming/index.js";
import { temporaryFolders } from "../helpers/folder.js";
import { testEndpoints, until } from "../runtime/endpoints.js";
import { childServers, exitOf } from "./child.js";

const endpoints = testEndpoints();
const children = childServers();
const folder = temporaryFolders();
const watchers: InstanceWatcher[] = [];
afterEach(async () => {
  for (const watcher of watchers.splice(0)) await watcher.close();
});

/** Answers are waited for long, since the machine may be busy. */
function watch(config: ZmqConfig, options: Partial<InstanceWatcherOptions> = {}): InstanceWatcher {
  const watcher = new InstanceWatcher({
    ...{ configs: [config], tcp: false, timeoutMs: 5000, intervalMs: 50, notifyMs: 10 },
    ...options,
  });
  watchers.push(watcher);
  return watcher;
}
const at = (config: ZmqConfig, port = 7777) => new EndpointClass({ mode: "ipc", port, config });
const one = ({ tree }: InstanceWatcher): ServerNode => tree.servers[0] as ServerNode;
const executions = (watcher: InstanceWatcher) => (one(watcher)?.children ?? []) as ExecutionNode[];

describe.each(["C", "D"] as const)("executions of a server of generation %s", (generation) => {
  test("are followed from the queue to their ends", async () => {
    const config = endpoints.config();
    const working: { context: ExecutionContext; end: (error?: Error) => void }[] = [];
    const launch = { code_root: "/", owner: { pid: 1, create_time: 1 }, audience: "any_session" } as const;
    endpoints.keep(
      await new ExecutionServer({
        endpoint: at(config),
        generation,
        ...(generation === "D" && { launch }),
        execute: (_, context) =>
          new Promise((resolve, reject) => {
            context.signal.addEventListener("abort", () => reject(new Error("cancelled")));
            working.push({ context, end: (error) => (error ? reject(error) : resolve(undefined)) });
          }),
      }).start(),
    );
    const watcher = watch(config);
    watcher.start();
    const client = endpoints.keep(new ExecutionClient({ endpoint: at(config), generation }));
    const request = { pipeline_code: "x", config_params: {} };
    const ids: string[] = [];
    for (const plate_id of ["/data/one", "/data/two", "/data/three", "/data/four"])
      ids.push(await client.submit({ ...request, plate_id, compile_only: plate_id === "/data/four" }));
    const said = () => executions(watcher).map((e) => `${e.label} ${e.state} ${e.position} ${e.percent}`);
    await until(() => said().length === 4 && executions(watcher)[0]?.state === "running");
    expect(said()).toEqual([
      "one running null null",
      "two queued 1 null",
      "three queued 2 null",
      "four queued 3 null",
    ]);
    expect(one(watcher)).toMatchObject({
      type: "execution",
      state: "ready",
      generation,
      running: 1,
      queued: 3,
    });

    const { context, end } = working[0] as (typeof working)[0];
    const wells = { total_wells: ["A01", "A02"], step_names: ["blur", "measure"] };
    context.progress({ phase: "init", status: "started", completed: 0, total: 4, ...wells });
    const well = { axis_id: "A01", step_name: "measure" };
    context.progress({ ...well, phase: "axis_started", status: "running", completed: 1, total: 2 });
    context.progress({
      axis_id: "A02",
      phase: "axis_error",
      status: "error",
      error: "bad",
      completed: 0,
      total: 2,
    });
    await until(() => executions(watcher)[0]?.failed === 1);
    expect(executions(watcher)[0]).toMatchObject({
      percent: 25,
      children: [
        { label: "A01", state: "running", percent: 50, children: [{ state: "done" }, { state: "running" }] },
        { label: "A02", state: "failed", error: "bad" },
      ],
    });
    expect(await watcher.cancel(`${one(watcher).key}/${ids[1]}`)).toBe(true);
    end();
    await until(() => working.length === 2);
    working[1]?.end(new Error("out of disk"));
    await until(() => working.length === 3);
    working[2]?.end();
    await until(
      () => executions(watcher).length === 4 && executions(watcher).every((e) => e.endedAt !== null),
    );
    expect(Object.fromEntries(executions(watcher).map((e) => [e.label, e]))).toMatchObject({
      one: { state: "complete", percent: 100, wells: { total: 2, done: 1, failed: 1 } },
      two: { state: "cancelled" },
      three: { state: "failed", error: "out of disk", failed: 1 },
      four: { state: "compiled", compileOnly: true },
    });
  });
});

describe("viewers", () => {
  test("show what they hold, and are gone from the tree when they have been quit", async () => {
    const config = endpoints.config();
    const receiver = endpoints.keep(await new NullReceiver({ endpoint: at(config, 5555) }).start());
    const watcher = watch(config);
    await watcher.refresh();
    expect(one(watcher)).toMatchObject({
      ...{
        key: "ipc-tilecast-5555",
        type: "viewer",
        role: "napari",
        label: "NullReceiver 5555",
        pid: process.pid,
      },
      viewer: { planes: 0, queued: 0, resident: 0, memoryBudgetMb: 0 },
      actions: ["quit", "force-quit"],
    });
    expect(one(watcher).memoryMb).toBeGreaterThan(10);
    const states: unknown[] = [];
    watcher.subscribe(({ tree }) => states.push(tree.servers[0]?.busy));
    await watcher.quit("ipc-tilecast-5555");
    await receiver.closed;
    expect(states).toEqual(["quit", undefined]);
    await expect(watcher.quit("ipc-tilecast-5555")).rejects.toMatchObject({ code: "ERR_INSTANCE" });
  });

  test("one that is being started shows its journal's last words, not for ever", async () => {
    const config = endpoints.config();
    const path = join(at(config).socketDir, "startup-5555-0123-abc.jsonl");
    const journal = new StartupJournal(path);
    journal.emit("starting_process", "started");
    journal.emit("importing_runtime", "importing napari");
    const watcher = watch(config);
    await watcher.refresh();
    expect(one(watcher)).toMatchObject({ state: "launching", why: "importing napari", port: 5555 });
    // Its starter was killed, else it would have removed it.
    const longAgo = Date.now() / 1000 - 3600;
    utimesSync(path, longAgo, longAgo);
    await watcher.refresh();
    expect(watcher.tree.servers).toEqual([]);
    journal.emit("failed", "no display");
    await watcher.refresh();
    expect(watcher.tree.servers).toEqual([]);
  });
});

describe("processes", () => {
  test("one that is killed leaves its sockets, and is gone after two looks", async () => {
    const config = endpoints.config();
    const child = await children.start("viewer", at(config));
    const watcher = watch(config);
    await watcher.refresh();
    expect(one(watcher)).toMatchObject({ state: "ready", pid: child.pid });
    child.kill("SIGKILL");
    await exitOf(child);
    await watcher.refresh();
    expect(one(watcher)).toMatchObject({ state: "stale", pid: null, actions: [] });
    await watcher.refresh();
    expect(watcher.tree.servers).toEqual([]);
  });

  test("one that is suspended hangs, is not quit, and is killed by force; its neighbour lives", async () => {
    const config = endpoints.config();
    const [child, other] = await Promise.all([
      children.start("execution", at(config)),
      children.start("viewer", at(config, 5555)),
    ]);
    const watcher = watch(config, { timeoutMs: 500 });
    const key = serverKey(at(config));
    const node = () => watcher.tree.servers.find((s) => s.key === key);
    // A busy machine may need longer for an answer.
    const becomes = (state: string) =>
      until(async () => {
        await watcher.refresh();
        return node()?.state === state;
      });
    await becomes("ready");
    child.kill("SIGSTOP");
    await becomes("hung");
    expect(node()).toMatchObject({
      state: "hung",
      type: "execution",
      pid: child.pid,
      actions: ["force-quit"],
    });
    await expect(watcher.quit(key)).rejects.toMatchObject({ code: "ERR_INSTANCE" });
    expect(node()?.busy).toBeNull();
    await watcher.forceQuit(key);
    expect(await exitOf(child)).toMatch(/^SIG(KILL|TERM)$/);
    expect(other.exitCode ?? other.signalCode).toBeNull();
  });

  test("one that was suspended before anybody saw it is not killed: nobody knows whose it is", async () => {
    const config = endpoints.config();
    const child = await children.start("execution", at(config));
    child.kill("SIGSTOP");
    const watcher = watch(config, { timeoutMs: 500 });
    await watcher.refresh();
    expect(one(watcher)).toMatchObject({ state: "hung", pid: null, actions: [] });
    await expect(watcher.forceQuit(one(watcher).key)).rejects.toMatchObject({
      code: "ERR_INSTANCE",
      message: expect.stringContaining("nothing proves which process it is"),
    });
    child.kill("SIGCONT");
    expect(child.exitCode ?? child.signalCode).toBeNull();
  });

  test("another one that has the address by now is not ended", async () => {
    const config = endpoints.config();
    const seen = await children.start("viewer", at(config));
    // Each knows only the first: an attempt shows it who is there now.
    const [one, two] = [watch(config), watch(config)];
    await Promise.all([one.refresh(), two.refresh()]);
    seen.kill("SIGKILL");
    await exitOf(seen);
    const other = await children.start("viewer", at(config));
    const refused = {
      code: "ERR_INSTANCE",
      message: expect.stringContaining(`process ${other.pid} has its address by now`),
    };
    await expect(one.quit(serverKey(at(config)))).rejects.toMatchObject(refused);
    await expect(two.forceQuit(serverKey(at(config)))).rejects.toMatchObject(refused);
    expect(other.exitCode ?? other.signalCode).toBeNull();
    expect(two.tree.servers).toMatchObject([{ state: "ready", pid: other.pid }]);
  });

  test("the manager's own process is never killed", async () => {
    const config = endpoints.config();
    endpoints.keep(await new NullReceiver({ endpoint: at(config) }).start());
    const watcher = watch(config);
    await watcher.refresh();
    await expect(watcher.forceQuit(one(watcher).key)).rejects.toMatchObject({
      message: expect.stringContaining("it is this very process"),
    });
  });
});

describe("over TCP, where any user could answer", () => {
  const lookAt = (endpoint: Endpoint) => async () => {
    const state = await probeEndpoint(endpoint, { timeoutMs: 5000 });
    return { found: state.state === "absent" ? [] : [{ endpoint, state } as FoundServer], at: Date.now() };
  };

  test("a process that listens on its port is ended", async () => {
    const endpoint = await endpoints.tcp();
    const child = await children.start("viewer", endpoint);
    const watcher = watch(endpoint.config, { look: lookAt(endpoint) });
    await watcher.refresh();
    await watcher.forceQuit(serverKey(endpoint));
    expect(await exitOf(child)).toBe(0);
    expect(watcher.tree.servers).toEqual([]);
  });

  test("a server that names another's process does not get it killed", async () => {
    const victim = children.keep(spawn("sleep", ["600"]));
    const identity = processIdentity(victim.pid as number);
    expect(identity).toBeDefined();
    class Liar extends ZmqServer {
      protected override pong(): Pong {
        return { ...super.pong(), process_identity: identity };
      }
    }
    const endpoint = await endpoints.tcp();
    endpoints.keep(await new Liar({ endpoint }).start());
    const watcher = watch(endpoint.config, { look: lookAt(endpoint) });
    await watcher.refresh();
    expect(one(watcher)).toMatchObject({ pid: victim.pid });
    await expect(watcher.forceQuit(one(watcher).key)).rejects.toMatchObject({
      code: "ERR_INSTANCE",
      message: expect.stringContaining("does not listen on its port"),
    });
    expect(victim.exitCode ?? victim.signalCode).toBeNull();
  });
});

describe("logs", () => {
  test("the end of a server's own log, in whole lines", async () => {
    const config = endpoints.config();
    const path = join(folder(), "viewer.log");
    const lines = Array.from({ length: 10_000 }, (_, i) => `line ${i} µ\n`);
    writeFileSync(path, lines.join(""));
    await children.start("viewer", at(config), path);
    const watcher = watch(config);
    await watcher.refresh();
    expect(one(watcher).hasLog).toBe(true);
    const tail = await watcher.log(one(watcher).key, 1000);
    const expected = lines.slice(-tail.text.split("\n").length + 1).join("");
    expect(tail).toEqual({ path, size: Buffer.byteLength(lines.join("")), text: expected, isCut: true });
    expect(Buffer.byteLength(tail.text)).toBeGreaterThan(980);
    expect(Buffer.byteLength(tail.text)).toBeLessThanOrEqual(1000);
    expect(Buffer.byteLength((await watcher.log(one(watcher).key)).text)).toBeLessThanOrEqual(65_536);
  });

  test("what is no regular file of the user's own is not read, however it is named", async () => {
    const dir = folder();
    const secret = join(dir, "secret");
    writeFileSync(secret, "secret");
    symlinkSync(secret, join(dir, "link"));
    mkdirSync(join(dir, "folder"));
    const fifo = join(dir, "fifo");
    await exitOf(children.keep(spawn("mkfifo", [fifo])));
    for (const [path, why] of [
      [join(dir, "link"), "is a link"],
      [join(dir, "folder"), "is no regular file"],
      [fifo, "is no regular file"],
      ["/dev/zero", "is no regular file"],
      [join(dir, "absent"), "cannot be read"],
      ["secret", "is not named by an absolute path"],
    ] as const)
      await expect(readLogTail(path)).rejects.toMatchObject({
        code: "ERR_IO",
        message: expect.stringContaining(why),
      });
    if (process.getuid?.() === 0) {
      await exitOf(children.keep(spawn("chown", ["nobody", secret])));
      await expect(readLogTail(secret)).rejects.toMatchObject({
        message: expect.stringContaining("another user"),
      });
    } else
      await expect(readLogTail("/etc/passwd")).rejects.toMatchObject({
        message: expect.stringContaining("another user"),
      });
  });

  test("an endless file is read only so far", async () => {
    const path = join(folder(), "sparse");
    writeFileSync(path, "");
    truncateSync(path, 2 ** 40);
    expect((await readLogTail(path, 2 ** 40)).text).toHaveLength(2 ** 20);
  });
});
