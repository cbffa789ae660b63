// SPDX-License-Identifier: MIT
// Stands in for @vivjs/loaders, of which viv's layers use three names and which would bring readers of TIFF files into the page.

export const SIGNAL_ABORTED = "__vivSignalAborted";

/** Colours are never interleaved here: a plane of 3 or 4 pixels' width, which viv would take for colours, is a plane. */
export function isInterleaved(): boolean {
  return false;
}

export function getImageSize({ shape }: { readonly shape: readonly number[] }) {
  const [height, width] = shape.slice(-2);
  return { height, width };
}
