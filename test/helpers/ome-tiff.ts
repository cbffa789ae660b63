// SPDX-License-Identifier: MIT
// Writes small OME-TIFF files and sets for tests: every page another value, OME-XML by the published schema.
//
// https://docs.openmicroscopy.org/ome-model/latest/ome-tiff/specification.html and the 2016-06 schema.

import { join } from "node:path";
import { writeTiff } from "./tiff.js";

export const omeNamespace = "http://www.openmicroscopy.org/Schemas/OME/2016-06";

export function omeXml(inner: string, attributes = ""): string {
  return `<?xml version="1.0" encoding="UTF-8"?><!-- Warning: this comment is an OME-XML metadata block --><OME xmlns="${omeNamespace}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ${attributes}>${inner}</OME>`;
}

export interface OmeImageOptions {
  readonly id?: number;
  readonly sizes?: { readonly z?: number; readonly c?: number; readonly t?: number };
  readonly order?: string;
  readonly width?: number;
  readonly height?: number;
  readonly channels?: string;
  /** TiffData elements. Default one without attributes: the pages from 0 on. */
  readonly data?: string;
  readonly physical?: string;
}

export function omeImage(options: OmeImageOptions = {}): string {
  const {
    id = 0,
    sizes = {},
    order = "XYCZT",
    width = 16,
    height = 12,
    channels = "",
    physical = "",
  } = options;
  const { z = 1, c = 1, t = 1 } = sizes;
  return `<Image ID="Image:${id}" Name="field ${id}"><Pixels ID="Pixels:${id}" DimensionOrder="${order}" Type="uint16" SizeX="${width}" SizeY="${height}" SizeZ="${z}" SizeC="${c}" SizeT="${t}" ${physical}>${channels}${options.data ?? "<TiffData/>"}</Pixels></Image>`;
}

export function omeChannels(...names: string[]): string {
  return names.map((name, i) => `<Channel ID="Channel:0:${i}" Name="${name}" SamplesPerPixel="1"/>`).join("");
}

/** Writes a file of pages with the values `values`, whose first page has the description. */
export function writePages(
  root: string,
  name: string,
  description: string | undefined,
  values: readonly number[],
  size: { width?: number; height?: number; samples?: number } = {},
): void {
  const { width = 16, height = 12, samples = 1 } = size;
  writeTiff(
    join(root, name),
    values.map((value, i) => ({
      width,
      height,
      samples,
      dtype: "uint16" as const,
      value: (_x: number, _y: number, sample: number) => value + sample,
      ...(i === 0 && description !== undefined ? { description } : {}),
    })),
  );
}
