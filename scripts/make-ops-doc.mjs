#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// Writes docs/ops.md from the op table (needs dist/); with --check, fails when the page is out of date.
import { readFileSync, writeFileSync } from "node:fs";
import { opTable } from "../dist/index.js";

const lines = [
  "# Ops",
  "",
  "<!-- Written by scripts/make-ops-doc.mjs from lib/ops/table.ts; change that. -->",
  "",
  "Every op with its parameters, dtypes and exact definition. `op.NAME({ ... })` gives plain data for `pipeline(...).step(...)`.",
  "",
];
for (const [name, spec] of Object.entries(opTable)) {
  lines.push(`## ${name}`, "", spec.summary, "");
  lines.push(`- **Definition**: ${spec.definition}`);
  lines.push(`- **Source**: ${spec.source}`);
  const gives = spec.gives === "same" ? "passes it on" : `gives ${spec.gives}`;
  const accepts = spec.accepts.length === 8 ? "any dtype" : spec.accepts.join(", ");
  lines.push(`- **Takes** ${spec.takes.join(" or ")} (${accepts}), **${gives}**`, "");
  const parameters = Object.entries(spec.parameters);
  if (parameters.length > 0) {
    lines.push("| parameter | expected | default | |", "| --- | --- | --- | --- |");
    for (const [key, p] of parameters) {
      const fallback = p.optional
        ? p.fallback === undefined
          ? ""
          : `\`${JSON.stringify(p.fallback)}\``
        : "required";
      lines.push(
        `| \`${key}\` | ${p.expected.replaceAll("|", "\\|")} | ${fallback} | ${p.help.replaceAll("|", "\\|")} |`,
      );
    }
    lines.push("");
  }
}
const page = `${lines.join("\n").trimEnd()}\n`;
const file = new URL("../docs/ops.md", import.meta.url);
if (process.argv.includes("--check")) {
  if (readFileSync(file, "utf8") !== page) {
    process.stderr.write("docs/ops.md is out of date: run node scripts/make-ops-doc.mjs\n");
    process.exit(1);
  }
} else {
  writeFileSync(file, page);
}
