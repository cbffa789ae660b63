// SPDX-License-Identifier: MIT
// The PNG encoder against Pillow: every pixel comes back, in every layout that the report uses.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dataUri, encodeGrey, encodeMask, encodeRgb } from "../../lib/orchestrator/report/png.js";
import { temporaryFolders } from "../helpers/folder.js";
import { needsPeer, python, runPython } from "../helpers/shared.js";
import { thrown } from "../helpers/throws.js";

const folder = temporaryFolders();

/** Decodes with Pillow: mode, size and raw bytes of each file. `load` checks the checksums of all chunks. */
function decode(files: readonly Buffer[]): { mode: string; size: [number, number]; bytes: Buffer }[] {
  const program = `
import base64, io, json, sys
from PIL import Image
out = []
for text in json.load(open(sys.argv[1])):
    image = Image.open(io.BytesIO(base64.b64decode(text)))
    image.load()
    if image.mode == "P": image = image.convert("RGBA")
    out.append({"mode": image.mode, "size": image.size, "bytes": base64.b64encode(image.tobytes()).decode()})
print(json.dumps(out))`;
  const file = join(folder(), "files.json");
  writeFileSync(file, JSON.stringify(files.map((f) => f.toString("base64"))));
  const decoded = runPython(program, [file]) as { mode: string; size: [number, number]; bytes: string }[];
  return decoded.map((d) => ({ ...d, bytes: Buffer.from(d.bytes, "base64") }));
}

const images = fc.sample(
  fc
    .record({
      width: fc.integer({ min: 1, max: 40 }),
      height: fc.integer({ min: 1, max: 40 }),
      flat: fc.boolean(),
    })
    .chain(({ width, height, flat }) =>
      fc.record({
        width: fc.constant(width),
        height: fc.constant(height),
        rgb: fc.uint8Array({
          minLength: width * height * 3,
          maxLength: width * height * 3,
          max: flat ? 1 : 255,
        }),
      }),
    ),
  { numRuns: 60, seed: 5 },
);

describe("PNG files read by Pillow", () => {
  needsPeer(python(), "Python with its packages");
  test("grey comes back exactly", () => {
    const files = images.map(({ width, height, rgb }) =>
      encodeGrey(width, height, rgb.subarray(0, width * height)),
    );
    for (const [i, { mode, size, bytes }] of decode(files).entries()) {
      const { width, height, rgb } = images[i] as (typeof images)[number];
      expect(mode).toBe("L");
      expect(size).toEqual([width, height]);
      expect(bytes.equals(rgb.subarray(0, width * height))).toBe(true);
    }
  });

  test("RGB comes back exactly", () => {
    for (const [i, { mode, size, bytes }] of decode(
      images.map((m) => encodeRgb(m.width, m.height, m.rgb)),
    ).entries()) {
      const { width, height, rgb } = images[i] as (typeof images)[number];
      expect(mode).toBe("RGB");
      expect(size).toEqual([width, height]);
      expect(bytes.equals(rgb)).toBe(true);
    }
  });

  test("a mask is its colour where set and transparent elsewhere, at widths that do not fill a byte", () => {
    const masks = images.map(({ width, height, rgb }) => ({
      width,
      height,
      mask: rgb.subarray(0, width * height).map((v) => v & 1),
    }));
    for (const [i, { mode, bytes }] of decode(
      masks.map((m) => encodeMask(m.width, m.height, m.mask, [255, 88, 150])),
    ).entries()) {
      const expected = [...(masks[i] as (typeof masks)[number]).mask].flatMap((v) =>
        v ? [255, 88, 150, 255] : [0, 0, 0, 0],
      );
      expect(mode).toBe("RGBA");
      expect(bytes.equals(Buffer.from(expected))).toBe(true);
    }
  });
});

test("pixels that do not fill the size are refused", async () => {
  const error = await thrown(() => encodeGrey(4, 3, new Uint8Array(11)));
  expect(error.code).toBe("ERR_INVALID_ARGUMENT");
  expect(error.message).toBe("pixels: expected 12 bytes for 4 x 3, got 11");
  expect((await thrown(() => encodeMask(0, 3, new Uint8Array(0), [0, 0, 0]))).message).toBe(
    "width and height: expected whole numbers from 1 on, got 0 x 3",
  );
});

test("a data URI holds the file", () => {
  const png = encodeGrey(1, 1, Uint8Array.of(7));
  expect(dataUri(png)).toBe(`data:image/png;base64,${png.toString("base64")}`);
});
