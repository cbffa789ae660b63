// SPDX-License-Identifier: MIT
// Commands to a viewer as the wire prescribes them, and what is made of the answers; the real viewers are asked in test/viewers and test/interop.

import { expect, test } from "vitest";
import type { Handlers } from "../../lib/runtime/control-channel.js";
import { testStreams } from "./streams.js";

const { connect, receive } = testStreams();

/** A viewer that answers with `reply` and notes what it was asked. */
async function controlsOf(viewer: "napari" | "fiji", replies: { readonly [type: string]: object }) {
  const asked: unknown[] = [];
  const handlers = Object.fromEntries(
    Object.entries(replies).map(([type, reply]) => [
      type,
      ({ payload }: { payload?: unknown }) => {
        asked.push(payload);
        return { status: "success", type: `${type}_ack`, ...reply };
      },
    ]),
  ) as Handlers;
  const server = await receive({ viewer, handlers });
  const { controls } = await connect(server.endpoint);
  return { controls, asked };
}

test("state: layers as they are, what is not said is undefined; one layer by its key", async () => {
  const layer = {
    route_key: "k",
    title: "Blur",
    kind: "image",
    shape: [3, 4, 5],
    dtype: "uint16",
    axes: ["z_index", "y", "x"],
    scale: [1, 0.5, 0.5],
  };
  const more = { visible: true, contrast: [0, 100], planes: 3, resident: 2 };
  const { controls, asked } = await controlsOf("napari", {
    state: { layers: [{ ...layer, ...more }, { route_key: "other" }] },
  });
  expect(await controls.state({ routeKey: "k" })).toMatchObject([
    {
      routeKey: "k",
      title: "Blur",
      kind: "image",
      shape: [3, 4, 5],
      dtype: "uint16",
      scale: [1, 0.5, 0.5],
      visible: true,
      contrast: [0, 100],
      planes: 3,
      resident: 2,
    },
  ]);
  expect((await controls.state())[1]).toMatchObject({
    title: "",
    shape: [],
    visible: false,
    contrast: undefined,
    resident: undefined,
  });
  expect(asked).toEqual([{ route_key: "k" }, undefined]);
});

test("a plane's pixels come back as an array of their dtype; a reply that lies about its size is refused", async () => {
  const data = Buffer.from(Float32Array.of(1, 2.5, -3, Number.NaN, 5, 6).buffer).toString("base64");
  const reply = { shape: [2, 3], dtype: "float32", data, resident: true };
  const { controls, asked } = await controlsOf("napari", { read_plane: reply });
  expect(await controls.readPlane({ z_index: 3, well: "A01" }, { routeKey: "k" })).toEqual({
    shape: [2, 3],
    dtype: "float32",
    data: Float32Array.of(1, 2.5, -3, Number.NaN, 5, 6),
    resident: true,
  });
  expect(asked).toEqual([{ route_key: "k", axis_indices: { z_index: 3, well: "A01" } }]);
  const liar = await controlsOf("napari", { read_plane: { ...reply, shape: [200, 300] } });
  await expect(liar.controls.readPlane({}, { routeKey: "k" })).rejects.toMatchObject({
    code: "ERR_WIRE",
    message: "read_plane: expected 240000 bytes, and got 24",
  });
});

test("settle is repeated until the viewer is done, or the time is over", async () => {
  let left = 3;
  const handlers = {
    settle: () => ({
      status: "success",
      type: "settle_ack",
      settle_phase: left-- > 0 ? "running" : "complete",
      completed_update_count: 3 - left,
      total_update_count: 4,
    }),
  } as Handlers;
  const { controls } = await connect((await receive({ handlers })).endpoint);
  expect(await controls.settle()).toEqual({ phase: "complete", done: 4, total: 4, message: "" });
  left = Number.POSITIVE_INFINITY;
  expect(await controls.settle({ timeoutMs: 0 })).toMatchObject({ phase: "running" });
});

test("macros and tables of Fiji; a macro's error is the viewer's words", async () => {
  const { controls, asked } = await controlsOf("fiji", {
    run_macro: { result: "42", log: "a\nb" },
    results_table: {
      title: "Results",
      columns: ["Area", "Label"],
      rows: [
        [1.5, "x"],
        [null, "y"],
      ],
    },
  });
  expect(await controls.runMacro("return 42;", "arg")).toEqual({ result: "42", log: "a\nb" });
  expect(await controls.resultsTable()).toEqual({
    title: "Results",
    columns: ["Area", "Label"],
    rows: [
      [1.5, "x"],
      [null, "y"],
    ],
  });
  expect(asked).toEqual([{ macro: "return 42;", argument: "arg" }, {}]);
  const failing = await controlsOf("fiji", {
    run_macro: { status: "error", message: "Undefined variable in line 1" },
  });
  await expect(failing.controls.runMacro("x")).rejects.toMatchObject({
    code: "ERR_REMOTE",
    message: expect.stringMatching(/^run_macro on .*: Undefined variable in line 1$/),
  });
});

test("what a viewer cannot do is said before it is asked, or in its own words", async () => {
  const { controls } = await controlsOf("napari", {});
  await expect(controls.runMacro("x")).rejects.toMatchObject({
    code: "ERR_STREAM",
    message: "napari viewer: it cannot run macros",
  });
  await expect(controls.screenshot("x.png")).rejects.toMatchObject({
    code: "ERR_REMOTE",
    message: expect.stringMatching(/^screenshot on .*: Unknown message type: screenshot$/),
  });
  await controls.clear();
});

test("shutdown ends the viewer; by force as well", async () => {
  for (const force of [false, true]) {
    const server = await receive();
    const { controls } = await connect(server.endpoint);
    await controls.shutdown({ force });
    await server.closed;
  }
});
