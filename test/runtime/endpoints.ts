// SPDX-License-Identifier: MIT
// Endpoints for tests: IPC in a folder of the test's own, TCP on ports that are free, and a closing of whatever a test opened.

import { linkSync, readdirSync, renameSync } from "node:fs";
import { createServer } from "node:net";
import { afterEach } from "vitest";
import { Endpoint, type TransportMode, type ZmqConfig, zmqConfigs } from "../../lib/runtime/endpoint.js";
import { findFreeEndpoint } from "../../lib/runtime/free-port.js";
import { temporaryFolders } from "../helpers/folder.js";

export function testEndpoints() {
  const folder = temporaryFolders();
  const open: AsyncDisposable[] = [];
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]();
  });
  // Test files run side by side, each in a process.
  let port = 20_000 + (process.pid % 300) * 100;
  return {
    /** Closed after the test. */
    keep<T extends AsyncDisposable>(each: T): T {
      open.push(each);
      return each;
    },
    config(): ZmqConfig {
      return { ...zmqConfigs.tilecast, ipcSocketDir: folder() };
    },
    ipc(given: Partial<ZmqConfig> = {}): Endpoint {
      return new Endpoint({ mode: "ipc", port: 7777, config: { ...this.config(), ...given } });
    },
    async tcp(): Promise<Endpoint> {
      const endpoint = await findFreeEndpoint({ mode: "tcp", port, config: this.config() });
      port = endpoint.port + 1;
      return endpoint;
    },
    async make(mode: TransportMode): Promise<Endpoint> {
      return mode === "ipc" ? this.ipc() : this.tcp();
    },
  };
}

/** Asks until it is so; the test's own deadline is the only one. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Leaves a socket file that nobody listens on, as a process that was killed does. */
export async function staleSocket(path: string): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  // Closing removes the name that was listened on, and not a second one.
  linkSync(path, `${path}.kept`);
  await new Promise((resolve) => server.close(resolve));
  renameSync(`${path}.kept`, path);
}

/** What is left in an IPC endpoint's folder. */
export const filesOf = (endpoint: Endpoint): string[] => readdirSync(endpoint.socketDir);
