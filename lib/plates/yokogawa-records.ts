// SPDX-License-Identifier: MIT
// Reads the XML files that Yokogawa's CV7000, CV8000 and CQ1 write beside their images.
//
// `MeasurementData.mlf`: one MeasurementRecord a plane (bts:Type "IMG", the file name as text) or failure ("ERR").
// `MeasurementDetail.mrf`: MeasurementChannel with pixel sizes in micrometres. `*.mes`: the settings, with a Channel's Target
// (fluorophore or wavelength) and Acquisition (filter). `*.wpi`: the plate. Namespace
// http://www.yokogawa.co.jp/BTS/BTSSchema/1.0, usual prefix bts. Facts from files of a CV8000 (fmi-faim/faim-ipa, resources)
// and from Bio-Formats' CV7000Reader; ERR records may lack any attribute but well and time.

import { indexOf, numberOf, readXml, type XmlElement } from "./xml.js";

export interface YokogawaRecord {
  readonly type: string;
  /** File name beside the list for an image, else the microscope's message. */
  readonly text: string;
  readonly row: number | undefined;
  readonly column: number | undefined;
  readonly timepoint: number | undefined;
  readonly field: number | undefined;
  readonly z: number | undefined;
  readonly timeline: number | undefined;
  readonly action: number | undefined;
  /** "2D", "3D", "MIP", ... */
  readonly actionName: string;
  readonly channel: number | undefined;
  readonly xUm: number | undefined;
  readonly yUm: number | undefined;
  readonly zUm: number | undefined;
}

/** Throws ERR_METADATA for a damaged document. */
export function parseMlf(text: string, source: string): YokogawaRecord[] {
  const records: YokogawaRecord[] = [];
  readXml(text, source, {
    MeasurementRecord({ attributes, text }) {
      const number = (name: string) => indexOf(attributes.get(name));
      records.push({
        type: attributes.get("Type") ?? "",
        text: text.trim() || (attributes.get("Value") ?? ""),
        row: number("Row"),
        column: number("Column"),
        timepoint: number("TimePoint"),
        field: number("FieldIndex"),
        z: number("ZIndex"),
        timeline: number("TimelineIndex"),
        action: number("ActionIndex"),
        actionName: attributes.get("Action") ?? "",
        channel: number("Ch"),
        xUm: numberOf(attributes.get("X")),
        yUm: numberOf(attributes.get("Y")),
        zUm: numberOf(attributes.get("Z")),
      });
    },
  });
  return records;
}

export interface YokogawaDetail {
  readonly title: string | null;
  readonly rows: number | null;
  readonly columns: number | null;
  readonly fields: number | null;
  readonly timepoints: number | null;
  readonly settings: string | null;
  readonly pixelSizeUm: { readonly x: number; readonly y: number } | null;
  readonly channels: readonly number[];
}

/** Throws ERR_METADATA for a damaged document. */
export function parseMrf(text: string, source: string): YokogawaDetail {
  const channels: number[] = [];
  let pixelSizeUm: YokogawaDetail["pixelSizeUm"] = null;
  const { attributes } = readXml(text, source, {
    MeasurementChannel({ attributes }) {
      const channel = indexOf(attributes.get("Ch"));
      if (channel !== undefined) channels.push(channel);
      const x = numberOf(attributes.get("HorizontalPixelDimension"));
      const y = numberOf(attributes.get("VerticalPixelDimension")) ?? x;
      if (x !== undefined && y !== undefined && x > 0 && y > 0) pixelSizeUm ??= { x, y };
    },
  });
  return {
    title: attributes.get("Title") || null,
    rows: indexOf(attributes.get("RowCount")) || null,
    columns: indexOf(attributes.get("ColumnCount")) || null,
    fields: indexOf(attributes.get("FieldCount")) || null,
    timepoints: indexOf(attributes.get("TimePointCount")) || null,
    settings: attributes.get("MeasurementSettingFileName") || null,
    pixelSizeUm,
    channels,
  };
}

/** Names of channels: "405 BP445/45", or the fluorophore where one is given. Throws ERR_METADATA for a damaged document. */
export function parseMes(text: string, source: string): Map<number, string> {
  const names = new Map<number, string>();
  readXml(text, source, {
    Channel({ attributes }: XmlElement) {
      const channel = indexOf(attributes.get("Ch"));
      const parts = [attributes.get("Target"), attributes.get("Acquisition")].filter(Boolean);
      const name = attributes.get("Fluorophore")?.trim() || parts.join(" ").trim();
      if (channel !== undefined && name !== "" && !names.has(channel)) names.set(channel, name);
    },
  });
  return names;
}

/** Throws ERR_METADATA for a damaged document. */
export function parseWpi(
  text: string,
  source: string,
): { name: string | null; rows: number | null; columns: number | null } {
  // The plate is the root element in most versions, and inside one in others.
  let found: ReadonlyMap<string, string> = new Map();
  readXml(text, source, {
    WellPlate({ attributes }) {
      found = attributes;
    },
  });
  return {
    name: found.get("Name") || null,
    rows: indexOf(found.get("Rows")) || null,
    columns: indexOf(found.get("Columns")) || null,
  };
}
