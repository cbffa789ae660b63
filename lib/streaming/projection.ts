// SPDX-License-Identifier: MIT
// Receiver projection: which layer or window an item belongs to, which plane of it it is, and what both are called. Pure, the same for every receiver.

import { type ComponentValue, compareValues, type ValueNames } from "./component-values.js";
import { type ComponentMode, type Layout, layoutOf, type ViewerType } from "./display.js";
import { componentLabels, joinRoute, type ProducerIdentity, producerTitle, routeParts } from "./identity.js";
import { type StreamComponent, streamComponents } from "./payload.js";

/** `data_type` on the wire. */
export type DataType = "image" | "labels" | "shapes" | "rois" | "points" | "tracks" | "table";

export interface ProjectedItem {
  readonly identity: ProducerIdentity;
  readonly dataType: DataType;
  readonly components: Readonly<Record<StreamComponent, ComponentValue>>;
  /** Of planes: [y, x] or [y, x, 3]. */
  readonly shape?: readonly number[];
  /** From `tilecast.title`. */
  readonly title?: string;
}

export interface Projection {
  /** Stable: the same for everything that shares a layer or window, whatever the order of arrival. */
  readonly key: string;
  readonly title: string;
  /** The components that are axes there, slowest first. */
  readonly axes: readonly StreamComponent[];
  /** The item's values along them. */
  readonly at: readonly ComponentValue[];
}

const oldModes: Readonly<Record<string, ComponentMode>> = { slice: "layer" };

/** Reads a batch's `display_config`. Generation A says `slice` where napari's later ones say `layer`; what is missing has its default. */
export function readLayout(viewer: ViewerType, config: { readonly [key: string]: unknown }): Layout {
  const given = (config.component_modes ?? {}) as Record<string, unknown>;
  const modes = Object.fromEntries(
    streamComponents
      .filter((c) => given[c] !== undefined)
      .map((c) => {
        const mode = given[c] as ComponentMode;
        return [c, viewer === "napari" ? (oldModes[mode] ?? mode) : mode];
      }),
  );
  const named = (Array.isArray(config.component_order) ? config.component_order : []).filter((c) =>
    (streamComponents as readonly unknown[]).includes(c),
  ) as StreamComponent[];
  return layoutOf(viewer, {
    modes,
    order: [...new Set([...named, ...streamComponents])],
    ...(config.variable_size_handling === "separate_layers" && { variableSizes: "separate_layers" }),
  });
}

const keySuffix: Readonly<Record<DataType, string>> = {
  image: "",
  labels: "_labels",
  shapes: "_shapes",
  rois: "",
  points: "_points",
  tracks: "_tracks",
  table: "_table",
};
/** Colour images are apart: OpenHCS's napari server's suffix, and our Fiji viewer's. */
const colorSuffix: Readonly<Record<ViewerType, string>> = { napari: "_color_plane", fiji: "_rgb" };
const titleSuffix: Readonly<Record<DataType, string>> = {
  image: "",
  labels: "",
  shapes: "ROIs",
  rois: "",
  points: "points",
  tracks: "tracks",
  table: "table",
};

/** Layers and windows of their own come from these modes; every other mode is an axis. */
const separates = (mode: ComponentMode): boolean => mode === "layer" || mode === "window";

/**
 * In napari each kind is a layer; images of different sizes are apart where the layout says so. In Fiji regions lie on their producer's
 * images and have their key, while labels, whose pixels are of another type, and colour images have windows of their own.
 */
export function project(viewer: ViewerType, layout: Layout, item: ProjectedItem): Projection {
  const { identity, dataType, components } = item;
  const apart = layout.order.filter((c) => separates(layout.modes[c]));
  const axes = layout.order.filter((c) => !separates(layout.modes[c]));
  const size =
    viewer === "napari" && layout.variableSizes === "separate_layers" && item.shape !== undefined
      ? `${item.shape[0]}x${item.shape[1]}`
      : undefined;
  const isColor = item.shape?.length === 3;
  const key = joinRoute([
    ...routeParts(identity),
    ...apart.map((c) => `${c}_${components[c]}`),
    ...(size === undefined ? [] : [size]),
  ]);
  const title = [
    item.title ?? producerTitle(identity),
    ...apart.map((c) => `${c} ${components[c]}`),
    isColor ? "RGB" : "",
    size ?? "",
    viewer === "napari" ? titleSuffix[dataType] : "",
  ];
  return {
    key: `${key}${isColor ? colorSuffix[viewer] : viewer === "napari" || dataType === "labels" ? keySuffix[dataType] : ""}`,
    title: title.filter((part) => part !== "").join(" "),
    axes,
    at: axes.map((c) => components[c]),
  };
}

/** `Ch1: DAPI`, `Z 3`: a value as it is written beside a plane. */
export function valueLabel(
  component: StreamComponent,
  value: ComponentValue,
  names: ValueNames = {},
): string {
  const name = names[component]?.[String(value)];
  const label = componentLabels[component];
  return name ? `${label}${value}: ${name}` : `${label} ${value}`;
}

/** Where a plane is in ImageJ's stack of C, Z and T; 0-based, with what the place stands for. */
export interface HyperstackPlace {
  readonly channel: number;
  readonly slice: number;
  readonly frame: number;
  /** 1-based, channel fastest (xyczt). */
  readonly stackIndex: number;
  readonly label: string;
}

/** The axes of one Fiji window: every combination of values that occurs along each, in order. */
export class Hyperstack {
  readonly #layout: Layout;
  readonly #axes: Readonly<Record<"channel" | "slice" | "frame", ValueAxis>>;

  constructor(layout: Layout) {
    this.#layout = layout;
    const axis = (mode: ComponentMode) => new ValueAxis(layout.order.filter((c) => layout.modes[c] === mode));
    this.#axes = { channel: axis("channel"), slice: axis("slice"), frame: axis("frame") };
  }

  /** Makes room. True when the stack grew, so that places of before are others now. */
  add(components: ProjectedItem["components"]): boolean {
    const { channel, slice, frame } = this.#axes;
    const grown = [channel, slice, frame].map((axis) => axis.add(components));
    return grown.some(Boolean);
  }

  get size(): { readonly channels: number; readonly slices: number; readonly frames: number } {
    const { channel, slice, frame } = this.#axes;
    return { channels: channel.length, slices: slice.length, frames: frame.length };
  }

  /** Of values that were added; undefined for others. */
  place(components: ProjectedItem["components"], names: ValueNames = {}): HyperstackPlace | undefined {
    const { channel, slice, frame } = this.#axes;
    const [c, z, t] = [channel, slice, frame].map((axis) => axis.indexOf(components)) as [
      number,
      number,
      number,
    ];
    if (c < 0 || z < 0 || t < 0) return undefined;
    return {
      channel: c,
      slice: z,
      frame: t,
      stackIndex: 1 + c + channel.length * (z + slice.length * t),
      label: this.#layout.order.map((each) => valueLabel(each, components[each], names)).join(" | "),
    };
  }
}

/** The combinations of some components' values, sorted component by component. */
class ValueAxis {
  readonly #sorted: (readonly ComponentValue[])[] = [];

  constructor(readonly components: readonly StreamComponent[]) {
    // Without components the axis has one place.
    if (components.length === 0) this.#sorted.push([]);
  }

  get length(): number {
    return this.#sorted.length;
  }

  /** Binary search: where it is, or would be. */
  #find(values: readonly ComponentValue[]): { readonly at: number; readonly isThere: boolean } {
    let [low, high] = [0, this.#sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const order = compareTuples(this.#sorted[middle] as readonly ComponentValue[], values);
      if (order === 0) return { at: middle, isThere: true };
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return { at: low, isThere: false };
  }

  add(components: ProjectedItem["components"]): boolean {
    const values = this.components.map((c) => components[c]);
    const { at, isThere } = this.#find(values);
    if (!isThere) this.#sorted.splice(at, 0, values);
    return !isThere;
  }

  indexOf(components: ProjectedItem["components"]): number {
    const { at, isThere } = this.#find(this.components.map((c) => components[c]));
    return isThere ? at : -1;
  }
}

function compareTuples(a: readonly ComponentValue[], b: readonly ComponentValue[]): number {
  for (const [i, value] of a.entries()) {
    const order = compareValues(value, b[i] as ComponentValue);
    if (order !== 0) return order;
  }
  return 0;
}

/** How images of one layer are brought to one size. */
export const paddedSize = (
  sizes: Iterable<readonly [height: number, width: number]>,
): readonly [height: number, width: number] => {
  let [height, width] = [0, 0];
  for (const [h, w] of sizes) [height, width] = [Math.max(height, h), Math.max(width, w)];
  return [height, width];
};
