#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// The command line: picks the verb, loads only its code, turns errors into one message and an exit code.

import { isTilecastError } from "../errors.js";
import { version } from "../version.js";
import { exitCodes } from "./exit-codes.js";
import { paint, wantsColor } from "./terminal.js";

const verbs: Readonly<
  Record<string, { summary: string; load: () => Promise<(args: string[]) => Promise<number>> }>
> = {
  demo: {
    summary: "make a small plate, run it, show where the results are",
    load: async () => (await import("./demo.js")).demoCommand,
  },
  run: { summary: "run a pipeline over a plate", load: async () => (await import("./run.js")).runCommand },
  info: { summary: "what is in a plate", load: async () => (await import("./info.js")).infoCommand },
  view: {
    summary: "a plate or results in the browser, and for OME-Zarr clients",
    load: async () => (await import("./view.js")).viewCommand,
  },
  ops: {
    summary: "the ops, with their parameters and definitions",
    load: async () => (await import("./ops.js")).opsCommand,
  },
  bench: {
    summary: "measure this node: memory, disk, TIFF, OME-Zarr, kernels, a whole plate",
    load: async () => (await import("./bench.js")).benchCommand,
  },
  ps: {
    summary: "which servers and viewers run on this host",
    load: async () => (await import("./ps.js")).psCommand,
  },
  stop: { summary: "end a server or viewer", load: async () => (await import("./stop.js")).stopCommand },
  doctor: {
    summary: "what works on this machine, and how to get the rest",
    load: async () => (await import("./doctor.js")).doctorCommand,
  },
};

function help(): string {
  return `tilecast ${version}: microscopy plates through image-processing pipelines at the speed of the hardware

Usage: tilecast VERB [options]

${Object.entries(verbs)
  .map(([name, v]) => `  ${name.padEnd(8)} ${v.summary}`)
  .join("\n")}

  -h, --help      this text, or a verb's: tilecast run --help
      --version

Results go to stdout, progress and errors to stderr. NO_COLOR is honoured.
Exit codes: ${exitCodes.map(([code, text]) => `${code} ${text}`).join("; ")}.
`;
}

async function main(argv: string[]): Promise<number> {
  const [name, ...args] = argv;
  if (name === undefined || name === "-h" || name === "--help" || name === "help") {
    (name === undefined ? process.stderr : process.stdout).write(help());
    return name === undefined ? 2 : 0;
  }
  if (name === "--version" || name === "-v") {
    process.stdout.write(`${version}\n`);
    return 0;
  }
  const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined;
  if (verb === undefined) {
    process.stderr.write(`tilecast: there is no verb "${name}"; known: ${Object.keys(verbs).join(", ")}\n`);
    return 2;
  }
  return (await verb.load())(args);
}

function usage(error: unknown): boolean {
  const code = (error as { code?: string }).code;
  return code === "ERR_USAGE" || (typeof code === "string" && code.startsWith("ERR_PARSE_ARGS"));
}

/** Of a verb that a signal ended before there was a result. */
const cancelledCode = (message: string): number =>
  message.endsWith("SIGTERM") ? 143 : message.endsWith("SIGINT") ? 130 : 1;

// Whoever read the output has gone (`| head`, a closed terminal): what the verb does goes on, unheard.
for (const stream of [process.stdout, process.stderr])
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const c = paint(wantsColor(process.stderr));
  const e = error as Error & { code?: string };
  const known = isTilecastError(e) || usage(e);
  process.stderr.write(
    `${c.red("tilecast:")} ${known ? e.message : (e.stack ?? e.message)}${isTilecastError(e) ? c.dim(` [${e.code}]`) : ""}\n`,
  );
  process.exitCode = usage(e) ? 2 : isTilecastError(e, "ERR_CANCELLED") ? cancelledCode(e.message) : 1;
}
