// SPDX-License-Identifier: MIT
// Sends a small stack, a region and two points to a viewer that runs on port 5555: node examples/stream-to-viewer.mjs [--openhcs]

import { zmqConfigs } from "tilecast/runtime";
import { ViewerStream } from "tilecast/streaming";

const config = process.argv.includes("--openhcs") ? zmqConfigs.openhcs : zmqConfigs.tilecast;
const stream = await ViewerStream.connect({ endpoint: { port: 5555, config } });

const shape = [512, 512];
for (let z = 1; z <= 5; z++) {
  const data = Uint16Array.from({ length: 512 * 512 }, (_, i) => (i % 512) * z);
  await stream.sendImage(
    { data, shape },
    { name: "gradient", components: { z_index: z }, pixelSize: [0.65, 0.65] },
  );
}
stream.sendShapes([{ type: "polygon", vertices: [10, 10, 10, 90, 90, 90], label: 1 }], { name: "region" });
stream.sendPoints([100, 100, 200, 220], { name: "centres" });

await stream.drain({ timeoutMs: 10_000 });
console.log(stream.stats.acks);
await stream.controls.screenshot("viewer.png");
await stream.close();
