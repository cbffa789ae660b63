// SPDX-License-Identifier: MIT
// Whole runs where there is no room: a full disk, a full /dev/shm, folders that cannot be written or go away.

import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { temporaryFolders } from "../helpers/folder.js";
import { runJson } from "../helpers/results.js";
import { needsPeer, python, repository, runPython } from "../helpers/shared.js";
import {
  cleanRun,
  cli,
  cliAsNobody,
  expectSame,
  expectTyped,
  inMounts,
  make,
  mischievous,
  needsMounts,
} from "./whole-runs.js";

const folder = temporaryFolders();

describe("a disk that is full", () => {
  needsMounts();

  test.each(["8k", "96k", "300k", "480k"])(
    "(%s) ends the run with an error that says so, and resuming with room gives the bytes of a run that had it",
    (size) => {
      const { dir, root, file, out } = make(folder);
      const mount = join(dir, "disk");
      mkdirSync(mount);
      const got = inMounts(
        `mount -t tmpfs -o size=${size} tmpfs "$DISK" || exit 90
         tilecast run "$ROOT" -p "$FILE" -o "$DISK/out" -q; first=$?
         mount -o remount,size=64m "$DISK" || exit 91
         tilecast run "$ROOT" -p "$FILE" -o "$DISK/out" -q --resume || exit 92
         cp -r "$DISK/out" "$OUT" || exit 93
         exit $first`,
        { DISK: mount, ROOT: root, FILE: file, OUT: out },
      );
      expect(got.code).toBe(1);
      expectTyped(got, "ERR_IO");
      expect(got.stderr).toContain("the disk is full: make room, then resume the run");
      expectSame(out, cleanRun(folder, root, file));
      expect(runJson(out).outcome).toBe("complete");
    },
  );
});

describe("a file that is replaced", () => {
  needsMounts();

  test("stays as it was when the disk has room for a part of the new one only", () => {
    const mount = folder();
    const got = inMounts(
      `mount -t tmpfs -o size=128k tmpfs "$DISK" || exit 90
       cat > "$DISK/try.mjs" <<EOF
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { replaceFile } from "$MODULE";
writeFileSync("$DISK/table", "old");
try { replaceFile("$DISK/table", ["head\\n", Buffer.alloc(200_000)]); } catch (error) { console.log(error.code); }
console.log(readFileSync("$DISK/table", "utf8"), readdirSync("$DISK").join(" "));
EOF
       "$NODE" "$DISK/try.mjs"`,
      { DISK: mount, MODULE: join(repository, "dist", "orchestrator", "replace-file.js") },
    );
    expect([got.code, got.stdout]).toEqual([0, "ENOSPC\nold table try.mjs\n"]);
  });
});

describe("a /dev/shm that is full", () => {
  needsMounts();

  test("ends the run with advice, leaves nothing there, and --resume completes it", () => {
    const { root, file, out } = make(folder);
    const got = inMounts(
      `mount -t tmpfs -o size=64k tmpfs /dev/shm || exit 90
       tilecast run "$ROOT" -p "$FILE" -o "$OUT" -q; first=$?
       ls -A /dev/shm
       exit $first`,
      { ROOT: root, FILE: file, OUT: out },
    );
    expect([got.code, got.stdout]).toEqual([1, ""]);
    expectTyped(got, "ERR_POOL_MEMORY");
    expect(got.stderr).toMatch(/enlarge it: mount -o remount,size=/);
    expect(cli("run", root, "-p", file, "-o", out, "-q", "--resume").code).toBe(0);
    expectSame(out, cleanRun(folder, root, file));
  });

  test("costs none of the results that --overwrite was to replace", () => {
    const { root, file, out } = make(folder);
    expect(cli("run", root, "-p", file, "-o", out, "-q").code).toBe(0);
    const got = inMounts(
      'mount -t tmpfs -o size=64k tmpfs /dev/shm || exit 90; tilecast run "$ROOT" -p "$FILE" -o "$OUT" -q --overwrite',
      { ROOT: root, FILE: file, OUT: out },
    );
    expect(got.code).toBe(1);
    expectTyped(got, "ERR_POOL_MEMORY");
    expectSame(out, cleanRun(folder, root, file));
  });
});

describe("an output folder", () => {
  test("that may not be written is refused", () => {
    const { dir, root, file } = make(folder);
    for (const path of [dir, root]) chmodSync(path, 0o755);
    const out = join(dir, "closed");
    mkdirSync(out);
    chmodSync(out, 0o555);
    const got = cliAsNobody("run", root, "-p", file, "-o", out);
    expect([got.code, got.stdout]).toEqual([1, ""]);
    expectTyped(got, "ERR_IO");
    expect(got.stderr).toContain("choose a folder that you may write to");
    expect(readdirSync(out)).toEqual([]);
  });

  test("that is a file is refused", () => {
    const { root, file, out } = make(folder);
    writeFileSync(out, "mine");
    const got = cli("run", root, "-p", file, "-o", out);
    expect([got.code, got.stdout]).toEqual([1, ""]);
    expectTyped(got, "ERR_IO");
    expect(got.stderr).toContain("a file is in the way");
  });
});

describe("an output folder", () => {
  needsPeer(python(), "Python");

  test("that goes away during the run ends it with an error, and --resume writes all of it, for zarr-python to read", () => {
    const { dir, root, out } = make(folder);
    const file = mischievous(dir, `fs.rmSync(${JSON.stringify(out)}, { recursive: true });`);
    const got = cli("run", root, "-p", file, "-o", out, "--threads", "1", "-q");
    expect(got.code).toBe(1);
    expectTyped(got, "ERR_IO");
    expect(existsSync(join(out, "run.json"))).toBe(false);
    expect(cli("run", root, "-p", file, "-o", out, "--threads", "1", "-q", "--resume").code).toBe(0);
    expectSame(out, cleanRun(folder, root, file));
    const arrays = runPython(
      `import json, sys, zarr
found = {}
def walk(group, path):
    for name, node in group.members():
        if isinstance(node, zarr.Array): found[path + name] = float(node[...].sum())
        else: walk(node, path + name + "/")
walk(zarr.open_group(sys.argv[1], mode="r"), "")
print(json.dumps(found))`,
      [join(out, "plate.ome.zarr")],
    ) as Record<string, number>;
    expect(Object.keys(arrays).filter((a) => a.endsWith("0/0"))).toHaveLength(6);
    for (const sum of Object.values(arrays)) expect(sum).toBeGreaterThan(0);
  });
});
