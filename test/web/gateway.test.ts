// SPDX-License-Identifier: MIT
// The gateway serves a plate to OME-Zarr clients that know nothing of it, and nobody without the token gets anything.

import { execFile } from "node:child_process";
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { openPlate } from "../../lib/plates/index.js";
import { FolderSource } from "../../lib/web/folder-source.js";
import { Gateway } from "../../lib/web/gateway.js";
import { addPath, addPlate } from "../../lib/web/open-source.js";
import type { SourceDescription } from "../../lib/web/source-description.js";
import { temporaryFolders } from "../helpers/folder.js";
import { needsPeer, python, shared } from "../helpers/shared.js";
import { smallPlate } from "../helpers/small-plate.js";

const folder = temporaryFolders();
const gateways: Gateway[] = [];
afterEach(async () => {
  for (const g of gateways.splice(0)) await g.close();
});

async function gateway(): Promise<Gateway> {
  const g = await new Gateway({ page: folder() }).start();
  gateways.push(g);
  return g;
}

const described = {
  rows: 1,
  columns: 1,
  fields: {},
  sites: {},
  channels: [],
  labels: [],
  timepoints: 1,
  slices: 1,
};
const description = (id: string): SourceDescription => ({
  ...described,
  ...{
    id,
    name: "x",
    kind: "plate",
    role: "input",
    run: null,
    url: `data/${id}`,
    pixelSize: null,
    table: false,
    live: false,
  },
});

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: Buffer;
}

/** A request as it is written here: no normalised path, no headers but these. */
function ask(
  g: Gateway,
  path: string,
  { method = "GET", headers = {} }: { method?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const r = request({ host: "127.0.0.1", port: g.port, path, method, headers }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("end", () =>
        resolve({
          status: response.statusCode as number,
          headers: response.headers,
          body: Buffer.concat(parts),
        }),
      );
      response.on("error", reject);
    });
    r.on("error", reject);
    r.end();
  });
}

/** A store of one file, `hello`, beside a secret that is not in it. */
async function withFile() {
  const dir = folder();
  const root = join(dir, "store");
  mkdirSync(join(root, "deep"), { recursive: true });
  writeFileSync(join(root, "hello"), "0123456789");
  writeFileSync(join(dir, "secret"), "secret");
  symlinkSync(join(dir, "secret"), join(root, "link"));
  symlinkSync(dir, join(root, "up"));
  const g = await gateway();
  const id = g.addSource(new FolderSource(root, false), description);
  return { g, root, base: `/${g.token}/data/${id}` };
}

describe("who may ask", () => {
  test("a wrong token, no token and a wrong path are told apart by nothing", async () => {
    const { g, base } = await withFile();
    expect((await ask(g, `${base}/hello`)).status).toBe(200);
    const wrong = base.replace(g.token, `${g.token.slice(0, -1)}${g.token.endsWith("0") ? "1" : "0"}`);
    for (const path of ["/", "/api/catalog", `${wrong}/hello`, "/data/s1/hello", `/${g.token}x/`]) {
      const { status, body, headers } = await ask(g, path);
      expect([path, status, body.length]).toEqual([path, 404, 0]);
      expect(headers["access-control-allow-origin"]).toBeUndefined();
    }
  });

  test.each(["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example"])(
    "a request for the host %j is refused, token or not",
    async (host) => {
      const { g, base } = await withFile();
      expect((await ask(g, `${base}/hello`, { headers: { host } })).status).toBe(400);
    },
  );

  test("localhost and [::1] are this machine's names", async () => {
    const { g, base } = await withFile();
    for (const name of ["localhost", "[::1]", "LOCALHOST"])
      expect((await ask(g, `${base}/hello`, { headers: { host: `${name}:${g.port}` } })).status).toBe(200);
  });

  test("pages of other origins read data, if they know the token, and nothing else", async () => {
    const { g, base } = await withFile();
    const headers = { origin: "https://viewer.example" };
    const data = await ask(g, `${base}/hello`, { headers });
    expect([data.status, data.headers["access-control-allow-origin"]]).toEqual([200, "*"]);
    expect(data.headers["access-control-allow-credentials"]).toBeUndefined();
    for (const path of ["", "api/catalog"]) {
      const { status, headers: got } = await ask(g, `/${g.token}/${path}`, { headers });
      expect([status, got["access-control-allow-origin"]]).toEqual([404, undefined]);
    }
    let cancelled = 0;
    g.addRun({ id: "r1", input: "s1", output: "s2", cancel: () => cancelled++ });
    const post = (more: Record<string, string>) =>
      ask(g, `/${g.token}/api/runs/r1/cancel`, { method: "POST", headers: more });
    expect((await post(headers)).status).toBe(404);
    expect(cancelled).toBe(0);
    expect((await post({ origin: `http://127.0.0.1:${g.port}` })).status).toBe(202);
    expect((await post({})).status).toBe(202);
    expect(cancelled).toBe(2);
    expect((await ask(g, `/${g.token}/api/runs/r1/cancel`)).status).toBe(404);
    expect(cancelled).toBe(2);
  });

  test("WebSockets too", async () => {
    const g = await gateway();
    const open = (path: string, options: object = {}) =>
      new Promise<string>((resolve) => {
        const ws = new WebSocket(`ws://127.0.0.1:${g.port}${path}`, options);
        ws.on("open", () => {
          resolve("open");
          ws.close();
        });
        ws.on("error", (error) => resolve(error.message));
      });
    expect(await open(`/${g.token}/api/events`)).toBe("open");
    expect(await open("/api/events")).toContain("404");
    expect(await open(`/${g.token}/api/events`, { origin: "https://evil.example" })).toContain("404");
    expect(await open(`/${g.token}/api/events`, { headers: { host: "evil.example" } })).toContain("404");
    expect(await open(`/${g.token}/api/catalog`)).toContain("404");
  });

  test.each([
    "/../secret",
    "/deep/../../secret",
    "/%2e%2e/secret",
    "/..%2fsecret",
    "/%2e%2e%2fsecret",
    "/deep%2f..%2f..%2fsecret",
    "/link",
    "/up/secret",
    "/hello%00",
    "/%ff",
    "//hello",
    "/./hello",
    "/deep",
    "/",
    "",
    "/hello/x",
    `/${"x".repeat(300)}`,
  ])("no path leads out of a source, or to what is no file: %j", async (path) => {
    const { g, base } = await withFile();
    const { status, body } = await ask(g, base + path);
    expect([status, body.length]).toEqual([404, 0]);
  });

  test("only what reads is allowed on data", async () => {
    const { g, base } = await withFile();
    for (const method of ["PUT", "DELETE", "PATCH"])
      expect((await ask(g, `${base}/hello`, { method })).status).toBe(405);
    expect((await ask(g, `${base}/hello`, { method: "POST" })).status).toBe(404);
    expect((await ask(g, `${base}/hello`, { method: "HEAD" })).headers["content-length"]).toBe("10");
  });
});

describe("bytes", () => {
  test.each([
    ["bytes=0-3", 206, "0123", "bytes 0-3/10"],
    ["bytes=8-", 206, "89", "bytes 8-9/10"],
    ["bytes=-3", 206, "789", "bytes 7-9/10"],
    ["bytes=-30", 206, "0123456789", "bytes 0-9/10"],
    ["bytes=4-400", 206, "456789", "bytes 4-9/10"],
    ["bytes=10-", 416, "", "bytes */10"],
    ["bytes=-0", 416, "", "bytes */10"],
    ["bytes=5-2", 200, "0123456789", undefined],
    ["bytes=0-1,3-4", 200, "0123456789", undefined],
    ["lines=1-2", 200, "0123456789", undefined],
  ])("range %j", async (range, status, text, contentRange) => {
    const { g, base } = await withFile();
    const answer = await ask(g, `${base}/hello`, { headers: { range } });
    expect([answer.status, answer.body.toString(), answer.headers["content-range"]]).toEqual([
      status,
      text,
      contentRange,
    ]);
  });

  test("what is unchanged is not sent again; a file that was replaced is, even within its range", async () => {
    const { g, root, base } = await withFile();
    const { headers } = await ask(g, `${base}/hello`);
    const etag = headers.etag as string;
    expect((await ask(g, `${base}/hello`, { headers: { "if-none-match": `"x", W/${etag}` } })).status).toBe(
      304,
    );
    const part = { range: "bytes=2-3", "if-range": etag };
    expect((await ask(g, `${base}/hello`, { headers: part })).body.toString()).toBe("23");
    writeFileSync(join(root, "new"), "abcdefghij");
    renameSync(join(root, "new"), join(root, "hello"));
    expect((await ask(g, `${base}/hello`, { headers: { "if-none-match": etag } })).body.toString()).toBe(
      "abcdefghij",
    );
    expect((await ask(g, `${base}/hello`, { headers: part })).body.toString()).toBe("abcdefghij");
  });

  test("garbage, and clients that go away, end their own connection only", async () => {
    const { g, base } = await withFile();
    for (const text of [
      "\0\0\0\0",
      "GET / HTTP/9.9\r\n\r\n",
      `GET ${base}/hello HTTP/1.1\r\nHost: x`,
      "x".repeat(1 << 17),
    ]) {
      await new Promise<void>((resolve) => {
        const socket = connect(g.port, "127.0.0.1", () => {
          socket.write(text);
          setTimeout(() => socket.destroy(), 20);
        });
        socket.on("close", () => resolve());
        socket.on("error", () => undefined);
      });
    }
    expect((await ask(g, `${base}/hello`)).status).toBe(200);
  });
});

/** Not as runPython does it: this process has to answer meanwhile. */
async function inPython(program: string, argument: string): Promise<unknown> {
  const { stdout } = await promisify(execFile)(python() as string, ["-c", program, argument], {
    maxBuffer: 1 << 28,
    timeout: 50_000,
  });
  return JSON.parse(stdout);
}

const clients = `
import json, sys, numpy, zarr, tensorstore
url = sys.argv[1]
plate = zarr.open_group(url, mode="r")
ome = plate.attrs["ome"]["plate"]
out = {"wells": [w["path"] for w in ome["wells"]], "fields": {}}
for well in ome["wells"]:
    for image in plate[well["path"]].attrs["ome"]["well"]["images"]:
        path = well["path"] + "/" + image["path"]
        group = plate[path]
        scale = group.attrs["ome"]["multiscales"][0]
        levels = [group[d["path"]][:] for d in scale["datasets"]]
        spec = {"driver": "zarr3", "kvstore": {"driver": "http", "base_url": url + "/" + path + "/0/"}}
        second = tensorstore.open(spec, open=True).result().read().result()
        assert numpy.array_equal(levels[0], second)
        out["fields"][path] = {
            "axes": [a["name"] for a in scale["axes"]],
            "shapes": [l.shape for l in levels],
            "planes": [[int(p.astype("u8").sum()), int((p.astype("u8") * (numpy.arange(p.size).reshape(p.shape) % 251)).sum())]
                       for p in levels[0].reshape(-1, *levels[0].shape[-2:])],
            "means": [float(l.mean()) for l in levels]}
print(json.dumps(out))`;

const files = `
import json, sys, numpy, tifffile
out = []
for path in json.loads(sys.argv[1]):
    p = tifffile.imread(path).astype("u8")
    out.append([int(p.sum()), int((p * (numpy.arange(p.size).reshape(p.shape) % 251)).sum())])
print(json.dumps(out))`;

interface Read {
  readonly wells: string[];
  readonly fields: Record<
    string,
    { axes: string[]; shapes: number[][]; planes: number[][]; means: number[] }
  >;
}

describe("OME-Zarr clients that know nothing of tilecast (zarr-python, tensorstore)", () => {
  needsPeer(python(), "Python with zarr and tensorstore");

  test("read every pixel of a plate of TIFFs, and levels that have its mean", async () => {
    const root = join(folder(), "plate");
    const planes = smallPlate(root, {
      wells: ["A01", "B12"],
      channels: [2, 2],
      width: 700,
      height: 530,
    });
    const g = await gateway();
    const [id] = await addPath(g, root);
    const got = (await inPython(clients, `${g.url}data/${id}`)) as Read;
    expect(got.wells).toEqual(["A/1", "B/12"]);
    const plate = await openPlate(root);
    const expected = (await inPython(files, JSON.stringify(plate.planes.map((p) => p.path)))) as number[][];
    const sorted = plate.planes.map((p, i) => ({ ...p, sums: expected[i] as number[] }));
    for (const well of ["A01", "B12"]) {
      const field = got.fields[well === "A01" ? "A/1/0" : "B/12/0"];
      const mine = sorted
        .filter((p) => p.well === well)
        .sort((a, b) => a.channel - b.channel || (a.z_index ?? 0) - (b.z_index ?? 0));
      expect(field?.planes).toEqual(mine.map((p) => p.sums));
      expect(field?.shapes.map((s) => s.slice(-2))).toEqual([
        [530, 700],
        [265, 350],
        [133, 175],
      ]);
      const [mean, half] = field?.means ?? [];
      expect(half).toBeCloseTo(mean as number, 0);
    }
    expect(planes.length).toBe(plate.planes.length);
  });

  const real = shared("data", "imagexpress-plate", "2023-02-21");
  test.skipIf(real === undefined)("read every pixel of the real plate", async () => {
    const plate = await openPlate(real as string);
    const g = await gateway();
    const id = await addPlate(g, plate, {});
    const got = (await inPython(clients, `${g.url}data/${id}`)) as Read;
    // Where a channel has a stack, its acquired projections are not shown; a channel without one leaves the other slices empty.
    const stacks = new Set(plate.planes.filter((p) => p.z_index !== null).map((p) => p.channel));
    const slices = plate.planes.filter((p) => p.z_index !== null || !stacks.has(p.channel));
    const sums = (await inPython(files, JSON.stringify(slices.map((p) => p.path)))) as number[][];
    const order = (a: number[], b: number[]) =>
      (a[0] as number) - (b[0] as number) || (a[1] as number) - (b[1] as number);
    expect(
      Object.values(got.fields)
        .flatMap((f) => f.planes)
        .filter(([sum]) => sum !== 0)
        .sort(order),
    ).toEqual(sums.sort(order));
  });
});
