// SPDX-License-Identifier: MIT
// The rows of a result: the form that `tilecast bench compare` and `tilecast bench page` read (lib/bench/result.ts), peers and limits included.

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "./machine.mjs";

/**
 * `cases`: [{ name, rates }], where `rates` has for each program the `values` of its trials, or the `error` that kept it from giving any.
 * `titles`: subjects by program; those of limits begin with "limit: ". `limit`: the program that tilecast is held against. `missing`: programs
 * that could not take part at all, with the reason: they are named in every case. `limit` may be a function of the program. Figures are rates,
 * unless `higherIsBetter` is false.
 */
export async function rows({ question, unit, cases, titles, limit, missing = {}, higherIsBetter = true }) {
  const { rowsOf } = await import(pathToFileURL(join(root, "dist/bench/result.js")));
  const base = { question, unit, higherIsBetter };
  const limitOf =
    typeof limit === "function" ? limit : (program) => (program === "tilecast" ? limit : undefined);
  return rowsOf(
    cases.flatMap(({ name, rates }) => [
      ...Object.entries(rates).map(([program, rate]) => ({
        ...base,
        case: name,
        subject: titles[program],
        values: rate.error ? [] : rate.values,
        ...(rate.error ? { missing: rate.error.split("\n")[0] } : {}),
        ...(rates[limitOf(program)]
          ? {
              limit: {
                case: name,
                subject: titles[limitOf(program)],
                name: titles[limitOf(program)].replace(/^limit: /, ""),
              },
            }
          : {}),
      })),
      ...Object.entries(missing).map(([program, reason]) => ({
        ...base,
        case: name,
        subject: titles[program],
        values: [],
        missing: reason,
      })),
    ]),
  );
}

/** The titles of programs that have one. */
export const titlesOf = (programs) =>
  Object.fromEntries(Object.entries(programs).map(([name, { title }]) => [name, title]));
