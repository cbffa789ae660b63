// SPDX-License-Identifier: MIT
// Reads what the catalogue needs of OME-XML: images with their sizes and where each plane is stored, and plates with wells.
//
// OME Data Model, schema 2010-06 to 2016-06: Image/Pixels, Channel, TiffData (defaults as in the OME-TIFF specification), and
// Plate/Well/WellSample. https://docs.openmicroscopy.org/ome-model/latest/ome-tiff/specification.html

import { TilecastError } from "../errors.js";
import type { DType } from "../image/dtype.js";
import { childOf, indexOf, numberOf, readXml, type XmlElement } from "./xml.js";

export interface OmePlace {
  readonly z: number;
  /** Index of the Channel element: its samples share a page. */
  readonly c: number;
  readonly t: number;
  readonly ifd: number;
  /** File and UUID that hold it; `null` for the file of the document. */
  readonly fileName: string | null;
  readonly uuid: string | null;
}

export interface OmeImage {
  readonly id: string;
  readonly name: string | null;
  readonly width: number;
  readonly height: number;
  /** `undefined` for complex numbers and bits. */
  readonly dtype: DType | undefined;
  readonly sizeZ: number;
  readonly sizeT: number;
  /** Channels of SizeC by pages: `samples` of them share one. */
  readonly channels: readonly { readonly name: string | null; readonly samples: number }[];
  /** Micrometres; `null` where unknown or in no unit of length. */
  readonly pixelSizeUm: { readonly x: number; readonly y: number } | null;
  readonly zStepUm: number | null;
  readonly places: readonly OmePlace[];
}

export interface OmePlate {
  readonly name: string | null;
  readonly rows: number | null;
  readonly columns: number | null;
  /** Fields in the order of the document. Row and column from 0. */
  readonly samples: readonly { readonly row: number; readonly column: number; readonly image: string }[];
}

/** What is known of the file that a document lies in. */
export interface OmeFile {
  /** Samples a pixel. */
  readonly samples: number;
  readonly pages: number;
}

export interface OmeDocument {
  readonly uuid: string | null;
  /** The file that has the metadata, when this one has none. */
  readonly metadataFile: string | null;
  readonly images: readonly OmeImage[];
  readonly plates: readonly OmePlate[];
}

/** Far above any plate; sizes in a damaged document multiply to anything. */
export const maxPlanes = 5_000_000;
/** Planes of one image without a page that are listed as missing; more say that the sizes are wrong. */
const maxUnplaced = 100_000;

const dtypes: Readonly<Record<string, DType>> = {
  int8: "int8",
  int16: "int16",
  int32: "int32",
  uint8: "uint8",
  uint16: "uint16",
  uint32: "uint32",
  float: "float32",
  double: "float64",
};

/** Micrometres per unit of UnitsLength; pixels and reference frames are no lengths. */
const unitsUm: Readonly<Record<string, number>> = {
  m: 1e6,
  cm: 1e4,
  mm: 1e3,
  µm: 1,
  μm: 1,
  nm: 1e-3,
  pm: 1e-6,
  Å: 1e-4,
  in: 25_400,
};

/** Whether a description is OME-XML, without reading it. */
export function isOmeXml(description: string): boolean {
  return /<(?:\w+:)?OME[\s>]/.test(description.slice(0, 4096));
}

function lengthUm(pixels: XmlElement, name: string): number | null {
  const value = numberOf(pixels.attributes.get(name));
  const factor = unitsUm[pixels.attributes.get(`${name}Unit`) ?? "µm"];
  return value !== undefined && value > 0 && factor !== undefined ? +(value * factor).toPrecision(9) : null;
}

function channelsOf(pixels: XmlElement, sizeC: number, samplesOfFile: number): OmeImage["channels"] {
  const named = pixels.children.filter(
    (child) => child.name === "Channel" || child.name === "LogicalChannel",
  );
  const said = named.some((channel) => channel.attributes.has("SamplesPerPixel"));
  // Without a word about samples the file's own count is right if it divides the channels.
  const usual = !said && samplesOfFile > 1 && sizeC % samplesOfFile === 0 ? samplesOfFile : 1;
  const channels: { name: string | null; samples: number }[] = [];
  for (let c = 0; c < sizeC; ) {
    const element = named[channels.length];
    const samples = Math.min(indexOf(element?.attributes.get("SamplesPerPixel")) || usual, sizeC - c);
    channels.push({
      name: element?.attributes.get("Name") || element?.attributes.get("Fluor") || null,
      samples,
    });
    c += samples;
  }
  return channels;
}

/** Where each plane is, from TiffData elements; those beyond the sizes are left out. */
function placesOf(
  pixels: XmlElement,
  sizes: { readonly Z: number; readonly C: number; readonly T: number },
  pagesOfFile: number,
): OmePlace[] {
  const order = pixels.attributes.get("DimensionOrder") ?? "XYCZT";
  const axes = [...order.slice(2)].filter((a): a is "Z" | "C" | "T" => a === "Z" || a === "C" || a === "T");
  const [a, b, last] = new Set(axes).size === 3 ? (axes as ["Z", "C", "T"]) : (["C", "Z", "T"] as const);
  const places = new Map<string, OmePlace>();
  for (const data of pixels.children) {
    if (data.name !== "TiffData") continue;
    const number = (name: string) => indexOf(data.attributes.get(name));
    const ifd = number("IFD");
    const position = { Z: number("FirstZ") ?? 0, C: number("FirstC") ?? 0, T: number("FirstT") ?? 0 };
    // One plane where a page is named, else everything from here on.
    const uuid = childOf(data, "UUID");
    const planes = Math.min(
      number("PlaneCount") ?? (ifd === undefined ? Number.POSITIVE_INFINITY : 1),
      // A count beyond the file's end is no page; one page beyond it is told as such.
      uuid === undefined ? Math.max(1, pagesOfFile - (ifd ?? 0)) : Number.POSITIVE_INFINITY,
    );
    for (let i = 0; i < planes; i++) {
      const { Z: z, C: c, T: t } = position;
      if (z >= sizes.Z || c >= sizes.C || t >= sizes.T) break;
      // The last word counts, as in Bio-Formats.
      places.set(`${t}/${c}/${z}`, {
        z,
        c,
        t,
        ifd: (ifd ?? 0) + i,
        fileName: uuid?.attributes.get("FileName") ?? null,
        uuid: uuid?.text.trim() || null,
      });
      if (++position[a] < sizes[a]) continue;
      position[a] = 0;
      if (++position[b] < sizes[b]) continue;
      position[b] = 0;
      position[last]++;
    }
  }
  return [...places.values()];
}

function imageOf(element: XmlElement, source: string, file: OmeFile): OmeImage | undefined {
  const pixels = childOf(element, "Pixels");
  if (pixels === undefined) return undefined;
  const id = element.attributes.get("ID") ?? "";
  const size = (name: string): number => {
    const text = pixels.attributes.get(name);
    const value = indexOf(text);
    if (value !== undefined && value > 0) return value;
    throw new TilecastError(
      "ERR_METADATA",
      `${source}: expected ${name} of ${id || "an image"} to be a positive integer but received ${text === undefined ? "none" : JSON.stringify(text.slice(0, 40))}`,
    );
  };
  const [width, height, sizeZ, sizeC, sizeT] = ["SizeX", "SizeY", "SizeZ", "SizeC", "SizeT"].map(size) as [
    number,
    number,
    number,
    number,
    number,
  ];
  if (sizeZ * sizeC * sizeT > maxPlanes) {
    throw new TilecastError(
      "ERR_METADATA",
      `${source}: ${id || "an image"} of ${sizeZ} slices, ${sizeC} channels and ${sizeT} timepoints is not believed; at most ${maxPlanes} planes are`,
    );
  }
  const channels = channelsOf(pixels, sizeC, file.samples);
  const places = placesOf(pixels, { Z: sizeZ, C: channels.length, T: sizeT }, file.pages);
  const unplaced = sizeZ * channels.length * sizeT - places.length;
  if (unplaced > maxUnplaced) {
    throw new TilecastError(
      "ERR_METADATA",
      `${source}: ${id || "an image"} of ${sizeZ} slices, ${sizeC} channels and ${sizeT} timepoints has no page for ${unplaced} planes, which is not believed`,
    );
  }
  const x = lengthUm(pixels, "PhysicalSizeX");
  const y = lengthUm(pixels, "PhysicalSizeY") ?? x;
  return {
    id,
    name: element.attributes.get("Name") || null,
    width,
    height,
    dtype: dtypes[pixels.attributes.get("Type") ?? pixels.attributes.get("PixelType") ?? ""],
    sizeZ,
    sizeT,
    channels,
    pixelSizeUm: x !== null && y !== null ? { x, y } : null,
    zStepUm: lengthUm(pixels, "PhysicalSizeZ"),
    places,
  };
}

function plateOf(element: XmlElement): OmePlate {
  const samples: { row: number; column: number; image: string; index: number }[] = [];
  for (const well of element.children) {
    if (well.name !== "Well") continue;
    const row = indexOf(well.attributes.get("Row"));
    const column = indexOf(well.attributes.get("Column"));
    if (row === undefined || column === undefined) continue;
    for (const sample of well.children) {
      const image = sample.name === "WellSample" && childOf(sample, "ImageRef")?.attributes.get("ID");
      if (image)
        samples.push({
          row,
          column,
          image,
          index: indexOf(sample.attributes.get("Index")) ?? samples.length,
        });
    }
  }
  return {
    name: element.attributes.get("Name") || null,
    rows: indexOf(element.attributes.get("Rows")) || null,
    columns: indexOf(element.attributes.get("Columns")) || null,
    samples: samples.sort((a, b) => a.index - b.index),
  };
}

/** Reads a document, which lies in `file` or beside its images (no pages then). Throws ERR_METADATA. */
export function parseOmeXml(text: string, source: string, file: OmeFile): OmeDocument {
  let metadataFile: string | null = null;
  const images: OmeImage[] = [];
  const plates: OmePlate[] = [];
  const end = text.indexOf("\0");
  const root = readXml(end < 0 ? text : text.slice(0, end), source, {
    BinaryOnly({ attributes }) {
      metadataFile = attributes.get("MetadataFile") ?? "";
    },
    Image(element) {
      const image = imageOf(element, source, file);
      if (image !== undefined) images.push(image);
    },
    Plate(element) {
      plates.push(plateOf(element));
    },
  });
  return { uuid: root.attributes.get("UUID") ?? null, metadataFile, images, plates };
}
