// SPDX-License-Identifier: MIT
// `tilecast ops`: the ops with their parameters, dtypes and definitions, from the op table.

import { parseArgs } from "node:util";
import { TilecastError } from "../errors.js";
import { describeOp, families, type OpName, opNames } from "../ops/index.js";

export const opsUsage = `Usage: tilecast ops [NAME] [options]

Lists the ops by family, or says what one does: parameters, dtypes, exact definition and its source.

Options:
      --json     as JSON, with every parameter's type, range, unit and default
  -h, --help     this text
`;

const wrap = (text: string, indent: string, width = 100): string => {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent.length + line.length + word.length + 1 > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line].map((l) => indent + l).join("\n");
};

function list(): string {
  const all = opNames.map(describeOp);
  const column = Math.max(...all.map((o) => o.name.length)) + 2;
  return Object.entries(families)
    .map(([family, title]) => {
      const mine = all.filter((o) => o.family === family);
      return [title, ...mine.map((o) => `  ${o.name.padEnd(column)}${o.summary}`)].join("\n");
    })
    .join("\n\n");
}

function one(name: OpName): string {
  const o = describeOp(name);
  const lines = [
    `${o.name}: ${o.summary}`,
    "",
    wrap(`Takes ${o.takes.join(" or ")} (${o.accepts.join(", ")}), ${o.gives}.`, "  "),
    wrap(o.definition, "  "),
    wrap(`Source: ${o.source}`, "  "),
  ];
  if (o.parameters.length > 0) lines.push("", "Parameters:");
  for (const p of o.parameters) {
    const fallback = p.required
      ? ", required"
      : p.default === undefined
        ? ""
        : `, default ${JSON.stringify(p.default)}`;
    lines.push(wrap(`${p.name}: ${p.expected}${fallback}`, "  "), wrap(p.help, "      "));
  }
  return lines.join("\n");
}

export async function opsCommand(
  args: string[],
  stdout: { write(text: string): unknown } = process.stdout,
): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    options: {
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
    allowPositionals: true,
  });
  if (values.help) {
    stdout.write(opsUsage);
    return 0;
  }
  const [name, ...more] = positionals;
  if (more.length > 0) throw new TilecastError("ERR_USAGE", "tilecast ops takes at most one name");
  if (name !== undefined && !(opNames as readonly string[]).includes(name)) {
    const near = opNames.filter((n) => n.toLowerCase().includes(name.toLowerCase()));
    throw new TilecastError(
      "ERR_USAGE",
      `there is no op "${name}"${near.length > 0 ? `; did you mean ${near.join(", ")}?` : "; tilecast ops lists them"}`,
    );
  }
  const known = name as OpName | undefined;
  if (values.json) {
    const data = known === undefined ? opNames.map(describeOp) : describeOp(known);
    stdout.write(`${JSON.stringify(data, null, 2)}\n`);
  } else {
    stdout.write(`${known === undefined ? list() : one(known)}\n`);
  }
  return 0;
}
