// SPDX-License-Identifier: MIT
// Finds the programs that viewers need on this machine, Python with napari, Java with ImageJ, and says what was tried when there is none.

import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { TilecastError } from "../../errors.js";

/** The folder of the package, with `viewers/` in it. */
export const packageRoot = fileURLToPath(new URL("../../..", import.meta.url));

/** One place that was looked at, and why it would not do. */
export interface Tried {
  readonly what: string;
  readonly why: string;
}

export interface PythonFound {
  readonly python: string;
  /** Versions of the distributions that were asked for. */
  readonly versions: Readonly<Record<string, string>>;
}

export interface JavaFound {
  readonly java: string;
  readonly version: string;
}

export interface ImageJFound extends JavaFound {
  /** Folder of Fiji, or null where ImageJ's own jar is used. */
  readonly fiji: string | null;
  readonly classPath: readonly string[];
}

/** What was looked for: there, or where it was not. */
export type Search<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly tried: readonly Tried[] };

/** ERR_VIEWER with every place that was tried, and what to do. */
export function viewerMissing(
  what: string,
  tried: readonly Tried[],
  advice: readonly string[],
): TilecastError {
  return new TilecastError(
    "ERR_VIEWER",
    [
      what,
      ...(tried.length ? ["Tried:", ...tried.map((t) => `  - ${t.what}: ${t.why}`)] : []),
      ...(advice.length ? ["To have it:", ...advice.map((a) => `  - ${a}`)] : []),
    ].join("\n"),
  );
}

/** Windows need a display; said before anything is started, since Qt ends the process without one. */
export function requireDisplay(what: string): void {
  const { DISPLAY, WAYLAND_DISPLAY, QT_QPA_PLATFORM } = process.env;
  if (process.platform !== "linux" || DISPLAY || WAYLAND_DISPLAY || QT_QPA_PLATFORM) return;
  throw viewerMissing(
    `${what} cannot be shown: there is no display here (DISPLAY is not set).`,
    [],
    ["over ssh: ssh -X, or run the viewer where the screen is", "without any screen: xvfb-run tilecast ..."],
  );
}

const run = promisify(execFile);

function onPath(name: string): string | undefined {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    if (folder === "") continue;
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

/** A missing distribution is absent from the answer; nothing is imported, so that asking takes no time. */
const versionsProgram = `
import importlib.metadata as m, importlib.util as u, json, sys
found = {"python": ".".join(map(str, sys.version_info[:3]))}
for name in sys.argv[1:]:
    try: found[name] = m.version(name)
    except m.PackageNotFoundError: pass
qt = next((q for q in ("PyQt6", "PySide6", "PyQt5", "PySide2") if u.find_spec(q)), None)
if qt: found["Qt"] = qt
print(json.dumps(found))`;

/** Pythons in the order in which users mean them. */
function pythons(given: string | undefined): string[] {
  if (given !== undefined) return [given];
  const { TILECAST_VIEWERS_PYTHON, VIRTUAL_ENV, CONDA_PREFIX } = process.env;
  if (TILECAST_VIEWERS_PYTHON) return [TILECAST_VIEWERS_PYTHON];
  const candidates: string[] = [];
  for (const prefix of [VIRTUAL_ENV, CONDA_PREFIX]) {
    if (prefix) candidates.push(join(prefix, "bin", "python"));
  }
  // The environment whose napari is on the PATH, without being activated (pipx, uv tool).
  const napari = onPath("napari");
  if (napari !== undefined) candidates.push(join(dirname(realpathSync(napari)), "python"));
  for (const name of ["python3", "python"]) {
    const file = onPath(name);
    if (file !== undefined) candidates.push(file);
  }
  return [...new Set(candidates)];
}

/**
 * A Python in which the distributions of `needed` are installed, and a Qt binding (`Qt`) where that is asked for. Looks at `given`, else at
 * TILECAST_VIEWERS_PYTHON, else at the active environment, that of the `napari` on the PATH, and `python3`.
 */
export async function findPython(
  needed: readonly string[],
  given?: string,
  wanted: readonly string[] = [],
): Promise<Search<PythonFound>> {
  const tried: Tried[] = [];
  const candidates = pythons(given);
  if (candidates.length === 0) tried.push({ what: "python3", why: "not on the PATH" });
  for (const python of candidates) {
    let versions: Record<string, string>;
    try {
      const asked = [...needed, ...wanted].filter((name) => name !== "Qt");
      const { stdout } = await run(python, ["-c", versionsProgram, ...asked], { timeout: 20_000 });
      versions = JSON.parse(stdout) as Record<string, string>;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const why = code === "ENOENT" ? "not there" : (error as Error).message.split("\n")[0];
      tried.push({ what: python, why: why as string });
      continue;
    }
    const missing = needed.filter((name) => versions[name] === undefined);
    if (missing.length === 0) return { ok: true, value: { python, versions } };
    const has = `Python ${versions.python}`;
    tried.push({ what: python, why: `${has} without ${missing.join(", ")}` });
  }
  return { ok: false, tried };
}

/** Java of at least `atLeast`: `given`, TILECAST_JAVA, Fiji's own, JAVA_HOME, the PATH. */
export async function findJava(
  atLeast: number,
  given?: string,
  fiji?: string | null,
): Promise<Search<JavaFound>> {
  const { TILECAST_JAVA, JAVA_HOME } = process.env;
  const candidates: string[] = [];
  if (given !== undefined) candidates.push(given);
  else if (TILECAST_JAVA) candidates.push(TILECAST_JAVA);
  else {
    if (fiji) candidates.push(...javasOfFiji(fiji));
    if (JAVA_HOME) candidates.push(join(JAVA_HOME, "bin", "java"));
    const file = onPath("java");
    if (file !== undefined) candidates.push(file);
  }
  const tried: Tried[] = candidates.length ? [] : [{ what: "java", why: "not on the PATH" }];
  for (const java of new Set(candidates)) {
    try {
      // Java says its version on stderr.
      const { stderr } = await run(java, ["-version"], { timeout: 20_000 });
      const version = /version "([^"]+)"/.exec(stderr)?.[1] ?? "";
      const [first, second] = version.split(/[._-]/).map(Number);
      const major = first === 1 ? second : first;
      if (major !== undefined && major >= atLeast) return { ok: true, value: { java, version } };
      tried.push({ what: java, why: `version ${version || "unknown"}, and ${atLeast} or newer is needed` });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      tried.push({
        what: java,
        why: code === "ENOENT" ? "not there" : ((error as Error).message.split("\n")[0] as string),
      });
    }
  }
  return { ok: false, tried };
}

/** Fiji ships a Java below `java/<platform>/<name>/`. */
function javasOfFiji(fiji: string): string[] {
  const root = join(fiji, "java");
  if (!existsSync(root)) return [];
  const files = readdirSync(root, { recursive: true, encoding: "utf8" });
  return files.filter((f) => /(^|\/)bin\/java$/.test(f)).map((f) => join(root, f));
}

/** Folder of a Fiji installation: `given`, TILECAST_FIJI, or that of the launcher on the PATH; null where there is none. */
function fijiFolder(given: string | undefined): string | null {
  if (given !== undefined) return given;
  if (process.env.TILECAST_FIJI) return process.env.TILECAST_FIJI;
  for (const name of ["fiji", "fiji-linux-x64", "ImageJ-linux64"]) {
    const launcher = onPath(name);
    if (launcher !== undefined) return dirname(realpathSync(launcher));
  }
  return null;
}

/** Java and ImageJ: Fiji's where there is a Fiji, else the jar that the package ships. */
export async function findImageJ(
  options: { readonly java?: string; readonly fiji?: string } = {},
): Promise<Search<ImageJFound>> {
  const plugin = join(packageRoot, "viewers", "fiji", "target", "tilecast-fiji.jar");
  const ownImageJ = join(packageRoot, "viewers", "fiji", "target", "lib", "ij.jar");
  const fiji = fijiFolder(options.fiji);
  const tried: Tried[] = [];
  let imageJ: readonly string[] | undefined;
  if (fiji !== null) {
    const jars = join(fiji, "jars");
    const all = existsSync(jars)
      ? readdirSync(jars, { encoding: "utf8" }).filter((f) => f.endsWith(".jar"))
      : [];
    if (all.some((f) => /^ij-\d.*\.jar$|^ij\.jar$/.test(f)))
      imageJ = [join(jars, "*"), join(fiji, "plugins", "*")];
    else if (existsSync(join(fiji, "ij.jar"))) imageJ = [join(fiji, "ij.jar")];
    else tried.push({ what: fiji, why: "no ij.jar in it or in its jars folder" });
  }
  if (imageJ === undefined && tried.length === 0) {
    if (existsSync(ownImageJ)) imageJ = [ownImageJ];
    else tried.push({ what: ownImageJ, why: "not there; in a clone: bash scripts/setup builds it" });
  }
  if (!existsSync(plugin))
    tried.push({ what: plugin, why: "not there; in a clone: bash scripts/setup builds it" });
  const java = await findJava(17, options.java, fiji);
  if (!java.ok) tried.push(...java.tried);
  if (imageJ === undefined || !java.ok || tried.length > 0) return { ok: false, tried };
  return { ok: true, value: { ...java.value, fiji, classPath: [plugin, ...imageJ] } };
}
