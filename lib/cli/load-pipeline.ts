// SPDX-License-Identifier: MIT
// Loads a pipeline file: an ES module whose default export is a pipeline, or a function that is given `{ op, pipeline }` and returns one.

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { TilecastError } from "../errors.js";
import { op } from "../ops/op.js";
import { Pipeline, pipeline } from "../orchestrator/pipeline.js";

/** Throws ERR_PIPELINE naming the file. The module is code of the user's own and is executed. */
export async function loadPipeline(file: string): Promise<Pipeline> {
  const path = resolve(file);
  if (!existsSync(path))
    throw new TilecastError("ERR_PIPELINE", `pipeline file ${path} does not exist`, { path, argument: "-p" });
  let value: unknown;
  try {
    value = ((await import(pathToFileURL(path).href)) as { default?: unknown }).default;
    if (typeof value === "function") value = await value({ op, pipeline });
  } catch (cause) {
    if (cause instanceof TilecastError) throw cause;
    const error = cause as Error & { code?: string };
    const hint =
      error.code === "ERR_MODULE_NOT_FOUND" && /'tilecast'/.test(error.message)
        ? ". Either install it beside the file (npm install tilecast), or let the file export a function: export default ({ pipeline, op }) => pipeline(...)"
        : "";
    throw new TilecastError(
      "ERR_PIPELINE",
      `pipeline file ${path} cannot be loaded: ${error.message}${hint}`,
      { path, argument: "-p", cause },
    );
  }
  if (value instanceof Pipeline) return value;
  // Another copy of the package (a file that imports its own): the data is the same.
  const like = value as Partial<Pipeline> | undefined;
  if (like && typeof like.name === "string" && Array.isArray(like.steps) && typeof like.planes === "string") {
    return new Pipeline(like.name, like.steps, like.planes);
  }
  throw new TilecastError(
    "ERR_PIPELINE",
    `pipeline file ${path} must export a pipeline as its default: export default pipeline("name").step(...)`,
    { path, argument: "-p" },
  );
}
