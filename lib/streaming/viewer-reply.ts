// SPDX-License-Identifier: MIT
// Reads a viewer's reply to a batch, whatever it turns out to be.

import { parseJson } from "../runtime/json.js";

export interface ViewerReply {
  readonly accepted: boolean;
  /** Names that belong to the viewer now. */
  readonly kept: ReadonlySet<string>;
  /** Items of an accepted batch that could not be taken, by their place in it. */
  readonly refused: ReadonlyMap<number, string>;
  /** The viewer's words, where it gave any. */
  readonly message: string;
}

/** `undefined` for what is no reply: the sender then knows nothing of what became of its pixels. */
export function readReply(frame: Uint8Array): ViewerReply | undefined {
  let value: unknown;
  try {
    value = parseJson(frame);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const { status, kept, refused, message } = value as { [key: string]: unknown };
  if (status !== "success" && status !== "error") return undefined;
  const places = new Map<number, string>();
  for (const each of Array.isArray(refused) ? refused : []) {
    const { index, message: why } = (each ?? {}) as { index?: unknown; message?: unknown };
    if (Number.isInteger(index)) places.set(index as number, String(why ?? "no reason given"));
  }
  return {
    accepted: status === "success",
    kept: new Set((Array.isArray(kept) ? kept : []).filter((name) => typeof name === "string")),
    refused: places,
    message: typeof message === "string" ? message : "",
  };
}
