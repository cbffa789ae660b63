// SPDX-License-Identifier: MIT
// The checks that are not tests (npm run check): format and lint of both languages, types of the tests, the package and its tarball.
//
//   node scripts/check.mjs [--with-tests]      with them (.ci/run), npm test runs first and its sums are added
//
// Each check counts as one; the closing line has the sums.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { mustSucceed, run, StageError, Tally, vitest } from "./stages.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);
const { values } = parseArgs({ options: { "with-tests": { type: "boolean" } } });
const tally = new Tally();

if (values["with-tests"]) {
  const began = performance.now();
  const result = await run("npm", ["test"], { live: true });
  const line = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/.exec(
    result.output.trimEnd().split("\n").at(-1),
  );
  const skipped = Number(line?.[3] ?? 0);
  const failed = line ? Number(line[2]) : 1;
  tally.add("npm test", {
    passed: Number(line?.[1] ?? 0),
    failed: failed === 0 && result.status !== 0 ? 1 : failed,
    // Their reasons stand above, where npm test printed them.
    skipped: Array.from({ length: skipped }, () => ({ reason: "see npm test above" })),
    detail: line ? "" : `npm test ended without its closing line: ${result.ended}`,
    seconds: (performance.now() - began) / 1000,
  });
}

/** One check that passes when the command does. */
const check = (name, command, args, options) =>
  tally.stage(name, async () => {
    mustSucceed([command, ...args].join(" ").slice(0, 200), await run(command, args, options));
    return { passed: 1 };
  });

const bin = (name) => join(root, "node_modules/.bin", name);
const sources = readdirSync("native", { recursive: true, encoding: "utf8" })
  .filter((file) => /\.(cc|h|inc)$/.test(file) && !file.startsWith("third_party"))
  .map((file) => join("native", file));

await check("biome", bin("biome"), ["ci", "--colors=off", "."]);
await check("types, tests included", bin("tsc"), ["-p", "test"]);
await check("types of the page", bin("tsc"), ["-p", "web", "--noEmit"]);
await check("clang-format", "clang-format-19", ["--dry-run", "-Werror", ...sources]);
await tally.stage("clang-tidy", async () => {
  // The compile commands are those of the addon's build, so that the bindings are looked at too. Two at a time: each takes 0.5 GB.
  const { status, ended, output } = await run("run-clang-tidy-19", [
    "-p",
    "build",
    "-quiet",
    "-j",
    "2",
    "native/src/",
  ]);
  if (status === 0) return { passed: 1 };
  const findings = output.split("\n").filter((line) => /(error|warning): /.test(line));
  throw new StageError(
    `${findings.length} findings (${ended})\n${(findings.length ? findings : output.split("\n")).slice(-60).join("\n")}`,
  );
});
await tally.stage("packed tarball", () => vitest("package"));
process.exitCode = tally.close();
