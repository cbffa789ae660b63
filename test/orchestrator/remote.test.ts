// SPDX-License-Identifier: MIT
// Plates behind a web server: catalogued as their folders are, and runs over them give the results of runs over the folders.

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { infoCommand } from "../../lib/cli/info.js";
import { op } from "../../lib/ops/index.js";
import { pipeline } from "../../lib/orchestrator/pipeline.js";
import { run } from "../../lib/orchestrator/run.js";
import { openPlate, type Plate } from "../../lib/plates/index.js";
import { temporaryFolders } from "../helpers/folder.js";
import { omeImage, omeXml } from "../helpers/ome-tiff.js";
import { runJson, storeDigests } from "../helpers/results.js";
import { thrown } from "../helpers/throws.js";
import { writeTiff } from "../helpers/tiff.js";
import { serve } from "../stores/http-server.js";
import { csv, go, plateIn, segment, statusOf } from "./small-runs.js";

const folder = temporaryFolders();
const http = { backoffMs: 1, maxBackoffMs: 5 };

/** What of a catalogue does not depend on where it is. */
const contents = ({ wells, sites, channels, timepoints, planes, missing, plateFormat }: Plate) => ({
  wells,
  sites,
  channels,
  timepoints,
  missing,
  plateFormat,
  planes: planes.map(({ well, site, channel, z_index, timepoint, page, sample, width, height, dtype }) => [
    well,
    site,
    channel,
    z_index,
    timepoint,
    page,
    sample,
    width,
    height,
    dtype,
  ]),
});

const manifest = (root: string) =>
  execFileSync("sh", ["-c", "find . -type f | sed 's|^./||' > tilecast-files.txt"], { cwd: root });

describe.each(["0.5", "0.4"] as const)("an OME-Zarr %s plate behind a web server", (zarr) => {
  test("is catalogued and run as the folder is, though every fifth request fails", async () => {
    const { root, out } = plateIn(folder, { sites: 2, channels: [2, 2] });
    await go(root, out, { zarr, chunk: 32 }, pipeline("stack").step("project", op.maxProject()));
    const source = join(out, "plate.ome.zarr");
    let requests = 0;
    const server = await serve(source, ({ response }) => {
      if (++requests % 5 !== 0) return false;
      response.writeHead(503).end();
      return true;
    });
    const local = await openPlate(source);
    const remote = await openPlate(server.url, { http });
    expect(contents(remote)).toEqual(contents(local));
    expect(remote.root).toBe(server.url.slice(0, -1));
    expect(remote.planes[0]?.path).toBe(`${server.url}A/1/0/0`);

    const near = join(folder(), "near");
    const far = join(folder(), "far");
    const estimated = pipeline("estimated")
      .step("correct", op.flatField({ from: "median" }))
      .step("segment", op.threshold({ value: 40 }), op.label())
      .step("measure", op.measure(["area", "mean_intensity"]));
    await run(estimated, local, { out: near, threads: 2 });
    const report = await run(estimated, remote, { out: far, threads: 2 });
    expect(report.outcome).toBe("complete");
    expect(csv(far)).toBe(csv(near));
    expect(csv(far).split("\n").length).toBeGreaterThan(10);
    expect(storeDigests(far)).toEqual(storeDigests(near));

    const again = await run(estimated, await openPlate(server.url, { http }), {
      out: far,
      threads: 2,
      resume: true,
    });
    expect(again.planes.reused).toBe(again.planes.total);
  });
});

describe("a folder of TIFF files behind a web server", () => {
  test("is read where its files are listed", async () => {
    const { root, out } = plateIn(folder, { sites: 2, names: ["DAPI"] });
    manifest(root);
    const server = await serve(root);
    const local = await openPlate(root);
    const remote = await openPlate(server.url, { http });
    expect(remote.format).toBe("imagexpress");
    expect(remote.channels[0]?.name).toBe("DAPI");
    expect(contents(remote)).toEqual(contents(local));
    await run(segment, local, { out, threads: 2 });
    const far = join(folder(), "far");
    expect((await run(segment, remote, { out: far, threads: 2 })).outcome).toBe("complete");
    expect(csv(far)).toBe(csv(out));
    expect(storeDigests(far)).toEqual(storeDigests(out));
    const { planes } = runJson(far);
    expect(planes.total).toBe(16);
  });

  test("is refused where nothing lists its files, and says what would", async () => {
    const { root } = plateIn(folder);
    const server = await serve(root);
    const error = await thrown(() => openPlate(server.url, { http }));
    expect(error.code).toBe("ERR_PLATE_FORMAT");
    expect(error.message).toBe(
      [
        `${server.url.slice(0, -1)} is no OME-Zarr store, and HTTP lists no folders. Expected one of:`,
        "  an OME-Zarr plate or image",
        "  an OME-TIFF file (its set is found by its metadata), or another TIFF file",
        "  a .companion.ome file",
        '  a folder with a file tilecast-files.txt, made there with: find . -type f | sed "s|^./||" > tilecast-files.txt',
      ].join("\n"),
    );
  });

  test("takes the listing from the caller, and none that leads elsewhere", async () => {
    const { root, planes } = plateIn(folder);
    const server = await serve(root);
    const files = planes.map((p) => p.path);
    const remote = await openPlate(server.url, { http, files });
    expect(contents(remote)).toEqual(contents(await openPlate(root)));
    for (const bad of ["../x.tif", "a//b.tif", "/x.tif", "a\\b.tif"]) {
      const error = await thrown(() => openPlate(server.url, { http, files: [bad] }));
      expect([error.code, error.message]).toEqual([
        "ERR_METADATA",
        `files: expected paths relative to ${server.url.slice(0, -1)}, found ${JSON.stringify(bad)}`,
      ]);
    }
  });

  test("fails the field whose file the server refuses, says why, and does the rest", async () => {
    const { root, planes } = plateIn(folder);
    manifest(root);
    let opened = false;
    const refused = planes.find((p) => p.well === "A02" && p.z === 2)?.path as string;
    const server = await serve(root, ({ path, response }) => {
      if (!opened || path !== refused) return false;
      response.writeHead(403).end();
      return true;
    });
    const remote = await openPlate(server.url, { http: { ...http, cacheBytes: 0 } });
    opened = true;
    const out = join(folder(), "out");
    const report = await run(segment, remote, { out, threads: 2 });
    expect(report.outcome).toBe("incomplete");
    expect(statusOf(out)).toEqual({ A01: "done", A02: "failed", B01: "done", B02: "done" });
    expect(runJson(out).failures).toEqual([
      expect.objectContaining({
        well: "A02",
        code: "ERR_HTTP",
        message: `${server.url}${refused}: status 403 Forbidden`,
      }),
    ]);
  });

  test("is let go when the run is cancelled, and what was not fetched is cancelled", async () => {
    const { root } = plateIn(folder);
    manifest(root);
    let opened = false;
    const controller = new AbortController();
    const server = await serve(root, ({ nth }) => {
      if (!opened) return false;
      // Never answered.
      if (nth > 0) setImmediate(() => controller.abort());
      return true;
    });
    const remote = await openPlate(server.url, { http: { ...http, cacheBytes: 0 } });
    opened = true;
    const out = join(folder(), "out");
    const report = await run(segment, remote, { out, threads: 2, signal: controller.signal });
    expect(report.outcome).toBe("cancelled");
    expect(runJson(out).planes).toMatchObject({ total: 8, done: 0, cancelled: 8, failed: 0 });
  });
});

describe("TIFF files behind a web server", () => {
  test("a set of OME-TIFF files is found from one of them, or from its companion", async () => {
    const root = folder();
    const data = [0, 1, 2].map(
      (c) =>
        `<TiffData IFD="0" FirstC="${c}" PlaneCount="1"><UUID FileName="c${c}.ome.tif">urn:uuid:0000000${c}-0000-4000-8000-000000000000</UUID></TiffData>`,
    );
    const xml = omeXml(omeImage({ sizes: { c: 3 }, data: data.join("") }));
    for (const c of [0, 1, 2])
      writeTiff(join(root, `c${c}.ome.tif`), {
        width: 16,
        height: 12,
        description: xml,
        value: (x, y) => 100 * c + x + y,
      });
    writeFileSync(join(root, "set.companion.ome"), xml);
    const server = await serve(root);
    const local = contents(await openPlate(root, { format: "ome-tiff" }));
    expect(local.planes).toHaveLength(3);
    for (const name of ["c0.ome.tif", "c1.ome.tif", "set.companion.ome"])
      expect(contents(await openPlate(server.url + name, { http }))).toEqual(local);
  });

  test("one is an image of its own, whatever it is called", async () => {
    const root = folder();
    writeTiff(join(root, "an image, 50 %.tif"), { width: 16, height: 12, value: (x, y) => x + y });
    const server = await serve(root);
    const plate = await openPlate(`${server.url}an%20image,%2050%20%25.tif`, { http });
    expect(plate.planes).toHaveLength(1);
    expect(plate.planes[0]).toMatchObject({ well: "A01", width: 16, height: 12, dtype: "uint8" });
    const out = join(folder(), "out");
    const copy = pipeline("copy").step("all", op.maxProject());
    expect((await run(copy, plate, { out, threads: 1 })).outcome).toBe("complete");
  });

  test("are described on the command line", async () => {
    const { root } = plateIn(folder);
    manifest(root);
    const server = await serve(root);
    let text = "";
    const stdout = { write: (part: string) => (text += part) };
    expect(await infoCommand([server.url], { stdout, color: false, unicode: false })).toBe(0);
    expect(text).toContain("wells       4 of 6");
    expect(text).toContain(server.url.slice(0, -1));
  });
});
