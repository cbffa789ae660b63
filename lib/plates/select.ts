// SPDX-License-Identifier: MIT
// Chooses wells of a plate by name, row, column or block, as `--wells` does.

import { TilecastError } from "../errors.js";
import type { Plate } from "./plate.js";
import { parseRow, parseWell } from "./well.js";

type Test = (row: number, column: number) => boolean;

const syntax = "a well (A01), a row (B*), a column (*03), a range of rows (A*-C*), or a block (C03-D06)";

function parseTerm(term: string): Test | undefined {
  const range = /^([^-]+)-([^-]+)$/.exec(term);
  if (range !== null) {
    const [from, to] = [range[1] as string, range[2] as string];
    const a = parseWell(from);
    const b = parseWell(to);
    if (a && b) {
      const [top, bottom] = [Math.min(a.row, b.row), Math.max(a.row, b.row)];
      const [left, right] = [Math.min(a.column, b.column), Math.max(a.column, b.column)];
      return (row, column) => row >= top && row <= bottom && column >= left && column <= right;
    }
    const first = from.endsWith("*") ? parseRow(from.slice(0, -1)) : undefined;
    const last = to.endsWith("*") ? parseRow(to.slice(0, -1)) : undefined;
    if (first === undefined || last === undefined) return undefined;
    return (row) => row >= Math.min(first, last) && row <= Math.max(first, last);
  }
  if (term === "*") return () => true;
  const well = parseWell(term);
  if (well) return (row, column) => row === well.row && column === well.column;
  const row = term.endsWith("*") ? parseRow(term.slice(0, -1)) : undefined;
  if (row !== undefined) return (r) => r === row;
  const column = /^\*(\d{1,2})$/.exec(term);
  if (column !== null) return (_, c) => c === Number(column[1]) - 1;
  return undefined;
}

/** `B03` of the plate's first well and so on, shortened for messages. */
function few(wells: readonly string[]): string {
  return wells.length <= 6
    ? wells.join(", ")
    : `${wells.slice(0, 3).join(", ")} ... ${wells.at(-1)} (${wells.length} wells)`;
}

/**
 * Wells of `plate` that any of `selection` names, in the plate's order. A term is a well (`A01`, `a1`), a row (`B*`),
 * a column (`*03`), a range of rows (`A*-C*`) or a block between two corners (`C03-D06`); commas separate terms too.
 * An empty selection means every well.
 *
 * Throws ERR_INVALID_ARGUMENT for a term that is none of these, and for one that no well of the plate fits: a typo
 * must not shrink a run silently.
 */
export function selectWells(plate: Pick<Plate, "wells">, selection: readonly string[]): string[] {
  const terms = selection
    .flatMap((s) => s.split(","))
    .map((s) => s.trim())
    .filter((s) => s !== "");
  if (terms.length === 0) return [...plate.wells];
  const tests = terms.map((term) => {
    const test = parseTerm(term);
    if (test === undefined) {
      throw new TilecastError("ERR_INVALID_ARGUMENT", `wells: expected ${syntax} but received "${term}"`, {
        argument: "wells",
      });
    }
    return { term, test, hits: 0 };
  });
  const chosen = plate.wells.filter((well) => {
    const position = parseWell(well);
    if (position === undefined) return false;
    let any = false;
    for (const t of tests) {
      if (!t.test(position.row, position.column)) continue;
      t.hits++;
      any = true;
    }
    return any;
  });
  const idle = tests.find((t) => t.hits === 0);
  if (idle !== undefined) {
    throw new TilecastError(
      "ERR_INVALID_ARGUMENT",
      `wells: no well of the plate fits "${idle.term}"; it has ${few(plate.wells)}`,
      { argument: "wells" },
    );
  }
  return chosen;
}

/** Runs of wells in a row as ranges (`E07-E09 F01`), for messages. */
export function summarizeWells(wells: readonly string[]): string {
  const parts: string[] = [];
  for (let i = 0; i < wells.length; ) {
    const first = parseWell(wells[i] as string);
    let j = i + 1;
    for (; first && j < wells.length; j++) {
      const next = parseWell(wells[j] as string);
      if (next?.row !== first.row || next.column !== first.column + (j - i)) break;
    }
    const count = j - i;
    parts.push(
      count === 1
        ? (wells[i] as string)
        : count === 2
          ? `${wells[i]} ${wells[j - 1]}`
          : `${wells[i]}-${wells[j - 1]}`,
    );
    i = j;
  }
  return parts.join(" ");
}
