// SPDX-License-Identifier: MIT
// `tilecast stop PORT`: ends a server or viewer of this host; what does not answer is left alone.

import { parseArgs } from "node:util";
import { TilecastError } from "../errors.js";
import { describeServer } from "../manager/server-info.js";
import { findServers, stopServer, type ZmqConfig } from "../runtime/index.js";

export const stopUsage = `Usage: tilecast stop PORT [options]

Asks the server or viewer on that port to end, and waits until it is gone. See tilecast ps for ports.
What does not answer is left alone, since nothing proves whose it is.

Options:
  --app NAME      whose, where two applications use the port: tilecast, openhcs, zmqruntime, polystore
  --mode MODE     ipc or tcp, where both are there
  --force         without letting it finish
  --kill          kill its process when it does not go by itself
  --timeout MS    until it must be gone; default 10000
  --json          the result as JSON
  -h, --help      this text
`;

const options = {
  app: { type: "string" },
  mode: { type: "string" },
  force: { type: "boolean", default: false },
  kill: { type: "boolean", default: false },
  timeout: { type: "string" },
  json: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

export interface StopIo {
  readonly stdout: { write(text: string): unknown };
  /** Where to look; default everywhere. */
  readonly configs?: readonly ZmqConfig[];
  readonly tcp?: boolean;
}

const usage = (message: string, argument: string) => new TilecastError("ERR_USAGE", message, { argument });

/** Resolves with 0 when the server is gone. Throws ERR_USAGE for a port that is none or ambiguous, and what `stopServer` throws. */
export async function stopCommand(args: string[], io: Partial<StopIo> = {}): Promise<number> {
  const { stdout = process.stdout, configs, tcp } = io;
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true, strict: true });
  if (values.help) {
    stdout.write(stopUsage);
    return 0;
  }
  const [text] = positionals;
  const port = Number(text);
  if (positionals.length !== 1 || !Number.isInteger(port))
    throw usage(`expected one PORT and got "${positionals.join(" ")}"\n\n${stopUsage}`, "PORT");
  const timeoutMs = Number(values.timeout ?? 10_000);
  if (!(timeoutMs > 0))
    throw usage(`--timeout: expected milliseconds and got "${values.timeout}"`, "timeout");
  if (values.mode !== undefined && values.mode !== "ipc" && values.mode !== "tcp")
    throw usage(`--mode: expected ipc or tcp and got "${values.mode}"`, "mode");

  const found = (
    await findServers({ ...(configs && { configs }), ...(tcp !== undefined && { tcp }) })
  ).filter((f) => {
    const { app, mode, state } = describeServer(f);
    if (f.endpoint.port !== port || state === "stale") return false;
    return (
      (values.app === undefined || app === values.app) && (values.mode === undefined || mode === values.mode)
    );
  });
  const [target] = found;
  if (target === undefined)
    throw new TilecastError("ERR_INSTANCE", `no server on port ${port}; tilecast ps lists what runs`);
  if (found.length > 1) {
    const names = found.map((f) => f.endpoint.toString()).join(", ");
    throw usage(`port ${port} is used by several: ${names}; say which by --app or --mode`, "PORT");
  }
  const { how } = await stopServer(target.endpoint, { force: values.force, kill: values.kill, timeoutMs });
  if (values.json) stdout.write(`${JSON.stringify({ ...describeServer(target), how })}\n`);
  else stdout.write(`${target.endpoint} ${how === "killed" ? "was killed" : "has ended"}\n`);
  return 0;
}
