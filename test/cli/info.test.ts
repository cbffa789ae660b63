// SPDX-License-Identifier: MIT
// `tilecast info`: the text, the JSON, and the errors of its command line.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import { type InfoIo, infoCommand, infoUsage } from "../../lib/cli/info.js";
import { temporaryFolders } from "../helpers/folder.js";
import { omeImage, omeXml, writePages } from "../helpers/ome-tiff.js";
import { phenixPlate } from "../helpers/phenix-plate.js";
import { thrown } from "../helpers/throws.js";
import { writeTiff } from "../helpers/tiff.js";
import { yokogawaPlate } from "../helpers/yokogawa-plate.js";

const folder = temporaryFolders();

function smallPlate(): string {
  const root = folder();
  const page = { width: 1000, height: 500, dtype: "uint16", compression: "none" } as const;
  for (const well of ["A01", "A02", "B03"]) {
    for (const z of [1, 2]) writeTiff(join(root, `ZStep_${z}`, `demo_${well}_s1_w1.tif`), page);
    writeTiff(join(root, `demo_${well}_s1_w1.tif`), page);
    if (well !== "B03") writeTiff(join(root, `demo_${well}_s1_w2.tif`), page);
  }
  writeFileSync(join(root, "notes.txt"), "");
  return root;
}

async function info(args: string[], io: Partial<InfoIo> = {}): Promise<{ code: number; text: string }> {
  let text = "";
  const stdout = { write: (part: string) => (text += part) };
  const code = await infoCommand(args, { color: false, unicode: false, ...io, stdout });
  return { code, text };
}

describe("tilecast info", () => {
  test("says what the metadata of a layout says", async () => {
    const phenix = folder();
    phenixPlate(phenix, { fields: 4, planes: 3, withhold: (p) => p.value === 5 });
    const { text } = await info([phenix]);
    const lines = text.split("\n");
    expect(lines[0]).toBe("P7 & more  Opera Phenix / Operetta");
    expect(lines).toContain("sites       4   1-4, 2 x 2 in rows and columns");
    expect(lines).toContain("pixel size  0.29688 um, z step 2 um");
    expect(lines.slice(-3, -1)).toEqual([
      "missing     1 plane: listed in Images/Index.idx.xml and not in the folder",
      "            A01 site 1 channel 2 z 2",
    ]);
    const yokogawa = folder();
    yokogawaPlate(yokogawa);
    expect((await info([yokogawa])).text.split("\n")[0]).toBe("exp 1  Yokogawa CellVoyager");
    const ome = folder();
    writePages(ome, "x_A01.ome.tif", omeXml(omeImage()), [1]);
    expect((await info([ome])).text.split("\n")[0]).toBe("x  OME-TIFF, pattern {plate}_{well}.ome.tif");
  });

  test("describes a plate", async () => {
    const root = smallPlate();
    const { code, text } = await info([root]);
    expect(code).toBe(0);
    expect(text.replace(/\d+\.\d+ MB in files/, "N MB in files")).toBe(`demo  ImageXpress
${root}

wells       3 of 6   A01 A02 B03
sites       1   1
timepoints  1
planes      11, 5.50 Mpx: 11.0 MB decoded, N MB in files

channel  name  z slices  stored         size      dtype   compression  planes
1        -     2 (1, 2)  3 projections  1000x500  uint16  none              9
2        -     -         2 single       1000x500  uint16  none              2

   1 2 3
 A # # .
 B . . o
   # images   o planes missing   . nothing

ignored     1 file that is no TIFF image
            notes.txt
missing     1 plane of channel 2 that other wells or fields have: no file in B03
            B03 site 1 channel 2
`);
  });

  test("uses Unicode and colour only when asked to", async () => {
    const root = smallPlate();
    const { text } = await info([root], { color: true, unicode: true });
    expect(text).toContain("1000×500");
    expect(text).toContain("\x1b[33m◐\x1b[39m");
    expect(stripVTControlCharacters(text)).toBe((await info([root], { unicode: true })).text);
  });

  test("prints JSON, with the planes when asked to", async () => {
    const root = smallPlate();
    const json = JSON.parse((await info([root, "--json"])).text);
    expect(json).toMatchObject({
      format: "imagexpress",
      name: "demo",
      planeCount: 11,
      pixels: 5_500_000,
      pixelBytes: 11_000_000,
    });
    expect(json.missing).toEqual([
      { well: "B03", site: 1, channel: 2, z_index: null, timepoint: 1, kind: "absent", reason: "no file" },
    ]);
    expect(json).not.toHaveProperty("planes");
    const full = JSON.parse((await info([root, "--json", "--planes"])).text);
    expect(full.planes).toHaveLength(11);
    expect(full.planes[0]).toMatchObject({
      well: "A01",
      z_index: null,
      width: 1000,
      path: join(root, "demo_A01_s1_w1.tif"),
    });
  });

  test("maps a 1536-well plate with one character a well", async () => {
    const root = folder();
    writeTiff(join(root, "p_AF48_s1.tif"), { width: 2, height: 2 });
    const lines = (await info([root])).text.split("\n");
    const last = lines.findIndex((line) => line.startsWith("AF "));
    expect(lines[last]).toBe(`AF ${".".repeat(47)}#`);
    expect(lines[last - 32]).toBe(`   ${"1234567890".repeat(5).slice(0, 48)}`);
    expect(lines[last - 33]).toBe("            1         2         3         4");
  });

  test("help goes to stdout", async () => {
    expect(await info(["--help"])).toEqual({ code: 0, text: infoUsage });
  });

  test("a wrong command line is an error that says what was expected", async () => {
    const refused = async (...args: string[]) => {
      const error = await thrown(() => info(args));
      return [error.code, error.message.split("\n")[0]];
    };
    expect(await refused()).toEqual(["ERR_USAGE", "expected one plate folder but received none"]);
    expect(await refused("a", "b")).toEqual(["ERR_USAGE", 'expected one plate folder but received "a" "b"']);
    expect(await refused("a", "--planes")).toEqual(["ERR_USAGE", "--planes: expected together with --json"]);
    expect(await refused("a", "--headers", "some")).toEqual([
      "ERR_USAGE",
      '--headers: expected all, first but received "some"',
    ]);
    expect((await refused("a", "--colour"))[0]).toBe("ERR_USAGE");
    expect((await refused("/nowhere/at/all"))[0]).toBe("ERR_PLATE_NOT_FOUND");
  });
});
