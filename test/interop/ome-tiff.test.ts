// SPDX-License-Identifier: MIT
// What writeOmeTiff writes, judged by those who will read it: tifffile, geotiff, Bio-Formats, and the OME schema.

import { createHash } from "node:crypto";
import { join } from "node:path";
import { fromFile } from "geotiff";
import { describe, expect, test } from "vitest";
import { type DType, dtypes, type TypedArray } from "../../lib/image/dtype.js";
import { type OmeTiffOptions, writeOmeTiff } from "../../lib/stores/index.js";
import { bfConvert, bioFormats, omeXmlOf } from "../helpers/bio-formats.js";
import { temporaryFolders } from "../helpers/folder.js";
import { gradient } from "../helpers/gradient.js";
import { needsPeer, python, runPython } from "../helpers/shared.js";

const folder = temporaryFolders();

const digest = (pixels: TypedArray) =>
  createHash("sha256")
    .update(new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength))
    .digest("hex");

interface Case {
  readonly dtype: DType;
  readonly options: OmeTiffOptions;
}

const layouts: readonly OmeTiffOptions[] = [
  { tile: 64 },
  { tile: 0, rowsPerStrip: 13 },
  { tile: 48, bigTiff: true, levels: 3 },
];
const cases: readonly Case[] = dtypes.flatMap((dtype) =>
  (["none", "deflate", "zstd"] as const).flatMap((compression) =>
    layouts.flatMap((layout) =>
      (compression === "none" ? [false] : [false, true]).map((predictor) => ({
        dtype,
        options: { ...layout, compression, predictor },
      })),
    ),
  ),
);
const [height, width] = [83, 131];
const titleOf = ({ dtype, options: o }: Case) =>
  `${dtype} ${o.compression}${o.predictor ? " predicted" : ""} ${o.tile ? `tiles ${o.tile}` : "strips"}${o.bigTiff ? " big" : ""}`;

async function write(path: string, { dtype, options }: Case): Promise<TypedArray[]> {
  const planes = Array.from({ length: 6 }, (_, i) => gradient(dtype, height, width, i));
  await writeOmeTiff(
    path,
    {
      width,
      height,
      dtype,
      planes,
      sizeZ: 3,
      channels: [{ name: "DAPI & <µ>", color: "0080FF" }, { name: "GFP" }],
      pixelSizeUm: { x: 0.65, y: 0.325 },
      zStepUm: 1.5,
    },
    options,
  );
  return planes;
}

describe("tifffile", () => {
  needsPeer(python(), "Python with tifffile");

  test("reads every dtype, compression, predictor and layout, with axes, sizes and pyramids", async () => {
    const at = folder();
    const expected: unknown[] = [];
    for (const [i, each] of cases.entries()) {
      const planes = await write(join(at, `${i}.ome.tif`), each);
      const { dtype, options } = each;
      const predictor = !options.predictor ? 1 : dtype.startsWith("float") ? 3 : 2;
      const compression = { none: 1, deflate: 8, zstd: 50000 }[options.compression ?? "deflate"];
      expected.push({
        // Written channels fastest: [z, c, y, x].
        axes: "ZCYX",
        shape: [3, 2, height, width],
        dtype,
        digests: planes.map(digest),
        big: options.bigTiff === true,
        ome: true,
        levels: options.levels ?? 1,
        predictor,
        compression,
        resolution: [15384.6154, 30769.2308, 3],
        channels: ["DAPI & <µ>", "GFP"],
      });
    }
    const seen = runPython(
      `
import hashlib, json, sys, tifffile, xml.etree.ElementTree as ET
out = []
for i in range(int(sys.argv[2])):
    with tifffile.TiffFile(f"{sys.argv[1]}/{i}.ome.tif") as f:
        s = f.series[0]
        p = f.pages[0]
        data = s.asarray()
        planes = data.reshape(-1, *data.shape[-2:])
        root = ET.fromstring(f.ome_metadata)
        ns = {"o": "http://www.openmicroscopy.org/Schemas/OME/2016-06"}
        r = [t[0] / t[1] for t in (p.tags[282].value, p.tags[283].value)]
        out.append(dict(axes=s.axes, shape=list(data.shape), dtype=str(data.dtype),
            digests=[hashlib.sha256(x.tobytes()).hexdigest() for x in planes],
            big=f.is_bigtiff, ome=f.is_ome, levels=len(s.levels), predictor=int(p.predictor), compression=int(p.compression),
            resolution=[round(r[0], 4), round(r[1], 4), int(p.tags[296].value)],
            channels=[c.get("Name") for c in root.findall(".//o:Channel", ns)]))
        for level in s.levels[1:]: level.asarray()
print(json.dumps(out))
`,
      [at, String(cases.length)],
    );
    for (const [i, got] of (seen as unknown[]).entries())
      expect(got, titleOf(cases[i] as Case)).toEqual(expected[i]);
  });

  test("sees each level of a pyramid as the means of the one before", async () => {
    const path = join(folder(), "a.ome.tif");
    const plane = gradient("uint16", 301, 200, 0);
    await writeOmeTiff(
      path,
      { width: 200, height: 301, dtype: "uint16", planes: [plane] },
      { levels: 3, tile: 64 },
    );
    expect(
      runPython(
        `
import json, sys, numpy as np, tifffile
with tifffile.TiffFile(sys.argv[1]) as f:
    levels = [l.asarray() for l in f.series[0].levels]
    worst = []
    for a, b in zip(levels, levels[1:]):
        h, w = a.shape[0] // 2, a.shape[1] // 2
        m = a[:2*h, :2*w].astype(float).reshape(h, 2, w, 2).mean((1, 3))
        worst.append(float(np.abs(m - b[:h, :w]).max()))
    print(json.dumps([[list(l.shape) for l in levels], max(worst) <= 0.5, [int(p.subfiletype) for p in f.pages[0].pages]]))
`,
        [path],
      ),
    ).toEqual([
      [
        [301, 200],
        [151, 100],
        [76, 50],
      ],
      true,
      [1, 1],
    ]);
  });
});

test("geotiff reads every compression and layout", async () => {
  const at = folder();
  // It has no Zstandard, and reads the horizontal predictor and the other one.
  for (const each of cases.filter(({ options }) => options.compression !== "zstd")) {
    const path = join(at, "a.ome.tif");
    const planes = await write(path, each);
    const file = await fromFile(path);
    expect(await file.getImageCount()).toBe(6);
    for (const page of [0, 5]) {
      const image = await file.getImage(page);
      const [pixels] = (await image.readRasters()) as unknown as TypedArray[];
      expect(digest(pixels as TypedArray), titleOf(each)).toBe(digest(planes[page] as TypedArray));
    }
    file.close();
  }
});

describe("the OME schema", () => {
  const jar = bioFormats();
  needsPeer(jar, "Bio-Formats, which holds the schema");
  needsPeer(python(), "Python with xmlschema");

  test("finds the OME-XML valid", async () => {
    const at = folder();
    const path = join(at, "a.ome.tif");
    await write(path, { dtype: "uint16", options: {} });
    await writeOmeTiff(join(at, "b.ome.tif"), {
      width,
      height,
      dtype: "float32",
      sizeT: 2,
      timeStepS: 0.5,
      order: "XYTZC",
      name: "nul \u0000, line\n, half \ud800",
      planes: [gradient("float32", height, width, 0), gradient("float32", height, width, 1)],
    });
    expect(
      runPython(
        `
import io, json, sys, tifffile, xmlschema, zipfile
schema = xmlschema.XMLSchema(zipfile.ZipFile(sys.argv[1]).read("released-schema/2016-06/ome.xsd").decode())
texts = [tifffile.TiffFile(p).ome_metadata for p in sys.argv[2:]]
texts.append(texts[0].replace("XYCZT", "YX"))
print(json.dumps([sum(1 for _ in schema.iter_errors(text)) for text in texts]))
`,
        [jar as string, path, join(at, "b.ome.tif")],
      ),
      // The last one is wrong on purpose: the judge is awake.
    ).toEqual([0, 0, 1]);
  });
});

describe("Bio-Formats", () => {
  const jar = bioFormats();
  needsPeer(jar, "Bio-Formats");
  needsPeer(python(), "Python with tifffile");

  test("reads sizes, channels and physical sizes", { timeout: 120_000 }, async () => {
    const at = folder();
    await write(join(at, "a.ome.tif"), { dtype: "uint16", options: { levels: 2, tile: 64 } });
    const xml = omeXmlOf(at, "a.ome.tif");
    for (const said of [
      'SizeC="2"',
      'SizeT="1"',
      `SizeX="${width}"`,
      `SizeY="${height}"`,
      'SizeZ="3"',
      'Type="uint16"',
      'PhysicalSizeX="0.65"',
      'PhysicalSizeY="0.325"',
      'PhysicalSizeZ="1.5"',
      'Name="DAPI &amp; &lt;µ&gt;"',
      'Name="GFP"',
      `Color="${(0x0080ff << 8) | 255 | 0}"`,
    ])
      expect(xml).toContain(said);
  });

  // Each starts a virtual machine: what differs in how bytes are decoded, not every combination.
  test.each<Case>([
    { dtype: "uint16", options: { compression: "deflate", tile: 64 } },
    { dtype: "uint8", options: { compression: "none", tile: 48, bigTiff: true } },
    { dtype: "int16", options: { compression: "deflate", tile: 0, rowsPerStrip: 13 } },
    { dtype: "float32", options: { compression: "deflate", tile: 64 } },
    { dtype: "uint16", options: { compression: "zstd", tile: 64, predictor: false } },
  ])("reads the pixels of $dtype, $options.compression", { timeout: 120_000 }, async (each) => {
    const at = folder();
    const planes = await write(join(at, "a.ome.tif"), each);
    // Raw planes, by a converter that knows nothing of us; read by the oracle's reader of such files.
    bfConvert(at, "a.ome.tif", "b.ome.tif", "-compression", "Uncompressed");
    const seen = runPython(
      `
import hashlib, json, sys, tifffile
print(json.dumps([hashlib.sha256(p.asarray().tobytes()).hexdigest() for p in tifffile.TiffFile(sys.argv[1]).pages]))
`,
      [join(at, "b.ome.tif")],
    ) as string[];
    expect([...seen].sort()).toEqual(planes.map(digest).sort());
  });
});
