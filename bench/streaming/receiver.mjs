// SPDX-License-Identifier: MIT
// The null receiver of the trials: takes every batch and answers at once, as one of OpenHCS's viewers. node receiver.mjs PORT

import { zmqConfigs } from "../../dist/runtime/index.js";
import { NullReceiver } from "../../dist/streaming/index.js";

const server = await new NullReceiver({
  endpoint: { mode: "ipc", port: Number(process.argv[2]), config: zmqConfigs.openhcs },
  flavour: "openhcs",
}).start();
await server.closed;
