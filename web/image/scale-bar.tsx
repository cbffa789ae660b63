// SPDX-License-Identifier: MIT
// A bar of a round length in micrometres, or in pixels where their size is not known.

import type { Camera } from "./viewer.js";

/** The roundest length of at most `most`: 1, 2 or 5 times a power of ten. */
export function roundLength(most: number): number {
  const power = 10 ** Math.floor(Math.log10(most));
  for (const n of [5, 2, 1]) if (n * power <= most) return n * power;
  return power;
}

export interface Bar {
  /** Screen pixels. */
  readonly width: number;
  readonly text: string;
}

export function scaleBar(camera: Camera, pixelSize: readonly [number, number] | null, most = 140): Bar {
  const screen = 2 ** camera.zoom;
  const unit = pixelSize?.[1] ?? 1;
  const length = roundLength((most / screen) * unit);
  const text =
    pixelSize === null
      ? `${length} px`
      : length >= 1000
        ? `${length / 1000} mm`
        : length < 1
          ? `${Math.round(length * 1000)} nm`
          : `${length} \u00b5m`;
  return { width: (length / unit) * screen, text };
}

export function ScaleBar(props: { camera: Camera; pixelSize: readonly [number, number] | null }) {
  const bar = scaleBar(props.camera, props.pixelSize);
  return (
    <div class="scale-bar" role="img" aria-label={`Scale bar: ${bar.text}`}>
      <span>{bar.text}</span>
      <i style={{ width: `${bar.width}px` }} />
    </div>
  );
}
