#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// Writes docs/ops.md from the op table (needs dist/); with --check, fails when the page is out of date.
import { readFileSync, writeFileSync } from "node:fs";
import { describeOp, families, opNames } from "../dist/index.js";

const cell = (text) => text.replaceAll("|", "\\|");
const ops = opNames.map(describeOp);
const lines = [
  "# Ops",
  "",
  "<!-- Written by scripts/make-ops-doc.mjs from lib/ops/families/; change that. -->",
  "",
  "Every op with its parameters, dtypes and exact definition. `op.NAME({ ... })` gives plain data for `pipeline(...).step(...)`;",
  "`tilecast ops NAME` says the same in a terminal, `tilecast ops --json` to programs. A new op: [adding-an-op.md](adding-an-op.md).",
  "",
  "| family | ops |",
  "| --- | --- |",
  ...Object.entries(families).map(
    ([family, title]) =>
      `| ${title} | ${ops
        .filter((o) => o.family === family)
        .map((o) => `[${o.name}](#${o.name.toLowerCase()})`)
        .join(", ")} |`,
  ),
  "",
];
for (const o of ops) {
  lines.push(`## ${o.name}`, "", o.summary, "");
  lines.push(`- **Definition**: ${o.definition}`);
  lines.push(`- **Source**: ${o.source}`);
  lines.push(`- **Takes** ${o.takes.join(" or ")} (${o.accepts.join(", ")}), **${o.gives}**`, "");
  if (o.parameters.length > 0) {
    lines.push("| parameter | expected | default | |", "| --- | --- | --- | --- |");
    for (const p of o.parameters) {
      const fallback = p.required
        ? "required"
        : p.default === undefined
          ? ""
          : `\`${JSON.stringify(p.default)}\``;
      lines.push(`| \`${p.name}\` | ${cell(p.expected)} | ${fallback} | ${cell(p.help)} |`);
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
