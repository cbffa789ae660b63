// SPDX-License-Identifier: MIT
// Names of wells by row and column, and what a click, a drag or a key selects; no page is needed for it.

/** Letters of a row, 0 is A, 26 is AA. */
export function rowName(row: number): string {
  return row < 26
    ? String.fromCharCode(65 + row)
    : String.fromCharCode(64 + Math.floor(row / 26)) + String.fromCharCode(65 + (row % 26));
}

/** A01, P24, AF48. */
export function wellName(row: number, column: number): string {
  return `${rowName(row)}${String(column + 1).padStart(2, "0")}`;
}

export interface Place {
  readonly row: number;
  readonly column: number;
}

export function placeOfWell(name: string): Place | undefined {
  const m = /^([A-Z]{1,2})(\d{1,2})$/.exec(name);
  if (m === null) return undefined;
  const letters = m[1] as string;
  let row = 0;
  for (const letter of letters) row = row * 26 + letter.charCodeAt(0) - 64;
  return { row: row - 1, column: Number(m[2]) - 1 };
}

/** Names in the rectangle that two places span, rows first. */
export function rectangle(a: Place, b: Place): string[] {
  const names: string[] = [];
  for (let row = Math.min(a.row, b.row); row <= Math.max(a.row, b.row); row++)
    for (let column = Math.min(a.column, b.column); column <= Math.max(a.column, b.column); column++)
      names.push(wellName(row, column));
  return names;
}

/** `replace` what is selected, `add` to it, or `toggle`: what was wholly selected is taken away. */
export type Mode = "replace" | "add" | "toggle";

export function select(
  before: ReadonlySet<string>,
  names: readonly string[],
  mode: Mode,
): ReadonlySet<string> {
  if (mode === "replace") return new Set(names);
  if (mode === "toggle" && names.every((n) => before.has(n))) {
    const rest = new Set(before);
    for (const n of names) rest.delete(n);
    return rest;
  }
  return new Set([...before, ...names]);
}
