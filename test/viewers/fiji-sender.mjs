// SPDX-License-Identifier: MIT
// A sender to be killed: streams planes to the viewer whose sockets are in the folder given, and says so when the first ones are there.

import { Endpoint, zmqConfigs } from "../../dist/runtime/index.js";
import { ViewerStream } from "../../dist/streaming/index.js";

const config = { ...zmqConfigs.tilecast, ipcSocketDir: process.argv[2] };
const stream = await ViewerStream.connect({
  endpoint: new Endpoint({ port: 5565, config, mode: "ipc" }),
  display: { contrast: {} },
});
const data = new Uint16Array(64 * 64);
for (let z = 1; ; z++) {
  await stream.sendImage(
    { data, shape: [64, 64] },
    { name: "killed", components: { z_index: (z % 500) + 1 } },
  );
  if (z === 50) console.log("sending");
}
