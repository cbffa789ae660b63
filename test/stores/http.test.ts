// SPDX-License-Identifier: MIT
// Files behind HTTP: range requests, caching, and servers that are slow, drop connections, know no ranges, fail for a while or lie.

import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { fromUrl } from "geotiff";
import { describe, expect, onTestFinished, test } from "vitest";
import * as zarr from "zarrita";
import { HttpError } from "../../lib/errors.js";
import { TilePool } from "../../lib/image/index.js";
import {
  DiskStore,
  HttpStore,
  type HttpStoreOptions,
  MemoryStore,
  type Store,
  ZarrStore,
  ZarrView,
} from "../../lib/stores/index.js";
import { temporaryFolders } from "../helpers/folder.js";
import { thrown } from "../helpers/throws.js";
import { writeTiff } from "../helpers/tiff.js";
import { conforms, someImage } from "./conformance.js";
import { type Exchange, serve } from "./http-server.js";

const folder = temporaryFolders();
const KiB = 1024;

/** Pauses that do not slow the tests down. */
const quick = { backoffMs: 1, maxBackoffMs: 5 };

async function remote(
  root: string,
  behave?: (exchange: Exchange) => boolean | undefined,
  options: HttpStoreOptions = {},
) {
  const server = await serve(root, behave);
  const store = new HttpStore(server.url, { ...quick, ...options });
  onTestFinished(() => store.close());
  return { server, store };
}

async function httpError(action: () => unknown): Promise<HttpError> {
  const error = await thrown(action);
  expect(error).toBeInstanceOf(HttpError);
  return error as HttpError;
}

/** Reads go over HTTP, writes past it into the folder that is served; so that the suite of all stores can test the reads. */
async function readThroughHttp(): Promise<Store> {
  const root = folder();
  const disk = new DiskStore(root);
  const { store: http } = await remote(root);
  const fresh = <T extends unknown[], R>(call: (...args: T) => R) => {
    return (...args: T): R => {
      http.forget();
      return call.apply(http, args);
    };
  };
  return {
    kind: http.kind,
    location: http.location,
    readOnly: false,
    get bytesRead() {
      return http.bytesRead;
    },
    readRanges: fresh(http.readRanges),
    levels: fresh(http.levels),
    list: async (prefix, options) => ((await closed(http)) ? http.list() : disk.list(prefix, options)),
    exists: fresh(http.exists),
    read: fresh(http.read),
    readImage: fresh(http.readImage),
    readTile: fresh(http.readTile),
    readBatch: fresh(http.readBatch),
    readImageBatch: fresh(http.readImageBatch),
    readTileBatch: fresh(http.readTileBatch),
    write: async (key, value, options) => {
      if (await closed(http)) return http.write(key, value);
      return disk.write(key, value, options);
    },
    replace: async (key, value, options) => {
      if (await closed(http)) return http.write(key, value);
      return disk.replace(key, value, options);
    },
    delete: (key, options) => disk.delete(key, options),
    close: async () => {
      await http.close();
      await disk.close();
    },
    [Symbol.asyncDispose]: () => http.close(),
  };
}

async function closed(store: Store): Promise<boolean> {
  return store.exists("none").then(
    () => false,
    (error) => error.code === "ERR_STORE_CLOSED",
  );
}

test("the suite reads through HTTP", async () => {
  const store = await readThroughHttp();
  await store.write("k", new Uint8Array(3));
  expect(await store.read("k")).toEqual(new Uint8Array(3));
});

describe("reading bytes", () => {
  test("asks for ranges, neighbours together, and keeps them", async () => {
    const root = folder();
    const content = randomBytes(300 * KiB);
    writeFileSync(join(root, "a b#ü.bin"), content);
    const { server, store } = await remote(root, undefined, { blockBytes: 64 * KiB });
    expect(Buffer.from(await store.read("a b#ü.bin")).equals(content)).toBe(true);
    expect(server.log.map((r) => r.range)).toEqual(["bytes=0-65535", "bytes=65536-327679"]);
    expect(server.log[0]?.headers["accept-encoding"]).toBe("identity");
    expect(Buffer.from(await store.read("a b#ü.bin")).equals(content)).toBe(true);
    expect(server.log).toHaveLength(2);
    expect(store.stats).toEqual({ requests: 2, bytes: 300 * KiB, cachedBytes: 300 * KiB });
    store.forget("a b#ü.bin");
    expect(store.stats.cachedBytes).toBe(0);
  });

  test("keeps no more than its budget, what was used last first", async () => {
    const root = folder();
    for (const name of ["a", "b", "c"]) writeFileSync(join(root, name), randomBytes(64 * KiB));
    const { server, store } = await remote(root, undefined, {
      blockBytes: 64 * KiB,
      cacheBytes: 128 * KiB,
    });
    for (const name of ["a", "b", "a", "c", "a"]) await store.read(name);
    expect(server.log.map((r) => r.path)).toEqual(["a", "b", "c"]);
    expect(store.stats.cachedBytes).toBe(128 * KiB);
    await store.read("b");
    expect(server.log.at(-1)?.path).toBe("b");
  });

  test("asks once for what several want at the same time", async () => {
    const root = folder();
    writeFileSync(join(root, "a"), randomBytes(10));
    const { server, store } = await remote(root);
    const all = await Promise.all(Array.from({ length: 5 }, () => store.read("a")));
    expect(new Set(all.map((b) => Buffer.from(b).toString("hex"))).size).toBe(1);
    expect(server.log).toHaveLength(1);
  });

  test("reads empty files, and lists the keys that it was told", async () => {
    const root = folder();
    writeFileSync(join(root, "empty"), "");
    const { store } = await remote(root, undefined, { keys: ["x/b", "empty", "x/a"] });
    expect(await store.read("empty")).toEqual(new Uint8Array(0));
    expect(await store.exists("empty")).toBe(true);
    expect(await store.list()).toEqual(["empty", "x/a", "x/b"]);
    expect(await store.list("x")).toEqual(["x/a", "x/b"]);
    const { store: unlisted } = await remote(root);
    expect((await thrown(() => unlisted.list())).code).toBe("ERR_STORE_KIND");
  });

  test("holds no more for one read than allowed, whatever the server claims", async () => {
    const root = folder();
    writeTiff(join(root, "a.tif"), { width: 600, height: 600 });
    const { server, store } = await remote(
      root,
      ({ path, response }) => {
        if (path !== "huge") return false;
        response.writeHead(206, { "content-range": `bytes 0-${256 * KiB - 1}/${2 ** 50}` });
        response.end(Buffer.alloc(256 * KiB));
        return true;
      },
      { maxReadBytes: 300 * KiB, blockBytes: 256 * KiB },
    );
    const error = await thrown(() => store.read("huge"));
    expect([error.code, error.key, error.message]).toEqual([
      "ERR_STORE_BUDGET",
      "huge",
      `${server.url}huge: this read needs ${2 ** 50} bytes, and maxReadBytes is 307200`,
    ]);
    expect((await thrown(() => store.readImage("a.tif"))).code).toBe("ERR_STORE_BUDGET");
  });

  test("says that it is read-only", async () => {
    const { store } = await remote(folder());
    expect((await thrown(() => store.write("k", new Uint8Array(1)))).code).toBe("ERR_STORE_READ_ONLY");
    expect((await thrown(() => store.delete("k"))).code).toBe("ERR_STORE_READ_ONLY");
  });

  test("sends credentials and shows none", async () => {
    const root = folder();
    writeFileSync(join(root, "k"), "v");
    const server = await serve(root, ({ request, response }) => {
      if (request.headers.authorization !== `Basic ${Buffer.from("me:s3cret/").toString("base64")}`)
        return undefined;
      response.writeHead(403).end();
      return true;
    });
    const url = server.url.replace("//", "//me:s3cret%2F@");
    await using store = new HttpStore(`${url}?token=t0ken`, quick);
    const error = await httpError(() => store.read("k"));
    expect([error.message, error.url, error.status, error.attempts, error.retriable]).toEqual([
      `${server.url}k: status 403 Forbidden`,
      `${server.url}k`,
      403,
      1,
      false,
    ]);
    expect(JSON.stringify([store.location, store.url("k"), error.message])).not.toMatch(/s3cret|t0ken/);
    expect(server.log).toHaveLength(1);
  });
});

describe("a server that", () => {
  const content = randomBytes(200 * KiB);
  const holding = () => {
    const root = folder();
    writeFileSync(join(root, "k"), content);
    return root;
  };
  const same = (bytes: Uint8Array) => expect(Buffer.from(bytes).equals(content)).toBe(true);

  test("answers 500 and then 200 is asked again", async () => {
    const { server, store } = await remote(holding(), ({ response, nth }) => {
      if (nth > 3) return undefined;
      response.writeHead(nth === 2 ? 429 : 500, nth === 2 ? { "retry-after": "3600" } : {}).end("busy");
      return true;
    });
    same(await store.read("k"));
    expect(server.log).toHaveLength(4);
  });

  test("answers 503 for ever is given up", async () => {
    const { server, store } = await remote(
      holding(),
      ({ response }) => {
        response.writeHead(503).end();
        return true;
      },
      { retries: 2 },
    );
    const error = await httpError(() => store.read("k"));
    expect([error.message, error.status, error.attempts, error.retriable]).toEqual([
      `${server.url}k: status 503 Service Unavailable (3 attempts)`,
      503,
      3,
      true,
    ]);
    expect(server.log).toHaveLength(3);
  });

  test("drops connections, before the answer and in the middle of it, is asked again", async () => {
    const { server, store } = await remote(
      holding(),
      ({ request, response, nth, body, range }) => {
        if (nth === 1) request.socket.destroy();
        else if (nth === 2) {
          const [first, last] = range as [number, number];
          response.writeHead(206, {
            "content-range": `bytes ${first}-${last}/${body?.length}`,
            "content-length": last - first + 1,
          });
          response.write((body as Buffer).subarray(first, first + 1000), () => request.socket.destroy());
        } else return undefined;
        return true;
      },
      { blockBytes: 64 * KiB },
    );
    same(await store.read("k"));
    expect(server.log.map((r) => r.range)).toEqual([...Array(3).fill("bytes=0-65535"), "bytes=65536-262143"]);
  });

  test("is not there is an error that says so", async () => {
    const probe = createServer();
    const port = await new Promise<number>((resolve) =>
      probe.listen(0, "127.0.0.1", () => resolve((probe.address() as { port: number }).port)),
    );
    await new Promise((resolve) => probe.close(resolve));
    await using store = new HttpStore(`http://127.0.0.1:${port}/data`, { ...quick, retries: 1 });
    const error = await httpError(() => store.read("k"));
    expect([error.message, error.status, error.attempts, error.retriable]).toEqual([
      `http://127.0.0.1:${port}/data/k: the connection failed (connect ECONNREFUSED 127.0.0.1:${port}) (2 attempts)`,
      undefined,
      2,
      true,
    ]);
  });

  test("knows no ranges is read whole, once", async () => {
    const { server, store } = await remote(
      holding(),
      ({ response, body }) => {
        response.writeHead(200, { "content-length": body?.length }).end(body);
        return true;
      },
      { blockBytes: 64 * KiB },
    );
    same(await store.read("k"));
    expect(server.log).toHaveLength(1);
  });

  test.each([true, false])(
    "knows no ranges is not read whole beyond the budget (size told: %s)",
    async (told) => {
      const { server, store } = await remote(
        holding(),
        ({ response, body }) => {
          response.writeHead(200, told ? { "content-length": body?.length } : {}).end(body);
          return true;
        },
        { blockBytes: 64 * KiB, maxWholeBytes: 100 * KiB },
      );
      const error = await httpError(() => store.read("k"));
      expect([error.message, error.status, error.retriable]).toEqual([
        told
          ? `${server.url}k: the server knows no ranges, and the whole of 204800 bytes is more than the 102400 allowed`
          : `${server.url}k: the server knows no ranges, and the whole is more than the 102400 bytes allowed`,
        200,
        false,
      ]);
      expect(server.log).toHaveLength(1);
    },
  );

  test.each([
    ["sends less than it says", (n: number) => n - 1],
    ["sends more than it says", (n: number) => n + 1],
  ])("%s is asked again, and not believed", async (_, lie) => {
    const { server, store } = await remote(
      holding(),
      ({ response, body, range }) => {
        const [first, last] = range as [number, number];
        // Chunked: no Content-Length that the client's parser would check.
        response.writeHead(206, { "content-range": `bytes ${first}-${last}/${body?.length}` });
        response.end(Buffer.alloc(lie(last - first + 1)));
        return true;
      },
      { retries: 1 },
    );
    const error = await httpError(() => store.read("k"));
    expect(error.message).toMatch(/: expected 204800 bytes and (204799|more) came \(2 attempts\)$/);
    expect(server.log).toHaveLength(2);
  });

  test("sends another range than it was asked for is not believed", async () => {
    const { store } = await remote(holding(), ({ response, body }) => {
      response.writeHead(206, { "content-range": `bytes 5-9/${body?.length}` }).end("12345");
      return true;
    });
    const error = await httpError(() => store.read("k"));
    expect(error.message).toContain('asked for bytes 0 to 262143 and got "bytes 5-9/204800"');
    expect(error.attempts).toBe(1);
  });

  test("stalls is given up and asked again", async () => {
    const { server, store } = await remote(
      holding(),
      ({ response, nth }) => {
        if (nth > 1) return undefined;
        response.writeHead(206, { "content-range": "bytes 0-204799/204800" });
        response.write("first bytes");
        return true;
      },
      // Long for an answer on this machine; nothing waits for it but the stalled one.
      { stallMs: 1000 },
    );
    same(await store.read("k"));
    expect(server.log).toHaveLength(2);
  });

  test("is slow, but not silent, is waited for", async () => {
    const { server, store } = await remote(
      holding(),
      ({ response, body }) => {
        response.writeHead(206, { "content-range": `bytes 0-${content.length - 1}/${content.length}` });
        let at = 0;
        const drip = () => {
          response.write((body as Buffer).subarray(at, at + 10_240));
          at += 10_240;
          if (at < content.length) setTimeout(drip, 100);
          else response.end();
        };
        drip();
        return true;
      },
      // In all it takes twice as long.
      { stallMs: 1000 },
    );
    same(await store.read("k"));
    expect(server.log).toHaveLength(1);
  });

  test("holds a file that is replaced while it is read gives one version", async () => {
    const root = holding();
    const next = randomBytes(200 * KiB);
    const { store } = await remote(
      root,
      ({ nth, answer }) => {
        answer();
        if (nth === 1) writeFileSync(join(root, "k"), next);
        return true;
      },
      { blockBytes: 64 * KiB },
    );
    expect(Buffer.from(await store.read("k")).equals(next)).toBe(true);
  });

  test("gets no more requests at a time than allowed", async () => {
    const root = folder();
    for (let i = 0; i < 12; i++) writeFileSync(join(root, `k${i}`), String(i));
    const { server, store } = await remote(
      root,
      ({ answer }) => {
        setTimeout(answer, 20);
        return true;
      },
      { concurrency: 3 },
    );
    const keys = Array.from({ length: 12 }, (_, i) => `k${i}`);
    const items = await store.readBatch(keys, { concurrency: 12 });
    expect(items.map((i) => new TextDecoder().decode(i.value))).toEqual(keys.map((k) => k.slice(1)));
    expect(server.busiest()).toBe(3);
  });

  test("is let go when the read is cancelled: under way, queued, and between tries", async () => {
    const root = folder();
    for (const name of ["a", "b"]) writeFileSync(join(root, name), name);
    let arrived = () => {};
    const arrival = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    let silent = true;
    const { server, store } = await remote(
      root,
      () => {
        arrived();
        return silent;
      },
      { concurrency: 1 },
    );
    const controller = new AbortController();
    const reads = ["a", "b"].map((key) => thrown(() => store.read(key, { signal: controller.signal })));
    const patient = store.read("a");
    await arrival;
    silent = false;
    controller.abort(new Error("enough"));
    for (const read of reads) expect((await read).code).toBe("ERR_CANCELLED");
    // Another reader of the same file still waits: its request lives on.
    expect(server.abandoned()).toBe(0);
    const other = new AbortController();
    const last = thrown(() => store.read("b", { signal: other.signal }));
    other.abort();
    expect((await last).code).toBe("ERR_CANCELLED");
    await store.close();
    void patient.catch(() => {});

    const { store: failing } = await remote(
      root,
      ({ response }) => {
        response.writeHead(500).end();
        setImmediate(() => between.abort());
        return true;
      },
      { backoffMs: 3_600_000, maxBackoffMs: 3_600_000 },
    );
    const between = new AbortController();
    expect((await thrown(() => failing.read("a", { signal: between.signal }))).code).toBe("ERR_CANCELLED");
  });
});

describe("TIFF over HTTP", () => {
  test("reads only the blocks that hold the plane, and what geotiff reads", async () => {
    const root = folder();
    const page = (value: number) => ({
      width: 400,
      height: 300,
      dtype: "uint16" as const,
      rowsPerStrip: 16,
      value: (x: number, y: number) => (x * 7 + y * 13 + value * 1000) % 65536,
    });
    writeTiff(join(root, "stack.ome.tif"), [page(0), page(1), page(2), page(3), page(4)]);
    const { server, store } = await remote(root, undefined, { blockBytes: 64 * KiB });
    const read = await store.readImage("stack.ome.tif", { page: 3 });
    const oracle = await (await fromUrl(`${server.url}stack.ome.tif`)).getImage(3);
    expect(read.shape).toEqual([300, 400]);
    expect(
      Buffer.compare(
        Buffer.from(read.pixels.buffer),
        Buffer.from(((await oracle.readRasters())[0] as Uint16Array).buffer),
      ),
    ).toBe(0);
    // Five planes of 240 kB: headers and one plane are less than half of it.
    expect(store.stats.bytes).toBeLessThan(700_000);
  });

  test.each(["deflate", "none"] as const)(
    "reads both byte orders and samples, compression %s",
    async (compression) => {
      const root = folder();
      writeTiff(
        join(root, "rgb.tif"),
        {
          width: 30,
          height: 20,
          samples: 3,
          compression,
          rowsPerStrip: 7,
          value: (x, y, s) => x + y + 50 * s,
        },
        { bigEndian: true },
      );
      const { store } = await remote(root);
      const local = new DiskStore(root);
      for (const sample of [0, 1, 2])
        expect(await store.readImage("rgb.tif", { sample })).toEqual(
          await local.readImage("rgb.tif", { sample }),
        );
      expect((await thrown(() => store.readImage("rgb.tif", { sample: 3 }))).code).toBe(
        "ERR_INVALID_ARGUMENT",
      );
      expect((await thrown(() => store.readImage("rgb.tif", { page: 1 }))).code).toBe("ERR_INVALID_ARGUMENT");
      await local.close();
    },
  );

  test("says of a damaged file what is wrong with it, as of a local one", async () => {
    const root = folder();
    const disk = new DiskStore(root);
    await disk.write("a.tif", someImage(1, "uint16", [300, 300]));
    const whole = await disk.read("a.tif");
    writeFileSync(join(root, "short.tif"), whole.subarray(0, whole.length - 1000));
    writeFileSync(join(root, "text.tif"), "no TIFF at all");
    const { store } = await remote(root);
    const error = await thrown(() => store.readImage("short.tif"));
    expect([error.code, error.path]).toEqual(["ERR_TIFF_DAMAGED", store.url("short.tif")]);
    expect((await thrown(() => store.readImage("text.tif"))).code).toBe("ERR_TIFF_DAMAGED");
    await disk.close();
  });
});

describe("OME-Zarr over HTTP", () => {
  test("reads planes that zarrita reads, and fill values where there is no chunk", async () => {
    const root = folder();
    await using disk = new ZarrStore(root);
    await disk.createImage("A/1/0", { c: 2, z: 3, shape: [50, 70], dtype: "uint16" });
    await disk.replace("A/1/0/c1z2", someImage(4, "uint16", [50, 70]));
    const { server, store } = await remote(root);
    await using view = new ZarrView(store);
    const read = await view.readImage("A/1/0/c1z2");
    expect(read).toEqual(someImage(4, "uint16", [50, 70]));
    const array = await zarr.open(new zarr.FetchStore(`${server.url}A/1/0/0`), { kind: "array" });
    expect((await zarr.get(array, [1, 2, null, null])).data).toEqual(read.pixels);
    expect((await view.readImage("A/1/0/c0z0")).pixels).toEqual(new Uint16Array(3500));
    expect(await view.exists("A/1/0/c0z3")).toBe(false);
    expect((await thrown(() => view.readImage("A/1/0/c0z3"))).code).toBe("ERR_KEY_NOT_FOUND");
    expect((await thrown(() => view.readImage("A/1/1/c0z0"))).code).toBe("ERR_KEY_NOT_FOUND");
    await using field = new ZarrView(store, "A/1/0");
    expect(await field.readImage("c1z2")).toEqual(read);
    const pool = TilePool.create({ slotBytes: 8192, slots: 1 });
    onTestFinished(() => pool.close());
    using tile = await field.readTile("c1z2", pool);
    expect(tile.view()).toEqual(read.pixels);
  });

  test("passes the server's errors on instead of taking them for empty chunks", async () => {
    const root = folder();
    await using disk = new ZarrStore(root);
    await disk.createImage("i", { shape: [5, 7], dtype: "uint8" });
    await disk.replace("i/plane", someImage(4, "uint8", [5, 7]));
    const { store } = await remote(root, ({ path, response }) => {
      if (!path.startsWith("i/0/c")) return undefined;
      response.writeHead(403).end();
      return true;
    });
    await using view = new ZarrView(store);
    expect((await httpError(() => view.readImage("i/plane"))).status).toBe(403);
  });

  test("works on any store: images in memory", async () => {
    const root = folder();
    await using disk = new ZarrStore(root);
    await disk.createImage("i", { z: 2, shape: [5, 7], dtype: "float32", version: "0.4" });
    await disk.replace("i/z1", someImage(4, "float32", [5, 7]));
    await using memory = new MemoryStore({ maxBytes: 1e6 });
    await using files = new DiskStore(root);
    for (const key of await files.list()) await memory.write(`copy/${key}`, await files.read(key));
    await using view = new ZarrView(memory, "copy");
    expect(view.location).toBe("memory/copy");
    expect(await view.list()).toEqual([".zgroup", "i/.zattrs", "i/.zgroup", "i/z0", "i/z1"]);
    expect(await view.list("i")).toEqual(["i/.zattrs", "i/.zgroup", "i/z0", "i/z1"]);
    expect(await view.readImage("i/z1")).toEqual(someImage(4, "float32", [5, 7]));
    expect((await thrown(() => view.read("i/z1"))).code).toBe("ERR_STORE_KIND");
    expect((await thrown(() => view.read("i/0/1/0/0"))).code).toBe("ERR_KEY_NOT_FOUND");
    expect((await thrown(() => view.replace("i/z0", someImage(1)))).code).toBe("ERR_STORE_READ_ONLY");
  });
});

conforms("HTTP-read", async () => ({
  store: await readThroughHttp(),
  imageKey: (i) => `images/A01_s${i}.tif`,
}));
