// SPDX-License-Identifier: MIT
// Reads the MetaSeries XML that MetaXpress and MetaMorph put into a TIFF's ImageDescription.

import { isTilecastError } from "../errors.js";
import { readXml, type XmlElement } from "./xml.js";

export interface MetaSeries {
  readonly plateName: string | null;
  /** Name of the wavelength, made unique by the microscope ("FITC_05-2"). */
  readonly imageName: string | null;
  /** Illumination setting, the same for every channel that uses it ("FITC_05"). */
  readonly illumination: string | null;
  readonly pixelSizeUm: { readonly x: number; readonly y: number } | null;
  readonly zPositionUm: number | null;
  /** Distance of slices that an acquired projection was made from. */
  readonly projectionStepUm: number | null;
}

/** Micrometres per calibration unit, by the names MetaMorph gives them. */
const units: Readonly<Record<string, number>> = {
  um: 1,
  µm: 1,
  μm: 1,
  microns: 1,
  micron: 1,
  nm: 1e-3,
  mm: 1e3,
};

/** Reads one description; `null` when it is not MetaSeries XML. Of a damaged one, what stands before the damage is read. */
export function parseMetaSeries(description: string): MetaSeries | null {
  const start = description.indexOf("<MetaData>");
  if (start < 0) return null;
  const props = new Map<string, string>();
  const keep = ({ attributes }: XmlElement) => {
    const id = attributes.get("id");
    const value = attributes.get("value");
    // The first of a name is the plane's own.
    if (id !== undefined && value !== undefined && !props.has(id)) props.set(id, value);
  };
  try {
    readXml(description.slice(start), "ImageDescription", { prop: keep, "custom-prop": keep });
  } catch (error) {
    if (!isTilecastError(error, "ERR_METADATA")) throw error;
  }
  const number = (id: string): number | null => {
    const text = props.get(id);
    const value = text === undefined || text.trim() === "" ? Number.NaN : Number(text);
    return Number.isFinite(value) ? value : null;
  };
  const unit = units[(props.get("spatial-calibration-units") ?? "").trim().toLowerCase()];
  const x = number("spatial-calibration-x");
  const y = number("spatial-calibration-y");
  const calibrated =
    props.get("spatial-calibration-state") !== "off" &&
    unit !== undefined &&
    x !== null &&
    y !== null &&
    x > 0 &&
    y > 0;
  const step = number("Z Projection Step Size");
  return {
    plateName: /Plate Name: *([^\r\n]*\S)/.exec(props.get("Description") ?? "")?.[1] ?? null,
    imageName: props.get("image-name")?.trim() || null,
    illumination: props.get("_IllumSetting_")?.trim() || null,
    pixelSizeUm: calibrated ? { x: x * unit, y: y * unit } : null,
    zPositionUm: number("z-position"),
    projectionStepUm: step !== null && step > 0 ? step : null,
  };
}
