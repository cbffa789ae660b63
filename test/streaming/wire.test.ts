// SPDX-License-Identifier: MIT
// The batch message, written and read: held against those of the real senders, and the real viewer's layers against our projection of them.

import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseJson } from "../../lib/runtime/json.js";
import { asDict } from "../../lib/runtime/message-schema.js";
import { readPickle } from "../../lib/runtime/pickle-reader.js";
import { PyTuple } from "../../lib/runtime/pickle-value.js";
import { displayConfig, type Layout } from "../../lib/streaming/display.js";
import type { StreamPayload, StreamShape } from "../../lib/streaming/payload.js";
import { type DataType, project, readLayout } from "../../lib/streaming/projection.js";
import { BatchEncoder, type Flavour } from "../../lib/streaming/wire-batch.js";
import {
  componentsOf,
  handsOver,
  identityOf,
  planeOf,
  type ReceivedItem,
  readBatch,
  storeOf,
} from "../../lib/streaming/wire-reader.js";
import { measureOutline, wireShape } from "../../lib/streaming/wire-shapes.js";
import { needsData, shared } from "../helpers/shared.js";
import { jsons } from "../runtime/captures.js";

type Batch = { images: { [key: string]: unknown }[]; display_config: { [key: string]: unknown } } & {
  [key: string]: unknown;
};
const captured = jsons
  .map((f) => ({ ...f, value: f.text.startsWith("{") ? parseJson(f.text) : null }))
  .filter((f) => asDict(f.value)?.type === "batch" && f.socket === "REQ" && f.dir === "send")
  .map((f) => ({ from: f.from, scenario: f.scenario, batch: f.value as unknown as Batch }));

const components = { site: 1, channel: 1, z_index: 1, timepoint: 1, well: "A01" };
const producer = { stepName: "Blur", position: 0, kind: "main", output: "main" } as const;
const image: StreamPayload = { kind: "image", shape: [4, 6], dtype: "uint16", components, producer };
const route = { url: "ipc:///s", incarnation: "i", owner: { pid: 1, create_time: 2.5 } };

const encode = (payload: StreamPayload, flavour: Flavour, viewer: "napari" | "fiji" = "napari") => {
  const encoder = new BatchEncoder({ flavour, viewer, returnRoute: route });
  const item = encoder.item(payload, { shmName: "tc-x", imageId: "id-1" });
  return parseJson(encoder.message([item])) as unknown as Batch;
};

describe("beside the real senders' messages", () => {
  test("an image to OpenHCS's viewers has their keys, in their order, and nothing that they would refuse", () => {
    const theirs = captured.find(
      (c) => c.from === "c_napari_ipc" && c.batch.images[0]?.data_type === "image",
    );
    const ours = encode(image, "openhcs");
    expect(Object.keys(ours)).toEqual([...Object.keys(theirs?.batch as Batch), "images_dir"]);
    expect(ours.display_config).toEqual(displayConfig("napari"));
    expect(Object.keys(ours.display_config)).toEqual(Object.keys(theirs?.batch.display_config as object));
    const extra = new Set(["return_route", "producer"]);
    expect(
      Object.keys(ours.images[0] as object)
        .filter((k) => !extra.has(k))
        .sort(),
    ).toEqual(Object.keys(theirs?.batch.images[0] as object).sort());
    expect(Object.keys(ours.images[0]?.producer_identity as object)).toEqual(
      Object.keys(theirs?.batch.images[0]?.producer_identity as object),
    );
  });

  test("display configurations to both viewers are those of OpenHCS by default", () => {
    const configs = (from: string) =>
      captured.filter((c) => c.from === from).map((c) => c.batch.display_config);
    expect(configs("c_napari_ipc")).toContainEqual(displayConfig("napari"));
    expect(configs("c_fiji_ipc")).toContainEqual(displayConfig("fiji"));
  });

  test("every batch of theirs is read: each item whole, or damaged and saying why", () => {
    expect(captured.length).toBeGreaterThan(10);
    for (const { batch } of captured) {
      if (batch.component_value_domain === undefined) continue;
      const read = readBatch(batch);
      expect(read.images).toHaveLength(batch.images.length);
      for (const item of read.images) {
        expect(item.damage).toBeUndefined();
        componentsOf(item);
        expect(identityOf(item).origin).toBeTruthy();
      }
    }
  });
});

describe("the layers that OpenHCS's napari server made", () => {
  const file = shared("reference", "openhcs-wire", "captures", "c_napari_ipc.json");
  needsData(file, "the whole capture of a session with it");

  test("have the keys and titles of our projection of the batches that it got", () => {
    type Frame = { dir: string; encoding: string; hex?: string };
    const { scenarios } = JSON.parse(readFileSync(file as string, "utf8")) as {
      scenarios: { frames: Frame[] }[];
    };
    const frames = scenarios.flatMap((each) => each.frames);
    const ours = new Map<string, string>();
    const layers = new Map<string, string>();
    for (const { dir, encoding, hex } of frames) {
      const bytes = Buffer.from(hex ?? "", "hex");
      if (hex !== undefined && encoding === "pickle" && dir === "recv") {
        const reply = asDict(readPickle(bytes));
        if (reply?.type !== "state_ack" || !(reply.layers instanceof PyTuple)) continue;
        for (const layer of reply.layers.items.map(asDict))
          layers.set(String(layer?.route_key), String(layer?.title));
      }
      if (encoding !== "json" || dir !== "send" || bytes[0] !== 0x7b) continue;
      const message = asDict(parseJson(bytes));
      if (message?.type !== "batch") continue;
      const batch = readBatch(message);
      let layout: Layout;
      try {
        layout = readLayout("napari", batch.display_config);
      } catch {
        // One that it refused, too.
        continue;
      }
      for (const item of batch.images as ReceivedItem[]) {
        const { key, title } = project("napari", layout, {
          identity: identityOf(item),
          dataType: item.data_type as DataType,
          components: componentsOf(item),
          ...(item.shape && { shape: item.shape }),
        });
        ours.set(key, title);
      }
    }
    const known = [...layers]
      // Stacks within one payload are not ours to send; where sizes are apart, its layers are of wells, and ours of sizes.
      .filter(([key]) => !key.endsWith("_stack") && !key.includes("manual_view"));
    expect(known.length).toBeGreaterThan(5);
    for (const [key, title] of known) expect([key, ours.get(key)]).toEqual([key, title]);
  });
});

describe("what is tilecast's own", () => {
  test("stores and titles are in a key of their own, for viewers that say they know it", () => {
    const store = { path: "/p/A/1/0", array: "0", index: [0, 1] };
    const payload = { ...image, store, title: "Nuclei" } as StreamPayload;
    const [item] = readBatch(encode(payload, "tilecast")).images as [ReceivedItem];
    expect(item.tilecast).toEqual({ store, title: "Nuclei" });
    expect(storeOf(item)).toEqual(store);
    expect(item.return_route).toEqual(route);
    expect(encode(payload, "openhcs").images[0]).not.toHaveProperty("tilecast");
    const [plain] = readBatch(encode(image, "tilecast")).images as [ReceivedItem];
    expect([plain.tilecast, handsOver(plain, { display_config: {} })]).toEqual([{}, true]);
    const [theirs] = readBatch(encode(image, "openhcs")).images as [ReceivedItem];
    expect(handsOver(theirs, { display_config: {} })).toBe(false);
    for (const bad of [{ path: 1 }, { path: "p", array: "0", index: [-1] }, { path: "p", array: "0" }, "x"])
      expect(storeOf({ ...item, tilecast: { store: bad } })).toBeUndefined();
  });

  test("values and names are those declared and those seen, sorted", () => {
    const encoder = new BatchEncoder({
      flavour: "tilecast",
      viewer: "fiji",
      values: { well: ["A10", "A2"] },
      names: { channel: { 1: "DAPI" } },
    });
    const well = (w: string) => encoder.item({ ...image, components: { ...components, well: w } }, {});
    encoder.message([well("B1")]);
    encoder.declare({ values: { channel: [2, 1] }, names: { channel: { 2: "µGFP" } } });
    expect(parseJson(encoder.message([well("A2")]))).toMatchObject({
      component_value_domain: {
        site: [1],
        channel: [1, 2],
        z_index: [1],
        timepoint: [1],
        well: ["A2", "A10", "B1"],
      },
      component_names_metadata: { channel: { 1: "DAPI", 2: "µGFP" } },
      images_dir: null,
      display_config: { lut: "Grays", auto_contrast: true },
    });
  });

  test("labels, regions and points for each kind of viewer", () => {
    const labels: StreamPayload = { ...image, kind: "labels", dtype: "int32" };
    expect(encode(labels, "tilecast").images[0]).toMatchObject({ data_type: "labels", dtype: "int32" });
    expect(encode(labels, "openhcs").images[0]).toMatchObject({ data_type: "image" });
    const points: StreamPayload = { kind: "points", components, producer, points: [1, 2], labels: [9] };
    expect(encode(points, "tilecast").images[0]).toMatchObject({
      data_type: "points",
      shapes: [{ type: "points", coordinates: [[1, 2]], metadata: { label: 9, centroid: [1, 2], area: 0 } }],
    });
    expect(encode(points, "openhcs", "fiji").images[0]).toMatchObject({
      data_type: "rois",
      rois: [expect.any(String)],
    });
  });
});

describe("reading what others write", () => {
  const item = {
    path: "x",
    data_type: "image",
    metadata: components,
    shape: [2, 3],
    dtype: "uint16",
  } as const;

  test("shapes and dtypes are checked before anything is mapped", () => {
    expect(planeOf(item)).toEqual({ shape: [2, 3], dtype: "uint16", bytes: 12 });
    expect(planeOf({ ...item, dtype: "<f4", shape: [2, 3, 3] })).toEqual({
      shape: [2, 3, 3],
      dtype: "float32",
      bytes: 72,
    });
    expect(planeOf({ ...item, dtype: "bool" })).toMatchObject({ bytes: 6 });
    for (const dtype of ["object", "O", ">u2", "complex64", "constructor", ""])
      expect(() => planeOf({ ...item, dtype })).toThrow(/^dtype: expected bool, uint8/);
    for (const shape of [[], [3], [2, -1], [0, 3], [1.5, 2], [1, 1, 1, 1], [2 ** 40, 2]])
      expect(() => planeOf({ ...item, shape })).toThrow(/^shape: expected/);
  });

  test("one damaged item spoils no other", () => {
    const { images } = readBatch({
      type: "batch",
      images: [item, { ...item, metadata: 3, image_id: "i" }, null, { ...item, shape: "no" }],
      display_config: {},
    });
    expect(images.map((i) => i.damage)).toEqual([
      undefined,
      "images[1].metadata: expected a dict, and got 3",
      "images[2]: expected a dict with str keys, and got null",
      expect.stringMatching(/^images\[3\].shape: expected a list/),
    ]);
    expect(images[1]?.image_id).toBe("i");
    expect(identityOf({ ...item, metadata: { ...components, source: "Blur" } })).toMatchObject({
      origin: "direct",
      output_key: "Blur",
    });
  });

  test("whatever JSON comes, it is read or refused with ERR_WIRE", () => {
    fc.assert(
      fc.property(fc.anything({ withNullPrototype: true }), fc.anything(), (a, b) => {
        for (const message of [
          a,
          { type: "batch", images: [a, b], display_config: {} },
          { type: "batch", images: a, display_config: b },
        ])
          try {
            readBatch(message);
          } catch (error) {
            expect((error as { code?: string }).code).toBe("ERR_WIRE");
          }
      }),
    );
  });
});

describe("measures of outlines", () => {
  const shape = (type: StreamShape["type"], vertices: number[]): StreamShape => ({
    type,
    vertices,
    label: 1,
  });

  test("of a rectangle anywhere, turned or not", () => {
    fc.assert(
      fc.property(
        fc.double({ min: -1e5, max: 1e5, noNaN: true }),
        fc.double({ min: -1e5, max: 1e5, noNaN: true }),
        fc.double({ min: 0.5, max: 500, noNaN: true }),
        fc.double({ min: 0.5, max: 500, noNaN: true }),
        fc.double({ min: 0, max: 6.3, noNaN: true }),
        (cy, cx, h, w, angle) => {
          const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
          const corner = (y: number, x: number): [number, number] => [
            cy + y * cos - x * sin,
            cx + y * sin + x * cos,
          ];
          const corners = [
            corner(-h / 2, -w / 2),
            corner(-h / 2, w / 2),
            corner(h / 2, w / 2),
            corner(h / 2, -w / 2),
          ];
          const { area, perimeter, centroid } = measureOutline(corners, true);
          expect(area).toBeCloseTo(h * w, 3);
          expect(perimeter).toBeCloseTo(2 * (h + w), 3);
          expect(centroid[0]).toBeCloseTo(cy, 3);
          expect(centroid[1]).toBeCloseTo(cx, 3);
        },
      ),
    );
  });

  test("of an ellipse, a line, nothing; those of the sender come first", () => {
    expect(wireShape(shape("ellipse", [0, 0, 4, 10]))).toMatchObject({
      coordinates: [
        [0, 0],
        [0, 10],
        [4, 10],
        [4, 0],
      ],
      center: [2, 5],
      radii: [2, 5],
      metadata: {
        centroid: [2, 5],
        bbox: [0, 0, 4, 10],
        area: expect.closeTo(31.4159, 3),
        perimeter: expect.closeTo(23.0131, 3),
      },
    });
    expect(wireShape(shape("path", [0, 0, 3, 4, 3, 4])).metadata).toMatchObject({ area: 0, perimeter: 5 });
    expect(wireShape(shape("polygon", [])).metadata).toMatchObject({ area: 0, centroid: [0, 0] });
    expect(
      wireShape({ ...shape("polygon", [0, 0, 0, 2, 2, 2]), area: 7, centroid: [9, 8] }).metadata,
    ).toMatchObject({
      area: 7,
      centroid: [9, 8],
    });
  });
});
