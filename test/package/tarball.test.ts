// SPDX-License-Identifier: MIT
// The real tarball: what is in it, what its binary needs of a system, and that it works once installed, without any install script.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  version: string;
  exports: Record<string, unknown>;
};
const entries = Object.keys(manifest.exports)
  .filter((key) => key !== "./package.json")
  .map((key) => key.replace(/^\./, "tilecast"));

let folder = "";
let app = "";
let tarball = "";
/** Paths inside the tarball, without its leading "package/". */
let files: string[] = [];

// npm hands its own settings down to what it runs; the user's shell has none of them.
const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^npm_/i.test(key)));
const run = (cwd: string, command: string, ...args: string[]) =>
  execFileSync(command, args, {
    cwd,
    env,
    encoding: "utf8",
    maxBuffer: 2 ** 26,
    stdio: ["ignore", "pipe", "pipe"],
  });
const installed = (...path: string[]) => join(app, "node_modules/tilecast", ...path);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tilecast-package-"));
  app = join(folder, "app");
  mkdirSync(app);
  run(root, "npm", "pack", "--pack-destination", folder);
  tarball = join(folder, readdirSync(folder).find((name) => name.endsWith(".tgz")) as string);
  files = run(folder, "tar", "-tzf", tarball)
    .split("\n")
    .filter(Boolean)
    .map((path) => path.replace(/^package\//, ""));
  writeFileSync(join(app, "package.json"), JSON.stringify({ name: "app", private: true }));
  run(app, "npm", "install", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", tarball);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("holds the compiled code, the page, the prebuilt addon, the viewers, the native sources and the documents, and nothing else", () => {
  const expected = [
    /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|THIRD-PARTY\.md)$/,
    /^dist\/.*\.(js|d\.ts)$/,
    /^prebuilds\/[a-z0-9]+-[a-z0-9]+\/tilecast(\.[a-z0-9]+)?\.node$/,
    /^native\/(CMakeLists\.txt|package\.json|src\/.*\.(cc|h|inc|in|wgsl))$/,
    /^native\/third_party\/pocketfft\/(pocketfft_hdronly\.h|LICENSE\.md)$/,
    /^examples\/.*\.(mjs|js|ts|md|json)$/,
    /^docs\/[^/]+\.md$/,
    /^dist\/page\/(index\.html|licenses\.md|assets\/[^/]+\.(js|css|wasm|svg|woff2))$/,
    /^viewers\/napari\/(README\.md|pyproject\.toml|tilecast_napari\/([a-z_]+\.py|napari\.yaml))$/,
    /^viewers\/fiji\/(README\.md|bin\/tilecast-fiji|target\/tilecast-fiji\.jar|target\/lib\/ij\.jar)$/,
  ];
  expect(files.filter((path) => !expected.some((pattern) => pattern.test(path)))).toEqual([]);
  expect(files).toEqual(
    expect.arrayContaining([
      "LICENSE",
      "THIRD-PARTY.md",
      "native/third_party/pocketfft/LICENSE.md",
      "README.md",
      "CHANGELOG.md",
      "dist/index.js",
      "dist/index.d.ts",
      "dist/cli/main.js",
      "dist/page/index.html",
      "viewers/napari/tilecast_napari/__main__.py",
      "viewers/napari/tilecast_napari/napari.yaml",
      "viewers/fiji/target/tilecast-fiji.jar",
      "viewers/fiji/target/lib/ij.jar",
    ]),
  );
  expect(files.filter((path) => path.endsWith(".node"))).toHaveLength(1);
});

test("names no folder of the machine that built it", () => {
  const naming = files.filter((path) => readFileSync(installed(path), "latin1").includes(root));
  expect(naming).toEqual([]);
});

test("publint finds nothing", async () => {
  const bytes = readFileSync(tarball);
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
  const { messages, pkg } = await publint({ pack: { tarball: buffer }, strict: true });
  expect(messages.map((message) => formatMessage(message, pkg as Record<string, unknown>))).toEqual([]);
});

test("the addon needs no library but those of every glibc system", () => {
  const needed = [...run(app, "objdump", "-p", addon()).matchAll(/^\s+NEEDED\s+(\S+)$/gm)].map((m) => m[1]);
  const everywhere = /^(lib(c|m|dl|rt|pthread|stdc\+\+|gcc_s)\.so\.\d+|ld-linux[-a-z0-9_]*\.so\.\d+)$/;
  expect(needed.filter((name) => !everywhere.test(name as string))).toEqual([]);
});

// RHEL 8 and its rebuilds are the oldest systems that clusters still run: glibc 2.28 and the libstdc++ of gcc 8.
test.each([
  ["GLIBC", "2.28"],
  ["GLIBCXX", "3.4.25"],
  ["CXXABI", "1.3.11"],
])("the addon asks for %s up to %s", (family, floor) => {
  const number = (version: string) => version.split(".").reduce((sum, part) => sum * 1000 + Number(part), 0);
  const wide = (version: string) => number([...version.split("."), "0", "0"].slice(0, 3).join("."));
  const symbols = [...run(app, "objdump", "-T", addon()).matchAll(/\((\w+?)_([\d.]+)\)\s+(\S+)$/gm)];
  expect(symbols.length).toBeGreaterThan(10);
  const above = symbols.filter(
    ([, name, version]) => name === family && wide(version as string) > wide(floor),
  );
  expect(above.map(([, name, version, symbol]) => `${symbol} (${name}_${version})`)).toEqual([]);
});

test.each(entries)("%s can be imported and required", (entry) => {
  const print = "console.log(Object.keys(m).filter((key) => key !== 'module.exports').sort().join())";
  const imported = run(app, "node", "--input-type=module", "-e", `import * as m from "${entry}"; ${print}`);
  const required = run(app, "node", "--no-warnings", "-e", `const m = require("${entry}"); ${print}`);
  expect(imported.trim()).not.toBe("");
  expect(required).toBe(imported);
});

test("its types compile in a strict project", () => {
  const lines = entries.map(
    (entry, i) => `import * as m${i} from "${entry}";\nexport const k${i} = Object.keys(m${i});`,
  );
  writeFileSync(join(app, "consumer.mts"), lines.join("\n"));
  const compilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: false,
    target: "es2022",
    lib: ["es2023", "esnext.disposable"],
    module: "nodenext",
    types: ["node"],
    typeRoots: [join(root, "node_modules/@types")],
  };
  writeFileSync(join(app, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["consumer.mts"] }));
  let output = "";
  try {
    run(app, join(root, "node_modules/.bin/tsc"), "-p", app);
  } catch (error) {
    output = (error as { stdout: string }).stdout;
  }
  expect(output).toBe("");
});

test("the command says its version, and doctor finds the prebuilt addon", () => {
  expect(run(app, "npx", "--no-install", "tilecast", "--version").trim()).toContain(manifest.version);
  const report = JSON.parse(run(app, "npx", "--no-install", "tilecast", "doctor", "--json")) as {
    usable: boolean;
    machine: { addon: { value: { file: string } } };
  };
  expect(report.usable).toBe(true);
  expect(report.machine.addon.value.file).toMatch(/^prebuilds\//);
});

test("npm ci, with install scripts allowed, builds nothing and leaves the same package", () => {
  rmSync(join(app, "node_modules"), { recursive: true });
  run(app, "npm", "ci", "--prefer-offline", "--no-audit", "--no-fund");
  expect(readdirSync(installed())).not.toContain("build");
  expect(run(app, "npx", "--no-install", "tilecast", "--version").trim()).toContain(manifest.version);
});

function addon(): string {
  return installed(files.find((path) => path.endsWith(".node")) as string);
}
