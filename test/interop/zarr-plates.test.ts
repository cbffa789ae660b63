// SPDX-License-Identifier: MIT
// OME-Zarr plates as input: those that ome-zarr-py wrote, and those that tilecast itself wrote.

import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TilePool } from "../../lib/image/index.js";
import { op } from "../../lib/ops/index.js";
import { pipeline } from "../../lib/orchestrator/pipeline.js";
import { run } from "../../lib/orchestrator/run.js";
import { openPlate, type PlaneRef } from "../../lib/plates/index.js";
import type { Compression, NgffVersion } from "../../lib/stores/ome-zarr.js";
import { readZarrPlane } from "../../lib/stores/zarr-reader.js";
import { temporaryFolders } from "../helpers/folder.js";
import { runJson, table } from "../helpers/results.js";
import { needsPeer, python } from "../helpers/shared.js";
import { smallPlate } from "../helpers/small-plate.js";
import { thrown } from "../helpers/throws.js";

const folder = temporaryFolders();
const script = fileURLToPath(new URL("./zarr_plates.py", import.meta.url));
const pool = TilePool.create({ slotBytes: 1 << 20, slots: 4 });
afterAll(() => pool.close());

async function pixelsOf(plane: PlaneRef): Promise<number[]> {
  if (plane.zarr === undefined) throw new Error("no plane of an array");
  using tile = await readZarrPlane(pool, plane.zarr.array, plane.zarr.index);
  return [...tile.view()];
}

const versions: NgffVersion[] = ["0.4", "0.5"];

describe.each(versions)("ome-zarr-py, NGFF %s", (version) => {
  needsPeer(python(), "Python");
  let root = "";
  beforeAll(() => {
    const path = python();
    if (path === undefined) return;
    root = folder();
    const result = spawnSync(path, [script, root], { encoding: "utf8" });
    if (result.status !== 0) throw new Error(result.stderr);
  }, 120_000);

  test("a plate with timepoints, channels and stacks", async () => {
    const plate = await openPlate(join(root, `plate-${version}.zarr`));
    expect(plate).toMatchObject({
      format: "ome-zarr",
      name: "measured",
      wells: ["B02", "C03"],
      sites: [0, 1],
      timepoints: [1, 2],
      plateFormat: { wells: 24 },
      pixelSizeUm: { x: 0.25, y: 0.5 },
      zStepUm: 2,
      missing: [],
      notices: [],
    });
    expect(plate.channels.map((c) => [c.channel, c.name, c.zSlices, c.sizes[0]?.width])).toEqual([
      [1, "DAPI", [1, 2, 3], 52],
      [2, "GFP", [1, 2, 3], 52],
    ]);
    expect(plate.planes).toHaveLength(48);
    for (const plane of plate.planes) {
      const { timepoint: t, channel: c, site, well } = plane;
      const z = plane.z_index as number;
      const row = well === "B02" ? 1 : 2;
      const base = 1000 * (t - 1) + 100 * (c - 1) + 10 * (z - 1) + site + 7 * row;
      const expected = Array.from(
        { length: 40 * 52 },
        (_, i) => base + Math.floor(i / 52) + Math.floor((i % 52) / 4),
      );
      expect(await pixelsOf(plane)).toEqual(expected);
    }
  });

  test("a plate with a field and a well that are listed and not there", async () => {
    const plate = await openPlate(join(root, `flat-${version}.zarr`));
    expect(plate.wells).toEqual(["A01", "A02"]);
    expect(plate.planes.map((p) => [p.well, p.site, p.channel, p.z_index])).toEqual([
      ["A01", 0, 1, null],
      ["A01", 0, 2, null],
      ["A01", 1, 1, null],
      ["A01", 1, 2, null],
      ["A02", 0, 1, null],
      ["A02", 0, 2, null],
    ]);
    expect(plate.missing).toEqual([
      {
        well: "A02",
        site: 1,
        channel: 1,
        z_index: null,
        timepoint: 1,
        kind: "absent",
        reason: "A/2/1: no image",
      },
      {
        well: "A02",
        site: 1,
        channel: 2,
        z_index: null,
        timepoint: 1,
        kind: "absent",
        reason: "A/2/1: no image",
      },
    ]);
    expect(plate.notices.map((n) => [n.kind, n.message, n.examples])).toEqual([
      ["missing", "1 well that the plate lists cannot be read (ERR_METADATA: there is no well)", ["A/3"]],
      ["missing", "1 field that the wells list and that is not there", ["A/2/1: no image"]],
    ]);
    expect(plate.pixelSizeUm).toBeNull();
  });

  test("a single image is a plate of one well named after it", async () => {
    const plate = await openPlate(join(root, `image-${version}.zarr`));
    expect(plate).toMatchObject({
      name: `image-${version}`,
      wells: ["A01"],
      sites: [1],
      zStepUm: 1.5,
      pixelSizeUm: { x: 0.1, y: 0.1 },
    });
    expect(plate.planes.map((p) => p.z_index)).toEqual([1, 2, 3]);
  });

  test("a field and a well of a plate can be opened themselves", async () => {
    const well = await openPlate(join(root, `plate-${version}.zarr`, "B", "2"));
    expect([well.wells, well.sites, well.planes.length]).toEqual([["B02"], [0, 1], 24]);
    const field = await openPlate(join(root, `plate-${version}.zarr`, "B", "2", "1"));
    expect([field.wells, field.planes.length]).toEqual([["A01"], 12]);
  });

  test('headers: "first" believes one field', async () => {
    const all = await openPlate(join(root, `plate-${version}.zarr`));
    const first = await openPlate(join(root, `plate-${version}.zarr`), { headers: "first" });
    const place = ({
      path,
      page,
      well,
      site,
      channel,
      z_index,
      timepoint,
      width,
      height,
      dtype,
    }: PlaneRef) => ({ path, page, well, site, channel, z_index, timepoint, width, height, dtype });
    expect(first.planes.map(place)).toEqual(all.planes.map(place));
    expect(await pixelsOf(first.planes.at(-1) as PlaneRef)).toEqual(
      await pixelsOf(all.planes.at(-1) as PlaneRef),
    );
    expect(first.notices.map((n) => n.message)).toEqual([
      'the metadata of 3 fields: sizes and dtypes are those of one field (headers: "first")',
    ]);
  });
});

// Larger than 1 for every pixel: nothing is left out as zero but where the plate has it.
const copy = pipeline("copy").step("copy", op.rescale({ scale: 1, offset: 0, dtype: "uint16" }));
const segment = pipeline("segment")
  .step("project", op.maxProject())
  .step("segment", op.gaussian({ sigma: 1 }), op.otsu(), op.label())
  .step("measure", op.measure(["area", "mean_intensity"]));

describe("what a run wrote", () => {
  const cases: [NgffVersion, Compression, number][] = [
    ["0.5", "blosc-lz4", 32],
    ["0.5", "blosc-zstd", 512],
    ["0.5", "zstd", 20],
    ["0.5", "none", 32],
    ["0.4", "blosc-lz4", 32],
    ["0.4", "blosc-zstd", 20],
    ["0.4", "zstd", 512],
    ["0.4", "none", 20],
  ];
  test.each(cases)(
    "NGFF %s, %s, chunks of %d: opens, and its planes are the input's",
    async (zarr, compression, chunk) => {
      const root = folder();
      const plane = (x: number, y: number, p: { well: string; channel: number; z: number }) =>
        (p.well === "A01" ? 5 : 900) + 13 * p.channel + 4 * p.z + x * y;
      smallPlate(root, {
        sites: 2,
        channels: [2, 2],
        names: ["DAPI", "GFP"],
        width: 70,
        height: 45,
        value: plane,
      });
      const out = folder();
      await run(copy, await openPlate(root), { out, zarr, compression, chunk, threads: 2 });
      const again = await openPlate(join(out, "plate.ome.zarr"));
      expect([again.wells, again.sites, again.channels.map((c) => c.name)]).toEqual([
        ["A01", "A02"],
        [0, 1],
        ["DAPI", "GFP"],
      ]);
      expect([again.planes.length, again.notices, again.missing]).toEqual([16, [], []]);
      for (const p of again.planes) {
        const expected = Array.from({ length: 70 * 45 }, (_, i) =>
          plane(i % 70, Math.floor(i / 70), { well: p.well, channel: p.channel, z: p.z_index as number }),
        );
        expect(await pixelsOf(p)).toEqual(expected);
      }
    },
  );

  test("gives the same objects as the plate it was copied from", async () => {
    const root = folder();
    smallPlate(root, { sites: 2, channels: [3], wells: ["B02", "B03"] });
    const plate = await openPlate(root);
    const copied = folder();
    await run(copy, plate, { out: copied });
    const fromTiff = folder();
    const fromZarr = folder();
    await run(segment, plate, { out: fromTiff });
    await run(segment, await openPlate(join(copied, "plate.ome.zarr")), { out: fromZarr });
    const rows = (out: string) =>
      table(out).map(({ well, label, area, mean_intensity }) => ({ well, label, area, mean_intensity }));
    expect(rows(fromZarr)).toEqual(rows(fromTiff));
    expect(rows(fromZarr).length).toBeGreaterThan(10);
  });

  test("cannot be written over while it is read", async () => {
    const root = folder();
    smallPlate(root, { wells: ["A01"] });
    const out = folder();
    await run(copy, await openPlate(root), { out });
    const plate = await openPlate(join(out, "plate.ome.zarr"));
    const error = await thrown(() => run(copy, plate, { out, overwrite: true }));
    expect([error.code, error.argument]).toEqual(["ERR_INVALID_ARGUMENT", "out"]);
    expect((await openPlate(join(out, "plate.ome.zarr"))).planes).toHaveLength(1);
  });
});

describe("a run over an OME-Zarr plate", () => {
  async function copied(): Promise<string> {
    const root = folder();
    smallPlate(root, { wells: ["A01", "A02", "A03"] });
    const out = folder();
    await run(copy, await openPlate(root), { out });
    return join(out, "plate.ome.zarr");
  }

  test("resumes: only the well whose chunks changed is redone", async () => {
    const root = await copied();
    const out = folder();
    await run(segment, await openPlate(root), { out });
    const shard = (await openPlate(root)).planes.find((p) => p.well === "A02")?.path as string;
    utimesSync(join(shard, "c.0.0.0"), new Date(), new Date(Date.now() + 5000));
    await run(segment, await openPlate(root), { out, resume: true });
    expect(runJson(out).wells.map((w) => [w.well, w.reused])).toEqual([
      ["A01", true],
      ["A02", false],
      ["A03", true],
    ]);
  });

  test("a damaged shard fails its field and names it; a missing one is the fill value", async () => {
    const root = await copied();
    const plate = await openPlate(root);
    const [first, second] = plate.planes as [PlaneRef, PlaneRef];
    writeFileSync(join(first.path, "c.0.0.0"), readFileSync(join(first.path, "c.0.0.0")).subarray(0, 100));
    rmSync(join(second.path, "c.0.0.0"));
    const out = folder();
    const report = await run(segment, plate, { out });
    expect(report.outcome).toBe("incomplete");
    expect(report.failures.map((f) => [f.well, f.code, f.path])).toEqual([
      ["A01", "ERR_ZARR_DAMAGED", join(first.path, "c.0.0.0")],
    ]);
    expect(runJson(out).planeStates.map((p) => [p.well, p.state])).toEqual([
      ["A01", "failed"],
      ["A02", "done"],
      ["A03", "done"],
    ]);
  });

  test("a field with metadata that cannot be read is missing, with the reason", async () => {
    const root = await copied();
    const [first] = (await openPlate(root)).planes as [PlaneRef];
    writeFileSync(join(first.path, "zarr.json"), "{}");
    const plate = await openPlate(root);
    expect(plate.planes.map((p) => p.well)).toEqual(["A02", "A03"]);
    expect(plate.missing).toEqual([
      {
        well: "A01",
        site: 0,
        channel: 1,
        z_index: null,
        timepoint: 1,
        kind: "unreadable",
        reason: "A/1/0: ERR_ZARR_DAMAGED: is no Zarr version 3 metadata",
      },
    ]);
    expect(plate.notices.map((n) => n.message)).toEqual(["1 field that cannot be read"]);
  });
});

describe("stores that are no plate", () => {
  test("an image that claims more planes than any has is refused before they are counted out", async () => {
    const root = folder();
    const multiscales = [{ axes: ["z", "y", "x"].map((name) => ({ name })), datasets: [{ path: "0" }] }];
    writeFileSync(
      join(root, "zarr.json"),
      JSON.stringify({
        zarr_format: 3,
        node_type: "group",
        attributes: { ome: { version: "0.5", multiscales } },
      }),
    );
    mkdirSync(join(root, "0"));
    const array = {
      zarr_format: 3,
      node_type: "array",
      shape: [1e12, 8, 8],
      data_type: "uint8",
      chunk_grid: { name: "regular", configuration: { chunk_shape: [1, 8, 8] } },
      chunk_key_encoding: { name: "default" },
      fill_value: 0,
      codecs: [{ name: "bytes" }],
    };
    writeFileSync(join(root, "0", "zarr.json"), JSON.stringify(array));
    expect((await thrown(() => openPlate(root))).message).toBe(
      `${root} holds no image that can be read: ERR_ZARR_UNSUPPORTED: an image of more than 1000000 planes is not read`,
    );
  });

  test("are refused with what they are", async () => {
    const root = folder();
    mkdirSync(root, { recursive: true });
    writeFileSync(
      join(root, "zarr.json"),
      JSON.stringify({ zarr_format: 3, node_type: "group", attributes: {} }),
    );
    const error = await thrown(() => openPlate(root));
    expect([error.code, error.message]).toEqual([
      "ERR_PLATE_FORMAT",
      `${root} is a Zarr group without OME metadata: expected a plate, a well or a multiscale image`,
    ]);
    const empty = folder();
    expect((await thrown(() => openPlate(empty, { format: "ome-zarr" }))).message).toBe(
      `${empty} is no Zarr store: it holds no zarr.json, .zgroup or .zarray`,
    );
  });

  test("paths in metadata do not lead out of the store", async () => {
    const root = folder();
    const ome = {
      version: "0.5",
      plate: {
        rows: [{ name: "A" }],
        columns: [{ name: "1" }],
        wells: [{ path: "../A/1", rowIndex: 0, columnIndex: 0 }],
      },
    };
    writeFileSync(
      join(root, "zarr.json"),
      JSON.stringify({ zarr_format: 3, node_type: "group", attributes: { ome } }),
    );
    const error = await thrown(() => openPlate(root));
    expect([error.code, error.message]).toEqual([
      "ERR_METADATA",
      `${root}: path: expected the name of a group, found "../A/1"`,
    ]);
  });
});
