// SPDX-License-Identifier: MIT
// TIFF files of tifffile and OME-Zarr images of zarr-python, read over HTTP, equal pixel for pixel to what the writers read.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { HttpStore, ZarrView } from "../../lib/stores/index.js";
import { temporaryFolders } from "../helpers/folder.js";
import { needsPeer, python } from "../helpers/shared.js";
import { serve } from "../stores/http-server.js";

const folder = temporaryFolders();
const script = fileURLToPath(new URL("./http_files.py", import.meta.url));

interface Written {
  readonly key: string;
  readonly page: number;
  readonly sha256: string;
}

describe("files of other writers over HTTP", () => {
  needsPeer(python(), "Python");

  test.skipIf(python() === undefined)("have the pixels that their writers read", async () => {
    const root = folder();
    const run = spawnSync(python() as string, [script, root], { encoding: "utf8" });
    expect(run.stderr.replace(/^.*Warning.*$\n?(^ .*$\n?)*/gm, "")).toBe("");
    const written = JSON.parse(run.stdout) as Written[];
    expect(written.length).toBeGreaterThan(8);
    // Every third request fails, so that reads are put together from what came at different times.
    let requests = 0;
    const server = await serve(root, ({ response }) => {
      if (++requests % 3 !== 0) return false;
      response.writeHead(503).end();
      return true;
    });
    await using store = new HttpStore(server.url, { backoffMs: 1, maxBackoffMs: 5, blockBytes: 64 * 1024 });
    await using view = new ZarrView(store);
    const read: Written[] = [];
    for (const { key, page } of written) {
      const source = key.endsWith(".tif") ? store : view;
      const { pixels } = await source.readImage(key, { page });
      const bytes = Buffer.from(pixels.buffer, pixels.byteOffset, pixels.byteLength);
      read.push({ key, page, sha256: createHash("sha256").update(bytes).digest("hex") });
    }
    expect(read).toEqual(written);
  });
});
