// SPDX-License-Identifier: MIT
// The catalogue of real plates against independent listings: a regular expression in Python for names, tifffile for headers.

import { cpSync, rmSync, writeFileSync } from "node:fs";
import { relative } from "node:path";
import { describe, expect, test } from "vitest";
import { openPlate, type Plate } from "../../lib/plates/index.js";
import { temporaryFolders } from "../helpers/folder.js";
import { needsData, needsPeer, python, runPython, shared } from "../helpers/shared.js";

const folder = temporaryFolders();
const imageXpress = shared("data", "imagexpress-plate", "2023-02-21", "1334");
const transfluor = shared("data", "transfluor-plate");
const cells = shared("data", "human-cells");
const oracle = shared("oracle", "platefiles.py");

type Row = [path: string, well: string, site: number, channel: number, z: number | null, timepoint: number];
type Header = [width: number, height: number, dtype: string, compression: string];

const program = `
import json, os, sys
sys.path.insert(0, os.path.dirname(sys.argv[1]))
import platefiles, tifffile
names = {"NONE": "none", "ADOBE_DEFLATE": "deflate", "DEFLATE": "deflate", "PACKBITS": "packbits", "LZW": "lzw"}
out = []
for e in platefiles.list_plate(sys.argv[2], **platefiles.PRESETS[sys.argv[3]]):
    with tifffile.TiffFile(e.path) as t:
        p = t.pages[0]
        out.append([[e.rel, e.well, e.site, e.channel, e.z, e.t], [p.imagewidth, p.imagelength, str(p.dtype), names[p.compression.name]]])
print(json.dumps(out))
`;

function listed(plate: Plate): [Row, Header][] {
  return plate.planes.map((p) => [
    [relative(plate.root, p.path), p.well, p.site, p.channel, p.z_index, p.timepoint],
    [p.width, p.height, p.dtype, p.compression],
  ]);
}

const byPath = (a: [Row, Header], b: [Row, Header]) => (a[0][0] < b[0][0] ? -1 : 1);

describe("the catalogue equals an independent listing", () => {
  needsData(oracle, "shared/oracle");
  needsData(imageXpress && transfluor && cells, "shared/data");
  needsPeer(python(), "Python with tifffile");

  test.each([imageXpress as string])("of the ImageXpress plate", async (root) => {
    const expected = runPython(program, [oracle as string, root, "imagexpress"]) as [Row, Header][];
    expect(expected).toHaveLength(96);
    expect(listed(await openPlate(root)).sort(byPath)).toEqual(expected.sort(byPath));
  });

  test.each([transfluor as string, cells as string])("of %s", async (root) => {
    const expected = runPython(program, [oracle as string, root, "transfluor"]) as [Row, Header][];
    const pattern = "{plate}_{well}f{site}d{channel}.tif";
    expect(listed(await openPlate(root)).sort(byPath)).toEqual(expected.sort(byPath));
    expect(listed(await openPlate(root, { pattern })).sort(byPath)).toEqual(expected.sort(byPath));
  });
});

describe("the real ImageXpress plate", () => {
  needsData(imageXpress, "shared/data/imagexpress-plate");
  const root = imageXpress as string;

  test("has channels with a stack, a projection, or both", async () => {
    const plate = await openPlate(root);
    const ten = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    expect(plate.channels.map((c) => [c.channel, c.name, c.zSlices, c.storedPlanes, c.planes])).toEqual([
      [1, "FITC_05", ten, 4, 44],
      [2, "FITC_05-2", ten, 4, 44],
      [3, "FITC_05-3", [], 4, 4],
      [4, "FITC_05-4", [1], 0, 4],
    ]);
    const { planes, channels, notices, ...rest } = plate;
    expect(rest).toEqual({
      format: "imagexpress",
      pattern: null,
      root,
      name: "Projection-Mix",
      wells: ["E07", "E08"],
      sites: [1, 2],
      timepoints: [1],
      plateFormat: { rows: 8, columns: 12, wells: 96 },
      pixelSizeUm: { x: 1.3668, y: 1.3668 },
      zStepUm: 5,
      missing: [],
    });
    expect(notices.map((n) => [n.kind, n.message, n.count])).toEqual([
      ["ignored", "96 thumbnails of the microscope (_thumb in the name)", 96],
    ]);
  });

  test("reports a removed and a truncated slice", async () => {
    const copy = folder();
    cpSync(root, copy, { recursive: true });
    const plane = (plate: Plate, z: number) =>
      plate.planes.find((p) => p.well === "E08" && p.site === 2 && p.channel === 2 && p.z_index === z)
        ?.path as string;
    const whole = await openPlate(copy);
    rmSync(plane(whole, 3));
    writeFileSync(plane(whole, 4), Buffer.alloc(100, 0x49));
    const plate = await openPlate(copy);
    expect(plate.planes).toHaveLength(94);
    expect(plate.missing.map((m) => [m.well, m.site, m.channel, m.z_index, m.kind])).toEqual([
      ["E08", 2, 2, 3, "absent"],
      ["E08", 2, 2, 4, "unreadable"],
    ]);
    expect(plate.notices.slice(1).map((n) => [n.kind, n.count])).toEqual([
      ["unreadable", 1],
      ["missing", 1],
    ]);
    expect(plate.notices.at(-1)).toEqual({
      kind: "missing",
      message: "1 plane of channel 2 (FITC_05-2) that other wells or fields have: no file in E08",
      count: 1,
      examples: ["E08 site 2 channel 2 z 3"],
    });
  });
});

describe("the Transfluor plate", () => {
  needsData(transfluor, "shared/data/transfluor-plate");
  test("is recognised: one row of a 384-well plate, three sites from 0, channel 2", async () => {
    const plate = await openPlate(transfluor as string);
    expect([plate.pattern, plate.name]).toEqual([
      "{plate}_{well:3}f{site:2}d{channel:1}.tif",
      "AS_09047_050428030001",
    ]);
    expect([plate.wells.length, plate.wells[0], plate.wells.at(-1), plate.plateFormat.wells]).toEqual([
      24,
      "O01",
      "O24",
      384,
    ]);
    expect([plate.sites, plate.channels.map((c) => c.channel), plate.missing]).toEqual([[0, 1, 2], [2], []]);
  });
});
