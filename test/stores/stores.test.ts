// SPDX-License-Identifier: MIT
// Every store conforms; what each does besides.

import { type ChildProcess, fork } from "node:child_process";
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { dtypes, TilePool } from "../../lib/image/index.js";
import { DiskStore, MemoryStore, VirtualStore, ZarrStore } from "../../lib/stores/index.js";
import { temporaryFolders } from "../helpers/folder.js";
import { thrown } from "../helpers/throws.js";
import { encodeTiff, writeTiff } from "../helpers/tiff.js";
import { conforms, someImage } from "./conformance.js";

const folder = temporaryFolders();
const tiffKey = (i: number) => `images/A01_s${i}.tif`;
const text = (value: string) => new TextEncoder().encode(value);

conforms("disk", async () => ({ store: new DiskStore(folder()), imageKey: tiffKey, dtypes }));
conforms("synchronous disk", async () => ({
  store: new DiskStore(join(folder(), "made/by/the/first/write"), { sync: true }),
  imageKey: tiffKey,
}));
conforms("memory", async () => ({ store: new MemoryStore({ maxBytes: 1e6 }), imageKey: tiffKey, dtypes }));
conforms("virtual", async () => {
  const overlay = new DiskStore(folder());
  return { store: new VirtualStore({}, { overlay }), imageKey: tiffKey, dtypes };
});
conforms("virtual, with files elsewhere,", async () => {
  const elsewhere = folder();
  writeTiff(join(elsewhere, "deep/x.tif"), { width: 3, height: 2 });
  return {
    store: new VirtualStore(
      { "mapped/one.tif": join(elsewhere, "deep/x.tif"), "mapped/gone.tif": join(elsewhere, "gone.tif") },
      { overlay: new MemoryStore({ maxBytes: 1e6 }) },
    ),
    imageKey: tiffKey,
    initial: ["mapped/one.tif"],
  };
});
for (const version of ["0.5", "0.4"] as const) {
  const files = version === "0.5" ? ["zarr.json"] : [".zattrs", ".zgroup"];
  conforms(`zarr (OME-Zarr ${version})`, async () => {
    const store = new ZarrStore(folder(), { blank: "absent" });
    await store.createImage("A/1/0", { t: 2, c: 3, z: 5, shape: [5, 7], dtype: "int16", version });
    await store.createImage("large", { shape: [64, 64], dtype: "uint16", version });
    const groups = ["", "A/", "A/1/"].map((lead) => lead + files.at(-1));
    return {
      store,
      imageKey: (i) => `A/1/0/t1c2z${i}`,
      dtypes: ["int16"],
      shape: [5, 7],
      largeKey: "large/plane",
      initial: [...groups, ...files.flatMap((f) => [`A/1/0/${f}`, `large/${f}`])],
    };
  });
}
conforms("zarr (planes only)", async () => {
  const store = new ZarrStore(folder(), { blank: "absent", sync: true });
  await store.createImage("large", { shape: [64, 64], dtype: "uint16" });
  for (let i = 0; i < 4; i++) await store.createImage(`i${i}`, { shape: [20, 30], dtype: "float32" });
  return {
    store,
    imageKey: (i) => `i${i}/plane`,
    dtypes: ["float32"],
    shape: [20, 30],
    largeKey: "large/plane",
    initial: ["zarr.json", "large/zarr.json", ...[0, 1, 2, 3].map((i) => `i${i}/zarr.json`)],
  };
});

/** A process that replaces keys for ever, told apart by their values; see store-writer.mjs. */
function writer(kind: string, root: string): ChildProcess {
  const child = fork(fileURLToPath(new URL("store-writer.mjs", import.meta.url)), [kind, root], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

describe("a process that is killed while it writes leaves the old value or the new", () => {
  test.each(["disk", "zarr"])("in a %s store", async (kind) => {
    const root = folder();
    const shape: [number, number] = [2048, 2048];
    const disk = new DiskStore(root);
    const zarr = new ZarrStore(root, { blank: "absent" });
    if (kind === "zarr") await zarr.createImage("i", { shape, dtype: "uint16" });
    const store = kind === "zarr" ? zarr : disk;
    const key = kind === "zarr" ? "i/plane" : "i.tif";
    await store.replace("table", new Uint8Array(300_000));
    await store.replace(key, { shape, dtype: "uint16", pixels: new Uint16Array(2048 * 2048) });
    const unfinished = () =>
      readdirSync(root, { recursive: true }).filter((name) => String(name).includes(".tilecast-"));
    let generation = 0;
    let left = 0;
    for (let round = 0; round < 5; round++) {
      const child = writer(kind, root);
      const exited = new Promise((resolve) => child.once("exit", resolve));
      // Some writes on, and then at the first sight of a file that is being written.
      await new Promise<void>((resolve) => {
        let heard = 0;
        child.on("message", () => {
          if (++heard > round) resolve();
        });
      });
      while (unfinished().length === 0) await new Promise((resolve) => setImmediate(resolve));
      child.kill("SIGKILL");
      await exited;
      const table = await store.read("table");
      expect(table.length).toBe(300_000);
      expect(table.every((value) => value === table[0])).toBe(true);
      const { pixels } = await store.readImage(key);
      expect(pixels.every((value: number) => value === pixels[0])).toBe(true);
      generation = Math.max(generation, pixels[0] as number);
      left += await disk.sweep();
      expect(unfinished()).toEqual([]);
    }
    expect(generation).toBeGreaterThan(0);
    // Of five kills in the middle of writing at least one left a file behind: else the test has not tested.
    expect(left).toBeGreaterThan(0);
  });
});

describe("a disk store", () => {
  test("reads the pages and samples of microscopes' TIFF files, and images that it wrote are TIFF files", async () => {
    const root = folder();
    writeTiff(join(root, "stack.tif"), [
      { width: 4, height: 3, dtype: "uint16", value: (x, y) => x + 10 * y },
      { width: 5, height: 2, samples: 3, value: (x, y, s) => x + 10 * y + 100 * s },
    ]);
    await using store = new DiskStore(root);
    expect((await store.readImage("stack.tif")).pixels).toEqual(
      Uint16Array.of(0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23),
    );
    expect(await store.readImage("stack.tif", { page: 1, sample: 2 })).toEqual({
      shape: [2, 5],
      dtype: "uint8",
      pixels: Uint8Array.of(200, 201, 202, 203, 204, 210, 211, 212, 213, 214),
    });
    expect((await thrown(() => store.readImage("stack.tif", { page: 2 }))).code).toBe("ERR_INVALID_ARGUMENT");
    expect((await thrown(() => store.readImage("stack.tif", { page: -1 }))).argument).toBe("page");

    await store.write("a.tif", someImage(1));
    expect((await store.read("a.tif")).subarray(0, 4)).toEqual(Uint8Array.of(0x49, 0x49, 42, 0));
    const error = await thrown(() => store.write("a.png", someImage(1)));
    expect(error.message).toBe('key must end with .tif or .tiff for an image, got "a.png"');
  });

  test("writes images of many strips", async () => {
    await using store = new DiskStore(folder());
    const image = someImage(1, "uint16", [700, 401]);
    await store.write("large.tif", image);
    expect(await store.readImage("large.tif")).toEqual(image);
  });

  test("hides unfinished files and sweeps those of dead processes only", async () => {
    const root = folder();
    await using store = new DiskStore(root);
    await store.write("a/k", text("v"));
    const mine = join(root, "a", `.tilecast-00000000-${process.pid}-1.tmp`);
    writeFileSync(mine, "of another machine");
    expect(await store.list()).toEqual(["a/k"]);
    expect(await store.sweep()).toBe(0);
    expect(existsSync(mine)).toBe(true);
  });

  test("cancels a write without a trace", async () => {
    const root = folder();
    await using store = new DiskStore(root);
    await store.write("k", text("old"));
    const controller = new AbortController();
    const writing = thrown(() =>
      store.replace("k", new Uint8Array(64 * 1024 * 1024), { signal: controller.signal }),
    );
    controller.abort();
    expect((await writing).code).toBe("ERR_CANCELLED");
    expect(readdirSync(root)).toEqual(["k"]);
    expect(readFileSync(join(root, "k"), "utf8")).toBe("old");
  });

  test("refuses writes when it is read-only", async () => {
    const root = folder();
    writeFileSync(join(root, "k"), "v");
    await using store = new DiskStore(root, { readOnly: true });
    for (const call of [
      () => store.write("n", text("v")),
      () => store.replace("k", text("w")),
      () => store.delete("k"),
    ]) {
      expect((await thrown(call)).code).toBe("ERR_STORE_READ_ONLY");
    }
    expect(readFileSync(join(root, "k"), "utf8")).toBe("v");
  });

  test("follows links to files and folders, and round ones do not hold it up", async () => {
    const root = folder();
    const elsewhere = folder();
    mkdirSync(join(elsewhere, "d"));
    writeFileSync(join(elsewhere, "d/x"), "v");
    symlinkSync(join(elsewhere, "d"), join(root, "linked"));
    symlinkSync(join(elsewhere, "nowhere"), join(root, "broken"));
    linkSync(join(elsewhere, "d/x"), join(root, "hard"));
    await using store = new DiskStore(root);
    expect(await store.list()).toEqual(["hard", "linked/x"]);
  });

  test("reads names with line ends and odd characters, and says of names that are no UTF-8 what is wrong", async () => {
    const root = folder();
    await using store = new DiskStore(root);
    const odd = ["a\nb.tif", "tab\t.tif", " ", "\u{1f9ec} \u00e9.tif", "%41.tif", "genuine \uFFFD.tif"];
    for (const [i, key] of odd.entries())
      await store.write(key, key.endsWith(".tif") ? someImage(i) : text(key));
    const raw = Buffer.concat([Buffer.from(`${root}/caf`), Buffer.of(0xe9), Buffer.from(".tif")]);
    writeFileSync(raw, "latin-1");
    expect(await store.list()).toEqual([...odd, "caf\uFFFD.tif"].sort());
    for (const [i, key] of odd.entries()) {
      expect(await store.exists(key)).toBe(true);
      if (key.endsWith(".tif")) expect(await store.readImage(key)).toEqual(someImage(i));
      else expect(await store.read(key)).toEqual(text(key));
    }
    const key = "caf\uFFFD.tif";
    expect(await store.exists(key)).toBe(true);
    for (const call of [
      () => store.read(key),
      () => store.readImage(key),
      () => store.levels(key),
      () => store.readRanges(key, [{ offset: 0, bytes: 1 }]),
      () => store.delete(key),
    ]) {
      const error = await thrown(call);
      expect([error.code, error.message]).toEqual([
        "ERR_IO",
        `${store.path(key)}: the name is not valid UTF-8, so that it cannot be opened; rename it`,
      ]);
    }
    expect((await thrown(() => store.read("none\uFFFD"))).code).toBe("ERR_KEY_NOT_FOUND");
    // A folder of such a name hides what is in it: a listing without it would be wrong.
    mkdirSync(Buffer.concat([Buffer.from(`${root}/d`), Buffer.of(0xff)]));
    expect((await thrown(() => store.list())).message).toContain("d\uFFFD: the name is not valid UTF-8");
  });

  test("says what the system refused", async () => {
    await using store = new DiskStore(folder());
    const key = "k".repeat(300);
    const error = await thrown(() => store.write(key, text("v")));
    expect([error.code, error.path]).toEqual(["ERR_IO", store.path(key)]);
    expect(error.message).toContain("ENAMETOOLONG");
  });
});

describe("a memory store", () => {
  test("keeps to its budget and says what holds it", async () => {
    await using store = new MemoryStore({ maxBytes: 100, name: "intermediates" });
    await store.write("a", new Uint8Array(60));
    await store.write("b", new Uint8Array(30));
    const error = await thrown(() => store.write("c", new Uint8Array(11)));
    expect([error.code, error.key, error.retriable]).toEqual(["ERR_STORE_BUDGET", "c", true]);
    expect(error.message).toBe(
      'memory store intermediates: "c" needs 11 B and the budget is 100 B; 2 keys hold 90 B, the largest a 60 B, b 30 B. Delete keys that are done, or raise maxBytes',
    );
    expect((await thrown(() => store.write("c", new Uint8Array(101)))).retriable).toBe(false);
    // What is replaced makes room for its successor, and stays when there is not enough.
    await store.replace("a", new Uint8Array(70));
    expect((await thrown(() => store.replace("a", new Uint8Array(71)))).code).toBe("ERR_STORE_BUDGET");
    expect((await store.read("a")).length).toBe(70);
    await store.delete("b");
    await store.write("c", new Uint8Array(30));
    expect(store.stats).toEqual({ keys: 2, bytes: 100, maxBytes: 100, peakBytes: 100 });
  });

  test("counts the pixels of images", async () => {
    await using store = new MemoryStore({ maxBytes: 1000 });
    await store.write("i", someImage(1, "float64", [5, 7]));
    expect(store.stats.bytes).toBe(280);
    expect((await thrown(() => store.read("i"))).code).toBe("ERR_STORE_KIND");
    expect((await thrown(() => store.readImage("i", { page: 1 }))).argument).toBe("page");
  });
});

describe("a virtual store", () => {
  const elsewhere = folder();
  const image = join(elsewhere, "scan-1/img_0001.tif");
  const notes = join(elsewhere, "notes.txt");
  const content = encodeTiff({ width: 3, height: 2, value: (x, y) => x + 3 * y });
  mkdirSync(join(elsewhere, "scan-1"));
  writeFileSync(image, content);
  writeFileSync(notes, "hello");
  const files = { "A01/s1_w1.tif": image, "README.txt": notes };

  test("shows files elsewhere under its own names, and changes none", async () => {
    await using store = new VirtualStore(files, { name: "plate 7" });
    expect(await store.list()).toEqual(["A01/s1_w1.tif", "README.txt"]);
    expect(await store.list("A01")).toEqual(["A01/s1_w1.tif"]);
    expect((await store.readImage("A01/s1_w1.tif")).pixels).toEqual(Uint8Array.of(0, 1, 2, 3, 4, 5));
    expect(await store.read("README.txt")).toEqual(text("hello"));
    for (const call of [
      () => store.write("new", text("v")),
      () => store.replace("README.txt", text("v")),
      () => store.delete("README.txt"),
    ]) {
      const error = await thrown(call);
      expect(error.code).toBe("ERR_STORE_READ_ONLY");
      expect(error.message).toContain("virtual store plate 7");
    }
    expect(readFileSync(notes, "utf8")).toBe("hello");
  });

  test("puts writes into its overlay, which hides what is mapped until it is deleted", async () => {
    const overlay = new MemoryStore({ maxBytes: 1000 });
    await using store = new VirtualStore(files, { overlay });
    expect((await thrown(() => store.write("README.txt", text("v")))).code).toBe("ERR_KEY_EXISTS");
    await store.replace("README.txt", text("mine"));
    expect(await store.read("README.txt")).toEqual(text("mine"));
    expect(await store.list()).toEqual(["A01/s1_w1.tif", "README.txt"]);
    expect(await store.delete("README.txt")).toBe(true);
    expect(await store.read("README.txt")).toEqual(text("hello"));
    const error = await thrown(() => store.delete("README.txt"));
    expect([error.code, error.key]).toEqual(["ERR_STORE_READ_ONLY", "README.txt"]);
    expect((await thrown(() => store.write("A01", text("v")))).code).toBe("ERR_KEY_EXISTS");
    expect((await thrown(() => store.write("README.txt/x", text("v")))).code).toBe("ERR_KEY_EXISTS");
    expect(readFileSync(notes, "utf8")).toBe("hello");
    await store.close();
    expect(await overlay.list()).toEqual([]);
  });

  test("refuses maps that cannot be", async () => {
    expect((await thrown(() => new VirtualStore({ a: "relative.tif" }))).message).toBe(
      'files["a"] must be an absolute path, got "relative.tif"',
    );
    expect((await thrown(() => new VirtualStore({ "../a": image }))).code).toBe("ERR_INVALID_ARGUMENT");
    expect((await thrown(() => new VirtualStore({ a: image, "a/b": image }))).code).toBe(
      "ERR_INVALID_ARGUMENT",
    );
  });
});

describe("a zarr store", () => {
  test("gives the fill value of planes that have no file, unless told otherwise", async () => {
    const root = folder();
    await using absent = new ZarrStore(root, { blank: "absent" });
    await absent.createImage("i", { c: 2, shape: [3, 4], dtype: "uint8" });
    await absent.write("i/c0", someImage(1, "uint8", [3, 4]));
    expect(await absent.list("i")).toEqual(["i/c0", "i/zarr.json"]);
    await using store = new ZarrStore(root, { readOnly: true });
    expect(await store.list("i")).toEqual(["i/c0", "i/c1", "i/zarr.json"]);
    expect((await store.readImage("i/c1")).pixels).toEqual(new Uint8Array(12));
    expect(await store.readImage("i/c0")).toEqual(someImage(1, "uint8", [3, 4]));
    expect(await store.exists("i/c2")).toBe(false);
    expect(await store.exists("i/z0")).toBe(false);
    expect(await store.exists("i/c00")).toBe(false);
  });

  test("keeps chunks out of the way", async () => {
    await using store = new ZarrStore(folder());
    await store.createImage("i", { c: 1, shape: [3, 4], dtype: "uint8" });
    await store.replace("i/c0", someImage(1, "uint8", [3, 4]));
    expect(await store.exists("i/0/c/0/0/0")).toBe(false);
    expect((await thrown(() => store.read("i/0/c/0/0/0"))).code).toBe("ERR_KEY_NOT_FOUND");
    expect((await thrown(() => store.replace("i/0/c/0/0/0", text("v")))).code).toBe("ERR_KEY_EXISTS");
    expect(await store.list("i/0")).toEqual([]);
  });

  test("takes images where there is a place for them, of its size and dtype", async () => {
    await using store = new ZarrStore(folder());
    await store.createImage("i", { c: 2, shape: [3, 4], dtype: "uint8" });
    const wrong = await thrown(() => store.replace("i/c0", someImage(1, "uint16", [3, 4])));
    expect([wrong.code, wrong.message]).toEqual([
      "ERR_OP_SHAPE",
      "i/c0: expected an image of 3 x 4 uint8, got 3 x 4 uint16",
    ]);
    for (const key of ["i/c2", "j/c0", "notes.txt"])
      expect((await thrown(() => store.replace(key, someImage(1, "uint8", [3, 4])))).code).toBe(
        "ERR_STORE_KIND",
      );
    expect((await thrown(() => store.replace("i/c0", text("v")))).code).toBe("ERR_STORE_KIND");
    expect((await thrown(() => store.createImage("i", { shape: [3, 4], dtype: "uint8" }))).code).toBe(
      "ERR_KEY_EXISTS",
    );
  });

  test("does not close the pool of its caller", async () => {
    const store = new ZarrStore(folder());
    await store.createImage("i", { shape: [3, 4], dtype: "uint8" });
    const pool = TilePool.create({ slotBytes: 4096, slots: 1 });
    onTestFinished(() => pool.close());
    const tile = await store.readTile("i/plane", pool);
    await store.close();
    expect(tile.view()).toEqual(new Uint8Array(12));
    tile.release();
  });
});
