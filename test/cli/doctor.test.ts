// SPDX-License-Identifier: MIT
// `tilecast doctor` judges what it finds, says what to do about it, and its exit code follows.

import { describe, expect, test } from "vitest";
import { diagnose, doctorCommand, renderDiagnosis } from "../../lib/cli/doctor.js";
import { inspectMachine, type MachineFacts } from "../../lib/cli/machine-facts.js";
import { isTilecastError } from "../../lib/errors.js";

const gib = 2 ** 30;
const good: MachineFacts = {
  tilecast: "1.2.3",
  node: "v22.1.0",
  platform: "linux",
  arch: "x64",
  libc: "glibc 2.36",
  addon: {
    ok: true,
    value: {
      file: "prebuilds/linux-x64/tilecast.glibc.node",
      kernels: "v3",
      versions: { libdeflate: "1.14", zstd: "1.5.4", lz4: "1.9.4", libtiff: "4.5.0" },
    },
  },
  cpu: { model: "Fast CPU", cores: 8, features: ["avx2", "fma"], forced: null },
  memory: { total: 32 * gib, available: 20 * gib },
  shm: { total: 16 * gib, free: 15 * gib },
  slot: { ok: true, value: true },
  swept: { pools: 0, bytes: 0 },
  openFiles: 1048576,
  gpu: {
    ok: true,
    value: {
      name: "Fast GPU",
      vendor: "maker",
      driver: "driver 550",
      backend: "Vulkan",
      library: "/lib/dawn.so",
      software: false,
      discrete: true,
      hostMapped: true,
      hostMappedReason: "",
      planes: "copy",
      maxBufferBytes: gib,
      maxBindingBytes: gib,
    },
  },
  zeromq: { ok: true, value: "6.8.0" },
  napari: {
    ok: true,
    value: { python: "/opt/napari/bin/python", versions: { python: "3.11.2", napari: "0.9.2", Qt: "PyQt6" } },
  },
  imageJ: { ok: true, value: { java: "/usr/bin/java", version: "17.0.1", fiji: null, classPath: [] } },
  display: ":0",
};
const finding = (facts: MachineFacts, name: string) => diagnose(facts).findings.find((f) => f.name === name);

describe("diagnose", () => {
  test("a good machine is usable, and its page needs no advice", () => {
    const diagnosis = diagnose(good);
    expect(diagnosis.usable).toBe(true);
    expect(renderDiagnosis(good, diagnosis, false)).toBe(
      [
        "tilecast 1.2.3 on linux-x64, node v22.1.0, glibc 2.36",
        "",
        "✓ native addon   prebuilds/linux-x64/tilecast.glibc.node",
        "✓ processor      Fast CPU, 8 cores; kernels v3; avx2 fma",
        "✓ memory         32 GiB, 20 GiB available",
        "✓ shared memory  /dev/shm has 16 GiB, 15 GiB free; a slot can be made",
        "✓ open files     limit 1048576",
        "✓ codecs         libdeflate 1.14, zstd 1.5.4, lz4 1.9.4",
        "✓ libtiff        4.5.0, for rare TIFF compressions",
        "✓ GPU            Fast GPU; driver 550; Vulkan; copies tiles from where they are",
        "✓ zeromq         6.8.0, for viewers and servers",
        "✓ napari         0.9.2 with PyQt6, /opt/napari/bin/python",
        "✓ Fiji           the ImageJ that tilecast ships, Java 17.0.1",
        "",
        "Everything that is needed works. Python, Java and a network are not needed.",
        "",
      ].join("\n"),
    );
  });

  test("what killed processes had left is named", () => {
    const facts: MachineFacts = { ...good, swept: { pools: 1, bytes: 3 * gib } };
    expect(finding(facts, "left over")).toEqual({
      name: "left over",
      state: "ok",
      detail: "removed 1 pool of processes that were killed, 3.0 GiB",
      advice: [],
    });
    expect(finding(good, "left over")).toBeUndefined();
  });

  test("an addon that does not load is broken, with the loader's own remedies", () => {
    const why =
      "tilecast's native addon does not load on linux-arm64\nTo mend it:\n  - build it from a clone";
    const facts: MachineFacts = { ...good, addon: { ok: false, why }, slot: { ok: false, why: "no addon" } };
    expect(diagnose(facts).usable).toBe(false);
    expect(finding(facts, "native addon")).toEqual({
      name: "native addon",
      state: "broken",
      detail: "tilecast's native addon does not load on linux-arm64",
      advice: ["build it from a clone"],
    });
    expect(finding(facts, "codecs")).toBeUndefined();
    const page = renderDiagnosis(facts, diagnose(facts), false);
    expect(page).toContain("✗ native addon ");
    expect(page).toContain("  -> build it from a clone\n");
    expect(page).toContain("Something that is needed does not work: see the lines marked ✗.");
  });

  test("a container's 64 MiB of shared memory is usable, with a way to get more", () => {
    const facts: MachineFacts = { ...good, shm: { total: 64 * 2 ** 20, free: 64 * 2 ** 20 } };
    expect(diagnose(facts).usable).toBe(true);
    expect(finding(facts, "shared memory")).toEqual({
      name: "shared memory",
      state: "limited",
      detail: "/dev/shm has 64 MiB, 64 MiB free; pools will be small",
      advice: [
        "container: run it with more, for example docker run --shm-size=8g",
        "host: mount -o remount,size=16g /dev/shm",
      ],
    });
  });

  test("a full /dev/shm is broken", () => {
    const facts: MachineFacts = {
      ...good,
      shm: { total: gib, free: 0 },
      slot: { ok: false, why: "it is full\nadvice" },
    };
    expect(diagnose(facts).usable).toBe(false);
    expect(finding(facts, "shared memory")?.detail).toBe(
      "/dev/shm has 1.0 GiB, 0 MiB free; a slot cannot be made: it is full",
    );
  });

  test("what is optional is absent, never broken", () => {
    if (!good.addon.ok) throw new Error("unreachable");
    const versions = { ...good.addon.value.versions, libtiff: null };
    const facts: MachineFacts = { ...good, addon: { ok: true, value: { ...good.addon.value, versions } } };
    expect(diagnose(facts).usable).toBe(true);
    expect(finding(facts, "libtiff")?.state).toBe("absent");
  });

  test("a GPU that cannot be had is absent with what was tried, and one of software is limited", () => {
    const why = "no adapter\n  - tried: Vulkan\n";
    expect(finding({ ...good, gpu: { ok: false, why } }, "GPU")).toEqual({
      name: "GPU",
      state: "absent",
      detail: "no adapter; pipelines run on the processor",
      advice: ["tried: Vulkan"],
    });
    if (!good.gpu?.ok) throw new Error("unreachable");
    const value = { ...good.gpu.value, software: true, planes: "stage", hostMappedReason: "no such feature" };
    expect(
      finding({ ...good, gpu: { ok: true, value: value as typeof good.gpu.value } }, "GPU"),
    ).toMatchObject({
      state: "limited",
      detail: "Fast GPU; driver 550; Vulkan; tiles go through staging buffers (no such feature)",
    });
  });

  test("viewers that are missing are absent with every place that was tried, and advice", () => {
    const tried = [{ what: "/usr/bin/python3", why: "Python 3.11.2 without napari" }];
    const facts: MachineFacts = {
      ...good,
      zeromq: { ok: false, why: "not found" },
      napari: { ok: false, tried },
      imageJ: { ok: false, tried: [{ what: "java", why: "not on the PATH" }] },
    };
    expect(diagnose(facts).usable).toBe(true);
    expect(finding(facts, "zeromq")).toMatchObject({ state: "absent", advice: ["npm install zeromq"] });
    expect(finding(facts, "napari")).toMatchObject({
      state: "absent",
      detail: "not found (/usr/bin/python3: Python 3.11.2 without napari)",
    });
    expect(finding(facts, "Fiji")?.advice[0]).toBe("Java: apt-get install default-jre");
    expect(finding({ ...good, display: "" }, "napari")?.state).toBe("limited");
  });

  test("few open files and forced kernels are named", () => {
    const facts: MachineFacts = { ...good, openFiles: 256, cpu: { ...good.cpu, forced: "v2" } };
    expect(finding(facts, "open files")?.advice).toEqual(["raise it: ulimit -n 4096"]);
    expect(finding(facts, "processor")?.advice).toEqual([
      "TILECAST_CPU=v2 is set; unset it to use the best kernels",
    ]);
  });
});

describe("doctorCommand", () => {
  test("finds this machine, where the tests run, usable", async () => {
    const facts = await inspectMachine();
    expect(diagnose(facts)).toMatchObject({ usable: true });
    expect(facts.addon).toMatchObject({
      ok: true,
      value: { file: expect.stringMatching(/tilecast.*\.node$/) },
    });
    expect(facts.cpu.cores).toBeGreaterThan(0);
    expect(facts.memory.available).toBeLessThanOrEqual(facts.memory.total);
  });

  test("refuses options that it does not know", async () => {
    const error = await doctorCommand(["--jsno"]).catch((e: unknown) => e);
    expect(isTilecastError(error, "ERR_USAGE")).toBe(true);
    expect((error as Error).message).toContain("Unknown option '--jsno'");
  });
});
