// SPDX-License-Identifier: MIT
// The measurements of a source in columns: pages of rows, one object, means a well, histograms.

import { readFile, stat } from "node:fs/promises";
import { TilecastError } from "../errors.js";

type Column = Float64Array | readonly string[];

export type Statistic = "mean" | "median" | "sum" | "count" | "min" | "max";
export const statistics: readonly Statistic[] = ["mean", "median", "sum", "count", "min", "max"];

function bad(argument: string, expected: string, got: unknown): TilecastError {
  return new TilecastError("ERR_INVALID_ARGUMENT", `${argument}: expected ${expected}, and got "${got}"`, {
    argument,
  });
}

/** Fields of one CSV line (RFC 4180). */
function fields(line: string): string[] {
  if (!line.includes('"')) return line.split(",");
  const out: string[] = [];
  for (const m of line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)) {
    out.push(m[1] === undefined ? (m[2] as string) : m[1].replaceAll('""', '"'));
  }
  return out;
}

/** An immutable table. A column whose every value is a number, or empty, is numeric; an empty number is NaN. */
export class Table {
  private constructor(
    readonly names: readonly string[],
    readonly rows: number,
    readonly columns: ReadonlyMap<string, Column>,
  ) {}

  static parse(csv: string): Table {
    const lines = csv.split("\n");
    while (lines.length > 0 && lines.at(-1)?.trim() === "") lines.pop();
    const names = fields((lines.shift() ?? "").replace(/\r$/, ""));
    const raw = names.map(() => [] as string[]);
    for (const line of lines) {
      const values = fields(line.replace(/\r$/, ""));
      for (let i = 0; i < raw.length; i++) (raw[i] as string[]).push(values[i] ?? "");
    }
    const columns = new Map<string, Column>();
    for (const [i, name] of names.entries()) {
      const texts = raw[i] as string[];
      const numeric = texts.every((t) => t === "" || !Number.isNaN(Number(t)));
      columns.set(
        name,
        numeric ? Float64Array.from(texts, (t) => (t === "" ? Number.NaN : Number(t))) : texts,
      );
    }
    return new Table(names, lines.length, columns);
  }

  #column(name: string): Column {
    const column = this.columns.get(name);
    if (column === undefined) throw bad("column", `one of ${this.names.join(", ")}`, name);
    return column;
  }

  #numbers(name: string): Float64Array {
    const column = this.#column(name);
    if (!(column instanceof Float64Array)) throw bad("column", "a column of numbers", name);
    return column;
  }

  /** Numbers of the rows for which `where` holds: `area>100`, `well=A01|A02`; also >=, <=, <, !=; joined by "," all must hold. */
  select(where: string | null): Int32Array {
    const tests = (where ?? "")
      .split(",")
      .filter((t) => t !== "")
      .map((text) => {
        const m = /^(.+?)(>=|<=|!=|=|>|<)(.*)$/.exec(text);
        if (m === null) throw bad("where", "COLUMN>VALUE, with one of = != > >= < <=", text);
        const [, name, sign, value] = m as unknown as [string, string, string, string];
        const column = this.#column(name);
        const parse = (v: string) => (column instanceof Float64Array ? Number(v) : v);
        if (sign === "=" && value.includes("|")) {
          const any = new Set<string | number>(value.split("|").map(parse));
          return (row: number) => any.has(column[row] as number | string);
        }
        const right = parse(value);
        return (row: number) => {
          const left = column[row] as number | string;
          if (sign === "=") return left === right;
          if (sign === "!=") return left !== right;
          if (sign === ">") return left > right;
          if (sign === ">=") return left >= right;
          return sign === "<" ? left < right : left <= right;
        };
      });
    const out = new Int32Array(this.rows);
    let n = 0;
    for (let row = 0; row < this.rows; row++) if (tests.every((t) => t(row))) out[n++] = row;
    return out.subarray(0, n);
  }

  /** Row numbers in the order of a column, `-area` downwards; NaN last. */
  sort(rows: Int32Array, by: string): Int32Array {
    const down = by.startsWith("-");
    const column = this.#column(down ? by.slice(1) : by);
    const order = Array.from(rows);
    const sign = down ? -1 : 1;
    if (column instanceof Float64Array) {
      order.sort((a, b) => {
        const x = column[a] as number;
        const y = column[b] as number;
        if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
        return sign * (x - y);
      });
    } else {
      const compare = new Intl.Collator("en", { numeric: true }).compare;
      order.sort((a, b) => sign * compare(column[a] as string, column[b] as string));
    }
    return Int32Array.from(order);
  }

  /** Values of these rows; a NaN is null, as JSON has none. */
  values(rows: Int32Array, names: readonly string[]): (string | number | null)[][] {
    const columns = names.map((name) => this.#column(name));
    return Array.from(rows, (row) =>
      columns.map((column) => {
        const value = column[row] as string | number;
        return typeof value === "number" && Number.isNaN(value) ? null : value;
      }),
    );
  }

  /** One number a group; a group whose every value is NaN has null. */
  group(by: string, name: string, statistic: Statistic, rows: Int32Array): Record<string, number | null> {
    const keys = this.#column(by);
    const values = statistic === "count" ? undefined : this.#numbers(name);
    const groups = new Map<string, number[]>();
    for (const row of rows) {
      const key = String(keys[row]);
      let list = groups.get(key);
      if (list === undefined) {
        list = [];
        groups.set(key, list);
      }
      const value = values === undefined ? 1 : (values[row] as number);
      if (!Number.isNaN(value)) list.push(value);
    }
    return Object.fromEntries([...groups].map(([key, list]) => [key, summarise(list, statistic)]));
  }

  /** Equal bins between the smallest and the largest value; the last one is closed. */
  histogram(name: string, bins: number, rows: Int32Array) {
    const values = this.#numbers(name);
    let min = Number.POSITIVE_INFINITY;
    let max = Number.NEGATIVE_INFINITY;
    for (const row of rows) {
      const v = values[row] as number;
      if (v < min) min = v;
      if (v > max) max = v;
    }
    const counts = new Array<number>(bins).fill(0);
    if (min > max) return { min: null, max: null, counts };
    const scale = max > min ? bins / (max - min) : 0;
    for (const row of rows) {
      const v = values[row] as number;
      if (Number.isNaN(v)) continue;
      const bin = Math.min(bins - 1, Math.floor((v - min) * scale));
      counts[bin] = (counts[bin] as number) + 1;
    }
    return { min, max, counts };
  }
}

function summarise(values: number[], statistic: Statistic): number | null {
  if (statistic === "count") return values.length;
  if (values.length === 0) return null;
  if (statistic === "min") return values.reduce((a, b) => Math.min(a, b));
  if (statistic === "max") return values.reduce((a, b) => Math.max(a, b));
  const sum = values.reduce((a, b) => a + b, 0);
  if (statistic === "sum") return sum;
  if (statistic === "mean") return sum / values.length;
  values.sort((a, b) => a - b);
  const half = values.length >> 1;
  const upper = values[half] as number;
  return values.length % 2 ? upper : ((values[half - 1] as number) + upper) / 2;
}

/** A table on disk, read again when the file has changed. */
export class TableFile {
  #known: { stamp: string; table: Promise<Table> } | undefined;

  constructor(readonly path: string) {}

  /** Undefined where there is no file (yet). */
  async table(): Promise<Table | undefined> {
    let stamp: string;
    try {
      const { mtimeMs, size, ino } = await stat(this.path);
      stamp = `${mtimeMs} ${size} ${ino}`;
    } catch {
      return undefined;
    }
    if (this.#known?.stamp !== stamp) {
      this.#known = { stamp, table: readFile(this.path, "utf8").then((text) => Table.parse(text)) };
    }
    return this.#known.table;
  }
}

/** The answer to one query of `/api/table/SOURCE` (docs/gateway.md). Throws ERR_INVALID_ARGUMENT. */
export function query(table: Table, q: URLSearchParams): unknown {
  const rows = table.select(q.get("where"));
  const integer = (name: string, fallback: number, min: number, max: number) => {
    const text = q.get(name);
    if (text === null) return fallback;
    const n = Number(text);
    if (!Number.isInteger(n) || n < min || n > max) throw bad(name, `an integer from ${min} to ${max}`, text);
    return n;
  };
  const group = q.get("group");
  if (group !== null) {
    const statistic = (q.get("stat") ?? "mean") as Statistic;
    if (!statistics.includes(statistic)) throw bad("stat", `one of ${statistics.join(", ")}`, statistic);
    return table.group(group, q.get("column") ?? "", statistic, rows);
  }
  const histogram = q.get("histogram");
  if (histogram !== null) return table.histogram(histogram, integer("bins", 64, 1, 4096), rows);
  const names = q.get("columns")?.split(",") ?? table.names;
  const sort = q.get("sort");
  const ordered = sort === null ? rows : table.sort(rows, sort);
  const find = q.get("find");
  if (find !== null) {
    const wanted = new Set(table.select(find));
    const index = ordered.findIndex((row) => wanted.has(row));
    return { index: index < 0 ? null : index };
  }
  const offset = integer("offset", 0, 0, 2 ** 31);
  const page = ordered.subarray(offset, offset + integer("limit", 200, 0, 100_000));
  return { columns: names, rows: table.values(page, names), total: rows.length };
}
