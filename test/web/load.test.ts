// SPDX-License-Identifier: MIT
// Many clients at once, clients that read slowly, and clients that go away in the middle: everyone gets their bytes, and nothing is left.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { type ClientRequest, get, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { openPlate } from "../../lib/plates/index.js";
import { FolderSource } from "../../lib/web/folder-source.js";
import { Gateway } from "../../lib/web/gateway.js";
import { addPlate } from "../../lib/web/open-source.js";
import { buffers } from "../../lib/web/send-bytes.js";
import { describePlate } from "../../lib/web/source-description.js";
import { temporaryFolders } from "../helpers/folder.js";
import { smallPlate } from "../helpers/small-plate.js";

const folder = temporaryFolders();
const gateways: Gateway[] = [];
afterEach(async () => {
  for (const g of gateways.splice(0)) await g.close();
});

const descriptors = () => readdirSync("/proc/self/fd").length;

async function serve() {
  const dir = folder();
  const root = join(dir, "plate");
  smallPlate(root, { wells: ["A01", "A02"], channels: [0, 0], width: 1100, height: 900 });
  const plate = await openPlate(root);
  const store = join(dir, "store");
  mkdirSync(store);
  const large = Buffer.alloc(8 * 2 ** 20, "tilecast");
  for (let i = 0; i < large.length; i += 4096) large.writeUInt32LE(i, i);
  writeFileSync(join(store, "large"), large);
  // As large as what is sent from memory that is used again.
  const middle = large.subarray(2 ** 20, 2 ** 21);
  writeFileSync(join(store, "middle"), middle);
  const g = await new Gateway({ page: dir }).start();
  gateways.push(g);
  const id = await addPlate(g, plate, {});
  const files = g.addSource(new FolderSource(store, false), (i) =>
    describePlate(plate, plate.planes, {
      id: i,
      role: "output",
      run: null,
      labels: [],
      table: false,
      live: false,
    }),
  );
  return {
    ...{ g, large, middle, chunk: `${g.url}data/${id}/A/1/0/0/c/0/0/0` },
    ...{ file: `${g.url}data/${files}/large`, part: `${g.url}data/${files}/middle` },
  };
}

const fetchBytes = async (url: string) => Buffer.from(await (await fetch(url)).arrayBuffer());

/** Starts a request and hands over its answer, unread. */
const begin = (url: string): Promise<{ request: ClientRequest; response: IncomingMessage }> =>
  new Promise((resolve, reject) => {
    const request = get(url, { agent: false }, (response) => resolve({ request, response }));
    request.on("error", reject);
  });

describe("a gateway with many clients", () => {
  test("serves fifty at once, slow ones among them, each byte right", async () => {
    const { large, middle, chunk, file, part } = await serve();
    const expected = await fetchBytes(chunk);
    const slow = await Promise.all(Array.from({ length: 10 }, () => begin(file)));
    // More than there is memory for that is used again.
    const alsoSlow = await Promise.all(Array.from({ length: 60 }, () => begin(part)));
    const quick = await Promise.all(
      Array.from({ length: 50 }, async (_, client) => {
        const wrong: number[] = [];
        for (let i = 0; i < 4; i++) {
          const [url, whole] = [
            [chunk, expected],
            [file, large],
            [part, middle],
          ][(client + i) % 3] as [string, Buffer];
          if (!(await fetchBytes(url)).equals(whole)) wrong.push(i);
        }
        return wrong;
      }),
    );
    expect(quick.flat()).toEqual([]);
    // They began first and have read nothing so far; the others did not wait for them.
    for (const [all, whole] of [
      [slow, large],
      [alsoSlow, middle],
    ] as const) {
      for (const { response } of all) {
        const parts: Buffer[] = [];
        for await (const piece of response) parts.push(piece as Buffer);
        expect(Buffer.concat(parts).equals(whole)).toBe(true);
      }
    }
    await expect.poll(() => buffers.lent).toBe(0);
  });

  test("keeps nothing of those that go away in the middle", async () => {
    const { g, file, part, chunk } = await serve();
    await fetchBytes(chunk);
    const before = descriptors();
    for (let round = 0; round < 4; round++) {
      const started = await Promise.all(Array.from({ length: 50 }, (_, i) => begin(i % 2 ? file : part)));
      for (const { request, response } of started) {
        response.on("error", () => undefined);
        request.destroy();
      }
    }
    const sockets = await Promise.all(
      Array.from(
        { length: 30 },
        () =>
          new Promise<WebSocket>((resolve) => {
            const ws = new WebSocket(`${g.url.replace("http", "ws")}api/events`);
            ws.on("open", () => resolve(ws));
          }),
      ),
    );
    await expect.poll(() => g.events.clients).toBe(30);
    for (const ws of sockets) ws.terminate();
    await expect.poll(() => g.events.clients).toBe(0);
    await expect.poll(descriptors, { timeout: 20_000 }).toBeLessThanOrEqual(before + 5);
    await expect.poll(() => buffers.lent).toBe(0);
    expect((await fetchBytes(file)).length).toBe(8 * 2 ** 20);
  });

  test("sends a client that does not read no more than it may have unread, and the newest state when it reads", async () => {
    const { g } = await serve();
    const ws = new WebSocket(`${g.url.replace("http", "ws")}api/events`);
    await new Promise((resolve) => ws.on("open", resolve));
    ws.pause();
    const text = "x".repeat(2000);
    const used = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) / 1024;
    const begun = used();
    for (let i = 0; i < 20_000; i++) {
      g.events.publish({ type: "tile", key: String(i % 1000), text, i });
      if (i % 500 === 0) await new Promise((r) => setTimeout(r, 10));
    }
    // 40 MB were published; a thousand things of 2 KB are kept, and the client has at most the limit and a batch of them.
    expect(used() - begun).toBeLessThan(150);
    const latest = new Map<string, number>();
    ws.on("message", (data) => {
      for (const e of JSON.parse(String(data)) as { type: string; key: string; i: number }[])
        if (e.type === "tile") latest.set(e.key, e.i);
    });
    ws.resume();
    await expect
      .poll(() => [...latest.values()].filter((i) => i >= 19_000).length, { timeout: 20_000 })
      .toBe(1000);
    ws.terminate();
  });
});
