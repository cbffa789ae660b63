// SPDX-License-Identifier: MIT
// The plates that the benchmark runs over: generated once into the cache, or the real one, each with its illumination and its oracle.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { output } from "../harness/launch.mjs";
import { cacheFolder, python, root } from "../harness/machine.mjs";

const programs = fileURLToPath(new URL("python", import.meta.url));

/** A command line of one of the Python programs beside this file. */
export const script = (name, ...args) => [python(), join(programs, name), ...args];

const shape = { wells: 96, sites: 4, channels: 2, height: 1080, width: 1080, seed: 1 };

/** `pixels`: plates of one name hold the same pixels, whatever their files' codec, and share an oracle. */
const generated = {
  generated: { folder: "raw", compression: "none", pixels: "generated" },
  "generated-deflate": { folder: "deflate", compression: "deflate", pixels: "generated" },
};

export const plateNames = [...Object.keys(generated), "real"];

async function python3(say, what, [command, ...args]) {
  const began = performance.now();
  say(`${what} ...`);
  const { stdout } = await output(command, args);
  say(`${what}: ${((performance.now() - began) / 1000).toFixed(0)} s`);
  return stdout;
}

/** The folder of a generated plate. The smaller ones have the first wells of the whole one, pixel for pixel, so that a whole one serves too. */
async function generate(name, wells, say) {
  const { folder, compression } = generated[name];
  for (const count of new Set([shape.wells, wells])) {
    const path = join(cacheFolder(), count === shape.wells ? folder : `${folder}-${count}-wells`);
    // truth.json is written last: without it the plate is not whole.
    const truth = join(path, "truth.json");
    const whole = existsSync(truth);
    if (!whole && count !== wells) continue;
    const want = { ...shape, wells: count, compression };
    if (!whole) {
      // What an interrupted attempt left.
      rmSync(join(path, "plate"), { recursive: true, force: true });
      mkdirSync(path, { recursive: true });
      const args = Object.entries(want).flatMap(([key, value]) => [`--${key}`, String(value)]);
      await python3(say, `generating the plate ${path}`, script("make_plate.py", path, ...args));
    }
    const { parameters } = JSON.parse(readFileSync(truth, "utf8"));
    const other = Object.keys(want).filter((key) => parameters[key] !== want[key]);
    if (other.length > 0)
      throw new Error(
        `${path} holds a plate with another ${other.join(", ")}: remove it, or set TILECAST_BENCH_DIR`,
      );
    return path;
  }
}

async function realPlate(say) {
  const folder = process.env.TILECAST_BENCH_REAL_PLATE ?? join(root, "../shared/data/imagexpress-plate");
  if (!existsSync(folder))
    throw new Error(`no plate at ${folder}: set TILECAST_BENCH_REAL_PLATE to an ImageXpress plate's folder`);
  // Another folder is another plate, with an illumination and an oracle of its own.
  const pixels = `real-${createHash("sha256").update(resolve(folder)).digest("hex").slice(0, 8)}`;
  const illumination = join(cacheFolder(), `illumination-${pixels}`);
  const npy = join(illumination, "illum_w{c}.npy");
  if (!existsSync(join(illumination, "illum_w1.tif"))) {
    mkdirSync(illumination, { recursive: true });
    await python3(
      say,
      "making illumination images",
      script("oracle.py", folder, "--make-illum", npy, "--out", illumination),
    );
    const convert =
      "import sys, pathlib, numpy, tifffile\n" +
      "for p in sorted(pathlib.Path(sys.argv[1]).glob('*.npy'), reverse=True):\n" +
      "    tifffile.imwrite(p.with_suffix('.tif'), numpy.load(p), metadata=None)";
    await output(python(), ["-c", convert, illumination]);
  }
  return { folder, illumination, pixels };
}

/**
 * Makes a plate ready. `wells`: only the first so many.
 *
 * Gives the folder, the names of the wells, the files with their sizes, the illumination (one pattern for each side) and the background.
 */
export async function plate(name, wells, say) {
  let folder;
  let illumination;
  let pixels;
  let background;
  if (name === "real") {
    ({ folder, illumination, pixels } = await realPlate(say));
    background = 0;
  } else {
    const path = await generate(name, Math.min(wells ?? shape.wells, shape.wells), say);
    folder = join(path, "plate");
    illumination = join(path, "illum");
    pixels = generated[name].pixels;
    background = 100;
  }
  const subset = wells === undefined ? [] : ["--limit-wells", String(wells)];
  const [command, ...args] = script("facts.py", folder, ...subset);
  const facts = JSON.parse((await output(command, args)).stdout);
  return {
    name,
    folder,
    background,
    pixels,
    illuminationNpy: join(illumination, "illum_w{c}.npy"),
    illuminationTiff: join(illumination, "illum_w{channel}.tif"),
    subset,
    ...facts,
  };
}

/** The arguments that the Python programs share. */
export const pythonArguments = (p) => [
  p.folder,
  ...p.subset,
  "--illum",
  p.illuminationNpy,
  "--background",
  String(p.background),
];

/** The folder with the exact results for a plate, computed at the first need. */
export async function oracle(p, say) {
  const folder = join(cacheFolder(), "oracle", `${p.pixels}-${p.wells.length}-wells`);
  // manifest.json is written last.
  if (!existsSync(join(folder, "manifest.json"))) {
    mkdirSync(folder, { recursive: true });
    await python3(
      say,
      "computing the oracle",
      script("oracle.py", ...pythonArguments(p), "--arrays", "--out", folder),
    );
  }
  return folder;
}
