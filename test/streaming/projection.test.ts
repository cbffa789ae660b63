// SPDX-License-Identifier: MIT
// The receiver projection: keys and titles as OpenHCS's viewers were seen to make them, stacks and hyperstacks whatever the order of arrival.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ComponentValue, compareValues } from "../../lib/streaming/component-values.js";
import { displayConfig, layoutOf } from "../../lib/streaming/display.js";
import { producerIdentity } from "../../lib/streaming/identity.js";
import type { Producer } from "../../lib/streaming/payload.js";
import { PlaneStack } from "../../lib/streaming/plane-stack.js";
import {
  Hyperstack,
  type ProjectedItem,
  project,
  readLayout,
  valueLabel,
} from "../../lib/streaming/projection.js";

const components = { site: 1, channel: 1, z_index: 1, timepoint: 1, well: "A01" };
const item = (producer: Producer, more: Partial<ProjectedItem> = {}): ProjectedItem => ({
  identity: producerIdentity(producer, "image"),
  dataType: "image",
  components,
  ...more,
});
const blur: Producer = { stepName: "Blur", position: 0, kind: "main", output: "main" };
const napari = layoutOf("napari");

describe("keys and titles", () => {
  test.each<[string, ProjectedItem, Parameters<typeof layoutOf>[1], string, string]>([
    [
      "a step's image",
      item(blur),
      {},
      "origin_pipeline_kind_main_projection_main_step_0_name_Blur",
      "1. Blur",
    ],
    [
      "points beside it",
      item(blur, { dataType: "points" }),
      {},
      "origin_pipeline_kind_main_projection_main_step_0_name_Blur_points",
      "1. Blur points",
    ],
    [
      "shapes of an artifact",
      item({ stepName: "Segment", position: 2, kind: "artifact", output: "cells" }, { dataType: "shapes" }),
      {},
      "origin_pipeline_kind_artifact_projection_cells_step_2_name_Segment_shapes",
      "3. Segment cells ROIs",
    ],
    [
      "layers by component, not of a pipeline",
      item({ stepName: null, position: null, kind: "manual", output: "manual_view" }),
      { modes: { channel: "layer", well: "layer" } },
      "origin_manual_kind_manual_projection_manual_view_channel_1_well_A01",
      "manual_view channel 1 well A01",
    ],
    [
      "names with spaces and slashes",
      item({ stepName: "a/b c\\d", position: 1, kind: "main", output: "main" }),
      {},
      "origin_pipeline_kind_main_projection_main_step_1_name_a_b_c_d",
      "2. a/b c\\d",
    ],
    [
      "sizes apart",
      item(blur, { shape: [512, 600] }),
      { variableSizes: "separate_layers" },
      "origin_pipeline_kind_main_projection_main_step_0_name_Blur_512x600",
      "1. Blur 512x600",
    ],
    [
      "colour",
      item(blur, { shape: [4, 4, 3] }),
      {},
      "origin_pipeline_kind_main_projection_main_step_0_name_Blur_color_plane",
      "1. Blur RGB",
    ],
    [
      "labels, a title of the sender's",
      item(blur, { dataType: "labels", title: "Nuclei" }),
      {},
      "origin_pipeline_kind_main_projection_main_step_0_name_Blur_labels",
      "Nuclei",
    ],
  ])("%s", (_, given, display, key, title) => {
    expect(project("napari", layoutOf("napari", display), given)).toMatchObject({ key, title });
  });

  test("in Fiji regions have the key of their producer's images; labels and colour have windows of their own", () => {
    const layout = layoutOf("fiji", { modes: { well: "window" } });
    const keyOf = (more: Partial<ProjectedItem>) => project("fiji", layout, item(blur, more)).key;
    const window = "origin_pipeline_kind_main_projection_main_step_0_name_Blur_well_A01";
    for (const dataType of ["image", "rois", "points"] as const) expect(keyOf({ dataType })).toBe(window);
    expect(keyOf({ dataType: "labels" })).toBe(`${window}_labels`);
    expect(keyOf({ shape: [4, 4, 3] })).toBe(`${window}_rgb`);
  });

  test("axes are the components that are stacked, in the order that is given", () => {
    const layout = layoutOf("napari", {
      modes: { site: "layer" },
      order: ["well", "timepoint", "z_index", "channel", "site"],
    });
    expect(
      project("napari", layout, item(blur, { components: { ...components, z_index: 5 } })),
    ).toMatchObject({
      axes: ["well", "timepoint", "z_index", "channel"],
      at: ["A01", 1, 5, 1],
    });
  });

  test("a display_config says what was asked for; that of older senders is understood", () => {
    const display = { modes: { channel: "layer" }, variableSizes: "separate_layers" } as const;
    expect(readLayout("napari", displayConfig("napari", display))).toEqual(layoutOf("napari", display));
    expect(readLayout("fiji", displayConfig("fiji"))).toEqual(layoutOf("fiji"));
    expect(
      readLayout("napari", { component_modes: { channel: "slice" }, component_order: ["source", "well"] }),
    ).toEqual({
      modes: { ...napari.modes, channel: "layer" },
      order: ["well", "site", "channel", "z_index", "timepoint"],
      variableSizes: "pad_to_max",
    });
    expect(() => layoutOf("napari", { modes: { channel: "frame" } })).toThrow(
      'modes.channel must be one of stack, layer for napari, got "frame"',
    );
    expect(() => layoutOf("fiji", { order: ["well"] })).toThrow(/^order must be each of site, channel/);
  });

  test("labels of values", () => {
    expect(valueLabel("channel", 1, { channel: { 1: "DAPI" } })).toBe("Ch1: DAPI");
    expect(valueLabel("z_index", 3, { z_index: { 3: null } })).toBe("Z 3");
  });
});

const value: fc.Arbitrary<ComponentValue> = fc.oneof(
  fc.integer({ min: -3, max: 30 }),
  fc.constantFrom("A2", "A10", "a2", "B1", "2", "02", "", "µ"),
);

describe("order of values", () => {
  test("numbers, then texts in natural order", () => {
    expect(["A10", 10, "A2", "9", 2, "B1"].sort(compareValues)).toEqual([2, "9", 10, "A2", "A10", "B1"]);
  });

  test("is total: antisymmetric, transitive, and equal only for the same text", () => {
    fc.assert(
      fc.property(value, value, value, (a, b, c) => {
        expect(Math.sign(compareValues(a, b))).toBe(-Math.sign(compareValues(b, a)) + 0);
        expect(compareValues(a, b) === 0).toBe(String(a) === String(b));
        if (compareValues(a, b) <= 0 && compareValues(b, c) <= 0)
          expect(compareValues(a, c)).toBeLessThanOrEqual(0);
      }),
    );
  });
});

const put = fc.record({
  at: fc.tuple(value, value),
  size: fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 })),
});

describe("stacks of planes", () => {
  test("whatever the order of arrival and repetition: the last plane of each place, axes sorted, the largest size", () => {
    fc.assert(
      fc.property(fc.array(put, { maxLength: 40 }), (puts) => {
        const stack = new PlaneStack<number>(["a", "b"]);
        const model = new Map<string, { at: ComponentValue[]; size: [number, number]; plane: number }>();
        puts.forEach(({ at, size }, plane) => {
          const before = stack.shape.join();
          const values = JSON.stringify(stack.values);
          const change = stack.put(at, size, plane);
          expect(change.replaced).toBe(model.has(JSON.stringify(at.map(String))));
          expect(change.reshaped).toBe(
            before !== stack.shape.join() || values !== JSON.stringify(stack.values),
          );
          model.set(JSON.stringify(at.map(String)), { at, size, plane });
          expect(stack.plane(change.index)).toBe(plane);
        });
        const entries = [...model.values()];
        for (const i of [0, 1]) {
          const texts = new Set(entries.map((e) => String(e.at[i])));
          expect(stack.values[i]?.map(String)).toEqual(
            [...new Set(entries.map((e) => e.at[i] as ComponentValue))]
              .filter((v, at, all) => all.findIndex((o) => String(o) === String(v)) === at)
              .sort(compareValues)
              .map(String),
          );
          expect(stack.shape[i]).toBe(texts.size);
          expect(stack.shape[i + 2]).toBe(Math.max(0, ...entries.map((e) => e.size[i] as number)));
        }
        expect(stack.planes).toBe(model.size);
        expect(stack.missing).toBe((stack.shape[0] as number) * (stack.shape[1] as number) - model.size);
        expect(new Set([...stack.entries()].map(([, plane]) => plane))).toEqual(
          new Set(entries.map((e) => e.plane)),
        );
      }),
    );
  });

  test("declared values keep the shape from the start, and what has not come is missing", () => {
    const stack = new PlaneStack<string>(
      ["channel", "well"],
      [
        [2, 1],
        ["A10", "A2"],
      ],
    );
    expect(stack.put([2, "A2"], [4, 6], "x")).toEqual({ index: [1, 0], reshaped: true, replaced: false });
    expect(stack.put([1, "A10"], [4, 6], "y")).toEqual({ index: [0, 1], reshaped: false, replaced: false });
    expect([stack.shape, stack.planes, stack.missing]).toEqual([[2, 2, 4, 6], 2, 2]);
    expect([stack.plane([0, 0]), stack.plane([1, 0]), stack.plane([0, 1])]).toEqual([undefined, "x", "y"]);
    expect(stack.indexOf([3, "A2"])).toBeUndefined();
    expect(() => stack.plane([2, 0])).toThrow("2 is outside of axis channel");
  });
});

describe("hyperstacks", () => {
  test("channel fastest, then slice, then frame; frames of several components", () => {
    const stack = new Hyperstack(layoutOf("fiji"));
    const all = [1, 2].flatMap((channel) =>
      [1, 2, 3].flatMap((z_index) =>
        ["A01", "B02"].map((well) => ({ ...components, channel, z_index, well })),
      ),
    );
    for (const each of [...all].reverse()) stack.add(each);
    expect(stack.size).toEqual({ channels: 2, slices: 3, frames: 2 });
    expect(
      stack.place({ ...components, channel: 2, z_index: 3, well: "B02" }, { channel: { 2: "GFP" } }),
    ).toEqual({
      channel: 1,
      slice: 2,
      frame: 1,
      stackIndex: 12,
      label: "Site 1 | Ch2: GFP | Z 3 | T 1 | Well B02",
    });
    expect(new Set(all.map((each) => stack.place(each)?.stackIndex))).toEqual(
      new Set(Array.from({ length: 12 }, (_, i) => i + 1)),
    );
    expect(stack.add(all[0] as never)).toBe(false);
    expect(stack.place({ ...components, channel: 9 })).toBeUndefined();
  });

  test("ten thousand planes in any order find their places", () => {
    const stack = new Hyperstack(layoutOf("fiji"));
    const all = Array.from({ length: 10_000 }, (_, i) => ({
      ...components,
      well: `W${(i * 7919) % 10_000}`,
    }));
    for (const each of all) stack.add(each);
    expect(all.map((each) => stack.place(each)?.frame)).toEqual(
      all.map((each) => Number(each.well.slice(1))),
    );
  });
});
