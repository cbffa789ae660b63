// SPDX-License-Identifier: MIT
// A question with programs that answer, throw, crash, hang and are not installed; harness.test.ts runs it. `HELD` is where the one that hangs says what it holds.

import { bench } from "../../bench/harness/bench.mjs";

const answers = (value) => () => [
  process.execPath,
  "-e",
  `console.log("noise"); console.log('{"one": ${value}}')`,
];
const fails = (code) => () => [process.execPath, "-e", code];

/** Holds shared memory, a temporary file and a process of its own, and does not listen to SIGTERM. */
const hanging = `
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
import(${JSON.stringify(new URL("../../dist/index.js", import.meta.url).href)}).then(({ TilePool }) => {
  const pool = TilePool.create({ slotBytes: 4096, slots: 2 });
  process.removeAllListeners("SIGTERM").on("SIGTERM", () => {});
  fs.writeFileSync(path.join(os.tmpdir(), "left"), "");
  const other = spawn("sleep", ["1000"], { stdio: "inherit" });
  fs.writeFileSync(process.env.HELD + ".new", JSON.stringify({ pool: pool.id, pid: process.pid, other: other.pid }));
  fs.renameSync(process.env.HELD + ".new", process.env.HELD);
  setInterval(() => pool.id, 1000);
});`;

await bench({
  name: "harness",
  unit: "MB/s",
  own: { level: { kind: "text", value: "WORD", fallback: "low", known: ["low", "high"], help: "a word" } },
  defaults: { rounds: 2, seconds: 0 },
  programs: () => ({
    tilecast: { title: "tilecast", command: answers(2), limit: "limit" },
    polling: { title: "tilecast, polling", command: answers(3), limit: "limit" },
    peer: { title: "peer", command: answers(1) },
    throws: { title: "throws", command: fails('throw new TypeError("no such codec")') },
    crashes: { title: "crashes", command: fails('process.kill(process.pid, "SIGSEGV")') },
    silent: { title: "silent", command: fails('console.log("no JSON")') },
    hangs: { title: "hangs", command: fails(hanging) },
    absent: { title: "absent", command: answers(9), npm: ["no-such-package"], modules: ["no_such_module"] },
    limit: { title: "limit: all there is", command: answers(4) },
  }),
  prepare: () => ({}),
  turns: ({ programs }) => programs.map((program) => ({ program, cases: ["one"] })),
  async trial({ program, run }) {
    const { said, cost } = await run(program.command());
    return { cost, figures: said };
  },
  heading: () => "A question",
});
