// SPDX-License-Identifier: MIT
// Filename patterns: `{plate}_{well}f{site}d{channel}.tif` compiled to a matcher, and back to names.
//
// {well} {row} {column} {site} {channel} {z_index} {timepoint}   components; any other name is text to ignore
// {*}                 text to ignore, possibly empty
// {site:2}            exactly two characters (digits, where the component is a number)
// {channel:DAPI|GFP}  a regular expression; channels that are no numbers are numbered in name order
// {{ and }}           braces themselves
//
// A name given twice must stand for the same text both times. A pattern fits the end of the path relative to the plate,
// from the start of a file or folder name on; no component spans a `/`. `.tif` fits in either case. A pattern that
// starts with `^` is a regular expression on the whole relative path instead, with the components as named groups.

import { TilecastError } from "../errors.js";
import { formatWell, maxColumns, maxRows, normalizeWell, parseRow } from "./well.js";

/** What a pattern reads from one path. `channel` is text where the pattern lets it be. */
export interface PatternMatch {
  readonly well: string;
  readonly site: number;
  readonly channel: number | string;
  readonly z_index: number | null;
  readonly timepoint: number;
  /** What `{plate}` stood for. */
  readonly plate: string | null;
}

type Part =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "field"; readonly name: string; readonly width: number | null; readonly at: number };

const numeric = new Set(["site", "channel", "z_index", "timepoint", "column"]);

/** What a field without an expression of its own stands for. Ignored names are lazy, so that what follows them decides. */
function defaultExpression(name: string): string {
  if (name === "well") return "[A-Za-z]{1,2}\\d{1,2}";
  if (name === "row") return "(?:[A-Za-z]{1,2}|\\d{1,2})";
  return numeric.has(name) ? "\\d+" : name === "*" ? "[^/]*?" : "[^/]+?";
}

function invalid(source: string, at: number, message: string, cause?: unknown): TilecastError {
  return new TilecastError("ERR_PATTERN", `${message}\n  ${source}\n  ${" ".repeat(at)}^`, {
    argument: "pattern",
    ...(cause === undefined ? {} : { cause }),
  });
}

const escapeRegExp = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");

/** End of the field that opens at `open`: braces nest, as in `{site:[0-9]{2}}`, except escaped or in a character class. */
function closingBrace(source: string, open: number): number {
  let depth = 0;
  let inClass = false;
  for (let i = open; i < source.length; i++) {
    const c = source[i];
    if (c === "\\") i++;
    else if (inClass) inClass = c !== "]";
    else if (c === "[") inClass = true;
    else if (c === "{") depth++;
    else if (c === "}" && --depth === 0) return i;
  }
  return -1;
}

/** A compiled pattern. */
export class FilenamePattern {
  readonly source: string;
  readonly #regexp: RegExp;
  /** `undefined` for a regular expression, which cannot be turned round. */
  readonly #parts: readonly Part[] | undefined;
  /** Group name in the expression to the field it stands for. */
  readonly #groups: ReadonlyMap<string, string>;

  private constructor(
    source: string,
    regexp: RegExp,
    groups: ReadonlyMap<string, string>,
    parts?: readonly Part[],
  ) {
    this.source = source;
    this.#regexp = regexp;
    this.#groups = groups;
    this.#parts = parts;
  }

  /** Throws ERR_PATTERN, with a caret under the place, for a pattern that is malformed or names no well. */
  static compile(source: string): FilenamePattern {
    return source.startsWith("^")
      ? FilenamePattern.#compileRegExp(source)
      : FilenamePattern.#compileBraces(source);
  }

  static #compileRegExp(source: string): FilenamePattern {
    // Python's spelling of a named group is what people have at hand from CellProfiler.
    const text = source.replaceAll("(?P<", "(?<");
    let regexp: RegExp;
    try {
      regexp = new RegExp(text);
    } catch (cause) {
      throw invalid(
        source,
        0,
        `the filename pattern is not a valid regular expression: ${(cause as Error).message}`,
        cause,
      );
    }
    const groups = new Map<string, string>();
    for (const match of text.matchAll(/\(\?<([A-Za-z_]\w*)>/g))
      groups.set(match[1] as string, match[1] as string);
    requireWell(source, [...groups.keys()], (name) => Math.max(0, source.search(new RegExp(`<${name}>`))));
    return new FilenamePattern(source, regexp, groups);
  }

  static #compileBraces(source: string): FilenamePattern {
    const parts: Part[] = [];
    const groups = new Map<string, string>();
    const seen = new Map<string, string>();
    const at = new Map<string, number>();
    let expression = "";
    let text = "";
    const flush = () => {
      if (text === "") return;
      parts.push({ kind: "text", text });
      expression += escapeRegExp(text);
      text = "";
    };
    if (source === "") throw invalid(source, 0, "the filename pattern is empty");
    for (let i = 0; i < source.length; i++) {
      const c = source[i] as string;
      if ((c === "{" || c === "}") && source[i + 1] === c) {
        text += c;
        i++;
        continue;
      }
      if (c === "}")
        throw invalid(source, i, 'the filename pattern has a "}" without "{"; write "}}" for the character');
      if (c !== "{") {
        text += c;
        continue;
      }
      const end = closingBrace(source, i);
      if (end < 0)
        throw invalid(
          source,
          i,
          'the filename pattern has a "{" that is never closed; write "{{" for the character',
        );
      flush();
      const [, name, , custom] = /^([^:]*)(:([\s\S]*))?$/.exec(source.slice(i + 1, end)) as unknown as [
        string,
        string,
        string | undefined,
        string | undefined,
      ];
      if (name !== "*" && !/^[A-Za-z_]\w*$/.test(name)) {
        throw invalid(
          source,
          i + 1,
          `the filename pattern names no component here: "${name}" is not a name like well or site, nor *`,
        );
      }
      const width = custom !== undefined && /^\d+$/.test(custom) ? Number(custom) : null;
      if (custom === "" || width === 0) {
        throw invalid(
          source,
          i + 1 + name.length,
          `the filename pattern says nothing after the colon of "${name}"`,
        );
      }
      const first = seen.get(name);
      if (first !== undefined) {
        if (custom !== undefined) {
          throw invalid(
            source,
            i + 1 + name.length,
            `the filename pattern describes "${name}" a second time`,
          );
        }
        expression += `\\k<${first}>`;
      } else {
        const inner =
          width !== null
            ? `${numeric.has(name) ? "\\d" : "[^/]"}{${width}}`
            : custom === undefined
              ? defaultExpression(name)
              : `(?:${custom})`;
        if (custom !== undefined && width === null) checkExpression(source, i + 2 + name.length, custom);
        if (name === "*") {
          expression += inner;
        } else {
          // Groups are numbered so that a user's expression cannot define the same one.
          const group = `tilecast${groups.size}`;
          groups.set(group, name);
          seen.set(name, group);
          at.set(name, i + 1);
          expression += `(?<${group}>${inner})`;
        }
      }
      parts.push({ kind: "field", name, width, at: i });
      i = end;
    }
    flush();
    requireWell(source, [...seen.keys()], (name) => at.get(name) ?? 0);
    const anyCase = expression.replace(/\\\.tif(f?)$/i, (_, f: string) =>
      f ? "\\.[tT][iI][fF][fF]" : "\\.[tT][iI][fF]",
    );
    return new FilenamePattern(source, new RegExp(`^(?:[^]*/)?${anyCase}$`), groups, parts);
  }

  /** Reads one path relative to the plate; `undefined` when the pattern does not fit it or what it calls a well is none. */
  match(relative: string): PatternMatch | undefined {
    const found = this.#regexp.exec(relative)?.groups;
    if (found === undefined) return undefined;
    const values = new Map<string, string>();
    for (const [group, name] of this.#groups) {
      const value = found[group];
      if (value !== undefined) values.set(name, value);
    }
    const well = readWell(values);
    if (well === undefined) return undefined;
    const number = (name: string, missing: number | null): number | null | undefined => {
      const text = values.get(name);
      if (text === undefined) return missing;
      return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
    };
    const site = number("site", 1);
    const z = number("z_index", null);
    const timepoint = number("timepoint", 1);
    if (site == null || z === undefined || timepoint == null) return undefined;
    const channel = number("channel", 1) ?? (values.get("channel") as string);
    return { well, site, channel, z_index: z, timepoint, plate: values.get("plate") ?? null };
  }

  /**
   * Writes the name that `match` reads back as these values; ignored names come from `values` too. Numbers are padded to
   * the pattern's width. Throws ERR_INVALID_ARGUMENT for a value that is absent or too wide, and for a pattern that is a
   * regular expression.
   */
  format(values: Readonly<Record<string, string | number>>): string {
    if (this.#parts === undefined) {
      throw new TilecastError(
        "ERR_INVALID_ARGUMENT",
        "pattern: a regular expression cannot be turned into a name",
        {
          argument: "pattern",
        },
      );
    }
    return this.#parts
      .map((part) => (part.kind === "text" ? part.text : formatField(part.name, part.width, values)))
      .join("");
  }
}

function formatField(
  name: string,
  width: number | null,
  values: Readonly<Record<string, string | number>>,
): string {
  const value = values[name];
  if (value === undefined) {
    if (name === "*") return "x".repeat(width ?? 0);
    throw new TilecastError(
      "ERR_INVALID_ARGUMENT",
      `values: expected a value for {${name}} but received none`,
      {
        argument: "values",
      },
    );
  }
  const text =
    typeof value === "number" && width !== null ? String(value).padStart(width, "0") : String(value);
  if (width !== null && text.length !== width) {
    throw new TilecastError(
      "ERR_INVALID_ARGUMENT",
      `values: expected ${width} characters for {${name}} but received "${text}"`,
      { argument: "values" },
    );
  }
  return text;
}

function readWell(values: ReadonlyMap<string, string>): string | undefined {
  const well = values.get("well");
  if (well !== undefined) return normalizeWell(well);
  const row = values.get("row") ?? "";
  const column = Number(values.get("column"));
  const index = /^\d+$/.test(row) ? Number(row) - 1 : parseRow(row);
  if (index === undefined || index < 0 || index >= maxRows) return undefined;
  if (!Number.isInteger(column) || column < 1 || column > maxColumns) return undefined;
  return formatWell({ row: index, column: column - 1 });
}

function requireWell(source: string, names: readonly string[], at: (name: string) => number): void {
  const has = (name: string) => names.includes(name);
  if (has("well")) {
    const extra = ["row", "column"].find(has);
    if (extra)
      throw invalid(source, at(extra), `the filename pattern names the well twice: "well" and "${extra}"`);
    return;
  }
  if (has("row") && has("column")) return;
  const half = ["row", "column"].find(has);
  if (half) {
    const other = half === "row" ? "column" : "row";
    throw invalid(source, at(half), `the filename pattern names a ${half} but no ${other}`);
  }
  throw invalid(
    source,
    source.length,
    `the filename pattern names no well: it needs {well}, or {row} and {column}${names.length > 0 ? `; it names ${names.join(", ")}` : ""}`,
  );
}

function checkExpression(source: string, at: number, expression: string): void {
  try {
    new RegExp(expression);
  } catch (cause) {
    throw invalid(
      source,
      at,
      `the filename pattern has an invalid regular expression: ${(cause as Error).message}`,
      cause,
    );
  }
  if (/\(\?P?<[A-Za-z_]/.test(expression)) {
    throw invalid(
      source,
      at,
      "the filename pattern has a named group inside braces; the braces name the component already",
    );
  }
}

/**
 * A pattern for a file like `name`, as advice: the token that looks like a well becomes `{well}`, and numbers after a letter
 * that commonly marks a component become that component. Always compiles.
 */
export function suggestPattern(name: string): string {
  const escapeBraces = (text: string) => text.replace(/[{}]/g, "$&$&");
  const extension = /\.tiff?$/i.exec(name)?.[0] ?? "";
  const stem = name.slice(0, name.length - extension.length);
  const well =
    /(?:^|(?<=[^A-Za-z0-9]))[A-Pa-p]\d{1,2}(?![0-9])/.exec(stem) ?? /[A-P]\d{2}(?![0-9])/.exec(stem);
  if (well === null) return `{plate}_{well}_s{site}_w{channel}${extension || ".tif"}`;
  const marks: Readonly<Record<string, string>> = {
    s: "site",
    f: "site",
    site: "site",
    field: "site",
    fld: "site",
    fov: "site",
    pos: "site",
    xy: "site",
    w: "channel",
    wv: "channel",
    c: "channel",
    d: "channel",
    ch: "channel",
    channel: "channel",
    z: "z_index",
    t: "timepoint",
  };
  const used = new Set<string>();
  const tail = stem.slice(well.index + well[0].length);
  const after = tail.replace(/([A-Za-z]+)([-_]?)(\d+)|[{}]/g, (whole, letters?: string, gap?: string) => {
    if (letters === undefined) return escapeBraces(whole);
    const component = marks[letters.toLowerCase()];
    if (component === undefined || used.has(component)) return whole;
    used.add(component);
    return `${letters}${gap}{${component}}`;
  });
  return `${well.index > 0 ? `{plate}${escapeBraces(stem.slice(well.index - 1, well.index).replace(/[A-Za-z0-9]/, ""))}` : ""}{well}${after}${extension}`;
}
