// SPDX-License-Identifier: MIT
// Machines without a GPU: an error before anything is written, or the processor with the reason; and what is looked for.

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { searchGpu } from "../../lib/orchestrator/gpu-search.js";
import { temporaryFolders } from "../helpers/folder.js";
import { runJson } from "../helpers/results.js";
import { plateIn } from "../orchestrator/small-runs.js";

const folder = temporaryFolders();
const cli = join(import.meta.dirname, "../../dist/cli/main.js");

/** A process of its own: the Vulkan loader looks at the environment once. */
async function runCli(args: string[], env: Record<string, string>) {
  const { VK_ICD_FILENAMES, VK_DRIVER_FILES, ...rest } = process.env;
  return promisify(execFile)(process.execPath, [cli, ...args], {
    env: { ...rest, XDG_CACHE_HOME: folder(), ...env },
  }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: { code: number; stdout: string; stderr: string }) => error,
  );
}

async function pipelineFile(): Promise<string> {
  const { writeFileSync } = await import("node:fs");
  const file = join(folder(), "pipeline.mjs");
  const index = pathToFileURL(join(import.meta.dirname, "../../dist/index.js")).href;
  writeFileSync(
    file,
    `import { op, pipeline } from "${index}";\nexport default pipeline("p").step("s", op.maxProject(), op.gaussian({ sigma: 1 }));\n`,
  );
  return file;
}

describe("without an adapter", () => {
  test("--engine gpu fails with what was tried, and writes nothing", async () => {
    const { root, out } = plateIn(folder, { wells: ["A01"] });
    const { code, stderr } = await runCli(
      ["run", root, "-p", await pipelineFile(), "-o", out, "--engine", "gpu", "-q"],
      { VK_ICD_FILENAMES: "/nowhere/icd.json" },
    );
    expect(code).not.toBe(0);
    expect(stderr).toContain("ERR_GPU_UNAVAILABLE");
    expect(existsSync(out)).toBe(false);
  });

  test("--engine auto runs on the processor, and says why", async () => {
    const { root, out } = plateIn(folder, { wells: ["A01"] });
    const { code, stdout } = await runCli(
      ["run", root, "-p", await pipelineFile(), "-o", out, "--engine", "auto"],
      { VK_ICD_FILENAMES: "/nowhere/icd.json" },
    );
    expect(code).toBe(0);
    expect(stdout).toContain("processor only: ");
    const { engine } = runJson(out) as unknown as { engine: { used: string; reason: string } };
    expect(engine.used).toBe("cpu");
    expect(engine.reason).not.toBe("");
  });

  test("an engine that there is not is refused", async () => {
    const { root, out } = plateIn(folder, { wells: ["A01"] });
    const { code, stderr } = await runCli(
      ["run", root, "-p", await pipelineFile(), "-o", out, "--engine", "tpu"],
      {},
    );
    expect(code).toBe(2);
    expect(stderr).toContain('--engine: expected cpu, gpu, auto but received "tpu"');
  });
});

describe("the search for a GPU", () => {
  const machine = (files: Record<string, string[]>, env: Record<string, string> = {}) =>
    searchGpu({ env, platform: "linux", home: "/home/me", list: (dir) => files[dir] ?? [] });

  test("a driver and a device make one likely", () => {
    const found = machine({
      "/usr/share/vulkan/icd.d": ["nvidia_icd.json", "notes.txt"],
      "/dev": ["nvidia0", "null"],
    });
    expect(found).toMatchObject({
      likely: true,
      drivers: ["/usr/share/vulkan/icd.d/nvidia_icd.json"],
      devices: ["/dev/nvidia0"],
    });
  });

  test("a driver without a device does not, nor a device without a driver", () => {
    expect(machine({ "/etc/vulkan/icd.d": ["lvp_icd.json"] })).toMatchObject({
      likely: false,
      reason: "there is no GPU (neither /dev/dri/renderD* nor /dev/nvidia*)",
    });
    const none = machine({ "/dev/dri": ["card0", "renderD128"] });
    expect(none.likely).toBe(false);
    expect(none.reason).toBe(
      "no Vulkan driver is installed (no manifest in /home/me/.config/vulkan/icd.d, /etc/xdg/vulkan/icd.d, /etc/vulkan/icd.d, /home/me/.local/share/vulkan/icd.d, /usr/local/share/vulkan/icd.d, /usr/share/vulkan/icd.d)",
    );
  });

  test("who names a driver means it", () => {
    expect(machine({}, { VK_ICD_FILENAMES: "/x/swiftshader.json" })).toMatchObject({
      likely: true,
      drivers: ["/x/swiftshader.json"],
    });
    expect(machine({}, { VK_DRIVER_FILES: "/a.json:/b.json" }).drivers).toEqual(["/a.json", "/b.json"]);
  });

  test("other systems bring their own", () => {
    const on = (platform: NodeJS.Platform) =>
      searchGpu({ env: {}, platform, home: "/", list: () => [] }).likely;
    expect(on("darwin")).toBe(true);
    expect(on("freebsd")).toBe(false);
  });
});
