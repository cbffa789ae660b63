// SPDX-License-Identifier: MIT
// The command line of a question: the options that all have, those of its own, and the help text of both.

import { parseArgs } from "node:util";

export class UsageError extends Error {}

/**
 * An option: `value` is what the help calls its value (a flag has none), `kind` one of text, number, integer, integers (a list), flag; `least` bounds
 * numbers, `known` the words of a text.
 */
const common = (defaults) => ({
  programs: { kind: "text", value: "LIST", help: "default all; tilecast must be among them" },
  rounds: {
    kind: "integer",
    value: "N",
    least: 1,
    fallback: defaults.rounds,
    help: "trials of each program",
  },
  seconds: {
    kind: "number",
    value: "S",
    least: 0,
    fallback: defaults.seconds,
    help: "time for each case in a trial",
  },
  seed: {
    kind: "integer",
    value: "N",
    least: 0,
    fallback: 1,
    help: "of the order of trials and cases",
  },
  "max-wait": {
    kind: "number",
    value: "S",
    least: 0,
    fallback: 20,
    help: "wait at most so long for the machine to be quiet before each trial",
  },
  "time-limit": {
    kind: "number",
    value: "S",
    least: 1,
    fallback: defaults.timeLimit ?? 300,
    help: "a trial that takes longer is ended, and its program's rows say so",
  },
  quick: { kind: "flag", help: "one short round, no waiting: a look, no figures to keep" },
  json: {
    kind: "text",
    value: "FILE",
    help: "the result; default in bench/results; - is stdout, instead of the table",
  },
  html: { kind: "text", value: "FILE", help: "the result as a page with plots" },
});

const quickDefaults = { rounds: 1, seconds: 0.05, "max-wait": 0 };

function convert(name, spec, text) {
  if (spec.kind === "flag" || text === undefined) return text;
  const number = (word) => {
    const n = Number(word);
    const whole = spec.kind !== "number";
    if (word.trim() === "" || !(n >= spec.least) || (whole && !Number.isSafeInteger(n)))
      throw new UsageError(
        `--${name} must be ${spec.kind === "integers" ? "integers" : `${whole ? "an integer" : "a number"}`} of at least ${spec.least}, and is "${text}"`,
      );
    return n;
  };
  if (spec.kind === "integers") return text.split(",").map(number);
  if (spec.kind !== "text") return number(text);
  if (spec.known && !spec.known.includes(text))
    throw new UsageError(`--${name} must be one of ${spec.known.join(", ")}, and is "${text}"`);
  return text;
}

/**
 * The options of a question by name. `own`: its further options; `defaults`: `rounds`, `seconds` and, if its trials are long, `timeLimit`; `quick`:
 * other defaults with --quick. `help: true` when the help was asked for.
 */
export function readOptions(argv, { own = {}, defaults, quick = {} }) {
  const specs = { ...common(defaults), ...own };
  let values;
  try {
    ({ values } = parseArgs({
      args: argv,
      options: {
        ...Object.fromEntries(
          Object.entries(specs).map(([name, { kind }]) => [
            name,
            { type: kind === "flag" ? "boolean" : "string" },
          ]),
        ),
        help: { type: "boolean", short: "h" },
      },
    }));
  } catch (error) {
    throw new UsageError(error.message);
  }
  const short = values.quick ? { ...quickDefaults, ...quick } : {};
  const read = Object.entries(specs).map(([name, spec]) => {
    const text = values[name] ?? short[name] ?? spec.fallback;
    return [name, convert(name, spec, typeof text === "number" ? String(text) : text)];
  });
  return { help: values.help ?? false, quick: false, ...Object.fromEntries(read) };
}

/** The help text of a question. */
export function helpText(name, { own = {}, defaults }, programs) {
  const lines = Object.entries({ ...own, ...common(defaults) }).map(([option, spec]) => {
    const shown = spec.fallback === undefined || spec.fallback === "" ? "" : `, default ${spec.fallback}`;
    return [`--${option}${spec.value ? ` ${spec.value}` : ""}`, `${spec.help}${shown}`];
  });
  lines.push(["-h, --help", ""]);
  const width = Math.max(...lines.map(([left]) => left.length));
  return [
    `Usage: npm run bench -- ${name} [options]`,
    "",
    ...lines.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`.trimEnd()),
    "",
    `Programs: ${programs.join(", ")}. Needs what scripts/setup --bench installs; what is missing is named in the result.`,
  ].join("\n");
}
