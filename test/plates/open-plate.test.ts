// SPDX-License-Identifier: MIT
// Opening a plate: patterns, damage, duplicates, mixed images, pages, colours, and the errors for what is no plate.

import { chmodSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type FormatOption, formatOptions, openPlate } from "../../lib/plates/index.js";
import { decodeText } from "../../lib/plates/listing.js";
import { temporaryFolders } from "../helpers/folder.js";
import { python, runPython } from "../helpers/shared.js";
import { thrown } from "../helpers/throws.js";
import { encodeTiff, type TiffPageOptions, writeTiff } from "../helpers/tiff.js";

const folder = temporaryFolders();
const page: TiffPageOptions = { width: 4, height: 3 };

function plateOf(files: Readonly<Record<string, TiffPageOptions | readonly TiffPageOptions[]>>): string {
  const root = folder();
  for (const [name, pages] of Object.entries(files)) writeTiff(join(root, name), pages);
  return root;
}

describe("a plate by pattern", () => {
  test("words as channels are numbered in name order", async () => {
    const root = plateOf({
      "A01-GFP.tif": page,
      "A01-DAPI.tif": page,
      "B01-DAPI.tif": page,
      "B01-GFP.tif": page,
    });
    const plate = await openPlate(root, { pattern: "{well}-{channel:[A-Z]+}.tif" });
    expect([plate.format, plate.pattern]).toEqual(["pattern", "{well}-{channel:[A-Z]+}.tif"]);
    expect(plate.channels.map((c) => [c.channel, c.name])).toEqual([
      [1, "DAPI"],
      [2, "GFP"],
    ]);
  });

  test("files that it does not fit are reported", async () => {
    const root = plateOf({ "A01_s1.tif": page, "overview.tif": page });
    const plate = await openPlate(root, { pattern: "{well}_s{site}.tif" });
    expect(plate.notices).toEqual([
      {
        kind: "ignored",
        message: "1 TIFF file that the pattern does not fit",
        count: 1,
        examples: ["overview.tif"],
      },
    ]);
  });

  test("Yokogawa and Opera Phenix names are recognised", async () => {
    const yokogawa = await openPlate(plateOf({ "x_D08_T0002F003L01A01Z04C05.tif": page }));
    expect(yokogawa.planes[0]).toMatchObject({ well: "D08", timepoint: 2, site: 3, z_index: 4, channel: 5 });
    const phenix = await openPlate(plateOf({ "r02c11f03p04-ch5sk6fk1fl1.tiff": page }));
    expect(phenix.planes[0]).toMatchObject({ well: "B11", timepoint: 6, site: 3, z_index: 4, channel: 5 });
  });
});

describe("what is wrong with files is said, and never stops the rest", () => {
  test("damaged files are missing planes with the reason", async () => {
    const root = plateOf({
      "p_A01_s1_w1.tif": page,
      "p_A01_s1_w2.tif": page,
      "p_A02_s1_w1.tif": page,
      "p_A03_s1_w1.tif": page,
    });
    writeFileSync(join(root, "p_A02_s1_w2.tif"), "not a TIFF");
    writeFileSync(join(root, "p_A03_s1_w2.tif"), "");
    symlinkSync(join(root, "nowhere"), join(root, "p_A04_s1_w1.tif"));
    const plate = await openPlate(root);
    expect(plate.wells).toEqual(["A01", "A02", "A03", "A04"]);
    expect(plate.planes).toHaveLength(4);
    expect(plate.missing.map((m) => [m.well, m.channel, m.kind])).toEqual([
      ["A02", 2, "unreadable"],
      ["A03", 2, "unreadable"],
      ["A04", 1, "unreadable"],
      ["A04", 2, "absent"],
    ]);
    expect(plate.missing[0]?.reason).toMatch(/^p_A02_s1_w2\.tif: ERR_TIFF_DAMAGED: /);
    expect(plate.missing[2]?.reason).toMatch(/^p_A04_s1_w1\.tif: ERR_IO: /);
    const unreadable = plate.notices.filter((n) => n.kind === "unreadable");
    expect(unreadable.reduce((sum, n) => sum + n.count, 0)).toBe(3);
    for (const n of unreadable)
      expect(n.message).toMatch(/^(1 file cannot be read: |\d files cannot be read; the first: )/);
  });

  test("of two files for one plane the newest is used", async () => {
    const root = plateOf({ "a_A01_s1_w1.tif": { width: 8, height: 8 }, "b_A01_s1_w1.tif": page });
    utimesSync(join(root, "a_A01_s1_w1.tif"), 2000, 2000);
    utimesSync(join(root, "b_A01_s1_w1.tif"), 1000, 1000);
    const plate = await openPlate(root);
    expect(plate.planes.map((p) => p.width)).toEqual([8]);
    expect(plate.notices).toEqual([
      {
        kind: "duplicate",
        message: "1 file for a plane that has a newer file (by modification time); the newest is used",
        count: 1,
        examples: ["b_A01_s1_w1.tif (used: a_A01_s1_w1.tif)"],
      },
    ]);
  });

  test("mixed sizes and dtypes are reported for each channel, and kept for each plane", async () => {
    const root = plateOf({
      "p_A01_s1_w1.tif": page,
      "p_A02_s1_w1.tif": { ...page, dtype: "uint16", compression: "deflate" },
      "p_A03_s1_w1.tif": { width: 8, height: 8 },
      "p_A01_s1_w2.tif": page,
      "p_A02_s1_w2.tif": page,
      "p_A03_s1_w2.tif": page,
    });
    const plate = await openPlate(root);
    expect(plate.channels[0]).toMatchObject({
      sizes: [
        { width: 4, height: 3, planes: 2 },
        { width: 8, height: 8, planes: 1 },
      ],
      dtypes: ["uint8", "uint16"],
      compressions: ["none", "deflate"],
    });
    expect(plate.planes.filter((p) => p.channel === 1).map((p) => [p.width, p.dtype])).toEqual([
      [4, "uint8"],
      [4, "uint16"],
      [8, "uint8"],
    ]);
    expect(plate.notices.map((n) => [n.kind, n.message, n.examples])).toEqual([
      ["mixed", "channel 1 has planes of 2 sizes", ["4x3 (2 planes)", "8x8 (1 plane)"]],
      ["mixed", "channel 1 has planes of 2 dtypes", ["uint8", "uint16"]],
    ]);
  });

  test("a channel that no well has at a place is not missing there", async () => {
    const root = plateOf({
      "TimePoint_1/p_A01_s1_w1.tif": page,
      "TimePoint_1/p_A01_s1_w2.tif": page,
      "TimePoint_1/p_A01_s2_w1.tif": page,
      "TimePoint_2/p_A01_s1_w1.tif": page,
      "TimePoint_1/p_A02_s1_w1.tif": page,
      "TimePoint_1/p_A02_s1_w2.tif": page,
      "TimePoint_1/p_A02_s2_w1.tif": page,
    });
    const plate = await openPlate(root);
    expect(plate.timepoints).toEqual([1, 2]);
    expect(plate.missing).toEqual([
      { well: "A02", site: 1, channel: 1, z_index: null, timepoint: 2, kind: "absent", reason: "no file" },
    ]);
    expect(plate.notices[0]?.examples).toEqual(["A02 site 1 channel 1 timepoint 2"]);
  });

  test("one deeper stack does not make the others incomplete", async () => {
    const files: Record<string, TiffPageOptions> = { "ZStep_3/p_A01_s1_w1.tif": page };
    for (const well of ["A01", "A02", "A03"])
      for (const z of [1, 2]) files[`ZStep_${z}/p_${well}_s1_w1.tif`] = page;
    const plate = await openPlate(plateOf(files));
    expect([plate.channels[0]?.zSlices, plate.missing]).toEqual([[1, 2, 3], []]);
  });
});

describe("multi-page and colour files", () => {
  test("equal pages are z slices from 1", async () => {
    for (const bigEndian of [false, true]) {
      const root = folder();
      for (const well of ["A01", "A02"])
        writeFileSync(join(root, `p_${well}_s1_w1.tif`), encodeTiff([page, page, page], { bigEndian }));
      const plate = await openPlate(root);
      expect(plate.planes.map((p) => [p.well, p.z_index, p.page])).toEqual([
        ["A01", 1, 0],
        ["A01", 2, 1],
        ["A01", 3, 2],
        ["A02", 1, 0],
        ["A02", 2, 1],
        ["A02", 3, 2],
      ]);
      expect([plate.missing, plate.notices]).toEqual([[], []]);
    }
  });

  test("BigTIFF stacks and pyramids as tifffile writes them are told apart", async ({ skip }) => {
    if (!python() && !process.env.CI) skip("Python with tifffile is missing; scripts/setup installs it");
    const root = folder();
    const program = `
import sys, numpy, tifffile
a = numpy.zeros((3, 32, 48), "uint16")
for order in "<>":
    name = sys.argv[1] + "/p_A0" + str(1 + "<>".index(order)) + "_s1_w1.tif"
    with tifffile.TiffWriter(name, bigtiff=True, byteorder=order) as t:
        for page in a: t.write(page)
with tifffile.TiffWriter(sys.argv[1] + "/p_A03_s1_w1.tif", bigtiff=True) as t:
    t.write(a[0])
    t.write(a[0, ::2, ::2], subfiletype=1)
print("null")
`;
    runPython(program, [root]);
    const plate = await openPlate(root);
    expect(plate.planes.map((p) => [p.well, p.z_index])).toEqual([
      ["A01", 1],
      ["A01", 2],
      ["A01", 3],
      ["A02", 1],
      ["A02", 2],
      ["A02", 3],
      ["A03", null],
    ]);
  });

  test("a missing or damaged multi-page file is as many missing planes", async () => {
    const root = plateOf({ "p_A01_s1_w1.tif": [page, page], "p_A02_s1_w1.tif": [page, page] });
    writeFileSync(join(root, "p_A03_s1_w1.tif"), "no");
    const plate = await openPlate(root);
    expect(plate.missing.map((m) => [m.well, m.z_index, m.kind])).toEqual([
      ["A03", 1, "unreadable"],
      ["A03", 2, "unreadable"],
    ]);
  });

  test("pages of other sizes, reduced pages and pages of a slice are left out with a notice", async () => {
    const root = plateOf({
      "p_A01_s1_w1.tif": [page, { width: 2, height: 2 }],
      "p_A02_s1_w1.tif": [page, { ...page, reduced: true }],
      "ZStep_1/p_A01_s1_w2.tif": [page, page],
      "ZStep_0/p_A01_s1_w2.tif": [page, page],
    });
    const plate = await openPlate(root);
    expect(plate.planes.map((p) => [p.well, p.channel, p.z_index])).toEqual([
      ["A01", 1, null],
      ["A01", 2, null],
      ["A01", 2, 1],
      ["A02", 1, null],
    ]);
    expect(plate.notices.find((n) => n.kind === "ignored")).toEqual({
      kind: "ignored",
      message:
        "further pages of 4 files: only the first page is a plane, because pages differ in size or the file is one plane of a stack",
      count: 4,
      examples: [
        "ZStep_0/p_A01_s1_w2.tif (2 pages)",
        "ZStep_1/p_A01_s1_w2.tif (2 pages)",
        "p_A01_s1_w1.tif (2 pages)",
        "p_A02_s1_w1.tif (2 pages)",
      ],
    });
  });

  test("a plate of RGB files has three channels", async () => {
    const plate = await openPlate(
      plateOf({ "p_A01_s1.tif": { ...page, samples: 3 }, "p_A02_s1.tif": { ...page, samples: 3 } }),
    );
    expect(plate.channels.map((c) => [c.channel, c.name, c.planes])).toEqual([
      [1, "red", 2],
      [2, "green", 2],
      [3, "blue", 2],
    ]);
    expect(plate.planes.slice(0, 3).map((p) => [p.well, p.channel, p.sample])).toEqual([
      ["A01", 1, 0],
      ["A01", 2, 1],
      ["A01", 3, 2],
    ]);
    expect(plate.notices).toEqual([]);
  });

  test("two samples a pixel are no colours", async () => {
    const plate = await openPlate(plateOf({ "p_A01_s1.tif": { ...page, samples: 2 } }));
    expect(plate.channels.map((c) => [c.channel, c.name])).toEqual([
      [1, "sample 1"],
      [2, "sample 2"],
    ]);
  });

  test("RGB files beside other channels get channels 10c+1 to 10c+3 and a notice", async () => {
    const plate = await openPlate(
      plateOf({ "p_A01_s1_w1.tif": page, "p_A01_s1_w2.tif": { ...page, samples: 3 } }),
    );
    expect(plate.channels.map((c) => c.channel)).toEqual([1, 21, 22, 23]);
    expect(plate.notices[0]).toEqual({
      kind: "mixed",
      message: "1 file with several samples a pixel (RGB): channel 2 becomes 21 to 23",
      count: 1,
      examples: ["p_A01_s1_w2.tif"],
    });
  });
});

describe("the folder", () => {
  test("links are followed once, hidden and Zarr folders are left out", async () => {
    const root = plateOf({
      "p_A01_s1_w1.tif": page,
      "._p_A01_s1_w1.tif": page,
      "out.ome.zarr/0/p_A02_s1_w1.tif": page,
    });
    symlinkSync(root, join(root, "loop"));
    const plate = await openPlate(root);
    expect(plate.planes).toHaveLength(1);
    expect(plate.notices.map((n) => [n.kind, n.message, n.examples])).toEqual([
      ["ignored", "1 hidden entry (name starts with a dot)", ["._p_A01_s1_w1.tif"]],
      ["ignored", "1 Zarr folder: not part of a TIFF plate", ["out.ome.zarr"]],
      ["ignored", "1 link to a folder that is read already", ["loop"]],
    ]);
  });

  test("a closed folder is a notice", async ({ skip }) => {
    const root = plateOf({ "p_A01_s1_w1.tif": page, "closed/x.txt": page });
    chmodSync(join(root, "closed"), 0);
    // The super-user may read everything, so there is nothing to see.
    if (process.getuid?.() === 0) {
      skip("the tests run as root, who may read everything");
    }
    const plate = await openPlate(root);
    expect(plate.notices[0]).toEqual({
      kind: "unreadable",
      message: "1 folder cannot be read (EACCES)",
      count: 1,
      examples: ["closed/"],
    });
  });

  test("metadata text is UTF-8, UTF-16 or Windows-1252", () => {
    expect(decodeText(Buffer.from("µm", "utf8"))).toBe("µm");
    expect(decodeText(Buffer.from([0xb5, 0x6d]))).toBe("µm");
    expect(decodeText(Buffer.from([0xff, 0xfe, 0xb5, 0, 0x6d, 0]))).toBe("µm");
  });
});

describe("headers: first", () => {
  test("reads one header a channel, and says so", async () => {
    const root = plateOf({
      "p_A01_s1_w1.tif": page,
      "p_A02_s1_w1.tif": page,
      "p_A03_s1_w1.tif": { width: 8, height: 8 },
    });
    const plate = await openPlate(root, { headers: "first" });
    expect(plate.planes.map((p) => [p.width, p.height])).toEqual(Array(3).fill([4, 3]));
    expect(new Set(plate.planes.map((p) => p.bytes)).size).toBe(2);
    expect(plate.notices).toEqual([
      {
        kind: "ignored",
        message:
          'the headers of 2 files: sizes and dtypes are those of one file a channel (headers: "first")',
        count: 2,
        examples: ["p_A02_s1_w1.tif", "p_A03_s1_w1.tif"],
      },
    ]);
  });
});

describe("pixel size", () => {
  test("comes from the resolution tags, unless it is a screen's or a printer's", async () => {
    const of = async (pixelSizeUm: number) =>
      (await openPlate(plateOf({ "p_A01_s1.tif": { ...page, pixelSizeUm } }))).pixelSizeUm;
    expect((await of(0.65))?.x).toBeCloseTo(0.65, 5);
    expect(await of(25_400 / 72)).toBeNull();
    expect(await of(25_400 / 300)).toBeNull();
  });
});

describe("what is no plate", () => {
  test("a folder that does not exist, and a file", async () => {
    const root = folder();
    const absent = await thrown(() => openPlate(join(root, "absent")));
    expect([absent.code, absent.message]).toEqual([
      "ERR_PLATE_NOT_FOUND",
      `${join(root, "absent")} does not exist`,
    ]);
    writeFileSync(join(root, "x.czi"), "");
    const file = await thrown(() => openPlate(join(root, "x.czi")));
    expect(file.message).toBe(
      `${join(root, "x.czi")} is a file; expected the plate's folder (perhaps ${root}), or a TIFF`,
    );
  });

  test("a single TIFF is a plate of one well, whatever lies beside it", async () => {
    const root = folder();
    writeTiff(join(root, "slide.tif"), page);
    writeTiff(join(root, "demo_B03_s1_w1.tif"), page);
    const plate = await openPlate(join(root, "slide.tif"));
    expect(plate.wells).toEqual(["A01"]);
    expect(plate.planes.map((p) => [p.path, p.channel, p.z_index])).toEqual([
      [join(root, "slide.tif"), 1, null],
    ]);
  });

  test("a folder without images says what it has", async () => {
    const root = folder();
    expect((await thrown(() => openPlate(root))).message).toBe(`${root} holds no TIFF file: it is empty`);
    mkdirSync(join(root, "sub"));
    for (const name of ["a.czi", "sub/b.CZI", "notes"]) writeFileSync(join(root, name), "");
    const error = await thrown(() => openPlate(root));
    expect([error.code, error.message]).toEqual([
      "ERR_PLATE_FORMAT",
      `${root} holds no TIFF file: it has 2 .czi, 1 (no extension)`,
    ]);
  });

  test("unknown names are shown, with a pattern to start from that works", async () => {
    const root = plateOf({
      "exp7-B05_pos0.tif": page,
      "exp7-B05_pos1.tif": page,
      "exp7-B06_pos0.tif": page,
      "exp7-B06_pos1.tif": page,
    });
    const error = await thrown(() => openPlate(root));
    expect([error.code, error.argument]).toEqual(["ERR_PLATE_FORMAT", "pattern"]);
    const lines = error.message.split("\n");
    expect(lines.slice(0, -2)).toEqual([
      `${root} is not a plate of a known layout. It holds 4 TIFF files:`,
      "  exp7-B05_pos0.tif",
      "  exp7-B05_pos1.tif",
      "  exp7-B06_pos0.tif",
      "  ... and 1 more",
      "Looked for:",
      "  there is no openhcs_metadata.json (OpenHCS)",
      "  no image is named <plate>_<well>[_s<site>][_w<channel>].tif",
      "  no image is named r01c01f01p01-ch1sk1fk1fl1.tiff (Opera Phenix, Operetta)",
      "  no image is named <plate>_A01_T0001F001L01A01Z01C01.tif (Yokogawa)",
      "  no image is named *.ome.tif (OME-TIFF)",
      "  no image fits Cellomics ArrayScan ({plate}_{well:3}f{site:2}d{channel:1}.tif)",
    ]);
    expect(lines.slice(-2)).toEqual([
      "Say how the files are named, for example:",
      '  --pattern "{plate}-{well}_pos{site}.tif"',
    ]);
    const plate = await openPlate(root, { pattern: "{plate}-{well}_pos{site}.tif" });
    expect([plate.name, plate.wells, plate.sites]).toEqual(["exp7", ["B05", "B06"], [0, 1]]);
  });

  test("a pattern that fits no file shows files and a better pattern", async () => {
    const root = plateOf({ "A01_s1.tif": page });
    const error = await thrown(() => openPlate(root, { pattern: "{well}_f{site}.tif" }));
    expect([error.code, error.message]).toEqual([
      "ERR_PLATE_FORMAT",
      `the pattern {well}_f{site}.tif fits none of the 1 TIFF file in ${root}\n  A01_s1.tif\nPerhaps: --pattern "{well}_s{site}.tif"`,
    ]);
  });

  test("images of two layouts side by side are explained, and each can be asked for", async () => {
    const root = plateOf({
      "a/p_A01_s1_w1.tif": page,
      "a/p_A02_s1_w1.tif": page,
      "b/r01c01f01p01-ch1sk1fk1fl1.tiff": page,
      "b/r01c02f01p01-ch1sk1fk1fl1.tiff": page,
    });
    const error = await thrown(() => openPlate(root));
    expect([error.code, error.argument, error.message]).toEqual([
      "ERR_PLATE_FORMAT",
      "format",
      [
        `${root} holds images of two layouts:`,
        "  50 % of the images are named <plate>_<well>[_s<site>][_w<channel>].tif",
        "  50 % of the images are named r01c01f01p01-ch1sk1fk1fl1.tiff (Opera Phenix, Operetta)",
        "Open the folder that holds one of them, or say which to read: --format imagexpress or --format opera-phenix",
      ].join("\n"),
    ]);
    expect((await openPlate(root, { format: "opera-phenix" })).planes).toHaveLength(2);
    expect((await openPlate(root, { format: "imagexpress" })).planes).toHaveLength(2);
  });

  test("a layout that is asked for and not there is said", async () => {
    const root = plateOf({ "A01_s1_w1.tif": page });
    const refused = async (format: FormatOption) => (await thrown(() => openPlate(root, { format }))).message;
    expect(await refused("yokogawa")).toBe(
      `${root} is not a plate of the layout "yokogawa": none of its 1 TIFF file is one of its planes (no image is named <plate>_A01_T0001F001L01A01Z01C01.tif (Yokogawa))`,
    );
    expect(await refused("openhcs")).toBe(
      "openhcs_metadata.json: there is none in the folder. To read the folder without it, say which layout it has (--format) or how its files are named (--pattern)",
    );
  });

  test("options that contradict each other are refused before anything is read", async () => {
    const refused = async (options: object) => {
      const error = await thrown(() => openPlate("/nowhere", options));
      return [error.code, error.message];
    };
    expect(await refused({ format: "czi" })).toEqual([
      "ERR_INVALID_ARGUMENT",
      `format: expected ${formatOptions
        .map((name) => `"${name}"`)
        .join(", ")
        .replace(/, ([^,]*)$/, " or $1")} but received "czi"`,
    ]);
    expect(await refused({ format: "pattern" })).toEqual([
      "ERR_INVALID_ARGUMENT",
      'pattern: expected a filename pattern with format "pattern" but received none',
    ]);
    expect(await refused({ format: "imagexpress", pattern: "{well}" })).toEqual([
      "ERR_INVALID_ARGUMENT",
      'pattern: expected none with format "imagexpress"',
    ]);
    expect(await refused({ headers: "some" })).toEqual([
      "ERR_INVALID_ARGUMENT",
      'headers: expected "all" or "first" but received "some"',
    ]);
  });

  test("an aborted signal cancels", async () => {
    const controller = new AbortController();
    controller.abort(new Error("enough"));
    const error = await thrown(() => openPlate(folder(), { signal: controller.signal }));
    expect([error.code, error.message, (error.cause as Error).message]).toEqual([
      "ERR_CANCELLED",
      "opening the plate was cancelled",
      "enough",
    ]);
  });
});

describe("odd names", () => {
  test("with line ends are read, and those that are no UTF-8 are told of", async () => {
    const root = plateOf({
      "p_A01_s1_w1.tif": page,
      "p_A02_s1_w1.tif": page,
      "line\nend/p_B01_s1_w1.tif": page,
      "p_A03\n_s1_w1.tif": page,
    });
    const raw = (head: string, tail: string) =>
      Buffer.concat([Buffer.from(`${root}/${head}`), Buffer.of(0xe9), Buffer.from(tail)]);
    writeFileSync(raw("p_A04_s1_w1", ".tif"), encodeTiff(page));
    mkdirSync(raw("folder", ""));
    const plate = await openPlate(root, { pattern: "{plate}_{well}_s{site}_w{channel}.tif" });
    expect(plate.planes.map((p) => p.well)).toEqual(["A01", "A02", "B01"]);
    expect(plate.notices.filter((n) => n.kind !== "missing")).toEqual([
      {
        kind: "unreadable",
        message: "2 entries whose names are not valid UTF-8; rename them",
        count: 2,
        examples: ["folder\uFFFD", "p_A04_s1_w1\uFFFD.tif"],
      },
      expect.objectContaining({ kind: "ignored", count: 1, examples: ["p_A03\n_s1_w1.tif"] }),
    ]);
  });
});
