// SPDX-License-Identifier: MIT
// A server process for the tests of the instance manager: node server-child.mjs PORT SOCKET_DIR JOURNAL BEHAVIOUR COUNT_FILE [GENERATION LAUNCH]

import { appendFileSync } from "node:fs";
import { ExecutionServer, StartupJournal, zmqConfigs } from "../../dist/runtime/index.js";

const [port, ipcSocketDir, journalPath, behaviour, countFile, generation, launch] = process.argv.slice(2);
appendFileSync(countFile, `${process.pid}\n`);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const journal = new StartupJournal(journalPath);
journal.emit("starting_process", "test server process started");
if (behaviour === "crash") {
  console.error("no module named courage");
  process.exit(3);
}
if (behaviour === "fail") {
  journal.emit("failed", "the configuration is wrong");
  await wait(60_000);
}
if (behaviour === "hang") await wait(600_000);
if (behaviour === "slow") {
  for (let i = 0; i < 6; i++) {
    await wait(250);
    journal.emit("preparing_capabilities", `part ${i}`);
  }
}
const config = { ...zmqConfigs.tilecast, ipcSocketDir };
const server = new ExecutionServer({
  endpoint: { mode: "ipc", port: Number(port), config },
  execute: async () => undefined,
  ...(generation && { generation, launch: JSON.parse(launch) }),
});
journal.emit("binding_endpoint", "binding");
await server.start();
journal.emit("server_ready", "ready");
await server.closed;
