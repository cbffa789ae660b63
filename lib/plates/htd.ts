// SPDX-License-Identifier: MIT
// Reads MetaXpress .HTD files: which wells, sites, wavelengths, slices and timepoints an acquisition was set to take.
//
// A line is `"Key", value, value...`; strings are quoted, booleans are TRUE and FALSE. There is no published
// specification; the keys are those of files written by MetaXpress 5 and 6.

import { formatWell, maxColumns, maxRows } from "./well.js";

export interface Htd {
  readonly description: string | null;
  readonly rows: number | null;
  readonly columns: number | null;
  /** Selected wells, row by row; empty when the file has no selection. */
  readonly wells: readonly string[];
  /** Number of selected sites a well; MetaXpress numbers them from 1 in selection order. */
  readonly sites: number | null;
  readonly wavelengths: number | null;
  /** Name of each wavelength from 1. */
  readonly waveNames: ReadonlyMap<number, string>;
  readonly zSteps: number | null;
  readonly timepoints: number | null;
}

/** The fields up to the first that is malformed. No two parts of the expression can match the same blanks: damaged lines stay linear. */
function splitLine(line: string): string[] {
  const fields: string[] = [];
  for (const match of line.matchAll(/\s*(?:"((?:[^"]|"")*)"\s*|([^,"\s][^,"]*)?)(?:,|$)/gy)) {
    if (match[0] === "") break;
    fields.push(match[1]?.replaceAll('""', '"') ?? (match[2] ?? "").trim());
  }
  return fields;
}

/** No acquisition has more of anything: a larger number is damaged, and nothing must count up to it. */
const most = 100_000;

const isTrue = (field: string) => field.toUpperCase() === "TRUE" || field === "1";

/** Reads what it knows and skips the rest; a file without any known key yields nulls. */
export function parseHtd(text: string): Htd {
  const fields = new Map<string, string[]>();
  for (const line of text.split(/\r\n|\r|\n/)) {
    const [key, ...values] = splitLine(line);
    if (key !== undefined && values.length > 0) fields.set(key.toLowerCase(), values);
  }
  const count = (key: string): number | null => {
    const value = Number(fields.get(key)?.[0]);
    return Number.isInteger(value) && value > 0 && value <= most ? value : null;
  };
  const rows = count("ywells");
  const columns = count("xwells");
  const wells: string[] = [];
  for (let row = 0; row < Math.min(rows ?? 0, maxRows); row++) {
    const selection = fields.get(`wellsselection${row + 1}`) ?? [];
    for (let column = 0; column < Math.min(columns ?? 0, selection.length, maxColumns); column++) {
      if (isTrue(selection[column] as string)) wells.push(formatWell({ row, column }));
    }
  }
  const siteRows = count("ysites") ?? 1;
  const siteColumns = count("xsites") ?? 1;
  let sites: number | null = null;
  // `"Sites", FALSE` switches multi-site acquisition off whatever the grid says.
  if (fields.has("sites") && !isTrue(fields.get("sites")?.[0] ?? "")) sites = 1;
  else if (fields.has("siteselection1")) {
    sites = 0;
    for (let row = 1; row <= siteRows; row++) {
      sites += (fields.get(`siteselection${row}`) ?? []).slice(0, siteColumns).filter(isTrue).length;
    }
    sites ||= null;
  } else if (fields.has("xsites")) sites = siteRows * siteColumns;
  const wavelengths = count("nwavelengths");
  const waveNames = new Map<number, string>();
  for (let wave = 1; wave <= Math.min(wavelengths ?? 0, 64); wave++) {
    const name = fields.get(`wavename${wave}`)?.[0];
    if (name) waveNames.set(wave, name);
  }
  return {
    description: fields.get("description")?.[0] || null,
    rows,
    columns,
    wells,
    sites,
    wavelengths,
    waveNames,
    zSteps: count("zsteps"),
    timepoints: count("timepoints"),
  };
}
