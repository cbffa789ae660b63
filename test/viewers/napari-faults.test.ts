// SPDX-License-Identifier: MIT
// The napari viewer when things go wrong: killed, stopped, crowded out of its address; and OpenHCS's own sender streaming to it.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { TilePool } from "../../lib/image/tile-pool.js";
import { Endpoint, zmqConfigs } from "../../lib/runtime/endpoint.js";
import { pause } from "../../lib/runtime/zmq.js";
import type { PlanePayload, Producer } from "../../lib/streaming/payload.js";
import { ViewerStream, type ViewerStreamOptions } from "../../lib/streaming/viewer-stream.js";
import { Display } from "../helpers/display.js";
import { ended } from "../helpers/ended.js";
import { temporaryFolders } from "../helpers/folder.js";
import { needsPeer, repository } from "../helpers/shared.js";
import { NapariProcess, napariPython } from "./napari-viewer.js";

const program = napariPython();
// Starting napari takes seconds, on a loaded machine tens of them.
vi.setConfig({ testTimeout: 300_000 });
const folder = temporaryFolders();
const side = 256;

let display: Display;
const open: { close(): unknown }[] = [];
const viewers: NapariProcess[] = [];
beforeAll(async () => {
  if (program !== undefined) display = await Display.open();
});
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
  for (const viewer of viewers.splice(0)) await viewer[Symbol.asyncDispose]();
});
afterAll(async () => {
  await display?.[Symbol.asyncDispose]();
});

async function start(args: readonly string[] = [], home = folder()): Promise<NapariProcess> {
  const viewer = await NapariProcess.start({ python: program as string, display: display.name, home, args });
  viewers.push(viewer);
  return viewer;
}

async function connect(
  viewer: NapariProcess,
  options: Partial<ViewerStreamOptions> = {},
): Promise<ViewerStream> {
  const stream = await ViewerStream.connect({ endpoint: viewer.endpoint, ...options });
  open.push(stream);
  return stream;
}

function makePool(slots: number): TilePool {
  const pool = TilePool.create({ slotBytes: 2 * side * side, slots });
  open.push(pool);
  return pool;
}

const producer: Producer = { stepName: "acquired", position: 0, kind: "main", output: "main" };
const routeKey = "origin_pipeline_kind_main_projection_main_step_0_name_acquired";

/** Plane number `z`, when a slot is free. */
async function plane(pool: TilePool, z: number): Promise<PlanePayload> {
  let loan = pool.native.tryLoan();
  while (loan === undefined) {
    await pause(2);
    loan = pool.native.tryLoan();
  }
  new Uint16Array(pool.native.buffers[0] as ArrayBuffer, loan.slot * pool.slotBytes, side * side).fill(z);
  return {
    kind: "image",
    shape: [side, side],
    dtype: "uint16",
    components: { site: 1, channel: 1, z_index: z, timepoint: 1, well: "A01" },
    producer,
    title: "acquired",
    pixels: { pool: pool.native, slot: loan.slot, generation: loan.generation },
  };
}

/** Asks a window to close as a window manager does when its cross is clicked (ICCCM 4.2.8.1). */
function closeWindow(title: string): void {
  const env = { ...process.env, DISPLAY: display.name };
  const found = spawnSync("xdotool", ["search", "--name", title], { env, encoding: "utf8" });
  const script = `
import ctypes, sys
x = ctypes.CDLL("libX11.so.6")
x.XOpenDisplay.restype = ctypes.c_void_p
x.XInternAtom.restype = ctypes.c_ulong
class Message(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("serial", ctypes.c_ulong), ("sent", ctypes.c_int), ("display", ctypes.c_void_p),
                ("window", ctypes.c_ulong), ("kind", ctypes.c_ulong), ("format", ctypes.c_int), ("data", ctypes.c_long * 5), ("pad", ctypes.c_long * 24)]
d = ctypes.c_void_p(x.XOpenDisplay(None))
atom = lambda name: x.XInternAtom(d, name, 0)
for window in map(int, sys.argv[1:]):
    message = Message(33, 0, 1, d, window, atom(b"WM_PROTOCOLS"), 32, (ctypes.c_long * 5)(atom(b"WM_DELETE_WINDOW")))
    x.XSendEvent(d, ctypes.c_ulong(window), 0, ctypes.c_long(0), ctypes.byref(message))
x.XSync(d, 0)
`;
  const sent = spawnSync(program as string, ["-c", script, ...found.stdout.trim().split("\n")], { env });
  expect(sent.status, String(sent.stderr)).toBe(0);
}

/** Names in shared memory that this process or its children left, of pools of that id. */
const namesOf = (pool: TilePool) => readdirSync("/dev/shm").filter((name) => name.includes(pool.id));
const stack = { display: { modes: { channel: "stack" } } } as const;

describe("when things go wrong with the napari viewer", () => {
  needsPeer(program, "napari");

  test("20 starts and ends, each way to end it: code 0, no file and no process left", async () => {
    const home = folder();
    const pids: number[] = [];
    for (let i = 0; i < 20; i++) {
      const viewer = await start([], home);
      pids.push(viewer.child.pid as number);
      const phases = viewer.phases().map(({ phase }) => phase);
      expect(phases).toEqual([
        "starting_process",
        "importing_runtime",
        "creating_server",
        "binding_endpoint",
        "server_ready",
      ]);
      expect(viewer.socketFiles().sort()).toEqual(["tilecast-zmq-5555.sock", "tilecast-zmq-6555.sock"]);
      if (i % 4 === 3) {
        expect(await viewer.ask(i % 8 === 3 ? "shutdown" : "force_shutdown")).toMatchObject({
          type: "shutdown_ack",
          status: "success",
        });
        expect(await ended(viewer.child)).toBe(0);
      } else if (i % 4 === 2) {
        closeWindow("tilecast 5555");
        expect(await ended(viewer.child)).toBe(0);
      } else expect(await viewer.stop(i % 4 === 0 ? "SIGTERM" : "SIGINT")).toBe(0);
      expect(viewer.socketFiles()).toEqual([]);
      await viewer.client.close();
    }
    for (const pid of pids) expect(existsSync(`/proc/${pid}`)).toBe(false);
  }, 600_000);

  test("where another server listens it ends with a message, and leaves that server alone", async () => {
    const viewer = await start();
    const before = statSync(join(viewer.endpoint.socketDir, "tilecast-zmq-5555.sock")).ino;
    const second = NapariProcess.spawn({
      python: program as string,
      display: display.name,
      home: viewer.home,
    });
    viewers.push(second);
    expect(await ended(second.child)).toBe(1);
    expect(second.stderr).toContain("another server listens on");
    expect(second.phases().at(-1)).toMatchObject({ phase: "failed" });
    expect(statSync(join(viewer.endpoint.socketDir, "tilecast-zmq-5555.sock")).ino).toBe(before);
    expect((await viewer.ask("ping")).ready).toBe(true);

    // A stranger on the control port alone.
    const config = { ...zmqConfigs.tilecast, ipcSocketDir: join(viewer.home, ".tilecast", "ipc") };
    const other = new Endpoint({ port: 5600, mode: "ipc", config });
    const stranger = createServer().listen(other.controlPath);
    await new Promise((resolve) => stranger.once("listening", resolve));
    const third = NapariProcess.spawn({
      python: program as string,
      display: display.name,
      home: viewer.home,
      port: 5600,
    });
    viewers.push(third);
    expect(await ended(third.child)).toBe(1);
    expect(existsSync(other.dataPath as string)).toBe(false);
    expect(existsSync(other.controlPath as string)).toBe(true);
    await new Promise((resolve) => stranger.close(resolve));
    expect((await viewer.ask("ping")).ready).toBe(true);
  });

  test("without a display it says why and ends with 1 or a signal, never as if all were well", async () => {
    const viewer = NapariProcess.spawn({ python: program as string, display: ":999", home: folder() });
    viewers.push(viewer);
    expect(await ended(viewer.child)).not.toBe(0);
    expect(viewer.socketFiles()).toEqual([]);
    expect(viewer.stderr).not.toBe("");
  });

  test("kill -9 of the viewer leaves nothing in shared memory, and the next one starts on the same port", async () => {
    const home = folder();
    const viewer = await start([], home);
    const pool = makePool(16);
    const stream = await connect(viewer, stack);
    for (let z = 1; z <= 12; z++) stream.send(await plane(pool, z));
    await stream.drain();
    expect(stream.stats.kept).toBe(12);
    for (let z = 13; z <= 20; z++) stream.send(await plane(pool, z));
    viewer.child.kill("SIGKILL");
    await ended(viewer.child);
    await stream.drain({ timeoutMs: 10_000 });
    await stream.close();
    expect(namesOf(pool).filter((name) => /-x\d+$/.test(name))).toEqual([]);
    pool.close();
    expect(namesOf(pool)).toEqual([]);
    expect(viewer.socketFiles()).toHaveLength(2);
    const next = await start([], home);
    expect((await next.ask("ping")).ready).toBe(true);
    expect(await next.stop()).toBe(0);
    expect(next.socketFiles()).toEqual([]);
  });

  test("kill -9 of a sender: what the viewer has kept it still shows, and no name is left", async () => {
    const viewer = await start();
    const tag = `tcnap${process.pid}`;
    const script = `
      import { Request } from "zeromq";
      import { writeFileSync } from "node:fs";
      const socket = new Request({ linger: 0 });
      socket.connect(process.argv[1]);
      for (let z = 1; ; z++) {
        const name = "${tag}_" + z;
        writeFileSync("/dev/shm/" + name, Buffer.from(new Uint16Array(${side * side}).fill(z).buffer), { mode: 0o600 });
        const identity = { origin: "pipeline", output_kind: "main", output_key: "main", projection_key: "main", step_name: "acquired", pipeline_position: 0 };
        await socket.send(JSON.stringify({ type: "batch", images: [{ shape: [${side}, ${side}], dtype: "uint16", shm_name: name, data_type: "image",
          metadata: { site: 1, channel: 1, z_index: z, timepoint: 1, well: "A01" }, producer_identity: identity, tilecast: {} }] }));
        const [reply] = await socket.receive();
        if (JSON.parse(reply).kept?.[0] !== name) throw new Error(String(reply));
        process.stdout.write(z + "\\n");
      }`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script, viewer.endpoint.dataUrl], {
      cwd: repository,
      stdio: ["ignore", "pipe", "inherit"],
    });
    let text = "";
    child.stdout.on("data", (d) => {
      text += d;
      if (text.split("\n").length > 200) child.kill("SIGKILL");
    });
    expect(await ended(child)).toBe("SIGKILL");
    const told = text.trim().split("\n").map(Number);
    await viewer.settle();
    // One may have been on its way; the viewer took it or it lies where its sender died.
    const left = readdirSync("/dev/shm").filter((name) => name.startsWith(tag));
    expect(left.length).toBeLessThanOrEqual(1);
    for (const z of told) expect(left).not.toContain(`${tag}_${z}`);
    for (const name of left) spawnSync("rm", [join("/dev/shm", name)]);
    for (const z of [1, told.length]) {
      const { bytes, resident } = await viewer.readPlane(routeKey, { z_index: z });
      expect([resident, bytes.readUInt16LE(2 * side * side - 2)]).toEqual([true, z]);
    }
  });

  test("a viewer that is stopped holds nobody up, and answers again when it goes on", async () => {
    const viewer = await start();
    const pool = makePool(24);
    const stream = await connect(viewer, { ...stack, replyTimeoutMs: 1500, slots: 8 });
    stream.send(await plane(pool, 1));
    await stream.drain();
    viewer.child.kill("SIGSTOP");
    // More than there are slots: each is free again at once or when the viewer is given up.
    for (let z = 2; z <= 40; z++) stream.send(await plane(pool, z));
    await stream.drain({ timeoutMs: 4000 });
    expect(stream.stats.state).toBe("stalled");
    expect(stream.stats.held).toBe(0);
    viewer.child.kill("SIGCONT");
    while (stream.stats.state !== "ready") {
      stream.send(await plane(pool, 41));
      await pause(100);
    }
    stream.send(await plane(pool, 42));
    await stream.drain();
    expect((await viewer.settle()).settle_phase).toBe("complete");
    const { bytes } = await viewer.readPlane(routeKey, { z_index: 42 });
    expect(bytes.readUInt16LE(0)).toBe(42);
    expect(namesOf(pool).filter((name) => /-x\d+$/.test(name))).toEqual([]);
  });

  test("OpenHCS's own sender streams to it: pixels equal, acknowledged on its port, its memory unlinked by itself", async () => {
    const home = folder();
    const viewer = await start(["--openhcs"], home);
    expect(readdirSync(join(home, ".openhcs", "ipc")).sort()).toEqual([
      "openhcs-zmq-5555.sock",
      "openhcs-zmq-6555.sock",
    ]);
    const metadata = (z: number) => ({ site: 1, channel: 1, z_index: z, timepoint: 1, well: "A01" });
    const images = [3, 1, 2, 6, 5, 4].map((z) => ({
      ...{ name: `z${z}`, metadata: metadata(z), dtype: "uint16", shape: [40, 50], from: 1000 * z },
    }));
    const square = [
      [0, 0],
      [0, 9],
      [9, 9],
      [9, 0],
    ];
    const vectors = [{ name: "cells", metadata: metadata(1), shapes: [["polygon", square]] }];
    const questions = [
      { what: "ping", port: 5555 },
      { what: "send", viewer: "napari", port: 5555, items: images },
      { what: "send", viewer: "napari", port: 5555, items: vectors },
      { what: "acknowledged", port: 5555, count: 7 },
    ];
    const peer = spawnSync(
      program as string,
      [join(repository, "test", "interop", "openhcs_viewers_peer.py")],
      {
        env: { ...process.env, HOME: home },
        encoding: "utf8",
        input: questions.map((q) => `${JSON.stringify(q)}\n`).join(""),
        timeout: 120_000,
      },
    );
    const answers = peer.stdout.trim().split("\n");
    expect(peer.stderr).not.toContain("Traceback");
    expect(answers.map((line) => JSON.parse(line))).toEqual([
      { type: "napari", role: "viewer", ready: true, found: [5555] },
      true,
      true,
      [7, 7],
    ]);
    expect((await viewer.settle()).settle_phase).toBe("complete");
    const { layers } = (await viewer.ask("state")) as { layers: { [key: string]: unknown }[] };
    const route = "origin_pipeline_kind_main_projection_main_step_0_name_Blur";
    expect(layers.map((l) => [l.route_key, l.title, l.kind, l.planes, l.items])).toEqual([
      [route, "1. Blur", "image", 6, 0],
      [`${route}_shapes`, "1. Blur ROIs", "shapes", 1, 1],
    ]);
    for (const { metadata: at, from } of images) {
      const { bytes, dtype } = await viewer.readPlane(route, { z_index: at.z_index });
      const expected = Uint16Array.from({ length: 40 * 50 }, (_, i) => from + i);
      expect([dtype, bytes.equals(Buffer.from(expected.buffer))]).toEqual(["uint16", true]);
    }
  });
});
