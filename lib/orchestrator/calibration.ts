// SPDX-License-Identifier: MIT
// Measured rates of segments on this machine's engines, kept between runs in the user's cache folder.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { cpus, homedir } from "node:os";
import { dirname, join } from "node:path";
import { native } from "../native.js";
import type { NativeGpuAdapter } from "../native-engine.js";
import { version } from "../version.js";
import { replaceFile } from "./replace-file.js";

/** Tiles a second of one segment. */
export interface SegmentRates {
  readonly cpu: number;
  /** 0: the GPU failed at it. */
  readonly gpu: number;
  /** Why it failed; empty else. */
  readonly why: string;
}

interface Stored extends SegmentRates {
  /** ms since 1970. */
  readonly measured: number;
}

/** Of one machine: beyond this the oldest are forgotten. */
const mostSegments = 500;

/** `$XDG_CACHE_HOME/tilecast/engines.json`, `~/.cache/...` without it. */
export function calibrationFile(): string {
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
  return join(cache, "tilecast", "engines.json");
}

const digest = (text: string) => createHash("sha256").update(text).digest("hex").slice(0, 24);

const isStored = (value: unknown): value is Stored => {
  const v = value as Stored | null;
  return (
    typeof v === "object" &&
    [v?.cpu, v?.gpu, v?.measured].every((n) => typeof n === "number" && n >= 0 && Number.isFinite(n)) &&
    typeof v?.why === "string"
  );
};

/**
 * The rates of one combination of adapter, driver, processor, number of threads and version of tilecast: anything else is measured anew. A
 * file that is damaged, or of another form, is as good as none.
 */
export class Calibration {
  readonly #machine: string;
  readonly #rates: Map<string, Stored>;

  constructor(
    adapter: NativeGpuAdapter,
    cores: number,
    readonly file: string = calibrationFile(),
  ) {
    this.#machine = [
      version,
      native().kernels,
      cpus()[0]?.model ?? "",
      `${cores} threads`,
      adapter.name,
      adapter.driver,
      adapter.backend,
      adapter.planes,
    ].join(" | ");
    this.#rates = new Map(Object.entries(this.#read()[this.#machine] ?? {}));
  }

  get(key: string): SegmentRates | undefined {
    return this.#rates.get(digest(key));
  }

  /** Adds rates and writes the file; gives the reason where that cannot be, and they hold for this run alone. */
  add(rates: Iterable<readonly [key: string, rates: SegmentRates]>): string | null {
    for (const [key, { cpu, gpu, why }] of rates)
      this.#rates.set(digest(key), { cpu, gpu, why, measured: Date.now() });
    const mine = [...this.#rates].sort(([, a], [, b]) => b.measured - a.measured).slice(0, mostSegments);
    try {
      mkdirSync(dirname(this.file), { recursive: true });
      // Read again: another run may have written meanwhile. What is lost to a race is measured anew.
      const all = { ...this.#read(), [this.#machine]: Object.fromEntries(mine) };
      replaceFile(this.file, [JSON.stringify({ version: 1, machines: all }, null, 1)]);
      return null;
    } catch (error) {
      return (error as Error).message;
    }
  }

  #read(): Record<string, Record<string, Stored>> {
    try {
      const { version: form, machines } = JSON.parse(readFileSync(this.file, "utf8"));
      if (form !== 1 || typeof machines !== "object" || machines === null) return {};
      return Object.fromEntries(
        Object.entries(machines as Record<string, object>).map(([machine, rates]) => [
          machine,
          Object.fromEntries(Object.entries(rates ?? {}).filter(([, rate]) => isStored(rate))),
        ]),
      );
    } catch {
      return {};
    }
  }
}
