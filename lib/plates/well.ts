// SPDX-License-Identifier: MIT
// Well names: reading, writing, order, and the plate format that holds them.
//
// Rows are letters as in ANSI/SLAS 4: A..Z, then AA..AF (row 32 of a 1536-well plate).

/** 0-based place of a well. */
export interface WellPosition {
  readonly row: number;
  readonly column: number;
}

export interface PlateFormatSize {
  readonly rows: number;
  readonly columns: number;
  readonly wells: number;
}

/** The largest plate format in use: 1536 wells. */
export const maxRows = 32;
export const maxColumns = 48;

/** Formats that wells alone can tell, smallest first. 12 and 48 wells are rare and only believed when metadata says so. */
const formats: readonly PlateFormatSize[] = [
  { rows: 2, columns: 3, wells: 6 },
  { rows: 4, columns: 6, wells: 24 },
  { rows: 8, columns: 12, wells: 96 },
  { rows: 16, columns: 24, wells: 384 },
  { rows: 32, columns: 48, wells: 1536 },
];

/** Letters of a 0-based row: 0 is `A`, 25 is `Z`, 26 is `AA`. */
export function rowLetters(row: number): string {
  return row < 26
    ? String.fromCharCode(65 + row)
    : String.fromCharCode(64 + Math.floor(row / 26)) + String.fromCharCode(65 + (row % 26));
}

/** 0-based row of its letters in either case; `undefined` when no plate has it. */
export function parseRow(letters: string): number | undefined {
  if (!/^[A-Za-z]{1,2}$/.test(letters)) return undefined;
  let row = 0;
  for (const letter of letters.toUpperCase()) row = row * 26 + (letter.charCodeAt(0) - 64);
  return row <= maxRows ? row - 1 : undefined;
}

/** Reads `A1`, `a01`, `AF48`; `undefined` for anything that is not a well of a plate of up to 1536 wells. */
export function parseWell(name: string): WellPosition | undefined {
  const match = /^([A-Za-z]{1,2})(\d{1,3})$/.exec(name);
  if (match === null) return undefined;
  const row = parseRow(match[1] as string);
  const column = Number(match[2]) - 1;
  return row === undefined || column < 0 || column >= maxColumns ? undefined : { row, column };
}

/** The one spelling that the catalogue uses: row letters and at least two digits. */
export function formatWell({ row, column }: WellPosition): string {
  return rowLetters(row) + String(column + 1).padStart(2, "0");
}

/** Normalises a well name (`a1` becomes `A01`); `undefined` when it is none. */
export function normalizeWell(name: string): string | undefined {
  const position = parseWell(name);
  return position && formatWell(position);
}

/** Order by row, then column. Names that are no wells come last, by code unit. */
export function compareWells(a: string, b: string): number {
  const p = parseWell(a);
  const q = parseWell(b);
  if (p === undefined || q === undefined) {
    if (p !== undefined) return -1;
    if (q !== undefined) return 1;
    return a < b ? -1 : a > b ? 1 : 0;
  }
  return p.row - q.row || p.column - q.column;
}

/** The smallest usual plate format that holds every well. */
export function plateFormatOf(wells: Iterable<string>): PlateFormatSize {
  let rows = 0;
  let columns = 0;
  for (const well of wells) {
    const position = parseWell(well);
    if (position === undefined) continue;
    rows = Math.max(rows, position.row + 1);
    columns = Math.max(columns, position.column + 1);
  }
  return formats.find((f) => f.rows >= rows && f.columns >= columns) ?? (formats.at(-1) as PlateFormatSize);
}
