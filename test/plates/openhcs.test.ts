// SPDX-License-Identifier: MIT
// OpenHCS workspaces: virtual names over real files, image sets, and metadata that cannot be believed.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openPlate } from "../../lib/plates/index.js";
import { parseOpenHcsName } from "../../lib/plates/openhcs.js";
import { temporaryFolders } from "../helpers/folder.js";
import { firstPixels } from "../helpers/pixels.js";
import { thrown } from "../helpers/throws.js";
import { writeTiff } from "../helpers/tiff.js";

const folder = temporaryFolders();

/** Files with the values 1, 2, ... and a metadata file. */
function workspace(files: readonly string[], metadata: unknown): string {
  const root = folder();
  for (const [i, file] of files.entries()) {
    mkdirSync(join(root, file, ".."), { recursive: true });
    writeTiff(join(root, file), { width: 16, height: 12, dtype: "uint16", value: () => i + 1 });
  }
  writeFileSync(
    join(root, "openhcs_metadata.json"),
    typeof metadata === "string" ? metadata : JSON.stringify(metadata),
  );
  return root;
}

const set = {
  microscope_handler_name: "imagexpress",
  source_filename_parser_name: "ImageXpressFilenameParser",
  grid_dimensions: [2, 3],
  pixel_size: 0.65,
  channels: { 1: "DAPI", 2: "None", x: "y" },
  wells: null,
  available_backends: { disk: true, virtual_workspace: true },
};

describe("an OpenHCS workspace", () => {
  test("virtual names say what a plane is, real files have its pixels; nothing is moved", async () => {
    const files = [
      "TimePoint_1/ZStep_2/p_A01_s1_w1.TIF",
      "TimePoint_1/ZStep_1/p_A01_s1_w1.TIF",
      "p_A01_s1_w2.tif",
    ];
    const root = workspace(files, {
      subdirectories: {
        ".": {
          ...set,
          image_files: [],
          main: true,
          workspace_mapping: {
            "TimePoint_1/A01_s001_w1_z001_t001.TIF": files[1],
            "TimePoint_1/A01_s001_w1_z002_t001.TIF": files[0],
            "A01_s004_w2_z001_t001.tif": "./p_A01_s1_w2.tif",
          },
        },
        out: { ...set, image_files: ["out/A01_s001_w1_z001_t001.tif"] },
      },
    });
    const plate = await openPlate(root);
    expect(plate.planes.map((p) => [p.well, p.site, p.channel, p.z_index, p.timepoint])).toEqual([
      ["A01", 1, 1, 1, 1],
      ["A01", 1, 1, 2, 1],
      ["A01", 4, 2, 1, 1],
    ]);
    expect(await firstPixels(plate.planes)).toEqual([2, 1, 3]);
    expect([plate.format, plate.siteGrid, plate.pixelSizeUm, plate.channels.map((c) => c.name)]).toEqual([
      "openhcs",
      { rows: 2, columns: 3 },
      { x: 0.65, y: 0.65 },
      ["DAPI", null],
    ]);
    expect(plate.notices).toEqual([
      {
        kind: "ignored",
        message: '1 more image set of the workspace; "." is read',
        count: 1,
        examples: ["out"],
      },
    ]);
    // The same folder as the microscope left it.
    expect((await openPlate(root, { format: "imagexpress" })).sites).toEqual([1]);
  });

  test("the main image set is read, its files by the names of their microscope", async () => {
    const files = ["images/r01c02f03p04-ch1sk2fk1fl1.tiff", "images/A03_s1_w2.tif", "out/A01_s1_w1.tif"];
    const root = workspace(files, {
      subdirectories: {
        out: { ...set, image_files: ["out/A01_s1_w1.tif"] },
        // Older writers leave the folder out.
        images: {
          ...set,
          image_files: [files[0], "A03_s1_w2.tif", "images/A03_s2_w2.tif", "images/notes.csv"],
        },
      },
    });
    const plate = await openPlate(root);
    expect(plate.planes.map((p) => [p.well, p.site, p.channel, p.z_index, p.timepoint])).toEqual([
      ["A03", 1, 2, null, 1],
      ["A02", 3, 1, 4, 2],
    ]);
    expect(await firstPixels(plate.planes)).toEqual([2, 1]);
    expect(plate.missing.find((m) => m.reason !== "no file")).toMatchObject({
      well: "A03",
      site: 2,
      reason: "listed in openhcs_metadata.json and not in the folder",
    });
    expect(plate.notices.filter((n) => n.kind === "ignored").map((n) => [n.message, n.examples])).toEqual([
      ['1 more image set of the workspace; "images" is read', ["out"]],
      [
        "1 image of openhcs_metadata.json that is not named like A01_s001_w1_z001_t001.tif",
        ["images/notes.csv"],
      ],
      ['1 TIFF file that is not of the image set "images"', ["out/A01_s1_w1.tif"]],
    ]);
  });

  test("the older form without subdirectories is one image set", async () => {
    const root = workspace(["A01_s1_w1.tif"], { ...set, image_files: ["A01_s1_w1.tif"] });
    const plate = await openPlate(join(root, "openhcs_metadata.json"));
    expect([plate.wells, plate.planes.length]).toEqual([["A01"], 1]);
  });

  test("planes that need Bio-Formats are missing, with the reason", async () => {
    const virtual = { reader: "bioformats", source_path: "plate.czi", series_index: 3, plane_index: 7 };
    const root = workspace(["a.tif"], {
      subdirectories: {
        ".": {
          ...set,
          workspace_mapping: { "A01_s001_w1_z001_t001.tif": "a.tif", "A01_s001_w2_z001_t001.tif": virtual },
        },
      },
    });
    expect((await openPlate(root)).missing.map((m) => [m.channel, m.reason])).toEqual([
      [2, "in plate.czi, which needs Bio-Formats"],
    ]);
  });
});

describe("metadata that cannot be believed", () => {
  const advice =
    ". To read the folder without it, say which layout it has (--format) or how its files are named (--pattern)";
  test.each([
    ['{"subdirectories": {"."', /^openhcs_metadata\.json: it is not JSON \(.*\)\. To read/],
    ["[]", `openhcs_metadata.json: expected an object but received an array${advice}`],
    ['{"subdirectories": {}}', `openhcs_metadata.json: "subdirectories" is empty${advice}`],
    [
      '{"subdirectories": 3}',
      `openhcs_metadata.json: expected "subdirectories" to be an object but received a number${advice}`,
    ],
    [
      '{"subdirectories": {"a": null}}',
      `openhcs_metadata.json: expected the subdirectory "a" to be an object but received null${advice}`,
    ],
    ["{}", `openhcs_metadata.json: expected "image_files" to be an array but received none${advice}`],
    [
      '{"image_files": [1]}',
      `openhcs_metadata.json: expected "image_files" to hold paths but received a number${advice}`,
    ],
    ['{"image_files": []}', `openhcs_metadata.json: the image set "." lists no image${advice}`],
    [
      '{"image_files": ["plate.zarr/A01_s1_w1"]}',
      `openhcs_metadata.json: its images are no TIFF files (plate.zarr/A01_s1_w1)${advice}`,
    ],
    [
      '{"image_files": ["x.tif"]}',
      `openhcs_metadata.json: none of the 1 image of "." is named like A01_s001_w1_z001_t001.tif (x.tif)${advice}`,
    ],
    [
      '{"workspace_mapping": {"A01.tif": 3}}',
      `openhcs_metadata.json: expected "workspace_mapping" to give a path for "A01.tif" but received a number${advice}`,
    ],
    [
      '{"workspace_mapping": ["A01.tif"]}',
      `openhcs_metadata.json: expected "workspace_mapping" to be an object but received an array${advice}`,
    ],
    [
      '{"image_files": ["A01_s1.tif"]}',
      `openhcs_metadata.json: none of the 1 image of "." can be read: listed in openhcs_metadata.json and not in the folder${advice}`,
    ],
    [
      '{"workspace_mapping": {"A01_s1.tif": "../../etc/passwd"}}',
      'openhcs_metadata.json refers to a file outside the plate: "../../etc/passwd"',
    ],
    [
      '{"subdirectories": {"../up": {"image_files": ["A01_s1.tif"]}}}',
      'openhcs_metadata.json refers to a file outside the plate: "../up"',
    ],
    [
      '{"image_files": ["/etc/A01_s1.tif"]}',
      'openhcs_metadata.json refers to a file outside the plate: "/etc/A01_s1.tif"',
    ],
  ])("%s", async (text, message) => {
    const error = await thrown(() => openPlate(workspace(["p_B02_s1_w1.tif"], text)));
    expect(error.code).toBe("ERR_METADATA");
    if (typeof message === "string") expect(error.message).toBe(message);
    else expect(error.message).toMatch(message);
  });
});

test("names that OpenHCS gives its images", () => {
  const read = (name: string) => Object.values(parseOpenHcsName(name) ?? {});
  expect(read("A01_s001_w1_z003_t002.tif")).toEqual(["A01", 1, 1, 3, 2]);
  expect(read("plate_B12_s4_w2_mask.TIF")).toEqual(["B12", 4, 2, null, 1]);
  expect(read("r02c03f004p005-ch1sk6fk1fl1.tiff")).toEqual(["B03", 4, 1, 5, 6]);
  expect(read("thumbnail.tif")).toEqual([]);
});
