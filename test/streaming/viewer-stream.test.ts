// SPDX-License-Identifier: MIT
// The stream to a viewer: what arrives, who owns the pixels, what a run and the acknowledgements say of it.

import { describe, expect, test } from "vitest";
import { ZmqServer } from "../../lib/runtime/server.js";
import { storeOf } from "../../lib/streaming/wire-reader.js";
import { filesOf } from "../runtime/endpoints.js";
import { expected, KeepingViewer, pixelsOf, plane, planeBytes, stored, zOf } from "./senders.js";
import { exportsOf, testStreams, until } from "./streams.js";

const { endpoints, makePool, connect, receive } = testStreams();

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
