// SPDX-License-Identifier: MIT
// ImageXpress folders: names, folder nesting, projections, thumbnails, .HTD metadata, MetaSeries descriptions.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseHtd } from "../../lib/plates/htd.js";
import { imageXpress, parseImageXpressName } from "../../lib/plates/imagexpress.js";
import { formatWell, openPlate } from "../../lib/plates/index.js";
import { listingOf } from "../../lib/plates/listing.js";
import { parseMetaSeries } from "../../lib/plates/metaseries.js";
import { temporaryFolders } from "../helpers/folder.js";
import { thrown } from "../helpers/throws.js";
import { writeTiff } from "../helpers/tiff.js";

const folder = temporaryFolders();
const guid = "94C24BD0-45E4-450A-9919-257C714278F7";
const page = { width: 4, height: 3, dtype: "uint16" } as const;

const parse = (...relatives: string[]) =>
  imageXpress
    .parse(listingOf("/plates/p", relatives), new Map())
    .files.map((f) => [f.well, f.site, f.channel, f.z_index, f.timepoint]);

describe("ImageXpress names", () => {
  test("the GUID is taken from the end, whatever digit it starts with", () => {
    const channel = (name: string) => parseImageXpressName(name)?.channel;
    expect(channel("Projection-Mix_E07_s1_w1E94C24BD-45E4-450A-9919-257C714278F7.tif")).toBe(1);
    expect(channel("Projection-Mix_E07_s1_w11D01380B-E7DA-4C09-A343-EDA3D235D808.tif")).toBe(1);
    expect(channel("Projection-Mix_E07_s1_w12045200D6-DAE1-4224-AFDE-9EFD107D85EB.tif")).toBe(12);
  });

  test("every name that MetaXpress may write is read back", () => {
    const arbitrary = fc.record({
      plate: fc.stringMatching(/^[A-Za-z0-9_ .-]{0,12}$/),
      row: fc.nat(31),
      column: fc.nat(47),
      site: fc.option(fc.integer({ min: 1, max: 999 })),
      channel: fc.option(fc.integer({ min: 1, max: 32 })),
      thumbnail: fc.boolean(),
      guid: fc.option(fc.uuid().map((id) => id.toUpperCase())),
      extension: fc.constantFrom(".tif", ".TIF", ".tiff"),
    });
    fc.assert(
      fc.property(arbitrary, (a) => {
        const well = formatWell(a);
        const parts = [
          a.plate === "" ? well : `${a.plate}_${well}`,
          a.site === null ? "" : `_s${a.site}`,
          a.channel === null ? "" : `_w${a.channel}`,
          a.thumbnail ? "_thumb" : "",
          a.guid ?? "",
          a.extension,
        ];
        expect(parseImageXpressName(parts.join(""))).toEqual({
          plate: a.plate,
          well,
          site: a.site ?? 1,
          channel: a.channel ?? 1,
          thumbnail: a.thumbnail,
          distinct: a.site !== null || a.channel !== null || a.guid !== null,
        });
      }),
      { numRuns: 1000 },
    );
  });

  test("a name may lack GUID, site, channel and plate, and be in any case", () => {
    const read = (name: string) => {
      const n = parseImageXpressName(name);
      return n && [n.plate, n.well, n.site, n.channel, n.thumbnail];
    };
    expect(read("a_A01_b_B02_w12.tif")).toEqual(["a_A01_b", "B02", 1, 12, false]);
    expect(read("my_plate_B02_s3_w2.TIF")).toEqual(["my_plate", "B02", 3, 2, false]);
    expect(read(`plate_B02_w2${guid}.tiff`)).toEqual(["plate", "B02", 1, 2, false]);
    expect(read(`plate_B02_s4${guid}.tif`)).toEqual(["plate", "B02", 4, 1, false]);
    expect(read(`plate_B02${guid}.tif`)).toEqual(["plate", "B02", 1, 1, false]);
    expect(read("plate_AF48.tif")).toEqual(["plate", "AF48", 1, 1, false]);
    expect(read("G10_S1_W1.tif")).toEqual(["", "G10", 1, 1, false]);
    expect(read(`plate_B02_s1_w2_thumb${guid}.tif`)).toEqual(["plate", "B02", 1, 2, true]);
    expect(
      [
        "plate_AG01_s1_w1.tif",
        "plate_B2_s1.tif",
        "plate_s12_w1.tif",
        "plate_B02_s1_w1.png",
        "B02f01d0.tif",
      ].map(read),
    ).toEqual(Array(5).fill(undefined));
  });
});

describe("ImageXpress folders", () => {
  test("ZStep and TimePoint folders nest either way", () => {
    expect(
      parse(
        "TimePoint_2/ZStep_3/p_A01_s1_w1.tif",
        "ZStep_4/TimePoint_5/p_A01_s1_w1.tif",
        "timepoint_7/p_A01_s1_w1.TIF",
      ),
    ).toEqual([
      ["A01", 1, 1, 3, 2],
      ["A01", 1, 1, 4, 5],
      ["A01", 1, 1, null, 7],
    ]);
  });

  test("ZStep_0 and files outside any ZStep folder are stored planes", () => {
    expect(parse("ZStep_0/p_A01_s1_w1.tif", "ZStep_1/p_A01_s1_w1.tif", "p_A01_s1_w2.tif")).toEqual([
      ["A01", 1, 1, null, 1],
      ["A01", 1, 1, 1, 1],
      ["A01", 1, 2, null, 1],
    ]);
  });

  test("several plates in one folder are named, not mixed", async () => {
    const error = await thrown(() =>
      parse("a/12/p_A01_s1_w1.tif", "a/12/ZStep_1/p_A01_s1_w1.tif", "b/13/p_A01_s1_w1.tif"),
    );
    expect(error.code).toBe("ERR_PLATE_FORMAT");
    expect(error.message).toBe(
      "/plates/p holds 2 ImageXpress plates; open one of its folders:\n  a/12  (2 images)\n  b/13  (1 image)",
    );
  });

  test("images of the plate's own folder win over those of further folders", () => {
    const listing = listingOf("/plates/p", [
      "p_A01_s1_w1.tif",
      "ZStep_1/p_A01_s1_w1.tif",
      "out/p_A01_s1_w1.tif",
    ]);
    const parsed = imageXpress.parse(listing, new Map());
    expect(parsed.files.map((f) => f.file.relative)).toEqual(["ZStep_1/p_A01_s1_w1.tif", "p_A01_s1_w1.tif"]);
    expect(parsed.notices).toEqual([
      {
        kind: "ignored",
        message: "1 image in folders that are neither ZStep_ nor TimePoint_",
        count: 1,
        examples: ["out/p_A01_s1_w1.tif"],
      },
    ]);
  });

  test("a channel's stack and its acquired projection are different planes, and a gap in either is found", async () => {
    const root = folder();
    for (const well of ["C03", "C04"]) {
      for (const z of [1, 2, 3]) {
        if (well === "C04" && z === 2) continue;
        writeTiff(join(root, `ZStep_${z}`, `x_${well}_s1_w1.tif`), page);
      }
      if (well === "C03") writeTiff(join(root, `x_${well}_s1_w1.tif`), page);
      writeTiff(join(root, `x_${well}_s1_w2.tif`), page);
      writeTiff(join(root, "ZStep_1", `x_${well}_s1_w3.tif`), page);
    }
    const plate = await openPlate(root);
    expect(plate.channels.map((c) => [c.channel, c.zSlices, c.storedPlanes])).toEqual([
      [1, [1, 2, 3], 1],
      [2, [], 2],
      [3, [1], 0],
    ]);
    expect(plate.planes.map((p) => [p.well, p.channel, p.z_index])).toEqual([
      ["C03", 1, null],
      ["C03", 1, 1],
      ["C03", 1, 2],
      ["C03", 1, 3],
      ["C03", 2, null],
      ["C03", 3, 1],
      ["C04", 1, 1],
      ["C04", 1, 3],
      ["C04", 2, null],
      ["C04", 3, 1],
    ]);
    expect(plate.missing.map((m) => [m.well, m.channel, m.z_index, m.kind, m.reason])).toEqual([
      ["C04", 1, null, "absent", "no file"],
      ["C04", 1, 2, "absent", "no file"],
    ]);
    expect(plate.notices).toEqual([
      {
        kind: "missing",
        message: "2 planes of channel 1 that other wells or fields have: no file in C04",
        count: 2,
        examples: ["C04 site 1 channel 1", "C04 site 1 channel 1 z 2"],
      },
    ]);
  });
});

const htd = [
  '"HTSInfoFile", Version 1.0',
  '"Description", "a, ""quoted"" plate"',
  '"TimePoints", 2',
  '"ZSeries", TRUE',
  '"ZSteps", 3',
  '"XWells", 12',
  '"YWells", 8',
  '"WellsSelection1", FALSE, FALSE, FALSE, FALSE, FALSE, FALSE, FALSE, FALSE, FALSE, FALSE, FALSE, FALSE',
  '"WellsSelection2", TRUE, TRUE, TRUE, FALSE, FALSE, FALSE, FALSE, FALSE, FALSE, FALSE, FALSE, FALSE',
  '"Sites", TRUE',
  '"XSites", 2',
  '"YSites", 2',
  '"SiteSelection1", TRUE, FALSE',
  '"SiteSelection2", TRUE, TRUE',
  '"Waves", TRUE',
  '"NWavelengths", 2',
  '"WaveName1", "DAPI"',
  '"WaveName2", "Cy5"',
  '"WaveCollect1", 1',
  '"EndFile"',
].join("\r\n");

describe(".HTD metadata", () => {
  test("is read", () => {
    expect(parseHtd(htd)).toEqual({
      description: 'a, "quoted" plate',
      rows: 8,
      columns: 12,
      wells: ["B01", "B02", "B03"],
      sites: 3,
      wavelengths: 2,
      waveNames: new Map([
        [1, "DAPI"],
        [2, "Cy5"],
      ]),
      zSteps: 3,
      timepoints: 2,
    });
    expect(parseHtd('"Sites", FALSE\n"XSites", 4\n"YSites", 4').sites).toBe(1);
    const absurd =
      '"XSites", 99999999999\n"YSites", 99999999999\n"SiteSelection1", TRUE\n"NWavelengths", 4294967296';
    expect(parseHtd(absurd)).toMatchObject({ sites: 1, wavelengths: null });
    // An expression that can split blanks in several ways would take days for these.
    const blanks = "\t".repeat(20_000);
    expect(parseHtd(`a${blanks}"x\n${blanks}x"y\n${blanks}"a"b\n"ZSteps",${blanks}3`).zSteps).toBe(3);
    expect(parseHtd("no metadata at all")).toMatchObject({ wells: [], sites: null, zSteps: null });
  });

  test("names channels and says what the files lack", async () => {
    const root = folder();
    writeFileSync(join(root, "exp.HTD"), Buffer.from(htd, "latin1"));
    for (const well of ["B01", "B02", "C05"]) {
      for (const site of [1, 2]) writeTiff(join(root, "TimePoint_1", `exp_${well}_s${site}_w1.TIF`), page);
    }
    const plate = await openPlate(root);
    expect([plate.name, plate.plateFormat, plate.channels[0]?.name]).toEqual([
      "exp",
      { rows: 8, columns: 12, wells: 96 },
      "DAPI",
    ]);
    expect(plate.missing).toEqual([]);
    expect(plate.notices.map((n) => [n.kind, n.message, n.count, n.examples])).toEqual([
      ["missing", "1 well that exp.HTD selects has no file", 1, ["B03"]],
      ["mixed", "1 well with files that exp.HTD does not select", 1, ["C05"]],
      ["missing", "1 channel that exp.HTD lists has no file", 1, ["channel 2 (Cy5)"]],
      ["missing", "exp.HTD says 3 sites; the files have 2", 1, []],
      ["missing", "exp.HTD says 2 timepoints; the files have 1", 1, []],
      ["missing", "exp.HTD says 3 z slices; the files have 0", 3, []],
    ]);
    expect((await openPlate(join(root, "exp.HTD"))).root).toBe(root);
  });
});

/** A description as MetaXpress writes it, cut to what the catalogue reads. */
function metaSeries(name: string, z: number, step?: number): string {
  return `<MetaData>
<prop id="Description" type="string" value="Plate Name: P &amp; Q&#13;&#10;Exposure: 15 ms"/>
<PlaneInfo>
<prop id="spatial-calibration-state" type="bool" value="on"/>
<prop id="spatial-calibration-x" type="float" value="0.325"/>
<prop id="spatial-calibration-y" type="float" value="0.325"/>
<prop id="spatial-calibration-units" type="string" value="um"/>
<prop id="image-name" type="string" value="${name}"/>
<prop id="z-position" type="float" value="${z}"/>
<prop id="_IllumSetting_" type="string" value="FITC"/>
${step === undefined ? "" : `<custom-prop id="Z Projection Step Size" type="float" value="${step}"/>`}
</PlaneInfo>
</MetaData>`;
}

describe("MetaSeries descriptions", () => {
  test("are read", () => {
    expect(parseMetaSeries(metaSeries("FITC &#181;", 12.5, 5))).toEqual({
      plateName: "P & Q",
      imageName: "FITC µ",
      illumination: "FITC",
      pixelSizeUm: { x: 0.325, y: 0.325 },
      zPositionUm: 12.5,
      projectionStepUm: 5,
    });
    expect(parseMetaSeries("ImageJ=1.54f")).toBeNull();
    expect(
      parseMetaSeries(metaSeries("x", 0).replace('value="um"', 'value="pixel"'))?.pixelSizeUm,
    ).toBeNull();
  });

  test("of damaged XML are read as far as it goes", () => {
    const text = metaSeries("GFP", 3).replace(
      '<prop id="_IllumSetting_"',
      '<prop id="a<b" <prop id="_IllumSetting_"',
    );
    expect(parseMetaSeries(text)).toMatchObject({ imageName: "GFP", zPositionUm: 3, illumination: null });
  });

  test("give channel names, pixel size, and the slice distance from stage positions", async () => {
    const root = folder();
    for (const [z, position] of [100, 101.9, 104.1, 106.3, 108.4].entries()) {
      writeTiff(join(root, `ZStep_${z + 1}`, "x_A01_s1_w1.tif"), {
        ...page,
        description: metaSeries("GFP", position),
      });
    }
    const measured = await openPlate(root);
    expect([measured.channels[0]?.name, measured.pixelSizeUm, measured.zStepUm]).toEqual([
      "GFP",
      { x: 0.325, y: 0.325 },
      2.15,
    ]);
    // The projection knows the setting, which the positions bear out.
    writeTiff(join(root, "x_A01_s1_w1.tif"), { ...page, description: metaSeries("GFP", 104, 2) });
    expect((await openPlate(root)).zStepUm).toBe(2);
    // A setting that the positions contradict is not believed.
    writeTiff(join(root, "x_A01_s1_w1.tif"), { ...page, description: metaSeries("GFP", 104, 9) });
    expect((await openPlate(root)).zStepUm).toBe(2.15);
  });
});
