// SPDX-License-Identifier: MIT
// How a viewer lays out what it gets: a mode for each component, their order, colours; and the `display_config` that says so on the wire.

import { TilecastError } from "../errors.js";
import { describe } from "../runtime/pickle-value.js";
import { type StreamComponent, streamComponents } from "./payload.js";

/** `stack`: an axis of one layer; `layer`: a layer for each value. */
export const napariModes = ["stack", "layer"] as const;
/** `window`: a window for each value; the others: an axis of a hyperstack. */
export const fijiModes = ["window", "channel", "slice", "frame"] as const;
export type NapariMode = (typeof napariModes)[number];
export type FijiMode = (typeof fijiModes)[number];
export type ComponentMode = NapariMode | FijiMode;

/** Which family of modes a viewer has. A web page is laid out as napari is. */
export type ViewerType = "napari" | "fiji";

export const variableSizes = ["pad_to_max", "separate_layers"] as const;
export type VariableSizes = (typeof variableSizes)[number];

export interface DisplayOptions {
  /** Default for napari: all `stack`; for Fiji: channel `channel`, z `slice`, the others `frame`. */
  readonly modes?: Partial<Readonly<Record<StreamComponent, ComponentMode>>>;
  /** All five, the slowest axis first; default {@link streamComponents}. */
  readonly order?: readonly StreamComponent[];
  /** Name of a napari colormap or an ImageJ LUT for channels without one; default `gray`, `Grays`. */
  readonly colormap?: string;
  /** napari: what images of different sizes do in one layer; default `pad_to_max`, at the end of rows and columns. */
  readonly variableSizes?: VariableSizes;
  /** Fiji: ImageJ's "Enhance Contrast"; default true. */
  readonly autoContrast?: boolean;
  /** Colormap or LUT by channel. tilecast's viewers only. */
  readonly colormaps?: Readonly<Record<string, string>>;
  /** Display range by channel; default the viewer's own. tilecast's viewers only. */
  readonly contrast?: Readonly<Record<string, readonly [number, number]>>;
}

/** Complete: every component has a mode. */
export interface Layout {
  readonly modes: Readonly<Record<StreamComponent, ComponentMode>>;
  readonly order: readonly StreamComponent[];
  readonly variableSizes: VariableSizes;
}

const defaultModes: Readonly<Record<ViewerType, Readonly<Record<StreamComponent, ComponentMode>>>> = {
  napari: { site: "stack", channel: "stack", z_index: "stack", timepoint: "stack", well: "stack" },
  fiji: { site: "frame", channel: "channel", z_index: "slice", timepoint: "frame", well: "frame" },
};

const refuse = (argument: string, expected: string, got: unknown) =>
  new TilecastError("ERR_INVALID_ARGUMENT", `${argument} must be ${expected}, got ${describe(got)}`, {
    argument,
  });

/** Completes and checks. Throws ERR_INVALID_ARGUMENT. */
export function layoutOf(viewer: ViewerType, display: DisplayOptions = {}): Layout {
  const known: readonly string[] = viewer === "fiji" ? fijiModes : napariModes;
  for (const [component, mode] of Object.entries(display.modes ?? {})) {
    if (!(streamComponents as readonly string[]).includes(component))
      throw refuse("modes", `by ${streamComponents.join(", ")}`, component);
    if (mode !== undefined && !known.includes(mode))
      throw refuse(`modes.${component}`, `one of ${known.join(", ")} for ${viewer}`, mode);
  }
  const order = display.order ?? streamComponents;
  if (order.length !== streamComponents.length || streamComponents.some((c) => !order.includes(c)))
    throw refuse("order", `each of ${streamComponents.join(", ")} once`, order);
  const sizes = display.variableSizes ?? "pad_to_max";
  if (!variableSizes.includes(sizes)) throw refuse("variableSizes", variableSizes.join(" or "), sizes);
  return { modes: { ...defaultModes[viewer], ...display.modes }, order, variableSizes: sizes };
}

/** `display_config`. Upstream's viewers refuse a message that lacks one of the keys of their kind. */
export function displayConfig(
  viewer: ViewerType,
  display: DisplayOptions = {},
  flavour: "tilecast" | "openhcs" = "tilecast",
): { readonly [key: string]: unknown } {
  const { modes, order, variableSizes: sizes } = layoutOf(viewer, display);
  const { colormaps, contrast } = display;
  return {
    component_modes: Object.fromEntries(order.map((component) => [component, modes[component]])),
    component_order: order,
    ...(viewer === "fiji"
      ? { lut: display.colormap ?? "Grays", auto_contrast: display.autoContrast ?? true }
      : { colormap: display.colormap ?? "gray", variable_size_handling: sizes }),
    ...(flavour === "tilecast" &&
      (colormaps ?? contrast) && {
        tilecast: { ...(colormaps && { colormaps }), ...(contrast && { contrast }) },
      }),
  };
}
