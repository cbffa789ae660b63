// SPDX-License-Identifier: MIT
// Colours of viv's layers by tables, one a channel, added up: a plain colour is a table too. In place of viv's palette, which knows plain colours only.

import { LayerExtension } from "@deck.gl/core";
import type { Device, Texture } from "@luma.gl/core";
import { colorAt, cutColors, type MapName, type Rgb } from "../color-maps.js";

/** The range's 256 steps, and an entry at each end for what is cut off. */
const steps = 256;
const width = steps + 2;
/** Of channels: more than viv draws at once. */
const height = 16;

export type ChannelColor = { readonly color: Rgb } | { readonly map: MapName };

/** Tables of the channels that are seen. Equal ones are one object, so that layers see whether anything has changed. */
export interface Lut {
  readonly key: string;
  readonly data: Uint8Array;
}

const made = new Map<string, Lut>();
/** Dragging a colour makes many; two are in use. */
const mostKept = 16;

export function lutOf(channels: readonly ChannelColor[]): Lut {
  const key = channels.map((c) => ("map" in c ? c.map : c.color.join())).join(" ");
  let lut = made.get(key);
  if (lut === undefined) lut = { key, data: tables(channels) };
  made.delete(key);
  made.set(key, lut);
  for (const oldest of made.keys()) {
    if (made.size <= mostKept) break;
    made.delete(oldest);
  }
  return lut;
}

function tables(channels: readonly ChannelColor[]): Uint8Array {
  const data = new Uint8Array(4 * width * height);
  for (const [row, channel] of channels.slice(0, height).entries()) {
    for (let x = 0; x < width; x++) {
      const part = Math.min(1, Math.max(0, (x - 1) / (steps - 1)));
      const rgb =
        "color" in channel ? channel.color.map((c) => Math.round(c * part)) : colorAt(channel.map, part);
      data.set([...rgb, 255], 4 * (row * width + x));
    }
    if (!("map" in channel) || channel.map !== "HiLo") continue;
    data.set(cutColors[0], 4 * row * width);
    data.set(cutColors[1], 4 * (row * width + width - 1));
  }
  return data;
}

/** Textures by table, for each WebGL context, the newest last. */
const textures = new WeakMap<Device, Map<string, Texture>>();

/**
 * Of the sampler's kind that the pixels' textures have, which viv chooses by their type: WebGL refuses a program whose samplers are of two kinds
 * until it knows that they are of two textures.
 */
function formatOf(dtype: string) {
  if (dtype.startsWith("Uint")) return { format: "rgba8uint", Pixels: Uint8Array } as const;
  if (dtype.startsWith("Int")) return { format: "rgba16sint", Pixels: Int16Array } as const;
  return { format: "rgba32float", Pixels: Float32Array } as const;
}

function textureOf(device: Device, lut: Lut, dtype: string): Texture {
  const { format, Pixels } = formatOf(dtype);
  const name = `${format} ${lut.key}`;
  let all = textures.get(device);
  if (all === undefined) {
    all = new Map();
    textures.set(device, all);
  }
  const texture =
    all.get(name) ??
    device.createTexture({
      width,
      height,
      data: Pixels.from(lut.data),
      format,
      dimension: "2d",
      sampler: { minFilter: "nearest", magFilter: "nearest" },
    });
  all.delete(name);
  all.set(name, texture);
  for (const [key, oldest] of all) {
    if (all.size <= mostKept) break;
    oldest.destroy();
    all.delete(key);
  }
  return texture;
}

// Intensities are 0 at and below the range's black, and 1 at its white.
const lutModule = {
  name: "lut",
  fs: `uniform highp SAMPLER_TYPE lutTables;

vec3 lut_color(float intensity, int channel) {
  float at = intensity <= 0. ? 0. : intensity >= 1. ? ${width - 1}. : 1. + intensity * ${steps - 1}.;
  int low = int(at);
  vec3 a = vec3(texelFetch(lutTables, ivec2(low, channel), 0).rgb);
  vec3 b = vec3(texelFetch(lutTables, ivec2(min(low + 1, ${steps}), channel), 0).rgb);
  return (low == 0 || low == ${width - 1} ? a : mix(a, b, at - float(low))) / 255.;
}
`,
  inject: {
    "fs:DECKGL_MUTATE_COLOR": `vec3 sum = vec3(0.);
for (int i = 0; i < NUM_CHANNELS; i++) sum += lut_color(intensity[i], i);
rgba = vec4(min(sum, 1.), 1.);
`,
  },
} as const;

interface LayerWithModels {
  readonly props: { readonly lut: Lut; readonly dtype: string };
  readonly context: { readonly device: Device };
  getModels(): { setBindings(bindings: object): void }[];
}

/** Layers with it have the property `lut`. */
export class LutExtension extends LayerExtension {
  static override extensionName = "LutExtension";
  static override defaultProps = { lut: { type: "object", value: null, compare: true } };

  override getShaders(): object {
    return { modules: [lutModule] };
  }

  override updateState(): void {
    // deck.gl calls an extension's methods on the layer.
    const layer = this as unknown as LayerWithModels;
    const lutTables = textureOf(layer.context.device, layer.props.lut, layer.props.dtype);
    for (const model of layer.getModels()) model.setBindings({ lutTables });
  }
}
