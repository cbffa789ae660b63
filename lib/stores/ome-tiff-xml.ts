// SPDX-License-Identifier: MIT
// OME-XML of one image whose planes are the pages of its own file.
//
// OME Data Model, schema 2016-06 (http://www.openmicroscopy.org/Schemas/OME/2016-06/ome.xsd), and the OME-TIFF specification:
// https://docs.openmicroscopy.org/ome-model/latest/ome-tiff/specification.html

import type { DType } from "../image/dtype.js";
import { version } from "../version.js";

/** Which axis runs fastest from page to page, after x and y. */
export const dimensionOrders = ["XYCZT", "XYCTZ", "XYZCT", "XYZTC", "XYTCZ", "XYTZC"] as const;
export type DimensionOrder = (typeof dimensionOrders)[number];

export interface OmeTiffChannel {
  readonly name?: string;
  /** RRGGBB: the colour it is shown in. */
  readonly color?: string;
}

/** What the document says of its image. */
export interface OmeTiffDescription {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly dtype: DType;
  readonly sizeZ: number;
  readonly sizeC: number;
  readonly sizeT: number;
  readonly order: DimensionOrder;
  readonly channels: readonly OmeTiffChannel[];
  readonly pixelSizeUm: { readonly x: number; readonly y: number } | null;
  readonly zStepUm: number | null;
  readonly timeStepS: number | null;
  /** Name of the file, without folders, and its identity. */
  readonly fileName: string;
  readonly uuid: string;
}

const pixelTypes: Readonly<Record<DType, string>> = {
  uint8: "uint8",
  int8: "int8",
  uint16: "uint16",
  int16: "int16",
  uint32: "uint32",
  int32: "int32",
  float32: "float",
  float64: "double",
};

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/**
 * Text for an attribute. Line ends are spaces: Bio-Formats reads no numeric references, and XML has no other way to keep them there. What XML
 * 1.0 has no way to hold at all (control characters, halves of characters) becomes U+FFFD.
 */
function escaped(text: string): string {
  return text
    .replace(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, "\uFFFD")
    .replace(/\r\n|[\t\n\r]/g, " ")
    .replace(/[&<>"]/g, (c) => entities[c] as string);
}

const attributes = (values: Readonly<Record<string, string | number | null>>) =>
  Object.entries(values)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => ` ${name}="${escaped(String(value))}"`)
    .join("");

/** Red, green, blue and an alpha of 255 as the signed 32-bit integer that the schema wants. */
const colorNumber = (color: string) => (Number.parseInt(color, 16) << 8) | 255 | 0;

/** Planes in the order of their pages. */
export function* planesOf({
  order,
  sizeZ,
  sizeC,
  sizeT,
}: Pick<OmeTiffDescription, "order" | "sizeZ" | "sizeC" | "sizeT">): Generator<{
  z: number;
  c: number;
  t: number;
}> {
  const sizes = { z: sizeZ, c: sizeC, t: sizeT };
  const [fast, middle, slow] = [...order.slice(2).toLowerCase()] as ("z" | "c" | "t")[] as [
    "z" | "c" | "t",
    "z" | "c" | "t",
    "z" | "c" | "t",
  ];
  const at = { z: 0, c: 0, t: 0 };
  for (at[slow] = 0; at[slow] < sizes[slow]; at[slow]++)
    for (at[middle] = 0; at[middle] < sizes[middle]; at[middle]++)
      for (at[fast] = 0; at[fast] < sizes[fast]; at[fast]++) yield { ...at };
}

/** The document, for the first page's ImageDescription. */
export function omeTiffXml(image: OmeTiffDescription): string {
  const namespace = "http://www.openmicroscopy.org/Schemas/OME/2016-06";
  const { pixelSizeUm: size, zStepUm, timeStepS } = image;
  const pixels = attributes({
    ID: "Pixels:0",
    DimensionOrder: image.order,
    Type: pixelTypes[image.dtype],
    BigEndian: "false",
    SizeX: image.width,
    SizeY: image.height,
    SizeZ: image.sizeZ,
    SizeC: image.sizeC,
    SizeT: image.sizeT,
    PhysicalSizeX: size?.x ?? null,
    PhysicalSizeXUnit: size ? "µm" : null,
    PhysicalSizeY: size?.y ?? null,
    PhysicalSizeYUnit: size ? "µm" : null,
    PhysicalSizeZ: zStepUm,
    PhysicalSizeZUnit: zStepUm === null ? null : "µm",
    TimeIncrement: timeStepS,
    TimeIncrementUnit: timeStepS === null ? null : "s",
  });
  const channels = Array.from({ length: image.sizeC }, (_, c) => {
    const channel = image.channels[c];
    return `<Channel${attributes({
      ID: `Channel:0:${c}`,
      Name: channel?.name ?? null,
      Color: channel?.color === undefined ? null : colorNumber(channel.color),
      SamplesPerPixel: 1,
    })}/>`;
  });
  const uuid = `<UUID${attributes({ FileName: image.fileName })}>${image.uuid}</UUID>`;
  let page = 0;
  const data: string[] = [];
  for (const { z, c, t } of planesOf(image)) {
    data.push(
      `<TiffData IFD="${page++}" FirstZ="${z}" FirstC="${c}" FirstT="${t}" PlaneCount="1">${uuid}</TiffData>`,
    );
  }
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    "<!-- Warning: this comment is an OME-XML metadata block, which contains crucial dimensional parameters and other important metadata. Please edit cautiously (if at all), and back up the original data before doing so. -->",
    `<OME xmlns="${namespace}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="${namespace} ${namespace}/ome.xsd"${attributes({ UUID: image.uuid, Creator: `tilecast ${version}` })}>`,
    `<Image${attributes({ ID: "Image:0", Name: image.name })}><Pixels${pixels}>${channels.join("")}${data.join("")}</Pixels></Image></OME>`,
  ].join("");
}
