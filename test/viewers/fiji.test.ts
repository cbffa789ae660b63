// SPDX-License-Identifier: MIT
// ImageJ itself, on a display and without one: what is streamed arrives to the pixel, and what is asked is answered.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fromArrayBuffer } from "geotiff";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ViewerStream, type ViewerStreamOptions } from "../../lib/streaming/viewer-stream.js";
import { Display } from "../helpers/display.js";
import { temporaryFolders } from "../helpers/folder.js";
import { needsData, needsPeer, shared } from "../helpers/shared.js";
import { FijiProcess, fijiLauncher } from "./fiji-viewer.js";

const launcher = fijiLauncher();
const folder = temporaryFolders();
const plate = shared("data", "imagexpress-plate", "2023-02-21", "1334");

/** A plane whose pixels say which one it is. */
function ramp(from: number, shape: readonly [number, number] = [24, 32]) {
  return { data: Uint16Array.from({ length: shape[0] * shape[1] }, (_, i) => from + i), shape };
}

/** Every display that the tests need is this one: windows of several viewers share it. */
let display: Display | undefined;
beforeAll(async () => {
  if (launcher !== undefined) display = await Display.open();
});
afterAll(() => display?.[Symbol.asyncDispose]());

describe.each(["on a display", "headless"])("ImageJ %s", (where) => {
  needsPeer(launcher, "Java with the Fiji viewer");
  let viewer: FijiProcess;

  beforeAll(async () => {
    if (launcher === undefined) return;
    const on = where === "headless" ? undefined : display?.name;
    viewer = await FijiProcess.start({ launcher, home: folder(), ...(on !== undefined && { display: on }) });
  });
  afterAll(() => viewer?.close());

  const open = async (options: Partial<ViewerStreamOptions> = {}) =>
    ViewerStream.connect({ endpoint: viewer.endpoint, ...options });
  const fresh = () => viewer.ask("clear_state");
  const layers = async () =>
    (await viewer.ask("state")).layers as { [key: string]: unknown; title: string; planes: number }[];

  test("the pong says who it is, and what it can", async () => {
    const { pong } = await viewer.client.ping();
    expect(pong).toMatchObject({
      server_type: "fiji",
      server_role: "viewer",
      ready: true,
      control_capabilities: ["force_shutdown", "ping", "shutdown"],
      process_identity: { pid: expect.any(Number) },
    });
    expect(await viewer.own()).toMatchObject({ protocol: 1, keeps: true, stores: true });
  });

  test("a hyperstack has channels, slices and frames where the components say, blank where nothing came", async () => {
    await fresh();
    await using stream = await open({
      values: { channel: [1, 2], z_index: [1, 2, 3], well: ["A2", "A10"] },
      names: { channel: { 1: "DAPI", 2: "GFP" } },
    });
    for (const well of ["A10", "A2"])
      for (const channel of [2, 1])
        for (const z of [1, 3])
          await stream.sendImage(ramp(1000 * channel + 100 * z + well.length), {
            name: "plate",
            components: { well, channel, z_index: z },
            pixelSize: [0.5, 0.25],
          });
    await stream.drain();
    expect(await viewer.settle()).toMatchObject({ settle_phase: "complete" });
    expect(stream.stats).toMatchObject({ accepted: 8, refused: 0, dropped: 0 });
    expect(await layers()).toMatchObject([
      {
        title: "plate",
        kind: "image",
        shape: [2, 3, 2, 24, 32],
        dtype: "uint16",
        planes: 8,
        scale: [1, 0.5, 0.25],
      },
    ]);
    // A2 before A10; z 2 never came.
    for (const [t, well] of ["A2", "A10"].entries())
      for (const c of [1, 2])
        for (const z of [1, 2, 3]) {
          const read = await viewer.readPlane({ c, z, t: t + 1 });
          const data = z === 2 ? new Uint16Array(24 * 32) : ramp(1000 * c + 100 * z + well.length).data;
          expect(read).toEqual({ shape: [24, 32], dtype: "uint16", pixels: data });
          const at = { well, channel: c, z_index: z };
          expect(await viewer.readPlane({ axis_indices: at })).toEqual(read);
        }
    const told = await viewer.ask("run_macro", {
      macro: `getDimensions(w, h, c, z, t); Stack.setPosition(2, 3, 2); getPixelSize(unit, pw, ph);
        return "" + w + " " + h + " " + c + " " + z + " " + t + ";" + getInfo("slice.label") + ";" + pw + " " + ph + " " + unit;`,
    });
    expect(told).toMatchObject({ status: "success", result: "32 24 2 3 2;GFP | Z3 | A10;0.25 0.5 µm" });
  });

  test("planes are taken over: their names are gone, and the memory is given back", async () => {
    await fresh();
    const before = (await viewer.own()).memory_used as number;
    await using stream = await open({ display: { contrast: { 1: [0, 100] } } });
    await stream.sendImage(ramp(5));
    await stream.drain();
    expect(stream.stats).toMatchObject({ accepted: 1, kept: 1 });
    expect((await viewer.own()).memory_used).toBeGreaterThan(before);
    // What the sender writes later goes elsewhere.
    for (let i = 0; i < 20; i++) await stream.sendImage(ramp(100 + i), { components: { z_index: 2 + i } });
    await stream.drain();
    await viewer.settle();
    expect((await viewer.readPlane({ axis_indices: { z_index: 1 } })).pixels).toEqual(ramp(5).data);
    await fresh();
    expect(await viewer.own()).toMatchObject({ memory_used: before, planes: 0 });
  });

  test("the same place again is the new plane, on screen too; out of order is fine", async () => {
    await fresh();
    await using stream = await open();
    for (const z of [3, 1, 2, 1]) {
      await stream.sendImage(ramp(stream.stats.given * 10), { components: { z_index: z } });
      await stream.drain();
      await viewer.settle();
    }
    expect((await layers())[0]).toMatchObject({ planes: 3 });
    const { result } = await viewer.ask("run_macro", {
      macro: 'Stack.setPosition(1, 1, 1); a = getPixel(0, 0); return "" + a;',
    });
    expect(result).toBe("30");
    await viewer.ask("navigate", { axis_indices: { z_index: 3 } });
    await stream.sendImage(ramp(7777), { components: { z_index: 3 } });
    await stream.drain();
    await viewer.settle();
    expect(await viewer.ask("run_macro", { macro: 'return "" + getPixel(0, 0);' })).toMatchObject({
      result: "7777",
    });
  });

  test("every dtype shows its values; what ImageJ has no type for becomes float", async () => {
    const arrays = {
      uint8: Uint8Array.of(0, 1, 200, 255),
      int8: Int8Array.of(-128, -1, 0, 127),
      uint16: Uint16Array.of(0, 1, 40000, 65535),
      int16: Int16Array.of(-32768, -1, 0, 32767),
      uint32: Uint32Array.of(0, 1, 70000, 16777216),
      int32: Int32Array.of(-70000, -1, 0, 70000),
      float32: Float32Array.of(-1.5, 0, 1e-3, 1e9),
      float64: Float64Array.of(-1.5, 0, 0.125, 1e9),
    };
    await using stream = await open();
    for (const [name, data] of Object.entries(arrays)) {
      await fresh();
      await stream.sendImage({ data, shape: [2, 2] }, { name });
      await stream.drain();
      expect(stream.stats.refused).toBe(0);
      await viewer.settle();
      const { dtype, pixels } = await viewer.readPlane({});
      expect([...pixels], name).toEqual([...Float32Array.from(data)]);
      expect(dtype).toBe({ uint8: "uint8", uint16: "uint16" }[name] ?? "float32");
    }
  });

  test("regions lie on their planes, and are listed in the ROI Manager with their places and names", async () => {
    await fresh();
    await using stream = await open({ values: { z_index: [1, 2] } });
    for (const channel of [1, 2])
      for (const z of [1, 2])
        await stream.sendImage(ramp(z), { name: "cells", components: { channel, z_index: z } });
    const square = (label: number) => ({
      type: "polygon" as const,
      vertices: [2, 3, 2, 9, 8, 9, 8, 3],
      label,
    });
    const on = { name: "cells", components: { z_index: 2 } };
    stream.sendShapes([square(1), square(7)], on);
    stream.sendPoints([1, 2, 3, 4], { ...on, components: { z_index: 1 } });
    await stream.drain();
    await viewer.settle();
    // ImageJ's ROI Manager is a window, also where it is hidden.
    const counted = where === "headless" ? "Overlay.size" : 'roiManager("count")';
    const count = () => viewer.ask("run_macro", { macro: `return "" + ${counted};` });
    expect(await count()).toMatchObject({ result: "3" });
    if (where !== "headless") {
      const told = await viewer.ask("run_macro", {
        macro: `roiManager("select", 0); Roi.getPosition(c, z, t); getSelectionBounds(x, y, w, h);
          return "" + Roi.getName + " " + c + " " + z + " " + t + " " + w + " " + h + " overlay " + Overlay.size;`,
      });
      expect(told.result ?? told.message).toBe("A01_s1_w1_z2_t1_cells_0001 1 2 1 6 6 overlay 3");
    }
    // The same regions again replace those of before.
    stream.sendShapes([square(1)], on);
    await stream.drain();
    await viewer.settle();
    expect(await count()).toMatchObject({ result: "2" });
    expect(await viewer.ask("state")).toMatchObject({ regions: 2 });
    await fresh();
    expect(await viewer.ask("state")).toMatchObject({ regions: 0 });
  });

  test("labels keep their values beyond 255, and are drawn in colours that come again", async () => {
    await using stream = await open();
    for (const Kind of [Uint16Array, Int32Array]) {
      await fresh();
      // 1 and 256 have one colour, 2 has another.
      const data = Kind.of(0, 1, 2, 256);
      await stream.sendLabels({ data, shape: [1, 4] }, { name: "nuclei" });
      await stream.drain();
      await viewer.settle();
      const dtype = Kind === Uint16Array ? "uint16" : "float32";
      expect(await layers()).toMatchObject([{ title: "nuclei", kind: "labels", dtype }]);
      expect([...(await viewer.readPlane({})).pixels]).toEqual([...data]);
      const { result } = await viewer.ask("run_macro", {
        macro:
          'run("Flatten"); a = ""; for (x = 0; x < 4; x++) a += "" + getPixel(x, 0) + " "; close(); return a;',
      });
      const [background, one, two, again] = (result as string)
        .trim()
        .split(" ")
        .map((v) => Number(v) & 0xffffff);
      expect(background).toBe(0);
      expect(again).toBe(one);
      expect(two).not.toBe(one);
    }
  });

  test("a macro's result, log and table come back; its errors are errors", async () => {
    await fresh();
    await using stream = await open();
    await stream.sendImage(ramp(0));
    await stream.drain();
    await viewer.settle();
    expect(
      await viewer.ask("run_macro", {
        macro: 'print("got " + getArgument()); return "x" + 6 * 7;',
        argument: "it",
      }),
    ).toMatchObject({ status: "success", type: "macro_ack", result: "x42", log: "got it\n" });
    await viewer.ask("run_macro", {
      macro:
        'run("Clear Results"); run("Set Measurements...", "mean min redirect=None decimal=3"); run("Measure");',
    });
    expect(await viewer.ask("results_table")).toMatchObject({
      title: "Results",
      columns: ["Mean", "Min", "Max"],
      rows: [[383.5, 0, 767]],
    });
    // A command with a dialog, which macros fill in.
    expect(
      await viewer.ask("run_macro", {
        macro:
          'run("Duplicate...", "title=copy"); run("Add...", "value=5"); v = getPixel(1, 0); close(); return "" + v;',
      }),
    ).toMatchObject({ result: "6" });
    for (const [macro, error] of [
      ["a = 1;\nb = nothing;\nprint(a);", /Undefined (variable|identifier).* in line 2/],
      ['run("No Such Command");', /^Unrecognized command: "No Such Command"/],
      ['exit("enough");', /^enough(; log: .*)?$/],
      ["a = newArray(1);\nb = a[5];", /line 2/],
      ["while (true) { wait(5); }", /stopped after 0.5 s/],
    ] as const) {
      const reply = await viewer.ask("run_macro", { macro, timeout: macro.startsWith("while") ? 0.5 : 30 });
      expect(reply, macro).toMatchObject({
        status: "error",
        type: "macro_ack",
        message: expect.stringMatching(error),
      });
    }
    expect(await viewer.ask("run_macro", { macro: 'return "still here";' })).toMatchObject({
      result: "still here",
    });
  });

  test("tables arrive and can be read", async () => {
    await using stream = await open();
    const rows = [["A01", 12, 1.5] as const, ["B02", 7, null] as const];
    stream.sendTable({ columns: ["well", "count", "mean"], rows }, { name: "wells" });
    await stream.drain();
    await viewer.settle();
    expect(await viewer.ask("results_table", { title: "wells" })).toMatchObject({
      columns: ["well", "count", "mean"],
      rows,
    });
    expect(await viewer.ask("results_table", { title: "none" })).toMatchObject({
      status: "error",
      message: 'results_table: there is no table "none"',
    });
  });

  test("a screenshot is a picture of the window's image", async () => {
    await fresh();
    await using stream = await open();
    await stream.sendImage(ramp(0));
    await stream.drain();
    await viewer.settle();
    const path = join(folder(), "window.png");
    expect(await viewer.ask("screenshot", { path })).toMatchObject({
      status: "success",
      width: 32,
      height: 24,
    });
    expect(readFileSync(path).subarray(1, 4).toString()).toBe("PNG");
  });

  test("contrast is set once and then the user's", async () => {
    await fresh();
    await using stream = await open();
    await stream.sendImage(ramp(100));
    await stream.drain();
    await viewer.settle();
    const { contrast } = (await layers())[0] as unknown as { contrast: number[] };
    expect(contrast[0]).toBeGreaterThanOrEqual(100);
    expect(contrast[1]).toBeLessThanOrEqual(867);
    await viewer.ask("run_macro", { macro: "setMinAndMax(11, 222);" });
    for (const z of [2, 3]) {
      await stream.sendImage(ramp(9000), { components: { z_index: z } });
      await stream.drain();
      await viewer.settle();
    }
    expect((await layers())[0]?.contrast).toEqual([11, 222]);
  });

  test("what it cannot do is an error that says so", async () => {
    expect(await viewer.ask("isolate_layers")).toMatchObject({
      status: "error",
      message: 'this viewer does not know the control message "isolate_layers"',
    });
    await fresh();
    expect(await viewer.ask("screenshot", { path: "/nowhere.png" })).toMatchObject({
      status: "error",
      message: "nothing is shown",
    });
  });

  describe("a real plate", () => {
    needsData(plate, "the ImageXpress plate");

    test("every plane is equal to the file's pixels", async () => {
      await fresh();
      await using stream = await open({ display: { modes: { well: "window" } } });
      const sent: {
        at: { well: string; site: number; channel: number; z_index: number };
        pixels: Uint16Array;
      }[] = [];
      for (const z of [1, 2]) {
        const path = join(plate as string, `ZStep_${z}`);
        for (const name of readdirSync(path).sort()) {
          const parts = /_(E\d\d)_s(\d)_w(\d)(?!_thumb).*\.tif$/.exec(name);
          if (!parts || Number(parts[3]) > 2) continue;
          const bytes = readFileSync(join(path, name));
          const tiff = await fromArrayBuffer(
            bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
          );
          const image = await tiff.getImage();
          const [raster] = await image.readRasters();
          const pixels = Uint16Array.from(raster as Uint16Array);
          const at = {
            well: parts[1] as string,
            site: Number(parts[2]),
            channel: Number(parts[3]),
            z_index: z,
          };
          sent.push({ at, pixels });
          const shape = [image.getHeight(), image.getWidth()] as const;
          await stream.sendImage({ data: pixels, shape }, { name: "raw", components: at });
        }
      }
      await stream.drain();
      expect(await viewer.settle()).toMatchObject({ settle_phase: "complete" });
      expect(sent.length).toBe(16);
      expect((await layers()).map(({ title, shape }) => [title, shape])).toEqual([
        ["raw - E07", [2, 2, 2, 512, 512]],
        ["raw - E08", [2, 2, 2, 512, 512]],
      ]);
      for (const { at, pixels } of sent) {
        const { well, ...rest } = at;
        const read = await viewer.readPlane({ window: `raw - ${well}`, axis_indices: rest });
        expect(
          Buffer.compare(Buffer.from(read.pixels.buffer), Buffer.from(pixels.buffer)),
          JSON.stringify(at),
        ).toBe(0);
      }
    });
  });
});

test("sockets are the owner's alone", async ({ skip }) => {
  if (launcher === undefined) skip("Java with the Fiji viewer is missing");
  await using viewer = await FijiProcess.start({
    launcher: launcher as string,
    home: folder(),
    args: ["--openhcs"],
  });
  expect(viewer.sockets().length).toBe(4);
  for (const app of ["tilecast", "openhcs"]) {
    const path = join(viewer.home, `.${app}`, "ipc");
    expect(statSync(path).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(path)) expect(statSync(join(path, name)).mode & 0o777).toBe(0o600);
  }
});
