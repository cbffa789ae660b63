// SPDX-License-Identifier: MIT
// The journal in which a starting server tells its launcher how far it is: one JSON object a line, appended by one, followed by the other.

import { appendFileSync, closeSync, fstatSync, mkdirSync, openSync, readSync } from "node:fs";
import { dirname } from "node:path";
import { parseJson, stringifyJson } from "./json.js";
import { type MessageOf, readMessage, writeMessage } from "./messages.js";

export const startupPhases = [
  "disconnected",
  "checking_endpoint",
  "starting_process",
  "loading_config",
  "importing_runtime",
  "creating_server",
  "binding_endpoint",
  "preparing_capabilities",
  "server_ready",
  "connected",
  "failed",
] as const;
export type StartupPhase = (typeof startupPhases)[number];
/** A phase of another release is passed on as it came. */
export type StartupStatus = MessageOf<"startup_status">;

/** Written by the server. */
export class StartupJournal {
  #sequence = 0;
  constructor(readonly path: string) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  }

  /** Appends one line; synchronous, so that it is there even if the next thing is a crash. */
  emit(phase: StartupPhase, message: string): StartupStatus {
    const status = { phase, message, sequence: ++this.#sequence, timestamp: Date.now() / 1000 };
    const line = stringifyJson(writeMessage("startup_status", status), { compact: true });
    appendFileSync(this.path, `${line}\n`, { mode: 0o600 });
    return status;
  }
}

/** A journal is short; a longer one is not read on. */
const maxBytes = 16 * 2 ** 20;

/** Read by the launcher. A line that is still being written waits for its end; one that is damaged is skipped. */
export class StartupReader {
  #offset = 0;
  #rest = "";
  constructor(readonly path: string) {}

  /** What has been appended since the last call. */
  read(): StartupStatus[] {
    let file: number;
    try {
      file = openSync(this.path, "r");
    } catch {
      return [];
    }
    try {
      const size = Math.min(fstatSync(file).size, maxBytes);
      const bytes = Buffer.alloc(Math.max(0, size - this.#offset));
      const got = readSync(file, bytes, 0, bytes.length, this.#offset);
      this.#offset += got;
      // Latin-1 keeps bytes apart: a character may be cut in two by the end of what is there.
      const lines = (this.#rest + bytes.toString("latin1", 0, got)).split("\n");
      this.#rest = lines.pop() ?? "";
      return lines.flatMap((line) => {
        try {
          return line.trim() === ""
            ? []
            : [readMessage("startup_status", parseJson(Buffer.from(line, "latin1")))];
        } catch {
          return [];
        }
      });
    } finally {
      closeSync(file);
    }
  }
}
