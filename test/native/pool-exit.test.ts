// SPDX-License-Identifier: MIT
// However a process with a pool ends, short of kill -9, nothing of it stays in /dev/shm, and its exit status is what it would be without us.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const script = fileURLToPath(new URL("./pool-child.mjs", import.meta.url));

interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly ids: readonly string[];
}

/** Runs a child of pool-child.mjs to its end; `onPool` is called when the child has said its n-th pool. */
async function end(
  way: string,
  onPool: (child: ChildProcess, n: number) => void = () => {},
): Promise<Ending> {
  const child = spawn(process.execPath, [script, way], { stdio: ["ignore", "pipe", "ignore"] });
  const ids: string[] = [];
  createInterface({ input: child.stdout }).on("line", (id) => {
    ids.push(id);
    onPool(child, ids.length);
  });
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  return { code, signal, ids };
}

function left(ids: readonly string[]): string[] {
  return readdirSync("/dev/shm").filter((name) => ids.some((id) => name.startsWith(`tc-${id}-`)));
}

describe("a process with a pool leaves nothing in /dev/shm", () => {
  it.each([
    ["end of script", 0, 1],
    ["uncaught exception", 1, 1],
    ["unhandled rejection", 1, 1],
    ["process.exit", 3, 1],
    ["process.exit with a loan and a waiter", 3, 1],
    ["worker process.exit", 0, 1],
    ["worker end of script", 0, 1],
    ["worker uncaught exception", 0, 1],
    ["worker terminated while it waits", 0, 1],
    ["process.exit while workers have pools", 3, 1],
    ["many workers", 0, 6],
  ])("%s", async (way, code, pools) => {
    const ending = await end(way);
    expect(ending).toMatchObject({ code, signal: null });
    expect(ending.ids).toHaveLength(pools);
    expect(left(ending.ids)).toEqual([]);
  });

  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "%s, and it still dies of that signal",
    async (signal) => {
      let during: string[] = [];
      const ending = await end("stay", (child) => {
        during = readdirSync("/dev/shm").filter((name) => name.startsWith("tc-"));
        child.kill(signal);
      });
      expect(ending).toMatchObject({ code: null, signal });
      for (const name of ["c", "0", "1"]) expect(during).toContain(`tc-${ending.ids[0]}-${name}`);
      expect(left(ending.ids)).toEqual([]);
    },
  );

  it.each(["own handler", "own handler, added later"])(
    "%s of a signal decides, and the exit hook cleans up",
    async (way) => {
      // The handler is in place one turn after the id is printed.
      const ending = await end(way, (child) => setTimeout(() => child.kill("SIGTERM"), 100));
      expect(ending).toMatchObject({ code: 5, signal: null });
      expect(left(ending.ids)).toEqual([]);
    },
  );

  it("takes the signal over again, at the next pool, when a handler was removed", async () => {
    const ending = await end("own handler, removed again", (child, n) => {
      if (n === 2) child.kill("SIGTERM");
    });
    expect(ending).toMatchObject({ code: null, signal: "SIGTERM" });
    expect(left(ending.ids)).toEqual([]);
  });

  it("a signal after the only worker that had loaded the addon ended: its handler is still there", async () => {
    const ending = await end("signal after the only worker with the addon ended", (child, n) => {
      if (n === 2) child.kill("SIGTERM");
    });
    expect(ending).toMatchObject({ code: null, signal: "SIGTERM" });
    expect(left(ending.ids)).toEqual([]);
  });

  it("a signal while a worker thread has the pool", async () => {
    const ending = await end("signal while workers have pools", (child) => child.kill("SIGINT"));
    expect(ending).toMatchObject({ code: null, signal: "SIGINT" });
    expect(left(ending.ids)).toEqual([]);
  });
});

describe("a waiting callback", () => {
  it.each([
    ["keeps the process alive", "waiter keeps alive", 6],
    ["does not once it is withdrawn", "withdrawn waiter does not keep alive", 0],
    ["that throws is an uncaught exception, and its slot goes back", "throwing callback", 6],
  ])("%s", async (_, way, code) => {
    const ending = await end(way);
    expect(ending).toMatchObject({ code, signal: null });
    expect(left(ending.ids)).toEqual([]);
  });
});
