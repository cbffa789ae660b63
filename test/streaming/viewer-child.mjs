// SPDX-License-Identifier: MIT
// A viewer process for the tests: node viewer-child.mjs PORT SOCKET_DIR BEHAVIOUR (answer, mute). Prints "ready", then the z of each plane it gets.

import { zmqConfigs } from "../../dist/runtime/index.js";
import { NullReceiver } from "../../dist/streaming/index.js";

const [port, ipcSocketDir, behaviour] = process.argv.slice(2);
const server = await new NullReceiver({
  endpoint: { port: Number(port), config: { ...zmqConfigs.tilecast, ipcSocketDir } },
  onBatch: async ({ images }) => {
    for (const { metadata, shm_name } of images)
      console.log(`${metadata.z_index} ${shm_name ? "pixels" : "store"}`);
    if (behaviour === "mute") await new Promise(() => undefined);
  },
}).start();
console.log("ready");
await server.closed;
