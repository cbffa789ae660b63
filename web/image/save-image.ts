// SPDX-License-Identifier: MIT
// Saves what the image view shows as a PNG, with its scale bar and what it is.

import { save } from "../state/save.js";
import type { SourceDescription } from "../state/types.js";
import { scaleBar } from "./scale-bar.js";
import type { Viewer } from "./viewer.js";

export async function saveImage(viewer: Viewer, source: SourceDescription, title: string): Promise<void> {
  const canvas = viewer.snapshot();
  const { camera } = viewer;
  const context = canvas.getContext("2d");
  if (context === null || camera === undefined) return;
  const dense = canvas.width / Math.max(1, viewer.container.clientWidth);
  context.scale(dense, dense);
  const [width, height] = [canvas.width / dense, canvas.height / dense];
  const bar = scaleBar(camera, source.pixelSize);
  context.font = "13px system-ui, sans-serif";
  context.shadowColor = "#000";
  context.shadowBlur = 4;
  context.fillStyle = "#fff";
  context.fillRect(width - bar.width - 16, height - 20, bar.width, 4);
  context.textAlign = "right";
  context.fillText(bar.text, width - 16, height - 26);
  context.textAlign = "left";
  context.fillText(`${source.name}  ${title}`, 16, height - 16);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  if (blob) save(blob, `${source.name} ${title}.png`.replaceAll(/[^\w.-]+/g, "_"));
}
