// SPDX-License-Identifier: MIT
// Reads the MetaSeries XML that MetaXpress and MetaMorph put into a TIFF's ImageDescription.

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

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function decode(value: string): string {
  return value.replace(/&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(\w+));/g, (whole, decimal, hex, name) => {
    if (name !== undefined) return entities[name as string] ?? whole;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

/**
 * Reads one description; `null` when it is not MetaSeries XML. Only attributes of flat `prop` elements matter, so they are
 * matched as text: a whole XML parser would add nothing but ways to fail on the malformed files that exist.
 */
export function parseMetaSeries(description: string): MetaSeries | null {
  if (!/<MetaData>/.test(description)) return null;
  const props = new Map<string, string>();
  for (const match of description.matchAll(
    /<(?:custom-)?prop\s+id="([^"]*)"(?:\s+type="[^"]*")?\s+value="([^"]*)"/g,
  )) {
    // The first of a name is the plane's own.
    if (!props.has(match[1] as string)) props.set(match[1] as string, decode(match[2] as string));
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
