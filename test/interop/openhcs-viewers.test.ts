// SPDX-License-Identifier: MIT
// The real OpenHCS in both directions: our stream to its napari server, its senders and its client to our receiver; regions read by roifile.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TilePool } from "../../lib/image/tile-pool.js";
import { Endpoint, zmqConfigs } from "../../lib/runtime/endpoint.js";
import { asDict } from "../../lib/runtime/message-schema.js";
import { type PickleValue, PyOpaque, PyTuple } from "../../lib/runtime/pickle-value.js";
import { probeEndpoint } from "../../lib/runtime/probe.js";
import { encodeFreehandRoi, encodePointRoi, encodeRoi } from "../../lib/streaming/imagej-roi.js";
import { NullReceiver } from "../../lib/streaming/receiver.js";
import { ViewerStream } from "../../lib/streaming/viewer-stream.js";
import { planeOf, type ReceivedItem } from "../../lib/streaming/wire-reader.js";
import { Display } from "../helpers/display.js";
import { needsPeer, viewersPython } from "../helpers/shared.js";
import { PythonWorker } from "../runtime/peers.js";
import { blur, expected, plane, planeBytes } from "../streaming/senders.js";

const path = viewersPython();
const program = fileURLToPath(new URL("openhcs_viewers_peer.py", import.meta.url));

// OpenHCS's sockets are in the home folder, and theirs is short: a test's process is its own.
const home = mkdtempSync(join(tmpdir(), "tc-home-"));
process.env.HOME = home;
afterAll(() => rmSync(home, { recursive: true, force: true }));

let python: PythonWorker | undefined;
const ask = (what: string, more = {}) => {
  python ??= new PythonWorker(path as string, readFileSync(program, "utf8"));
  return python.ask({ what, ...more });
};

const metadata = (z: number) => ({ site: 1, channel: 1, z_index: z, timepoint: 1, well: "A01" });
const theirs = (port: number) => new Endpoint({ mode: "ipc", port, config: zmqConfigs.openhcs });
const objects = (): string[] => readdirSync("/dev/shm").filter((name) => /^(napari|fiji)_/.test(name));

describe("our stream to OpenHCS's napari server", () => {
  needsPeer(path, "OpenHCS");
  let display: Display;
  let server: ChildProcess;
  let said = "";
  const endpoint = theirs(5555);
  const route = "origin_pipeline_kind_main_projection_main_step_0_name_Blur";

  beforeAll(async () => {
    if (path === undefined) return;
    mkdirSync(endpoint.socketDir, { recursive: true, mode: 0o700 });
    display = await Display.open();
    server = spawn(path, [program, "napari", `${endpoint.port}`, join(home, "napari.log")], {
      env: { ...process.env, DISPLAY: display.name, QT_QPA_PLATFORM: "xcb", LIBGL_ALWAYS_SOFTWARE: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [server.stdout, server.stderr])
      stream?.on("data", (text) => {
        said += text;
      });
    // Importing OpenHCS and napari takes half a minute where nothing is cached.
    while ((await probeEndpoint(endpoint)).state !== "ready") {
      if (server.exitCode !== null) throw new Error(`OpenHCS's napari server ended:\n${said}`);
      await new Promise((r) => setTimeout(r, 200));
    }
  });
  afterAll(async () => {
    server?.kill("SIGKILL");
    await display?.[Symbol.asyncDispose]();
  });

  const list = (value: unknown): readonly unknown[] =>
    value instanceof PyTuple ? value.items : (value as unknown[]);

  /** The pixels that its layer holds, by z. */
  async function layerPixels(stream: ViewerStream): Promise<Map<number, Uint16Array>> {
    const oc = "openhcs.runtime.viewer_controls";
    const make = (qualname: string, state: PickleValue) =>
      new PyOpaque({ module: oc, qualname, origin: "newobj", state });
    const full = new PyOpaque({
      module: oc,
      qualname: "ViewerShapePayloadProjection",
      origin: "reduce",
      args: ["full"],
    });
    const options = make("ViewerPayloadControlOptions", [route, null, true, 4096, null, true, 256]);
    const reply = asDict(
      await stream.client.call({
        type: "payloads",
        payload: make("ViewerPayloadProjectionOptions", [options, null, full]),
      }),
    );
    const [layer] = list(reply?.layers).map(asDict);
    return new Map(
      list(layer?.payloads)
        .map(asDict)
        .map((p) => [
          Number(asDict(p?.components)?.z_index),
          Uint16Array.from(list(p?.array_values).flatMap((row) => list(row).map(Number))),
        ]),
    );
  }

  test("planes, shapes and points arrive as they are, are acknowledged, calibrated and titled; nothing is left in shared memory", async () => {
    const pool = TilePool.create({ slotBytes: planeBytes, slots: 8 });
    await using stream = await ViewerStream.connect({
      endpoint,
      timeoutMs: 30_000,
      values: { z_index: [1, 2, 3, 4, 5] },
      names: { channel: { 1: "DAPI" } },
    });
    expect([stream.flavour, stream.viewer]).toEqual(["openhcs", "napari"]);
    for (let z = 1; z <= 5; z++) stream.send(plane(pool, z, { pixelSize: [0.65, 0.65] }) as never);
    const common = {
      components: metadata(1),
      producer: { ...blur, kind: "artifact", output: "cells" },
    } as const;
    stream.send({
      kind: "shapes",
      ...common,
      shapes: [
        { type: "polygon", vertices: [10, 10, 10, 50, 50, 50, 50, 10], label: 1 },
        { type: "ellipse", vertices: [5, 5, 20, 30], label: 2 },
        { type: "path", vertices: [0, 0, 20, 20, 30, 50], label: 3 },
      ],
    });
    stream.send({ kind: "points", ...common, points: [10, 10, 50, 51] });
    await stream.drain({ timeoutMs: 50_000 });
    expect(stream.stats).toMatchObject({
      accepted: 7,
      refused: 0,
      copiedBytes: 0,
      lastError: "",
      acks: { sent: 7, shown: 7, failed: 0 },
    });
    expect(await stream.controls.settle()).toMatchObject({ phase: "complete" });
    const layers = await stream.controls.state();
    expect(layers.map((l) => [l.routeKey.replace(/_step_0_name_Blur/, ""), l.title, l.planes])).toEqual([
      ["origin_pipeline_kind_main_projection_main", "1. Blur", 5],
      ["origin_pipeline_kind_artifact_projection_cells_shapes", "1. Blur cells ROIs", 1],
      ["origin_pipeline_kind_artifact_projection_cells_points", "1. Blur cells points", 1],
    ]);
    expect(layers[0]).toMatchObject({
      kind: "image",
      shape: [1, 1, 5, 1, 1, 64, 64],
      axes: ["site", "channel", "z_index", "timepoint", "well", "y", "x"],
      scale: [1, 1, 1, 1, 1, 0.65, 0.65],
      visible: true,
    });
    const pixels = await layerPixels(stream);
    for (let z = 1; z <= 5; z++) expect(pixels.get(z)).toEqual(expected(z));

    await stream.controls.navigate({ z_index: 4 }, { routeKey: route });
    const shot = await stream.controls.screenshot(join(home, "shot.png"));
    expect(readFileSync(shot.path).subarray(1, 4).toString()).toBe("PNG");
    expect(shot.width).toBeGreaterThan(100);
    await expect(stream.controls.runMacro("run('Invert');")).rejects.toMatchObject({
      code: "ERR_STREAM",
      message: "OpenHCS's napari viewer: it cannot run macros",
    });

    await stream.controls.clear();
    // It keeps empty layers.
    expect((await stream.controls.state()).map((layer) => layer.planes)).toEqual([0, 0, 0]);
    expect(pool.stats.free).toBe(8);
    expect(readdirSync("/dev/shm").filter((name) => name.startsWith(`tc-${pool.id}-x`))).toEqual([]);
    pool.close();
  });

  test("the example of docs/streaming.md runs as it is written", async () => {
    const example = fileURLToPath(new URL("../../examples/stream-to-viewer.mjs", import.meta.url));
    const child = spawn(process.execPath, [example, "--openhcs"], {
      cwd: home,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (text) => {
        output += text;
      });
    const code = await new Promise((r) => child.once("close", r));
    expect([code, output]).toEqual([0, expect.stringMatching(/sent: 7,\s+received: 7,\s+shown: 7/)]);
    expect(readFileSync(join(home, "viewer.png")).subarray(1, 4).toString()).toBe("PNG");
    const source = readFileSync(example, "utf8");
    const page = readFileSync(new URL("../../docs/streaming.md", import.meta.url), "utf8");
    const squeeze = (text: string) => text.replace(/\s+/g, " ");
    for (const statement of [
      "await stream.sendImage(",
      'stream.sendShapes([{ type: "polygon", vertices: [10, 10, 10, 90, 90, 90], label: 1 }], { name: "region" });',
      'await stream.controls.screenshot("viewer.png");',
    ]) {
      expect(squeeze(source)).toContain(statement);
      expect(squeeze(page)).toContain(statement);
    }
  });

  test("it ends when it is asked to, and leaves no socket; what comes after is counted as dropped", async () => {
    await using stream = await ViewerStream.connect({ endpoint, timeoutMs: 30_000 });
    await stream.controls.shutdown();
    await new Promise((r) => server.once("exit", r));
    stream.sendPoints([1, 1]);
    await stream.drain({ timeoutMs: 5000 });
    expect(stream.stats).toMatchObject({ state: "gone", dropped: 1, accepted: 0 });
    expect(readdirSync(endpoint.socketDir).filter((f) => /-[56]555\./.test(f))).toEqual([]);
  });
});

describe("OpenHCS's senders to our receiver", () => {
  needsPeer(path, "OpenHCS");
  const serve = async (viewer: "napari" | "fiji", port: number, flavour: "tilecast" | "openhcs") => {
    const items: ReceivedItem[] = [];
    const pixels: Buffer[] = [];
    const server = await new NullReceiver({
      endpoint: theirs(port),
      viewer,
      flavour,
      onBatch: ({ images }) => {
        for (const item of images) {
          items.push(item);
          if (item.shm_name !== undefined)
            pixels.push(readFileSync(`/dev/shm/${item.shm_name}`).subarray(0, planeOf(item).bytes));
        }
      },
    }).start();
    return { server, items, pixels };
  };

  test.each(["tilecast", "openhcs"] as const)(
    "images of every dtype, equal to the last bit, acknowledged (%s)",
    async (flavour) => {
      const { server, items, pixels } = await serve("napari", 5556, flavour);
      await using _ = server;
      const dtypes = ["uint8", "uint16", "int16", "uint32", "int32", "float32", "float64", "bool"];
      const sent = dtypes.map((dtype, i) => ({
        name: dtype,
        dtype,
        shape: [7, 9],
        metadata: metadata(i + 1),
      }));
      expect(await ask("send", { viewer: "napari", port: 5556, items: sent })).toBe(true);
      expect(items.map((item) => item.dtype)).toEqual(dtypes);
      const counts = Array.from({ length: 63 }, (_, i) => i);
      const made = [
        Uint8Array.from(counts),
        Uint16Array.from(counts),
        Int16Array.from(counts),
        Uint32Array.from(counts),
        Int32Array.from(counts),
        Float32Array.from(counts),
        Float64Array.from(counts),
        Uint8Array.from(counts, (n) => Number(n > 0)),
      ];
      made.forEach((array, i) => {
        expect(pixels[i]?.equals(new Uint8Array(array.buffer))).toBe(true);
      });
      expect(items[0]).toMatchObject({
        metadata: metadata(1),
        producer_identity: { step_name: "Blur", pipeline_position: 0 },
      });
      const all = flavour === "tilecast" ? 8 : 16;
      expect(await ask("acknowledged", { port: 5556, count: all })).toEqual([all, all]);
      expect(objects()).toEqual([]);
    },
  );

  test("regions for napari and for Fiji", async () => {
    const shapes = [
      [
        "polygon",
        [
          [0, 0],
          [0, 4],
          [4, 4],
          [4, 0],
        ],
      ],
      [
        "path",
        [
          [0, 0],
          [2, 2],
          [3, 5],
        ],
      ],
      ["ellipse", [2, 3, 1, 2]],
    ];
    const items = [{ name: "cells", shapes, metadata: metadata(1) }];
    const napari = await serve("napari", 5557, "tilecast");
    const fiji = await serve("fiji", 5567, "tilecast");
    expect(await ask("send", { viewer: "napari", port: 5557, items })).toBe(true);
    expect(await ask("send", { viewer: "fiji", port: 5567, items })).toBe(true);
    expect(napari.items[0]).toMatchObject({
      data_type: "shapes",
      shapes: [
        { type: "polygon" },
        {
          type: "path",
          coordinates: [
            [0, 0],
            [2, 2],
            [3, 5],
          ],
        },
        { type: "ellipse" },
      ],
    });
    expect(fiji.items[0]?.data_type).toBe("rois");
    expect(fiji.items[0]?.rois).toHaveLength(3);
    await Promise.all([napari.server.close(), fiji.server.close()]);
  });

  test("its client finds our viewers by ping and scan", async () => {
    for (const [viewer, port] of [
      ["napari", 5558],
      ["fiji", 5568],
    ] as const) {
      const { server } = await serve(viewer, port, "tilecast");
      expect(await ask("ping", { port })).toEqual({
        type: viewer,
        role: "viewer",
        ready: true,
        found: [port],
      });
      await server.close();
    }
  });
});

test("roifile reads what we write for ImageJ", async ({ skip }) => {
  if (path === undefined && !process.env.CI) skip("OpenHCS is missing");
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
  const square = [1.5, 2, 1.5, 10.25, 7, 10.25, 7, 2];
  const many = Array.from({ length: 140_000 }, (_, i) => (i % 2 ? i % 1000 : Math.floor(i / 1000)));
  const given = [
    encodeRoi({ type: "polygon", vertices: square, label: 5 }),
    encodeRoi(
      { type: "path", vertices: [-3, -4, 5.5, 6], label: 1 },
      { name: "µ-cell", position: { channel: 1, slice: 2, frame: 3 } },
    ),
    encodeRoi({ type: "ellipse", vertices: [10.5, 20.25, 30.5, 60.25], label: 2 }),
    encodeFreehandRoi(square, { name: "drawn" }),
    encodePointRoi([1, 2, 3.5, 4]),
    encodeRoi({ type: "polygon", vertices: many, label: 9 }),
  ];
  type Roi = {
    type: string;
    name: string;
    bounds: number[];
    position: number[];
    coordinates: number[][];
    oval: number[];
  };
  const rois = (await ask("rois", { rois: given.map(base64) })) as Roi[];
  const xy = [
    [2, 1.5],
    [10.25, 1.5],
    [10.25, 7],
    [2, 7],
  ];
  expect(rois[0]).toMatchObject({ type: "POLYGON", name: "5", bounds: [1, 2, 7, 11], subpixel: true });
  expect(rois[0]?.coordinates.slice(0, 4)).toEqual(xy);
  expect(rois[1]).toMatchObject({
    type: "POLYLINE",
    name: "µ-cell",
    position: [1, 2, 3],
    bounds: [-3, -4, 6, 6],
  });
  expect(rois[1]?.coordinates).toEqual([
    [-4, -3],
    [6, 5.5],
  ]);
  expect(rois[2]).toMatchObject({ type: "OVAL", bounds: [10, 20, 31, 61], oval: [20.25, 10.5, 40, 20] });
  expect(rois[3]).toMatchObject({ type: "FREEHAND", name: "drawn" });
  expect(rois[4]).toMatchObject({
    type: "POINT",
    coordinates: [
      [2, 1],
      [4, 3.5],
    ],
  });
  expect(rois[5]?.coordinates.slice(0, 70_000)).toEqual(
    Array.from({ length: 70_000 }, (_, i) => [many[2 * i + 1], many[2 * i]]),
  );
});
