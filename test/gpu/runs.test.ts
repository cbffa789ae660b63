// SPDX-License-Identifier: MIT
// Whole pipelines on the GPU engine (SwiftShader) against the processor's: images, labels, tables; what it gives back to the processor; devices
// that are lost, runs that are cancelled and gone on with.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { native } from "../../lib/native.js";
import { op } from "../../lib/ops/index.js";
import { calibrationFile } from "../../lib/orchestrator/calibration.js";
import { openGpu } from "../../lib/orchestrator/engine.js";
import { type Pipeline, pipeline } from "../../lib/orchestrator/pipeline.js";
import type { RunOptions, RunReport } from "../../lib/orchestrator/run.js";
import { temporaryFolders } from "../helpers/folder.js";
import { pixels, storeDigests, table } from "../helpers/results.js";
import type { SmallPlateOptions } from "../helpers/small-plate.js";
import { useSwiftShader } from "../helpers/swiftshader.js";
import { RecordingSink } from "../orchestrator/recording-sink.js";
import { csv, go, plateIn, statusOf } from "../orchestrator/small-runs.js";

// A processor compiles and plays every kernel: minutes on a busy machine.
const patience = 600_000;

const folder = temporaryFolders();
const make = (options: SmallPlateOptions = {}) =>
  plateIn(folder, { wells: ["A01", "A02"], width: 65, height: 47, ...options });

beforeAll(async () => {
  useSwiftShader();
  process.env.XDG_CACHE_HOME = folder();
  expect((await openGpu()).adapter.name).toContain("SwiftShader");
}, patience);

/** The same run on both engines, in folders of their own. */
async function both(root: string, out: string, p: Pipeline, options: Partial<RunOptions> = {}) {
  const cpu = await go(root, `${out}-cpu`, { ...options, engine: "cpu" }, p);
  const gpu = await go(root, `${out}-gpu`, { ...options, engine: "gpu" }, p);
  return { cpu, gpu, outs: [`${out}-cpu`, `${out}-gpu`] as const };
}

const titles = (report: RunReport) =>
  report.engine.segments.map((s) => `${s.engine} ${s.ops} x ${s.tiles}`).sort();

/** Tables equal: whole numbers to the digit, others to a few units of float32. */
function expectEqualTables(outs: readonly [string, string]): void {
  const [cpu, gpu] = outs.map(table) as [ReturnType<typeof table>, ReturnType<typeof table>];
  expect(gpu.length).toBe(cpu.length);
  expect(cpu.length).toBeGreaterThan(0);
  for (const [i, row] of cpu.entries()) {
    for (const [column, value] of Object.entries(row)) {
      const got = gpu[i]?.[column];
      if (/^-?\d*$/.test(value) || Number.isNaN(Number(value)))
        expect(got, `${column} of row ${i}`).toBe(value);
      else
        expect(Math.abs(Number(got) - Number(value))).toBeLessThanOrEqual(
          1e-5 * Math.abs(Number(value)) + 1e-9,
        );
    }
  }
}

async function expectEqualImages(
  outs: readonly [string, string],
  path: string,
  relative: number,
): Promise<void> {
  const [cpu, gpu] = await Promise.all(outs.map((out) => pixels(out, path)));
  expect(gpu?.shape).toEqual(cpu?.shape);
  expect(gpu?.dtype).toBe(cpu?.dtype);
  const { data } = cpu as { data: ArrayLike<number> };
  const others = gpu?.data as ArrayLike<number>;
  let worst = 0;
  for (let i = 0; i < data.length; i++) {
    const value = data[i] as number;
    worst = Math.max(worst, Math.abs((others[i] as number) - value) / Math.max(1, Math.abs(value)));
  }
  expect(worst).toBeLessThanOrEqual(relative);
}

const standard = pipeline("standard")
  .step("project", op.maxProject())
  .step("correct", op.flatField({ from: "median" }))
  .step("smooth", op.gaussian({ sigma: 1.5 }))
  .step("segment", op.otsu(), op.label({ minArea: 5, name: "nuclei" }))
  .step(
    "measure",
    op.measure(["area", "centroid", "bbox", "mean_intensity", "max_intensity", "perimeter", "eccentricity"], {
      intensity: { raw: {}, corrected: "correct" },
    }),
  );

describe("a pipeline gives on the GPU what it gives on the processor", () => {
  test(
    "the standard chain, in one piece, with every byte of labels and images",
    async () => {
      const { root, out } = make();
      const { cpu, gpu, outs } = await both(root, out, standard);
      expect(cpu.engine).toMatchObject({ asked: "cpu", used: "cpu", segments: [] });
      expect(titles(gpu)).toEqual(["gpu flatField, gaussian, otsu, label, measure x 2"]);
      expect(gpu.engine).toMatchObject({ asked: "gpu", used: "gpu", onProcessor: [] });
      expect(gpu.engine.warning).toBeUndefined();
      expect(gpu.objects).toBe(cpu.objects);
      expect(storeDigests(outs[1])).toEqual(storeDigests(outs[0]));
      expectEqualTables(outs);
      expect(gpu.bound?.gpuSeconds).toBeGreaterThan(0);
      expect(JSON.parse(readFileSync(join(outs[1], "run.json"), "utf8")).engine).toEqual(gpu.engine);
      expect(readFileSync(join(outs[1], "report.html"), "utf8")).toContain("SwiftShader");
    },
    patience,
  );

  test(
    "ops that write images: point-wise ones in a row, a filter, a turn",
    async () => {
      const { root, out } = make({ channels: [0], dtype: "uint16" });
      const p = pipeline("images").step(
        "images",
        op.anscombe(),
        op.multiply({ value: 0.5 }),
        op.sobel(),
        op.rotate({ turn: "90" }),
      );
      const { gpu, outs } = await both(root, out, p);
      expect(titles(gpu)).toEqual(["gpu anscombe, multiply, sobel, rotate x 2"]);
      await expectEqualImages(outs, "A/1/0/0", 1e-5);
      await expectEqualImages(outs, "A/2/0/0", 1e-5);
    },
    patience,
  );

  test(
    "projections of what was filtered before",
    async () => {
      const { root, out } = make({ channels: [3] });
      const p = pipeline("filtered")
        .step("smooth", op.box({ height: 3, width: 3 }))
        .step("project", op.maxProject());
      const { gpu, outs } = await both(root, out, p);
      expect(titles(gpu)).toEqual(["gpu box, box, box, maxProject x 2"]);
      await expectEqualImages(outs, "A/1/0/0", 1e-5);
    },
    patience,
  );

  test(
    "an op that only the processor has in the middle, and another channel's image measured",
    async () => {
      const { root, out } = make({ channels: [0, 0] });
      const p = pipeline("mixed")
        .step("segment", { 1: [op.gaussian({ sigma: 1 }), op.otsu(), op.splitObjects({ distance: 3 })] })
        .step("measure", {
          1: [op.measure(["area", "mean_intensity"], { intensity: { other: { channel: 2 } } })],
        });
      const { gpu, outs } = await both(root, out, p);
      expect(titles(gpu)).toEqual(["gpu gaussian, otsu x 2", "gpu measure x 2"]);
      expect(gpu.engine.onProcessor).toEqual([
        { step: "segment", op: "splitObjects", reason: "splitObjects has no GPU kernel" },
      ]);
      expect(storeDigests(outs[1])).toEqual(storeDigests(outs[0]));
      expectEqualTables(outs);
    },
    patience,
  );

  test(
    "with viewers, which get the pixels that are stored",
    async () => {
      const { root, out } = make();
      const sink = new RecordingSink();
      const p = pipeline("viewed").step("segment", op.maxProject(), op.threshold({ value: 40 }), op.label());
      await go(root, `${out}-cpu`, { engine: "cpu" }, p);
      const report = await go(root, out, { engine: "gpu", sinks: [sink] }, p);
      expect(report.outcome).toBe("complete");
      expect(storeDigests(out)).toEqual(storeDigests(`${out}-cpu`));
      expect(sink.planes.filter((s) => s.digest !== null).length).toBe(4);
    },
    patience,
  );
});

describe("what a GPU cannot answer is the processor's, with a warning and the same result", () => {
  test(
    "more objects than there is room for",
    async () => {
      const dots = (x: number, y: number) => (x % 2 === 0 && y % 2 === 0 ? 100 + (x % 7) : 10);
      const { root, out } = make({ width: 128, height: 96, channels: [0], value: dots });
      const p = pipeline("dots").step(
        "segment",
        op.threshold({ value: 40 }),
        op.label(),
        op.measure(["area", "max_intensity"]),
      );
      const { cpu, gpu, outs } = await both(root, out, p);
      expect(cpu.objects).toBe(2 * 64 * 48);
      expect(gpu.objects).toBe(cpu.objects);
      expect(storeDigests(outs[1])).toEqual(storeDigests(outs[0]));
      expect(csv(outs[1])).toBe(csv(outs[0]));
      expect(gpu.outcome).toBe("complete");
      expect(gpu.engine.segments[0]).toMatchObject({ tiles: 0, redone: [{ tiles: 2 }] });
      expect(gpu.engine.warning).toBe(
        "2 tiles of the GPU's had to be done by the processor: 2 for more objects in a plane than 1024, or NaN pixels in them.",
      );
    },
    patience,
  );

  test(
    "NaN pixels: the same planes fail, and the same ones do not",
    async () => {
      const value = (x: number, y: number, { well }: { well: string }) =>
        well === "A02" && x === 5 && y === 5 ? Number.NaN : x < 20 ? 1.5 : 300.25 + y;
      const { root, out } = make({ channels: [0], dtype: "float32", value });
      const p = pipeline("nan").step(
        "segment",
        op.otsu(),
        op.label(),
        op.measure(["area", "mean_intensity"]),
      );
      const { cpu, gpu, outs } = await both(root, out, p);
      expect(gpu.planes).toEqual(cpu.planes);
      expect(gpu.failures).toEqual(cpu.failures);
      expect(gpu.engine.warning).toContain("1 tile of the GPU's had to be done by the processor");
      expectEqualTables(outs);

      const range = await both(root, `${out}-range`, pipeline("range").step("normalize", op.normalize()));
      expect(range.gpu.planes).toEqual(range.cpu.planes);
      expect(range.gpu.failures).toEqual(range.cpu.failures);
      expect(range.gpu.engine.warning).toContain("1 for an op that meets NaN or infinite pixels");
    },
    patience,
  );

  test(
    "a device that is lost in the middle",
    async () => {
      const { root, out } = make({ wells: ["A01", "A02", "A03", "A04", "A05", "A06"], channels: [0] });
      const device = await openGpu();
      let lost = false;
      const p = pipeline("lost").step("label", op.threshold({ value: 40 }), op.label(), op.measure(["area"]));
      const report = await go(
        root,
        out,
        {
          engine: "gpu",
          onProgress: () => {
            if (!lost) native().loseGpu(device);
            lost = true;
          },
        },
        p,
      );
      expect(lost).toBe(true);
      expect(report.outcome).toBe("complete");
      await go(root, `${out}-cpu`, { engine: "cpu" }, p);
      expect(csv(out)).toBe(csv(`${out}-cpu`));
      expect(storeDigests(out)).toEqual(storeDigests(`${out}-cpu`));
    },
    patience,
  );
});

describe("a run that was cancelled on the GPU", () => {
  test(
    "is gone on with on the processor, and keeps the wells that were done",
    async () => {
      const { root, out } = make({ wells: ["A01", "A02", "A03", "A04", "A05", "A06"], channels: [0] });
      const p = pipeline("cancelled").step(
        "label",
        op.threshold({ value: 40 }),
        op.label(),
        op.measure(["area"]),
      );
      const controller = new AbortController();
      const stopped = await go(
        root,
        out,
        {
          engine: "gpu",
          threads: 1,
          signal: controller.signal,
          onWell: () => controller.abort(),
        },
        p,
      );
      expect(stopped.outcome).toBe("cancelled");
      const report = await go(root, out, { engine: "cpu", resume: true }, p);
      expect(report.outcome).toBe("complete");
      expect(report.planes.reused).toBe(stopped.planes.done);
      expect(report.planes.reused).toBeGreaterThan(0);
      expect(Object.values(statusOf(out))).not.toContain("cancelled");
      await go(root, `${out}-cpu`, { engine: "cpu" }, p);
      expect(csv(out)).toBe(csv(`${out}-cpu`));
    },
    patience,
  );
});

describe("a run that was killed on the GPU", () => {
  test(
    "is gone on with on the processor, to the same plate and table",
    async () => {
      const { root, out } = make({ wells: ["A01", "A02", "A03", "A04", "A05", "A06"], channels: [0] });
      const p = pipeline("killed").step(
        "label",
        op.threshold({ value: 40 }),
        op.label(),
        op.measure(["area"]),
      );
      const file = join(folder(), "pipeline.mjs");
      const index = new URL("../../dist/index.js", import.meta.url).href;
      writeFileSync(
        file,
        `import { op, pipeline } from "${index}";\nexport default pipeline("killed").step("label", op.threshold({ value: 40 }), op.label(), op.measure(["area"]));\n`,
      );
      const cli = join(import.meta.dirname, "../../dist/cli/main.js");
      const args = ["run", root, "-p", file, "-o", out, "--engine", "gpu", "--threads", "1", "-q"];
      const child = spawn(process.execPath, [cli, ...args], { stdio: "ignore" });
      const ended = once(child, "exit");
      const states = join(out, ".tilecast", "wells");
      // As soon as a well is done; a run that was faster than this look is killed after its end, and is complete.
      while (child.exitCode === null && !(existsSync(states) && readdirSync(states).length > 0))
        await delay(5);
      child.kill("SIGKILL");
      await ended;
      const report = await go(root, out, { engine: "cpu", resume: true }, p);
      expect(report.outcome).toBe("complete");
      expect(report.planes.reused).toBeGreaterThan(0);
      await go(root, `${out}-cpu`, { engine: "cpu" }, p);
      expect(csv(out)).toBe(csv(`${out}-cpu`));
      expect(storeDigests(out)).toEqual(storeDigests(`${out}-cpu`));
    },
    patience,
  );
});

describe("auto", () => {
  const p = pipeline("auto").step("label", op.threshold({ value: 40 }), op.label(), op.measure(["area"]));

  test(
    "measures once, takes the processor where SwiftShader is slower, and says so",
    async () => {
      const { root, out } = make({ width: 256, height: 256, channels: [0] });
      const first = await go(root, `${out}-1`, { engine: "auto" }, p);
      expect(first.engine).toMatchObject({ asked: "auto", used: "cpu" });
      expect(first.engine.calibrationSeconds).toBeGreaterThan(0);
      expect(first.engine.segments.map((s) => s.engine)).toEqual(["cpu"]);
      expect(first.engine.segments[0]?.reason).toMatch(/tiles\/s on the GPU, .* tiles\/s on 2 threads$/);
      const stored = JSON.parse(readFileSync(calibrationFile(), "utf8"));
      expect(Object.keys(stored.machines)[0]).toContain("SwiftShader");

      const second = await go(root, `${out}-2`, { engine: "auto" }, p);
      expect(second.engine.segments).toEqual(first.engine.segments);
      if (first.engine.segments[0]?.rates) expect(second.engine.calibrationSeconds).toBe(0);
      expect(csv(`${out}-2`)).toBe(csv(`${out}-1`));
    },
    patience,
  );

  test(
    "measures again where its file is damaged, or of another form",
    async () => {
      const { root, out } = make({ width: 256, height: 256, channels: [0] });
      mkdirSync(dirname(calibrationFile()), { recursive: true });
      for (const [i, text] of [
        "{ not JSON",
        '{"version":1,"machines":{"x":{"y":{"cpu":-1}}}}',
        "[]",
      ].entries()) {
        writeFileSync(calibrationFile(), text);
        const report = await go(root, `${out}-${i}`, { engine: "auto" }, p);
        expect(report.outcome).toBe("complete");
        expect(report.engine.calibrationSeconds).toBeGreaterThan(0);
        expect(JSON.parse(readFileSync(calibrationFile(), "utf8")).version).toBe(1);
      }
    },
    patience,
  );

  test(
    "where its file cannot be written, the run goes on and says so",
    async () => {
      const { root, out } = make({ width: 256, height: 256, channels: [0] });
      const cache = process.env.XDG_CACHE_HOME;
      const file = join(folder(), "a-file");
      writeFileSync(file, "");
      process.env.XDG_CACHE_HOME = file;
      try {
        const report = await go(root, out, { engine: "auto" }, p);
        expect(report.outcome).toBe("complete");
        expect(existsSync(calibrationFile())).toBe(false);
      } finally {
        process.env.XDG_CACHE_HOME = cache;
      }
    },
    patience,
  );
});
