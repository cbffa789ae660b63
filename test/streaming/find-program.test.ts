// SPDX-License-Identifier: MIT
// The programs that viewers need are found where users have them, and what is missing is said with every place that was tried.

import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { isTilecastError } from "../../lib/errors.js";
import {
  findImageJ,
  findJava,
  findPython,
  requireDisplay,
} from "../../lib/streaming/viewers/find-program.js";
import { napari } from "../../lib/streaming/viewers/napari.js";
import { temporaryFolders } from "../helpers/folder.js";
import { needsPeer, python, viewersPython } from "../helpers/shared.js";

const folder = temporaryFolders();
const names = [
  "TILECAST_VIEWERS_PYTHON",
  "VIRTUAL_ENV",
  "CONDA_PREFIX",
  "TILECAST_JAVA",
  "JAVA_HOME",
  "TILECAST_FIJI",
];

beforeEach(() => {
  for (const name of names) vi.stubEnv(name, "");
  vi.stubEnv("HOME", folder());
});
afterEach(() => {
  vi.unstubAllEnvs();
});

/** An executable of this text. */
function script(path: string, text: string): string {
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

const oldJava = "echo 'openjdk version \"1.8.0_292\"' >&2";

describe("a Python for napari", () => {
  const viewers = viewersPython();
  const plain = python();
  needsPeer(viewers && plain, "a Python with napari and one without");

  test("is the one with everything, even where the shell's first one has nothing", async () => {
    vi.stubEnv("TILECAST_VIEWERS_PYTHON", viewers);
    const found = await findPython(["napari", "pyzmq", "Qt"]);
    expect(found).toMatchObject({ ok: true, value: { python: viewers, versions: { Qt: "PyQt6" } } });
  });

  test("without napari is named with what it lacks", async () => {
    const found = await findPython(["numpy", "napari", "Qt"], plain);
    expect(found).toEqual({
      ok: false,
      tried: [{ what: plain, why: expect.stringMatching(/^Python 3[.\d]+ without napari, Qt$/) }],
    });
  });
});

describe("what is not there", () => {
  test("Python: the file, or the PATH", async () => {
    const absent = join(folder(), "python");
    expect(await findPython(["napari"], absent)).toEqual({
      ok: false,
      tried: [{ what: absent, why: "not there" }],
    });
    vi.stubEnv("PATH", folder());
    expect(await findPython(["napari"])).toEqual({
      ok: false,
      tried: [{ what: "python3", why: "not on the PATH" }],
    });
  });

  test("Java: too old, and not there", async () => {
    const dir = folder();
    const old = script(join(dir, "old-java"), oldJava);
    expect(await findJava(17, old)).toEqual({
      ok: false,
      tried: [{ what: old, why: "version 1.8.0_292, and 17 or newer is needed" }],
    });
    expect(await findJava(8, old)).toMatchObject({ ok: true, value: { version: "1.8.0_292" } });
    expect(await findJava(17, join(dir, "java"))).toMatchObject({ tried: [{ why: "not there" }] });
  });

  test("Fiji: a folder without ImageJ; one with it is used, with its own Java", async () => {
    const dir = folder();
    expect(await findImageJ({ fiji: dir })).toMatchObject({
      ok: false,
      tried: expect.arrayContaining([{ what: dir, why: "no ij.jar in it or in its jars folder" }]),
    });
    const bin = join(dir, "java", "linux64", "jdk", "bin");
    mkdirSync(bin, { recursive: true });
    mkdirSync(join(dir, "jars"));
    writeFileSync(join(dir, "jars", "ij-1.54p.jar"), "");
    const java = script(join(bin, "java"), "echo 'openjdk version \"21.0.7\"' >&2");
    const found = await findImageJ({ fiji: dir });
    const problems = found.ok ? [] : found.tried.map((t) => t.what);
    expect(problems.filter((p) => p.startsWith(dir))).toEqual([]);
    if (found.ok) {
      expect(found.value).toMatchObject({ fiji: dir, java, version: "21.0.7" });
      expect(found.value.classPath).toContain(join(dir, "jars", "*"));
    }
  });

  test("a display: said before a viewer is started", () => {
    vi.stubEnv("DISPLAY", undefined);
    vi.stubEnv("WAYLAND_DISPLAY", undefined);
    vi.stubEnv("QT_QPA_PLATFORM", undefined);
    expect(() => requireDisplay("napari")).toThrow(/no display here.*xvfb-run/s);
    vi.stubEnv("DISPLAY", ":0");
    expect(() => requireDisplay("napari")).not.toThrow();
  });

  test("a viewer that cannot be had is ERR_VIEWER, with what was tried and what to do", async () => {
    const absent = join(folder(), "python");
    const error = await napari({ port: 5990, python: absent })
      .start()
      .catch((e: unknown) => e);
    expect(isTilecastError(error, "ERR_VIEWER")).toBe(true);
    expect((error as Error).message).toBe(
      [
        "napari cannot be started: no Python with napari, pyzmq and Qt.",
        "Tried:",
        `  - ${absent}: not there`,
        "To have it:",
        '  - python3 -m venv ~/napari && ~/napari/bin/pip install "napari[pyqt6]" pyzmq',
        "  - then: export TILECAST_VIEWERS_PYTHON=~/napari/bin/python",
      ].join("\n"),
    );
  });
});
