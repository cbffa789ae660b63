// SPDX-License-Identifier: MIT
// A slide of 6000 x 6000 px in less memory than one of its label images takes, judged by scikit-image.

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { temporaryFolders } from "../helpers/folder.js";
import { needsPeer, python } from "../helpers/shared.js";

const folder = temporaryFolders();
const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

function start(program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
  expect([status, stderr]).toEqual([0, ""]);
  return stdout;
}

describe("a slide", () => {
  needsPeer(python(), "Python");

  // Generous: both programs count 36 million pixels, on machines that do other things too.
  test("is segmented and measured in blocks, within the memory that the run may use", {
    timeout: 300_000,
  }, () => {
    const image = join(folder(), "slide.tif");
    const out = join(folder(), "out");
    const memory = 100e6;
    start(python() as string, here("large_image.py"), "make", "6000", image);
    const report = JSON.parse(
      start(process.execPath, here("large-image-child.mjs"), image, out, String(memory)),
    );
    expect(report.outcome).toBe("complete");
    // Beside tiles and objects: codecs' and the JavaScript engine's own, which do not grow with the image.
    expect(report.grown).toBeLessThan(memory + 80e6);
    const verdict = JSON.parse(start(python() as string, here("large_image.py"), "judge", image, out));
    expect(verdict).toEqual({
      objects: report.objects,
      image: true,
      labels: true,
      level: true,
      area: true,
      intensity: true,
    });
    expect(report.objects).toBeGreaterThan(5000);
  });
});
