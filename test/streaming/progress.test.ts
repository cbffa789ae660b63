// SPDX-License-Identifier: MIT
// Progress events over a real ZeroMQ socket, while a real run goes on.
import { join } from "node:path";
import { expect, test } from "vitest";
import { Subscriber } from "zeromq";
import { makeDemoPlate } from "../../lib/cli/demo-plate.js";
import { op, openPlate, pipeline, run } from "../../lib/index.js";
import { type ProgressEvent, ProgressLog, ProgressPublisher } from "../../lib/streaming/index.js";
import { temporaryFolders } from "../helpers/folder.js";

const folder = temporaryFolders();

test("events are numbered, and their times strictly increase", () => {
  const log = new ProgressLog("e", "p");
  const events = Array.from({ length: 100 }, () =>
    log.event({ phase: "running", status: "running", completed: 1, total: 4 }),
  );
  expect(events.map((e) => e.progress_sequence)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
  for (const [i, e] of events.entries())
    if (i > 0) expect(e.timestamp).toBeGreaterThan(events[i - 1]?.timestamp ?? 0);
  expect(events[0]?.percent).toBe(25);
});

test("an address that other hosts could reach is refused", async () => {
  for (const endpoint of [
    "tcp://0.0.0.0:5555",
    "tcp://*:5555",
    "tcp://192.168.1.2:5555",
    "udp://127.0.0.1:1",
    "5555",
  ]) {
    await expect(ProgressPublisher.bind(endpoint)).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message: `progress is published on this host only: expected tcp://127.0.0.1:PORT or ipc://PATH, and got "${endpoint}"`,
    });
  }
});

test("a taken address is a typed error", async () => {
  const first = await ProgressPublisher.bind("tcp://127.0.0.1:*");
  await expect(ProgressPublisher.bind(first.endpoint)).rejects.toMatchObject({
    code: "ERR_STREAM",
    retriable: true,
  });
  await first.close();
});

test("a run tells its start, each well, and its end", async () => {
  const dir = folder();
  const demo = await makeDemoPlate(join(dir, "plate"), { wells: 4, sites: 1, size: 128 });
  const plate = await openPlate(demo.root);
  const endpoint = `ipc://${join(dir, "run.sock")}`;
  // Binding is the first thing a run does: a subscriber that tries every millisecond is there long before its end.
  const subscriber = new Subscriber({ reconnectInterval: 1 });
  subscriber.subscribe();
  subscriber.connect(endpoint);
  const events: ProgressEvent[] = [];
  const listening = (async () => {
    for await (const [frame] of subscriber) {
      const event = JSON.parse(String(frame)) as ProgressEvent;
      events.push(event);
      if (event.axis_id === "" && ["success", "failed", "cancelled"].includes(event.phase)) return;
    }
  })();
  await run(pipeline("p").step("project", op.maxProject()), plate, {
    out: join(dir, "out"),
    publish: endpoint,
  });
  // A subscriber that joins late misses events by ZeroMQ's nature, so that only the end is certain here.
  await listening;
  subscriber.close();
  const last = events.at(-1);
  expect(last).toMatchObject({
    type: "progress",
    phase: "success",
    status: "success",
    percent: 100,
    plate_id: plate.root,
  });
  const sequence = events.map((e) => e.progress_sequence);
  expect(sequence).toEqual([...sequence].sort((a, b) => a - b));
  expect(new Set(events.map((e) => e.execution_id)).size).toBe(1);
});
