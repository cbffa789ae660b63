// SPDX-License-Identifier: MIT
// Draws a label image over others, as outlines or filled, with chosen objects standing out; on viv's layer for integer textures.

import type { Texture } from "@luma.gl/core";
import { XRLayer } from "@vivjs/layers";

/** Labels of one lookup row; a texture may be at least 2048 wide (WebGL2). */
const lookupWidth = 2048;

/** Marks of labels: 1 belongs to the selection, 2 is the one that was picked. */
export interface Marks {
  readonly selected: ReadonlySet<number>;
  readonly picked: number | undefined;
}

const uniforms = `uniform labelStyleUniforms {
  float filled;
  float opacity;
  float rows;
  float marked;
} labelStyle;
`;

const labelStyle = {
  name: "labelStyle",
  fs: uniforms,
  uniformTypes: { filled: "f32", opacity: "f32", rows: "f32", marked: "f32" },
} as const;

// An edge is a pixel with another label beside it. Beyond a tile's border is the same label: the neighbour tile is not at hand.
const fragment = `#version 300 es
#define SHADER_NAME label-layer-fragment-shader
precision highp float;
precision highp int;
precision highp SAMPLER_TYPE;
uniform SAMPLER_TYPE channel0;
uniform highp usampler2D marks;
in vec2 vTexCoord;
out vec4 fragColor;

uint labelAt(ivec2 p, ivec2 size) {
  return uint(texelFetch(channel0, clamp(p, ivec2(0), size - 1), 0).r);
}

vec3 colorOf(uint label) {
  // Hues that are far apart for labels that are near: multiples of the golden angle.
  float hue = fract(float(label % 4096u) * 0.61803398875);
  vec3 k = fract(hue + vec3(1.0, 2.0 / 3.0, 1.0 / 3.0)) * 6.0 - 3.0;
  return mix(vec3(1.0), clamp(abs(k) - 1.0, 0.0, 1.0), 0.65);
}

void main() {
  ivec2 size = textureSize(channel0, 0);
  ivec2 p = ivec2(vTexCoord * vec2(size));
  uint label = labelAt(p, size);
  if (label == 0u) discard;
  uint row = label / ${lookupWidth}u;
  uint mark = float(row) < labelStyle.rows ? texelFetch(marks, ivec2(int(label % ${lookupWidth}u), int(row)), 0).r : 0u;
  // As wide as a pixel of the screen where that is wider than one of the image: a thinner line would be lost between samples.
  ivec2 step = max(ivec2(1), ivec2(round(fwidth(vTexCoord) * vec2(size))));
  ivec2 dx = ivec2(step.x, 0);
  ivec2 dy = ivec2(0, step.y);
  bool edge = labelAt(p + dx, size) != label || labelAt(p - dx, size) != label ||
    labelAt(p + dy, size) != label || labelAt(p - dy, size) != label;
  vec3 color = mark == 2u ? vec3(1.0) : colorOf(label);
  float dim = labelStyle.marked > 0.5 && mark == 0u ? 0.3 : 1.0;
  float alpha = edge ? max(labelStyle.opacity, mark == 2u ? 1.0 : 0.85) : labelStyle.filled > 0.5 ? labelStyle.opacity * 0.6 : mark > 0u ? 0.3 : 0.0;
  alpha *= dim;
  if (alpha <= 0.0) discard;
  fragColor = vec4(color, alpha);
  geometry.uv = vTexCoord;
  DECKGL_FILTER_COLOR(fragColor, geometry);
}
`;

interface LabelProps {
  readonly filled: boolean;
  readonly labelOpacity: number;
  readonly marks: Marks;
}

interface State {
  model?: {
    shaderInputs: { setProps(props: object): void };
    setBindings(bindings: object): void;
  };
  marks?: Texture;
  rows?: number;
}

/** A tile of labels. Its channel is the label image; contrast has no meaning for it. */
export class LabelLayer extends XRLayer {
  static override layerName = "LabelLayer";

  override getShaders() {
    // viv's types call the whole description a module.
    const shaders = super.getShaders() as unknown as { name: string; modules: object[] };
    return { ...shaders, fs: fragment, modules: [...shaders.modules, labelStyle] };
  }

  override updateState(change: {
    props: LabelProps;
    oldProps: Partial<LabelProps>;
    changeFlags: unknown;
  }): void {
    super.updateState(change);
    const { props, oldProps } = change;
    const state = this.state as unknown as State;
    if (props.marks !== oldProps.marks || state.marks === undefined) this.#mark(props.marks);
    const marked = props.marks.selected.size > 0;
    state.model?.shaderInputs.setProps({
      labelStyle: {
        filled: Number(props.filled),
        opacity: props.labelOpacity,
        rows: state.rows ?? 0,
        marked: Number(marked),
      },
    });
    if (state.marks) state.model?.setBindings({ marks: state.marks });
  }

  #mark({ selected, picked }: Marks): void {
    let highest = picked ?? 0;
    for (const label of selected) highest = Math.max(highest, label);
    const rows = Math.floor(highest / lookupWidth) + 1;
    const data = new Uint8Array(rows * lookupWidth);
    for (const label of selected) data[label] = 1;
    if (picked !== undefined) data[picked] = 2;
    const state = this.state as unknown as State;
    state.marks?.destroy();
    const marks = this.context.device.createTexture({
      width: lookupWidth,
      height: rows,
      data,
      format: "r8uint",
      dimension: "2d",
      sampler: { minFilter: "nearest", magFilter: "nearest" },
    });
    this.setState({ marks, rows });
  }

  override finalizeState(): void {
    (this.state as unknown as State).marks?.destroy();
    super.finalizeState();
  }
}
