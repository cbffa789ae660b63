// SPDX-License-Identifier: MIT
// What scripts/test.mjs and .ci/run share: running one command quietly, one line a stage, and the closing line with the sums.

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { resolve as absolute } from "node:path";

const colour = process.stdout.isTTY && !process.env.NO_COLOR;
const paint = (code, text) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);

/** Runs a command; its output is kept and returned, and shown as it comes only when `live`. Never rejects. */
export function run(command, args, { cwd, env, live = false } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    const take = (stream) => (chunk) => {
      output += chunk;
      if (live) stream.write(chunk);
    };
    child.stdout.setEncoding("utf8").on("data", take(process.stdout));
    child.stderr.setEncoding("utf8").on("data", take(process.stderr));
    child.on("error", (error) => resolve({ status: null, ended: error.message, output }));
    child.on("close", (status, signal) =>
      resolve({ status, ended: signal ?? `exit code ${status}`, output }),
    );
  });
}

/** The sums over all stages, and how each is printed. */
export class Tally {
  passed = 0;
  failed = 0;
  skipped = [];

  /** One finished stage. `skipped` are `{ name, reason }`; a skip without a reason is a failure, and so is a stage that ran nothing. */
  add(stage, { passed = 0, failed = 0, skipped = [], detail = "", seconds }) {
    const silent = skipped.filter((s) => !s.reason);
    if (passed + failed + skipped.length === 0) {
      failed = 1;
      detail ||= "nothing ran";
    }
    failed += silent.length;
    for (const s of silent) detail += `${detail && "\n"}skipped without a reason: ${s.name}`;
    this.passed += passed;
    this.failed += failed;
    this.skipped.push(...skipped.filter((s) => s.reason));
    const mark = failed ? paint(31, "✗") : paint(32, "✓");
    const counts = `${passed} passed${failed ? `, ${failed} failed` : ""}`;
    console.log(
      `${mark} ${stage.padEnd(28)} ${counts.padEnd(24)} ${seconds === undefined ? "" : `${seconds.toFixed(1)} s`}`.trimEnd(),
    );
    if (detail) console.log(detail.trimEnd().replace(/^/gm, "    "));
  }

  /** Runs `stage`, which returns what {@link add} takes; a throw is one failure. */
  async stage(name, stage) {
    const began = performance.now();
    let result;
    try {
      result = await stage();
    } catch (error) {
      result = { failed: 1, detail: error instanceof StageError ? error.message : error.stack };
    }
    this.add(name, { ...result, seconds: (performance.now() - began) / 1000 });
    return result;
  }

  /** Prints the reasons of skips and the closing line; returns the exit code. */
  close() {
    for (const { name, reason } of this.skipped) if (name) console.log(`- skipped ${name}: ${reason}`);
    const skips = this.skipped.length ? `, ${this.skipped.length} skipped` : "";
    console.log(`${this.passed} passed, ${this.failed} failed${skips}`);
    return this.failed ? 1 : 0;
  }
}

/** A stage could not do its work; the message is for the reader of the log, without a stack. */
export class StageError extends Error {}

/** Throws the end of a failed command's output. */
export function mustSucceed(what, { status, ended, output }, lines = 60) {
  if (status === 0) return output;
  throw new StageError(`${what}: ${ended}\n${output.trimEnd().split("\n").slice(-lines).join("\n")}`);
}

/** Runs one project of vitest.config.ts, live, and returns its sums as {@link Tally.add} takes them. */
export async function vitest(project, { env = {}, pattern } = {}) {
  const report = absolute(`build/vitest-${project}.json`);
  mkdirSync("build", { recursive: true });
  rmSync(report, { force: true });
  const reporters = ["--reporter=default", "--reporter=./scripts/vitest-tally.mjs"];
  const args = ["node_modules/vitest/vitest.mjs", "run", "--project", project, ...reporters];
  if (pattern) args.push("-t", pattern);
  const result = await run(process.execPath, args, { env: { ...env, TILECAST_TALLY: report }, live: true });
  if (!existsSync(report)) throw new StageError(`vitest ended without a report: ${result.ended}`);
  const { passed, failed, skipped, broken } = JSON.parse(readFileSync(report, "utf8"));
  if (result.status !== 0 && failed + broken.length === 0) broken.push(`vitest: ${result.ended}`);
  return {
    passed,
    failed: failed + broken.length,
    // With a pattern, every test that does not match counts as skipped.
    skipped: pattern ? [] : skipped,
    detail: broken.join("\n"),
  };
}
