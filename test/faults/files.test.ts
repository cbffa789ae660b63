// SPDX-License-Identifier: MIT
// Whole runs over plates with files that cannot be read, change while they are read, have odd names, or promise more than they hold.

import { spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { deflateSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { temporaryFolders } from "../helpers/folder.js";
import { runJson, table } from "../helpers/results.js";
import { writeTiff } from "../helpers/tiff.js";
import {
  cleanRun,
  cli,
  cliAsNobody,
  cliWith,
  env,
  expectSame,
  main,
  make,
  mischievous,
  wells,
} from "./whole-runs.js";

const folder = temporaryFolders();
const plane = (root: string, well: string, z = 1) => join(root, `ZStep_${z}`, `demo_${well}_s1_w1.tif`);

/** Code and file of each failure of a run, by well. */
function failures(out: string): Record<string, string> {
  return Object.fromEntries(runJson(out).failures.map((f) => [f.well, `${f.code}: ${f.message}`]));
}

/** A TIFF of one strip that holds `data`, whatever its header says. */
function tiffClaiming(width: number, height: number, compression: number, data: Uint8Array): Buffer {
  const fields: [number, number, number][] = [
    [256, 4, width],
    [257, 4, height],
    [258, 3, 16],
    [259, 3, compression],
    [262, 3, 1],
    [273, 4, 8],
    [277, 3, 1],
    [278, 4, height],
    [279, 4, data.length],
  ];
  const at = 8 + data.length + (data.length % 2);
  const bytes = Buffer.alloc(at + 2 + 12 * fields.length + 4);
  bytes.write("II*\0", "latin1");
  bytes.writeUInt32LE(at, 4);
  bytes.set(data, 8);
  bytes.writeUInt16LE(fields.length, at);
  for (const [i, [tag, type, value]] of fields.entries()) {
    const entry = at + 2 + 12 * i;
    bytes.writeUInt16LE(tag, entry);
    bytes.writeUInt16LE(type, entry + 2);
    bytes.writeUInt32LE(1, entry + 4);
    bytes.writeUInt32LE(value, entry + 8);
  }
  return bytes;
}

describe("files that cannot be read", () => {
  test("fail their planes with the reason; the others are done, and --resume does the rest once they are repaired", () => {
    const { dir, root, file } = make(folder);
    const clean = cleanRun(folder, root, file);
    const damage: Record<string, (path: string) => void> = {
      A01: (path) => chmodSync(path, 0),
      A02: (path) => writeFileSync(path, ""),
      A03: (path) => {
        rmSync(path);
        symlinkSync(path, path);
      },
      B01: (path) => writeFileSync(path, "not an image"),
    };
    const originals = new Map<string, Buffer>();
    for (const [well, spoil] of Object.entries(damage)) {
      originals.set(plane(root, well), readFileSync(plane(root, well)));
      spoil(plane(root, well));
    }
    for (const path of [dir, root]) chmodSync(path, 0o755);
    const writable = join(dir, "open");
    mkdirSync(writable);
    chmodSync(writable, 0o777);
    const out = join(writable, "out");
    const got = cliAsNobody("run", root, "-p", file, "-o", out);
    expect([got.code, got.stderr.replace(/^\d+\/\d+ planes.*\n/gm, "")]).toEqual([3, ""]);
    const report = runJson(out);
    expect(report.outcome).toBe("incomplete");
    const said = failures(out);
    expect(Object.keys(said).sort()).toEqual(["A01", "A02", "A03", "B01"]);
    expect(said.A01).toMatch(/ERR_IO.*Permission denied/);
    expect(said.A02).toMatch(/ERR_TIFF_DAMAGED.*the file is empty/);
    expect(said.A03).toMatch(/ERR_IO.*symbolic links/);
    expect(said.B01).toMatch(/ERR_TIFF_DAMAGED/);
    expect(report.wells.filter((w) => w.status === "done").map((w) => w.well)).toEqual(["B02", "B03"]);

    for (const [path, bytes] of originals) {
      rmSync(path, { force: true });
      writeFileSync(path, bytes);
    }
    expect(cli("run", root, "-p", file, "-o", out, "--resume", "-q").code).toBe(0);
    expect(runJson(out).planes).toMatchObject({ reused: 4, done: 8, failed: 0 });
    expectSame(out, clean);
  });

  test("a folder in the place of a file is a missing plane, and a link back to the plate is not followed for ever", () => {
    const { root, file, out } = make(folder);
    rmSync(plane(root, "A02"));
    mkdirSync(plane(root, "A02"));
    symlinkSync("..", join(root, "ZStep_1", "up"));
    symlinkSync("loop", join(root, "loop"));
    const got = cli("run", root, "-p", file, "-o", out, "-q");
    expect(got.code).toBe(0);
    const states = runJson(out).planeStates.filter((p) => p.well === "A02");
    expect(states.map((p) => [p.z_index, p.state])).toEqual([
      [2, "done"],
      [1, "missing"],
    ]);
  });
});

describe("files that change while the run reads", () => {
  test("fail their planes, whatever happened to them, and the others are done", () => {
    const { dir, root, out } = make(folder);
    const at = (well: string) => JSON.stringify(plane(root, well));
    const other = join(dir, "other.tif");
    writeTiff(other, { width: 20, height: 10, dtype: "uint8", value: () => 1 });
    const file = mischievous(
      dir,
      `fs.truncateSync(${at("A02")}, 700);
       fs.renameSync(${JSON.stringify(other)}, ${at("A03")});
       fs.rmSync(${at("B01")});
       fs.truncateSync(${at("B02")}, 0);`,
    );
    const originals = new Map(
      ["A02", "A03", "B01", "B02"].map((w) => [plane(root, w), readFileSync(plane(root, w))]),
    );
    const got = cli("run", root, "-p", file, "-o", out, "--threads", "1");
    expect(got.code).toBe(3);
    const said = failures(out);
    expect(said.A02).toMatch(/^ERR_TIFF_DAMAGED/);
    expect(said.A03).toMatch(
      /^ERR_OP_SHAPE: .*the file changed since the plate was opened: it was 160 x 120 uint16 and is 20 x 10 uint8/,
    );
    expect(said.B01).toMatch(/^ERR_IO: .*No such file/);
    expect(said.B02).toMatch(/^ERR_TIFF_DAMAGED: .*empty/);
    expect(
      runJson(out)
        .wells.filter((w) => w.status === "done")
        .map((w) => w.well),
    ).toEqual(["A01", "B03"]);

    for (const [path, bytes] of originals) writeFileSync(path, bytes);
    expect(cli("run", root, "-p", file, "-o", out, "--threads", "1", "--resume", "-q").code).toBe(0);
    expectSame(out, cleanRun(folder, root, file));
  });

  test("a file that shrinks between its header and its pixels fails its plane and does not end the process", async () => {
    // One writer truncates and restores a large file as fast as it can while several runs read it.
    const { dir, root, file } = make(folder, { wells: ["A01"], channels: [1], width: 700, height: 600 });
    const path = plane(root, "A01");
    const keep = join(dir, "keep.tif");
    writeFileSync(keep, readFileSync(path));
    const writer = spawn(process.execPath, [
      "-e",
      `const fs = require("node:fs"), [path, keep] = process.argv.slice(1), bytes = fs.readFileSync(keep);
       for (;;) { fs.truncateSync(path, 4000); fs.writeFileSync(path, bytes); }`,
      path,
      keep,
    ]);
    try {
      for (let i = 0; i < 4; i++) {
        const got = cli("run", root, "-p", file, "-o", join(dir, `out${i}`), "-q");
        // Opened while it was short there is no plate to run; that has its own error.
        expect([0, 1, 3]).toContain(got.code);
        if (got.code === 1) expect(got.stderr).toMatch(/\[ERR_\w+\]\n$/);
        else for (const f of runJson(join(dir, `out${i}`)).failures) expect(f.code).toMatch(/^ERR_/);
      }
    } finally {
      writer.kill("SIGKILL");
    }
  });
});

describe("a run that is stopped", () => {
  test("by SIGSTOP goes on after SIGCONT as if nothing had been", async () => {
    const { dir, root, out } = make(folder);
    const file = mischievous(dir, 'process.kill(process.pid, "SIGSTOP");');
    const child = spawn(process.execPath, [main, "run", root, "-p", file, "-o", out, "-q"], {
      env,
      stdio: "ignore",
    });
    const ended = new Promise((done) => child.on("close", (code, signal) => done([code, signal])));
    const state = () => /^State:\s+(\S)/m.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1];
    await expect.poll(() => existsSync(join(dir, "done")) && state(), { timeout: 30_000 }).toBe("T");
    await new Promise((r) => setTimeout(r, 1500));
    expect(state()).toBe("T");
    child.kill("SIGCONT");
    expect(await ended).toEqual([0, null]);
    expectSame(out, cleanRun(folder, root, file));
  });
});

describe("odd names", () => {
  test("of plate, files, pipeline and output folder are taken as they are", () => {
    const { dir, root, planes, file } = make(folder);
    const odd = `-rf ; $(touch owned) 'q" <b>&amp; ünï日本`;
    const plate = join(dir, `${odd}\nplate`);
    renameSync(root, plate);
    for (const p of planes) {
      const from = join(plate, p.path);
      renameSync(from, join(dirname(from), `${odd}_${p.well}_s1_w1.tif`));
    }
    const oddFile = join(dir, "a pipeline's #1?.mjs");
    renameSync(file, oddFile);
    const out = join(dir, `out\n${odd}`);
    const got = cli("run", plate, "-p", oddFile, "-o", out);
    expect([got.code, got.stderr.replace(/^\d+\/\d+ planes.*\n/gm, "")]).toEqual([0, ""]);
    expect([...new Set(table(out).map((r) => r.well))]).toEqual([...wells]);
    expect(runJson(out).planes).toMatchObject({ total: 12, done: 12 });
    const html = readFileSync(join(out, "report.html"), "utf8");
    expect(html).not.toContain("<b>&amp; ");
    expect(existsSync(join(dir, "owned")) || existsSync("owned")).toBe(false);
  });
});

describe("headers that promise more than their files hold", () => {
  test("fail their planes, and the run needs the memory of one without them", () => {
    const { dir, root, file } = make(folder);
    const hook = join(dir, "memory.mjs");
    writeFileSync(
      hook,
      `import { writeFileSync } from "node:fs";
       process.on("exit", () => writeFileSync(process.env.PEAK_FILE, String(process.resourceUsage().maxRSS)));`,
    );
    const peakOf = (out: string) => {
      const peak = join(dir, "peak");
      const { code } = cliWith(
        { NODE_OPTIONS: `--import=${hook}`, PEAK_FILE: peak },
        ...["run", root, "-p", file, "-o", out, "-q", "--threads", "2"],
      );
      return { code, mib: Number(readFileSync(peak, "utf8")) / 1024 };
    };
    const usual = peakOf(join(dir, "usual"));
    expect(usual.code).toBe(0);
    const zeros = deflateSync(Buffer.alloc(1_000_000));
    writeFileSync(plane(root, "A01"), tiffClaiming(100_000, 100_000, 1, Buffer.from("tiny")));
    writeFileSync(plane(root, "A02"), tiffClaiming(0x7fffffff, 0x7fffffff, 1, Buffer.from("tiny")));
    writeFileSync(plane(root, "A03"), tiffClaiming(50_000, 50_000, 8, zeros));
    writeFileSync(plane(root, "B01"), tiffClaiming(30_000, 30_000, 5, Buffer.from("\x80\x00")));
    const out = join(dir, "out");
    const bombs = peakOf(out);
    expect(bombs.code).toBe(3);
    const said = failures(out);
    expect(Object.keys(said)).toEqual(["A01", "A02", "A03", "B01"]);
    for (const message of Object.values(said)) expect(message).toMatch(/ERR_TIFF_DAMAGED/);
    expect(
      runJson(out)
        .wells.filter((w) => w.status === "done")
        .map((w) => w.well),
    ).toEqual(["B02", "B03"]);
    // Peaks of two equal runs differ by tens of MiB; the smallest of these images would take 1700.
    expect(bombs.mib).toBeLessThan(usual.mib + 300);
  });
});
