// SPDX-License-Identifier: MIT
// The demo plate: the same bytes for the same seed, readable by independent readers, and with the truth it claims.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fromArrayBuffer } from "geotiff";
import { beforeAll, describe, expect, test } from "vitest";
import { type DemoPlate, type DemoPlateOptions, makeDemoPlate } from "../lib/cli/demo-plate.js";
import { parseHtd } from "../lib/plates/htd.js";
import { imageXpress } from "../lib/plates/imagexpress.js";
import { decodeText, listFolder } from "../lib/plates/listing.js";
import { temporaryFolders } from "./helpers/folder.js";
import { needsPeer, python, runPython } from "./helpers/shared.js";
import { thrown } from "./helpers/throws.js";

const folder = temporaryFolders();
const filesOf = (root: string) =>
  (readdirSync(root, { recursive: true }) as string[]).filter((f) => /\.(tif|HTD)$/.test(f)).sort();
const hashOf = (root: string) => {
  const hash = createHash("sha256");
  for (const file of filesOf(root)) hash.update(file).update(readFileSync(join(root, file)));
  return hash.digest("hex");
};
const make = (options: DemoPlateOptions) => makeDemoPlate(folder(), options);

let plate: DemoPlate;
let files: string[];
const planesOf = (pattern: RegExp) => files.filter((f) => pattern.test(f) && !f.includes("_thumb"));

beforeAll(async () => {
  plate = await make({ wells: 6, size: 256, sites: 2 });
  files = filesOf(plate.root);
});

test("has a stack of both waves, a stored projection of GFP only, and a thumbnail for each plane", () => {
  expect(plate.wells).toEqual(["A01", "A02", "A03", "B01", "B02", "B03"]);
  expect(plate.planes).toBe(6 * 2 * (3 + 3 + 1));
  expect(planesOf(/./).length - 1).toBe(plate.planes);
  expect(files.filter((f) => f.includes("_thumb")).length).toBe(plate.planes);
  for (const z of [1, 2, 3]) {
    expect(planesOf(new RegExp(`^ZStep_${z}/demo_A01_s1_w1`))).toHaveLength(1);
    expect(planesOf(new RegExp(`^ZStep_${z}/demo_B03_s2_w2`))).toHaveLength(1);
  }
  expect(planesOf(/^demo_A01_s1_w1/)).toEqual([]);
  expect(planesOf(/^demo_A01_s1_w2/)).toHaveLength(1);
});

test("its HTD file says what is there", () => {
  const htd = parseHtd(decodeText(readFileSync(join(plate.root, "demo.HTD"))));
  expect(htd).toMatchObject({
    description: "demo",
    rows: 2,
    columns: 3,
    sites: 2,
    wavelengths: 2,
    zSteps: 3,
    timepoints: 1,
  });
  expect(htd.wells).toEqual(plate.wells);
  expect([...htd.waveNames]).toEqual([
    [1, "DAPI"],
    [2, "GFP"],
  ]);
});

test("the catalogue reads every name", async () => {
  const htdPath = join(plate.root, "demo.HTD");
  const parsed = imageXpress.parse(
    await listFolder(plate.root),
    new Map([[htdPath, decodeText(readFileSync(htdPath))]]),
  );
  expect(parsed.files.filter((f) => f.z_index === null && f.channel === 2)).toHaveLength(12);
  expect(parsed.files.filter((f) => f.z_index !== null)).toHaveLength(6 * 2 * 6);
});

test("equal seeds give equal bytes, other seeds other ones", async () => {
  const options = { wells: 2, size: 96, sites: 1 } as const;
  const [first, again, other] = [
    await make(options),
    await make(options),
    await make({ ...options, seed: 2 }),
  ];
  expect(hashOf(again.root)).toBe(hashOf(first.root));
  expect(again.truth).toEqual(first.truth);
  expect(hashOf(other.root)).not.toBe(hashOf(first.root));
});

test("one wave, another name and size", async () => {
  const nuclei = await make({ wells: 1, size: 64, sites: 1, channels: 1, name: "plate-7" });
  expect(nuclei.planes).toBe(3);
  expect(filesOf(nuclei.root).every((f) => /(^|\/)plate-7(_A01_s1_w1|\.HTD)/.test(f))).toBe(true);
});

test("geotiff reads the stored projection as the maximum of its slices", async () => {
  const read = async (file: string) => {
    const bytes = readFileSync(join(plate.root, file));
    const image = await (await fromArrayBuffer(new Uint8Array(bytes).buffer)).getImage();
    expect([image.getWidth(), image.getHeight(), image.getBitsPerSample()]).toEqual([256, 256, 16]);
    return (await image.readRasters())[0] as Uint16Array;
  };
  const slices = await Promise.all(planesOf(/^ZStep_\d\/demo_A03_s2_w2/).map(read));
  const projection = await read(planesOf(/^demo_A03_s2_w2/)[0] as string);
  expect(slices).toHaveLength(3);
  expect(projection).toEqual(projection.map((_, i) => Math.max(...slices.map((s) => s[i] as number))));
});

describe("read by tifffile and scikit-image", () => {
  needsPeer(python(), "Python with its packages");
  interface Read {
    readonly file: string;
    readonly hash: string;
    readonly dtype: string;
    readonly shape: readonly number[];
    readonly compression: string;
    readonly pixelSize: number;
    readonly label: string;
  }

  test("every file is a MetaSeries TIFF with the pixels that geotiff reads", async () => {
    const program = `
import glob, hashlib, json, os, sys, tifffile
out = []
for path in sorted(glob.glob(os.path.join(sys.argv[1], "**", "*.tif"), recursive=True)):
    with tifffile.TiffFile(path) as tiff:
        page, info = tiff.pages[0], tiff.metaseries_metadata["PlaneInfo"]
        out.append({"file": os.path.relpath(path, sys.argv[1]), "hash": hashlib.sha256(page.asarray().tobytes()).hexdigest(), "dtype": str(page.dtype),
            "shape": page.shape, "compression": page.compression.name, "pixelSize": info["spatial-calibration-x"], "label": info["stage-label"]})
print(json.dumps(out))`;
    const read = runPython(program, [plate.root]) as Read[];
    expect(read).toHaveLength(plate.planes * 2);
    for (const r of read) {
      const thumb = r.file.includes("_thumb");
      const [, well, site] = /_([A-Z]\d\d)_s(\d)_/.exec(r.file) as unknown as [string, string, string];
      expect(r).toMatchObject({
        dtype: "uint16",
        shape: thumb ? [80, 80] : [256, 256],
        compression: "ADOBE_DEFLATE",
        pixelSize: thumb ? 2.1872 : 0.6835,
        label: `${well} : Site ${site}`,
      });
      const bytes = readFileSync(join(plate.root, r.file));
      const image = await (await fromArrayBuffer(new Uint8Array(bytes).buffer)).getImage();
      const pixels = (await image.readRasters())[0] as Uint16Array;
      expect(createHash("sha256").update(pixels).digest("hex")).toBe(r.hash);
    }
  });

  test("nuclei can be counted: a threshold finds what the truth says, and GFP rises with the dose", async () => {
    const program = `
import glob, json, os, sys
import numpy as np, tifffile
from skimage import filters, measure
root, wells, sites = sys.argv[1], sys.argv[2].split(","), int(sys.argv[3])
def plane(folder, well, site, wave):
    return tifffile.imread([p for p in glob.glob(os.path.join(root, folder, f"*_{well}_s{site}_w{wave}*.tif")) if "_thumb" not in p][0])
out = {}
for well in wells:
    counts, gfp = [], []
    for site in range(1, sites + 1):
        nuclei = np.max([plane(f"ZStep_{z}", well, site, 1) for z in (1, 2, 3)], 0).astype(float)
        smooth = filters.gaussian(nuclei, 1.5, preserve_range=True)
        labels = measure.label(smooth > filters.threshold_otsu(smooth))
        counts.append(sum(r.area >= 30 for r in measure.regionprops(labels)))
        gfp.append(float(plane("", well, site, 2)[labels > 0].mean()))
    out[well] = {"counts": [int(c) for c in counts], "gfp": float(np.mean(gfp))}
print(json.dumps(out))`;
    const whole = await make({ wells: 24, sites: 1 });
    const found = runPython(program, [whole.root, whole.wells.join(","), "1"]) as Record<
      string,
      { counts: number[]; gfp: number }
    >;
    for (const { well, counts } of whole.truth) {
      // One in fifty may merge or break under a plain threshold.
      const [mine, truth] = [found[well]?.counts[0] as number, counts[0] as number];
      expect(Math.abs(mine - truth), `${well}: found ${mine}, painted ${truth}`).toBeLessThanOrEqual(
        Math.max(1, truth / 50),
      );
    }
    const at = (well: string) => whole.truth.find((t) => t.well === well)?.counts[0] as number;
    for (const row of ["A", "B", "C", "D"]) {
      expect(at(`${row}06`)).toBeLessThan(at(`${row}01`) / 1.8);
      expect(found[`${row}06`]?.gfp).toBeGreaterThan(2 * (found[`${row}01`]?.gfp as number));
    }
    // Rows are compounds of falling potency.
    expect(at("A04")).toBeLessThan(at("D04") / 1.8);
    rmSync(whole.root, { recursive: true });
  });
});

test("what cannot be a plate is refused by name", async () => {
  const messages = await Promise.all(
    [{ wells: 0 }, { wells: 1537 }, { size: 31 }, { sites: 1.5 }, { seed: -1 }, { name: "../x" }].map(
      async (options) => {
        const error = await thrown(() => makeDemoPlate("unused", options));
        expect(error.code).toBe("ERR_INVALID_ARGUMENT");
        return error.message;
      },
    ),
  );
  expect(messages).toEqual([
    "wells: expected a whole number from 1 to 1536, got 0",
    "wells: expected a whole number from 1 to 1536, got 1537",
    "size: expected a whole number from 32 to 8192, got 31",
    "sites: expected a whole number from 1 to 100, got 1.5",
    "seed: expected a whole number from 0 to 4294967295, got -1",
    'name: expected letters, digits and hyphens, got "../x"',
  ]);
});

test("a signal ends it, and nothing is written afterwards", async () => {
  const controller = new AbortController();
  const root = folder();
  const making = makeDemoPlate(root, { wells: 24, size: 64, signal: controller.signal });
  setImmediate(() => controller.abort(new Error("enough")));
  const error = await thrown(() => making);
  expect(error.code).toBe("ERR_CANCELLED");
  const left = filesOf(root).length;
  expect(left).toBeLessThan(24 * 2 * 7 * 2);
  // Whatever was in flight has ended: removing the folder cannot meet a writer.
  rmSync(root, { recursive: true });
});

test("a folder that cannot be written to is the file system's error", async () => {
  await expect(makeDemoPlate("/dev/null/plate", { wells: 1, size: 64 })).rejects.toThrow(/ENOTDIR/);
});
