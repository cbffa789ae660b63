// SPDX-License-Identifier: MIT
// Programs in fresh processes: what they print, what they cost, and the end of those that fail, hang or are stopped.

import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { native } from "../../dist/native.js";
import { python } from "./machine.mjs";
import { Stopped, stop } from "./stop.mjs";

const launcher = fileURLToPath(new URL("launch.py", import.meta.url));

/** How long a program may take to clean up after SIGTERM. */
const graceMs = 5000;

/** A program failed or ran past its time. The message is one line, made for a row; `output` is the end of what it printed. */
export class ProgramError extends Error {
  constructor(reason, output) {
    super(reason);
    this.output = output;
  }
}

/** "it ended with SIGSEGV", with the line of its output that looks like the reason. */
function reasonOf(code, signal, stderr) {
  // launch.py turns a signal into a code, as shells do.
  const number = code !== null && code > 128 ? code - 128 : undefined;
  const name = signal ?? Object.keys(constants.signals).find((s) => constants.signals[s] === number);
  const lines = stderr.split("\n").filter((line) => line.trim() !== "");
  const telling = lines.findLast((line) => /^\S*(Error|Exception)\b/.test(line)) ?? lines.at(-1);
  return `it ended with ${name ?? `code ${code}`}${telling === undefined ? "" : `: ${telling.trim().slice(0, 160)}`}`;
}

/**
 * Runs a command and gives its output and code. The command is a process group of its own: when it takes longer than `timeLimitS`, or this process is
 * stopped, SIGTERM goes to all of the group, and SIGKILL to what is left of it.
 *
 * Throws {@link ProgramError}, {@link Stopped}.
 */
export function output(command, args, { env = {}, expect = [0], timeLimitS = 3600 } = {}) {
  return new Promise((resolve, reject) => {
    if (stop.aborted) return reject(new Stopped());
    const child = spawn(command, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
      detached: true,
    });
    let ended;
    let last;
    /** False when all of the group are gone. */
    const signalGroup = (name) => {
      try {
        return process.kill(-child.pid, name);
      } catch {
        return false;
      }
    };
    const end = (why) => {
      ended ??= why;
      signalGroup("SIGTERM");
      last ??= setTimeout(() => signalGroup("SIGKILL"), graceMs);
    };
    const onStop = () => end("stopped");
    stop.addEventListener("abort", onStop);
    const limit = setTimeout(() => end("late"), timeLimitS * 1000);
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text) => {
      stderr += text;
    });
    const clear = () => {
      clearTimeout(limit);
      clearTimeout(last);
      stop.removeEventListener("abort", onStop);
    };
    child.on("error", (error) => {
      clear();
      reject(new ProgramError(`it could not be started: ${error.message}`, ""));
    });
    child.on("close", async (code, signal) => {
      clear();
      const good = ended === undefined && code !== null && expect.includes(code);
      if (good) return resolve({ stdout, code });
      // What a failed program has started, and, once all of them are gone, what they had in shared memory.
      for (let tries = 0; signalGroup("SIGKILL") && tries < 100; tries++) await delay(20);
      native().TilePool.sweep();
      if (ended === "stopped") return reject(new Stopped());
      const said = `${stdout}\n${stderr}`.trim().split("\n").slice(-30).join("\n");
      const reason =
        ended === "late" ? `it took longer than ${timeLimitS} s` : reasonOf(code, signal, stderr);
      reject(new ProgramError(reason, said));
    });
  });
}

/**
 * A trial. Gives the program's last line of output, parsed as JSON, and its cost (seconds and megabytes, see launch.py). The program's temporary
 * files go into `folder`, which is emptied. `oneCore`: all of the program's threads on one core.
 */
export async function runTrial(command, { folder, env = {}, oneCore = false, timeLimitS }) {
  const temporary = join(folder, "t");
  const costFile = join(folder, "cost.json");
  mkdirSync(temporary, { recursive: true });
  try {
    // -I -S: a launcher without site packages starts in 15 ms.
    const args = ["-I", "-S", launcher, ...(oneCore ? ["--one-core"] : []), costFile, ...command];
    const { stdout } = await output(python(), args, { env: { TMPDIR: temporary, ...env }, timeLimitS });
    const line = stdout.trimEnd().split("\n").at(-1);
    try {
      return { said: JSON.parse(line), cost: JSON.parse(readFileSync(costFile, "utf8")) };
    } catch {
      throw new ProgramError(`its last line is no JSON: ${line.slice(0, 100)}`, stdout.slice(-2000));
    }
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}
