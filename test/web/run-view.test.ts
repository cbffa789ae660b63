// SPDX-License-Identifier: MIT
// A run in the gateway: readable by OME-Zarr clients (zarr-python, tensorstore, zarrita) while it goes on, told in events that resume, and cancelled by a POST.

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import * as zarrita from "zarrita";
import { Gateway } from "../../dist/web/gateway.js";
import { temporaryFolders } from "../helpers/folder.js";
import { needsPeer, python } from "../helpers/shared.js";
import { startRun as startWaitingRun, wells } from "./waiting-run.js";

const folder = temporaryFolders();
const gateways: Gateway[] = [];
afterEach(async () => {
  for (const g of gateways.splice(0)) await g.close();
});

interface Event {
  readonly n: number;
  readonly type: string;
  readonly [field: string]: unknown;
}

/** Collects events, and waits for one. */
function listen(g: Gateway, query = "") {
  const events: Event[] = [];
  const ws = new WebSocket(`${g.url.replace("http", "ws")}api/events${query}`);
  const waiting = new Set<() => void>();
  ws.on("message", (data) => {
    events.push(...(JSON.parse(String(data)) as Event[]));
    for (const look of waiting) look();
  });
  const until = (is: (e: Event) => boolean): Promise<Event> =>
    new Promise((resolve) => {
      const look = () => {
        const found = events.find(is);
        if (found === undefined) return;
        waiting.delete(look);
        resolve(found);
      };
      waiting.add(look);
      look();
    });
  return { ws, events, until };
}

async function startRun() {
  const dir = folder();
  const g = await new Gateway({ page: dir }).start();
  gateways.push(g);
  const { ended, go } = await startWaitingRun(g, dir, { channels: [2], width: 160, height: 120 });
  return { g, ended, go: () => go(...wells) };
}

const reader = `
import json, sys, numpy, tensorstore, zarr
plate = zarr.open_group(sys.argv[1], mode="r")
field = plate[sys.argv[2]]
for path in ["0", "labels/spots/0"]:
    spec = {"driver": "zarr3", "kvstore": {"driver": "http", "base_url": sys.argv[1] + "/" + sys.argv[2] + "/" + path + "/"}}
    second = tensorstore.open(spec, open=True).result().read().result()
    assert numpy.array_equal(field[path][:], second), path
print(json.dumps({"wells": len(plate.attrs["ome"]["plate"]["wells"]),
    "sum": int(field["0"][:].astype("u8").sum()), "labels": int(field["labels/spots/0"][:].max())}))`;

async function read(url: string, field: string) {
  const { stdout } = await promisify(execFile)(python() as string, ["-c", reader, url, field], {
    timeout: 50_000,
  });
  const seen = JSON.parse(stdout) as { wells: number; sum: number; labels: number };
  // zarrita, the third client, sees the same.
  const image = await zarrita.open(zarrita.root(new zarrita.FetchStore(`${url}/${field}/0`)), {
    kind: "array",
  });
  const { data } = await zarrita.get(image);
  expect(Array.from(data as Uint16Array).reduce((a, b) => a + b, 0)).toBe(seen.sum);
  return seen;
}

describe("a run in the gateway", () => {
  needsPeer(python(), "Python with zarr and tensorstore");

  test("can be read while it goes on, tells each well and plane, and ends with its table", async () => {
    const { g, ended, go } = await startRun();
    const { ws, events, until } = listen(g);
    const tile = await until(
      (e) => e.type === "tile" && e.well === "A01" && !String(e.path).includes("labels"),
    );
    expect(tile).toMatchObject({ path: "A/1/0", index: [0] });
    await until((e) => e.type === "well" && e.well === "A01" && e.state === "done");
    const [input, output] = g.catalog().sources;
    expect(input).toMatchObject({ role: "input", live: false });
    expect(output).toMatchObject({ role: "output", live: true, labels: ["spots"], run: "r1" });
    const early = await read(`${g.url}data/${output?.id}`, "A/1/0");
    expect(early.wells).toBe(4);
    expect(early.sum).toBeGreaterThan(0);
    expect(early.labels).toBeGreaterThan(0);
    expect(events.some((e) => e.type === "well" && e.well === "B02" && e.state === "done")).toBe(false);

    const seen = Math.max(...events.map((e) => e.n ?? 0));
    ws.close();
    go();
    const report = await ended;
    expect(report.outcome).toBe("complete");
    expect(await read(`${g.url}data/${output?.id}`, "A/1/0")).toEqual(early);

    // One that was away gets what it missed and nothing twice; one of another life of the server gets everything.
    const { events: again, until: untilAgain } = listen(g, `?since=${seen}&epoch=${g.events.epoch}`);
    const last = await untilAgain((e) => e.type === "run" && e.state === "complete");
    expect(last).toMatchObject({ planesDone: 8, planesTotal: 8 });
    expect(again[0]).toMatchObject({ type: "resume", n: seen });
    expect(again.slice(1).every((e) => e.n > seen)).toBe(true);
    const stranger = listen(g, `?since=${seen}&epoch=000000000000`);
    await stranger.until((e) => e.type === "run" && e.state === "complete");
    expect(stranger.events[0]).toMatchObject({ type: "reset" });
    expect(
      stranger.events
        .filter((e) => e.type === "well" && e.state === "done")
        .map((e) => e.well)
        .sort(),
    ).toEqual(wells);

    const table = await (
      await fetch(`${g.url}api/table/${output?.id}?group=well&column=area&stat=count`)
    ).json();
    expect(Object.values(table as Record<string, number>).reduce((a, b) => a + b)).toBe(report.objects);
    expect(g.catalog().sources[1]).toMatchObject({ live: false });
  });

  test("that goes on where another one ended shows what that has left", async () => {
    const dir = folder();
    const options = { channels: [0], width: 160, height: 120 };
    const before = await new Gateway({ page: dir }).start();
    gateways.push(before);
    const { ended, go, out } = await startWaitingRun(before, dir, options);
    const { until } = listen(before);
    await until((e) => e.type === "well" && e.well === "A01" && e.state === "done");
    const cancelled = fetch(`${before.url}api/runs/r1/cancel`, { method: "POST" });
    await cancelled;
    go("A02", "B01");
    expect((await ended).outcome).toBe("cancelled");
    const rows = readFileSync(join(out, "measurements.csv"), "utf8")
      .split("\n")
      .filter((l) => l.includes(",A01,"));

    const g = await new Gateway({ page: dir }).start();
    gateways.push(g);
    const second = await startWaitingRun(g, dir, options, true);
    const { events, until: untilNow } = listen(g);
    const kept = await untilNow((e) => e.type === "well" && e.well === "A01" && e.state === "reused");
    expect(kept).toMatchObject({ planes: 1, failedPlanes: 0, objects: rows.length });
    await untilNow((e) => e.type === "tile" && e.well === "A01" && e.path === "A/1/0/labels/spots");
    expect(events.some((e) => e.type === "well" && e.well === "B02" && e.state === "done")).toBe(false);
    const { id } = g.catalog().sources[1] as { id: string };
    const table = await fetch(`${g.url}api/table/${id}?group=well&column=area&stat=count`);
    expect(await table.json()).toMatchObject({ A01: rows.length });
    second.go(...wells);
    expect((await second.ended).outcome).toBe("complete");
  });

  test("is cancelled by its button", async () => {
    const { g, ended, go } = await startRun();
    const { until } = listen(g);
    await until((e) => e.type === "well" && e.well === "A01" && e.state === "done");
    const response = await fetch(`${g.url}api/runs/r1/cancel`, { method: "POST" });
    expect(response.status).toBe(202);
    go();
    expect((await ended).outcome).toBe("cancelled");
    await until((e) => e.type === "run" && e.state === "cancelled");
  });
});
