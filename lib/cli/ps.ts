// SPDX-License-Identifier: MIT
// `tilecast ps`: which servers and viewers run on this host, ours and those of the OpenHCS family.

import { parseArgs } from "node:util";
import { TilecastError } from "../errors.js";
import { type FoundServer, findServers, type ZmqConfig } from "../runtime/index.js";
import { duration } from "./terminal.js";

export const psUsage = `Usage: tilecast ps [options]

Lists the servers and viewers of this host: tilecast's own and those of OpenHCS, zmqruntime and polystore,
by their socket files and on the usual TCP ports (7777-7786, 5555-5574).

Options:
  --timeout MS   how long to wait for each answer; default 500
  --json         as JSON
  -h, --help     this text
`;

const options = {
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

/** One server, for people and for `--json`. `null` is unknown. */
export function describeServer({ endpoint, state }: FoundServer) {
  const answered = state.state === "ready" || state.state === "starting" ? state : undefined;
  const pong = answered?.pong;
  return {
    port: endpoint.port,
    mode: endpoint.mode,
    // Over TCP nothing but the answer tells whose it is.
    app: pong?.application?.application_id ?? (endpoint.mode === "ipc" ? endpoint.config.appName : null),
    version: pong?.application?.application_version ?? null,
    server: pong?.server ?? null,
    role: pong?.server_role ?? pong?.server_type ?? null,
    state: state.state,
    why: "why" in state ? state.why : null,
    generation: answered?.generation ?? null,
    pid: pong?.process_identity?.pid ?? null,
    uptimeSeconds: pong?.uptime ?? null,
    running: pong?.running_executions?.length ?? null,
    queued: pong?.queued_executions?.length ?? null,
    latencyMs: answered === undefined ? null : Math.round(answered.latencyMs * 100) / 100,
    logFile: pong?.log_file_path ?? null,
    address: endpoint.mode === "ipc" ? (endpoint.dataPath as string) : endpoint.dataUrl,
  };
}

/** Names come from other processes: none of them moves the cursor. */
const printable = (text: string): string => text.replace(/\p{Cc}/gu, "?");

function table(rows: readonly ReturnType<typeof describeServer>[]): string {
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
  return all
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] as number))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
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
  const found = await findServers({
    timeoutMs,
    ...(configs && { configs }),
    ...(tcp !== undefined && { tcp }),
  });
  const rows = found.map(describeServer);
  if (values.json) stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`);
  else stdout.write(rows.length ? `${table(rows)}\n` : "no servers run on this host\n");
  return 0;
}
