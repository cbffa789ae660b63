// SPDX-License-Identifier: MIT
// The Fiji viewer among bad messages, OpenHCS's senders and sudden ends: it answers everything and leaves nothing behind.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { readPickle } from "../../lib/runtime/pickle-reader.js";
import { pause } from "../../lib/runtime/zmq.js";
import { ViewerStream } from "../../lib/streaming/viewer-stream.js";
import { Display } from "../helpers/display.js";
import { ended } from "../helpers/ended.js";
import { temporaryFolders } from "../helpers/folder.js";
import { needsPeer, viewersPython } from "../helpers/shared.js";
import { PythonWorker } from "../runtime/peers.js";
import { exchange, FijiProcess, fijiLauncher, item, metadata, shm } from "./fiji-viewer.js";

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
      message: expect.stringMatching(
        /^images\[0\]: shared memory gone not found; images\[1\]: shared memory .* has 0 bytes/,
      ),
    });
    rmSync(`/dev/shm/${name}`);
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
