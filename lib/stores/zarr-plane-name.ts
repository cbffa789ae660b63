// SPDX-License-Identifier: MIT
// Names of an OME-Zarr image's planes in the keys of stores: `t0c2z5`, or `plane` where there are rows and columns only.

import type { NgffImage } from "./ngff.js";

/** `t`, `c`, `z` with an index each, in the order of the image's axes. */
const planeName = /^(?:plane|(?:[tcz]\d{1,9}){1,3})$/;

export const isPlaneName = (name: string): boolean => planeName.test(name);

/** The place of a plane along the leading axes; null when the image has no such plane. */
export function indexOf(image: NgffImage, name: string): number[] | null {
  const places = [...name.matchAll(/([tcz])(\d+)/g)];
  const index = places.map((place) => Number(place[2]));
  const axes = image.axes.slice(0, -2);
  const there =
    places.length === axes.length &&
    places.every((place, i) => place[1] === axes[i] && String(index[i]) === place[2]) &&
    index.every((n, i) => n < (image.array.shape[i] as number));
  return there ? index : null;
}

/** All planes, in C order; none of images with axes other than t, c and z, which keys cannot name. */
export function planeNames(image: NgffImage): string[] {
  const axes = image.axes.slice(0, -2);
  if (axes.some((axis) => !/^[tcz]$/.test(axis))) return [];
  let names = [""];
  for (const [i, axis] of axes.entries()) {
    const length = image.array.shape[i] as number;
    names = names.flatMap((name) => Array.from({ length }, (_, n) => `${name}${axis}${n}`));
  }
  return axes.length === 0 ? ["plane"] : names;
}
