// SPDX-License-Identifier: MIT
// Sinks of a run: what they are given and when, who holds the tiles, and that nothing a sink does reaches the run.

import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { native } from "../../lib/native.js";
import { op } from "../../lib/ops/index.js";
import { compile } from "../../lib/orchestrator/compile.js";
import { pipeline } from "../../lib/orchestrator/pipeline.js";
import { SinkHub } from "../../lib/orchestrator/sinks.js";
import { openPlate } from "../../lib/plates/index.js";
import type { PlanePayload, ShapesPayload, TablePayload } from "../../lib/streaming/payload.js";
import { temporaryFolders } from "../helpers/folder.js";
import { storeDigests, table } from "../helpers/results.js";
import { needsPeer, python, runPython } from "../helpers/shared.js";
import type { SmallPlateOptions } from "../helpers/small-plate.js";
import { thrown } from "../helpers/throws.js";
import { placeOf, RecordingSink } from "./recording-sink.js";
import { csv, go, plateIn, segment, wells } from "./small-runs.js";

const folder = temporaryFolders();
const make = (options: SmallPlateOptions = {}) => plateIn(folder, options);

const writeJson = (file: string, value: unknown) => writeFileSync(file, JSON.stringify(value));

/** sha256 of planes as zarr-python reads them. */
function storedDigests(planes: readonly PlanePayload[]): string[] {
  const program = `
import hashlib, json, sys, zarr
for_each = json.load(open(sys.argv[1]))
out = []
for p in for_each:
    plane = zarr.open_group(p["path"], mode="r")[p["array"]][tuple(p["index"])]
    assert [*plane.shape] == p["shape"] and plane.dtype == p["dtype"], (plane.shape, plane.dtype, p)
    out.append(hashlib.sha256(plane.tobytes()).hexdigest())
print(json.dumps(out))`;
  const file = join(folder(), "planes.json");
  writeJson(
    file,
    planes.map((p) => ({ ...p.store, shape: p.shape, dtype: p.dtype })),
  );
  return runPython(program, [file]) as string[];
}

/** Every place of images and labels that `segment` writes of a plate with one channel and site. */
const written = wells.flatMap((w) => [
  `image project main 1 1 1 1 ${w}`,
  `labels segment objects 1 1 1 1 ${w}`,
]);

describe("results while the run goes on", () => {
  needsPeer(python(), "Python");

  test.each(["0.5", "0.4"] as const)(
    "are what zarr-python reads from the store (OME-Zarr %s)",
    async (zarr) => {
      const { root, out } = make({ channels: [2, 2], sites: 2, timepoints: 2 });
      const sink = new RecordingSink();
      const report = await go(root, out, { sinks: [sink], zarr });
      expect(sink.planes).toHaveLength(4 * 2 * 2 * 2 * 2);
      expect(new Set(sink.planes.map((p) => placeOf(p.payload))).size).toBe(sink.planes.length);
      expect(sink.planes.map((p) => p.digest)).toEqual(storedDigests(sink.planes.map((p) => p.payload)));
      expect(sink.poolStats).toMatchObject({ free: sink.poolStats?.slots });
      expect(report.sinks).toMatchObject({
        sinks: [
          {
            name: "recorder",
            payloads: 64,
            tiles: 64,
            byStore: 0,
            dropped: 0,
            detached: null,
            drained: true,
            stats: { planes: 64 },
          },
        ],
        tiles: { given: 64, refused: 0, held: 0, waitedMs: 0 },
      });
      expect(JSON.parse(readFileSync(join(out, "run.json"), "utf8")).sinks).toEqual(report.sinks);
    },
  );

  test("say before the first tile what will come", async () => {
    const { root, out } = make({ channels: [2, 0], sites: 2, names: ["DAPI", "GFP"] });
    const p = pipeline("p")
      .step("project", op.maxProject())
      .step("segment", { DAPI: [op.threshold({ value: 40 }), op.label({ name: "nuclei" })] })
      .step("smooth", { GFP: [op.gaussian({ sigma: 1 })] });
    const sink = new RecordingSink();
    await go(root, out, { sinks: [sink] }, p);
    const made = (stepName: string, position: number) => ({
      stepName,
      position,
      kind: "main",
      output: "main",
    });
    expect(sink.begun).toEqual({
      plate: "demo",
      store: join(out, "plate.ome.zarr"),
      values: { site: [1, 2], channel: [1, 2], z_index: [1], timepoint: [1], well: [...wells] },
      names: { channel: { 1: "DAPI", 2: "GFP" } },
      outputs: [
        {
          kind: "image",
          producer: made("project", 0),
          dtypes: ["float32"],
          shapes: [[48, 64]],
          stored: true,
        },
        {
          kind: "labels",
          producer: { stepName: "segment", position: 1, kind: "artifact", output: "nuclei" },
          dtypes: ["int32"],
          shapes: [[48, 64]],
          stored: true,
        },
        { kind: "image", producer: made("smooth", 2), dtypes: ["float32"], shapes: [[48, 64]], stored: true },
      ],
      payloads: 24,
      tiles: expect.any(Number),
    });
    expect(sink.planes).toHaveLength(24);
  });

  test("of steps that are not written are the images that such a step would have written", async () => {
    const { root, out } = make();
    const steps = (saved: boolean) =>
      pipeline("p")
        .step("project", op.maxProject())
        .step("smooth", op.gaussian({ sigma: 2 }), ...(saved ? [op.save()] : []))
        .step("mask", op.otsu())
        .step("segment", op.label());
    const sink = new RecordingSink({ wants: { images: false, labels: false, steps: ["smooth", "mask"] } });
    const report = await go(root, out, { sinks: [sink] }, steps(false));
    expect(report.sinks?.sinks[0]).toMatchObject({ payloads: 8, tiles: 8 });
    const plain = join(folder(), "plain");
    await go(root, plain, {}, steps(false));
    expect(storeDigests(out)).toEqual(storeDigests(plain));

    // Written by another pipeline, read by zarr-python.
    const saved = new RecordingSink({ wants: { labels: false } });
    await go(root, join(folder(), "saved"), { sinks: [saved] }, steps(true));
    const digests = new Map(
      saved.planes.map(({ payload }, i) => [
        payload.components.well,
        storedDigests(saved.planes.map((p) => p.payload))[i],
      ]),
    );
    const smooth = sink.planes.filter((p) => p.payload.producer.stepName === "smooth");
    expect(smooth.map((p) => p.payload.producer)).toEqual(
      Array(4).fill({ stepName: "smooth", position: 1, kind: "main", output: "main" }),
    );
    for (const { payload, digest } of smooth) expect(digest).toBe(digests.get(payload.components.well));
    const mask = sink.planes.filter((p) => p.payload.producer.stepName === "mask");
    expect(mask.map((p) => p.payload.dtype)).toEqual(Array(4).fill("uint8"));
    expect(mask.every((p) => p.payload.store === undefined)).toBe(true);
  });

  test("are outlines that fill to the objects, points that are their centroids, and the table's rows", async () => {
    const { root, out } = make({ channels: [2, 2], names: ["DAPI", "GFP"] });
    const sink = new RecordingSink({ wants: { images: false, shapes: true, points: true, tables: true } });
    await go(root, out, { sinks: [sink] });
    const shapes = sink.others.filter((p): p is ShapesPayload => p.kind === "shapes");
    expect(shapes).toHaveLength(8);
    const program = `
import json, sys, numpy as np, zarr
from scipy.ndimage import binary_fill_holes
from skimage.draw import polygon2mask
checked = 0
for p in json.load(open(sys.argv[1])):
    labels = zarr.open_group(p["path"], mode="r")[p["array"]][tuple(p["index"])]
    assert sorted(label for label, _ in p["shapes"]) == [n for n in np.unique(labels) if n > 0]
    for label, vertices in p["shapes"]:
        corners = np.array(vertices).reshape(-1, 2)
        filled = polygon2mask(labels.shape, corners - 0.5)
        assert (filled == binary_fill_holes(labels == label)).all(), (p, label)
        checked += 1
print(checked)`;
    const file = join(folder(), "shapes.json");
    const storeOf = (s: ShapesPayload) =>
      sink.planes.find(
        ({ payload }) =>
          payload.kind === "labels" && placeOf(payload) === placeOf({ ...s, kind: "labels" } as never),
      )?.payload.store;
    writeJson(
      file,
      shapes.map((s) => ({ ...storeOf(s), shapes: s.shapes.map((x) => [x.label, [...x.vertices]]) })),
    );
    const rows = table(out);
    expect(runPython(program, [file])).toBe(rows.length);
    expect(rows.length).toBeGreaterThan(20);

    const tables = sink.others.filter((p): p is TablePayload => p.kind === "table");
    const columns = (csv(out).split("\n")[0] as string).split(",");
    for (const t of tables) expect(t.columns).toEqual(columns);
    const cells = (r: readonly unknown[]) => r.map((c) => (c === null ? "" : String(c))).join(",");
    expect(tables.flatMap((t) => t.rows.map(cells)).sort()).toEqual(
      csv(out).trimEnd().split("\n").slice(1).sort(),
    );
    for (const p of sink.others) {
      if (p.kind !== "points") continue;
      const mine = rows.filter(
        (r) => r.well === p.components.well && Number(r.channel) === p.components.channel,
      );
      expect(p.labels).toEqual(mine.map((r) => Number(r.label)));
      for (const [i, r] of mine.entries()) {
        expect(p.points[2 * i]).toBeCloseTo(Number(r.centroid_y), 4);
        expect(p.points[2 * i + 1]).toBeCloseTo(Number(r.centroid_x), 4);
      }
    }
  });

  test("have the dtype and size of the store: converted where channels differ, by the store where they are padded", async () => {
    const { root, out } = make({
      channels: [0, 0, 0],
      special: (path) =>
        path.includes("_w2") ? { dtype: "uint8" } : path.includes("_w3") ? { width: 40 } : undefined,
    });
    const sink = new RecordingSink({ wants: { labels: false } });
    await go(
      root,
      out,
      { sinks: [sink] },
      pipeline("p").step("segment", op.threshold({ value: 40 }), op.label()),
    );
    const digests = storedDigests(sink.planes.map((p) => p.payload)); // compares shapes and dtypes too
    for (const [i, { payload, digest }] of sink.planes.entries()) {
      expect(payload).toMatchObject({ dtype: "uint16", shape: [48, 64], title: "acquired" });
      expect(digest).toBe(payload.components.channel === 3 ? null : digests[i]);
    }
    expect(sink.planes).toHaveLength(12);
  });
});

describe("a sink", () => {
  test("that gives no tile back gets the rest by their place in the store, and the run is as without it", async () => {
    const { root, out } = make({ sites: 4 });
    const sink = new RecordingSink({ release: "never" });
    const report = await go(root, out, { sinks: [sink], sinkLimits: { tiles: 3 } });
    expect(report.outcome).toBe("complete");
    expect(sink.planes).toHaveLength(32);
    expect(new Set(sink.planes.map((p) => placeOf(p.payload))).size).toBe(32);
    const tiles = sink.planes.filter((p) => p.digest !== null).length;
    expect(tiles).toBeGreaterThan(0);
    expect(tiles).toBeLessThanOrEqual(3);
    expect(report.sinks).toMatchObject({
      sinks: [{ tiles, byStore: 32 - tiles }],
      tiles: { slots: 3, given: tiles, held: tiles, waitedMs: 0 },
    });
    const plain = join(folder(), "plain");
    await go(root, plain);
    expect(storeDigests(out)).toEqual(storeDigests(plain));
    expect(csv(out)).toBe(csv(plain));
  });

  test("that may hold none gets every plane by its store", async () => {
    const { root, out } = make();
    const sink = new RecordingSink();
    const report = await go(root, out, { sinks: [sink], sinkLimits: { tiles: 0 } });
    expect(sink.planes.map((p) => placeOf(p.payload)).sort()).toEqual([...written].sort());
    expect(sink.planes.every((p) => p.digest === null && p.payload.store !== undefined)).toBe(true);
    expect(report.sinks?.tiles).toMatchObject({ slots: 0, given: 0 });
  });

  test("shares tiles with others, each with a lease of its own", async () => {
    const { root, out } = make();
    const quick = new RecordingSink({ name: "quick" });
    const slow = new RecordingSink({ name: "slow", release: "at the end" });
    const labels = new RecordingSink({ name: "labels", wants: { images: false } });
    const report = await go(root, out, { sinks: [quick, slow, labels] });
    expect(quick.planes.map((p) => p.digest)).toEqual(slow.planes.map((p) => p.digest));
    expect(quick.planes.every((p) => p.digest !== null)).toBe(true);
    expect(labels.planes.map((p) => p.payload.kind)).toEqual(Array(4).fill("labels"));
    expect(report.sinks?.tiles).toMatchObject({ given: 8, held: 0 });
    expect(slow.poolStats).toMatchObject({ free: slow.poolStats?.slots });
  });

  test("that throws is detached, and neither the run nor another sink notices", async () => {
    const { root, out } = make();
    const bad = new RecordingSink({
      name: "bad",
      release: "at the end",
      onAccept: () => {
        throw new Error("no more");
      },
    });
    const worse: RecordingSink = new RecordingSink({ name: "worse" });
    worse.begin = () => {
      throw new TypeError("not today");
    };
    const good = new RecordingSink({ name: "good" });
    const report = await go(root, out, { sinks: [bad, worse, good] });
    expect(report.outcome).toBe("complete");
    expect(good.planes.map((p) => placeOf(p.payload)).sort()).toEqual([...written].sort());
    expect(worse.planes).toEqual([]);
    expect([bad.drains, worse.drains, good.drains]).toEqual([1, 1, 1]);
    expect(report.sinks?.sinks.map((s) => [s.name, s.detached])).toEqual([
      ["bad", "no more"],
      ["worse", "not today"],
      ["good", null],
    ]);
    expect(good.poolStats).toMatchObject({ free: good.poolStats?.slots });
  });

  test("that never ends is waited for as long as was said", async () => {
    const { root, out } = make();
    const sink = new RecordingSink();
    let aborted = false;
    sink.drain = ({ signal }: { signal: AbortSignal } = {} as never) =>
      new Promise(() => signal.addEventListener("abort", () => (aborted = true)));
    const report = await go(root, out, { sinks: [sink], sinkLimits: { drainMs: 50 } });
    expect(report.outcome).toBe("complete");
    expect(report.sinks?.sinks[0]?.drained).toBe(false);
    expect(aborted).toBe(true);
  });

  test("that is to show a step that there is not is refused before anything is written", async () => {
    const { root, out } = make();
    const sink = new RecordingSink({ name: "napari", wants: { steps: ["smoth"] } });
    const error = await thrown(() => go(root, out, { sinks: [sink] }));
    expect(error).toMatchObject({
      code: "ERR_PIPELINE",
      message:
        'napari is to show step "smoth", which pipeline "segment" does not have; it has project, segment, measure',
    });
    expect(existsSync(out)).toBe(false);
    expect(sink.begun).toBeNull();
  });

  test("of a cancelled run gives its tiles back and is drained", async () => {
    const { root, out } = make({ sites: 6 });
    const stop = new AbortController();
    const sink = new RecordingSink({ release: "at the end", onAccept: () => stop.abort() });
    const report = await go(root, out, { sinks: [sink], signal: stop.signal });
    expect(report.outcome).toBe("cancelled");
    expect(report.sinks?.sinks[0]?.drained).toBe(true);
    expect(report.sinks?.tiles.held).toBe(0);
    expect(sink.poolStats).toMatchObject({ free: sink.poolStats?.slots });

    // What was done is announced by its store when the run is resumed, the rest as it comes: each plane once.
    const again = new RecordingSink();
    const resumed = await go(root, out, { sinks: [again], resume: true });
    expect(resumed.outcome).toBe("complete");
    expect(again.planes).toHaveLength(48);
    expect(new Set(again.planes.map((p) => placeOf(p.payload))).size).toBe(48);
    expect(again.planes.filter((p) => p.digest === null)).toHaveLength(2 * (resumed.planes.reused / 2));
  });

  test("of a run with nothing left to do is told of every plane", async () => {
    const { root, out } = make();
    await go(root, out);
    const sink = new RecordingSink();
    const report = await go(root, out, { sinks: [sink], resume: true });
    expect(sink.planes.map((p) => placeOf(p.payload)).sort()).toEqual([...written].sort());
    expect(sink.planes.every((p) => p.digest === null)).toBe(true);
    expect(sink.drains).toBe(1);
    expect(report.sinks?.sinks[0]).toMatchObject({ payloads: 8, byStore: 8, drained: true });
  });

  test("that its process takes along when it is killed leaves no shared memory", async () => {
    const { root, out } = make();
    const file = fileURLToPath(new URL("./sink-child.mjs", import.meta.url));
    const child = spawn(process.execPath, [file, root, out], { stdio: ["ignore", "pipe", "inherit"] });
    const id = await new Promise<string>((resolve, reject) => {
      child.stdout.once("data", (text: Buffer) => resolve(text.toString().split("\n")[0] as string));
      child.once("exit", (code) => reject(new Error(`the child ended with ${code}`)));
    });
    const mine = () => readdirSync("/dev/shm").filter((name) => name.startsWith(`tc-${id}-`));
    expect(mine().length).toBeGreaterThan(0);
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
    native().TilePool.sweep();
    expect(mine()).toEqual([]);
  });
});

describe("a run without sinks", () => {
  test("compiles to the programs that it had", async () => {
    const { root } = make({ channels: [2, 2] });
    const plate = await openPlate(root);
    const plain = compile(segment, plate);
    const wishes = SinkHub.of([new RecordingSink()], segment)?.wishes;
    const viewed = compile(segment, plate, wishes === undefined ? {} : { views: wishes });
    const names = (p: typeof plain) => p.programs[0]?.code.map((i) => i.op);
    expect(names(plain)).toEqual(["project", "writeImage", "label", "writeLabels", "thumbnail", "measure"]);
    expect(names(viewed)?.filter((n) => n !== "view")).toEqual(names(plain));
    expect(plain.jobs.every((j) => j.views.length === 0)).toBe(true);
    const slots = (p: typeof plain) => p.programs.map((x) => native().Runner.slotsNeeded(x));
    expect(slots(viewed)).toEqual(slots(plain));
  });
});

test("a plane by its store waits for the job that writes its field's metadata", async () => {
  const { root, out } = make({ channels: [2, 2] });
  const plate = await openPlate(root);
  const sink = new RecordingSink();
  const hub = SinkHub.of([sink], segment) as SinkHub;
  const plan = compile(segment, plate, { views: hub.wishes });
  const pool = native().TilePool.create(4096, 1);
  try {
    hub.begin(plate, plan, join(out, "plate.ome.zarr"), { outcomes: () => [] }, 0);
    const [first, second] = plan.jobs.filter((j) => j.well === "A01");
    const nothing = {
      rows: "",
      planeRows: "",
      parts: [],
      bytesRead: 0,
      bytesWritten: 0,
      pixels: 0,
      thumbnails: [],
    };
    hub.take(second as never, false, { job: 1, ...nothing }, pool);
    hub.flush();
    expect(sink.planes).toEqual([]);
    hub.take(first as never, true, { job: 0, ...nothing }, pool);
    hub.flush();
    expect(sink.planes.map((p) => p.payload.components.channel).sort()).toEqual([1, 1, 2, 2]);
  } finally {
    pool.close();
  }
});
