// SPDX-License-Identifier: MIT
// Public face of the plate catalogue.

export { type FormatOption, formatOptions } from "./formats.js";
export type { HeaderScanner } from "./headers.js";
export { type OpenPlateOptions, openPlate } from "./open-plate.js";
export { FilenamePattern, type PatternMatch, suggestPattern } from "./pattern.js";
export type {
  ChannelInfo,
  Component,
  Components,
  MissingPlane,
  Notice,
  PlaneRef,
  Plate,
  SitePosition,
} from "./plate.js";
export { selectWells, summarizeWells } from "./select.js";
export {
  compareWells,
  formatWell,
  normalizeWell,
  type PlateFormatSize,
  parseWell,
  plateFormatOf,
  type WellPosition,
} from "./well.js";
