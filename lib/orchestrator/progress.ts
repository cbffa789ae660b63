// SPDX-License-Identifier: MIT
// What a run says of itself while it goes on, and the samples of its speed.

/** A moment of a run. Counts are of planes read; a resumed run starts above zero. */
export interface Progress {
  readonly phase: "estimate" | "run" | "finish";
  readonly planesDone: number;
  readonly planesFailed: number;
  readonly planesTotal: number;
  readonly wellsDone: number;
  readonly wellsTotal: number;
  readonly megapixels: number;
  readonly megabytesRead: number;
  readonly seconds: number;
  /** Over the last few seconds. */
  readonly planesPerSecond: number;
  readonly megabytesPerSecond: number;
  /** Seconds left at the average speed so far, or null while unknown. */
  readonly secondsLeft: number | null;
}

export interface Sample {
  readonly seconds: number;
  readonly planesPerSecond: number;
  readonly megabytesPerSecond: number;
}

/** Collects at most a few hundred samples whatever the run's length: when full, every second one is merged into its neighbour. */
export class Throughput {
  readonly #points: { t: number; planes: number; bytes: number }[] = [{ t: 0, planes: 0, bytes: 0 }];
  #interval = 0.05;
  static readonly limit = 400;

  add(t: number, planes: number, bytes: number, last = false): void {
    const previous = this.#points.at(-1) as { t: number };
    if (!last && t - previous.t < this.#interval) return;
    if (t <= previous.t) return;
    this.#points.push({ t, planes, bytes });
    if (this.#points.length > Throughput.limit) {
      for (let i = this.#points.length - 2; i > 0; i -= 2) this.#points.splice(i, 1);
      this.#interval *= 2;
    }
  }

  samples(): Sample[] {
    return this.#points.slice(1).map((p, i) => {
      const q = this.#points[i] as { t: number; planes: number; bytes: number };
      const dt = p.t - q.t;
      return {
        seconds: p.t,
        planesPerSecond: (p.planes - q.planes) / dt,
        megabytesPerSecond: (p.bytes - q.bytes) / 1e6 / dt,
      };
    });
  }

  /** Speed over about the last `window` seconds. */
  recent(window = 3): { planesPerSecond: number; megabytesPerSecond: number } {
    const end = this.#points.at(-1) as { t: number; planes: number; bytes: number };
    const start = this.#points.findLast((p) => end.t - p.t >= window) ?? (this.#points[0] as typeof end);
    const dt = end.t - start.t;
    return dt <= 0
      ? { planesPerSecond: 0, megabytesPerSecond: 0 }
      : {
          planesPerSecond: (end.planes - start.planes) / dt,
          megabytesPerSecond: (end.bytes - start.bytes) / 1e6 / dt,
        };
  }
}
