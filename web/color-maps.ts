// SPDX-License-Identifier: MIT
// Colour maps by name, for images and for the plate's heat map: 33 stops of matplotlib's tables (viridis, magma, inferno: CC0; turbo: Apache 2.0),
// which are nowhere more than 2 of 255 from the whole ones.

const hex = {
  grey: "000000ffffff",
  viridis:
    "440154470d6048186a482374472d7b4536814240863f49893b528b375a8d33638d2f6a8e2c728e297a8e26818e23898e21908c1f988b1f9f8821a68528ae8031b57b3ebc744cc26c5dc9636ece5882d34c96d83fabdc32c0df24d5e21aeae51afde725",
  magma:
    "0000040303110a0822130d331d114628115a36106a430f7650127c5d177f691c817621818226818f2a819c2e7fa9327db63779c33b75cf4170db486ae65163ee5c5ef5695cf9785dfb8761fd9668fea571feb47bfec387fed194fde0a2fceeb0fcfdbf",
  inferno:
    "0000040403120b0724150b37210c4a2e0a5a3c09654a0c6b57106d63146e70196e7d1e6d89226a962766a32b61af315cbb3755c63e4dd14644db4f3be35932eb6528f1711ef67f14f98d0afb9c06fcab0ffbba1ff9ca32f5d949f2e865f3f586fcffa4",
  turbo:
    "30123b392a734040a14456c7466be3467ff64293ff37a7fa29bbec1dcdd818dcc31ee8b031f2994cf97e6bfd648aff4da3fd3cb8f735cced34dee037edd03af8c03afdae35fe982cfb8022f56817ec520fe04009d23105c02302ac1701950d017a0403",
} as const;

export type Rgb = readonly [number, number, number];

export type MapName = keyof typeof hex | "HiLo";

/** As they are offered; `HiLo` is grey, with what is cut off by the range marked. */
export const mapNames: readonly MapName[] = ["grey", "viridis", "magma", "inferno", "turbo", "HiLo"];

export const isMapName = (text: string): text is MapName => (mapNames as readonly string[]).includes(text);

function stopsOf(name: MapName): readonly Rgb[] {
  const text = hex[name === "HiLo" ? "grey" : name];
  return (text.match(/.{6}/g) ?? []).map((c) => rgbOf(`#${c}`));
}

/** Of `#rrggbb`. */
export function rgbOf(color: string): Rgb {
  const n = Number.parseInt(color.slice(1), 16);
  return [n >> 16, (n >> 8) & 255, n & 255];
}

const known = new Map<MapName, readonly Rgb[]>();

/** The colour of `part`, 0 to 1, of a map; each of its three parts 0 to 255. */
export function colorAt(name: MapName, part: number): Rgb {
  let stops = known.get(name);
  if (stops === undefined) {
    stops = stopsOf(name);
    known.set(name, stops);
  }
  const at = Math.min(1, Math.max(0, part)) * (stops.length - 1);
  const index = Math.min(stops.length - 2, Math.floor(at));
  const [low, high] = [stops[index] as Rgb, stops[index + 1] as Rgb];
  const mix = (i: 0 | 1 | 2) => Math.round(low[i] + (high[i] - low[i]) * (at - index));
  return [mix(0), mix(1), mix(2)];
}

/** What `HiLo` shows of values at or below the range's black, and at or above its white. */
export const cutColors: readonly [Rgb, Rgb] = [
  [0, 90, 255],
  [255, 40, 40],
];

/** For a legend. */
export function gradientOf(name: MapName): string {
  const css = (c: Rgb) => `rgb(${c.join(" ")})`;
  const stops = stopsOf(name).map(css);
  if (name !== "HiLo") return `linear-gradient(to right, ${stops.join(", ")})`;
  const [low, high] = cutColors.map(css);
  return `linear-gradient(to right, ${low} 8%, ${stops[0]} 8%, ${stops[1]} 92%, ${high} 92%)`;
}
