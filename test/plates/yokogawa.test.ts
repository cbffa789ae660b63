// SPDX-License-Identifier: MIT
// Yokogawa folders: the mapping proven by pixels and by Bio-Formats, the metadata files, failures, and hostile files.

import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openPlate } from "../../lib/plates/index.js";
import { bfConvert, bioFormats } from "../helpers/bio-formats.js";
import { temporaryFolders } from "../helpers/folder.js";
import { firstPixels } from "../helpers/pixels.js";
import { needsPeer } from "../helpers/shared.js";
import { thrown } from "../helpers/throws.js";
import { yokogawaPlate } from "../helpers/yokogawa-plate.js";

const folder = temporaryFolders();

describe("a Yokogawa plate", () => {
  test("every plane is where names and records say, by its pixels", async () => {
    const root = folder();
    const written = yokogawaPlate(root, { timepoints: 2 });
    const plate = await openPlate(root);
    expect(plate.planes.map((p) => [p.well, p.site, p.channel, p.z_index, p.timepoint])).toEqual(
      written.map((p) => [p.well, p.field, p.channel, p.z, p.timepoint]),
    );
    expect(await firstPixels(plate.planes)).toEqual(written.map((p) => p.value));
    const { planes, channels, root: _, ...rest } = plate;
    expect(channels.map((c) => [c.channel, c.name, c.zSlices])).toEqual([
      [1, "405 BP445/45", [1, 2]],
      [2, "488 BP525/50", [1]],
    ]);
    expect(rest).toEqual({
      format: "yokogawa",
      pattern: null,
      name: "exp 1",
      wells: ["D08", "E03"],
      sites: [1, 2],
      timepoints: [1, 2],
      plateFormat: { rows: 8, columns: 12, wells: 96 },
      pixelSizeUm: { x: 0.325, y: 0.325 },
      zStepUm: 3,
      siteGrid: { rows: 1, columns: 2 },
      sitePositions: [
        { site: 1, xUm: -325, yUm: 402.9 },
        { site: 2, xUm: 325, yUm: 402.9 },
      ],
      missing: [],
      notices: [],
    });
  });

  test("without metadata the names say enough, and gaps are found by comparing wells", async () => {
    const root = folder();
    const written = yokogawaPlate(root, {
      without: ["mlf", "mrf", "mes", "wpi"],
      withhold: (p) => p.value === 8,
    });
    const plate = await openPlate(root);
    expect(await firstPixels(plate.planes)).toEqual(written.map((p) => p.value).filter((v) => v !== 8));
    expect([plate.name, plate.plateFormat.wells]).toEqual(["exp 1", 96]);
    expect(plate.missing.map((m) => [m.well, m.site, m.channel, m.z_index, m.reason])).toEqual([
      ["E03", 1, 1, 2, "no file"],
    ]);
  });

  test("the microscope's correction images are left out", async () => {
    const root = folder();
    yokogawaPlate(root);
    for (const name of ["DC_sCMOS #1_CAM1.tif", "SC_BP445-45_20x_M01_CH01.tif"])
      writeFileSync(join(root, name), "x");
    expect((await openPlate(root)).notices).toEqual([
      {
        kind: "ignored",
        message: "2 dark or shading images of the microscope (DC_ or SC_ in the name)",
        count: 2,
        examples: ["DC_sCMOS #1_CAM1.tif", "SC_BP445-45_20x_M01_CH01.tif"],
      },
    ]);
  });

  test("a projecting action is the microscope's projection beside the stack", async () => {
    const root = folder();
    yokogawaPlate(root, {
      wells: ["A01"],
      fields: 1,
      actions: [
        { name: "3D", slices: 2, channel: 1 },
        { name: "MIP", slices: 1, channel: 1 },
      ],
    });
    const plate = await openPlate(root);
    expect(plate.planes.map((p) => [p.channel, p.z_index])).toEqual([
      [1, null],
      [1, 1],
      [1, 2],
    ]);
    expect(await firstPixels(plate.planes)).toEqual([3, 1, 2]);
  });

  test("actions that take the same planes get channels of their own", async () => {
    const root = folder();
    yokogawaPlate(root, {
      wells: ["A01"],
      fields: 1,
      actions: [
        { name: "3D", slices: 2, channel: 1 },
        { name: "2D", slices: 1, channel: 2 },
        { name: "3D", slices: 2, channel: 1 },
      ],
    });
    const plate = await openPlate(root);
    expect(plate.channels.map((c) => [c.channel, c.name])).toEqual([
      [2, "488 BP525/50"],
      [101, "405 BP445/45 (action 1)"],
      [301, "405 BP445/45 (action 3)"],
    ]);
    expect(await firstPixels(plate.planes)).toEqual([3, 1, 2, 4, 5]);
    expect(plate.notices.map((n) => [n.kind, n.message, n.examples])).toEqual([
      [
        "mixed",
        "2 channels of actions that take the same planes: channel c of action a becomes 100a + c",
        ["action 1 channel 1 is channel 101", "action 3 channel 1 is channel 301"],
      ],
    ]);
  });
});

describe("what was not acquired", () => {
  test("a record without its file is a missing plane", async () => {
    const root = folder();
    yokogawaPlate(root, { withhold: (p) => p.value === 3 });
    const plate = await openPlate(root);
    expect(plate.missing).toEqual([
      {
        well: "D08",
        site: 1,
        channel: 2,
        z_index: 1,
        timepoint: 1,
        kind: "absent",
        reason: "listed in MeasurementData.mlf and not in the folder",
      },
    ]);
    expect(plate.notices.map((n) => n.message)).toEqual([
      "1 plane: listed in MeasurementData.mlf and not in the folder",
    ]);
  });

  test("an error record takes away the planes that it stands for, with the microscope's words", async () => {
    const root = folder();
    yokogawaPlate(root, {
      // No image of E03 field 2, and of D08 field 1 no second slice.
      withhold: (p) => p.value > 9 || p.value === 2,
      record: (p, xml) => (p.value > 9 || p.value === 2 ? null : xml),
      records: [
        '<bts:MeasurementRecord bts:Type="ERR" bts:Time="2023-09-18T13:59:00+02:00" bts:Column="3" bts:Row="5" bts:TimePoint="1">[AF] cannot find\n the bottom</bts:MeasurementRecord>',
        '<bts:MeasurementRecord bts:Type="ERR" bts:Column="8" bts:Row="4" bts:TimePoint="1" bts:FieldIndex="1" bts:ZIndex="2" bts:Ch="1"/>',
      ],
    });
    const plate = await openPlate(root);
    const focus = "MeasurementData.mlf has an error record: [AF] cannot find the bottom";
    expect(plate.missing.map((m) => [m.well, m.site, m.channel, m.z_index, m.reason])).toEqual([
      ["D08", 1, 1, 2, "MeasurementData.mlf has an error record"],
      ["E03", 2, 1, 1, focus],
      ["E03", 2, 1, 2, focus],
      ["E03", 2, 2, 1, focus],
    ]);
    expect(plate.notices.map((n) => [n.kind, n.message, n.count])).toEqual([
      ["missing", "1 plane: MeasurementData.mlf has an error record", 1],
      ["missing", `3 planes: ${focus}`, 3],
    ]);
  });

  test("a well with nothing but an error is named", async () => {
    const root = folder();
    yokogawaPlate(root, {
      records: [
        '<bts:MeasurementRecord bts:Type="ERR" bts:Column="12" bts:Row="8" bts:TimePoint="1">AF</bts:MeasurementRecord>',
      ],
    });
    const plate = await openPlate(root);
    expect(plate.wells).toEqual(["D08", "E03"]);
    expect(plate.missing.map((m) => m.well)).toEqual(Array(6).fill("H12"));
    expect(plate.notices.map((n) => n.message)).toEqual([
      "6 planes: MeasurementData.mlf has an error record: AF",
      "1 well that MeasurementData.mlf selects has no file",
    ]);
  });

  test("images that no record lists are told", async () => {
    const root = folder();
    yokogawaPlate(root, { record: (p, xml) => (p.value === 1 ? null : xml) });
    const plate = await openPlate(root);
    expect(plate.planes).toHaveLength(12);
    expect(plate.notices.map((n) => [n.kind, n.message])).toEqual([
      ["mixed", "1 image that MeasurementData.mlf does not list"],
    ]);
  });
});

describe("hostile or damaged metadata", () => {
  test("is told file by file, and the names are used", async () => {
    const root = folder();
    yokogawaPlate(root);
    for (const name of ["MeasurementData.mlf", "MeasurementDetail.mrf", "exp.mes", "exp.wpi"])
      writeFileSync(join(root, name), '<?xml version="1.0"?><bts:Measurement');
    const plate = await openPlate(root);
    expect(plate.planes).toHaveLength(12);
    expect([plate.pixelSizeUm, plate.channels[0]?.name]).toEqual([null, null]);
    expect(plate.notices.map((n) => [n.kind, n.message])).toEqual(
      ["MeasurementDetail.mrf", "MeasurementData.mlf", "exp.mes", "exp.wpi"]
        .sort((a, b) => (a === "MeasurementData.mlf" ? -1 : b === "MeasurementData.mlf" ? 1 : 0))
        .map((name) => ["unreadable", `${name} is no readable XML: the end of the document at character 37`]),
    );
  });

  test.each(["../x.tif", "/etc/passwd", "a/../../x.tif"])(
    "that points outside the plate is refused: %s",
    async (file) => {
      const root = folder();
      yokogawaPlate(root, {
        records: [
          `<bts:MeasurementRecord bts:Type="IMG" bts:Column="1" bts:Row="1">${file}</bts:MeasurementRecord>`,
        ],
      });
      const error = await thrown(() => openPlate(root));
      expect([error.code, error.message]).toEqual([
        "ERR_METADATA",
        `MeasurementData.mlf refers to a file outside the plate: ${JSON.stringify(file)}`,
      ]);
    },
  );

  test("cut or garbled anywhere, the plate opens or an error says why", async () => {
    const root = folder();
    yokogawaPlate(root);
    const names = ["MeasurementData.mlf", "MeasurementDetail.mrf", "exp.mes", "exp.wpi"];
    const good = names.map((name) => readFileSync(join(root, name), "utf8"));
    const piece = fc.constantFrom("", "<", "/>", "999999999", "-1", "..", "&", "\0", '"', "ERR");
    await fc.assert(
      fc.asyncProperty(fc.nat(3), fc.nat(4000), fc.nat(40), piece, async (which, at, length, insert) => {
        const text = good[which] as string;
        const place = at % text.length;
        writeFileSync(
          join(root, names[which] as string),
          text.slice(0, place) + insert + text.slice(place + length),
        );
        try {
          expect((await openPlate(root)).planes).toHaveLength(12);
        } catch (error) {
          expect((error as { code: string }).code).toBe("ERR_METADATA");
        }
        writeFileSync(join(root, names[which] as string), text);
      }),
      { numRuns: 150 },
    );
  });

  test("records with absurd numbers count for nothing", async () => {
    const root = folder();
    yokogawaPlate(root, {
      records: [
        '<bts:MeasurementRecord bts:Type="IMG" bts:Column="1e9" bts:Row="-4" bts:ZIndex="99999999999" bts:X="NaN">none.tif</bts:MeasurementRecord>',
        '<bts:MeasurementRecord bts:Type="ERR" bts:Column="99" bts:Row="1"/>',
        "<bts:MeasurementRecord/>",
      ],
    });
    const plate = await openPlate(root);
    expect([plate.planes.length, plate.missing, plate.notices]).toEqual([12, [], []]);
  });
});

describe("Bio-Formats", () => {
  needsPeer(bioFormats(), "Bio-Formats");
  test("reads the same planes", async () => {
    const root = folder();
    yokogawaPlate(root, {
      wells: ["D08", "D09"],
      actions: [1, 2].map((channel) => ({ name: "3D", slices: 2, channel })),
    });
    const out = folder();
    bfConvert(root, "exp.wpi", join(out, "%s_%z_%c_%t.tiff"));
    const plate = await openPlate(root);
    const series = [...new Set(plate.planes.map((p) => `${p.well}/${p.site}`))].sort();
    const theirs = plate.planes.map((p) => ({
      path: join(
        out,
        `${series.indexOf(`${p.well}/${p.site}`)}_${(p.z_index as number) - 1}_${p.channel - 1}_0.tiff`,
      ),
      page: 0,
      sample: 0,
    }));
    expect(await firstPixels(theirs)).toEqual(await firstPixels(plate.planes));
    rmSync(out, { recursive: true });
  });
});
