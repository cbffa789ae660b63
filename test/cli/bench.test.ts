// SPDX-License-Identifier: MIT
// `tilecast bench` measures in real processes, writes what compare and the page read, and judges by the figures alone.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { compareResults } from "../../lib/bench/compare.js";
import { renderPage } from "../../lib/bench/page.js";
import { questions } from "../../lib/bench/questions/index.js";
import { type BenchResult, parseResult, type Row, rowsOf, type Series } from "../../lib/bench/result.js";
import { verdicts } from "../../lib/bench/verdicts.js";
import { temporaryFolders } from "../helpers/folder.js";
import { needsPeer, repository } from "../helpers/shared.js";
import { thrown } from "../helpers/throws.js";
import { chromium, Page } from "../report/chromium.js";

const folder = temporaryFolders();
const main = join(repository, "dist", "cli", "main.js");

function tilecast(...args: string[]) {
  const env = { ...process.env, NO_COLOR: "1" };
  return spawnSync(process.execPath, [main, ...args], { encoding: "utf8", env });
}

/** Empty for a process that is gone. */
function proc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, "utf8");
  } catch {
    return "";
  }
}
const cmdline = (pid: number) => proc(`${pid}/cmdline`);
const childrenOf = (pid: number | undefined) =>
  proc(`${pid}/task/${pid}/children`).split(" ").filter(Boolean).map(Number);

const series = (subject: string, values: readonly number[], more: Partial<Series> = {}): Series => ({
  question: "tiff-read",
  case: "deflate, 1 core",
  subject,
  unit: "MB/s",
  higherIsBetter: true,
  values,
  ...more,
});

function row(subject: string, values: readonly number[], more: Partial<Series> = {}): Row {
  return rowsOf([series(subject, values, more)])[0] as Row;
}

const resultOf = (...rows: Row[]): BenchResult => ({
  machine: { cpu: "Fast CPU", cores: 2 },
  commit: null,
  rows,
});

describe("rows", () => {
  test("are medians with their extremes, and ratios of medians to the best peer and to the limit", () => {
    const rows = rowsOf([
      series("tilecast", [400, 380, 480], {
        limit: { case: "deflate, 1 core", subject: "limit: the codec alone", name: "the codec alone" },
      }),
      series("tifffile", [90, 100, 110]),
      series("OpenCV", [200, 220]),
      series("limit: the codec alone", [500, 400, 600]),
    ]);
    expect(rows[0]).toEqual({
      question: "tiff-read",
      case: "deflate, 1 core",
      subject: "tilecast",
      value: 400,
      unit: "MB/s",
      higherIsBetter: true,
      spread: { min: 380, max: 480, trials: 3 },
      ratioToBestPeer: 400 / 210,
      ratioToLimit: 0.8,
      limit: "the codec alone",
    });
    expect(rows.map((r) => r.ratioToBestPeer)).toEqual([400 / 210, 100 / 400, 210 / 400, null]);
  });

  test("a limit may be another case, several times over", () => {
    const one = series("tilecast", [10], { case: "plate, 1 core" });
    const four = series("tilecast", [30], {
      case: "plate, 4 cores",
      limit: { case: "plate, 1 core", subject: "tilecast", name: "4 x one core", factor: 4 },
    });
    expect(rowsOf([one, four])[1]?.ratioToLimit).toBe(0.75);
  });

  test("where less is better, the best peer is the one with the least", () => {
    const less = { higherIsBetter: false, unit: "s" };
    const rows = rowsOf([series("tilecast", [2], less), series("a", [6], less), series("b", [8], less)]);
    expect(rows[0]?.ratioToBestPeer).toBe(3);
  });

  test("another way of ours is no peer of ours, but one of the others'", () => {
    const rows = rowsOf([series("tilecast", [4]), series("tilecast, polling", [6]), series("a", [2])]);
    expect(rows.map((r) => r.ratioToBestPeer)).toEqual([2, 3, 2 / 6]);
  });

  test("a peer that is missing keeps its row and the reason", () => {
    const rows = rowsOf([
      series("tilecast", [2]),
      series("sharp", [], { missing: "sharp is not installed" }),
    ]);
    expect(rows[1]).toMatchObject({
      subject: "sharp",
      value: null,
      spread: null,
      missing: "sharp is not installed",
    });
    expect(rows[0]?.ratioToBestPeer).toBeNull();
  });
});

describe("compare", () => {
  const one = (a: Row, b: Row) => compareResults(resultOf(a), resultOf(b))[0];

  test("ranges that do not touch are a difference, in the direction of the unit", () => {
    expect(one(row("tilecast", [90, 100, 110]), row("tilecast", [150, 111, 160]))).toMatchObject({
      a: 100,
      b: 150,
      ratio: 1.5,
      outcome: "better",
    });
    expect(one(row("tilecast", [90, 100, 110]), row("tilecast", [50, 40, 89]))).toMatchObject({
      ratio: 0.5,
      outcome: "worse",
    });
    const seconds = { unit: "s", higherIsBetter: false };
    expect(one(row("tilecast", [9, 10, 11], seconds), row("tilecast", [4, 5, 6], seconds))).toMatchObject({
      ratio: 2,
      outcome: "better",
    });
  });

  test("ranges that touch are within the spread, however far apart the medians are", () => {
    expect(one(row("tilecast", [90, 100, 110]), row("tilecast", [110, 200, 210]))).toMatchObject({
      ratio: 2,
      outcome: "same",
    });
  });

  test("one trial has no spread to judge by", () => {
    expect(one(row("tilecast", [100]), row("tilecast", [300, 310, 320]))?.outcome).toBe("unknown");
  });

  test("what only one result has is named, with its reason", () => {
    const gone = row("sharp", [], { missing: "sharp is not installed" });
    const got = compareResults(resultOf(row("tilecast", [1, 1]), gone), resultOf(row("tifffile", [2, 2])));
    expect(got.map((d) => [d.subject, d.a, d.b, d.ratio, d.outcome, d.reason])).toEqual([
      ["tilecast", 1, null, null, "missing", undefined],
      ["sharp", null, null, null, "missing", "sharp is not installed"],
      ["tifffile", null, 2, null, "missing", undefined],
    ]);
  });

  test("the verb prints a table and writes JSON", () => {
    const at = folder();
    const [a, b, out] = ["a.json", "b.json", "out.json"].map((name) => join(at, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(a, JSON.stringify(resultOf(row("tilecast", [90, 100, 110]))));
    writeFileSync(b, JSON.stringify(resultOf(row("tilecast", [140, 150, 160]))));
    const { status, stdout } = tilecast("bench", "compare", a, b, "--json", out);
    expect(status).toBe(0);
    expect(stdout).toBe(
      [
        "a: Fast CPU, 2 cores",
        "b: Fast CPU, 2 cores",
        "",
        "question: case              subject   a: a.json  b: b.json  unit   b / a",
        "tiff-read: deflate, 1 core  tilecast        100        150  MB/s  1.50 x  better",
        "",
        "1 better, 0 worse, 0 within the spread, 0 of unknown spread, 0 missing",
        "",
      ].join("\n"),
    );
    expect(JSON.parse(readFileSync(out, "utf8")).differences).toHaveLength(1);
  });
});

describe("a result file", () => {
  test.each([
    ["{", "it is not JSON"],
    ["[]", "it is not an object"],
    ['{"machine":{},"commit":1,"rows":[]}', '"commit" is not a string or null'],
    ['{"machine":{},"commit":null,"rows":[{}]}', "rows[0].question must be string, and is undefined"],
    [
      JSON.stringify({ ...resultOf(), rows: [{ ...row("a", [1]), spread: 3 }] }),
      "rows[0].spread must be { min, max, trials } or null",
    ],
    [JSON.stringify({ ...resultOf(), about: { plate: 3 } }), '"about" is not { question: { title, how } }'],
  ])("that is %s is refused with the reason", async (text, why) => {
    const error = await thrown(() => parseResult(text, "x.json"));
    expect([error.code, error.message]).toEqual([
      "ERR_USAGE",
      `x.json is not a result of tilecast bench: ${why}`,
    ]);
  });
});

describe("verdicts", () => {
  const machine = { cores: 64, coresOfMachine: 64, numaNodes: 1, sharedMemoryFreeGB: 100, fileSystem: "xfs" };
  const copy = (cores: string, value: number) =>
    row("this node", [value], { question: "memory", case: `copy, DRAM, ${cores}`, unit: "GB/s" });
  const about = (found: ReturnType<typeof verdicts>, what: string) => found.filter((v) => v.about === what);

  test("memory that leaves a core less than pipelines use is short", () => {
    const [found] = about(verdicts(machine, [copy("1 core", 12), copy("64 cores", 48)], 0), "memory");
    expect(found?.state).toBe("short");
    expect(found?.text).toBe(
      "Memory copies at 48.0 GB/s by all cores, 0.75 GB/s a core; one core alone reaches 12.0, so about 4 of 64 saturate it. That is less than the 1.5 GB/s a core that pipelines of cheap steps use.",
    );
    expect(about(verdicts(machine, [copy("1 core", 12), copy("64 cores", 320)], 0), "memory")[0]?.state).toBe(
      "good",
    );
  });

  test("a small /dev/shm, several NUMA nodes, a quota and a noisy node are said with what to do", () => {
    const bad = { ...machine, numaNodes: 2, sharedMemoryFreeGB: 0.06, coreQuota: 4.5 };
    const found = verdicts(bad, [], 3.2);
    expect(found.map((v) => [v.about, v.state])).toEqual([
      ["cores", "short"],
      ["shared memory", "short"],
      ["NUMA", "short"],
      ["noise", "short"],
    ]);
    expect(found[0]?.advice).toBe("raise the quota, or run with --threads 4");
    expect(found[1]?.text).toContain("64 cores want about 4.48 GB");
    for (const v of found) expect(v.advice).not.toBe("");
  });

  test("a disk that compressed chunks outrun is short", () => {
    const rows = [
      row("this node", [200], { question: "disk", case: "write, to the device, 1 core" }),
      row("tilecast", [1000], { question: "zarr-write", case: "blosc-lz4, 64 cores" }),
    ];
    expect(about(verdicts(machine, rows, 0), "disk")[0]).toMatchObject({
      state: "short",
      text: "64 cores compress OME-Zarr to about 570 MB/s; the device behind the folder's file system (xfs) takes 200 MB/s: a long run that fills the page cache waits for it.",
    });
  });
});

describe("tilecast bench --quick", () => {
  let result: BenchResult & { options: object };
  let html: string;
  let out: string;
  const at = folder;

  beforeAll(() => {
    const work = at();
    out = at();
    const files = ["--json", join(out, "r.json"), "--html", join(out, "r.html")];
    const { status, stdout, stderr } = tilecast("bench", "--quick", "-q", "--folder", work, ...files);
    expect([status, stderr]).toEqual([0, ""]);
    for (const { name } of questions) expect(stdout).toContain(`\n${name}\n`);
    // What it made to measure is gone.
    expect(readdirSync(work)).toEqual([]);
    result = parseResult(readFileSync(join(out, "r.json"), "utf8"), "r.json") as typeof result;
    html = readFileSync(join(out, "r.html"), "utf8");
  });

  test("answers every question with figures of two trials each, none missing", () => {
    expect([...new Set(result.rows.map((r) => r.question))]).toEqual(questions.map((q) => q.name));
    for (const r of result.rows) {
      expect(r.missing, `${r.question}: ${r.case}`).toBeUndefined();
      expect(r.value).toBeGreaterThan(0);
      expect(r.spread?.trials).toBe(2);
      expect(r.spread?.min).toBeLessThanOrEqual(r.value as number);
      expect(r.spread?.max).toBeGreaterThanOrEqual(r.value as number);
    }
    expect(
      new Set(result.rows.map((r) => JSON.stringify([r.question, r.case, r.subject, r.unit]))).size,
    ).toBe(result.rows.length);
  });

  test("holds what it measures of tilecast on one core against a limit of the same trials", () => {
    const ours = result.rows.filter((r) => r.subject === "tilecast" && r.question !== "plate");
    expect(ours.length).toBeGreaterThan(8);
    for (const r of ours) expect(r.ratioToLimit, `${r.question}: ${r.case}`).toBeGreaterThan(0);
  });

  test("tells no path of this machine", () => {
    for (const text of [JSON.stringify(result), html]) {
      expect(text).not.toContain(repository);
      expect(text).not.toContain(out);
    }
  });
});

test("a trial whose process dies leaves rows that say so", async () => {
  const out = join(folder(), "r.json");
  const args = ["bench", "memory", "--quick", "-q", "--seconds", "30", "--json", out];
  const child = spawn(process.execPath, [main, ...args], { stdio: "ignore" });
  const ended = once(child, "close");
  const killed = new Set<number>();
  while (child.exitCode === null) {
    for (const pid of childrenOf(child.pid).filter(
      (p) => !killed.has(p) && cmdline(p).includes("trial.js"),
    )) {
      process.kill(pid, "SIGKILL");
      killed.add(pid);
    }
    await delay(20);
  }
  expect((await ended)[0]).toBe(0);
  const { rows } = parseResult(readFileSync(out, "utf8"), out);
  expect(rows.length).toBeGreaterThan(5);
  for (const r of rows)
    expect([r.value, r.missing]).toEqual([null, "the trial's process ended with SIGKILL"]);
}, 60_000);

test("a question that does not exist, and a wrong number, are usage errors", () => {
  expect(tilecast("bench", "speed")).toMatchObject({
    status: 2,
    stderr: `tilecast: tilecast bench has no question "speed"; known: ${questions.map((q) => q.name).join(", ")}; see tilecast bench --help [ERR_USAGE]\n`,
  });
  expect(tilecast("bench", "memory", "--trials", "0")).toMatchObject({
    status: 2,
    stderr:
      'tilecast: --trials must be an integer of at least 1, and is "0"; see tilecast bench --help [ERR_USAGE]\n',
  });
});

describe("the page in Chromium", () => {
  const executable = chromium();
  needsPeer(executable, "Chromium");

  test("opens without an error, asks for nothing, and shows hostile names as text", async () => {
    const evil = '<img src=x onerror="document.title=1">';
    const scaled = [1, 2, 4, 8].map((n) =>
      row("tilecast", [10 * n ** 0.8, 11 * n ** 0.8], {
        question: "plate",
        case: `whole plate, ${n} core${n === 1 ? "" : "s"}`,
      }),
    );
    const peers = rowsOf([
      series("tilecast", [400, 420], { case: evil }),
      series("tifffile", [100, 120], { case: evil }),
      series("sharp", [], { case: evil, missing: "sharp is not installed" }),
      series("limit: copy", [900, 950], { case: evil }),
    ]);
    const file = join(folder(), "page.html");
    const about = { plate: { title: evil, how: evil } };
    const result = { ...resultOf(...scaled, ...peers), machine: { cpu: evil, cores: 8 }, about };
    writeFileSync(file, renderPage({ ...result, verdicts: verdicts(result.machine, result.rows, 0) }));
    const url = pathToFileURL(file).href;
    const page = await Page.open(executable as string, folder());
    try {
      await page.goto(url);
      expect(page.errors).toEqual([]);
      expect(page.requests.filter((r) => r !== "about:blank" && r !== "data:,")).toEqual([url]);
      expect(await page.evaluate("document.querySelectorAll('img').length")).toBe(0);
      expect(await page.evaluate("document.querySelector('h1').textContent")).toBe(evil);
      expect(await page.evaluate("document.querySelectorAll('svg.bars').length")).toBe(2);
      // Scaling needs three counts of cores; a subject without a figure says why.
      expect(await page.evaluate("document.querySelectorAll('.scaling circle').length")).toBe(4);
      expect(await page.evaluate("document.querySelector('text.none').textContent")).toBe(
        "not measured: sharp is not installed",
      );
      expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
    } finally {
      await page.close();
    }
  });
});
