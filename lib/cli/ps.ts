// SPDX-License-Identifier: MIT
// `tilecast ps`: which servers and viewers run on this host, ours and those of the OpenHCS family.

import { parseArgs } from "node:util";
import { TilecastError } from "../errors.js";
import { InstanceWatcher, type ServerNode, type TreeNode } from "../manager/index.js";
import { makeLook } from "../manager/look.js";
import { describeServer, type ServerFacts, serverKey } from "../manager/server-info.js";
import type { FoundServer, ZmqConfig } from "../runtime/index.js";
import { pause } from "../runtime/zmq.js";
import { duration } from "./terminal.js";

export const psUsage = `Usage: tilecast ps [options]

Lists the servers and viewers of this host: tilecast's own and those of OpenHCS, zmqruntime and polystore,
by their socket files and on the usual TCP ports (7777-7786, 5555-5574).

Options:
  --tree         with what they work on: plates, workers, the wells that run or have failed, and their steps
  --timeout MS   how long to wait for each answer, and for a sign of each execution; default 500
  --json         as JSON
  -h, --help     this text
`;

const options = {
  tree: { type: "boolean", default: false },
  timeout: { type: "string" },
  json: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

export interface PsIo {
  readonly stdout: { write(text: string): unknown };
  /** Where to look; default everywhere. */
  readonly configs?: readonly ZmqConfig[];
  readonly tcp?: boolean;
}

/** Names come from other processes: none of them moves the cursor. */
const printable = (text: string): string => text.replace(/\p{Cc}/gu, "?");

/** The heading, and a line for each. */
function table(rows: readonly ServerFacts[]): string[] {
  const cells = rows
    .map((r) => [
      String(r.port),
      r.mode,
      [r.app, r.version].filter((x) => x !== null).join(" ") || "-",
      r.server ?? "-",
      r.role ?? "-",
      r.state,
      r.pid === null ? "-" : String(r.pid),
      r.uptimeSeconds === null ? "-" : duration(r.uptimeSeconds),
      r.running === null ? "-" : `${r.running} running, ${r.queued ?? 0} queued`,
      r.why ?? "",
    ])
    .map((row) => row.map(printable));
  const all = [["PORT", "MODE", "APP", "SERVER", "ROLE", "STATE", "PID", "UP", "WORK", ""], ...cells];
  const widths = (all[0] as string[]).map((_, i) => Math.max(...all.map((row) => (row[i] as string).length)));
  return all.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] as number))
      .join("  ")
      .trimEnd(),
  );
}

/** What is worth a line: of the wells those that run or have failed, of their steps the one that they are at. */
const isWorthALine = (node: TreeNode): boolean =>
  (node.kind !== "well" && node.kind !== "step") || node.state === "running" || node.failed > 0;

function details(node: TreeNode): string[] {
  if (node.kind === "well") return [node.error ?? ""];
  if (node.kind !== "execution") return [];
  const { wells, position, startedAt, endedAt, error } = node;
  return [
    position === null ? "" : `number ${position} in the queue`,
    wells.total === 0 ? "" : `${wells.done} of ${wells.total} wells`,
    node.failed === 0 ? "" : `${Math.max(wells.failed, 1)} failed`,
    startedAt === null ? "" : duration(((endedAt ?? Date.now()) - startedAt) / 1000),
    error ?? "",
  ];
}

function branch(nodes: readonly TreeNode[], indent = "  "): string[] {
  return nodes.filter(isWorthALine).flatMap((node) => {
    const percent = node.percent === null ? "" : `${node.percent} %`;
    const said = [node.label, node.state, percent, ...details(node)].filter((text) => text !== "");
    return [indent + printable(said.join("  ")), ...branch(node.children, `${indent}  `)];
  });
}

/** Looks, and follows what runs until each execution has given a sign, for at most `timeoutMs`. */
async function lookClosely(
  look: ReturnType<typeof makeLook>,
  timeoutMs: number,
): Promise<{ found: readonly FoundServer[]; servers: readonly ServerNode[] }> {
  let found: readonly FoundServer[] = [];
  await using watcher = new InstanceWatcher({
    look: async (signal) => {
      const scan = await look(signal);
      found = scan.found;
      return scan;
    },
    // One look is enough.
    intervalMs: 2 ** 30,
    maxIntervalMs: 2 ** 30,
  });
  const isQuiet = () =>
    watcher.tree.servers.some((s) =>
      s.children.some((e) => e.kind === "execution" && e.state === "running" && e.percent === null),
    );
  const done = new AbortController();
  watcher.subscribe(() => {
    if (!isQuiet()) done.abort();
  });
  watcher.start();
  await watcher.refresh();
  if (isQuiet()) await pause(timeoutMs, done.signal);
  return { found, servers: watcher.tree.servers };
}

/** Resolves with 0, whether there are servers or not. */
export async function psCommand(args: string[], io: Partial<PsIo> = {}): Promise<number> {
  const { stdout = process.stdout, configs, tcp } = io;
  const { values } = parseArgs({ args, options, strict: true });
  if (values.help) {
    stdout.write(psUsage);
    return 0;
  }
  const timeoutMs = Number(values.timeout ?? 500);
  if (!(timeoutMs > 0))
    throw new TilecastError("ERR_USAGE", `--timeout: expected milliseconds and got "${values.timeout}"`, {
      argument: "timeout",
    });
  const look = makeLook({ timeoutMs, ...(configs && { configs }), ...(tcp !== undefined && { tcp }) });
  const { found, servers } = values.tree
    ? await lookClosely(look, timeoutMs)
    : { found: (await look(new AbortController().signal)).found, servers: [] };
  const rows = found.map(describeServer);
  if (values.json) {
    stdout.write(`${JSON.stringify(values.tree ? servers : rows, undefined, 2)}\n`);
    return 0;
  }
  const [heading, ...lines] = table(rows);
  const branches = new Map(servers.map((server) => [server.key, branch(server.children)]));
  const text = lines.flatMap((line, i) => [
    line,
    ...(branches.get(serverKey((found[i] as FoundServer).endpoint)) ?? []),
  ]);
  stdout.write(rows.length ? `${[heading, ...text].join("\n")}\n` : "no servers run on this host\n");
  return 0;
}
