// SPDX-License-Identifier: MIT
// Between the executor and the sinks of a run: who gets what, one lease each, and the account of it.

import { TilecastError } from "../errors.js";
import type { NativeJobResult, NativeTilePool, NativeViewStats } from "../native.js";
import type { Plate } from "../plates/plate.js";
import type { PlanePayload, StreamPayload } from "../streaming/payload.js";
import type { RunSink } from "../streaming/sink.js";
import type { ViewWishes } from "./compile-view.js";
import type { Ledger } from "./ledger.js";
import type { Pipeline } from "./pipeline.js";
import type { Job, Plan } from "./plan.js";
import type { SinkLimits } from "./run-options.js";
import { announcement, derivedOf, describeRun, wantsView } from "./sink-payloads.js";

/** What became of one sink. */
export interface SinkReport {
  readonly name: string;
  /** Payloads that it was given. */
  readonly payloads: number;
  /** Planes among them with their pixels, and those known by their store alone. */
  readonly tiles: number;
  readonly byStore: number;
  /** Images of steps that are not written, for which there was no tile: they are nowhere. */
  readonly dropped: number;
  /** Why it gets nothing more; null when all is well. */
  readonly detached: string | null;
  /** Whether everything was sent in time. */
  readonly drained: boolean;
  readonly stats: Readonly<Record<string, unknown>> | null;
}

export interface SinksReport {
  readonly sinks: readonly SinkReport[];
  /** Tiles that sinks might hold at once, and what came of that; `held` at the end of the run. */
  readonly tiles: NativeViewStats & { readonly slots: number };
  /** How long the end of the run waited for sinks. */
  readonly drainSeconds: number;
}

interface Member {
  readonly sink: RunSink;
  /** Of the batch under way. */
  batch: StreamPayload[];
  payloads: number;
  tiles: number;
  byStore: number;
  dropped: number;
  detached: string | null;
  drained: boolean;
}

const defaults = { waitMs: 0, drainMs: 2000 };
/** For what is known by its store alone, a few hundred bytes a plane; one that was cancelled is to end within a second. */
const closeMs = { done: 10_000, cancelled: 300 };
/** Memory of the tiles that sinks may hold unless told otherwise: filling it delays the start by about a tenth of a second. */
const tileBytes = 128 * 2 ** 20;

export class SinkHub {
  readonly #members: Member[];
  readonly #limits: SinkLimits;
  #storeRoot = "";
  #plan: Plan | null = null;
  #plate: Plate | null = null;
  #slots = 0;
  #views: NativeViewStats = { given: 0, refused: 0, waitedMs: 0, held: 0 };
  #drainSeconds = 0;
  #over = false;
  #opened = false;
  /** Fields whose metadata is written, and the planes that wait for it. */
  readonly #open = new Set<string>();
  readonly #waiting = new Map<string, { readonly to: Member; readonly plane: PlanePayload }[]>();

  private constructor(sinks: readonly RunSink[], limits: SinkLimits) {
    this.#members = sinks.map((sink) => ({
      sink,
      batch: [],
      payloads: 0,
      tiles: 0,
      byStore: 0,
      dropped: 0,
      detached: null,
      drained: false,
    }));
    this.#limits = limits;
  }

  /** Null without sinks. Throws ERR_PIPELINE for a step that the pipeline does not have. */
  static of(
    sinks: readonly RunSink[] | undefined,
    pipeline: Pipeline,
    limits: SinkLimits = {},
  ): SinkHub | null {
    if (sinks === undefined || sinks.length === 0) return null;
    for (const { name, wants } of sinks) {
      for (const step of wants?.steps ?? []) {
        if (pipeline.steps.some((s) => s.name === step)) continue;
        throw new TilecastError(
          "ERR_PIPELINE",
          `${name} is to show step "${step}", which pipeline "${pipeline.name}" does not have; it has ${pipeline.steps.map((s) => s.name).join(", ")}`,
          { argument: "steps" },
        );
      }
    }
    return new SinkHub(sinks, limits);
  }

  /** For the compiler: what any of the sinks wants. */
  get wishes(): ViewWishes {
    const wants = this.#members.map((m) => m.sink.wants ?? {});
    return {
      images: wants.some((w) => w.images ?? true),
      labels: wants.some((w) => w.labels ?? true),
      shapes: wants.some((w) => w.shapes ?? false),
      points: wants.some((w) => w.points ?? false),
      tables: wants.some((w) => w.tables ?? false),
      steps: new Set(wants.flatMap((w) => w.steps ?? [])),
    };
  }

  /**
   * Slots that the pool gets for sinks beside those of the threads: as asked, else so many that each thread's job can give all it has and
   * that 128 MiB allow; never more than `bytesLeft` holds.
   */
  slots(plan: Plan, threads: number, slotBytes: number, bytesLeft: number): number {
    const most = Math.max(
      0,
      ...plan.programs.map((p) => p.code.reduce((n, i) => n + (i.op === "view" ? 1 : 0), 0)),
    );
    if (most === 0) return 0;
    const wanted =
      this.#limits.tiles ?? Math.max(threads * most, Math.min(256, Math.floor(tileBytes / slotBytes)));
    return Math.max(0, Math.min(wanted, Math.floor(bytesLeft / slotBytes)));
  }

  get waitMs(): number {
    return this.#limits.waitMs ?? defaults.waitMs;
  }

  /** Rejects as the first sink that cannot be had does; {@link close} is due then too. */
  async open(signal: AbortSignal | undefined): Promise<void> {
    this.#opened = true;
    const opening = this.#members.map((m) => m.sink.open?.(signal ? { signal } : {}));
    // Every one is waited for: what one of them started belongs to its close.
    const ends = await Promise.allSettled(opening);
    for (const end of ends) if (end.status === "rejected") throw end.reason;
  }

  /** Ends the sinks that were opened. Never rejects: the run's results are there. */
  async close(cancelled: boolean): Promise<void> {
    if (!this.#opened) return;
    this.#opened = false;
    await Promise.all(
      this.#members.map(async (m) => {
        try {
          await m.sink.close?.({ drainMs: cancelled ? closeMs.cancelled : closeMs.done });
        } catch (error) {
          this.#detach(m, error);
        }
      }),
    );
  }

  /** Tells sinks of the run, and of the planes that `--resume` found done. */
  begin(plate: Plate, plan: Plan, storeRoot: string, ledger: Pick<Ledger, "outcomes">, slots: number): void {
    this.#plan = plan;
    this.#plate = plate;
    this.#storeRoot = storeRoot;
    this.#slots = slots;
    const run = describeRun(plate, plan, storeRoot, slots);
    for (const m of this.#members) {
      this.#call(m, () => m.sink.begin(run(m.sink.wants ?? {})));
    }
    for (const { job, outcome } of ledger.outcomes()) {
      if (outcome !== "reused") continue;
      for (const view of job.views) {
        if (view.kind === "table" || view.output === null) continue;
        const payload = announcement(plate, storeRoot, job, view);
        for (const m of this.#members) {
          if (m.detached !== null || !wantsView(m.sink.wants ?? {}, view)) continue;
          m.batch.push(payload);
          m.byStore++;
        }
      }
    }
    this.flush();
  }

  /**
   * Takes over what a job left for sinks. Everything goes out with the next {@link flush}; but a plane without pixels not before the job
   * that writes its field's metadata (`opensField`) has ended, since it could not be read.
   */
  take(job: Job, opensField: boolean, result: NativeJobResult, pool: NativeTilePool): void {
    const field = `${job.well}/${job.site}`;
    if (opensField) {
      this.#open.add(field);
      for (const { to, plane } of this.#waiting.get(field) ?? []) to.batch.push(plane);
      this.#waiting.delete(field);
    }
    const tiles = new Map((result.views ?? []).map((t) => [t.view, t]));
    for (const [index, view] of result.error === undefined ? job.views.entries() : []) {
      const tile = tiles.get(index);
      for (const m of this.#members) {
        if (m.detached !== null) continue;
        const wants = m.sink.wants ?? {};
        if (view.kind !== "table" && wantsView(wants, view)) {
          const plane = announcement(this.#plate as Plate, this.#storeRoot, job, view);
          if (tile !== undefined) {
            // The first sink takes the lease that came with the tile, further ones get their own.
            if (!tiles.delete(index)) pool.addLease(tile.slot, tile.generation);
            m.tiles++;
            m.batch.push({ ...plane, pixels: { pool, slot: tile.slot, generation: tile.generation } });
          } else if (view.output === null) {
            m.dropped++;
          } else {
            m.byStore++;
            if (this.#open.has(field)) m.batch.push(plane);
            else this.#wait(field, m, plane);
          }
        }
        m.batch.push(...derivedOf(wants, view, index, job, result, this.#plate as Plate, this.#plan as Plan));
      }
    }
    for (const tile of tiles.values()) pool.release(tile.slot, tile.generation);
  }

  #wait(field: string, to: Member, plane: PlanePayload): void {
    const list = this.#waiting.get(field);
    if (list) list.push({ to, plane });
    else this.#waiting.set(field, [{ to, plane }]);
  }

  flush(): void {
    for (const m of this.#members) {
      if (m.batch.length === 0) continue;
      const batch = m.batch;
      m.batch = [];
      m.payloads += batch.length;
      this.#call(m, () => m.sink.accept(batch));
    }
  }

  /** Lets sinks send what they have left, within their time. Idempotent. */
  async drain(cancelled: boolean, signal: AbortSignal | undefined): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    const began = performance.now();
    const wanted = this.#limits.drainMs ?? defaults.drainMs;
    const timeoutMs = cancelled ? Math.min(wanted, 500) : wanted;
    const time = new AbortController();
    const end = () => time.abort();
    const timer = setTimeout(end, timeoutMs);
    if (!cancelled) signal?.addEventListener("abort", end, { once: true });
    const over = new Promise<void>((resolve) => {
      time.signal.addEventListener("abort", () => resolve(), { once: true });
    });
    await Promise.all(
      this.#members.map(async (m) => {
        const drained = (async () => m.sink.drain({ signal: time.signal, timeoutMs }))().then(
          () => {
            m.drained = (m.sink.unsent ?? 0) === 0;
          },
          (error) => this.#detach(m, error),
        );
        await Promise.race([drained, over]);
      }),
    );
    clearTimeout(timer);
    signal?.removeEventListener("abort", end);
    this.#drainSeconds = (performance.now() - began) / 1000;
  }

  /** The executor's account, read after `drain`. */
  account(views: NativeViewStats): void {
    this.#views = views;
  }

  report(): SinksReport {
    return {
      sinks: this.#members.map((m) => ({
        name: m.sink.name,
        payloads: m.payloads,
        tiles: m.tiles,
        byStore: m.byStore,
        dropped: m.dropped,
        detached: m.detached,
        drained: m.drained,
        stats: this.#statsOf(m),
      })),
      tiles: { slots: this.#slots, ...this.#views },
      drainSeconds: this.#drainSeconds,
    };
  }

  #statsOf(m: Member): Readonly<Record<string, unknown>> | null {
    try {
      return m.sink.stats ?? null;
    } catch (error) {
      this.#detach(m, error);
      return null;
    }
  }

  #call(m: Member, f: () => void): void {
    if (m.detached !== null) return;
    try {
      f();
    } catch (error) {
      this.#detach(m, error);
    }
  }

  #detach(m: Member, error: unknown): void {
    m.detached ??= error instanceof Error ? error.message : String(error);
  }
}
