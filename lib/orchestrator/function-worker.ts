// SPDX-License-Identifier: MIT
// The worker thread's side of op.javascript: maps the pool, imports the module, calls the function on views.

import { isAbsolute } from "node:path";
import { pathToFileURL } from "node:url";
import { parentPort, workerData } from "node:worker_threads";
import { slotView } from "../image/dtype.js";
import { native } from "../native.js";
import type { FunctionMessage, FunctionReply } from "./function-host.js";

type UserFunction = (tile: object, out: unknown) => unknown;

const port = parentPort;
const pool = native().TilePool.attach((workerData as { pool: string }).pool);
const loaded = new Map<string, Promise<UserFunction>>();

async function load(module: string, name: string): Promise<UserFunction> {
  const url = isAbsolute(module) ? pathToFileURL(module).href : module;
  const exports = (await import(url)) as Record<string, unknown>;
  const fn = exports[name];
  if (typeof fn !== "function") {
    throw new Error(
      `${module} has no function "${name}"; its exports: ${Object.keys(exports).join(", ") || "none"}`,
    );
  }
  return fn as UserFunction;
}

async function handle({
  call,
  module,
  export: name,
  params,
  components,
}: FunctionMessage): Promise<FunctionReply> {
  try {
    const key = `${module}\0${name}`;
    let fn = loaded.get(key);
    if (fn === undefined) {
      fn = load(module, name);
      loaded.set(key, fn);
    }
    const shape = [call.height, call.width] as const;
    const pixels = call.height * call.width;
    const data = slotView(pool, call.slotIn, call.dtype, pixels);
    const out = slotView(pool, call.slotOut, call.outDtype, pixels);
    const given = await (await fn)({ data, shape, dtype: call.dtype, components, params: params ?? {} }, out);
    if (given !== undefined) {
      const array = given as { length?: number };
      if (!ArrayBuffer.isView(given) || array.length !== pixels) {
        throw new Error(
          `expected ${pixels} pixels written to \`out\`, or returned as a typed array, and got ${typeof given} of length ${array.length ?? "none"}`,
        );
      }
      if (given !== out) out.set(given as never);
    }
    return { id: call.id };
  } catch (error) {
    return {
      id: call.id,
      error: `function "${name}" of ${module} failed: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
}

port?.on("message", async (message: FunctionMessage) => port.postMessage(await handle(message)));
