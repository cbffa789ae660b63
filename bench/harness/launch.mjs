// SPDX-License-Identifier: MIT
// One trial: a program in a fresh process, what it printed, and what it cost.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const launcher = fileURLToPath(new URL("launch.py", import.meta.url));

/** Runs a command and gives its output; rejects with the end of what it printed when it fails. */
export function output(command, args, { env = {}, expect = [0] } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text) => {
      stderr += text;
    });
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code !== null && expect.includes(code)) return resolve({ stdout, code });
      const said = `${stdout}\n${stderr}`.trimEnd().split("\n").slice(-30).join("\n");
      reject(new Error(`${[command, ...args].join(" ")} ended with ${signal ?? `code ${code}`}:\n${said}`));
    });
  });
}

/**
 * A trial. Gives the program's last line of output, parsed as JSON, and its cost (seconds and megabytes, see launch.py).
 * `oneCore`: all of the program's threads on one core.
 */
export async function trial(python, command, { env = {}, oneCore = false } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "tilecast-bench-"));
  const costFile = join(folder, "cost.json");
  try {
    // -I -S: a launcher without site packages starts in 15 ms.
    const only = oneCore ? ["--one-core"] : [];
    const { stdout } = await output(python, ["-I", "-S", launcher, ...only, costFile, ...command], { env });
    const cost = JSON.parse(readFileSync(costFile, "utf8"));
    return { said: JSON.parse(stdout.trimEnd().split("\n").at(-1)), cost };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
