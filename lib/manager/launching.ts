// SPDX-License-Identifier: MIT
// Servers that are being started and do not listen yet: by the journals that they write for their starters.

import { readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { Endpoint, StartupReader, type ZmqConfig, zmqConfigs } from "../runtime/index.js";

export interface Launching {
  readonly endpoint: Endpoint;
  /** Its last words. */
  readonly message: string;
}

/** A starter gives a silent server up after at most so long; a journal that is older is that of a starter that was killed. */
const freshMs = 60_000;

/** Default: of the applications of {@link zmqConfigs}. What is being started by one user is seen by that user. */
export function findLaunching(
  configs: readonly ZmqConfig[] = Object.values(zmqConfigs),
  now: number = Date.now(),
): Launching[] {
  const modes = process.platform === "win32" ? (["tcp"] as const) : (["ipc", "tcp"] as const);
  return configs.flatMap((config) =>
    modes.flatMap((mode) => {
      try {
        return launchingIn(config, mode, now);
      } catch {
        // Where there is no such folder, or its path is too long for sockets, nothing is started.
        return [];
      }
    }),
  );
}

function launchingIn(config: ZmqConfig, mode: "ipc" | "tcp", now: number): Launching[] {
  const folder = dirname(new Endpoint({ mode, config }).startupLockPath);
  return readdirSync(folder).flatMap((name) => {
    const port = /^startup-(\d{1,5})-[0-9a-f-]+\.jsonl$/.exec(name)?.[1];
    if (port === undefined) return [];
    const path = join(folder, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined || !stat.isFile() || now - stat.mtimeMs > freshMs) return [];
    const last = new StartupReader(path).read().at(-1);
    if (last === undefined || last.phase === "failed") return [];
    return [{ endpoint: new Endpoint({ mode, port: Number(port), config }), message: last.message }];
  });
}
