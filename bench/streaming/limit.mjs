// SPDX-License-Identifier: MIT
// The limit of a trial: the same messages over the same sockets, with no pixels behind them. node limit.mjs TASK (JSON).

import { Endpoint, ZmqClient, zmqConfigs } from "../../dist/runtime/index.js";
import { BatchEncoder } from "../../dist/streaming/index.js";

const { port, cases, seconds } = JSON.parse(process.argv[2]);
const client = new ZmqClient({ endpoint: new Endpoint({ mode: "ipc", port, config: zmqConfigs.openhcs }) });
await client.ping({ timeoutMs: 30_000 });
const results = [];
for (const { size, batch } of cases) {
  const encoder = new BatchEncoder({ flavour: "openhcs", viewer: "napari" });
  const items = Array.from({ length: batch }, (_, z) =>
    encoder.item(
      {
        kind: "image",
        shape: [size, size],
        dtype: "uint16",
        producer: { stepName: "Blur", position: 0, kind: "main", output: "main" },
        components: { site: 1, channel: 1, z_index: z + 1, timepoint: 1, well: "A01" },
      },
      { shmName: "tc-0123456789abcdef-x0" },
    ),
  );
  const message = encoder.message(items);
  const calls = [];
  const end = performance.now() + 1000 * seconds;
  do {
    const begin = performance.now();
    await client.send(message);
    calls.push((performance.now() - begin) / 1000);
  } while (performance.now() < end);
  results.push({ size, batch, calls });
}
await client.close();
console.log(JSON.stringify(results));
