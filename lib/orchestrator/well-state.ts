// SPDX-License-Identifier: MIT
// What is kept of each well between runs, in DIR/.tilecast/wells: enough for --resume, the table and the report.

import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { PlaneRef } from "../plates/plate.js";
import { replaceFile } from "./replace-file.js";
import type { FailureReport, Outcome, Thumbnail } from "./report/report-data.js";

/** Sums over the objects of one channel of a well: what the heat map's means come from. */
export interface ChannelTotals {
  readonly channel: number;
  objects: number;
  /** Sum of each measured column over the objects. */
  sums: number[];
  low: number | null;
  high: number | null;
}

export interface WellState {
  readonly version: 1;
  readonly well: string;
  /** Digest of everything that the well's results depend on. */
  readonly key: string;
  readonly status: Outcome;
  readonly planes: number;
  readonly failedPlanes: number;
  readonly fields: number;
  readonly totals: readonly ChannelTotals[];
  readonly failures: readonly FailureReport[];
  readonly thumbnails: readonly {
    site: number;
    channel: number;
    width: number;
    height: number;
    outline: boolean;
  }[];
}

/** Digest of what a well's results depend on: of the pipeline and options (`common`), a hyphen, of its files' names, sizes and times. */
export function wellKey(common: string, planes: readonly PlaneRef[], root: string): string {
  const hash = createHash("sha256");
  for (const p of planes) {
    hash.update(
      `\0${p.path.startsWith(root) ? p.path.slice(root.length) : p.path}\0${p.page}\0${p.sample}\0${p.bytes}\0${p.mtimeMs}`,
    );
  }
  return `${createHash("sha256").update(common).digest("hex").slice(0, 32)}-${hash.digest("hex").slice(0, 32)}`;
}

/** What follows the JSON line in a state file. */
interface Lengths {
  readonly rowBytes: number;
  readonly planeRowBytes: number;
  readonly thumbnailBytes: number;
}

/**
 * The folder of well states: one file a well, replaced by rename, so that a kill never leaves half of one. A file is one line of JSON,
 * then the well's rows of objects, of planes, then its thumbnails (float32 pixels, and a byte a pixel of outline where there is one).
 */
export class WellStates {
  readonly dir: string;

  constructor(out: string) {
    this.dir = join(out, ".tilecast", "wells");
    mkdirSync(this.dir, { recursive: true });
  }

  /** Wells that have a state, in no order. */
  list(): string[] {
    return readdirSync(this.dir)
      .filter((f) => f.endsWith(".state"))
      .map((f) => f.slice(0, -".state".length));
  }

  /** The state, or null when there is none or it cannot be read: the well is then simply redone. */
  load(well: string): WellState | null {
    try {
      const { state } = this.#open(well);
      return state.version === 1 && state.well === well ? state : null;
    } catch {
      return null;
    }
  }

  /** Forgets a well before it is redone, so that a kill half-way never shows the old state for new pixels. */
  forget(well: string): void {
    rmSync(this.#file(well), { force: true });
  }

  save(state: WellState, rows: string, planeRows: string, thumbnails: readonly Thumbnail[]): void {
    const bytes = (a: Float32Array | Uint8Array) => Buffer.from(a.buffer, a.byteOffset, a.byteLength);
    const table = Buffer.from(rows);
    const planes = Buffer.from(planeRows);
    const pictures = Buffer.concat(
      thumbnails.flatMap((t) => [bytes(t.pixels), ...(t.outline === null ? [] : [bytes(t.outline)])]),
    );
    const lengths: Lengths = {
      rowBytes: table.length,
      planeRowBytes: planes.length,
      thumbnailBytes: pictures.length,
    };
    const head = Buffer.from(`${JSON.stringify({ ...state, ...lengths })}\n`);
    replaceFile(this.#file(state.well), [head, table, planes, pictures]);
  }

  /** The well's rows of the table. */
  rows(well: string): Buffer {
    const { state, body } = this.#open(well);
    return body.subarray(0, state.rowBytes);
  }

  /** The well's rows of planes.csv. */
  planeRows(well: string): Buffer {
    const { state, body } = this.#open(well);
    return body.subarray(state.rowBytes, state.rowBytes + state.planeRowBytes);
  }

  thumbnails(well: string): Thumbnail[] {
    const { state, body } = this.#open(well);
    let at = state.rowBytes + state.planeRowBytes;
    const take = (length: number) => {
      const part = Uint8Array.prototype.slice.call(body, at, at + length);
      at += length;
      return part;
    };
    return state.thumbnails.map((t) => {
      const n = t.width * t.height;
      const pixels = new Float32Array(take(4 * n).buffer);
      return {
        well: state.well,
        site: t.site,
        channel: t.channel,
        width: t.width,
        height: t.height,
        pixels,
        outline: t.outline ? take(n) : null,
      };
    });
  }

  #file(well: string): string {
    return join(this.dir, `${well}.state`);
  }

  #open(well: string): { state: WellState & Lengths; body: Buffer } {
    const data = readFileSync(this.#file(well));
    const end = data.indexOf(10);
    const state = JSON.parse(data.toString("utf8", 0, end)) as WellState & Lengths;
    const body = data.subarray(end + 1);
    if (body.length !== state.rowBytes + state.planeRowBytes + state.thumbnailBytes)
      throw new Error("the state is not whole");
    return { state, body };
  }
}
