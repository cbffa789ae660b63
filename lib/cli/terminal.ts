// SPDX-License-Identifier: MIT
// Colour, where it is wanted, and the one-line progress bar.

import type { Progress } from "../orchestrator/progress.js";

/** NO_COLOR (any value) and FORCE_COLOR as no-color.org says; else by the stream. */
export function wantsColor(stream: { isTTY?: boolean }): boolean {
  if (process.env.NO_COLOR) return false;
  if (process.env.FORCE_COLOR && process.env.FORCE_COLOR !== "0") return true;
  return stream.isTTY === true && process.env.TERM !== "dumb";
}

export function paint(color: boolean) {
  const sgr = (open: number, close: number) => (text: string) =>
    color ? `\u001b[${open}m${text}\u001b[${close}m` : text;
  return {
    bold: sgr(1, 22),
    dim: sgr(2, 22),
    red: sgr(31, 39),
    green: sgr(32, 39),
    yellow: sgr(33, 39),
    cyan: sgr(36, 39),
  };
}

/** "0.8 s", "42 s", "3 min 20 s", "2 h 05 min". */
export function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const s = Math.round(seconds);
  if (s < 120) return `${s} s`;
  if (s < 7200) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, "0")} s`;
  return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")} min`;
}

function speed(p: Progress): string {
  return `${Math.round(p.planesPerSecond)} planes/s  ${Math.round(p.megabytesPerSecond)} MB/s`;
}

/** A bar on a terminal; elsewhere a line now and then, so that a log stays readable. */
export class ProgressBar {
  readonly #stream: NodeJS.WriteStream;
  readonly #terminal: boolean;
  #last = 0;
  #drawn = false;

  constructor(stream: NodeJS.WriteStream = process.stderr) {
    this.#stream = stream;
    this.#terminal = stream.isTTY === true && process.env.TERM !== "dumb";
  }

  update(p: Progress): void {
    const now = performance.now();
    if (now - this.#last < (this.#terminal ? 80 : 10_000)) return;
    this.#last = now;
    if (p.phase === "estimate") {
      if (this.#terminal) this.#draw("estimating illumination");
      return;
    }
    const done = p.planesDone + p.planesFailed;
    const left = p.secondsLeft === null ? "" : `  ${duration(p.secondsLeft)} left`;
    const failed = p.planesFailed > 0 ? `  ${p.planesFailed} failed` : "";
    if (!this.#terminal) {
      this.#stream.write(
        `${done}/${p.planesTotal} planes  ${p.wellsDone}/${p.wellsTotal} wells  ${speed(p)}${left}${failed}\n`,
      );
      return;
    }
    const tail = ` ${done}/${p.planesTotal} planes  ${p.wellsDone}/${p.wellsTotal} wells  ${speed(p)}${left}${failed}`;
    const width = Math.max(10, Math.min(40, (this.#stream.columns ?? 80) - tail.length - 8));
    const full = (p.planesTotal === 0 ? 1 : done / p.planesTotal) * width;
    const eighths = " \u258f\u258e\u258d\u258c\u258b\u258a\u2589";
    const bar =
      "\u2588".repeat(Math.floor(full)) + (full >= width ? "" : (eighths[Math.floor((full % 1) * 8)] ?? ""));
    this.#draw(
      `${bar.padEnd(width, " ")} ${String(Math.floor((100 * done) / Math.max(1, p.planesTotal))).padStart(3)}%${tail}`,
    );
  }

  #draw(line: string): void {
    const width = (this.#stream.columns ?? 80) - 1;
    this.#stream.write(`\r${line.slice(0, width)}\u001b[K`);
    this.#drawn = true;
  }

  /** Clears the bar before anything else is printed. */
  clear(): void {
    if (this.#drawn) this.#stream.write("\r\u001b[K");
    this.#drawn = false;
  }
}
