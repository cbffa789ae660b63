// SPDX-License-Identifier: MIT
// The Fiji viewer among bad messages, full memory, stores, OpenHCS's senders and sudden ends: it answers everything and leaves nothing behind.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Request } from "zeromq";
import { readPickle } from "../../lib/runtime/pickle-reader.js";
import { pause } from "../../lib/runtime/zmq.js";
import { ViewerStream } from "../../lib/streaming/viewer-stream.js";
import { temporaryFolders } from "../helpers/folder.js";
import { needsPeer, python, runPython, viewersPython } from "../helpers/shared.js";
import { PythonWorker } from "../runtime/peers.js";
import { FijiProcess, fijiLauncher } from "./fiji-viewer.js";
import { Display, ended } from "./napari-viewer.js";

const launcher = fijiLauncher();
const folder = temporaryFolders();
const openhcs = viewersPython();

let display: Display | undefined;
beforeAll(async () => {
  if (launcher !== undefined) display = await Display.open();
});
afterAll(() => display?.[Symbol.asyncDispose]());
needsPeer(launcher, "Java with the Fiji viewer");

const start = (args: readonly string[] = [], home = folder()) =>
  FijiProcess.start({ launcher: launcher as string, display: (display as Display).name, home, args });

const objects = () => new Set(readdirSync("/dev/shm"));

/** Ids of the pools that a process has mapped. */
const poolsOf = (pid: number) =>
  [...readFileSync(`/proc/${pid}/maps`, "utf8").matchAll(/\/dev\/shm\/tc-([a-z0-9]+)-/g)].map(
    (m) => m[1] as string,
  );

const metadata = { site: 1, channel: 1, z_index: 1, timepoint: 1, well: "A01" };
const item = (more: object) => ({
  path: "p",
  shape: [2, 2],
  dtype: "uint16",
  data_type: "image",
  metadata,
  ...more,
});

/** A file in shared memory with counting bytes. */
function shm(name: string, bytes: number): string {
  writeFileSync(
    `/dev/shm/${name}`,
    Uint8Array.from({ length: bytes }, (_, i) => i),
  );
  return name;
}

async function exchange(url: string, frame: Uint8Array | string): Promise<Buffer> {
  const socket = new Request({ linger: 0, receiveTimeout: 30_000 });
  socket.connect(url);
  try {
    await socket.send(frame);
    return (await socket.receive())[0] as Buffer;
  } finally {
    socket.close();
  }
}

describe("bad messages", () => {
  let viewer: FijiProcess;
  beforeAll(async () => {
    if (launcher !== undefined) viewer = await start();
  });
  afterAll(() => viewer?.close());

  const data = async (frame: Uint8Array | string) =>
    JSON.parse((await exchange(viewer.endpoint.dataUrl, frame)).toString());
  const batch = (images: unknown[], more: object = {}) =>
    data(JSON.stringify({ type: "batch", images, ...more }));

  test("garbage on every socket is answered with an error, and the next message is served", async () => {
    for (const frame of ["", "{", "[]", '"x"', "nul\u0000", "\uFFFD", '{"type": 3}', "[".repeat(100_000)])
      expect(await data(frame), frame.slice(0, 20)).toMatchObject({
        status: "error",
        message: expect.any(String),
      });
    expect(await data(Uint8Array.of(0xff, 0xfe))).toMatchObject({ message: "the message is not UTF-8" });
    const pickles = [
      "",
      "80",
      "80044e2e",
      // os.system("true"): named, never called; a message needs to be a dict.
      "80048c026f738c0673797374656d938c0474727565855292e",
      // A list that holds itself.
      "80045d94680061" + "2e",
      "8004580000ff7f2e",
      "80048d00000000000000402e",
      `8004${"28".repeat(1000)}2e`,
    ];
    for (const hex of pickles) {
      const reply = readPickle(await exchange(viewer.endpoint.controlUrl, Buffer.from(hex, "hex")));
      expect(reply, hex.slice(0, 40)).toMatchObject({ status: "error" });
    }
    expect((await viewer.client.ping()).pong.ready).toBe(true);
  });

  test("a message that is too large is answered too; bytes of another protocol end their connection only", async () => {
    const large = Buffer.alloc(65 << 20, 0x20);
    expect(await data(large)).toMatchObject({ status: "error", message: "the message has more than 64 MiB" });
    for (const bytes of ["GET / HTTP/1.1\r\n\r\n".repeat(10), "\xff\0\0\0\0\0\0\0\x01\x7f\x01\x05\0\0"]) {
      const socket = connect(viewer.endpoint.dataPath as string);
      socket.on("error", () => undefined);
      socket.end(Buffer.from(bytes, "latin1"));
      socket.resume();
      await once(socket, "close");
    }
    expect((await viewer.client.ping()).pong.ready).toBe(true);
  });

  test("bad items are refused by name and reason, the others are shown", async () => {
    const name = shm(`tctest-${process.pid}-a`, 8);
    const reply = await batch([
      item({ shm_name: name, dtype: "object" }),
      item({ shm_name: name, shape: [4000, 4000] }),
      item({ shm_name: "no-such-object" }),
      item({ shm_name: "../../etc/passwd" }),
      item({ shm_name: name, shape: [-2, 2] }),
      item({ shm_name: name, shape: [2] }),
      item({ shm_name: name, data_type: "smell" }),
      item({}),
      7,
      item({ data_type: "rois", rois: ["!"] }),
      item({ data_type: "rois", rois: ["AAAA"] }),
      item({ shm_name: name, tilecast: {} }),
    ]);
    expect(reply).toMatchObject({ status: "success", type: "batch", kept: [name] });
    expect(
      reply.refused.map(({ index, message }: { index: number; message: string }) => [index, message]),
    ).toEqual([
      [0, expect.stringMatching(/^dtype: expected bool, uint8, .*, and got "object"$/)],
      [1, `shared memory ${name} has 8 bytes, and the pixels 32000000`],
      [2, "shared memory no-such-object not found"],
      [3, 'shm_name: not the name of a shared-memory object: "../../etc/passwd"'],
      [4, "shape: expected sizes of at least 1, and got [-2, 2]"],
      [5, "shape: expected [y, x] or [y, x, 3], and got [2]"],
      [6, expect.stringMatching(/^data_type: expected one of/)],
      [7, "expected shm_name or tilecast.store, and got neither"],
      [8, "images[8]: expected an object, and got 7"],
      [9, "rois: not base64"],
      [10, "rois: not an ImageJ .roi file"],
    ]);
    expect(await viewer.settle()).toMatchObject({ settle_phase: "complete" });
    expect((await viewer.readPlane({})).pixels).toEqual(
      new Uint16Array(Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7).buffer),
    );
    expect(objects()).not.toContain(name);
  });

  test("without tilecast's keys memory is copied and stays the sender's", async () => {
    const name = shm(`tctest-${process.pid}-b`, 8);
    expect(await batch([item({ shm_name: name })])).toEqual({
      status: "success",
      type: "batch",
      message: "1 of 1 items received",
    });
    expect(objects()).toContain(name);
    shm(name, 0);
    await viewer.settle();
    expect((await viewer.readPlane({})).pixels[3]).toBe(0x0706);
    // A sender that reads nothing but the status.
    expect(await batch([item({ shm_name: "gone" }), item({ shm_name: name })])).toMatchObject({
      status: "error",
      message: expect.stringMatching(/^images\[0\]: shared memory gone not found; images\[1\]: shared memory .* has 0 bytes/),
    });
    await import("node:fs").then(({ rmSync }) => rmSync(`/dev/shm/${name}`));
  });

  test("a batch that cannot be laid out is refused as a whole", async () => {
    const display_config = { component_modes: { site: "stack" } };
    expect(await batch([], { display_config })).toMatchObject({
      status: "error",
      message: 'component_modes.site: expected window, channel, slice or frame, and got "stack"',
    });
  });

  test("pings are answered while a macro runs", async () => {
    const macro = viewer.ask("run_macro", { macro: 'wait(1500); return "done";' });
    let pings = 0;
    let isOver = false;
    const end = macro.then(() => {
      isOver = true;
    });
    while (!isOver) {
      const other = (
        await exchange(viewer.endpoint.controlUrl, Buffer.from("80047d8c04747970658c0470696e67732e", "hex"))
      ).length;
      expect(other).toBeGreaterThan(100);
      if (!isOver) pings++;
    }
    await end;
    expect(pings).toBeGreaterThan(1);
    expect(await macro).toMatchObject({ result: "done" });
  });
});

/** Writes the same planes with many codecs; names what it wrote. */
const writeArrays = `
import json, sys
import numcodecs, numpy as np, zarr
root = sys.argv[1]
shape = (2, 3, 50, 70)
data = (np.arange(np.prod(shape)) * 7 % 65521).reshape(shape).astype("uint16")
B = zarr.codecs.BloscCodec
v3 = {
    "plain": dict(compressors=None),
    "big": dict(compressors=None, serializer=zarr.codecs.BytesCodec(endian="big")),
    "zstd": dict(compressors=zarr.codecs.ZstdCodec(level=3)),
    "gzip": dict(compressors=zarr.codecs.GzipCodec()),
    "lz4-shuffle": dict(compressors=B(cname="lz4", shuffle="shuffle")),
    "zstd-bitshuffle": dict(compressors=B(cname="zstd", shuffle="bitshuffle")),
    "zlib-noshuffle": dict(compressors=B(cname="zlib", shuffle="noshuffle")),
    "sharded": dict(compressors=B(cname="lz4", shuffle="shuffle"), shards=(1, 2, 64, 64), chunks=(1, 1, 32, 32)),
    "sharded-crc": dict(compressors=[zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()], shards=(2, 3, 64, 96), chunks=(1, 1, 32, 32)),
    "dotted": dict(compressors=None, chunk_key_encoding={"name": "default", "separator": "."}),
}
for name, how in v3.items():
    how = {"chunks": (1, 2, 32, 40), **how}
    zarr.create_array(f"{root}/{name}", shape=shape, dtype="uint16", **how)[:] = data
v2 = {"v2-blosc": numcodecs.Blosc("lz4", shuffle=1), "v2-zlib": numcodecs.Zlib(), "v2-zstd": numcodecs.Zstd(), "v2-lz4": numcodecs.LZ4(), "v2-none": None}
for name, codec in v2.items():
    zarr.create_array(f"{root}/{name}", shape=shape, dtype="<u2", zarr_format=2, chunks=(1, 2, 32, 40), compressors=codec)[:] = data
floats = zarr.create_array(f"{root}/filled", shape=shape, dtype="float32", chunks=(1, 1, 32, 32), fill_value=2.5)
floats[0, 0, :32, :32] = 1
print(json.dumps([*v3, *v2]))
`;

describe("stores and memory", () => {
  needsPeer(python(), "Python with zarr");

  test("planes known by their store alone are read from it, whatever compressed them", async () => {
    const root = folder();
    const names = runPython(writeArrays, [root]) as string[];
    await using viewer = await start();
    const plane = (z: number) =>
      Uint16Array.from({ length: 3500 }, (_, i) => ((3 * 3500 + z * 3500 + i) * 7) % 65521);
    const send = async (array: string, dtype: string, index: number[]) => {
      await viewer.ask("clear_state");
      const items = index.map((z) =>
        item({
          shape: [50, 70],
          dtype,
          metadata: { ...metadata, z_index: z },
          tilecast: { store: { path: root, array, index: [1, z] } },
        }),
      );
      const text = JSON.stringify({ type: "batch", images: items });
      expect(JSON.parse((await exchange(viewer.endpoint.dataUrl, text)).toString())).toMatchObject({
        status: "success",
      });
      await viewer.settle();
    };
    for (const name of names) {
      await send(name, "uint16", [0, 1, 2]);
      for (const z of [0, 2])
        expect((await viewer.readPlane({ axis_indices: { z_index: z } })).pixels, name).toEqual(plane(z));
    }
    await send("filled", "float32", [0]);
    expect(new Set((await viewer.readPlane({})).pixels)).toEqual(new Set([2.5]));
    expect(await viewer.own()).toMatchObject({ planes: 1, resident: 0, memory_used: 0 });
    // A store that has gone is an error of that plane.
    await send("gone", "uint16", [0]);
    await expect(viewer.readPlane({})).rejects.toThrow(/there is no Zarr array/);
  });

  test("a full budget lets go of what is stored, and refuses what is not", async () => {
    const root = folder();
    runPython(writeArrays, [root]);
    await using viewer = await start(["--memory-budget", "20000"]);
    const send = async (z: number, more: object) => {
      const name = shm(`tctest-${process.pid}-${z}`, 7000);
      const at = { metadata: { ...metadata, z_index: z }, shape: [50, 70], shm_name: name, tilecast: more };
      const text = JSON.stringify({ type: "batch", images: [item(at)] });
      const reply = JSON.parse((await exchange(viewer.endpoint.dataUrl, text)).toString());
      if (!reply.kept) await import("node:fs").then(({ rmSync }) => rmSync(`/dev/shm/${name}`));
      return reply;
    };
    const store = (z: number) => ({ store: { path: root, array: "zstd", index: [1, z] } });
    expect(await send(0, store(0))).toMatchObject({ kept: [expect.any(String)] });
    expect(await send(1, {})).toMatchObject({ kept: [expect.any(String)] });
    // The first one goes.
    expect(await send(2, {})).toMatchObject({ kept: [expect.any(String)] });
    await viewer.settle();
    expect(await viewer.own()).toMatchObject({ planes: 3, resident: 2, memory_used: 14_000 });
    const read = await viewer.readPlane({ axis_indices: { z_index: 0 } });
    expect(read.pixels[0]).toBe((10_500 * 7) % 65521);
    // Nothing left to let go of.
    expect(await send(3, store(1))).toMatchObject({ status: "success" });
    expect(await send(4, {})).toMatchObject({
      status: "success",
      refused: [{ index: 0, message: expect.stringMatching(/^the memory budget of/) }],
    });
    expect(await viewer.own()).toMatchObject({ planes: 4, resident: 2, refused: 1 });
    expect((await viewer.readPlane({ axis_indices: { z_index: 3 } })).pixels[0]).toBe((14_000 * 7) % 65521);
  });
});

describe("OpenHCS's sender", () => {
  needsPeer(openhcs, "OpenHCS");

  test("its images and regions arrive, are acknowledged, and its memory stays its own", async () => {
    const home = folder();
    await using viewer = await start(["--openhcs"], home);
    process.env.HOME = home;
    const peer = fileURLToPath(new URL("../interop/openhcs_viewers_peer.py", import.meta.url));
    const worker = new PythonWorker(openhcs as string, readFileSync(peer, "utf8"));
    const { port } = viewer.endpoint;
    expect(await worker.ask({ what: "ping", port })).toMatchObject({
      type: "fiji",
      role: "viewer",
      found: [port],
    });
    const at = (channel: number, z: number) => ({ ...metadata, channel, z_index: z });
    const images = [1, 2].flatMap((channel) =>
      [1, 2].map((z) => ({
        name: `A01_w${channel}_z${z}`,
        metadata: at(channel, z),
        dtype: "uint16",
        shape: [20, 30],
        from: 100 * channel + z,
      })),
    );
    const square = [
      [2, 3],
      [2, 9],
      [8, 9],
      [8, 3],
    ];
    const rois = {
      name: "A01_cells",
      metadata: at(1, 2),
      shapes: [
        ["polygon", square],
        ["ellipse", [10, 10, 4, 3]],
      ],
    };
    expect(await worker.ask({ what: "send", viewer: "fiji", port, items: images })).toBe(true);
    expect(await worker.ask({ what: "send", viewer: "fiji", port, items: [rois] })).toBe(true);
    expect(await viewer.settle()).toMatchObject({ settle_phase: "complete" });
    expect(await worker.ask({ what: "acknowledged", port, count: 5 })).toEqual([5, 5]);
    expect(await viewer.ask("state")).toMatchObject({
      layers: [{ title: "1. Blur", shape: [1, 2, 2, 20, 30], planes: 4 }],
      regions: 2,
    });
    for (const { metadata: m, from } of images) {
      const { pixels } = await viewer.readPlane({ axis_indices: { channel: m.channel, z_index: m.z_index } });
      expect(pixels).toEqual(Uint16Array.from({ length: 600 }, (_, i) => i + from));
    }
    expect(await viewer.ask("run_macro", { macro: 'return "" + roiManager("count");' })).toMatchObject({
      result: "2",
    });
    // Other tests use shared memory at the same time; this prefix is polystore's.
    expect([...objects()].filter((name) => name.startsWith("fiji_"))).toEqual([]);
    worker.close();
  });
});

describe("starts and ends", () => {
  beforeEach(({ skip }) => {
    if (launcher === undefined) skip();
  });

  test("a second viewer on the port says so, and leaves the first one alone", async () => {
    await using first = await start();
    const second = FijiProcess.spawn({
      launcher: launcher as string,
      display: display?.name as string,
      home: first.home,
    });
    expect(await ended(second.child)).toBe(3);
    expect(second.stderr).toMatch(/cannot listen on ipc:.*another server listens/);
    expect(second.phases().at(-1)).toMatchObject({
      phase: "failed",
      message: expect.stringMatching(/another server/),
    });
    await second.client.close();
    expect((await first.client.ping()).pong.ready).toBe(true);
  });

  test("command lines that make no sense end with 2", async () => {
    for (const args of [["--port", "x"], ["--transport", "pigeon"], ["--what"], ["--memory-budget", "-1"]]) {
      const viewer = FijiProcess.spawn({ launcher: launcher as string, home: folder(), args });
      expect(await ended(viewer.child), args.join(" ")).toBe(2);
      await viewer.client.close();
    }
  });

  test("a viewer that is killed, and a sender that is killed, leave nothing in shared memory", async () => {
    await using viewer = await start();
    const sender = spawn(
      process.execPath,
      [fileURLToPath(new URL("fiji-sender.mjs", import.meta.url)), viewer.endpoint.socketDir],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    await once(sender.stdout, "data");
    const pools = new Set(poolsOf(sender.pid as number));
    expect(pools.size).toBeGreaterThan(0);
    await ended(sender, () => sender.kill("SIGKILL"));
    await viewer.settle();
    expect((await viewer.own()).planes).toBeGreaterThan(0);
    const stream = await ViewerStream.connect({ endpoint: viewer.endpoint, display: { contrast: {} } });
    const data = new Uint16Array(64 * 64);
    for (let z = 1; z < 200; z++) {
      await stream.sendImage({ data, shape: [64, 64] }, { components: { z_index: z } });
      if (z === 100) for (const pool of poolsOf(process.pid)) pools.add(pool);
      if (z === 100) await ended(viewer.child, () => viewer.child.kill("SIGKILL"));
    }
    await stream.close();
    // The killed sender's pool is removed by whoever uses pools next, and that was this process.
    expect(pools.size).toBe(2);
    const left = () => [...objects()].filter((name) => pools.has(name.split("-")[1] as string));
    const deadline = Date.now() + 20_000;
    while (left().length > 0 && Date.now() < deadline) await pause(100);
    expect(left()).toEqual([]);
  });

  test("20 starts and ends, by request, by signal and by quitting, leave no socket and no process", async () => {
    const home = folder();
    for (let i = 0; i < 20; i++) {
      const viewer = await start([], home);
      const { child } = viewer;
      if (i % 3 === 0)
        expect(await viewer.ask("shutdown")).toMatchObject({ status: "success", type: "shutdown_ack" });
      else if (i % 3 === 1) child.kill("SIGTERM");
      else
        await viewer.client
          .call(
            { type: "run_macro", payload: { macro: 'run("Quit");', timeout: 5 } },
            { timeoutMs: 6000, retries: 0 },
          )
          .catch(() => undefined);
      const end = await ended(child);
      expect([0, 143], `start ${i}`).toContain(end);
      await viewer.client.close();
      expect(viewer.sockets()).toEqual([]);
    }
    expect(readdirSync(join(home, ".tilecast", "ipc"))).toEqual([]);
  }, 600_000);
});
