// SPDX-License-Identifier: MIT
// Batches and debounced updates under a clock that the test turns; the tracker of acknowledgements and its percentiles.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AckTracker } from "../../lib/streaming/ack-tracker.js";
import { BatchEngine, type Clock, DebounceEngine } from "../../lib/streaming/batch-engine.js";
import { reservoir } from "../../lib/streaming/reservoir.js";

class HandClock implements Clock {
  #now = 0;
  #timers: { at: number; call: () => void }[] = [];
  now = () => this.#now;
  after(ms: number, call: () => void) {
    const timer = { at: this.#now + ms, call };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((t) => t !== timer);
    };
  }
  turn(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const next = this.#timers.filter((t) => t.at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((t) => t !== next);
      this.#now = next.at;
      next.call();
    }
    this.#now = end;
  }
  get pending(): number {
    return this.#timers.length;
  }
}

describe("batches", () => {
  test("by count, by bytes and by age, whatever is first; nothing lost, doubled, reordered or kept too long", () => {
    const step = fc.record({ bytes: fc.integer({ min: 0, max: 30 }), wait: fc.integer({ min: 0, max: 12 }) });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const clock = new HandClock();
        const flushed: { id: number; bytes: number; at: number }[][] = [];
        const policy = { maxItems: 4, maxBytes: 50, maxAgeMs: 20 };
        const engine = new BatchEngine<{ id: number; bytes: number; at: number }>(
          policy,
          (items) => {
            for (const each of items) expect(clock.now() - each.at).toBeLessThanOrEqual(20);
            flushed.push(items);
          },
          clock,
        );
        steps.forEach(({ bytes, wait }, id) => {
          engine.add({ id, bytes, at: clock.now() }, bytes);
          clock.turn(wait);
        });
        clock.turn(20);
        expect(flushed.flat().map((i) => i.id)).toEqual(steps.map((_, i) => i));
        for (const batch of flushed) {
          expect(batch.length).toBeLessThanOrEqual(4);
          const total = batch.reduce((sum, i) => sum + i.bytes, 0);
          expect(total <= 50 || batch.length === 1).toBe(true);
        }
        expect([engine.waiting, clock.pending]).toEqual([0, 0]);
      }),
    );
  });

  test("an item larger than a batch goes alone; clear forgets items and timer", () => {
    const clock = new HandClock();
    const flushed: string[][] = [];
    const engine = new BatchEngine<string>(
      { maxItems: 9, maxBytes: 10, maxAgeMs: 5 },
      (i) => flushed.push(i),
      clock,
    );
    engine.add("a", 1);
    engine.add("huge", 1000);
    engine.add("b", 1);
    engine.clear();
    clock.turn(100);
    expect(flushed).toEqual([["a"], ["huge"]]);
  });
});

describe("debounce", () => {
  test("quiet draws, a maximum wait draws too, and keys do not hold each other up", () => {
    const clock = new HandClock();
    const drawn: [number, string, number[]][] = [];
    const engine = new DebounceEngine<number>(
      { quietMs: 10, maxWaitMs: 25 },
      (key, items) => drawn.push([clock.now(), key, items]),
      clock,
    );
    engine.add("still", 0);
    for (let i = 0; i < 8; i++) {
      engine.add("busy", i);
      clock.turn(6);
    }
    clock.turn(50);
    expect(drawn).toEqual([
      [10, "still", [0]],
      [25, "busy", [0, 1, 2, 3, 4]],
      [52, "busy", [5, 6, 7]],
    ]);
    engine.add("x", 1);
    expect(engine.waiting).toBe(1);
    engine.flush();
    expect(drawn.at(-1)).toEqual([98, "x", [1]]);
    engine.add("x", 2);
    engine.clear();
    expect([engine.waiting, clock.pending]).toEqual([0, 0]);
  });
});

describe("acknowledgements", () => {
  const ack = (image_id: string, status: "success" | "error" = "success") => ({
    image_id,
    status,
    error: null,
  });

  test("every item is counted once, in whatever order its reply and its acknowledgements come", () => {
    const event = fc.record({
      id: fc.constantFrom("a", "b", "c", "d"),
      what: fc.constantFrom("sent", "received", "ok", "bad", "forget"),
    });
    fc.assert(
      fc.property(fc.array(event), (events) => {
        const tracker = new AckTracker(100);
        const sent = new Set<string>();
        events.forEach(({ id, what }, now) => {
          if (what === "sent" && !sent.has(id)) {
            sent.add(id);
            tracker.sent(id, now);
          } else if (what === "received") tracker.received(id, now);
          else if (what === "ok" || what === "bad")
            tracker.acknowledged(ack(id, what === "ok" ? "success" : "error"), now);
          else if (what === "forget") tracker.forget(id);
        });
        const counts = tracker.counts(events.length);
        expect(counts.sent).toBe(sent.size);
        expect(counts.shown + counts.failed + counts.pending).toBe(counts.sent);
        expect(counts.received).toBeLessThanOrEqual(counts.sent);
        expect(tracker.latency().shown.count).toBe(counts.shown);
      }),
    );
  });

  test("stuck after the limit, and still counted when it comes late", () => {
    const tracker = new AckTracker(100);
    tracker.sent("a", 0);
    tracker.sent("b", 0);
    tracker.received("a", 10);
    expect(tracker.counts(105)).toMatchObject({ stuck: 1, pending: 2, received: 1 });
    expect(tracker.counts(111)).toMatchObject({ stuck: 2 });
    expect(tracker.acknowledged(ack("a"), 200)).toBe(true);
    expect(tracker.acknowledged(ack("a"), 201)).toBe(false);
    expect(tracker.counts(300)).toMatchObject({ stuck: 1, shown: 1, stray: 1, pending: 1 });
    expect(tracker.latency()).toMatchObject({
      accepted: { p50: 10, max: 10 },
      shown: { count: 1, p50: 200, p99: 200 },
    });
    tracker.forgetAll();
    expect(tracker.counts(300)).toMatchObject({ failed: 1, pending: 0, stuck: 0 });
  });

  test("a viewer that acknowledges nothing does not fill the memory", () => {
    const tracker = new AckTracker();
    for (let i = 0; i < 100_010; i++) tracker.sent(`${i}`, i);
    expect(tracker.counts(0)).toMatchObject({ sent: 100_010, pending: 100_000, failed: 10 });
    expect(tracker.acknowledged(ack("0"), 1)).toBe(false);
    expect(tracker.acknowledged(ack("100009"), 1)).toBe(true);
  });

  test("percentiles are by nearest rank, exact until the sample is full, and close beyond", () => {
    const small = reservoir(100);
    for (let i = 100; i >= 1; i--) small.add(i);
    expect(small.spread()).toEqual({ count: 100, p50: 50, p99: 99, max: 100 });
    expect(reservoir().spread()).toEqual({ count: 0, p50: 0, p99: 0, max: 0 });
    let seed = 1;
    const random = () => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    const large = reservoir(2000, random);
    for (let i = 0; i < 100_000; i++) large.add(random());
    const { count, p50, p99 } = large.spread();
    expect(count).toBe(100_000);
    expect(Math.abs(p50 - 0.5)).toBeLessThan(0.05);
    expect(Math.abs(p99 - 0.99)).toBeLessThan(0.01);
  });
});
