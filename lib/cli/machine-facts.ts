// SPDX-License-Identifier: MIT
// What `tilecast doctor` looks at: this machine's processor, memory, shared memory, and the programs that viewers need.

import { readFileSync, statfsSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, cpus, freemem, totalmem } from "node:os";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { type NativeBinding, native } from "../native.js";
import type { NativeGpuAdapter } from "../native-engine.js";
import { openGpu } from "../orchestrator/engine.js";
import { searchGpu } from "../orchestrator/gpu-search.js";
import {
  findImageJ,
  findPython,
  type ImageJFound,
  type PythonFound,
  type Search,
} from "../streaming/viewers/find-program.js";

/** Something that was tried: its result, or the reason why there is none. */
export type Attempt<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly why: string };

/** What was found on the machine, before any judgement. Sizes in bytes. */
export interface MachineFacts {
  readonly tilecast: string;
  readonly node: string;
  readonly platform: string;
  readonly arch: string;
  /** "glibc 2.36"; null where there is none (musl, other systems). */
  readonly libc: string | null;
  /** The addon's file and what it reports. */
  readonly addon: Attempt<{
    readonly file: string;
    readonly kernels: string;
    readonly versions: ReturnType<NativeBinding["versions"]>;
  }>;
  readonly cpu: {
    readonly model: string;
    readonly cores: number;
    /** The instruction-set extensions that kernels are built for, as /proc/cpuinfo names them; null where unknown. */
    readonly features: readonly string[] | null;
    /** TILECAST_CPU, which forces lower kernels. */
    readonly forced: string | null;
  };
  readonly memory: { readonly total: number; readonly available: number };
  /** /dev/shm; null where the system has none. */
  readonly shm: { readonly total: number; readonly free: number } | null;
  /** Whether a pool of one slot could be made. */
  readonly slot: Attempt<true>;
  /** What dead processes had left in shared memory, and was removed by this look. */
  readonly swept: { readonly pools: number; readonly bytes: number };
  /** Limit of open files; null where unknown. */
  readonly openFiles: number | null;
  /** The GPU that runs would use, or, first line, why there is none, and then what helps; null where the addon does not load. */
  readonly gpu: Attempt<NativeGpuAdapter> | null;
  /** The package zeromq, which talks to viewers and servers. */
  readonly zeromq: Attempt<string>;
  readonly napari: Search<PythonFound>;
  readonly imageJ: Search<ImageJFound>;
  /** Whether windows can be opened: DISPLAY or its like; null where that is not a question. */
  readonly display: string | null;
}

const require = createRequire(import.meta.url);

function attempt<T>(get: () => T): Attempt<T> {
  try {
    return { ok: true, value: get() };
  } catch (error) {
    return { ok: false, why: error instanceof Error ? error.message : String(error) };
  }
}

/** A file's text; undefined where the system has no such file. */
function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** The extensions that x86-64-v2, v3, v4 and NEON kernels rest on. */
const interesting = [
  "sse4_2",
  "avx2",
  "fma",
  "f16c",
  "bmi2",
  "avx512f",
  "avx512bw",
  "avx512vl",
  "asimd",
  "sve",
];

function cpuFeatures(): string[] | null {
  const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(textOf("/proc/cpuinfo") ?? "")?.[1];
  if (flags === undefined) return null;
  const has = new Set(flags.split(" "));
  return interesting.filter((name) => has.has(name));
}

function openFileLimit(): number | null {
  const soft = /^Max open files\s+(\S+)/m.exec(textOf("/proc/self/limits") ?? "")?.[1];
  if (soft === undefined) return null;
  return soft === "unlimited" ? Number.POSITIVE_INFINITY : Number(soft);
}

function shmSpace(): MachineFacts["shm"] {
  try {
    const { bsize, blocks, bavail } = statfsSync("/dev/shm");
    return { total: bsize * blocks, free: bsize * bavail };
  } catch {
    return null;
  }
}

/** Where the addon was loaded from: Node keeps it among its loaded modules. */
function addonFile(): string {
  const file = Object.keys(require.cache).find((path) => /tilecast[^/\\]*\.node$/.test(path));
  if (file === undefined) return "loaded";
  return relative(fileURLToPath(new URL("../..", import.meta.url)), file);
}

async function gpuFacts(): Promise<Attempt<NativeGpuAdapter>> {
  const search = searchGpu();
  if (!search.likely) return { ok: false, why: [search.reason, ...search.advice].join("\n") };
  try {
    return { ok: true, value: (await openGpu()).adapter };
  } catch (error) {
    return { ok: false, why: (error as Error).message };
  }
}

/** Looks at this machine. Makes, and removes, one small shared-memory pool. */
export async function inspectMachine(): Promise<MachineFacts> {
  const [napari, imageJ] = await Promise.all([findPython(["napari", "pyzmq", "numpy", "Qt"]), findImageJ()]);
  const { DISPLAY, WAYLAND_DISPLAY, QT_QPA_PLATFORM } = process.env;
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined;
  const glibc = report?.header?.glibcVersionRuntime;
  const addon = attempt(() => {
    const binding = native();
    return { file: addonFile(), kernels: binding.kernels, versions: binding.versions() };
  });
  // Before anything makes a pool, which would do the same silently.
  const swept = attempt(() => native().TilePool.sweep());
  // A container's limit, where it is lower than the machine's memory. 0 or undefined: no limit, or not known.
  const limit = process.constrainedMemory() || Number.POSITIVE_INFINITY;
  return {
    tilecast: (require("../../package.json") as { version: string }).version,
    node: process.version,
    platform: process.platform,
    arch: process.arch,
    libc: glibc === undefined ? null : `glibc ${glibc}`,
    addon,
    cpu: {
      model: cpus()[0]?.model.trim() || process.arch,
      cores: availableParallelism(),
      features: cpuFeatures(),
      forced: process.env.TILECAST_CPU || null,
    },
    memory: { total: Math.min(totalmem(), limit), available: Math.min(freemem(), limit) },
    shm: shmSpace(),
    slot: addon.ok
      ? attempt(() => {
          native()
            .TilePool.create(1 << 20, 1)
            .close();
          return true as const;
        })
      : { ok: false, why: "the native addon does not load" },
    swept: swept.ok ? swept.value : { pools: 0, bytes: 0 },
    openFiles: openFileLimit(),
    gpu: addon.ok ? await gpuFacts() : null,
    // Found, not loaded: its native part starts threads.
    zeromq: attempt(() => (require("zeromq/package.json") as { version: string }).version),
    napari,
    imageJ,
    display: process.platform === "linux" ? (DISPLAY ?? WAYLAND_DISPLAY ?? QT_QPA_PLATFORM ?? "") : null,
  };
}
