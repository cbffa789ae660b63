// SPDX-License-Identifier: MIT
// Whole plates with damaged metadata files: the catalogue is made, with what is wrong in its notices, or refused with a reason.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ErrorCode } from "../../lib/errors.js";
import { op } from "../../lib/ops/index.js";
import { pipeline } from "../../lib/orchestrator/pipeline.js";
import { run } from "../../lib/orchestrator/run.js";
import { openPlate } from "../../lib/plates/index.js";
import { temporaryFolders } from "../helpers/folder.js";
import { phenixPlate } from "../helpers/phenix-plate.js";
import { smallPlate } from "../helpers/small-plate.js";
import { yokogawaPlate } from "../helpers/yokogawa-plate.js";
import { damagedText, runs, survives } from "./mutations.js";

const folder = temporaryFolders();
const refusals: readonly ErrorCode[] = [
  "ERR_METADATA",
  "ERR_PLATE_FORMAT",
  "ERR_ZARR_DAMAGED",
  "ERR_ZARR_UNSUPPORTED",
  "ERR_IO",
];

/** Each makes a plate and gives its folder and the metadata files in it. */
const plates: readonly (readonly [string, () => { root: string; files: readonly string[] }])[] = [
  [
    "ImageXpress",
    () => {
      const root = folder();
      smallPlate(root, { names: ["DAPI", "GFP"], channels: [0, 0], sites: 2 });
      const file = join(root, "demo.HTD");
      const more =
        '"Sites", TRUE\r\n"XSites", 2\r\n"YSites", 1\r\n"SiteSelection1", TRUE, TRUE\r\n"WellsSelection1", TRUE, TRUE\r\n"ZSteps", 1\r\n"TimePoints", 1\r\n"EndFile"\r\n';
      writeFileSync(file, readFileSync(file, "utf8").replace('"EndFile"\r\n', more));
      return { root, files: [file] };
    },
  ],
  [
    "Opera Phenix",
    () => {
      const root = folder();
      phenixPlate(root, { fields: 2 });
      return { root, files: [join(root, "Images", "Index.idx.xml")] };
    },
  ],
  [
    "Yokogawa",
    () => {
      const root = folder();
      yokogawaPlate(root);
      return {
        root,
        files: ["MeasurementData.mlf", "MeasurementDetail.mrf", "exp.mes", "exp.wpi"].map((f) =>
          join(root, f),
        ),
      };
    },
  ],
];

describe("a plate with damaged metadata", () => {
  test.each(plates)("of %s is opened or refused", async (_, make) => {
    const { root, files } = make();
    const usual = (await openPlate(root)).planes.length;
    expect(usual).toBeGreaterThan(3);
    const texts = files.map((f) => readFileSync(f, "utf8"));
    await fc.assert(
      fc.asyncProperty(
        fc
          .nat({ max: files.length - 1 })
          .chain((i) => fc.tuple(fc.constant(i), damagedText(texts[i] as string))),
        async ([i, damaged]) => {
          writeFileSync(files[i] as string, damaged);
          await survives(async () => {
            const plate = await openPlate(root);
            expect(plate.planes.length + plate.missing.length + plate.notices.length).toBeGreaterThan(0);
            // What is missing is listed for people: a damaged number must not make millions of it.
            expect(plate.missing.length).toBeLessThan(1_000_000);
          }, refusals);
          writeFileSync(files[i] as string, texts[i] as string);
        },
      ),
      { numRuns: runs(120) },
    );
  });

  test("of OME-Zarr is opened or refused", async () => {
    const from = folder();
    smallPlate(from, { wells: ["A01"] });
    const out = folder();
    await run(pipeline("p").step("copy", op.save()), await openPlate(from), { out, resume: true });
    const root = join(out, "plate.ome.zarr");
    expect((await openPlate(root)).planes).toHaveLength(1);
    const files = readdirSync(root, { recursive: true, encoding: "utf8" })
      .filter((f) => f.endsWith("zarr.json"))
      .map((f) => join(root, f));
    const texts = files.map((f) => readFileSync(f, "utf8"));
    await fc.assert(
      fc.asyncProperty(
        fc
          .nat({ max: files.length - 1 })
          .chain((i) => fc.tuple(fc.constant(i), damagedText(texts[i] as string))),
        async ([i, damaged]) => {
          writeFileSync(files[i] as string, damaged);
          await survives(() => openPlate(root), refusals);
          writeFileSync(files[i] as string, texts[i] as string);
        },
      ),
      { numRuns: runs(200) },
    );
  });
});
