// SPDX-License-Identifier: MIT
// Endpoints for tests: IPC in a folder of the test's own, TCP on ports that are free, and a closing of whatever a test opened.

import { readdirSync } from "node:fs";
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

/** What is left in an IPC endpoint's folder. */
export const filesOf = (endpoint: Endpoint): string[] => readdirSync(endpoint.socketDir);
