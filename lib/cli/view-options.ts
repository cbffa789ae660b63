// SPDX-License-Identifier: MIT
// `--view NAME[:KEY=VALUE,...]`: which viewers a run opens, and how each is set up.

import { TilecastError } from "../errors.js";
import { fijiModes, napariModes } from "../streaming/display.js";
import { type StreamPayload, streamComponents } from "../streaming/payload.js";
import { fiji } from "../streaming/viewers/fiji.js";
import { napari } from "../streaming/viewers/napari.js";
import type { Viewer } from "../streaming/viewers/viewer.js";
import { byteSize } from "./byte-size.js";

export interface ViewRequest {
  readonly viewers: readonly Viewer[];
  /** The page; its port, 0 for a free one. */
  readonly web: { readonly port: number } | null;
}

const kinds: readonly StreamPayload["kind"][] = ["image", "labels", "shapes", "points", "tracks", "table"];

const refuse = (name: string, expected: string, got: string) =>
  new TilecastError("ERR_USAGE", `--view: ${name} must be ${expected}, and is "${got}"`, {
    argument: "view",
  });

function number(key: string, text: string, max: number, factor = 1): number {
  const n = Number(text) * factor;
  if (text === "" || !Number.isSafeInteger(n) || n < 1 || n > max)
    throw refuse(key, `a number from ${1 / factor} to ${max / factor}`, text);
  return n;
}

function bytes(key: string, text: string): number {
  const size = byteSize(text);
  if (size === undefined) throw refuse(key, "a size such as 500M or 2G", text);
  return Math.round(size);
}

function oneOf<T extends string>(key: string, text: string, allowed: readonly T[]): T {
  if (!allowed.includes(text as T)) throw refuse(key, `one of ${allowed.join(", ")}`, text);
  return text as T;
}

/** What an option's text means, by its name; those that a viewer does not have are refused by {@link parseViewer}. */
const readers: Readonly<Record<string, (key: string, text: string) => object>> = {
  port: (key, text) => ({ port: number(key, text, 64535) }),
  transport: (key, text) => ({ transport: oneOf(key, text, ["ipc", "tcp"]) }),
  flavour: (key, text) => ({ flavour: oneOf(key, text, ["tilecast", "openhcs"]) }),
  memory: (key, text) => ({ memoryBudget: bytes(key, text) }),
  slots: (key, text) => ({ slots: number(key, text, 32768) }),
  show: (key, text) => ({ show: text.split("+").map((kind) => oneOf(key, kind, kinds)) }),
  steps: (_key, text) => ({ steps: text.split("+") }),
  policy: (key, text) => ({ policy: oneOf(key, text, ["latest", "wait"]) }),
  wait: (key, text) => ({ waitMs: number(key, text, 3_600_000, 1000) }),
  colormap: (_key, text) => ({ colormap: text }),
  python: (_key, text) => ({ python: text }),
  lut: (_key, text) => ({ lut: text }),
  contrast: (key, text) => ({ autoContrast: oneOf(key, text, ["on", "off"]) === "on" }),
  java: (_key, text) => ({ java: text }),
  fiji: (_key, text) => ({ fiji: text }),
};

const common = ["port", "transport", "flavour", "memory", "slots", "show", "steps", "policy", "wait"];
const known = {
  napari: { options: [...common, "colormap", "python"], modes: napariModes, make: napari },
  fiji: { options: [...common, "lut", "contrast", "java", "fiji"], modes: fijiModes, make: fiji },
} as const;

function parseViewer(name: keyof typeof known, pairs: readonly (readonly [string, string])[]): Viewer {
  const { options, modes, make } = known[name];
  const given: Record<string, unknown> = {};
  const chosen: Record<string, string> = {};
  for (const [key, text] of pairs) {
    if ((streamComponents as readonly string[]).includes(key)) chosen[key] = oneOf(key, text, modes);
    else if (options.includes(key)) Object.assign(given, readers[key]?.(key, text));
    else {
      const all = [...options, ...streamComponents].join(", ");
      throw new TilecastError("ERR_USAGE", `--view ${name} has no option "${key}"; it has ${all}`, {
        argument: "view",
      });
    }
  }
  return make({ ...given, ...(Object.keys(chosen).length ? { modes: chosen } : {}) });
}

/** Reads every `--view`. Throws ERR_USAGE that names the option, what was expected and what came. */
export function parseViews(texts: readonly string[]): ViewRequest {
  const viewers: Viewer[] = [];
  let web: ViewRequest["web"] = null;
  for (const text of texts) {
    const at = text.indexOf(":");
    const name = at < 0 ? text : text.slice(0, at);
    const pairs = (at < 0 ? "" : text.slice(at + 1))
      .split(",")
      .filter((pair) => pair !== "")
      .map((pair): [string, string] => {
        const eq = pair.indexOf("=");
        if (eq < 1) throw refuse("an option", "KEY=VALUE", pair);
        return [pair.slice(0, eq), pair.slice(eq + 1)];
      });
    if (name === "web") {
      web = { port: 0 };
      for (const [key, value] of pairs) {
        if (key !== "port")
          throw new TilecastError("ERR_USAGE", `--view web has no option "${key}"; it has port`, {
            argument: "view",
          });
        web = { port: number(key, value, 65535) };
      }
    } else if (name === "napari" || name === "fiji") viewers.push(parseViewer(name, pairs));
    else throw refuse("VIEWER", "napari, fiji or web", name);
  }
  return { viewers, web };
}
