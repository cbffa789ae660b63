// SPDX-License-Identifier: MIT
// The stream to a viewer: what arrives, who owns the pixels, and that no viewer, however bad, holds the sender up or makes it leak.

import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { TilePool } from "../../lib/image/tile-pool.js";
import type { Endpoint } from "../../lib/runtime/endpoint.js";
import { ZmqServer } from "../../lib/runtime/server.js";
import { NullReceiver, type NullReceiverOptions } from "../../lib/streaming/receiver.js";
import { ViewerStream, type ViewerStreamOptions } from "../../lib/streaming/viewer-stream.js";
import { storeOf } from "../../lib/streaming/wire-reader.js";
import { filesOf, testEndpoints } from "../runtime/endpoints.js";
import { expected, KeepingViewer, pixelsOf, plane, planeBytes, stored, zOf } from "./senders.js";

const endpoints = testEndpoints();
const pools: TilePool[] = [];
const children: ChildProcess[] = [];
afterEach(() => {
  for (const pool of pools.splice(0)) pool.close();
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

function makePool(slots: number): TilePool {
  const pool = TilePool.create({ slotBytes: planeBytes, slots });
  pools.push(pool);
  return pool;
}

const connect = async (endpoint: Endpoint, options: Partial<ViewerStreamOptions> = {}) =>
  endpoints.keep(await ViewerStream.connect({ ...options, endpoint }));

const receive = async (options: Partial<NullReceiverOptions> = {}) =>
  endpoints.keep(await new NullReceiver({ endpoint: endpoints.ipc(), ...options }).start());

/** Waits for what will be, without a limit of its own: the test's is the limit. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((r) => setTimeout(r, 5));
}

const exportsOf = (pool: TilePool): string[] =>
  readdirSync("/dev/shm").filter((name) => name.startsWith(`tc-${pool.id}-x`));

async function child(endpoint: Endpoint, behaviour: string) {
  const program = fileURLToPath(new URL("viewer-child.mjs", import.meta.url));
  const process_ = spawn(process.execPath, [program, `${endpoint.port}`, endpoint.socketDir, behaviour], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(process_);
  const lines: string[] = [];
  createInterface({ input: process_.stdout }).on("line", (line) => lines.push(line));
  await until(() => lines.includes("ready"));
  lines.splice(0);
  return { process: process_, lines };
}

describe("what arrives", () => {
  test("planes with their pixels, values, spacing and store; each acknowledged; every slot given back, nothing copied", async () => {
    const pool = makePool(8);
    const seen: { z: number; pixels: Uint16Array; store: unknown }[] = [];
    const viewer = await receive({
      onBatch: ({ images, component_value_domain, component_names_metadata, display_config }) => {
        for (const item of images) seen.push({ z: zOf(item), pixels: pixelsOf(item), store: storeOf(item) });
        expect(component_value_domain).toMatchObject({ well: ["A01", "B02"], channel: [1] });
        expect(component_names_metadata).toEqual({ channel: { 1: "DAPI" } });
        expect(display_config).toMatchObject({
          component_modes: { channel: "layer", well: "stack" },
          tilecast: { colormaps: { 1: "blue" } },
        });
        expect(images[0]).toMatchObject({
          dtype: "uint16",
          shape: [64, 64],
          data_type: "image",
          producer_identity: {
            origin: "pipeline",
            output_kind: "main",
            step_name: "Blur",
            pipeline_position: 0,
          },
          image_metadata: { source_voxel_spacing: { values_zyx: [0.65, 0.6], unit: "micrometers" } },
        });
      },
    });
    const stream = await connect(viewer.endpoint, {
      values: { well: ["B02", "A01"] },
      names: { channel: { 1: "DAPI" } },
      display: { modes: { channel: "layer" }, colormaps: { 1: "blue" } },
    });
    expect([stream.flavour, stream.viewer, stream.name]).toEqual([
      "tilecast",
      "napari",
      "napari on port 7777",
    ]);
    for (let z = 0; z < 8; z++)
      stream.send(plane(pool, z, { store: stored(z), pixelSize: [0.65, 0.6] }) as never);
    await stream.drain();
    expect(seen.map((s) => s.z)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    for (const { z, pixels, store } of seen) {
      expect(pixels).toEqual(expected(z));
      expect(store).toEqual(stored(z));
    }
    expect(stream.isSettled).toBe(true);
    expect(stream.stats).toMatchObject({
      given: 8,
      sent: 8,
      accepted: 8,
      dropped: 0,
      copiedBytes: 0,
      pixelBytes: 8 * planeBytes,
      held: 0,
      acks: { sent: 8, received: 8, shown: 8, failed: 0, pending: 0 },
      latency: { accepted: { count: 8 }, shown: { count: 8 } },
    });
    expect(pool.stats.free).toBe(8);
    expect(exportsOf(pool)).toEqual([]);
  });

  test("every other kind", async () => {
    const batches: unknown[] = [];
    const viewer = await receive({
      onBatch: ({ images }) => {
        batches.push(...images.map(({ data_type, shapes, tilecast }) => ({ data_type, shapes, tilecast })));
      },
    });
    const stream = await connect(viewer.endpoint);
    stream.sendShapes([{ type: "path", vertices: [0, 0, 3, 4], label: 7 }], { name: "lines" });
    stream.sendPoints([1, 2, 3, 4]);
    stream.sendTracks([[1, 0, 2.5, 3]]);
    stream.sendTable({ columns: ["area", "who"], rows: [[Number.NaN, null]] }, { name: "cells" });
    await stream.drain();
    expect(batches).toMatchObject([
      {
        data_type: "shapes",
        shapes: [
          {
            type: "path",
            coordinates: [
              [0, 0],
              [3, 4],
            ],
            metadata: { label: 7, area: 0, perimeter: 5, centroid: [1.5, 2] },
          },
        ],
      },
      { data_type: "points", shapes: [{ type: "points", coordinates: [[1, 2]] }, { coordinates: [[3, 4]] }] },
      { data_type: "tracks", tilecast: { tracks: [[1, 0, 2.5, 3]] } },
      {
        data_type: "table",
        tilecast: { table: { title: "cells", columns: ["area", "who"], rows: [[Number.NaN, null]] } },
      },
    ]);
  });

  test("arrays are copied once into slots of the stream's own, tiles not at all", async () => {
    const seen: Uint16Array[] = [];
    const viewer = await receive({ onBatch: ({ images }) => void seen.push(...images.map(pixelsOf)) });
    const stream = await connect(viewer.endpoint, { slots: 2 });
    // More than there are slots: the sender waits for the viewer.
    for (let z = 0; z < 10; z++)
      await stream.sendImage({ data: expected(z), shape: [64, 64] }, { components: { z_index: z } });
    const pool = makePool(1);
    const tile = await pool.loan([64, 64], "uint16");
    tile.view().set(expected(99));
    await stream.sendImage(tile);
    await stream.drain();
    expect(seen).toEqual([...Array.from({ length: 10 }, (_, z) => expected(z)), expected(99)]);
    expect(stream.stats).toMatchObject({ copiedBytes: 10 * planeBytes, dropped: 0, storeOnly: 0 });
    expect(tile.released).toBe(false);
    tile.release();
    await expect(stream.sendImage({ data: expected(0), shape: [64, 63] })).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message: "shape must be [y, x] with as many pixels as data, 4096, got [64, 63]",
    });
  });

  test("what has gathered while a batch is under way goes as the next one", async () => {
    const sizes: number[] = [];
    let letGo = (): void => undefined;
    const viewer = await receive({
      onBatch: async ({ images }) => {
        sizes.push(images.length);
        if (sizes.length === 1) await new Promise<void>((r) => (letGo = r));
      },
    });
    const pool = makePool(21);
    const stream = await connect(viewer.endpoint, { slots: 40 });
    stream.send(plane(pool, 0) as never);
    await until(() => sizes.length === 1);
    for (let z = 1; z <= 20; z++) stream.send(plane(pool, z) as never);
    letGo();
    await stream.drain();
    expect(sizes).toEqual([1, 20]);
  });

  test("a viewer of OpenHCS's gets what it reads and nothing of ours; tables and tracks are counted as unsupported", async () => {
    const items: { [key: string]: unknown }[] = [];
    const viewer = await receive({
      flavour: "openhcs",
      onBatch: ({ images, display_config }) => {
        items.push(...(images as never[]));
        expect(display_config).not.toHaveProperty("tilecast");
      },
    });
    const pool = makePool(2);
    const stream = await connect(viewer.endpoint, { display: { colormaps: { 1: "red" } } });
    expect(stream.flavour).toBe("openhcs");
    stream.send(plane(pool, 1, { kind: "labels", dtype: "uint16", store: stored(1), title: "T" }) as never);
    stream.sendTable({ columns: ["a"], rows: [[1]] });
    stream.sendTracks([[1, 0, 0, 0]]);
    const { pixels, ...storeOnly } = plane(pool, 2, { store: stored(2) }) as never as { pixels: never };
    stream.send(storeOnly as never);
    await stream.drain();
    expect(items).toHaveLength(1);
    expect(items[0]).toMatchObject({ data_type: "image", image_id: expect.any(String) });
    expect(items[0]).not.toHaveProperty("tilecast");
    expect(stream.stats).toMatchObject({ sent: 1, unsupported: 3, acks: { shown: 1 } });
    pool.native.release((pixels as { slot: number }).slot, (pixels as { generation: number }).generation);
  });
});

describe("who owns the pixels", () => {
  test("kept objects are the viewer's: the slot goes on with another, and what was kept never changes", async () => {
    const endpoint = endpoints.ipc();
    const viewer = endpoints.keep(await new KeepingViewer({ endpoint, viewer: "napari" }).start());
    const pool = makePool(4);
    const stream = await connect(endpoint);
    for (let z = 0; z < 40; z++) {
      let payload = plane(pool, z);
      while (payload === undefined) {
        await new Promise((r) => setTimeout(r, 2));
        payload = plane(pool, z);
      }
      stream.send(payload);
    }
    await stream.drain();
    for (let z = 0; z < 40; z++) expect(viewer.pixels(z)).toEqual(expected(z));
    expect(stream.stats).toMatchObject({ kept: 40, accepted: 40, dropped: 0, held: 0 });
    await until(() => pool.stats.free === 4);
    expect(pool.stats.handedOver).toBe(40);
    expect(exportsOf(pool)).toEqual([]);
  });

  test("beyond the slots the oldest pixels are let go: announced by their stores, or dropped and counted", async () => {
    const seen: string[] = [];
    let letGo = (): void => undefined;
    const viewer = await receive({
      onBatch: async ({ images }) => {
        for (const item of images) seen.push(`${zOf(item)}${item.shm_name === undefined ? " by store" : ""}`);
        if (seen.length === 1) await new Promise<void>((r) => (letGo = r));
      },
    });
    const pool = makePool(16);
    const stream = await connect(viewer.endpoint, { slots: 4 });
    stream.send(plane(pool, 0) as never);
    await until(() => seen.length === 1);
    // One of four is under way: three may wait.
    for (let z = 1; z <= 8; z++) stream.send(plane(pool, z, z % 2 ? { store: stored(z) } : {}) as never);
    expect(stream.isFull).toBe(true);
    expect(pool.stats.free).toBe(12);
    letGo();
    await stream.drain();
    expect(seen).toEqual(["0", "1 by store", "3 by store", "5 by store", "6", "7", "8"]);
    expect(stream.stats).toMatchObject({ storeOnly: 3, dropped: 2, accepted: 7, held: 0 });
    expect(pool.stats.free).toBe(16);
  });

  test("a refused item is counted with the viewer's words, and spoils no other", async () => {
    const endpoint = endpoints.ipc();
    endpoints.keep(
      await new ZmqServer({
        endpoint,
        data: "rep",
        role: "viewer",
        serverType: "napari",
        onData: () => '{"status": "success", "refused": [{"index": 1, "message": "no such dtype"}]}',
      }).start(),
    );
    const pool = makePool(3);
    const stream = await connect(endpoint, { acknowledge: false, slots: 8 });
    for (let z = 0; z < 3; z++) stream.send(plane(pool, z) as never);
    await stream.drain();
    expect(stream.stats).toMatchObject({ accepted: 2, refused: 1, lastError: "no such dtype", held: 0 });
    expect(pool.stats.free).toBe(3);
  });

  test.each([
    ["garbage", "garbage"],
    ["another language", "null"],
    ["nothing", ""],
    ["a huge reply", `{"status": "${"x".repeat(1 << 20)}"}`],
    ["deep nesting", "[".repeat(100_000)],
  ])("a reply that is %s: the pixels count as the viewer's, and the stream goes on", async (_, reply) => {
    const endpoint = endpoints.ipc();
    let count = 0;
    endpoints.keep(
      await new ZmqServer({
        endpoint,
        data: "rep",
        role: "viewer",
        serverType: "napari",
        onData: () => (count++ === 0 ? reply : '{"status": "success"}'),
      }).start(),
    );
    const pool = makePool(2);
    const stream = await connect(endpoint, { acknowledge: false });
    stream.send(plane(pool, 0) as never);
    await stream.drain();
    stream.send(plane(pool, 1) as never);
    await stream.drain();
    expect(stream.stats).toMatchObject({ accepted: 1, refused: 1, errors: 1, state: "ready", held: 0 });
    expect(exportsOf(pool)).toEqual([]);
    await until(() => pool.stats.free === 2);
    expect(pool.stats.handedOver).toBe(1);
  });
});

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

describe("as a sink of a run", () => {
  const description = {
    plate: "p",
    store: "/out/p.zarr",
    values: { well: ["A01", "A02"], channel: [1, 2] },
    names: { channel: { 1: "DAPI" } },
    outputs: [],
    payloads: 3,
    tiles: 6,
  };

  test("it tells the viewer of the whole plate, and holds what the run allows", async () => {
    const domains: unknown[] = [];
    const viewer = await receive({ onBatch: (batch) => void domains.push(batch.component_value_domain) });
    const pool = makePool(8);
    const stream = await connect(viewer.endpoint, { wants: { labels: false } });
    expect(stream.wants).toEqual({ labels: false });
    stream.begin(description);
    stream.accept([0, 1, 2].map((z) => plane(pool, z)) as never);
    await stream.drain({ signal: AbortSignal.timeout(10_000), timeoutMs: 10_000 });
    expect(domains[0]).toMatchObject({ well: ["A01", "A02"], channel: [1, 2], z_index: [0, 1, 2] });
    expect(stream.stats).toMatchObject({ accepted: 3, dropped: 0 });
    expect(JSON.parse(JSON.stringify(stream.stats))).toEqual(stream.stats);
  });

  test("when the time is over every slot is back, whatever the viewer does; it can still be closed", async () => {
    const viewer = await receive({ onBatch: () => new Promise(() => undefined) });
    const pool = makePool(8);
    const stream = await connect(viewer.endpoint);
    stream.begin(description);
    stream.accept([0, 1, 2, 3, 4].map((z) => plane(pool, z, { store: stored(z) })) as never);
    await stream.drain({ timeoutMs: 100 });
    expect(stream.isSettled).toBe(false);
    expect(stream.stats.held).toBe(0);
    await until(() => pool.stats.free === 8);
    pool.close();
    await stream.close();
    expect(stream.stats).toMatchObject({ state: "closed", queued: 0, dropped: 5, accepted: 0 });
    await viewer.close({ force: true });
  });
});

describe("acknowledgements", () => {
  test("two streams to OpenHCS's viewers in one process share its address; another process's is left alone", async () => {
    const viewer = await receive({ flavour: "openhcs" });
    const pool = makePool(4);
    const [a, b] = [await connect(viewer.endpoint), await connect(viewer.endpoint)];
    a.send(plane(pool, 0) as never);
    b.send(plane(pool, 1) as never);
    await Promise.all([a.drain(), b.drain()]);
    expect([a.stats.acks.shown, b.stats.acks.shown]).toEqual([1, 1]);
    await a.close();
    b.send(plane(pool, 2) as never);
    await b.drain();
    expect(b.stats.acks.shown).toBe(2);
    await b.close();
    expect(filesOf(viewer.endpoint).filter((f) => f.includes("7555"))).toEqual([]);

    const zmq = await import("zeromq");
    const other = new zmq.Pull();
    await other.bind(`ipc://${viewer.endpoint.socketDir}/tilecast-zmq-7555.sock`);
    const c = await connect(viewer.endpoint);
    expect(c.stats.lastError).toMatch(/^another process receives this viewer's acknowledgements/);
    c.send(plane(pool, 3) as never);
    await c.drain();
    expect(c.stats).toMatchObject({ accepted: 1, acks: { sent: 0 }, latency: { accepted: { count: 1 } } });
    other.close();
  });

  test("strays and garbage are ignored", async () => {
    const viewer = await receive({ acknowledges: false });
    const pool = makePool(1);
    const stream = await connect(viewer.endpoint);
    const zmq = await import("zeromq");
    const push = new zmq.Push({ linger: 1000 });
    const [file] = filesOf(viewer.endpoint).filter((f) => f.endsWith("-0.sock"));
    push.connect(`ipc://${viewer.endpoint.socketDir}/${file}`);
    for (const text of ["", "{", "[]", '{"image_id": 3}', '{"image_id": "x", "status": "success"}'])
      await push.send(text);
    stream.send(plane(pool, 0) as never);
    await stream.drain({ timeoutMs: 200 });
    expect(stream.isSettled).toBe(false);
    expect(stream.stats.acks).toMatchObject({ sent: 1, received: 1, shown: 0, pending: 1 });
    push.close();
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
