// SPDX-License-Identifier: MIT
// op.register through run(): drift and channel shifts against known ones, and the images that come of it.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isTilecastError } from "../../lib/errors.js";
import { op } from "../../lib/ops/index.js";
import type { Alignment } from "../../lib/orchestrator/alignment.js";
import { pipeline } from "../../lib/orchestrator/pipeline.js";
import { farthest, runOver, states } from "../helpers/alignments.js";
import { temporaryFolders } from "../helpers/folder.js";
import type { MosaicPlateOptions } from "../helpers/mosaic-plate.js";
import { pixels } from "../helpers/results.js";

const folder = temporaryFolders();
type Register = Parameters<typeof op.register>[0];

const one = { rows: 1, columns: 1, jitter: () => ({ y: 30, x: 30 }) } as const;
const whole = (t: number) => ({ y: 2 * (t - 1), x: -3 * (t - 1) });
const parts = (t: number) => ({ y: 1.3 * (t - 1), x: 0.7 * (t - 1) });

const registered = (plate: MosaicPlateOptions, p: Register = {}) =>
  runOver(folder(), { ...one, ...plate }, pipeline("r").step("register", op.register(p)));

/** Places are where the image's first pixel lies in the first one's: drift of the scene's window. */
function error(found: Alignment, drift: (t: number) => { y: number; x: number }): number {
  const first = drift(found.images[0]?.member ?? 1);
  return Math.max(
    ...found.images.map((i) =>
      Math.hypot(i.y - (drift(i.member).y - first.y), i.x - (drift(i.member).x - first.x)),
    ),
  );
}

describe("timepoints", () => {
  test.each(["first", "previous"] as const)(
    "are found where they drifted to, compared with the %s",
    async (to) => {
      const { found, report } = await registered({ timepoints: 5, drift: parts, noise: 40 }, { to });
      expect(report.outcome).toBe("complete");
      expect(found).toHaveLength(1);
      const [a] = found as [Alignment];
      expect(states(a)).toEqual({ used: 4 });
      expect(a).toMatchObject({ op: "register", over: "timepoint", well: "A01", site: 1, timepoint: null });
      expect(a.pairs.map((p) => [p.first, p.second])).toEqual(
        to === "first"
          ? [
              [1, 2],
              [1, 3],
              [1, 4],
              [1, 5],
            ]
          : [
              [1, 2],
              [2, 3],
              [3, 4],
              [4, 5],
            ],
      );
      // Compared with the previous one, errors of a tenth of a pixel add up.
      expect(error(a, parts)).toBeLessThan(to === "first" ? 0.15 : 0.4);
    },
  );

  test("lie on the first one afterwards, in every channel, to the pixel", async () => {
    const { out } = await registered(
      { timepoints: 3, channels: 2, drift: whole, noise: 0 },
      { interpolation: "nearest" },
    );
    const { data, shape } = await pixels(out, "A/1/0/0");
    expect(shape).toEqual([3, 2, 192, 216]);
    const plane = 192 * 216;
    const at = (t: number, c: number, y: number, x: number) => data[(t * 2 + c) * plane + y * 216 + x];
    for (let t = 1; t < 3; t++) {
      const { y: dy, x: dx } = whole(t + 1);
      for (let c = 0; c < 2; c++) {
        for (let y = 0; y < 192; y += 3) {
          for (let x = 0; x < 216; x += 5) {
            const inside = y - dy >= 0 && y - dy < 192 && x - dx >= 0 && x - dx < 216;
            expect(at(t, c, y, x), `t ${t}, channel ${c}, ${x}, ${y}`).toBe(inside ? at(0, c, y, x) : 0);
          }
        }
      }
    }
  });

  test("are interpolated where they drifted by fractions of a pixel", async () => {
    const { out } = await registered({ timepoints: 2, drift: parts, noise: 0 });
    const { data } = await pixels(out, "A/1/0/0");
    let sum = 0;
    let raw = 0;
    const plane = 192 * 216;
    for (let y = 8; y < 184; y++) {
      for (let x = 8; x < 208; x++) {
        const i = y * 216 + x;
        sum += Math.abs((data[i] ?? 0) - (data[plane + i] ?? 0));
        raw += data[i] ?? 0;
      }
    }
    // A tenth of a pixel of a blob's slope is what is left.
    expect(sum / raw).toBeLessThan(0.02);
  });

  test("stay where they are when nothing is to be seen", async () => {
    const { found, out } = await registered({ timepoints: 3, density: 0, noise: 30 });
    expect((found[0] as Alignment).images.map((i) => [i.y, i.x])).toEqual([
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
    expect(readFileSync(join(out, "positions.csv"), "utf8").split("\n")[2]).toMatch(
      /^demo,A01,1,2,,register,0,0,0,0,0,0,2$/,
    );
  });

  test("of every field are registered for themselves", async () => {
    const { found } = await runOver(
      folder(),
      { wells: ["A01", "B02"], rows: 1, columns: 2, timepoints: 2, drift: whole },
      pipeline("r").step("register", op.register()),
    );
    expect(found.map((a) => `${a.well}/${a.site}`)).toEqual(["A01/1", "A01/2", "B02/1", "B02/2"]);
    for (const a of found) expect(error(a, whole)).toBeLessThan(0.15);
  });
});

describe("channels", () => {
  test("are moved onto the one that is named", async () => {
    const shift = (_: number, c: number) => ({ y: 1.5 * (c - 1), x: -2.25 * (c - 1) });
    const { found, report } = await registered(
      { channels: 3, channelShift: (c) => shift(1, c) },
      { over: "channel", channel: 2 },
    );
    expect(report.outcome).toBe("complete");
    const [a] = found as [Alignment];
    expect(a).toMatchObject({ over: "channel", timepoint: 1 });
    expect(a.pairs.map((p) => [p.first, p.second])).toEqual([
      [2, 1],
      [2, 3],
    ]);
    const two = shift(1, 2);
    for (const i of a.images) {
      const own = shift(1, i.member);
      expect(Math.hypot(i.y - (own.y - two.y), i.x - (own.x - two.x))).toBeLessThan(0.15);
    }
  });

  test("cannot be compared with the previous one", () => {
    let thrown: unknown;
    try {
      op.register({ over: "channel", to: "previous" });
    } catch (e) {
      thrown = e;
    }
    expect(isTilecastError(thrown, "ERR_INVALID_ARGUMENT")).toBe(true);
    expect((thrown as Error).message).toBe(
      'op.register registers channels to one of them: "to" must be "first"',
    );
  });
});

test("fields that drifted are registered, then stitched", async () => {
  const p = pipeline("both")
    .step("register", op.register())
    .step("stitch", op.stitch({ overlap: 20 }));
  const { found, fields, out, report } = await runOver(
    folder(),
    { timepoints: 2, drift: whole, noise: 5 },
    p,
  );
  expect(report.outcome).toBe("complete");
  expect(found.map((a) => a.op).sort()).toEqual(["register", "register", "register", "register", "stitch"]);
  const stitch = found.find((a) => a.op === "stitch") as Alignment;
  expect(farthest(stitch, fields)).toBeLessThan(0.2);
  const { data, shape } = await pixels(out, "A/1/0/0");
  const [, , height = 0, width = 0] = shape;
  let different = 0;
  for (let y = 40; y < height - 40; y++)
    for (let x = 40; x < width - 40; x++)
      if (Math.abs((data[y * width + x] ?? 0) - (data[(height + y) * width + x] ?? 0)) > 40) different++;
  expect(different / (height * width)).toBeLessThan(0.01);
});
