// SPDX-License-Identifier: MIT
// `tilecast doctor`: what works on this machine, and how to get the rest.

import { parseArgs } from "node:util";
import { TilecastError } from "../errors.js";
import { inspectMachine, type MachineFacts } from "./machine-facts.js";

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

/** How planes get to the GPU. */
const planeWays = {
  bind: "reads and writes tiles where they are",
  copy: "copies tiles from where they are",
  stage: "tiles go through staging buffers",
};

function gpuFinding({ gpu }: MachineFacts): Finding {
  if (gpu === null || !gpu.ok) {
    const [first = "", ...rest] = (gpu?.why ?? "the native addon does not load").split("\n");
    return {
      name: "GPU",
      state: "absent",
      detail: `${first.trim()}; pipelines run on the processor`,
      advice: rest.map((line) => line.replace(/^\s*(-\s*)?/, "")).filter((line) => line !== ""),
    };
  }
  const { name, driver, backend, software, planes, hostMappedReason } = gpu.value;
  const parts = [
    name,
    ...(driver ? [driver] : []),
    backend,
    planes === "stage" && hostMappedReason ? `${planeWays.stage} (${hostMappedReason})` : planeWays[planes],
  ];
  return software
    ? {
        name: "GPU",
        state: "limited",
        detail: parts.join("; "),
        advice: ["this is a processor that plays a GPU: slower than --engine cpu, for tests only"],
      }
    : { name: "GPU", state: "ok", detail: parts.join("; "), advice: [] };
}

function viewerFindings({ zeromq, napari, imageJ, display }: MachineFacts): Finding[] {
  const tried = (search: { tried: readonly { what: string; why: string }[] }) =>
    search.tried.map(({ what, why }) => `${what}: ${why}`).join("; ");
  const windows: Pick<Finding, "state" | "advice"> =
    display === ""
      ? { state: "limited", advice: ["no display here: ssh -X, or xvfb-run tilecast ..."] }
      : { state: "ok", advice: [] };
  return [
    zeromq.ok
      ? { name: "zeromq", state: "ok", detail: `${zeromq.value}, for viewers and servers`, advice: [] }
      : {
          name: "zeromq",
          state: "absent",
          detail: "not installed; viewers, servers and --publish need it",
          advice: ["npm install zeromq"],
        },
    napari.ok
      ? {
          name: "napari",
          detail: `${napari.value.versions.napari} with ${napari.value.versions.Qt}, ${napari.value.python}`,
          ...windows,
        }
      : {
          name: "napari",
          state: "absent",
          detail: `not found (${tried(napari)})`,
          advice: [
            'python3 -m venv ~/napari && ~/napari/bin/pip install "napari[pyqt6]" pyzmq',
            "export TILECAST_VIEWERS_PYTHON=~/napari/bin/python",
          ],
        },
    imageJ.ok
      ? {
          name: "Fiji",
          detail: `${imageJ.value.fiji ?? "the ImageJ that tilecast ships"}, Java ${imageJ.value.version}`,
          ...windows,
        }
      : {
          name: "Fiji",
          state: "absent",
          detail: `not found (${tried(imageJ)})`,
          advice: ["Java: apt-get install default-jre", "Fiji: export TILECAST_FIJI=/path/to/Fiji.app"],
        },
  ];
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
  findings.push(gpuFinding(facts), ...viewerFindings(facts));
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
  const facts = await inspectMachine();
  const diagnosis = diagnose(facts);
  const colour = process.stdout.isTTY === true && !process.env.NO_COLOR;
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ ...diagnosis, machine: facts }, null, 2)}\n`
      : renderDiagnosis(facts, diagnosis, colour),
  );
  return diagnosis.usable ? 0 : 1;
}
