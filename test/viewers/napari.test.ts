// SPDX-License-Identifier: MIT
// The real napari on a display of its own: what is streamed to it is what its layers hold, of every kind, in every order.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { Request } from "zeromq";
import { makeDemoPlate } from "../../lib/cli/demo-plate.js";
import { TilePool } from "../../lib/image/tile-pool.js";
import { native } from "../../lib/native.js";
import { openPlate } from "../../lib/plates/index.js";
import { writePickle } from "../../lib/runtime/pickle-writer.js";
import type { ComponentValues, PlanePayload, Producer } from "../../lib/streaming/payload.js";
import { ViewerStream, type ViewerStreamOptions } from "../../lib/streaming/viewer-stream.js";
import { Display } from "../helpers/display.js";
import { temporaryFolders } from "../helpers/folder.js";
import { needsPeer, repository, runPython, shared } from "../helpers/shared.js";
import { NapariProcess, napariPython } from "./napari-viewer.js";

const program = napariPython();
// Starting napari takes seconds, on a loaded machine tens of them.
vi.setConfig({ testTimeout: 300_000 });
const folder = temporaryFolders();
const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const objects = () => readdirSync("/dev/shm").filter((name) => name.startsWith("tc-"));

let display: Display;
let viewer: NapariProcess;
const open: { close(): unknown }[] = [];
beforeAll(async () => {
  if (program === undefined) return;
  display = await Display.open();
  viewer = await NapariProcess.start({ python: program, display: display.name, home: folder() });
});
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
  if (program !== undefined) await viewer.ask("clear_state");
});
afterAll(async () => {
  await viewer?.[Symbol.asyncDispose]();
  await display?.[Symbol.asyncDispose]();
});

async function connect(options: Partial<ViewerStreamOptions> = {}): Promise<ViewerStream> {
  const stream = await ViewerStream.connect({ endpoint: viewer.endpoint, ...options });
  open.push(stream);
  return stream;
}

function makePool(slots: number, slotBytes = 1 << 20): TilePool {
  const pool = TilePool.create({ slotBytes, slots });
  open.push(pool);
  return pool;
}

const acquired: Producer = { stepName: "acquired", position: 0, kind: "main", output: "main" };
const first: ComponentValues = { site: 1, channel: 1, z_index: 1, timepoint: 1, well: "A01" };

/** A plane of the pool that holds `bytes`. */
async function payload(
  pool: TilePool,
  bytes: Uint8Array,
  given: Partial<PlanePayload> & Pick<PlanePayload, "shape" | "dtype">,
): Promise<PlanePayload> {
  const { slot, generation, native: memory } = await slotOf(pool);
  new Uint8Array(memory.buffers[0] as ArrayBuffer, slot * pool.slotBytes, bytes.length).set(bytes);
  return {
    kind: "image",
    components: first,
    producer: acquired,
    title: "acquired",
    pixels: { pool: memory, slot, generation },
    ...given,
  };
}

async function slotOf(pool: TilePool) {
  // A slot that was handed over comes back with fresh memory, which is made in the background.
  for (;;) {
    const loan = pool.native.tryLoan();
    if (loan !== undefined) return { ...loan, native: pool.native };
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

describe("tilecast's napari viewer", () => {
  needsPeer(program, "napari");

  test("says in its pong what it understands", async () => {
    const pong = await viewer.ask("ping");
    expect(pong).toMatchObject({
      type: "pong",
      port: 5555,
      control_port: 6555,
      ready: true,
      server_type: "napari",
      server_role: "viewer",
      control_capabilities: ["force_shutdown", "ping", "shutdown"],
      process_identity: { pid: viewer.child.pid },
    });
    expect(pong).not.toHaveProperty("application");
    expect(pong.tilecast).toMatchObject({ protocol: 1, keeps: true, planes: 0 });
    for (const name of viewer.socketFiles())
      expect(statSync(join(viewer.endpoint.socketDir, name)).mode & 0o777).toBe(0o600);
    expect(statSync(viewer.endpoint.socketDir).mode & 0o777).toBe(0o700);
  });

  test("a plate arrives as it was acquired, mapped from the run's slots without a copy, with names, places and scale", async () => {
    const real = shared("data", "imagexpress-plate", "2023-02-21");
    const root = real ?? folder();
    if (real === undefined) await makeDemoPlate(root, { wells: 2, sites: 1, size: 256 });
    const plate = await openPlate(root);
    const planes = plate.planes.slice(0, 24);
    const side = Math.max(...planes.map((p) => p.width * p.height)) * 2;
    const pool = makePool(8, side);
    const stream = await connect({
      display: { modes: { channel: "layer" } },
      names: { channel: { 1: "DAPI" } },
      values: { channel: [...new Set(planes.map((p) => p.channel))] },
    });
    const expected = new Map<string, PlanePayload["components"]>();
    for (const [i, plane] of planes.entries()) {
      const loan = await slotOf(pool);
      const { slot, generation } = loan;
      await native().readPlane(pool.native, slot, generation, plane.path, plane.page, plane.sample);
      const components = {
        site: plane.site,
        channel: plane.channel,
        z_index: plane.z_index ?? 0,
        timepoint: plane.timepoint,
        well: plane.well,
      } as ComponentValues;
      expected.set(`${i}`, components);
      stream.send({
        kind: "image",
        shape: [plane.height, plane.width],
        dtype: plane.dtype,
        components,
        producer: acquired,
        title: "acquired",
        pixelSize: [0.65, 0.65],
        pixels: { pool: pool.native, slot, generation },
      } as PlanePayload);
      // The pool is smaller than the plate: what the viewer keeps must not starve it.
      if (i % 4 === 3) await stream.drain();
    }
    await stream.drain();
    expect((await viewer.settle()).settle_phase).toBe("complete");
    expect(stream.stats).toMatchObject({ kept: planes.length, copiedBytes: 0, dropped: 0, storeOnly: 0 });
    expect(stream.stats.acks).toMatchObject({ shown: planes.length });

    const layers = await stream.controls.state();
    expect(layers.map((l) => l.title)).toContain("acquired · DAPI");
    for (const layer of layers) {
      expect(layer.axes).toEqual(["site", "z_index", "well", "timepoint", "y", "x"]);
      expect(layer.scale.slice(-2)).toEqual([0.65, 0.65]);
      expect(layer.contrast?.[1]).toBeGreaterThan(layer.contrast?.[0] as number);
    }
    const oracle = runPython(
      "import sys, json, hashlib, tifffile\nprint(json.dumps([hashlib.sha256(tifffile.imread(p).tobytes()).hexdigest() for p in json.loads(sys.argv[1])]))",
      [JSON.stringify(planes.map((p) => p.path))],
    ) as string[];
    for (const [i, components] of [...expected.values()].entries()) {
      const { channel, ...values } = components;
      const layer = layers.find((l) => l.routeKey.endsWith(`channel_${channel}`));
      const got = await viewer.readPlane(layer?.routeKey as string, values);
      expect(digest(got.bytes), planes[i]?.path).toBe(oracle[i]);
      expect(got.resident).toBe(true);
    }
    // Only the pool's own objects have names: those that the viewer keeps have none any more.
    expect(objects().filter((n) => /-x\d+$/.test(n))).toEqual([]);
  });

  test("planes in any order and sent again; the later one counts, and missing ones leave no gap in the axes", async () => {
    const pool = makePool(4, 4096);
    const stream = await connect({ display: { modes: { channel: "stack" } } });
    const bytes = (v: number) => new Uint8Array(new Uint16Array(32 * 64).fill(v).buffer);
    const send = async (z: number, well: string, v: number) => {
      const components = { ...first, z_index: z, well };
      stream.send(await payload(pool, bytes(v), { shape: [32, 64], dtype: "uint16", components }));
    };
    for (const [z, well, v] of [
      [7, "B10", 1],
      [2, "A01", 2],
      [7, "B2", 3],
      [3, "A01", 4],
      [7, "B10", 5],
    ] as const)
      await send(z, well, v);
    await stream.drain();
    await viewer.settle();
    const [layer] = await stream.controls.state();
    expect(layer).toMatchObject({ shape: [1, 1, 3, 3, 1, 32, 64], planes: 4, resident: 4 });
    expect(layer?.raw.axis_values).toMatchObject({ z_index: [2, 3, 7], well: ["A01", "B2", "B10"] });
    const read = async (z: number, well: string) =>
      (await viewer.readPlane(layer?.routeKey as string, { z_index: z, well })).bytes.readUInt16LE(0);
    expect([await read(7, "B10"), await read(2, "A01"), await read(7, "B2"), await read(3, "A01")]).toEqual([
      5, 2, 3, 4,
    ]);
    await expect(read(2, "B2")).rejects.toThrow("no plane");
  });

  test("labels, outlines, points, tracks and tables each get a layer or a dock", async () => {
    const pool = makePool(2, 1 << 16);
    const stream = await connect({
      display: { modes: { channel: "stack" } },
      values: { timepoint: [1, 2, 3] },
    });
    const labels = new Int32Array(64 * 64).map((_, i) => (i % 64 < 10 ? 3 : 0));
    const shape = [64, 64] as const;
    stream.send(
      await payload(pool, new Uint8Array(labels.buffer), {
        shape,
        dtype: "int32",
        kind: "labels",
        title: "nuclei",
      }),
    );
    stream.sendShapes(
      [
        { type: "polygon", vertices: [0, 0, 0, 10, 10, 10], label: 1 },
        { type: "ellipse", vertices: [20, 20, 20, 40, 40, 40, 40, 20], label: 2 },
        { type: "path", vertices: [5, 5, 50, 50], label: 3 },
      ],
      { name: "cells" },
    );
    stream.sendPoints([1, 2, 3, 4, 5, 6], { name: "spots" });
    stream.sendTracks(
      [
        [1, 1, 5, 5],
        [1, 2, 6, 7],
        [2, 2, 9, 9],
        [2, 3, 9, 12],
      ],
      { name: "moves" },
    );
    stream.sendTable(
      {
        columns: ["area", "who"],
        rows: [
          [1.5, "a"],
          [Number.NaN, null],
        ],
      },
      { name: "measured" },
    );
    await stream.drain();
    expect((await viewer.settle()).settle_phase).toBe("complete");
    expect(stream.stats).toMatchObject({ refused: 0, acks: { shown: 5 } });
    const layers = await stream.controls.state();
    expect(layers.map((l) => [l.kind, l.title, l.raw.items])).toEqual([
      ["labels", "nuclei", 0],
      ["shapes", "cells ROIs", 3],
      ["points", "spots points", 3],
      ["tracks", "moves tracks", 4],
      ["table", "measured", 2],
    ]);
    const got = await viewer.readPlane(layers[0]?.routeKey as string, {});
    expect(digest(got.bytes)).toBe(digest(new Uint8Array(labels.buffer)));
    expect(got.dtype).toBe("int32");
  });

  test("planes beyond the memory budget are read from OME-Zarr when they are looked at", async () => {
    const path = folder();
    const bytesOf = (z: number) =>
      new Uint8Array(Uint16Array.from({ length: 64 * 64 }, (_, i) => z * 100 + (i % 50)).buffer);
    runPython(
      "import sys, json, zarr, numpy as np\n" +
        "a = zarr.create_array(sys.argv[1] + '/0', shape=(1, 12, 64, 64), chunks=(1, 1, 64, 64), dtype='uint16')\n" +
        "a[0] = np.array([[(z + 1) * 100 + i % 50 for i in range(4096)] for z in range(12)], 'uint16').reshape(12, 64, 64)\nprint('null')",
      [path],
    );
    const budget = 4 * 64 * 64 * 2;
    const small = await NapariProcess.start({
      python: program as string,
      display: display.name,
      home: folder(),
      args: ["--memory-budget", String(budget)],
    });
    try {
      const stream = await connect({ endpoint: small.endpoint, display: { modes: { channel: "stack" } } });
      const pool = makePool(4, 1 << 14);
      for (let z = 1; z <= 12; z++) {
        stream.send(
          await payload(pool, bytesOf(z), {
            shape: [64, 64],
            dtype: "uint16",
            components: { ...first, z_index: z },
            store: { path, array: "0", index: [0, z - 1] },
          }),
        );
        await stream.drain();
      }
      const large = makePool(1, 1 << 17);
      const refused = await payload(large, new Uint8Array(8192 * 5), { shape: [160, 128], dtype: "uint16" });
      stream.send(refused);
      await stream.drain();
      expect(stream.stats.lastError).toContain("memory budget of 32768 bytes is full");
      expect((await small.settle()).settle_phase).toBe("complete");
      const [layer] = await stream.controls.state();
      expect(layer).toMatchObject({ planes: 12, resident: 4 });
      expect(await small.status()).toMatchObject({ memory_budget: budget, memory_used: budget, dropped: 1 });
      for (let z = 1; z <= 12; z++) {
        await stream.controls.navigate({ z_index: z });
        expect((await small.settle()).settle_phase).toBe("complete");
        const got = await small.readPlane(layer?.routeKey as string, { z_index: z });
        // It was looked at: it is in memory now, and another one has gone.
        expect([got.resident, digest(got.bytes)]).toEqual([true, digest(bytesOf(z))]);
      }
      expect((await small.status()).memory_used).toBe(budget);
    } finally {
      await small[Symbol.asyncDispose]();
    }
  });

  test("10 000 planes", async () => {
    const pool = makePool(64, 4096);
    const stream = await connect({
      slots: 64,
      display: { modes: { channel: "stack" } },
      values: {
        z_index: Array.from({ length: 100 }, (_, i) => i + 1),
        site: Array.from({ length: 100 }, (_, i) => i + 1),
      },
    });
    for (let i = 0; i < 10_000; i++) {
      const bytes = new Uint8Array(new Uint16Array(32 * 32).fill(i).buffer);
      const components = { ...first, z_index: (i % 100) + 1, site: Math.floor(i / 100) + 1 };
      stream.send(await payload(pool, bytes, { shape: [32, 32], dtype: "uint16", components }));
      if (i % 32 === 31) await stream.drain();
    }
    await stream.drain({ timeoutMs: 60_000 });
    expect((await viewer.settle()).settle_phase).toBe("complete");
    const [layer] = await stream.controls.state();
    expect(layer).toMatchObject({ shape: [100, 1, 100, 1, 1, 32, 32], planes: 10_000, resident: 10_000 });
    for (const i of [0, 4711, 9999]) {
      const at = { z_index: (i % 100) + 1, site: Math.floor(i / 100) + 1 };
      await stream.controls.navigate(at);
      expect((await viewer.readPlane(layer?.routeKey as string, at)).bytes.readUInt16LE(2046)).toBe(i);
    }
    await viewer.ask("clear_state");
    expect(await viewer.status()).toMatchObject({ planes: 0, resident: 0, memory_used: 0 });
  });

  test("a screenshot is written where it is asked for, and shows the plane", async () => {
    const pool = makePool(1, 1 << 16);
    const stream = await connect();
    const bytes = new Uint8Array(128 * 128).map((_, i) => (i % 128 < 64 ? 255 : 0));
    stream.send(await payload(pool, bytes, { shape: [128, 128], dtype: "uint8" }));
    await stream.drain();
    await viewer.settle();
    const path = join(folder(), "shot.png");
    const { width, height } = await stream.controls.screenshot(path);
    const look = runPython(
      "import sys, json\nfrom skimage.io import imread\na = imread(sys.argv[1])[..., :3].max(2)\n" +
        "h, w = a.shape\nprint(json.dumps([w, h, int((a > 250).sum()), int((a == 0).sum())]))",
      [path],
    ) as number[];
    expect(look.slice(0, 2)).toEqual([width, height]);
    // Half of the picture is white, half black, each a good part of the window.
    expect(look[2]).toBeGreaterThan(0.1 * width * height);
    expect(look[3]).toBeGreaterThan(0.1 * width * height);
    await expect(stream.controls.screenshot("/nowhere/at/all.png")).rejects.toThrow("there is no folder");
  });

  test("garbage on both sockets is answered, harms nobody and runs nothing", async () => {
    const marker = join(folder(), "run");
    const evil = runPython(
      "import sys, json, os, pickle\nclass E:\n  def __reduce__(self): return (os.system, ('touch ' + sys.argv[1],))\n" +
        "print(json.dumps([pickle.dumps(E()).hex(), pickle.dumps({'type': 'state', 'payload': E()}).hex()]))",
      [marker],
    ) as string[];
    const item = {
      shape: [4, 4],
      dtype: "uint16",
      shm_name: "nobody",
      data_type: "image",
      metadata: first,
      producer_identity: { origin: "d", output_kind: "d", output_key: "d", projection_key: "d" },
      tilecast: {},
    };
    const batch = (given: object) => JSON.stringify({ type: "batch", images: [{ ...item, ...given }] });
    const exchange = async (url: string, frames: (Uint8Array | string)[]) => {
      const replies: string[] = [];
      const socket = new Request({ linger: 0, receiveTimeout: 20_000 });
      socket.connect(url);
      for (const frame of frames) {
        await socket.send(frame);
        replies.push((await socket.receive())[0]?.toString("latin1") ?? "");
      }
      socket.close();
      return replies;
    };
    const data = await exchange(viewer.endpoint.dataUrl, [
      "",
      "{",
      Buffer.from([0xff, 0xfe]),
      "[".repeat(100_000),
      '{"type":"batch","images":[null,1,{}]}',
      batch({}),
      batch({ dtype: "object" }),
      batch({ shape: [-1, 4] }),
      batch({ shm_name: "../etc/passwd" }),
      batch({ metadata: { ...first, well: undefined } }),
      batch({ data_type: "rois" }),
    ]);
    const said = data.map((text) => JSON.parse(text));
    for (const reply of said.slice(0, 4)) expect(reply.status).toBe("error");
    expect(said[5].refused).toEqual([
      { index: 0, message: "Shared memory nobody not found (No such file or directory)" },
    ]);
    expect(said[6].refused[0].message).toContain("dtype: expected one of bool, uint8");
    expect(said[7].refused[0].message).toContain("shape: expected whole numbers");
    expect(said[8].refused[0].message).toContain("is no name of a shared-memory object");
    expect(said[9].refused[0].message).toBe("metadata: the components well are missing");
    expect(said[10].refused[0].message).toContain("napari takes shapes");
    const control = await exchange(viewer.endpoint.controlUrl, [
      "",
      "garbage",
      ...evil.map((hex) => Buffer.from(hex, "hex")),
      Buffer.concat([Buffer.from("80042e", "hex")]),
      Buffer.from("80045d942868009468009468002e", "hex"),
      writePickle({ type: "no_such" }),
    ]);
    expect(control).toHaveLength(7);
    for (const reply of control) expect(reply).toContain("error");
    expect(control.at(-1)).toContain("Unsupported Napari control message");
    expect(runPython("import sys, os, json\nprint(json.dumps(os.path.exists(sys.argv[1])))", [marker])).toBe(
      false,
    );
    expect((await viewer.ask("ping")).ready).toBe(true);
    expect((await viewer.settle()).settle_phase).toBe("complete");
  });

  test("its Python package passes its own tests", () => {
    const env = {
      ...process.env,
      DISPLAY: display.name,
      QT_QPA_PLATFORM: "xcb",
      LIBGL_ALWAYS_SOFTWARE: "1",
      PYTHONDONTWRITEBYTECODE: "1",
    };
    const args = ["-m", "pytest", "-q", "-p", "no:cacheprovider", join(repository, "viewers", "napari")];
    const result = spawnSync(program as string, args, { encoding: "utf8", env });
    expect(result.status, result.stdout + result.stderr).toBe(0);
    expect(result.stdout).not.toContain("skipped");
  }, 600_000);
});
