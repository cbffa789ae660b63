// SPDX-License-Identifier: MIT
// Turns what jobs will write into the plate's images: one array shape and dtype a field, one place a plane.

import type { DType } from "../image/dtype.js";
import type { Size } from "../ops/spec.js";
import type { Plate } from "../plates/plate.js";
import { Axes, promote, pyramidLevels } from "./layout.js";
import type { FieldLayout, ImageLayout, Output } from "./plan.js";
import type { Stream, Value } from "./stream.js";

/** An image or label image of one combination of components, before the plate's layout is known. */
export interface Unplaced {
  readonly stream: Pick<Stream, "well" | "site" | "channel" | "z" | "timepoint">;
  readonly label: string | null;
  readonly value: Pick<Value, "dtype" | "height" | "width">;
  /** Acquired pixels that one of its pixels is high and wide. */
  readonly pixelRatio: Size;
}

/** A tile that will be written. */
export interface PendingOutput extends Unplaced {
  readonly stream: Stream;
  readonly value: Value;
}

interface Extent {
  height: number;
  width: number;
  /** Null until an image of this path, not a label beside it, has been seen. */
  dtype: DType | null;
  mixed: boolean;
}

/** Lays out the plate. Fields whose channels differ in size get the largest (smaller planes leave zeros), in dtype the common one. */
export function layOut(plate: Plate, outputs: readonly Unplaced[], levels: number | undefined) {
  const axes = new Axes(
    plate,
    outputs.map((o) => ({ well: o.stream.well, site: o.stream.site, z_index: o.stream.z })),
  );
  const withT = new Set(outputs.map((o) => o.stream.timepoint)).size > 1;
  const withZ = axes.z.size > 1;
  const imagePath = (o: Unplaced) => {
    const field = axes.fieldPath(o.stream.well, o.stream.site);
    return o.label === null ? field : `${field}/labels/${o.label}`;
  };
  const extents = new Map<string, Extent>();
  // Labels share the size of their field's image, so that viewers can overlay them.
  for (const o of outputs) {
    const field = axes.fieldPath(o.stream.well, o.stream.site);
    for (const path of new Set([field, imagePath(o)])) {
      const e = extents.get(path);
      const counts = path === imagePath(o);
      if (e === undefined) {
        extents.set(path, {
          height: o.value.height,
          width: o.value.width,
          dtype: counts ? o.value.dtype : null,
          mixed: false,
        });
      } else {
        e.mixed ||=
          e.height !== o.value.height ||
          e.width !== o.value.width ||
          (counts && o.label === null && e.dtype !== null && e.dtype !== o.value.dtype);
        e.height = Math.max(e.height, o.value.height);
        e.width = Math.max(e.width, o.value.width);
        if (counts) e.dtype = e.dtype === null ? o.value.dtype : promote(e.dtype, o.value.dtype);
      }
    }
  }
  const extentOf = (o: Unplaced) => {
    const field = extents.get(axes.fieldPath(o.stream.well, o.stream.site)) as Extent;
    const own = extents.get(imagePath(o)) as Extent;
    return {
      height: field.height,
      width: field.width,
      dtype: o.label === null ? (own.dtype ?? o.value.dtype) : o.value.dtype,
    };
  };
  const levelsOf = (e: { height: number; width: number }) => levels ?? pyramidLevels(e.height, e.width);

  const fields = new Map<string, FieldLayout & { images: ImageLayout[] }>();
  for (const o of outputs) {
    const path = axes.fieldPath(o.stream.well, o.stream.site);
    let field = fields.get(path);
    if (field === undefined) {
      field = { well: o.stream.well, site: o.stream.site, path, images: [] };
      fields.set(path, field);
    }
    const image = imagePath(o);
    if (field.images.some((i) => i.path === image)) continue;
    const e = extentOf(o);
    field.images.push({
      path: image,
      label: o.label,
      axes: [...(withT ? (["t"] as const) : []), "c", ...(withZ ? (["z"] as const) : []), "y", "x"],
      shape: [
        ...(withT ? [axes.timepoints.size] : []),
        axes.channels.size,
        ...(withZ ? [axes.z.size] : []),
        e.height,
        e.width,
      ],
      dtype: e.dtype,
      levels: levelsOf(e),
      pixelRatio: o.pixelRatio,
    });
  }
  const mixed = [...extents.values()].filter((e) => e.mixed).length;
  return {
    fields: [...fields.values()],
    remarks:
      mixed === 0
        ? []
        : [
            `In ${mixed} image${mixed === 1 ? "" : "s"} the channels differ in size or dtype: smaller planes are padded with zeros, dtypes promoted.`,
          ],
    output(o: Unplaced): Output {
      const e = extentOf(o);
      const lead = [
        ...(withT ? [axes.timepoints.get(o.stream.timepoint) ?? 0] : []),
        axes.channels.get(o.stream.channel) ?? 0,
        ...(withZ ? [o.stream.z === null ? 0 : (axes.z.get(o.stream.z) ?? 0)] : []),
      ];
      return {
        image: imagePath(o),
        lead,
        height: e.height,
        width: e.width,
        dtype: e.dtype,
        levels: levelsOf(e),
      };
    },
  };
}
