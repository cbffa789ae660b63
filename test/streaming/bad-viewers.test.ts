// SPDX-License-Identifier: MIT
// No viewer, however bad, holds the sender up or makes it leak: silent, suspended, killed, replaced, talking nonsense.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ZmqServer } from "../../lib/runtime/server.js";
import { sweepAckSockets } from "../../lib/streaming/ack-listener.js";
import { ViewerStream } from "../../lib/streaming/viewer-stream.js";
import { filesOf } from "../runtime/endpoints.js";
import { plane, stored, zOf } from "./senders.js";
import { exportsOf, testStreams, until } from "./streams.js";

const { endpoints, makePool, connect, receive, child } = testStreams();

describe("bad viewers", () => {
  test("a viewer that does not answer: its planes are announced by their stores when it does again", async () => {
    const seen: string[] = [];
    const viewer = await receive({
      onBatch: async ({ images }) => {
        const first = seen.length === 0;
        for (const item of images) seen.push(`${zOf(item)}${item.shm_name === undefined ? " by store" : ""}`);
        if (first) await new Promise(() => undefined);
      },
    });
    const pool = makePool(4);
    const stream = await connect(viewer.endpoint, { replyTimeoutMs: 200 });
    stream.send(plane(pool, 0, { store: stored(0) }) as never);
    stream.send(plane(pool, 1) as never);
    await stream.drain();
    expect(seen).toEqual(["0", "1", "0 by store"]);
    expect(stream.stats).toMatchObject({
      timeouts: 1,
      reconnects: 1,
      storeOnly: 1,
      dropped: 1,
      accepted: 1,
      state: "ready",
    });
    await until(() => pool.stats.free === 4);
    expect(exportsOf(pool)).toEqual([]);
    await viewer.close({ force: true });
  });

  test("a suspended viewer takes no slots, and hears of every plane when it goes on", async () => {
    const endpoint = endpoints.ipc();
    const { process: viewer, lines } = await child(endpoint, "answer");
    const pool = makePool(8);
    const stream = await connect(endpoint, { replyTimeoutMs: 300, slots: 4 });
    viewer.kill("SIGSTOP");
    for (let z = 0; z < 100; z++) {
      let payload = plane(pool, z, { store: stored(z) });
      // The run goes on while the viewer sleeps: slots come back by themselves.
      while (payload === undefined) {
        await new Promise((r) => setTimeout(r, 2));
        payload = plane(pool, z, { store: stored(z) });
      }
      stream.send(payload);
      if (z % 10 === 0) await new Promise((r) => setTimeout(r, 10));
    }
    await until(() => stream.state === "stalled");
    await until(() => pool.stats.free === 8);
    viewer.kill("SIGCONT");
    await stream.drain({ timeoutMs: 50_000 });
    expect(stream.stats).toMatchObject({ given: 100, dropped: 0, accepted: 100, state: "ready" });
    await until(() => new Set(lines.map((line) => line.split(" ")[0])).size === 100);
  });

  test("a viewer that stands still when its stream closes is not waited for until the time is over", async () => {
    const endpoint = endpoints.ipc();
    const { process: viewer } = await child(endpoint, "answer");
    const pool = makePool(4);
    const stream = await connect(endpoint);
    viewer.kill("SIGSTOP");
    for (let z = 0; z < 3; z++) stream.send(plane(pool, z, { store: stored(z) }) as never);
    await stream.drain({ timeoutMs: 100 });
    expect(stream.unsent).toBe(3);
    for (let z = 3; z < 6; z++) stream.send(plane(pool, z, { store: stored(z) }) as never);
    await stream.close({ drainMs: 3_600_000 });
    expect(stream.stats).toMatchObject({ accepted: 0, dropped: 6, held: 0 });
    expect(exportsOf(pool)).toEqual([]);
  });

  test("a request for stored planes alone is given up as well when the viewer stands still", async () => {
    const endpoint = endpoints.ipc();
    await child(endpoint, "mute");
    const pool = makePool(1);
    const stream = await connect(endpoint);
    const payload = plane(pool, 0, { store: stored(0) });
    stream.send({ ...payload, pixels: undefined } as never);
    await stream.close({ drainMs: 3_600_000 });
    expect(stream.stats).toMatchObject({ accepted: 0, dropped: 1 });
  });

  test("a killed sender's address for acknowledgements is removed by a later one, that of a living one is not", async () => {
    const viewer = await receive();
    const { socketDir } = viewer.endpoint;
    const addresses = () => readdirSync(socketDir).filter((name) => /-[0-9a-f]{8}-0\.sock$/.test(name));
    const hour = new Date(Date.now() - 3_600_000);
    const living = await connect(viewer.endpoint);
    const [own] = addresses();
    utimesSync(join(socketDir, own as string), hour, hour);
    // What a kill leaves: a socket that nobody listens on.
    const dead = join(socketDir, "tilecast-zmq-0123abcd-0.sock");
    const bind = `require("net").createServer().listen(${JSON.stringify(dead)}, () => process.kill(process.pid, "SIGKILL"))`;
    spawnSync(process.execPath, ["-e", bind]);
    expect(existsSync(dead)).toBe(true);
    utimesSync(dead, hour, hour);
    await sweepAckSockets(viewer.endpoint);
    expect(addresses()).toEqual([own]);
    await living.close();
    expect(addresses()).toEqual([]);
  });

  test("a viewer that is killed between batch and reply: everything is given back, the rest is counted, nothing waits", async () => {
    const endpoint = endpoints.ipc();
    const { process: viewer, lines } = await child(endpoint, "mute");
    const pool = makePool(8);
    const stream = await connect(endpoint, { slots: 8 });
    for (let z = 0; z < 6; z++) stream.send(plane(pool, z) as never);
    await until(() => lines.length > 0);
    viewer.kill("SIGKILL");
    await until(() => stream.state === "gone");
    stream.send(plane(pool, 9) as never);
    await stream.drain();
    expect(stream.stats).toMatchObject({ given: 7, accepted: 0, dropped: 7, held: 0, queued: 0 });
    expect(stream.stats.lastError).toMatch(/the viewer's process has ended$/);
    expect(pool.stats.free).toBe(8);
    expect(exportsOf(pool)).toEqual([]);
  });

  test("with reconnect, the next viewer on that endpoint gets what came meanwhile", async () => {
    const endpoint = endpoints.ipc();
    const first = await child(endpoint, "answer");
    const pool = makePool(4);
    const stream = await connect(endpoint, { reconnect: true });
    stream.send(plane(pool, 0) as never);
    await until(() => stream.stats.accepted === 1);
    first.process.kill("SIGKILL");
    await new Promise((r) => first.process.once("exit", r));
    stream.send(plane(pool, 1, { store: stored(1) }) as never);
    await until(() => stream.state === "gone");
    const second = await child(endpoint, "answer");
    await stream.drain();
    expect(second.lines).toEqual(["1 store"]);
    expect(stream.stats).toMatchObject({ state: "ready", accepted: 2, dropped: 0 });
  });

  test("what makes a viewer fall silent is sent a few times, and then dropped; what comes after it arrives", async () => {
    const got: string[] = [];
    const viewer = await receive({
      onBatch: async ({ images }) => {
        for (const { producer_identity } of images) got.push(String(producer_identity?.output_key));
        if (images.some((item) => item.producer_identity?.output_key === "poison"))
          await new Promise(() => undefined);
      },
    });
    const stream = await connect(viewer.endpoint, { replyTimeoutMs: 100, maxBatch: 1 });
    stream.sendPoints([1, 1], { name: "poison" });
    stream.sendPoints([1, 1], { name: "good" });
    await stream.drain();
    expect(got).toEqual(["poison", "poison", "poison", "good"]);
    expect(stream.stats).toMatchObject({ timeouts: 3, dropped: 1, accepted: 1, state: "ready" });
    await viewer.close({ force: true });
  });

  test("a payload larger than a message may be is dropped, with the reason, and the next one arrives", async () => {
    const viewer = await receive();
    const stream = await connect(viewer.endpoint);
    stream.sendTable({ columns: ["text"], rows: [["x".repeat(49 * 2 ** 20)]] });
    stream.sendPoints([1, 1]);
    await stream.drain();
    expect(stream.stats).toMatchObject({ dropped: 1, accepted: 1, errors: 0 });
    expect(stream.stats.lastError).toMatch(/^table: expected at most 50331648 characters of JSON, and got 5/);
  });

  test("what is no viewer is refused when connecting, and leaves nothing", async () => {
    const endpoint = endpoints.ipc();
    await expect(ViewerStream.connect({ endpoint, timeoutMs: 100 })).rejects.toMatchObject({
      code: "ERR_TIMEOUT",
    });
    endpoints.keep(await new ZmqServer({ endpoint, role: "execution", serverType: "execution" }).start());
    await expect(ViewerStream.connect({ endpoint })).rejects.toMatchObject({
      code: "ERR_INSTANCE",
      message: `${endpoint}: expected a viewer, and got execution`,
    });
    expect(filesOf(endpoint)).toHaveLength(2);
  });

  test("damaged batches are answered by the receiver with what is wrong, and it goes on", async () => {
    const viewer = await receive();
    const stream = await connect(viewer.endpoint);
    const ask = async (text: string) => JSON.parse(String(await stream.client.send(text)));
    expect(await ask("{")).toEqual({
      status: "error",
      type: "batch",
      message: expect.stringMatching(/^JSON at byte 1: expected a string/),
    });
    expect(await ask('{"type": "image"}')).toMatchObject({
      message: 'batch.type: expected "batch", and got "image"',
    });
    expect(await ask('{"type": "batch", "images": 3, "display_config": {}}')).toMatchObject({
      status: "error",
      message: "batch.images: expected a list of a value, and got 3",
    });
    const item =
      '{"metadata": {"site": 1, "channel": 1, "z_index": 1, "timepoint": 1, "well": "A01"}, "tilecast": {}}';
    expect(await ask(`{"type": "batch", "images": [${item}, 7], "display_config": {}}`)).toEqual({
      status: "success",
      type: "batch",
      refused: [{ index: 1, message: "images[1]: expected a dict with str keys, and got 7" }],
    });
    // A sender of OpenHCS's reads the status alone.
    expect(await ask('{"type": "batch", "images": [7], "display_config": {}}')).toMatchObject({
      status: "error",
    });
    expect(viewer.items).toBe(1);
    expect(await ask('{"type": "batch", "images": [], "display_config": {}}')).toEqual({
      status: "success",
      type: "batch",
    });
  });
});

test("a hundred streams opened, used and closed leave no socket file, descriptor, timer or shared memory", async () => {
  const viewer = await receive();
  const pool = makePool(2);
  const open = () => readdirSync("/proc/self/fd").length;
  const once = async () => {
    const stream = await ViewerStream.connect({ endpoint: viewer.endpoint });
    stream.send(plane(pool, 0) as never);
    await stream.drain();
    await stream.close();
    await stream.close();
  };
  // The viewer keeps the addresses of a few senders.
  for (let i = 0; i < 20; i++) await once();
  const [files, before] = [filesOf(viewer.endpoint).length, open()];
  for (let i = 0; i < 100; i++) await once();
  expect(filesOf(viewer.endpoint)).toHaveLength(files);
  // libzmq closes its sockets' descriptors on a thread of its own.
  await until(() => open() <= before + 5);
  expect(pool.stats.free).toBe(2);
  expect(exportsOf(pool)).toEqual([]);
});
