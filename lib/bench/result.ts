// SPDX-License-Identifier: MIT
// The form of a benchmark's result: what `tilecast bench` and the development benchmarks write, and what compare and the page read.

import { TilecastError } from "../errors.js";

/** The extremes of the trials; the value is their median. */
export interface Spread {
  readonly min: number;
  readonly max: number;
  readonly trials: number;
}

/** One subject's figure in one case of one question. */
export interface Row {
  /** "tiff-read" */
  readonly question: string;
  /** What was measured, the number of cores included: "deflate, 1 core". */
  readonly case: string;
  /** Who was measured: "tilecast", a peer ("tifffile"), a limit ("limit: the codec alone"), or "this node". */
  readonly subject: string;
  /** Median of the trials; null when the subject could not be measured, for the reason in `missing`. */
  readonly value: number | null;
  readonly unit: string;
  readonly higherIsBetter: boolean;
  readonly spread: Spread | null;
  /** How many times as good as the best other subject that is no limit (and no other way of ours, for ours); null without one. */
  readonly ratioToBestPeer: number | null;
  /** The share of what is possible that was reached; null where no limit was measured. */
  readonly ratioToLimit: number | null;
  /** What `ratioToLimit` compares with: "the codec alone", "4 x one core". */
  readonly limit?: string;
  readonly missing?: string;
}

/** Facts of the machine by name, flat enough to print. */
export type MachineFacts = Readonly<Record<string, string | number | boolean | null>>;

/** What a question is about, for people. */
export interface QuestionText {
  readonly title: string;
  /** How it is measured. */
  readonly how: string;
}

export interface BenchResult {
  readonly machine: MachineFacts;
  /** Commit of the sources, with "-dirty" when they were changed; null for an installed package. */
  readonly commit: string | null;
  readonly rows: readonly Row[];
  /** By question, for the page. */
  readonly about?: Readonly<Record<string, QuestionText>>;
}

export const limitPrefix = "limit: ";

export const isLimit = (row: Pick<Row, "subject">): boolean => row.subject.startsWith(limitPrefix);

/** tilecast, in any of its ways: "tilecast", "tilecast, polling". They are no peers of each other. */
export const isOurs = ({ subject }: Pick<Row, "subject">): boolean => /^tilecast(,|$)/.test(subject);

/** The middle value; the mean of the two middle ones of an even number. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  const upper = sorted[half] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? Number.NaN) + upper) / 2;
}

/** What one subject gave in one case, before it is compared with anything. */
export interface Series {
  readonly question: string;
  readonly case: string;
  readonly subject: string;
  readonly unit: string;
  readonly higherIsBetter: boolean;
  readonly values: readonly number[];
  readonly missing?: string;
  /** The series that this one cannot be better than, `factor` times over. */
  readonly limit?: {
    readonly case: string;
    readonly subject: string;
    readonly name: string;
    readonly factor?: number;
  };
}

const key = (question: string, name: string, subject: string) => `${question}\n${name}\n${subject}`;

/** Medians, spreads and ratios of medians. The best peer is looked for among the subjects of the same question and case that are no limits. */
export function rowsOf(series: readonly Series[]): Row[] {
  const medians = new Map<string, number>();
  for (const s of series)
    if (s.values.length > 0) medians.set(key(s.question, s.case, s.subject), median(s.values));
  return series.map((s) => {
    const value = medians.get(key(s.question, s.case, s.subject)) ?? null;
    const better = (other: number) =>
      value === null ? null : s.higherIsBetter ? value / other : other / value;
    const peers = series
      .filter(
        (o) =>
          o.question === s.question &&
          o.case === s.case &&
          o.subject !== s.subject &&
          !(isOurs(o) && isOurs(s)) &&
          !isLimit(o) &&
          !isLimit(s),
      )
      .flatMap((o) => medians.get(key(o.question, o.case, o.subject)) ?? []);
    const best = peers.length === 0 ? null : s.higherIsBetter ? Math.max(...peers) : Math.min(...peers);
    const limit =
      s.limit === undefined ? undefined : medians.get(key(s.question, s.limit.case, s.limit.subject));
    return {
      question: s.question,
      case: s.case,
      subject: s.subject,
      value,
      unit: s.unit,
      higherIsBetter: s.higherIsBetter,
      spread:
        value === null
          ? null
          : { min: Math.min(...s.values), max: Math.max(...s.values), trials: s.values.length },
      ratioToBestPeer: best === null ? null : better(best),
      ratioToLimit: limit === undefined ? null : better(limit * (s.limit?.factor ?? 1)),
      ...(s.limit === undefined ? {} : { limit: s.limit.name }),
      ...(s.missing === undefined ? {} : { missing: s.missing }),
    };
  });
}

const fields: readonly (readonly [name: keyof Row, types: readonly string[]])[] = [
  ["question", ["string"]],
  ["case", ["string"]],
  ["subject", ["string"]],
  ["value", ["number", "null"]],
  ["unit", ["string"]],
  ["higherIsBetter", ["boolean"]],
  ["ratioToBestPeer", ["number", "null"]],
  ["ratioToLimit", ["number", "null"]],
];

/** Reads a result file's text; fields beside those of {@link BenchResult} are let through. Throws ERR_USAGE naming the file and the field. */
export function parseResult(text: string, path: string): BenchResult {
  const wrong = (what: string, cause?: unknown) =>
    new TilecastError("ERR_USAGE", `${path} is not a result of tilecast bench: ${what}`, { path, cause });
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (cause) {
    throw wrong("it is not JSON", cause);
  }
  const object = (value: unknown): value is Record<string, unknown> =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  if (!object(data)) throw wrong("it is not an object");
  if (!object(data.machine)) throw wrong('"machine" is not an object');
  if (data.commit !== null && typeof data.commit !== "string")
    throw wrong('"commit" is not a string or null');
  if (!Array.isArray(data.rows)) throw wrong('"rows" is not an array');
  for (const [i, row] of data.rows.entries()) {
    if (!object(row)) throw wrong(`rows[${i}] is not an object`);
    for (const [name, types] of fields) {
      const type = row[name] === null ? "null" : typeof row[name];
      if (!types.includes(type))
        throw wrong(`rows[${i}].${name} must be ${types.join(" or ")}, and is ${type}`);
    }
    const spread = row.spread;
    if (
      spread !== null &&
      !(object(spread) && [spread.min, spread.max, spread.trials].every((v) => typeof v === "number"))
    )
      throw wrong(`rows[${i}].spread must be { min, max, trials } or null`);
  }
  const about = data.about;
  const described = (t: unknown) => object(t) && typeof t.title === "string" && typeof t.how === "string";
  if (about !== undefined && !(object(about) && Object.values(about).every(described)))
    throw wrong('"about" is not { question: { title, how } }');
  return data as unknown as BenchResult;
}
