// SPDX-License-Identifier: MIT
// A run with viewers: what they get is what is written, and none of them can keep the run from its end.

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { isTilecastError } from "../../lib/errors.js";
import { op } from "../../lib/ops/index.js";
import { pipeline } from "../../lib/orchestrator/pipeline.js";
import { type RunOptions, run } from "../../lib/orchestrator/run.js";
import { openPlate } from "../../lib/plates/index.js";
import { Endpoint } from "../../lib/runtime/index.js";
import { fiji, NullReceiver, napari } from "../../lib/streaming/index.js";
import { temporaryFolders } from "../helpers/folder.js";
import { table } from "../helpers/results.js";
import { smallPlate } from "../helpers/small-plate.js";

const folder = temporaryFolders();
const wells = ["A01", "A02", "B01"];
const nuclei = pipeline("nuclei")
  .step("project", op.maxProject())
  .step("segment", op.threshold({ value: 40 }), op.label())
  .step("measure", op.measure(["area", "mean_intensity"]));

// Sockets in a home of the tests' own; its path must be short.
let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "tc-"));
  vi.stubEnv("HOME", home);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
});

async function plate() {
  const root = join(folder(), "plate");
  smallPlate(root, { wells, channels: [2], width: 160, height: 120 });
  return openPlate(root);
}

const out = () => join(folder(), "out");
const start = async (options: Omit<RunOptions, "out">) => {
  const to = out();
  return run(nuclei, await plate(), { out: to, ...options });
};

describe("a viewer that runs", () => {
  test("is joined, gets every image and label once, and is there for the next run", async () => {
    const seen: string[] = [];
    await using viewer = await new NullReceiver({
      endpoint: { port: 6100 },
      onBatch: ({ images }) => {
        for (const { data_type, metadata } of images) seen.push(`${data_type} ${metadata.well}`);
      },
    }).start();
    const everything = wells.flatMap((well) => [`image ${well}`, `labels ${well}`]).sort();
    for (let i = 0; i < 2; i++) {
      seen.length = 0;
      const report = await start({ view: [napari({ port: 6100 })] });
      expect(report.outcome).toBe("complete");
      expect([...seen].sort()).toEqual(everything);
      expect(report.sinks?.sinks).toMatchObject([
        { name: "napari on port 6100", payloads: 6, dropped: 0, detached: null, drained: true },
      ]);
      expect(report.sinks?.tiles.held).toBe(0);
    }
    expect(viewer.endpoint.port).toBe(6100);
  });

  test("that refuses, or ends in the middle, changes nothing of the results", async () => {
    const without = await start({});
    let viewer: NullReceiver | undefined;
    viewer = await new NullReceiver({
      endpoint: { port: 6101 },
      onBatch: () => {
        void viewer?.close();
        throw new Error("not today");
      },
    }).start();
    const report = await start({ view: [napari({ port: 6101 })], sinkLimits: { drainMs: 300 } });
    await viewer.close();
    expect(report.outcome).toBe("complete");
    expect(table(report.out)).toEqual(table(without.out));
    expect(report.sinks?.sinks[0]?.detached).toBeNull();
  });
});

describe("a viewer in a process of its own", () => {
  /** Answers as `test/streaming/viewer-child.mjs` says, on the socket files that a run looks for. */
  async function viewerProcess(
    port: number,
    behaviour: "answer" | "mute",
    onPlane: (viewer: ChildProcess) => void,
  ) {
    const program = fileURLToPath(new URL("../streaming/viewer-child.mjs", import.meta.url));
    const { socketDir } = new Endpoint({ port });
    const viewer = spawn(process.execPath, [program, `${port}`, socketDir, behaviour], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void viewer.kill("SIGKILL"));
    await new Promise<void>((ready) => {
      createInterface({ input: viewer.stdout }).on("line", (line) => {
        if (line === "ready") ready();
        else onPlane(viewer);
      });
    });
  }

  test("that is killed in the middle is told by the report, and the results are those of a run without", async () => {
    const without = await start({});
    await viewerProcess(6104, "mute", (viewer) => viewer.kill("SIGKILL"));
    const report = await start({ view: [napari({ port: 6104 })] });
    expect(report.outcome).toBe("complete");
    expect(table(report.out)).toEqual(table(without.out));
    expect(report.sinks?.sinks[0]).toMatchObject({
      drained: false,
      detached: expect.stringMatching(/the viewer's process has ended$/),
    });
    expect(report.sinks?.tiles.held).toBe(0);
  });

  test("that is suspended has not been sent everything, as the report says, and does not keep the run", async () => {
    await viewerProcess(6105, "answer", (viewer) => viewer.kill("SIGSTOP"));
    const report = await start({ view: [napari({ port: 6105, slots: 1 })], sinkLimits: { drainMs: 100 } });
    expect(report.outcome).toBe("complete");
    expect(report.sinks?.sinks[0]).toMatchObject({ payloads: 6, detached: null, drained: false });
    expect(report.sinks?.tiles.held).toBe(0);
  });
});

describe("a viewer that cannot be had", () => {
  test("ends the run before anything is written, with what was tried and what to do", async () => {
    const to = out();
    const absent = join(folder(), "python");
    const error = await run(nuclei, await plate(), {
      out: to,
      view: [napari({ port: 6102, python: absent })],
    }).catch((e: unknown) => e);
    expect(isTilecastError(error, "ERR_VIEWER")).toBe(true);
    expect((error as Error).message).toContain(`${absent}: not there`);
    expect(existsSync(to)).toBe(false);
  });

  test("another kind of viewer on the port is not taken for it, and left alone", async () => {
    await using viewer = await new NullReceiver({ endpoint: { port: 6103 } }).start();
    const error = await start({ view: [fiji({ port: 6103 })] }).catch((e: unknown) => e);
    expect(isTilecastError(error, "ERR_INSTANCE")).toBe(true);
    expect((error as Error).message).toContain("a napari answers there, and fiji was expected");
    const report = await start({ view: [napari({ port: 6103 })] });
    expect(report.outcome).toBe("complete");
    expect(viewer.endpoint.port).toBe(6103);
  });

  test("a pipeline that does not fit opens none", async () => {
    const bad = pipeline("bad").step("segment", op.label());
    const error = await run(bad, await plate(), {
      out: out(),
      view: [napari({ python: join(folder(), "python") })],
    }).catch((e: unknown) => e);
    expect(isTilecastError(error, "ERR_PIPELINE")).toBe(true);
  });
});
