// SPDX-License-Identifier: MIT
// Frames of the real peers, as test vectors (captures.json).

import { readFileSync } from "node:fs";

export interface Capture {
  /** Which run: `c_execution_ipc`, `d_zmqruntime_065`, ... */
  readonly from: string;
  readonly scenario: string | null;
  readonly dir: "send" | "recv";
  readonly socket: string;
  readonly encoding: "pickle" | "json";
  /** A pickle's bytes. */
  readonly hex?: string;
  /** A JSON message. */
  readonly text?: string;
}

const file = JSON.parse(readFileSync(new URL("captures.json", import.meta.url), "utf8")) as {
  startup: string[];
  frames: Capture[];
};

export const startupLines = file.startup;
export const captures = file.frames;
export const pickles = file.frames
  .filter((f) => f.encoding === "pickle")
  .map((f) => ({ ...f, bytes: Buffer.from(f.hex as string, "hex") }));
export const jsons = file.frames
  .filter((f) => f.encoding === "json")
  .map((f) => ({ ...f, text: f.text as string }));
