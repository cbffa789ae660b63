// SPDX-License-Identifier: MIT
// What is kept of each well between runs, in DIR/.tilecast/wells: enough for --resume, the table and the report.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PlaneRef } from "../plates/plate.js";
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

/** The folder of well states. Every file is replaced by rename, so that a kill never leaves half of one; the JSON goes last. */
export class WellStates {
  readonly dir: string;

  constructor(out: string) {
    this.dir = join(out, ".tilecast", "wells");
    mkdirSync(this.dir, { recursive: true });
  }

  load(well: string): WellState | null {
    try {
      const state = JSON.parse(readFileSync(join(this.dir, `${well}.json`), "utf8")) as WellState;
      return state.version === 1 && state.well === well ? state : null;
    } catch {
      return null; // absent or unreadable: the well is simply redone
    }
  }

  /** Forgets a well before it is redone, so that a kill half-way never shows the old state for new pixels. */
  forget(well: string): void {
    rmSync(join(this.dir, `${well}.json`), { force: true });
  }

  save(state: WellState, rows: string, thumbnails: readonly Thumbnail[]): void {
    this.#replace(`${state.well}.csv`, rows);
    this.#replace(
      `${state.well}.thumbs`,
      Buffer.concat(
        thumbnails.flatMap((t) => [
          Buffer.from(t.pixels.buffer, t.pixels.byteOffset, t.pixels.byteLength),
          ...(t.outline === null
            ? []
            : [Buffer.from(t.outline.buffer, t.outline.byteOffset, t.outline.byteLength)]),
        ]),
      ),
    );
    this.#replace(`${state.well}.json`, JSON.stringify(state));
  }

  rows(well: string): Buffer {
    return readFileSync(join(this.dir, `${well}.csv`));
  }

  thumbnails(state: WellState): Thumbnail[] {
    const data = readFileSync(join(this.dir, `${state.well}.thumbs`));
    const buffer = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
    let at = 0;
    return state.thumbnails.map((t) => {
      const n = t.width * t.height;
      const pixels = new Float32Array(buffer.slice(at, at + 4 * n));
      at += 4 * n;
      let outline: Uint8Array | null = null;
      if (t.outline) {
        outline = new Uint8Array(buffer, at, n);
        at += n;
      }
      return {
        well: state.well,
        site: t.site,
        channel: t.channel,
        width: t.width,
        height: t.height,
        pixels,
        outline,
      };
    });
  }

  #replace(name: string, content: string | Buffer): void {
    const file = join(this.dir, name);
    writeFileSync(`${file}.part`, content);
    renameSync(`${file}.part`, file);
  }
}
