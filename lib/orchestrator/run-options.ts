// SPDX-License-Identifier: MIT
// What run() may be asked for, and the check of it.

import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { TilecastError } from "../errors.js";
import { type ArrayEncoding, type Compression, defaultLevel, type NgffVersion } from "../stores/ome-zarr.js";
import type { RunSink } from "../streaming/sink.js";
import type { Viewer } from "../streaming/viewers/viewer.js";
import { type Engine, engines } from "./engine.js";
import type { Progress } from "./progress.js";
import type { WellReport } from "./report/report-data.js";

/** How much sinks may take. */
export interface SinkLimits {
  /** Tiles that all sinks together hold at once; the pool is larger by so many. Default: 128 MiB of them, and at least what one job of each thread makes. */
  readonly tiles?: number;
  /** How long all threads of a run together may wait for sinks to give tiles back before they pass planes by their store. Default 0. */
  readonly waitMs?: number;
  /** How long the end of the run may wait for sinks to send what they have. Default 2000; 500 at most when the run is cancelled. */
  readonly drainMs?: number;
}

export interface RunOptions {
  /** Output folder; made when absent. */
  readonly out: string;
  /** Only these wells. Default: all. */
  readonly wells?: readonly string[];
  /** Reuse wells that are complete and whose files, pipeline and options are unchanged. Default false. */
  readonly resume?: boolean;
  /** Delete earlier results of this folder first. Default false: a folder with results and no `resume` is refused. */
  readonly overwrite?: boolean;
  /** Threads that compute. Default: every core that this process may use. */
  readonly threads?: number;
  /**
   * `"cpu"` (default); `"gpu"`: everything that a GPU can do runs there; `"auto"`: the parts that rates measured on this machine say it does
   * faster. Labels and integer results are the same, floats within the bounds of docs/gpu-ops.md. What a GPU cannot do, or fails at, the
   * processor does. ERR_GPU_UNAVAILABLE, before anything is written, where `"gpu"` is asked for and there is none.
   */
  readonly engine?: Engine;
  /** Bytes that the tiles of the run may take together. Default: four fifths of what this process may still have. */
  readonly memory?: number;
  /**
   * Bytes of the largest tile that is held whole; default 128 MiB. Jobs with larger ones go block by block, each on all threads, with the
   * same results. An op that needs its whole image in one tile is ERR_PIPELINE then (docs/large-images.md).
   */
  readonly maxSlotBytes?: number;
  /** OME-Zarr version. Default "0.5" (zarr v3, sharded); "0.4" (zarr v2) for older readers. */
  readonly zarr?: NgffVersion;
  /** Default "blosc-lz4": writing keeps up with the disks of today; "blosc-zstd" is about a third smaller and three times slower. */
  readonly compression?: Compression;
  /** Chunk edge in px. Default 512. */
  readonly chunk?: number;
  /** Pyramid levels. Default: until the longer side is at most 256 px. */
  readonly levels?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  /** Called when a well has ended, with what it gave; at the start for the wells that `resume` keeps, which say `reused`. */
  readonly onWell?: (well: WellReport) => void;
  /**
   * Publish progress on this ZeroMQ PUB endpoint while the run goes on, as the OpenHCS family does: `tcp://127.0.0.1:5555` or
   * `ipc:///run/user/1000/run.sock`. Default: nothing is published. Needs the package zeromq.
   */
  readonly publish?: string;
  /**
   * Get the results while the run goes on: viewers. They take tiles from slots of their own and cannot slow the run; beyond what they
   * may hold, planes are passed on by their place in the store. Default none, which costs nothing.
   */
  readonly sinks?: readonly RunSink[];
  /**
   * Viewers that show results while they are made: found running or started before anything is written, and left open afterwards. A viewer
   * that cannot be had is ERR_VIEWER; one that dies in the middle never ends the run.
   */
  readonly view?: readonly ("napari" | "fiji" | Viewer)[];
  readonly sinkLimits?: SinkLimits;
  /** The command line, for the report. */
  readonly command?: string;
}

/** Options checked, defaults filled in. */
export function checkOptions(options: RunOptions): {
  encoding: ArrayEncoding;
  threads: number;
  engine: Engine;
  out: string;
} {
  const bad = (name: string, expected: string, got: unknown) =>
    new TilecastError("ERR_INVALID_ARGUMENT", `run(): "${name}" must be ${expected}, and is ${String(got)}`, {
      argument: name,
    });
  if (typeof options.out !== "string" || options.out === "") throw bad("out", "a folder", options.out);
  const version = options.zarr ?? "0.5";
  if (version !== "0.4" && version !== "0.5") throw bad("zarr", '"0.4" or "0.5"', version);
  const compression = options.compression ?? "blosc-lz4";
  if (!["blosc-lz4", "blosc-zstd", "zstd", "none"].includes(compression))
    throw bad("compression", "blosc-lz4, blosc-zstd, zstd or none", compression);
  const chunk = options.chunk ?? 512;
  if (!Number.isSafeInteger(chunk) || chunk < 16 || chunk > 8192)
    throw bad("chunk", "an integer from 16 to 8192 px", chunk);
  const levels = options.levels;
  if (levels !== undefined && (!Number.isSafeInteger(levels) || levels < 1 || levels > 16))
    throw bad("levels", "an integer from 1 to 16", levels);
  const threads = options.threads ?? availableParallelism();
  if (!Number.isSafeInteger(threads) || threads < 1 || threads > 1024)
    throw bad("threads", "an integer from 1 to 1024", threads);
  const engine = options.engine ?? "cpu";
  if (!engines.includes(engine)) throw bad("engine", engines.map((e) => `"${e}"`).join(" or "), engine);
  for (const [name, least] of [
    ["memory", 2 ** 20],
    ["maxSlotBytes", 4096],
  ] as const) {
    const bytes = options[name];
    if (bytes !== undefined && !(Number.isSafeInteger(bytes) && bytes >= least))
      throw bad(name, `an integer of bytes from ${least}`, bytes);
  }
  for (const name of ["tiles", "waitMs", "drainMs"] as const) {
    const limit = options.sinkLimits?.[name];
    if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 0 && limit <= 1e9))
      throw bad(`sinkLimits.${name}`, "an integer from 0 to 1e9", limit);
  }
  if (options.resume && options.overwrite) throw bad("overwrite", "absent when resume is asked for", true);
  return {
    encoding: {
      version,
      compression,
      level: defaultLevel(compression),
      chunk,
      sharded: version === "0.5",
      separator: version === "0.5" ? "." : "/",
    },
    threads,
    engine,
    out: resolve(options.out),
  };
}
