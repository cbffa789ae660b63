// SPDX-License-Identifier: MIT
// Finds the servers of this host: by their socket files, and on the TCP ports that the family uses.

import { readdirSync } from "node:fs";
import { Endpoint, type ZmqConfig, zmqConfigs } from "./endpoint.js";
import { type EndpointState, probeEndpoint } from "./probe.js";

export interface FoundServer {
  readonly endpoint: Endpoint;
  readonly state: Exclude<EndpointState, { state: "absent" }>;
}

/** Where servers of each kind begin, ten ports each: execution servers, napari, Fiji. */
const tcpPorts = [7777, 5555, 5565].flatMap((first) => Array.from({ length: 10 }, (_, i) => first + i));

function ipcEndpoints(config: ZmqConfig): Endpoint[] {
  let names: string[];
  try {
    names = readdirSync(new Endpoint({ mode: "ipc", config }).socketDir);
  } catch {
    // Where there is no such folder, or its path is too long for sockets, there are no servers.
    return [];
  }
  const { ipcSocketPrefix, ipcSocketExtension, controlPortOffset } = config;
  const ports = new Set(
    names
      .filter((name) => name.startsWith(`${ipcSocketPrefix}-`) && name.endsWith(ipcSocketExtension))
      .map((name) => name.slice(ipcSocketPrefix.length + 1, name.length - ipcSocketExtension.length))
      .filter((middle) => /^\d{1,5}$/.test(middle))
      .map(Number),
  );
  // A control socket shows a server; a data socket alone is one too, or what is left of one. The listener of acknowledgements has no control.
  const isData = (port: number) =>
    ports.has(port + controlPortOffset) ||
    (!ports.has(port - controlPortOffset) && port !== config.sharedAckPort);
  return [...ports]
    .filter(isData)
    .filter((port) => port >= 1 && port + controlPortOffset <= 65535)
    .sort((a, b) => a - b)
    .map((port) => new Endpoint({ mode: "ipc", port, config }));
}

/** Default: the four applications of {@link zmqConfigs}, IPC and loopback TCP, 500 ms for each answer, all at once. */
export async function findServers(
  options: {
    readonly configs?: readonly ZmqConfig[];
    readonly tcp?: boolean;
    readonly timeoutMs?: number;
    readonly signal?: AbortSignal;
  } = {},
): Promise<FoundServer[]> {
  const configs = options.configs ?? Object.values(zmqConfigs);
  const endpoints = [
    ...(process.platform === "win32" ? [] : configs.flatMap(ipcEndpoints)),
    ...(options.tcp === false ? [] : tcpPorts.map((port) => new Endpoint({ mode: "tcp", port }))),
  ];
  const found = await Promise.all(
    endpoints.map(async (endpoint) => ({
      endpoint,
      state: await probeEndpoint(endpoint, { timeoutMs: options.timeoutMs ?? 500, signal: options.signal }),
    })),
  );
  return found.filter((f): f is FoundServer => f.state.state !== "absent");
}
