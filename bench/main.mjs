// SPDX-License-Identifier: MIT
// `npm run bench`: lists the benchmark questions, or runs one of them.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));

/** Every folder with a README is a question, except the one that keeps the answers. */
function questions() {
  return readdirSync(here, { withFileTypes: true })
    .filter((e) => e.isDirectory() && e.name !== "results" && existsSync(join(here, e.name, "README.md")))
    .map((e) => {
      const [title] = readFileSync(join(here, e.name, "README.md"), "utf8").split("\n");
      const program = join(here, e.name, "bench.mjs");
      return {
        name: e.name,
        title: title.replace(/^#\s*/, ""),
        program: existsSync(program) ? program : null,
      };
    });
}

function list() {
  const all = questions();
  const width = Math.max(...all.map((q) => q.name.length));
  const lines = all.map(
    (q) => `  ${q.name.padEnd(width)}  ${q.title}${q.program ? "" : ` (see bench/${q.name}/README.md)`}`,
  );
  return `Usage: npm run bench -- QUESTION [options]        each has --help\n\n${lines.join("\n")}\n`;
}

const [name, ...args] = process.argv.slice(2);
if (name === undefined || name === "-h" || name === "--help") {
  process.stdout.write(list());
} else {
  const question = questions().find((q) => q.name === name);
  if (question?.program) {
    const { status, signal, error } = spawnSync(process.execPath, [question.program, ...args], {
      stdio: "inherit",
    });
    if (error) throw error;
    process.exitCode = signal ? 1 : status;
  } else {
    process.stderr.write(
      question
        ? `bench: ${name} is not run from here; see bench/${name}/README.md\n`
        : `bench: no question "${name}"\n\n${list()}`,
    );
    process.exitCode = 2;
  }
}
