// SPDX-License-Identifier: MIT
// The code keeps to its rooms, every file says what it is for, and what is declared twice by necessity agrees.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { errorCodes } from "../../lib/errors.js";
import { native } from "../../lib/native.js";
import { headerViolation, nativeViolations, type SourceFile, typescriptViolations } from "./rooms.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

function sources(folder: string, extensions: RegExp): SourceFile[] {
  let names: string[];
  try {
    names = readdirSync(join(root, folder), { recursive: true, encoding: "utf8" });
  } catch {
    return [];
  }
  return names
    .map((name) => `${folder}/${name.replaceAll("\\", "/")}`)
    .filter(
      (path) =>
        extensions.test(path) && !/(^|\/)(node_modules|dist|build|__pycache__|third_party)\//.test(path),
    )
    .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
}

describe("imports point downwards", () => {
  test("in lib/", () => {
    const files = sources("lib", /\.tsx?$/);
    expect(files.length).toBeGreaterThan(5);
    expect(typescriptViolations(files)).toEqual([]);
  });

  test("in native/src/", () => {
    const files = sources("native/src", /\.(cc|h|inc)$/);
    expect(files.length).toBeGreaterThan(5);
    expect(nativeViolations(files)).toEqual([]);
  });
});

describe("the checker", () => {
  const lib = (path: string, text: string) => typescriptViolations([{ path: `lib/${path}`, text }]);
  const src = (path: string, text: string) => nativeViolations([{ path: `native/src/${path}`, text }]);

  test("lets what points downwards pass", () => {
    expect(lib("cli/run.ts", 'import { run } from "../orchestrator/run.js";')).toEqual([]);
    expect(
      lib("runtime/client.ts", 'import { TilecastError } from "../errors.js";\nimport "node:net";'),
    ).toEqual([]);
    expect(lib("native.ts", 'import type { DType } from "./image/dtype.js";')).toEqual([]);
    expect(lib("plates/well.ts", '// see "../cli/run.js"\nimport { a } from "./a.js";')).toEqual([]);
    expect(src("tiff/a.cc", '#include "codec/lzw.h"\n#include "image.h"\n#include <vector>\n')).toEqual([]);
    expect(src("bind/a.cc", '#include "napi_setup.h"\n#include "exec/executor.h"\n')).toEqual([]);
  });

  test.each([
    [
      "image/tile.ts",
      'import { x } from "../stores/memory.js";',
      "lib/image may not import lib/stores/memory",
    ],
    [
      "runtime/a.ts",
      'import type { Tile } from "../image/tile.js";',
      "lib/runtime may not import lib/image/tile",
    ],
    [
      "streaming/a.ts",
      'export * from "../orchestrator/run.js";',
      "lib/streaming may not import lib/orchestrator/run",
    ],
    ["native.ts", 'import { a } from "./image/tile.js";', "lib/native may not import lib/image/tile"],
    ["errors.ts", 'import { native } from "./native.js";', "lib/errors may not import lib/native"],
    ["orchestrator/a.ts", 'await import("../cli/main.js");', "lib/orchestrator may not import lib/cli/main"],
    ["plates/a.ts", 'import {\n  b,\n} from "../index.js";', "lib/plates may not import lib/index"],
    ["image/a.ts", 'require("node-gyp-build")(root);', "loads the addon; only lib/native.ts may"],
    ["attic/a.ts", "", "lib/attic is not in the table of rooms"],
    ["cli/a.ts", 'import { a } from "../../test/a.js";', "imports test/a.js from outside lib/"],
  ])("finds what does not: lib/%s", (path, text, message) => {
    expect(lib(path, text)).toEqual([`lib/${path}: ${message}`]);
  });

  test.each([
    ["shm/pool.cc", '#include "tiff/reader.h"', "native/src/shm may not include tiff/reader.h"],
    ["codec/lzw.h", '#include "exec/a.h"', "native/src/codec may not include exec/a.h"],
    ["ops/label.cc", '#include "shm/tile_pool.h"', "native/src/ops may not include shm/tile_pool.h"],
    ["exec/a.cc", '#include "bind/bind.h"', "native/src/exec may not include bind/bind.h"],
    ["image.h", '  #  include "ops/label.h"', "native/src/core may not include ops/label.h"],
    ["exec/a.cc", '#include "napi_setup.h"', "includes napi_setup.h; only native/src/bind may"],
    ["bind/a.cc", "#include <napi.h>", "includes napi.h; only napi_setup.h may"],
    ["attic/a.cc", "", "native/src/attic is not in the table of rooms"],
  ])("finds what does not: native/src/%s", (path, text, message) => {
    expect(src(path, text)).toEqual([`native/src/${path}: ${message}`]);
  });

  test("finds files that do not say what they are for", () => {
    const head = (text: string) => headerViolation({ path: "a", text });
    expect(head("// SPDX-License-Identifier: MIT\n// Reads a plane.\n")).toBeUndefined();
    expect(
      head("#!/bin/sh\n# SPDX-License-Identifier: MIT\n# Reads planes of\n# several files.\n"),
    ).toBeUndefined();
    expect(head('# SPDX-License-Identifier: MIT\n"""Reads a plane."""\n')).toBeUndefined();
    expect(head("// Reads a plane.\n")).toBe("a: does not begin with its SPDX line");
    expect(head("// SPDX-License-Identifier: MIT\nimport x;\n")).toBe(
      "a: its second line does not say in a sentence what the file is for",
    );
  });
});

test("every source file opens with its licence and its purpose", () => {
  const files = [
    ...["lib", "test", "scripts", "bench", "web", "examples"].flatMap((f) =>
      sources(f, /\.(tsx?|mjs|js|py)$/),
    ),
    ...sources("native", /(\.(cc|h|inc)|CMakeLists\.txt)$/),
    ...["scripts/setup", ".ci/run"].map((path) => ({ path, text: readFileSync(join(root, path), "utf8") })),
  ];
  expect(files.map(headerViolation).filter(Boolean)).toEqual([]);
});

describe("lib/native.ts", () => {
  const text = ["native", "native-engine", "native-gpu"]
    .map((name) => readFileSync(join(root, `lib/${name}.ts`), "utf8"))
    .join("\n");
  /** Names of the members that an interface of lib/native.ts, or of the files that it takes parts from, declares. */
  function members(name: string): string[] {
    const found = new RegExp(
      `^export interface ${name}(?: extends ([\\w, ]+))? \\{\\n([\\s\\S]*?)\\n\\}`,
      "m",
    ).exec(text);
    if (found === null) throw new Error(`lib/native.ts declares no interface ${name}`);
    const [, bases, body = ""] = found;
    const own = [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??[:(<]/gm)].map((match) => match[1] as string);
    return [...(bases?.split(", ").flatMap(members) ?? []), ...own];
  }

  test("declares exactly what the addon exports", () => {
    expect(Object.keys(native()).sort()).toEqual(members("NativeBinding").sort());
  });

  test("declares exactly the members of a pool", () => {
    const pool = native().TilePool.create(4096, 1);
    try {
      const own = new Set<string>(Object.getOwnPropertyNames(Object.getPrototypeOf(pool)));
      for (const key of Object.keys(pool)) own.add(key);
      own.delete("constructor");
      expect([...own].sort()).toEqual(members("NativeTilePool").sort());
    } finally {
      pool.close();
    }
  });

  test("error codes of the core are the first ones of lib/errors.ts, in order", () => {
    const codes = native().errorCodes;
    expect(Object.keys(errorCodes).slice(0, codes.length)).toEqual([...codes]);
  });
});
