// SPDX-License-Identifier: MIT
// The development benchmarks' harness with real processes: what fails or hangs is a row with the reason, and nothing is left behind.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { parseResult } from "../../lib/bench/result.js";
import { temporaryFolders } from "../helpers/folder.js";
import { repository } from "../helpers/shared.js";

const folder = temporaryFolders();
const question = join(repository, "test", "bench", "question.mjs");
const started: ChildProcess[] = [];

afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
});

/** Starts the question with a temporary folder of its own. */
function ask(...args: string[]) {
  const temporary = folder();
  const held = join(folder(), "held.json");
  const child = spawn(process.execPath, [question, "--max-wait", "0", ...args], {
    env: { ...process.env, TMPDIR: temporary, TILECAST_BENCH_DIR: folder(), HELD: held },
  });
  started.push(child);
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const ended = once(child, "close").then(([code]) => ({ code: code as number, stdout, stderr }));
  return { child, temporary, held, ended };
}

const running = (pid: number) => {
  try {
    process.kill(pid, 0);
    // A zombie that nobody has waited for yet is gone as well.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
};

/** What the hanging program held is gone: its memory, its processes, its files. */
async function expectNothingLeft(held: string, temporary: string) {
  const { pool, pid, other } = JSON.parse(readFileSync(held, "utf8"));
  for (let i = 0; i < 100 && (running(pid) || running(other)); i++) await delay(50);
  expect([running(pid), running(other)]).toEqual([false, false]);
  expect(readdirSync("/dev/shm").filter((name) => name.includes(pool))).toEqual([]);
  expect(readdirSync(temporary)).toEqual([]);
}

describe("a development benchmark", () => {
  test("names whoever is missing, fails or hangs in a row, and leaves nothing of theirs", async () => {
    const out = folder();
    const [json, html] = [join(out, "r.json"), join(out, "r.html")];
    const { ended, held, temporary } = ask("--time-limit", "3", "--json", json, "--html", html);
    const { code, stdout, stderr } = await ended;
    expect([code, stderr.split("\n").filter((l) => l.includes("tilecast failed"))]).toEqual([0, []]);
    const { rows } = parseResult(readFileSync(json, "utf8"), json);
    expect(Object.fromEntries(rows.map((r) => [r.subject, r.value ?? r.missing]))).toEqual({
      tilecast: 2,
      "tilecast, polling": 3,
      peer: 1,
      throws: "it ended with code 1: TypeError: no such codec",
      crashes: "it ended with SIGSEGV",
      silent: "its last line is no JSON: no JSON",
      hangs: "it took longer than 3 s",
      absent: "no-such-package, no_such_module not installed: scripts/setup --bench",
      "limit: all there is": 4,
    });
    expect(rows[0]).toMatchObject({
      question: "harness",
      case: "one",
      unit: "MB/s",
      higherIsBetter: true,
      spread: { min: 2, max: 2, trials: 2 },
      ratioToBestPeer: 2,
      ratioToLimit: 0.5,
      limit: "all there is",
    });
    expect(stdout).toContain("- crashes: it ended with SIGSEGV\n");
    expect(stdout).toMatch(/^\| one +\| +peer \| +2\.00 \| +0\.50 \|$/m);
    expect(readFileSync(html, "utf8")).toContain("not measured: it took longer than 3 s");
    await expectNothingLeft(held, temporary);
    // What is kept says nothing of this machine's folders.
    for (const text of [repository, temporary]) expect(readFileSync(json, "utf8")).not.toContain(text);
  }, 60_000);

  test("stopped by a signal ends the trial that runs and leaves nothing", async () => {
    const { child, ended, held, temporary } = ask("--programs", "tilecast,hangs");
    while (!existsSync(held) && child.exitCode === null) await delay(20);
    child.kill("SIGINT");
    const { code, stderr } = await ended;
    expect(code).toBe(130);
    expect(stderr).toMatch(/bench: stopped by SIGINT\n$/);
    await expectNothingLeft(held, temporary);
  }, 60_000);

  test.each([
    [["--programs", "tilecast,nobody"], /^bench: --programs: no nobody among tilecast, polling, peer, /],
    [["--programs", "peer"], /^bench: --programs must hold tilecast: the ratios are to it; /],
    [["--rounds", "1.5"], /^bench: --rounds must be an integer of at least 1, and is "1.5"; /],
    [["--level", "mid"], /^bench: --level must be one of low, high, and is "mid"; /],
    [["--sped", "3"], /^bench: Unknown option '--sped'/],
  ])("refuses %j", async (args, message) => {
    const { code, stderr } = await ask(...args).ended;
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });
});

describe("npm run bench", () => {
  const main = join(repository, "bench", "main.mjs");
  const run = (...args: string[]) => spawnSync(process.execPath, [main, ...args], { encoding: "utf8" });

  test("lists every question with its README's title", () => {
    const { status, stdout } = run("--help");
    expect(status).toBe(0);
    for (const name of ["handoff", "plate", "runtime", "streaming", "tiff-read", "zarr-read", "zarr-write"]) {
      const [title] = readFileSync(join(repository, "bench", name, "README.md"), "utf8").split("\n");
      expect(stdout).toMatch(
        new RegExp(`^  ${name} +${title?.replace("# ", "").replaceAll("?", "\\?")}$`, "m"),
      );
    }
  });

  test("refuses a question that does not exist", () => {
    expect(run("speed")).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/^bench: no question "speed"/),
    });
  });
});
