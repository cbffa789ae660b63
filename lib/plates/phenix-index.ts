// SPDX-License-Identifier: MIT
// Reads the index that Harmony (PerkinElmer, Revvity) writes beside the images of an Operetta or Opera Phenix.
//
// `Index.idx.xml` (Harmony 4 and later, namespace http://www.perkinelmer.com/PEHH/HarmonyV3..V6) or `Index.xml` (newer
// exports, 43B2A954-E3C3-47E1-B392-6635266B0DD3/HarmonyV7): EvaluationInputData with Plates/Plate, Wells/Well, Maps/Map/Entry
// and Images/Image. There is no published schema; elements and units are those that Bio-Formats' OperettaReader and OpenHCS's
// opera_phenix_xml_parser rely on. Lengths are in metres.

import { childText, indexOf, numberOf, readXml, type XmlElement } from "./xml.js";

export interface PhenixImage {
  /** File name beside the index; `null` where the microscope took no image. */
  readonly url: string | null;
  /** "Ok", or what went wrong. */
  readonly state: string | null;
  readonly row: number;
  readonly column: number;
  readonly field: number;
  readonly plane: number;
  /** As written: from 0 in most versions. */
  readonly timepoint: number;
  readonly channel: number;
  readonly xUm: number | null;
  readonly yUm: number | null;
  readonly zUm: number | null;
}

export interface PhenixIndex {
  /** "HarmonyV5", from the namespace. */
  readonly version: string | null;
  readonly plateName: string | null;
  readonly rows: number | null;
  readonly columns: number | null;
  readonly channelNames: ReadonlyMap<number, string>;
  readonly pixelSizeUm: { readonly x: number; readonly y: number } | null;
  readonly images: readonly PhenixImage[];
  /** Entries without a well, field or channel. */
  readonly incomplete: number;
}

/** Throws ERR_METADATA for a document that is no Harmony index or is damaged. */
export function parsePhenixIndex(text: string, source: string): PhenixIndex {
  let plateName: string | null = null;
  let rows: number | null = null;
  let columns: number | null = null;
  let pixelSizeUm: PhenixIndex["pixelSizeUm"] = null;
  let incomplete = 0;
  const channelNames = new Map<number, string>();
  const images: PhenixImage[] = [];

  const optics = (element: XmlElement, channel: number | undefined) => {
    const name = childText(element, "ChannelName");
    if (channel !== undefined && name !== undefined && !channelNames.has(channel))
      channelNames.set(channel, name);
    if (pixelSizeUm !== null) return;
    const x = numberOf(childText(element, "ImageResolutionX"));
    const y = numberOf(childText(element, "ImageResolutionY")) ?? x;
    // Metres have float32 noise in their last digits.
    if (x !== undefined && y !== undefined && x > 0 && y > 0)
      pixelSizeUm = { x: +(x * 1e6).toPrecision(7), y: +(y * 1e6).toPrecision(7) };
  };

  const root = readXml(text, source, {
    Plate(plate) {
      plateName ??= childText(plate, "Name") ?? childText(plate, "PlateID") ?? null;
      rows ??= indexOf(childText(plate, "PlateRows")) || null;
      columns ??= indexOf(childText(plate, "PlateColumns")) || null;
    },
    // Newer versions say once a channel what older ones repeat for each image.
    Entry(entry) {
      optics(entry, indexOf(entry.attributes.get("ChannelID")));
    },
    Image(image) {
      // Wells list their images as empty elements with an id.
      if (image.children.length === 0) return;
      const number = (name: string) => indexOf(childText(image, name));
      const um = (name: string) => {
        const metres = numberOf(childText(image, name));
        return metres === undefined ? null : metres * 1e6;
      };
      const [row, column, field, channel] = [
        number("Row"),
        number("Col"),
        number("FieldID"),
        number("ChannelID"),
      ];
      optics(image, channel);
      if (row === undefined || column === undefined || field === undefined || channel === undefined) {
        incomplete++;
        return;
      }
      images.push({
        url: childText(image, "URL") ?? null,
        state: childText(image, "State") ?? null,
        row,
        column,
        field,
        plane: number("PlaneID") ?? 1,
        timepoint: number("TimepointID") ?? 0,
        channel,
        xUm: um("PositionX"),
        yUm: um("PositionY"),
        // The set height is regular; the stage's own (AbsPositionZ) follows the plate's bottom.
        zUm: um("PositionZ") ?? um("AbsPositionZ"),
      });
    },
  });
  return {
    version: /Harmony\w*/.exec(root.namespace)?.[0] ?? null,
    plateName,
    rows,
    columns,
    channelNames,
    pixelSizeUm,
    images,
    incomplete,
  };
}
