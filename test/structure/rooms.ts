// SPDX-License-Identifier: MIT
// The rooms of the code and which may use which (docs/design.md), as data, and the checker that finds imports against them.

const below = {
  image: ["native"],
  stores: ["image", "native"],
  // Knows nothing of images: processes, sockets, messages. That is why it can be used alone.
  runtime: [],
  // Knows nothing of pipelines.
  streaming: ["runtime", "stores", "image", "native"],
  plates: ["runtime", "stores", "image", "native"],
  ops: ["runtime", "stores", "image", "native"],
} as const;
const middle = ["streaming", "plates", "ops", "runtime", "stores", "image", "native"] as const;
const upper = ["manager", "orchestrator", "omero", ...middle] as const;

/** Usable by every room of lib/. */
const forAll: readonly string[] = ["errors", "version"];

/**
 * For each room of lib/ (a folder, or a file at its root) the rooms it may import from, besides itself and those for all. Direction: cli, web
 * -> manager, orchestrator, omero -> streaming, plates, ops -> runtime, stores -> image -> native.
 */
export const typescriptRooms: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  // The addon's declarations speak of dtypes; a type costs nothing at run time.
  native: ["image/dtype"],
  ...below,
  manager: middle,
  // Knows how to run a pipeline and borrows the report's parts; the generated plate is handed in by the command line.
  bench: ["orchestrator", ...middle],
  orchestrator: middle,
  omero: middle,
  web: upper,
  // `tilecast serve` and `view` start the web server; a user's pipeline file gets the whole package, as `import "tilecast"` would.
  cli: ["web", "bench", ...upper, "index"],
  version: [],
  index: ["web", ...upper],
};

/** The same for native/src/, where a header of another room may be named alone: `core` is the files at its root (error.h, image.h), which every room may use. */
export const nativeRooms: Readonly<Record<string, readonly string[]>> = {
  core: [],
  shm: [],
  codec: [],
  tiff: ["codec"],
  ops: [],
  // Labels are written from their runs.
  zarr: ["codec", "ops"],
  // Its rows are of the executor's table of ops, and its recipes of instructions: what they are, not what runs them.
  gpu: ["shm", "ops", "exec/op_registry.h", "exec/program.h"],
  // Engines are tried on the picture that everything is measured on.
  exec: ["shm", "codec", "tiff", "ops", "zarr", "gpu", "bench/scene.h"],
  bench: ["shm", "codec", "tiff", "ops", "zarr"],
  // The only room that knows Node; nothing includes it.
  bind: ["bench", "shm", "codec", "tiff", "ops", "zarr", "gpu", "exec"],
};

/** Path relative to the repository, with forward slashes, and the text. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

const withoutComments = (text: string) =>
  text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "$1");

function resolve(from: string, specifier: string): string {
  const parts = from.split("/").slice(0, -1);
  for (const part of specifier.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}

/** "lib/plates/plate.ts" -> "plates"; "lib/native.ts" and "lib/native-gpu.ts" -> "native". */
const roomOf = (path: string) =>
  (path.split("/")[1] ?? "").replace(/\.[jt]s$/, "").replace(/^native-.*/, "native");

/** Imports in lib/ that go against {@link typescriptRooms}, one sentence each; empty when all is well. */
export function typescriptViolations(files: readonly SourceFile[]): string[] {
  const found: string[] = [];
  for (const { path, text } of files) {
    const room = roomOf(path);
    const allowed = typescriptRooms[room];
    if (allowed === undefined) {
      found.push(`${path}: lib/${room} is not in the table of rooms`);
      continue;
    }
    for (const match of withoutComments(text).matchAll(
      /\b(?:from|import|require(?:\.resolve)?)\s*\(?\s*["'`]([^"'`]+)["'`]/g,
    )) {
      const specifier = match[1] as string;
      if (specifier === "node-gyp-build" || specifier.endsWith(".node")) {
        if (room !== "native") found.push(`${path}: loads the addon; only lib/native.ts may`);
      } else if (specifier.startsWith(".")) {
        const target = resolve(path, specifier);
        if (!target.startsWith("lib/")) {
          if (!target.endsWith("package.json")) found.push(`${path}: imports ${target} from outside lib/`);
          continue;
        }
        const other = roomOf(target);
        const file = target.slice("lib/".length).replace(/\.[jt]s$/, "");
        if (
          other !== room &&
          !forAll.includes(other) &&
          !allowed.includes(other) &&
          !allowed.includes(file)
        ) {
          found.push(`${path}: lib/${room} may not import lib/${file}`);
        }
      }
    }
  }
  return found;
}

/** Includes in native/src/ that go against {@link nativeRooms} or bring Node into plain C++. */
export function nativeViolations(files: readonly SourceFile[]): string[] {
  const found: string[] = [];
  const folder = (file: string) => (file.includes("/") ? (file.split("/")[0] as string) : "core");
  for (const { path, text } of files) {
    const file = path.slice("native/src/".length);
    const room = folder(file);
    const allowed = nativeRooms[room];
    if (allowed === undefined) {
      found.push(`${path}: native/src/${room} is not in the table of rooms`);
      continue;
    }
    for (const match of withoutComments(text).matchAll(/^\s*#\s*include\s+([<"])([^>"]+)[>"]/gm)) {
      const [, bracket, name] = match as unknown as [string, string, string];
      if (/^(napi|node_api|js_native_api|node|v8|uv)\.h$/.test(name)) {
        if (file !== "napi_setup.h") found.push(`${path}: includes ${name}; only napi_setup.h may`);
      } else if (bracket === '"') {
        if (name === "napi_setup.h") {
          if (room !== "bind") found.push(`${path}: includes napi_setup.h; only native/src/bind may`);
          continue;
        }
        // Includes are written from native/src/; one beside the file has no folder in its name.
        const beside = !name.includes("/") && files.some((f) => f.path === resolve(path, name));
        const other = beside ? room : folder(name);
        if (other !== room && other !== "core" && !allowed.includes(other) && !allowed.includes(name)) {
          found.push(`${path}: native/src/${room} may not include ${name}`);
        }
      }
    }
  }
  return found;
}

/** What is wrong with the head of a source file: an SPDX line, then a comment that says in a sentence what the file is for. */
export function headerViolation({ path, text }: SourceFile): string | undefined {
  const lines = text.replace(/^#!.*\n/, "").split("\n");
  if (!/^(\/\/|#|<!--|\/\*) SPDX-License-Identifier: MIT\b/.test(lines[0] ?? "")) {
    return `${path}: does not begin with its SPDX line`;
  }
  const head: string[] = [];
  for (const line of lines.slice(1)) {
    const comment = /^(?:\/\/|#|\/?\*+|<!--|"""|r""")\s?(.*)$/.exec(line);
    if (!comment) break;
    head.push(comment[1] as string);
  }
  return /^\S.{10,}?[.:!](\s|"""|-->|$)/s.test(head.join("\n"))
    ? undefined
    : `${path}: its second line does not say in a sentence what the file is for`;
}
