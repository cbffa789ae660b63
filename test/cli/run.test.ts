// SPDX-License-Identifier: MIT
// `tilecast run` and `tilecast demo` as processes: exit codes, output streams, Ctrl-C, kill -9 and what they leave behind.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { temporaryFolders } from "../helpers/folder.js";
import { runJson, stateCounts, storeDigests, table } from "../helpers/results.js";
import { repository } from "../helpers/shared.js";
import { type SmallPlateOptions, smallPlate } from "../helpers/small-plate.js";

const folder = temporaryFolders();
const main = join(repository, "dist", "cli", "main.js");
const env = { ...process.env, NO_COLOR: "1", FORCE_COLOR: "" };

function cli(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { encoding: "utf8", env });
  return { code: status, stdout, stderr };
}

const quick = `export default ({ pipeline, op }) => pipeline("quick")
  .step("project", op.maxProject())
  .step("segment", op.threshold({ value: 40 }), op.label())
  .step("measure", op.measure(["area", "mean_intensity"]));`;

/** Each plane takes a while, so that a signal finds the run under way. */
const slow = `export default ({ pipeline, op }) => pipeline("slow")
  .step("project", op.maxProject())
  .step("smooth", op.gaussian({ sigma: 40 }), op.gaussian({ sigma: 40 }), op.gaussian({ sigma: 40 }))
  .step("segment", op.otsu(), op.label())
  .step("measure", op.measure(["area", "mean_intensity"], { intensity: "smooth" }));`;

function make(pipeline: string, options: SmallPlateOptions = {}) {
  const root = join(folder(), "plate");
  const planes = smallPlate(root, { wells: ["A01", "A02", "B01"], channels: [2], ...options });
  const file = join(folder(), "pipeline.mjs");
  writeFileSync(file, pipeline);
  return { root, planes, file, out: join(folder(), "out") };
}

describe("tilecast run", () => {
  test("writes the results, says so on stdout and ends with 0", () => {
    const { root, file, out } = make(quick);
    const { code, stdout, stderr } = cli("run", root, "-p", file, "-o", out);
    expect(stderr.replace(/^\d+\/6 planes.*\n/gm, "")).toBe("");
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split("\n");
    expect(lines[0]).toMatch(/^\u2713 complete {2}6 of 6 planes in \d/);
    expect(lines[1]).toMatch(/^ {2}\d+ objects, 3 wells, 0 Mpx at \d+ Mpx\/s, \d+\.\d MB written$/);
    for (const name of ["report.html", "plate.ome.zarr", "measurements.csv", "run.json"]) {
      expect(existsSync(join(out, name))).toBe(true);
      expect(stdout).toContain(name);
    }
    expect(readFileSync(join(out, "report.html"), "utf8")).toContain("tilecast run");
  });

  test("--view web of a run that cannot begin ends with 1 all the same", () => {
    const { root, file, out } = make(quick);
    expect(cli("run", root, "-p", file, "-o", out, "-q").code).toBe(0);
    const { code, stderr } = cli("run", root, "-p", file, "-o", out, "-q", "--view", "web");
    expect(stderr).toContain("[ERR_OUTPUT_EXISTS]");
    expect(code).toBe(1);
  });

  test("--json prints the report as one JSON object, --quiet nothing", () => {
    const { root, file, out } = make(quick);
    const json = JSON.parse(cli("run", root, "-p", file, "-o", out, "--json").stdout);
    expect(json).toMatchObject({ outcome: "complete", out, planes: { total: 6, done: 6 } });
    expect(cli("run", root, "-p", file, "-o", out, "--resume", "-q")).toEqual({
      code: 0,
      stdout: "",
      stderr: "",
    });
    expect(stateCounts(out)).toEqual({ reused: 6 });
  });

  test("--wells takes names and ranges", () => {
    const { root, file, out } = make(quick);
    expect(cli("run", root, "-p", file, "-o", out, "--wells", "A*", "-q").code).toBe(0);
    expect(runJson(out).wells.map((w) => w.well)).toEqual(["A01", "A02"]);
    const { code, stderr } = cli("run", root, "-p", file, "-o", join(out, "2"), "--wells", "H12");
    expect(code).toBe(1);
    expect(stderr).toMatch(/H12/);
  });

  test("ends with 3 when a plane failed, and names the plane on stdout", () => {
    const { root, file, out } = make(quick);
    // The header, which is all that opening the plate reads, stays; the pixels behind it go.
    const bad = join(root, "ZStep_1", "demo_A02_s1_w1.tif");
    const bytes = readFileSync(bad);
    bytes.writeUInt32LE(0x7ffffff0, bytes.readUInt32LE(4) + 2 + 12 * 6 + 8);
    writeFileSync(bad, bytes);
    const { code, stdout } = cli("run", root, "-p", file, "-o", out);
    expect(stdout).toMatch(/^\u2717 incomplete {2}4 of 6 planes in .*, 2 failed\n/);
    expect(stdout).toMatch(/A02 site 1 channel 1: .*demo_A02_s1_w1\.tif.* \(ERR_/);
    expect(code).toBe(3);
    expect(runJson(out).outcome).toBe("incomplete");
  });

  test.each<[string[], number, RegExp]>([
    [[], 2, /^tilecast: tilecast run takes one PLATE, and got 0; see tilecast run --help \[ERR_USAGE\]\n$/],
    [
      ["plate"],
      2,
      /^tilecast: tilecast run needs a pipeline: -p FILE; see tilecast run --help \[ERR_USAGE\]\n$/,
    ],
    [
      ["plate", "-p", "x.mjs"],
      2,
      /^tilecast: tilecast run needs an output folder: -o DIR; see tilecast run --help \[ERR_USAGE\]\n$/,
    ],
    [
      ["plate", "-p", "nowhere.mjs", "-o", "out"],
      1,
      /^tilecast: pipeline file .*nowhere\.mjs does not exist \[ERR_PIPELINE\]\n$/,
    ],
    [["--piepline"], 2, /Unknown option '--piepline'/],
  ])("refuses %j with exit code %i", (args, code, message) => {
    const got = cli("run", ...args);
    expect(got.stderr).toMatch(message);
    expect([got.code, got.stdout]).toEqual([code, ""]);
  });

  test("refuses wrong numbers, a folder with results, and a file that exports no pipeline", () => {
    const { root, file, out } = make(quick);
    const threads = cli("run", root, "-p", file, "-o", out, "--threads", "two");
    expect([threads.code, threads.stderr]).toEqual([
      2,
      'tilecast: --threads must be a positive integer, and is "two" [ERR_USAGE]\n',
    ]);
    expect(cli("run", root, "-p", file, "-o", out, "-q").code).toBe(0);
    const again = cli("run", root, "-p", file, "-o", out, "-q");
    expect(again.code).toBe(1);
    expect(again.stderr).toMatch(/already holds results .* \[ERR_OUTPUT_EXISTS\]\n$/);
    const wrong = join(folder(), "wrong.mjs");
    writeFileSync(wrong, "export default 5;");
    expect(cli("run", root, "-p", wrong, "-o", out).stderr).toBe(
      `tilecast: pipeline file ${wrong} must export a pipeline as its default: export default pipeline("name").step(...) [ERR_PIPELINE]\n`,
    );
  });

  test("--help names every option and exit code", () => {
    const { code, stdout } = cli("run", "--help");
    expect(code).toBe(0);
    for (const option of [
      "--pipeline",
      "--out",
      "--pattern",
      "--wells",
      "--resume",
      "--overwrite",
      "--zarr",
      "--compression",
      "--chunk",
      "--levels",
      "--threads",
      "--json",
      "--quiet",
    ]) {
      expect(stdout).toContain(option);
    }
    expect(stdout).toMatch(/Exit codes: 0 success; .*; 3 the run finished but some planes failed; 130 /);
  });
});

/** Shared memory that exists now. Other processes of the machine may have some too. */
const sharedMemory = () => new Set(existsSync("/dev/shm") ? readdirSync("/dev/shm") : []);

/** Names of the pool's shared memory that a process has mapped. */
function poolOf(child: ChildProcess): string[] {
  const maps = readFileSync(`/proc/${child.pid}/maps`, "utf8");
  return [...new Set([...maps.matchAll(/\/dev\/shm\/(tc-\S+)/g)].map((m) => m[1] as string))];
}

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts a slow run and gives its process once wells are being finished. */
async function under(args: string[], out: string): Promise<{ child: ChildProcess; ended: Promise<Ended> }> {
  const child = spawn(process.execPath, [main, "run", ...args, "-o", out, "--threads", "2"], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (part) => {
    stdout += part;
  });
  child.stderr?.on("data", (part) => {
    stderr += part;
  });
  const ended = new Promise<Ended>((done) =>
    child.on("close", (code, signal) => done({ code, signal, stdout, stderr })),
  );
  const dir = join(out, ".tilecast", "wells");
  await expect
    .poll(
      () =>
        child.exitCode !== null || (existsSync(dir) && readdirSync(dir).some((f) => f.endsWith(".state"))),
      {
        timeout: 50_000,
        interval: 5,
      },
    )
    .toBe(true);
  return { child, ended };
}

const wells = Array.from(
  { length: 36 },
  (_, i) => `${"ABC"[Math.floor(i / 12)]}${String((i % 12) + 1).padStart(2, "0")}`,
);
const large = { wells, channels: [2], width: 420, height: 400 } as const;

describe("a run that is interrupted", () => {
  test("by Ctrl-C ends with 130, keeps what is complete, leaves no shared memory, and resumes to the same bytes", async () => {
    const { root, file, out } = make(slow, large);
    const { child, ended } = await under([root, "-p", file], out);
    const mine = poolOf(child);
    expect(mine.length).toBeGreaterThan(1);
    child.kill("SIGINT");
    const { code, signal, stdout } = await ended;
    expect([code, signal]).toEqual([130, null]);
    expect(stdout).toMatch(/^\u25fc cancelled {2}\d+ of 72 planes in .* cancelled\n/);
    const left = sharedMemory();
    expect(mine.filter((name) => left.has(name))).toEqual([]);
    const counts = stateCounts(out);
    expect(counts.failed).toBeUndefined();
    expect((counts.done ?? 0) + (counts.cancelled ?? 0)).toBe(72);
    expect(counts.cancelled).toBeGreaterThan(0);
    expect(new Set(table(out).map((r) => r.well)).size).toBeGreaterThan(0);

    expect(cli("run", root, "-p", file, "-o", out, "--resume", "-q").code).toBe(0);
    const clean = join(folder(), "out");
    expect(cli("run", root, "-p", file, "-o", clean, "-q").code).toBe(0);
    expect(runJson(out).planes.reused).toBeGreaterThan(0);
    expect(readFileSync(join(out, "measurements.csv"), "utf8")).toBe(
      readFileSync(join(clean, "measurements.csv"), "utf8"),
    );
    expect(storeDigests(out)).toEqual(storeDigests(clean));
  });

  test("by SIGTERM ends with 143", async () => {
    const { root, file, out } = make(slow, large);
    const { child, ended } = await under([root, "-p", file], out);
    child.kill("SIGTERM");
    expect((await ended).code).toBe(143);
    expect(runJson(out).outcome).toBe("cancelled");
  });

  test("by kill -9 resumes to the same bytes", async () => {
    const { root, file, out } = make(slow, large);
    const { child, ended } = await under([root, "-p", file], out);
    child.kill("SIGKILL");
    expect((await ended).signal).toBe("SIGKILL");
    expect(existsSync(join(out, "run.json"))).toBe(false);

    expect(cli("run", root, "-p", file, "-o", out, "--resume", "-q").code).toBe(0);
    const report = runJson(out);
    expect(report.planes.reused).toBeGreaterThan(0);
    expect(report.planes.done).toBeGreaterThan(0);
    const clean = join(folder(), "out");
    expect(cli("run", root, "-p", file, "-o", clean, "-q").code).toBe(0);
    expect(readFileSync(join(out, "measurements.csv"), "utf8")).toBe(
      readFileSync(join(clean, "measurements.csv"), "utf8"),
    );
    expect(storeDigests(out)).toEqual(storeDigests(clean));
  });

  test("by kill -9 leaves shared memory only until the next run", async () => {
    const { root, file, out } = make(slow, large);
    const { child, ended } = await under([root, "-p", file], out);
    const mine = poolOf(child);
    expect(mine.length).toBeGreaterThan(1);
    child.kill("SIGKILL");
    await ended;
    const next = make(quick);
    expect(cli("run", next.root, "-p", next.file, "-o", next.out, "-q").code).toBe(0);
    const left = sharedMemory();
    expect(mine.filter((name) => left.has(name))).toEqual([]);
  });
});

describe("the command line", () => {
  test("without a verb, or with one it does not know, ends with 2", () => {
    const none = cli();
    expect([none.code, none.stdout]).toEqual([2, ""]);
    expect(none.stderr).toMatch(/^tilecast \d+\.\d+\.\d+: /);
    const unknown = cli("rum");
    expect([unknown.code, unknown.stdout]).toEqual([2, ""]);
    expect(unknown.stderr).toMatch(/^tilecast: there is no verb "rum"; known: demo, run, .*\n$/);
  });

  test("a plate that is not there ends with 1", () => {
    const { file, out } = make(quick);
    const gone = join(folder(), "gone");
    expect(cli("run", gone, "-p", file, "-o", out)).toEqual({
      code: 1,
      stdout: "",
      stderr: `tilecast: ${gone} does not exist [ERR_PLATE_NOT_FOUND]\n`,
    });
    expect(existsSync(out)).toBe(false);
  });

  test("tilecast demo makes a plate, runs it and says where the report is", () => {
    const dir = join(folder(), "demo");
    const { code, stdout } = cli("demo", dir, "--wells", "2");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Made a plate of 2 wells, \d+ planes, in /);
    expect(stdout).toContain("Open the report: file://");
    expect(runJson(join(dir, "results")).outcome).toBe("complete");
    expect(table(join(dir, "results")).length).toBeGreaterThan(100);
  });
});
