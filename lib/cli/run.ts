// SPDX-License-Identifier: MIT
// `tilecast run`: a pipeline over a plate.

import { basename, join, relative } from "node:path";
import { parseArgs } from "node:util";
import { isTilecastError, TilecastError } from "../errors.js";
import { engines } from "../orchestrator/engine.js";
import type { Pipeline } from "../orchestrator/pipeline.js";
import { type RunOptions, type RunReport, run } from "../orchestrator/run.js";
import { formatOptions, openPlate, selectWells } from "../plates/index.js";
import type { Plate } from "../plates/plate.js";
import { byteSize } from "./byte-size.js";
import { exitCodes } from "./exit-codes.js";
import { loadPipeline } from "./load-pipeline.js";
import type { RunPage } from "./run-page.js";
import { duration, ProgressBar, paint, wantsColor } from "./terminal.js";
import { viewHelp } from "./view-help.js";

export const runHelp = `Usage: tilecast run PLATE -p FILE -o DIR [options]

Takes a plate through a pipeline and writes DIR/plate.ome.zarr, measurements.csv, run.json and report.html.

  -p, --pipeline FILE    ES module with the pipeline as its default export (examples/nuclei.mjs)
  -o, --out DIR          output folder
      --format FORMAT    layout of the plate, where it is not recognised (see tilecast info --help)
      --pattern PATTERN  filename pattern, e.g. "{plate}_{well}f{site}d{channel}.TIF" (see tilecast info --help)
      --wells LIST       only these wells: A01,B03-B06,C*
      --resume           keep wells that are complete and unchanged
      --overwrite        delete this folder's earlier results first
      --zarr VERSION     OME-Zarr 0.5 (default) or 0.4 for older readers
      --compression NAME blosc-lz4 (default), blosc-zstd, zstd, none
      --chunk PX         chunk edge, default 512
      --levels N         pyramid levels, default: until at most 256 px
      --threads N        that compute; default: every core
      --engine NAME      cpu (default), gpu, or auto: the GPU where it was measured to be faster
      --memory SIZE      what image tiles may take together, e.g. 4G; default: four fifths of what is free
      --max-slot SIZE    largest tile that is held whole, default 128M; larger images go block by block
${viewHelp}
      --publish ENDPOINT progress events on a ZeroMQ PUB socket, e.g. tcp://127.0.0.1:5555
      --json             the run's report as JSON on stdout
  -q, --quiet            no progress, no summary
  -h, --help

Exit codes: ${exitCodes.map(([code, text]) => `${code} ${text}`).join("; ")}.`;

function integer(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const n = Number(text);
  if (!Number.isSafeInteger(n) || n < 1)
    throw new TilecastError("ERR_USAGE", `--${name} must be a positive integer, and is "${text}"`, {
      argument: name,
    });
  return n;
}

function bytes(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const n = Math.floor(byteSize(text) ?? 0);
  if (!Number.isSafeInteger(n) || n < 1)
    throw new TilecastError("ERR_USAGE", `--${name} must be a size such as 512M or 4G, and is "${text}"`, {
      argument: name,
    });
  return n;
}

/** Cancels on Ctrl-C and SIGTERM, and with `other`; a second one ends at once. */
function signals(other?: AbortSignal): {
  signal: AbortSignal;
  dispose: () => void;
  name: () => string | null;
} {
  const controller = new AbortController();
  other?.addEventListener("abort", () => controller.abort(other.reason), { once: true });
  let got: string | null = null;
  const on = (name: string) => {
    if (got !== null) process.exit(name === "SIGINT" ? 130 : 143);
    got = name;
    controller.abort(new TilecastError("ERR_CANCELLED", `cancelled by ${name}`));
  };
  process.on("SIGINT", on);
  process.on("SIGTERM", on);
  return {
    signal: controller.signal,
    name: () => got,
    dispose: () => {
      process.off("SIGINT", on);
      process.off("SIGTERM", on);
    },
  };
}

/** Runs with progress and summary as the command line shows them; gives the exit code. */
export async function runWithProgress(
  pipeline: Pipeline,
  plate: Plate,
  options: Omit<RunOptions, "signal" | "onProgress">,
  show: { json: boolean; quiet: boolean },
  page: RunPage | null = null,
): Promise<{ code: number; report: RunReport }> {
  const bar = show.quiet ? null : new ProgressBar();
  const stop = signals(page?.cancelled);
  try {
    const report = await run(pipeline, plate, {
      ...options,
      signal: stop.signal,
      onProgress: (p) => {
        bar?.update(p);
        page?.view.progress(p);
      },
      ...(page ? { sinks: [page.view], onWell: (well) => page.view.well(well) } : {}),
    }).catch(async (error: unknown) => {
      page?.view.failed(error);
      // Nobody looks at the page of a run that did not begin, and it must not keep the process.
      await page?.gateway.close();
      // While it waited for a viewer: nothing was written, and there is no report.
      if (stop.name() !== null && isTilecastError(error, "ERR_CANCELLED")) throw stop.signal.reason;
      throw error;
    });
    page?.view.ended(report);
    bar?.clear();
    if (show.json) process.stdout.write(`${JSON.stringify(report)}\n`);
    else if (!show.quiet) process.stdout.write(summary(report));
    const code =
      report.outcome === "complete"
        ? 0
        : report.outcome === "incomplete"
          ? 3
          : stop.name() === "SIGTERM"
            ? 143
            : 130;
    return { code, report };
  } finally {
    bar?.clear();
    stop.dispose();
  }
}

const busiest = { processor: "processor", gpu: "GPU", files: "storage" } as const;

/** What ran where; nothing where nobody asked for a GPU. */
function engineLines({ engine }: RunReport): string[] {
  if (engine.asked === "cpu") return [];
  const { adapter, segments, reason } = engine;
  if (engine.used === "cpu") return [`processor only: ${reason}`];
  return [
    `GPU: ${adapter?.name ?? "?"}`,
    ...segments.map((s) => `  ${s.engine === "gpu" ? "GPU" : "CPU"}  ${s.ops} (${s.reason})`),
    ...engine.onProcessor.map((o) => `  CPU  ${o.op} (${o.reason})`),
  ];
}

function summary(r: RunReport): string {
  const c = paint(wantsColor(process.stdout));
  const mark =
    r.outcome === "complete"
      ? c.green("\u2713 complete")
      : r.outcome === "incomplete"
        ? c.red("\u2717 incomplete")
        : c.yellow("\u25fc cancelled");
  const count = (n: number, what: string) => (n > 0 ? `, ${n} ${what}` : "");
  const lines = [
    `${c.bold(mark)}  ${r.planes.done} of ${r.planes.total} planes in ${duration(r.seconds)}${count(r.planes.reused, "reused")}${count(r.planes.failed, "failed")}${count(r.planes.cancelled, "cancelled")}`,
    `  ${r.objects.toLocaleString("en")} objects, ${r.wells.length} well${r.wells.length === 1 ? "" : "s"}, ${r.megapixels.toFixed(0)} Mpx at ${r.megapixelsPerSecond.toFixed(0)} Mpx/s, ${r.megabytesWritten.toFixed(1)} MB written`,
  ];
  if (r.bound !== null)
    lines.push(
      c.dim(`  ${Math.round(100 * r.bound.share)}% of the bound that the ${busiest[r.bound.limitedBy]} sets`),
    );
  lines.push(...engineLines(r).map((line) => `  ${line}`));
  if (r.engine.warning) lines.push(c.yellow(`  ${r.engine.warning}`));
  for (const f of r.failures.slice(0, 10)) {
    const file = f.path === null || f.message.includes(f.path) ? "" : `${basename(f.path)}: `;
    lines.push(c.red(`  ${f.well} site ${f.site} channel ${f.channel}: ${file}${f.message} (${f.code})`));
  }
  if (r.failures.length > 10) lines.push(c.red(`  and ${r.failures.length - 10} more; see run.json`));
  const out = relative(process.cwd(), r.out) || ".";
  const width = join(out, "measurements.csv").length + 2;
  for (const [file, what] of [
    ["report.html", "open in a browser"],
    ["plate.ome.zarr", "OME-Zarr plate"],
    ["measurements.csv", "one row an object"],
    ["run.json", "every plane's state, parameters, timings"],
  ] as const) {
    if (file === "measurements.csv" && r.objects === 0) continue;
    lines.push(`  ${join(out, file).padEnd(width)}${c.dim(what)}`);
  }
  return `${lines.join("\n")}\n`;
}

/** `tilecast run ...`; gives the exit code. */
export async function runCommand(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      pipeline: { type: "string", short: "p" },
      out: { type: "string", short: "o" },
      format: { type: "string" },
      pattern: { type: "string" },
      wells: { type: "string" },
      resume: { type: "boolean" },
      overwrite: { type: "boolean" },
      zarr: { type: "string" },
      compression: { type: "string" },
      chunk: { type: "string" },
      levels: { type: "string" },
      threads: { type: "string" },
      engine: { type: "string" },
      memory: { type: "string" },
      "max-slot": { type: "string" },
      view: { type: "string", multiple: true },
      publish: { type: "string" },
      json: { type: "boolean" },
      quiet: { type: "boolean", short: "q" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) {
    process.stdout.write(`${runHelp}\n`);
    return 0;
  }
  const [path, ...more] = positionals;
  if (path === undefined || more.length > 0)
    throw new TilecastError(
      "ERR_USAGE",
      `tilecast run takes one PLATE, and got ${positionals.length}; see tilecast run --help`,
      { argument: "PLATE" },
    );
  if (values.pipeline === undefined)
    throw new TilecastError("ERR_USAGE", "tilecast run needs a pipeline: -p FILE; see tilecast run --help", {
      argument: "pipeline",
    });
  if (values.out === undefined)
    throw new TilecastError(
      "ERR_USAGE",
      "tilecast run needs an output folder: -o DIR; see tilecast run --help",
      { argument: "out" },
    );
  const format = formatOptions.find((name) => name === values.format);
  if (values.format !== undefined && format === undefined)
    throw new TilecastError(
      "ERR_USAGE",
      `--format: expected ${formatOptions.join(", ")} but received "${values.format}"`,
      { argument: "format" },
    );
  const engine = engines.find((name) => name === values.engine);
  if (values.engine !== undefined && engine === undefined)
    throw new TilecastError(
      "ERR_USAGE",
      `--engine: expected ${engines.join(", ")} but received "${values.engine}"`,
      { argument: "engine" },
    );
  const pipeline = await loadPipeline(values.pipeline);
  const plate = await openPlate(path, {
    ...(format === undefined ? {} : { format }),
    pattern: values.pattern,
  });
  const { viewers, web } = values.view
    ? (await import("./view-options.js")).parseViews(values.view)
    : { viewers: [], web: null };
  const chunk = integer("chunk", values.chunk);
  const levels = integer("levels", values.levels);
  const threads = integer("threads", values.threads);
  const memory = bytes("memory", values.memory);
  const maxSlotBytes = bytes("max-slot", values["max-slot"]);
  const show = { json: values.json ?? false, quiet: values.quiet ?? false };
  const page =
    web === null
      ? null
      : await (await import("./run-page.js")).RunPage.open(web.port, plate, values.out, show.quiet);
  const { code } = await runWithProgress(
    pipeline,
    plate,
    {
      out: values.out,
      ...(viewers.length ? { view: viewers } : {}),
      ...(values.wells === undefined ? {} : { wells: selectWells(plate, values.wells.split(",")) }),
      ...(values.resume ? { resume: true } : {}),
      ...(values.overwrite ? { overwrite: true } : {}),
      ...(values.zarr === undefined ? {} : { zarr: values.zarr as "0.4" }),
      ...(values.compression === undefined ? {} : { compression: values.compression as "zstd" }),
      ...(chunk === undefined ? {} : { chunk }),
      ...(levels === undefined ? {} : { levels }),
      ...(threads === undefined ? {} : { threads }),
      ...(engine === undefined ? {} : { engine }),
      ...(memory === undefined ? {} : { memory }),
      ...(maxSlotBytes === undefined ? {} : { maxSlotBytes }),
      ...(values.publish === undefined ? {} : { publish: values.publish }),
      command: `tilecast run ${args.map((a) => (/^[\w./:@%+,=-]+$/.test(a) ? a : `'${a.replaceAll("'", "'\\''")}'`)).join(" ")}`,
    },
    show,
    page,
  );
  await page?.close();
  return code;
}
