// SPDX-License-Identifier: MIT
// Thumbnails to pictures: display range, averaging, outlines, and sizes that keep the page small.

import { expect, test } from "vitest";
import { channelTints } from "../../lib/orchestrator/channel-color.js";
import { makeMontage, sideLimit, toGrey } from "../../lib/orchestrator/report/montage.js";
import type { Thumbnail } from "../../lib/orchestrator/report/report-data.js";
import { thrown } from "../helpers/throws.js";
import { makeReport } from "./report-fixture.js";

const thumbnail = (
  width: number,
  height: number,
  values: readonly number[],
  more: Partial<Thumbnail> = {},
): Thumbnail => ({
  well: "A01",
  site: 1,
  channel: 1,
  width,
  height,
  pixels: Float32Array.from(values),
  outline: null,
  ...more,
});

test("the display range maps to black and white, and clips beyond", () => {
  const t = thumbnail(5, 1, [50, 100, 180, 300, 1000]);
  expect([...toGrey(t, 100, 300, 5, 1)]).toEqual([0, 0, 102, 255, 255]);
});

test("NaN and a range without extent are black, not noise", () => {
  expect([...toGrey(thumbnail(3, 1, [Number.NaN, 5, Number.POSITIVE_INFINITY]), 0, 10, 3, 1)]).toEqual([
    0, 128, 255,
  ]);
  expect([...toGrey(thumbnail(2, 1, [1, 9]), 4, 4, 2, 1)]).toEqual([0, 0]);
});

test("smaller pictures are means of the pixels they cover", () => {
  const t = thumbnail(4, 2, [0, 2, 4, 6, 8, 10, 12, 14]);
  expect([...toGrey(t, 0, 255, 2, 1)]).toEqual([5, 9]);
  // Sizes that do not divide: 3 -> 2 pixels cover 1 and 2.
  expect([...toGrey(thumbnail(3, 1, [10, 20, 40]), 0, 255, 2, 1)]).toEqual([10, 30]);
});

test("a page of pictures stays below its budget, whatever the number of wells", () => {
  for (const images of [1, 4, 96 * 2, 384 * 4, 1536 * 2, 1536 * 5]) {
    const side = sideLimit(images);
    expect(side).toBeGreaterThanOrEqual(16);
    expect(images * (side ** 2 * 1.125 + 500) * (4 / 3)).toBeLessThan(13e6);
  }
  expect(sideLimit(96 * 2)).toBeGreaterThan(160);
});

test("the first picture of a channel counts, in the plate's order of channels", () => {
  const data = makeReport({ rows: 1, columns: 1, side: 8 });
  const [nuclei, cells] = data.thumbnails as [Thumbnail, Thumbnail];
  const montage = makeMontage({
    ...data,
    thumbnails: [cells, nuclei, { ...nuclei, site: 2, pixels: new Float32Array(64) }],
  });
  expect(montage.channels).toEqual([1, 2]);
  expect(montage.outlined).toBe(true);
  const images = montage.wells.get("A01") ?? [];
  expect(images.map((m) => [m.channel, m.outline !== null])).toEqual([
    [1, true],
    [2, false],
  ]);
  expect(images[0]?.picture).toBe(makeMontage(data).wells.get("A01")?.[0]?.picture);
});

test("a thumbnail whose pixels do not fit its size is refused by name", async () => {
  const data = makeReport({ rows: 1, columns: 1, side: 8 });
  const error = await thrown(() => makeMontage({ ...data, thumbnails: [thumbnail(3, 3, [1, 2])] }));
  expect(error.code).toBe("ERR_INVALID_ARGUMENT");
  expect(error.message).toBe("thumbnails: A01 channel 1 says 3 x 3 but has 2 pixels");
});

test("channels get the colour of their dye, each another one", () => {
  expect(channelTints(["DAPI_02", "FITC_05", "Cy5"])).toEqual(["#4d7dff", "#38e07b", "#ff4fd8"]);
  expect(new Set(channelTints(["w1", "w2", "w3", "w4", "GFP", "GFP again"])).size).toBe(6);
});
