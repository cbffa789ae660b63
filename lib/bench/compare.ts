// SPDX-License-Identifier: MIT
// Two results side by side: the ratio of each figure, and whether it exceeds what the trials scatter.

import type { BenchResult, Row } from "./result.js";

/**
 * better, worse: the ranges of the trials do not touch. same: they do. unknown: a result has fewer than two trials, so its scatter is not
 * known. missing: a figure is not in both.
 */
export type Outcome = "better" | "worse" | "same" | "unknown" | "missing";

export interface Difference {
  readonly question: string;
  readonly case: string;
  readonly subject: string;
  readonly unit: string;
  readonly a: number | null;
  readonly b: number | null;
  /** How many times as good b is as a: above 1 is better, whichever direction the figure has. */
  readonly ratio: number | null;
  readonly outcome: Outcome;
  /** Why a figure is missing, where a result says it. */
  readonly reason?: string;
}

function outcomeOf(a: Row, b: Row, ratio: number | null): Outcome {
  if (ratio === null) return "missing";
  if (a.spread === null || b.spread === null || Math.min(a.spread.trials, b.spread.trials) < 2)
    return "unknown";
  if (a.spread.max < b.spread.min || b.spread.max < a.spread.min) return ratio > 1 ? "better" : "worse";
  return "same";
}

/** Rows of both, in the order of a, then those that only b has. A figure whose unit differs is missing. */
export function compareResults(a: BenchResult, b: BenchResult): Difference[] {
  const keyOf = (r: Row) => JSON.stringify([r.question, r.case, r.subject, r.unit]);
  const others = new Map(b.rows.map((r) => [keyOf(r), r]));
  const difference = (x: Row | undefined, y: Row | undefined): Difference => {
    const { question, case: name, subject, unit, higherIsBetter } = (x ?? y) as Row;
    const from = x?.value ?? null;
    const to = y?.value ?? null;
    const ratio =
      from === null || to === null || from === 0 || to === 0 ? null : higherIsBetter ? to / from : from / to;
    const reason = x?.missing ?? y?.missing;
    return {
      question,
      case: name,
      subject,
      unit,
      a: from,
      b: to,
      ratio,
      outcome: x === undefined || y === undefined ? "missing" : outcomeOf(x, y, ratio),
      ...(reason === undefined ? {} : { reason }),
    };
  };
  const seen = new Set(a.rows.map(keyOf));
  return [
    ...a.rows.map((row) => difference(row, others.get(keyOf(row)))),
    ...b.rows.filter((row) => !seen.has(keyOf(row))).map((row) => difference(undefined, row)),
  ];
}
