// SPDX-License-Identifier: MIT
// Finds a data port that is free together with its control port.

import { createServer } from "node:net";
import { TilecastError } from "../errors.js";
import { Endpoint, type EndpointOptions } from "./endpoint.js";
import { socketFileState } from "./socket-file.js";

function isTcpFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** Whether both addresses are free at this moment; another process may be faster than you. */
export async function isFree(endpoint: Endpoint): Promise<boolean> {
  if (endpoint.mode === "tcp")
    return (
      (await isTcpFree(endpoint.port, endpoint.host)) &&
      (await isTcpFree(endpoint.controlPort, endpoint.host))
    );
  const states = await Promise.all(
    [endpoint.dataPath, endpoint.controlPath].map((path) => socketFileState(path as string)),
  );
  return states.every((state) => state === "absent" || state === "stale");
}

/** The first free endpoint from `port` (default the configuration's) upwards. Throws ERR_ENDPOINT when there is none. */
export async function findFreeEndpoint(options: EndpointOptions = {}): Promise<Endpoint> {
  const first = new Endpoint(options);
  const last = 65535 - first.config.controlPortOffset;
  for (let port = first.port; port <= last; port++) {
    const endpoint = new Endpoint({ ...options, port });
    if (await isFree(endpoint)) return endpoint;
  }
  throw new TilecastError("ERR_ENDPOINT", `every port from ${first.port} to ${last} is taken`, {
    retriable: true,
  });
}
