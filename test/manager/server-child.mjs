// SPDX-License-Identifier: MIT
// A server in a process of its own, to be killed and suspended: node server-child.mjs execution|viewer ipc|tcp PORT SOCKET_DIR LOG_FILE

import { ExecutionServer, zmqConfigs } from "../../dist/runtime/index.js";
import { NullReceiver } from "../../dist/streaming/index.js";

const [kind, mode, port, ipcSocketDir, logFilePath] = process.argv.slice(2);
const config = { ...zmqConfigs.tilecast, ipcSocketDir };
const options = { endpoint: { mode, port: Number(port), config }, logFilePath };
const server =
  kind === "viewer"
    ? new NullReceiver(options)
    : new ExecutionServer({ ...options, execute: async () => undefined });
await server.start();
process.stdout.write("ready\n");
await server.closed;
