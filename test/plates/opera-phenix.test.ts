// SPDX-License-Identifier: MIT
// Opera Phenix and Operetta folders: the mapping proven by pixels and by Bio-Formats, the index, and what is wrong with it.

import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatWell, openPlate } from "../../lib/plates/index.js";
import { parsePhenixName } from "../../lib/plates/opera-phenix.js";
import { bfConvert, bioFormats } from "../helpers/bio-formats.js";
import { temporaryFolders } from "../helpers/folder.js";
import { harmonyName, type PhenixPlane, phenixPlate } from "../helpers/phenix-plate.js";
import { firstPixels } from "../helpers/pixels.js";
import { needsPeer } from "../helpers/shared.js";
import { thrown } from "../helpers/throws.js";

const folder = temporaryFolders();
const wellOf = (p: PhenixPlane) => formatWell({ row: p.row - 1, column: p.column - 1 });
const componentsOf = (p: PhenixPlane) => [wellOf(p), p.field, p.channel, p.plane, p.timepoint];
const whole = { fields: 4, planes: 3, timepoints: 2 } as const;

describe("a Harmony export", () => {
  test("every plane is where the index and the names say, by its pixels", async () => {
    const root = folder();
    const written = phenixPlate(root, whole);
    const plate = await openPlate(root);
    expect(plate.planes.map((p) => [p.well, p.site, p.channel, p.z_index, p.timepoint])).toEqual(
      written.map(componentsOf),
    );
    expect(await firstPixels(plate.planes)).toEqual(written.map((p) => p.value));
    const { planes, channels, root: _, ...rest } = plate;
    expect(channels.map((c) => [c.channel, c.name, c.zSlices, c.planes])).toEqual([
      [1, "DAPI", [1, 2, 3], 48],
      [2, "Alexa 488", [1, 2, 3], 48],
    ]);
    expect(rest).toEqual({
      format: "opera-phenix",
      pattern: null,
      name: "P7 & more",
      wells: ["A01", "A02"],
      sites: [1, 2, 3, 4],
      timepoints: [1, 2],
      plateFormat: { rows: 8, columns: 12, wells: 96 },
      pixelSizeUm: { x: 0.29688, y: 0.29688 },
      zStepUm: 2,
      siteGrid: { rows: 2, columns: 2 },
      sitePositions: [
        { site: 1, xUm: -320, yUm: 320 },
        { site: 2, xUm: 320, yUm: 320 },
        { site: 3, xUm: -320, yUm: -320 },
        { site: 4, xUm: 320, yUm: -320 },
      ],
      missing: [],
      notices: [],
    });
  });

  test.each([
    ["http://www.perkinelmer.com/PEHH/HarmonyV3", "Index.idx.xml", false],
    ["http://www.perkinelmer.com/PEHH/HarmonyV6", "Index.xml", false],
    ["43B2A954-E3C3-47E1-B392-6635266B0DD3/HarmonyV7", "Index.xml", true],
  ])("of namespace %s in %s is read", async (namespace, index, maps) => {
    const root = folder();
    phenixPlate(root, { namespace, index, maps });
    const plate = await openPlate(join(root, "Images", index));
    expect([plate.root, plate.name, plate.channels.map((c) => c.name), plate.pixelSizeUm]).toEqual([
      join(root, "Images"),
      "P7 & more",
      ["DAPI", "Alexa 488"],
      { x: 0.29688, y: 0.29688 },
    ]);
  });

  test("without an index the names say enough", async () => {
    const root = folder();
    const written = phenixPlate(root, { ...whole, index: null });
    const plate = await openPlate(root);
    expect(await firstPixels(plate.planes)).toEqual(written.map((p) => p.value));
    expect([plate.format, plate.pixelSizeUm, plate.notices]).toEqual(["opera-phenix", null, []]);
  });

  test("names of Harmony 3, which say nothing, are taken from the index", async () => {
    const root = folder();
    const n = (value: number) => String(value).padStart(3, "0");
    const written = phenixPlate(root, {
      fields: 2,
      planes: 2,
      name: (p) => `${n(p.row)}${n(p.column)}-${p.field}-${n(p.plane)}${n(p.timepoint)}${n(p.channel)}.tif`,
    });
    const plate = await openPlate(root);
    expect(plate.planes.map((p) => [p.well, p.site, p.channel, p.z_index, p.timepoint])).toEqual(
      written.map(componentsOf),
    );
    expect(await firstPixels(plate.planes)).toEqual(written.map((p) => p.value));
  });

  test("fast kinetics are frames within the points of slow kinetics; further lifetime images are left out", async () => {
    const root = folder();
    phenixPlate(root, {
      wells: [[1, 1]],
      channels: ["a"],
      timepoints: 4,
      index: null,
      name: (p) =>
        harmonyName({ ...p, timepoint: Math.ceil(p.timepoint / 2) }).replace(
          "fk1",
          `fk${2 - (p.timepoint % 2)}`,
        ),
    });
    renameSync(
      join(root, "Images", "r01c01f01p01-ch1sk2fk2fl1.tiff"),
      join(root, "Images", "r01c01f01p01-ch1sk2fk2fl2.tiff"),
    );
    const plate = await openPlate(root);
    expect(await firstPixels(plate.planes)).toEqual([1, 2, 3]);
    expect(plate.timepoints).toEqual([1, 2, 3]);
    expect(plate.notices.map((x) => x.message)).toEqual([
      "1 lifetime image (fl2 and further): only the first of each plane is read",
    ]);
  });
});

describe("what the index and the folder disagree about", () => {
  test("planes that the index lists and the folder lacks are missing, with the reason", async () => {
    const root = folder();
    phenixPlate(root, {
      fields: 2,
      withhold: (p) => p.value === 3,
      entry: (p, xml) =>
        p.value === 6
          ? xml.replace(/<State>Ok<\/State><URL>[^<]*<\/URL>/, "<State>Autofocus failed</State><URL></URL>")
          : xml,
    });
    rmSync(join(root, "Images", "r01c02f01p01-ch2sk1fk1fl1.tiff"));
    const plate = await openPlate(root);
    expect(
      plate.missing.map((m) => [m.well, m.site, m.channel, m.z_index, m.timepoint, m.kind, m.reason]),
    ).toEqual([
      ["A01", 2, 1, 1, 1, "absent", "listed in Images/Index.idx.xml and not in the folder"],
      ["A02", 1, 2, 1, 1, "absent", "listed in Images/Index.idx.xml without an image (Autofocus failed)"],
    ]);
    expect(plate.notices).toEqual([
      {
        kind: "missing",
        message: "1 plane: listed in Images/Index.idx.xml and not in the folder",
        count: 1,
        examples: ["A01 site 2 channel 1 z 1"],
      },
      {
        kind: "missing",
        message: "1 plane: listed in Images/Index.idx.xml without an image (Autofocus failed)",
        count: 1,
        examples: ["A02 site 1 channel 2 z 1"],
      },
    ]);
  });

  test("what the index does not list was not acquired: wells may differ", async () => {
    const root = folder();
    phenixPlate(root, {
      fields: 2,
      withhold: (p) => p.value > 6,
      entry: (p, xml) => (p.value > 6 ? null : xml),
    });
    const plate = await openPlate(root);
    expect([plate.planes.length, plate.missing, plate.notices]).toEqual([6, [], []]);
  });

  test("damaged images are missing, and images beside the index are told", async () => {
    const root = folder();
    phenixPlate(root, { entry: (p, xml) => (p.value === 4 ? null : xml) });
    writeFileSync(join(root, "Images", "r01c01f01p01-ch2sk1fk1fl1.tiff"), "II*");
    writeFileSync(join(root, "Images", "overview.tiff"), "x");
    const plate = await openPlate(root);
    expect(plate.missing.map((m) => [m.well, m.channel, m.kind])).toEqual([["A01", 2, "unreadable"]]);
    expect(
      plate.notices.map((n) => [n.kind, n.message.replace(/:.*/, ""), n.examples[0]?.replace(/: .*/, "")]),
    ).toEqual([
      ["ignored", "1 TIFF file without a Harmony name", "Images/overview.tiff"],
      ["mixed", "1 image that Images/Index.idx.xml does not list", "Images/r01c02f01p01-ch2sk1fk1fl1.tiff"],
      ["unreadable", "1 file cannot be read", "Images/r01c01f01p01-ch2sk1fk1fl1.tiff"],
    ]);
  });

  test("an entry that contradicts its file's name is told, and the name counts", async () => {
    const root = folder();
    phenixPlate(root, {
      wells: [[1, 1]],
      entry: (p, xml) => (p.value === 2 ? xml.replace("<FieldID>1<", "<FieldID>9<") : xml),
    });
    const plate = await openPlate(root);
    expect(plate.planes.map((p) => [p.site, p.channel])).toEqual([
      [1, 1],
      [1, 2],
    ]);
    expect(plate.notices.map((n) => [n.message, n.examples])).toEqual([
      [
        "1 image that Images/Index.idx.xml describes otherwise than the file name; the name is used",
        ["Images/r01c01f01p01-ch2sk1fk1fl1.tiff (index: A01 field 9 channel 2 plane 1)"],
      ],
    ]);
  });

  test("several measurements below the folder are named, not mixed", async () => {
    const root = folder();
    for (const name of ["one", "two"]) phenixPlate(root, { folder: `${name}/Images` });
    expect((await thrown(() => openPlate(root))).message).toBe(
      `${root} holds 2 Opera Phenix plates; open one of its folders:\n  one/Images  (4 images)\n  two/Images  (4 images)`,
    );
  });
});

describe("a hostile or damaged index", () => {
  const open = async (text: string) => {
    const root = folder();
    phenixPlate(root);
    writeFileSync(join(root, "Images", "Index.idx.xml"), text);
    return openPlate(root);
  };
  const image = (inner: string) =>
    `<EvaluationInputData xmlns="http://www.perkinelmer.com/PEHH/HarmonyV5"><Images><Image Version="1">${inner}</Image></Images></EvaluationInputData>`;

  test.each([
    ["<EvaluationInputData><Images><Image><Row>1</R", "</R where </Row> is open"],
    ['<!DOCTYPE x [<!ENTITY a "&b;">]><x/>', "a document type or other declaration at character 0"],
    ["", "no element at character 0"],
  ])("is told, and the names are used: %j", async (text) => {
    const plate = await open(text);
    expect(plate.planes).toHaveLength(4);
    expect(plate.notices[0]?.kind).toBe("unreadable");
    expect(plate.notices[0]?.message).toMatch(
      /^Images\/Index\.idx\.xml is no readable XML: .*; the file names alone are used$/,
    );
  });

  test.each(["../../../etc/passwd.tiff", "/etc/passwd", "C:\\x.tiff", "..\\..\\x.tiff"])(
    "that points outside the plate is refused: %s",
    async (url) => {
      const error = await thrown(() =>
        open(image(`<URL>${url}</URL><Row>1</Row><Col>1</Col><FieldID>1</FieldID><ChannelID>1</ChannelID>`)),
      );
      expect([error.code, error.message]).toEqual([
        "ERR_METADATA",
        `Images/Index.idx.xml refers to a file outside the plate: ${JSON.stringify(url)}`,
      ]);
    },
  );

  test("cut or garbled anywhere, the plate opens or an error says why", async () => {
    const root = folder();
    phenixPlate(root, { fields: 2 });
    const path = join(root, "Images", "Index.idx.xml");
    const good = readFileSync(path, "utf8");
    const piece = fc.constantFrom("", "<", "</Image>", "999999999", "-1", "..", "&", "\0", '"');
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length), fc.nat(40), piece, async (at, length, insert) => {
        writeFileSync(path, good.slice(0, at) + insert + good.slice(at + length));
        try {
          const plate = await openPlate(root);
          expect(plate.planes).toHaveLength(8);
        } catch (error) {
          expect((error as { code: string }).code).toBe("ERR_METADATA");
        }
      }),
      { numRuns: 150 },
    );
  });

  test("with values of the wrong type or beyond any plate, entries count for nothing", async () => {
    const plate = await open(
      image(
        "<URL>a.tiff</URL><Row>x</Row><Col>-1</Col><FieldID>1e99</FieldID><ChannelID/><ImageResolutionX>-3</ImageResolutionX>",
      ),
    );
    expect([plate.planes.length, plate.missing, plate.pixelSizeUm]).toEqual([4, [], null]);
    expect(plate.notices.map((n) => [n.kind, n.message])).toEqual([
      ["unreadable", "Images/Index.idx.xml has 1 image without row, column, field or channel"],
    ]);
  });
});

test("Harmony names", () => {
  expect(parsePhenixName("r16c24f127p03-ch12sk1fk1fl1.tiff")).toMatchObject({
    well: "P24",
    field: 127,
    plane: 3,
    channel: 12,
  });
  expect(parsePhenixName("R01C01F001P01-CH1.TIF")).toMatchObject({ well: "A01", slow: 1 });
  expect(
    ["r00c01f01p01-ch1sk1fk1fl1.tiff", "r33c01f01p01-ch1.tiff", "r01c01f01-ch1.tiff"].map(parsePhenixName),
  ).toEqual(Array(3).fill(undefined));
});

describe("Bio-Formats", () => {
  needsPeer(bioFormats(), "Bio-Formats");
  test("reads the same planes from the index", async () => {
    const root = folder();
    phenixPlate(root, whole);
    const out = folder();
    bfConvert(join(root, "Images"), "Index.idx.xml", join(out, "%s_%z_%c_%t.tiff"));
    const plate = await openPlate(root);
    // Series are wells by row and column, fields within.
    const series = [...new Set(plate.planes.map((p) => `${p.well}/${p.site}`))].sort();
    const theirs = plate.planes.map((p) => ({
      path: join(
        out,
        `${series.indexOf(`${p.well}/${p.site}`)}_${(p.z_index as number) - 1}_${p.channel - 1}_${p.timepoint - 1}.tiff`,
      ),
      page: 0,
      sample: 0,
    }));
    expect(await firstPixels(theirs)).toEqual(await firstPixels(plate.planes));
  });
});
