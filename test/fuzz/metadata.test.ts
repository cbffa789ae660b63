// SPDX-License-Identifier: MIT
// Damaged metadata of every format: each parser gives a result or the error that it documents, and ends.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ErrorCode } from "../../lib/errors.js";
import { parseHtd } from "../../lib/plates/htd.js";
import { parseImageJ } from "../../lib/plates/imagej.js";
import { parseImageXpressName } from "../../lib/plates/imagexpress.js";
import { parseMetaSeries } from "../../lib/plates/metaseries.js";
import { parseOmeXml } from "../../lib/plates/ome-xml.js";
import { parseOpenHcsName } from "../../lib/plates/openhcs.js";
import { parsePhenixName } from "../../lib/plates/opera-phenix.js";
import { FilenamePattern, suggestPattern } from "../../lib/plates/pattern.js";
import { parsePhenixIndex } from "../../lib/plates/phenix-index.js";
import { parseWell } from "../../lib/plates/well.js";
import { readXml } from "../../lib/plates/xml.js";
import { parseYokogawaName } from "../../lib/plates/yokogawa.js";
import { parseMes, parseMlf, parseMrf, parseWpi } from "../../lib/plates/yokogawa-records.js";
import { omeAttributes, parseWell as parseNgffWell, parsePlate } from "../../lib/stores/ngff.js";
import { type Json, parseZarrArray } from "../../lib/stores/zarr-array.js";
import { temporaryFolders } from "../helpers/folder.js";
import { omeChannels, omeImage, omeXml } from "../helpers/ome-tiff.js";
import { phenixPlate } from "../helpers/phenix-plate.js";
import { smallPlate } from "../helpers/small-plate.js";
import { yokogawaPlate } from "../helpers/yokogawa-plate.js";
import { damagedJson, damagedText, runs, survives } from "./mutations.js";

const folder = temporaryFolders();

interface Subject {
  readonly name: string;
  readonly text: () => string;
  readonly parse: (text: string) => unknown;
  readonly codes: readonly ErrorCode[];
}

const phenix = folder();
phenixPlate(phenix, { fields: 2, planes: 2 });
const yokogawa = folder();
yokogawaPlate(yokogawa);
const imageXpress = folder();
smallPlate(imageXpress, { names: ["DAPI", "GFP"], channels: [0, 0] });
const htd = `${readFileSync(join(imageXpress, "demo.HTD"), "utf8")}"Sites", TRUE\r\n"XSites", 2\r\n"YSites", 2\r\n"SiteSelection1", TRUE, FALSE\r\n"SiteSelection2", TRUE, TRUE\r\n"WellsSelection1", TRUE, TRUE, FALSE\r\n"ZSteps", 3\r\n"TimePoints", 2\r\n`;
const metaSeries =
  '<MetaData><PlaneInfo><prop id="spatial-calibration-x" type="float" value="0.65"/><prop id="z-position" type="float" value="1.5"/><prop id="wavelength" type="float" value="447"/></PlaneInfo></MetaData>';

const subjects: readonly Subject[] = [
  { name: "HTD", text: () => htd, parse: parseHtd, codes: [] },
  {
    name: "Harmony's index",
    text: () => readFileSync(join(phenix, "Images", "Index.idx.xml"), "utf8"),
    parse: (t) => parsePhenixIndex(t, "x"),
    codes: ["ERR_METADATA"],
  },
  {
    name: "OME-XML",
    text: () => omeXml(omeImage({ sizes: { z: 2, c: 2, t: 2 }, channels: omeChannels("a", "b") })),
    parse: (t) => parseOmeXml(t, "x", { samples: 1, pages: 8 }),
    codes: ["ERR_METADATA"],
  },
  {
    name: "XML",
    text: () => metaSeries,
    parse: (t) => readXml(t, "x", { prop: () => {}, PlaneInfo: () => {} }),
    codes: ["ERR_METADATA"],
  },
  { name: "MetaSeries", text: () => metaSeries, parse: parseMetaSeries, codes: [] },
  {
    name: "ImageJ",
    text: () =>
      "ImageJ=1.53c\nimages=12\nchannels=2\nslices=3\nframes=2\nhyperstack=true\nspacing=2.0\nunit=micron\n",
    parse: parseImageJ,
    codes: [],
  },
  ...(
    [
      ["MeasurementData.mlf", parseMlf],
      ["MeasurementDetail.mrf", parseMrf],
      ["exp.mes", parseMes],
      ["exp.wpi", parseWpi],
    ] as const
  ).map(
    ([name, parse]): Subject => ({
      name: `Yokogawa's ${name}`,
      text: () => readFileSync(join(yokogawa, name), "utf8"),
      parse: (t) => parse(t, "x"),
      codes: ["ERR_METADATA"],
    }),
  ),
];

describe("damaged metadata", () => {
  test.each(subjects.map((s) => [s.name, s] as const))("of %s is read or refused", async (_, subject) => {
    const { text, parse, codes } = subject;
    parse(text());
    await fc.assert(
      fc.asyncProperty(damagedText(text()), (damaged) => survives(() => parse(damaged), codes)),
      { numRuns: runs(600) },
    );
  });
});

const v3 = {
  zarr_format: 3,
  node_type: "array",
  shape: [2, 64, 64],
  data_type: "uint16",
  chunk_grid: { name: "regular", configuration: { chunk_shape: [1, 64, 64] } },
  chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
  fill_value: 0,
  codecs: [
    {
      name: "sharding_indexed",
      configuration: {
        chunk_shape: [1, 32, 32],
        codecs: [
          { name: "bytes", configuration: { endian: "little" } },
          {
            name: "blosc",
            configuration: { cname: "lz4", clevel: 5, shuffle: "shuffle", typesize: 2, blocksize: 0 },
          },
        ],
        index_codecs: [{ name: "bytes", configuration: { endian: "little" } }, { name: "crc32c" }],
        index_location: "end",
      },
    },
  ],
};
const v2 = {
  zarr_format: 2,
  shape: [2, 64, 64],
  chunks: [1, 32, 32],
  dtype: "<u2",
  compressor: { id: "blosc", cname: "lz4", clevel: 5, shuffle: 1 },
  fill_value: 0,
  order: "C",
  filters: null,
  dimension_separator: "/",
};
const plate = {
  ome: {
    version: "0.5",
    plate: {
      name: "p",
      rows: [{ name: "A" }, { name: "B" }],
      columns: [{ name: "1" }],
      wells: [
        { path: "A/1", rowIndex: 0, columnIndex: 0 },
        { path: "B/1", rowIndex: 1, columnIndex: 0 },
      ],
    },
  },
};
const well = { ome: { version: "0.5", well: { images: [{ path: "0" }, { path: "1", acquisition: 0 }] } } };

describe("damaged Zarr metadata", () => {
  const arrays = [
    ["version 3", 3, v3],
    ["version 2", 2, v2],
  ] as const;
  test.each(arrays)("of an array of %s is read or refused", async (_, format, metadata) => {
    const parse = (m: unknown) =>
      parseZarrArray("x", { format, kind: "array", attributes: {}, metadata: m as Json });
    parse(metadata);
    await fc.assert(
      fc.asyncProperty(
        damagedJson(metadata).filter((m) => typeof m === "object" && m !== null && !Array.isArray(m)),
        (m) => survives(() => parse(m), ["ERR_ZARR_DAMAGED", "ERR_ZARR_UNSUPPORTED"]),
      ),
      { numRuns: runs(1500) },
    );
  });

  test("of a plate and a well is read or refused", async () => {
    const object = (value: unknown) => damagedJson(value).filter((m) => typeof m === "object" && m !== null);
    await fc.assert(
      fc.asyncProperty(object(plate), object(well), async (p, w) => {
        await survives(() => parsePlate("x", omeAttributes(p as Json)), ["ERR_METADATA"]);
        await survives(() => parseNgffWell("x", omeAttributes(w as Json)), ["ERR_METADATA"]);
      }),
      { numRuns: runs(1500) },
    );
  });
});

describe("names of files", () => {
  const names = [
    "demo_A01_s1_w1.tif",
    "r01c01f01p01-ch1sk1fk1fl1.tiff",
    "AssayPlate_D08_T0001F001L01A01Z01C01.tif",
    "A01_s001_w1_z001_t001.tif",
  ];

  test("of any kind are parsed or not, by every format", () => {
    const parsers = [parseImageXpressName, parsePhenixName, parseYokogawaName, parseOpenHcsName, parseWell];
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom(...names).chain(damagedText)),
        (name) => {
          for (const parse of parsers) parse(name);
        },
      ),
      { numRuns: runs(2000) },
    );
  });

  test("patterns are compiled or refused, and match any name or do not", async () => {
    const patterns = ["{plate}_{well}_s{site}_w{channel}.tif", "{plate}_{well:3}f{site:2}d{channel:1}.tif"];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...patterns).chain(damagedText),
        fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom(...names).chain(damagedText)),
        (pattern, name) =>
          survives(() => {
            // What begins with "^" is a regular expression of the user's, with whatever cost that has.
            if (!pattern.startsWith("^")) FilenamePattern.compile(pattern).match(name);
            expect(() => FilenamePattern.compile(suggestPattern(name))).not.toThrow();
          }, ["ERR_PATTERN"]),
      ),
      { numRuns: runs(1500) },
    );
  });
});
