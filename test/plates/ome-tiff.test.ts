// SPDX-License-Identifier: MIT
// OME-TIFF folders and ImageJ hyperstacks: dimension orders, sets of files, plates, damage; tifffile and Bio-Formats as writers.

import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openPlate, type Plate } from "../../lib/plates/index.js";
import { bfConvert, bioFormats } from "../helpers/bio-formats.js";
import { temporaryFolders } from "../helpers/folder.js";
import { omeChannels, omeImage, omeXml, writePages } from "../helpers/ome-tiff.js";
import { firstPixels, pixelsOf } from "../helpers/pixels.js";
import { needsPeer, python, runPython } from "../helpers/shared.js";
import { thrown } from "../helpers/throws.js";

const folder = temporaryFolders();

const components = (plate: Plate) =>
  plate.planes.map((p) => [p.well, p.site, p.channel, p.z_index, p.timepoint]);
const range = (n: number) => Array.from({ length: n }, (_, i) => i);

describe("one OME-TIFF a field", () => {
  test("every dimension order leads to the right page", async () => {
    const sizes = { Z: 2, C: 3, T: 2 };
    for (const order of ["XYZCT", "XYZTC", "XYCZT", "XYCTZ", "XYTZC", "XYTCZ"]) {
      const root = folder();
      const [a, b] = [...order.slice(2)] as ["Z", "C", "T"];
      writePages(root, "A01.ome.tif", omeXml(omeImage({ sizes: { z: 2, c: 3, t: 2 }, order })), range(12));
      const plate = await openPlate(root);
      const pageOf = (index: { Z: number; C: number; T: number }) => {
        const last = (["Z", "C", "T"] as const).find((axis) => axis !== a && axis !== b) as "Z";
        return index[a] + sizes[a] * (index[b] + sizes[b] * index[last]);
      };
      expect(await firstPixels(plate.planes), order).toEqual(
        plate.planes.map((p) =>
          pageOf({ Z: (p.z_index as number) - 1, C: p.channel - 1, T: p.timepoint - 1 }),
        ),
      );
      expect([plate.missing, plate.notices]).toEqual([[], []]);
    }
  });

  test("wells come from the names, channels and lengths from the metadata", async () => {
    const root = folder();
    const xml = omeXml(
      omeImage({
        sizes: { z: 3, c: 2 },
        channels: omeChannels("DAPI", "GFP &amp; more"),
        physical:
          'PhysicalSizeX="650" PhysicalSizeXUnit="nm" PhysicalSizeY="0.65" PhysicalSizeZ="0.002" PhysicalSizeZUnit="mm"',
      }),
    );
    for (const [i, name] of ["x_B02_s1", "x_B02_s2", "x_C03_s1"].entries())
      writePages(
        root,
        `${name}.ome.tif`,
        xml,
        range(6).map((p) => 100 * i + p),
      );
    const plate = await openPlate(root);
    expect([plate.format, plate.pattern, plate.name]).toEqual([
      "ome-tiff",
      "{plate}_{well}_s{site}.ome.tif",
      "x",
    ]);
    expect([plate.wells, plate.sites, plate.pixelSizeUm, plate.zStepUm]).toEqual([
      ["B02", "C03"],
      [1, 2],
      { x: 0.65, y: 0.65 },
      2,
    ]);
    expect(plate.channels.map((c) => [c.name, c.zSlices])).toEqual([
      ["DAPI", [1, 2, 3]],
      ["GFP & more", [1, 2, 3]],
    ]);
    expect(await firstPixels(plate.planes.slice(0, 6))).toEqual([0, 2, 4, 1, 3, 5]);
    // C03 has no site 2, which B02 has.
    expect(plate.missing.map((m) => [m.well, m.site, m.channel, m.z_index])).toEqual(
      [1, 2].flatMap((c) => [1, 2, 3].map((z) => ["C03", 2, c, z])),
    );
  });

  test("without wells in the names, files are wells in order, and images of a file are sites", async () => {
    const root = folder();
    const two = omeXml(
      omeImage({ id: 0, data: '<TiffData IFD="1"/>' }) + omeImage({ id: 1, data: '<TiffData IFD="0"/>' }),
    );
    for (const i of range(7)) writePages(root, `image ${i}.ome.tif`, two, [10 * i, 10 * i + 1]);
    const plate = await openPlate(root);
    expect(plate.wells).toEqual(["A01", "A02", "A03", "A04", "A05", "A06", "B01"]);
    expect(plate.sites).toEqual([1, 2]);
    expect(await firstPixels(plate.planes)).toEqual(range(7).flatMap((i) => [10 * i + 1, 10 * i]));
    expect(plate.notices).toEqual([
      {
        kind: "mixed",
        message: "the file names say no wells: 7 files are wells in order of the names",
        count: 7,
        examples: range(5).map((i) => `image ${i}.ome.tif is A0${i + 1}`),
      },
    ]);
    const by = await openPlate(root, {
      format: "ome-tiff",
      pattern: "^image (?<column>[1-9])(?<row>)",
    }).catch((e) => e);
    expect(by.code).toBe("ERR_PLATE_FORMAT");
  });

  test("a pattern says wells and sites where the user knows them", async () => {
    const root = folder();
    const xml = omeXml(omeImage({ sizes: { c: 2 } }));
    for (const name of ["1-4", "1-5", "9-9-9"]) writePages(root, `p${name}.tif`, xml, [1, 2]);
    const plate = await openPlate(root, { format: "ome-tiff", pattern: "p{row}-{column:1}.tif" });
    expect([plate.wells, plate.channels.length, plate.pattern]).toEqual([
      ["A04", "A05"],
      2,
      "p{row}-{column:1}.tif",
    ]);
    expect(plate.notices.map((n) => [n.message, n.examples])).toEqual([
      ["1 TIFF file that the pattern does not fit", ["p9-9-9.tif"]],
    ]);
  });

  test("samples of a page are channels of their own", async () => {
    const root = folder();
    const channels =
      '<Channel ID="Channel:0:0" Name="H&amp;E" SamplesPerPixel="3"/><Channel ID="Channel:0:1" SamplesPerPixel="3"/>';
    writePages(
      root,
      "A01.ome.tif",
      omeXml(
        omeImage({
          sizes: { c: 6 },
          channels,
          data: '<TiffData IFD="1" FirstC="0"/><TiffData IFD="0" FirstC="1"/>',
        }),
      ),
      [10, 20],
      {
        samples: 3,
      },
    );
    const plate = await openPlate(root);
    expect(plate.channels.map((c) => c.name)).toEqual([
      "H&E red",
      "H&E green",
      "H&E blue",
      "red",
      "green",
      "blue",
    ]);
    expect(await firstPixels(plate.planes)).toEqual([20, 21, 22, 10, 11, 12]);
  });

  test("images of one file may differ in size", async () => {
    const root = folder();
    const { writeTiff } = await import("../helpers/tiff.js");
    const description = omeXml(
      omeImage({ id: 0 }) + omeImage({ id: 1, width: 8, height: 4, data: '<TiffData IFD="1"/>' }),
    );
    writeTiff(join(root, "A01.ome.tif"), [
      { width: 16, height: 12, dtype: "uint16", value: () => 1, description },
      { width: 8, height: 4, dtype: "uint16", value: () => 2 },
    ]);
    const plate = await openPlate(root);
    expect(plate.planes.map((p) => [p.site, p.width, p.height])).toEqual([
      [1, 16, 12],
      [2, 8, 4],
    ]);
  });
});

describe("sets of files", () => {
  const uuid = (n: number) => `urn:uuid:0000000${n}-0000-0000-0000-000000000000`;
  const data = (files: readonly string[]) =>
    files
      .map(
        (name, i) =>
          `<TiffData IFD="0" FirstC="${i}" PlaneCount="1"><UUID FileName="${name}">${uuid(i)}</UUID></TiffData>`,
      )
      .join("");
  const names = ["A01_c0.ome.tif", "A01_c1.ome.tif"];

  test("planes lie in the files that the metadata names", async () => {
    const root = folder();
    const image = omeImage({ sizes: { c: 2 }, data: data([...names].reverse()) });
    for (const [i, name] of names.entries())
      writePages(root, name, omeXml(image, `UUID="${uuid(1 - i)}"`), [i + 1]);
    const plate = await openPlate(root);
    expect(components(plate)).toEqual([
      ["A01", 1, 1, null, 1],
      ["A01", 1, 2, null, 1],
    ]);
    expect(await firstPixels(plate.planes)).toEqual([2, 1]);
    expect([plate.missing, plate.notices]).toEqual([[], []]);
  });

  test("a renamed file is found by its UUID, one that is gone is missing", async () => {
    const root = folder();
    const image = omeImage({ sizes: { c: 2 }, data: data(names) });
    for (const [i, name] of names.entries())
      writePages(root, name, omeXml(image, `UUID="${uuid(i)}"`), [i + 1]);
    renameSync(join(root, names[0] as string), join(root, "A01.ome.tif"));
    expect(await firstPixels((await openPlate(root)).planes)).toEqual([1, 2]);
    rmSync(join(root, names[1] as string));
    const plate = await openPlate(root);
    expect(await firstPixels(plate.planes)).toEqual([1]);
    expect(plate.missing.map((m) => [m.channel, m.kind, m.reason])).toEqual([
      [2, "absent", "A01_c1.ome.tif, which A01.ome.tif names, is not in the folder"],
    ]);
  });

  test("a companion file speaks for files that only point to it", async () => {
    const root = folder();
    const pointer = omeXml('<BinaryOnly MetadataFile="set.companion.ome" UUID="urn:uuid:x"/>');
    for (const [i, name] of names.entries()) writePages(root, name, pointer, [i + 1]);
    writeFileSync(
      join(root, "set.companion.ome"),
      omeXml(omeImage({ sizes: { c: 2 }, data: data(names), channels: omeChannels("a", "b") })),
    );
    const plate = await openPlate(join(root, "set.companion.ome"));
    expect([await firstPixels(plate.planes), plate.channels.map((c) => c.name)]).toEqual([
      [1, 2],
      ["a", "b"],
    ]);
    rmSync(join(root, "set.companion.ome"));
    expect((await openPlate(root)).notices[0]).toEqual({
      kind: "unreadable",
      message: "2 files whose OME metadata lies in a file that is not in the folder",
      count: 2,
      examples: names,
    });
  });

  test("only the first file's metadata of a set is read", async () => {
    const root = folder();
    const image = omeImage({ sizes: { c: 2 }, data: data(names) });
    writePages(root, names[0] as string, omeXml(image), [1]);
    writePages(root, names[1] as string, "<OME><broken", [2]);
    const plate = await openPlate(root);
    expect([await firstPixels(plate.planes), plate.notices]).toEqual([[1, 2], []]);
  });
});

describe("plates in the metadata", () => {
  const plateXml = (wells: string, attributes = 'Rows="8" Columns="12"') =>
    `<Plate ID="Plate:0" Name="screen 7" ${attributes}>${wells}</Plate>`;
  const well = (row: number, column: number, ...images: number[]) =>
    `<Well ID="Well:${row}${column}" Row="${row}" Column="${column}">${images.map((i) => `<WellSample ID="WellSample:${i}" Index="${i}"><ImageRef ID="Image:${i}"/></WellSample>`).join("")}</Well>`;

  test("give wells and sites, whatever the file is called", async () => {
    const root = folder();
    const images = range(5).map((id) => omeImage({ id, data: `<TiffData IFD="${4 - id}"/>` }));
    writePages(
      root,
      "A01.ome.tif",
      omeXml(plateXml(well(1, 2, 3, 0) + well(7, 11, 1)) + images.join("")),
      range(5),
    );
    const plate = await openPlate(root);
    expect(components(plate)).toEqual([
      ["B03", 1, 1, null, 1],
      ["B03", 2, 1, null, 1],
      ["H12", 1, 1, null, 1],
    ]);
    expect(await firstPixels(plate.planes)).toEqual([4, 1, 3]);
    expect([plate.name, plate.plateFormat]).toEqual(["screen 7", { rows: 8, columns: 12, wells: 96 }]);
    expect(plate.missing.map((m) => [m.well, m.site])).toEqual([["H12", 2]]);
    expect(plate.notices.map((n) => [n.kind, n.message, n.examples])).toEqual([
      [
        "ignored",
        "2 images that are in no well of the plate",
        ["A01.ome.tif: field 2", "A01.ome.tif: field 4"],
      ],
      [
        "missing",
        "1 plane of channel 1 that other wells or fields have: no file in H12",
        ["H12 site 2 channel 1"],
      ],
    ]);
  });

  test("one file a well makes one plate", async () => {
    const root = folder();
    for (const [i, name] of ["one.ome.tif", "two.ome.tif"].entries())
      writePages(root, name, omeXml(plateXml(well(0, i, 0)) + omeImage({ id: 0 })), [i]);
    const plate = await openPlate(root);
    expect(components(plate).map(([w]) => w)).toEqual(["A01", "A02"]);
  });
});

describe("ImageJ hyperstacks", () => {
  test("pages are channels, slices and frames in ImageJ's order, in files of any name", async () => {
    const root = folder();
    const description =
      "ImageJ=1.54f\nimages=12\nchannels=2\nslices=3\nframes=2\nhyperstack=true\nunit=\\u00B5m\nspacing=0.5\nloop=false\n";
    for (const name of ["A01.tif", "A02.tif"]) writePages(root, name, description, range(12));
    const plate = await openPlate(root);
    expect([plate.format, plate.wells, plate.timepoints, plate.zStepUm]).toEqual([
      "ome-tiff",
      ["A01", "A02"],
      [1, 2],
      0.5,
    ]);
    expect(await firstPixels(plate.planes)).toEqual(
      plate.planes.map((p) => p.channel - 1 + 2 * ((p.z_index as number) - 1 + 3 * (p.timepoint - 1))),
    );
  });

  test("a description that contradicts the pages is not believed", async () => {
    const root = folder();
    writePages(root, "A01.ome.tif", "ImageJ=1.54f\nimages=6\nchannels=2\nslices=3\n", [1, 2, 3]);
    const plate = await openPlate(root);
    expect(plate.planes.map((p) => [p.channel, p.z_index])).toEqual([
      [1, 1],
      [1, 2],
      [1, 3],
    ]);
    expect(plate.notices.map((n) => [n.kind, n.message, n.examples])).toEqual([
      [
        "mixed",
        "1 file whose ImageJ description says another number of images than there are pages; the pages are used",
        ["A01.ome.tif (3 pages)"],
      ],
    ]);
  });
});

describe("hostile or damaged metadata", () => {
  const open = async (xml: string, values: readonly number[] = [1]) => {
    const root = folder();
    writePages(root, "A01.ome.tif", xml, values);
    return openPlate(root);
  };

  test("pages that a file does not have are unreadable planes", async () => {
    const plate = await open(
      omeXml(
        omeImage({
          sizes: { c: 3 },
          data: '<TiffData IFD="0" PlaneCount="2"/><TiffData FirstC="2" IFD="2"/>',
        }),
      ),
      [1, 2],
    );
    expect(plate.planes).toHaveLength(2);
    expect(plate.missing.map((m) => [m.channel, m.kind, m.reason])).toEqual([
      [3, "unreadable", "A01.ome.tif: ERR_METADATA: the metadata says page 2 (from 0); the file has 2"],
    ]);
  });

  test("an absurd number of planes without pages is told, and the pages are slices", async () => {
    for (const data of ["<TiffData/>", '<TiffData IFD="0" PlaneCount="1000000"/>']) {
      const plate = await open(omeXml(omeImage({ sizes: { t: 1e6 }, data })), [1, 2]);
      expect(plate.planes).toHaveLength(2);
      expect(plate.notices[0]?.message).toBe(
        "A01.ome.tif: Image:0 of 1 slices, 1 channels and 1000000 timepoints has no page for 999998 planes, which is not believed; its pages are taken as a stack of slices",
      );
    }
  });

  test("planes that have no page are missing", async () => {
    const plate = await open(omeXml(omeImage({ sizes: { z: 2 }, data: '<TiffData IFD="0"/>' })));
    expect(plate.missing.map((m) => [m.z_index, m.kind, m.reason])).toEqual([
      [2, "absent", "A01.ome.tif has no page for it"],
    ]);
  });

  test.each(["../secret.tif", "/etc/passwd", "C:/x.tif", "file:///etc/passwd"])(
    "a file outside the plate is refused: %s",
    async (name) => {
      const error = await thrown(() =>
        open(
          omeXml(
            omeImage({ data: `<TiffData IFD="0"><UUID FileName="${name}">urn:uuid:x</UUID></TiffData>` }),
          ),
        ),
      );
      expect([error.code, error.message]).toEqual([
        "ERR_METADATA",
        `A01.ome.tif refers to a file outside the plate: ${JSON.stringify(name)}`,
      ]);
    },
  );

  test.each([
    [
      omeXml(omeImage({ sizes: { z: 1e6, c: 1e6, t: 1e6 } })),
      "A01.ome.tif: Image:0 of 1000000 slices, 1000000 channels and 1000000 timepoints is not believed; at most 5000000 planes are",
    ],
    [
      omeXml(omeImage({ sizes: { z: -1 } })),
      'A01.ome.tif: expected SizeZ of Image:0 to be a positive integer but received "-1"',
    ],
    [
      omeXml(omeImage({ sizes: { c: Number.NaN } })),
      'A01.ome.tif: expected SizeC of Image:0 to be a positive integer but received "NaN"',
    ],
    [
      omeXml('<Image ID="Image:0"><Pixels/></Image>'),
      "A01.ome.tif: expected SizeX of Image:0 to be a positive integer but received none",
    ],
    [omeXml(omeImage()).slice(0, -20), expect.stringMatching(/^A01\.ome\.tif is no readable XML: /)],
    [
      '<!DOCTYPE OME SYSTEM "http://x/">'.concat(omeXml("")),
      expect.stringMatching(/a document type or other declaration/),
    ],
  ])("is told, and the pages are slices: %#", async (xml, message) => {
    const plate = await open(xml, [1, 2]);
    expect(plate.planes.map((p) => [p.channel, p.z_index])).toEqual([
      [1, 1],
      [1, 2],
    ]);
    const [notice] = plate.notices;
    expect(notice?.kind).toBe("unreadable");
    expect(notice?.message.replace("; its pages are taken as a stack of slices", "")).toEqual(message);
  });

  test("whatever stands in the metadata, the plate opens or an error says why", async () => {
    const good = omeXml(
      `<Plate Rows="2" Columns="3"><Well Row="0" Column="1"><WellSample Index="0"><ImageRef ID="Image:0"/></WellSample></Well></Plate>${omeImage({ sizes: { z: 2 }, data: '<TiffData IFD="0" FirstZ="0" PlaneCount="2"/>' })}`,
    );
    const value = fc.constantFrom(
      "-1",
      "1e99",
      "99999999999999",
      "",
      "x",
      "NaN",
      "0",
      "1000000",
      "../..",
      "&#0;",
    );
    const attributes = [...good.matchAll(/ (\w+)="([^"]*)"/g)];
    await fc.assert(
      fc.asyncProperty(fc.nat(attributes.length - 1), value, async (i, v) => {
        const match = attributes[i] as RegExpMatchArray & { index: number };
        const bad = `${good.slice(0, match.index)} ${match[1]}="${v}"${good.slice(match.index + match[0].length)}`;
        try {
          const plate = await open(bad, [1, 2]);
          expect(plate.planes.length + plate.missing.length).toBeGreaterThan(0);
        } catch (error) {
          expect(["ERR_METADATA", "ERR_PLATE_FORMAT"]).toContain((error as { code: string }).code);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe("tifffile as the writer", () => {
  needsPeer(python(), "Python with tifffile");

  test("OME-TIFF with a pyramid in sub-IFDs, and ImageJ hyperstacks, are read as they were written", async () => {
    const root = folder();
    const program = `
import sys, numpy, tifffile
root = sys.argv[1]
a = numpy.arange(2 * 3 * 2, dtype="uint16").reshape(2, 3, 2, 1, 1) + numpy.zeros((2, 3, 2, 64, 48), "uint16")
with tifffile.TiffWriter(root + "/ome/x_A01.ome.tif", ome=True, bigtiff=True) as t:
    t.write(a, subifds=1, metadata={"axes": "TZCYX", "Channel": {"Name": ["red", "green"]}, "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.5}, tile=(16, 16))
    t.write(a[..., ::2, ::2], subfiletype=1, tile=(16, 16))
tifffile.imwrite(root + "/imagej/x_A01.tif", a, imagej=True, metadata={"axes": "TZCYX"})
print("null")
`;
    const { mkdirSync } = await import("node:fs");
    for (const name of ["ome", "imagej"]) mkdirSync(join(root, name));
    runPython(program, [root]);
    for (const name of ["ome", "imagej"]) {
      const plate = await openPlate(join(root, name), name === "ome" ? {} : { format: "ome-tiff" });
      expect(plate.planes, name).toHaveLength(12);
      expect(await firstPixels(plate.planes)).toEqual(
        plate.planes.map((p) => p.channel - 1 + 2 * ((p.z_index as number) - 1 + 3 * (p.timepoint - 1))),
      );
      expect(plate.planes.every((p) => p.width === 48 && p.height === 64)).toBe(true);
      expect(plate.notices).toEqual([]);
    }
    const ome = await openPlate(join(root, "ome"));
    expect([ome.pixelSizeUm, ome.channels.map((c) => c.name)]).toEqual([
      { x: 0.5, y: 0.5 },
      ["red", "green"],
    ]);
  });
});

describe("Bio-Formats as the writer", () => {
  needsPeer(bioFormats(), "Bio-Formats");

  // Its synthetic images carry their series, plane, z, c and t in squares of 10 pixels at the top left.
  const fake =
    "p&plates=1&plateRows=2&plateCols=3&fields=2&sizeZ=2&sizeC=2&sizeT=2&sizeX=64&sizeY=64&pixelType=uint16.fake";
  const squares = [0, 2, 3, 4].map((i) => [10 * i + 5, 5] as const);

  async function check(plate: Plate): Promise<void> {
    expect([plate.wells, plate.sites, plate.missing, plate.notices]).toEqual([
      ["A01", "A02", "A03", "B01", "B02", "B03"],
      [1, 2],
      [],
      [],
    ]);
    expect(plate.planes).toHaveLength(96);
    expect(await pixelsOf(plate.planes, squares)).toEqual(
      plate.planes.map((p) => [
        2 * plate.wells.indexOf(p.well) + p.site - 1,
        (p.z_index as number) - 1,
        p.channel - 1,
        p.timepoint - 1,
      ]),
    );
  }

  test("a plate in one file is read plane by plane", async () => {
    const root = folder();
    bfConvert(root, fake, "out.ome.tiff");
    const plate = await openPlate(root);
    expect([plate.name, plate.pixelSizeUm]).toEqual(["Plate Name 0", { x: 1, y: 1 }]);
    await check(plate);
  });

  test("a plate in a file for each field, channel, slice and timepoint is one plate", async () => {
    const root = folder();
    bfConvert(root, fake, "f%s_z%z_c%c_t%t.ome.tiff");
    await check(await openPlate(root));
  });

  test("fields without a plate are wells by their names", async () => {
    const root = folder();
    for (const well of ["C05", "D06"])
      bfConvert(
        root,
        `x&sizeZ=3&sizeC=2&sizeX=64&sizeY=64&dimOrder=XYZCT${well}.fake`.replace(well, ""),
        `${well}.ome.tiff`,
        "-compression",
        "LZW",
      );
    const plate = await openPlate(root);
    expect(plate.wells).toEqual(["C05", "D06"]);
    expect(await pixelsOf(plate.planes, squares)).toEqual(
      plate.planes.map((p) => [0, (p.z_index as number) - 1, p.channel - 1, 0]),
    );
  });
});
