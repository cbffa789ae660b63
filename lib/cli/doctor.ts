// SPDX-License-Identifier: MIT
// `tilecast doctor`: what works on this machine, and how to get the rest.

import { readFileSync, statfsSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, cpus, freemem, totalmem } from "node:os";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { TilecastError } from "../errors.js";
import { type NativeBinding, native } from "../native.js";

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
}

/** `ok` works; `limited` works with a drawback; `absent` is optional and not there; `broken` is necessary and does not work. */
export type FindingState = "ok" | "limited" | "absent" | "broken";

export interface Finding {
  readonly name: string;
  readonly state: FindingState;
  readonly detail: string;
  /** What to do about it, one command or setting a line; empty when nothing needs doing. */
  readonly advice: readonly string[];
}

export interface Diagnosis {
  /** Whether pipelines can run here. */
  readonly usable: boolean;
  readonly findings: readonly Finding[];
}

const gib = 2 ** 30;
const size = (bytes: number): string =>
  bytes >= gib
    ? `${(bytes / gib).toFixed(bytes < 10 * gib ? 1 : 0)} GiB`
    : `${Math.round(bytes / 2 ** 20)} MiB`;

const sentences = (text: string): string => (text.split("\n")[0] as string).trim();

function addonFinding({ addon, platform, arch }: MachineFacts): Finding {
  if (addon.ok) return { name: "native addon", state: "ok", detail: addon.value.file, advice: [] };
  const [first, ...rest] = addon.why.split("\n");
  return {
    name: "native addon",
    state: "broken",
    detail: first || `does not load on ${platform}-${arch}`,
    advice: rest.filter((line) => line.startsWith("  - ")).map((line) => line.slice(4)),
  };
}

function cpuFinding({ cpu, addon }: MachineFacts): Finding {
  const parts = [`${cpu.model}, ${cpu.cores} ${cpu.cores === 1 ? "core" : "cores"}`];
  if (addon.ok) parts.push(`kernels ${addon.value.kernels}`);
  if (cpu.features !== null)
    parts.push(cpu.features.length ? cpu.features.join(" ") : "no vector extensions");
  return {
    name: "processor",
    state: cpu.forced === null ? "ok" : "limited",
    detail: parts.join("; "),
    advice:
      cpu.forced === null ? [] : [`TILECAST_CPU=${cpu.forced} is set; unset it to use the best kernels`],
  };
}

/** Below this a run has fewer than 64 slots of a 2048 x 2048 uint16 plane. */
const comfortableShm = 512 * 2 ** 20;

function shmFinding({ shm, slot, memory }: MachineFacts): Finding {
  const where = shm ? `/dev/shm has ${size(shm.total)}, ${size(shm.free)} free` : "POSIX shared memory";
  const enlarge = [
    "container: run it with more, for example docker run --shm-size=8g",
    `host: mount -o remount,size=${Math.max(1, Math.floor(memory.total / 2 / gib))}g /dev/shm`,
  ];
  if (!slot.ok) {
    return {
      name: "shared memory",
      state: "broken",
      detail: `${where}; a slot cannot be made: ${sentences(slot.why)}`,
      advice: shm ? ["remove what is left in it: ls -l /dev/shm", ...enlarge] : [],
    };
  }
  if (shm && shm.free < comfortableShm) {
    return {
      name: "shared memory",
      state: "limited",
      detail: `${where}; pools will be small`,
      advice: enlarge,
    };
  }
  return { name: "shared memory", state: "ok", detail: `${where}; a slot can be made`, advice: [] };
}

/** Judges the facts. Pure: the same facts give the same diagnosis. */
export function diagnose(facts: MachineFacts): Diagnosis {
  const findings: Finding[] = [addonFinding(facts), cpuFinding(facts)];
  findings.push({
    name: "memory",
    state: "ok",
    detail: `${size(facts.memory.total)}, ${size(facts.memory.available)} available`,
    advice: [],
  });
  findings.push(shmFinding(facts));
  if (facts.swept.pools > 0) {
    findings.push({
      name: "left over",
      state: "ok",
      detail: `removed ${facts.swept.pools} ${facts.swept.pools === 1 ? "pool" : "pools"} of processes that were killed, ${size(facts.swept.bytes)}`,
      advice: [],
    });
  }
  if (facts.openFiles !== null) {
    const few = facts.openFiles < 1024;
    findings.push({
      name: "open files",
      state: few ? "limited" : "ok",
      detail: `limit ${facts.openFiles === Number.POSITIVE_INFINITY ? "none" : facts.openFiles}`,
      advice: few ? ["raise it: ulimit -n 4096"] : [],
    });
  }
  if (facts.addon.ok) {
    const { libtiff, ...codecs } = facts.addon.value.versions;
    const list = Object.entries(codecs).map(([name, version]) => `${name} ${version}`);
    findings.push({ name: "codecs", state: "ok", detail: list.join(", "), advice: [] });
    findings.push(
      libtiff === null
        ? {
            name: "libtiff",
            state: "absent",
            detail: "not found; only TIFFs with rare compressions (JPEG, CCITT fax, ...) need it",
            advice: ["Debian 12 or newer, Ubuntu 24.04: apt-get install libtiff6; older: libtiff5"],
          }
        : { name: "libtiff", state: "ok", detail: `${libtiff}, for rare TIFF compressions`, advice: [] },
    );
  }
  findings.push({
    name: "GPU",
    state: "absent",
    detail: "not built in yet; pipelines run on the processor",
    advice: [],
  });
  return { usable: !findings.some((finding) => finding.state === "broken"), findings };
}

const marks: Record<FindingState, readonly [mark: string, colour: number]> = {
  ok: ["✓", 32],
  limited: ["!", 33],
  absent: ["–", 2],
  broken: ["✗", 31],
};

/** The diagnosis as text for a terminal, ending with a newline. */
export function renderDiagnosis(
  facts: MachineFacts,
  { usable, findings }: Diagnosis,
  colour: boolean,
): string {
  const paint = (code: number, text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  const width = Math.max(...findings.map(({ name }) => name.length));
  const lines = [
    `tilecast ${facts.tilecast} on ${facts.platform}-${facts.arch}, node ${facts.node}, ${facts.libc ?? "no glibc"}`,
    "",
  ];
  for (const { name, state, detail, advice } of findings) {
    const [mark, code] = marks[state];
    lines.push(`${paint(code, mark)} ${name.padEnd(width)}  ${detail}`);
    for (const line of advice) lines.push(`${" ".repeat(width + 4)}${paint(2, `-> ${line}`)}`);
  }
  lines.push(
    "",
    usable
      ? "Everything that is needed works. Python, Java and a network are not needed."
      : "Something that is needed does not work: see the lines marked ✗.",
    "",
  );
  return lines.join("\n");
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

/** Looks at this machine. Makes, and removes, one small shared-memory pool. */
export function inspectMachine(): MachineFacts {
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
  };
}

export const doctorUsage = `Usage: tilecast doctor [options]

Says what works on this machine, and how to get the rest. Makes, and removes, one small shared-memory pool.

Options:
  --json       the findings and what they rest on as JSON
  -h, --help   this text

Exit code: 0 when pipelines can run here, 1 when something necessary does not work.
`;

/** Runs the verb; resolves with its exit code. Throws ERR_USAGE. */
export async function doctorCommand(args: readonly string[]): Promise<number> {
  let values: { json?: boolean; help?: boolean };
  try {
    const options = { json: { type: "boolean" }, help: { type: "boolean", short: "h" } } as const;
    values = parseArgs({ args: [...args], options }).values;
  } catch (cause) {
    throw new TilecastError("ERR_USAGE", `${(cause as Error).message}\n\n${doctorUsage}`, { cause });
  }
  if (values.help) {
    process.stdout.write(doctorUsage);
    return 0;
  }
  const facts = inspectMachine();
  const diagnosis = diagnose(facts);
  const colour = process.stdout.isTTY === true && !process.env.NO_COLOR;
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ ...diagnosis, machine: facts }, null, 2)}\n`
      : renderDiagnosis(facts, diagnosis, colour),
  );
  return diagnosis.usable ? 0 : 1;
}
