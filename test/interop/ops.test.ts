// SPDX-License-Identifier: MIT
// Every op through run(), on generated and on real plates, against numpy, scipy and scikit-image (check_ops.py).

import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { type Op, opNames } from "../../lib/ops/index.js";
import { pipeline } from "../../lib/orchestrator/pipeline.js";
import { run } from "../../lib/orchestrator/run.js";
import { openPlate, type Plate } from "../../lib/plates/index.js";
import { temporaryFolders } from "../helpers/folder.js";
import { runJson } from "../helpers/results.js";
import { needsData, needsPeer, python, shared } from "../helpers/shared.js";
import { smallPlate } from "../helpers/small-plate.js";
import { writeTiff } from "../helpers/tiff.js";
import { type Chain, imageChains, objectChains, planeChains, projections, whole } from "./op-chains.js";

const folder = temporaryFolders();
const script = fileURLToPath(new URL("./check_ops.py", import.meta.url));

interface Verdict {
  readonly name: string;
  readonly wrong: string[];
  readonly compared: number;
  readonly unsure: number;
}

const stepsOf = (chain: Chain): [string, readonly Op[]][] =>
  Array.isArray(chain) ? [["all", chain as readonly Op[]]] : Object.entries(chain as object);

/** Runs each chain over the plate and has all of them judged by one Python process. */
async function judge(plate: Plate, chains: Readonly<Record<string, Chain>>): Promise<Verdict[]> {
  const cases: object[] = [];
  for (const [name, chain] of Object.entries(chains)) {
    const out = join(folder(), "out");
    let p = pipeline(name);
    for (const [step, ops] of stepsOf(chain)) p = p.step(step, ...ops);
    const report = await run(p, plate, {
      out,
      threads: 2,
      levels: 1,
      compression: "none",
    });
    expect(report.failures).toEqual([]);
    const fields: Record<string, Record<string, object[]>> = {};
    for (const p of runJson(out).planeStates.filter((s) => s.state === "done")) {
      const column = Number(p.well.slice(1));
      const sites = [...new Set(plate.planes.filter((q) => q.well === p.well).map((q) => q.site))].sort(
        (a, b) => a - b,
      );
      const field = `${p.well[0]}/${column}/${sites.indexOf(p.site)}`;
      const channel = plate.channels.findIndex((c) => c.channel === p.channel);
      const planes = fields[field] ?? {};
      fields[field] = planes;
      const list = planes[channel] ?? [];
      planes[channel] = list;
      list.push({
        path: join(plate.root, p.path ?? ""),
        page: p.page,
        well: p.well,
        site: p.site,
        channel: p.channel,
      });
    }
    const ops = stepsOf(chain).flatMap(([step, all]) => [
      ...all.map((o) => [o.name, o.parameters]),
      ["step", { name: step }],
    ]);
    cases.push({ name, out, ops, fields });
  }
  const file = join(folder(), "cases.json");
  writeFileSync(file, JSON.stringify(cases));
  const result = spawnSync(python() as string, [script, file], { encoding: "utf8", maxBuffer: 1 << 28 });
  if (result.status !== 0) throw new Error(result.stderr);
  return JSON.parse(result.stdout);
}

/** A smooth illumination image, written beside. */
function flat(width: number, height: number): string {
  const path = join(folder(), "flat.tif");
  const value = (x: number, y: number) =>
    0.6 + 0.8 * Math.exp(-(((x / width - 0.4) ** 2 + (y / height - 0.5) ** 2) / 0.3));
  writeTiff(path, { width, height, dtype: "float32", value });
  return path;
}

async function check(plate: Plate, chains: Readonly<Record<string, Chain>>, least: number): Promise<void> {
  const verdicts = await judge(plate, chains);
  expect(verdicts.flatMap((v) => v.wrong)).toEqual([]);
  expect(verdicts.map((v) => v.name)).toEqual(Object.keys(chains));
  for (const v of verdicts) {
    expect(v.compared, v.name).toBeGreaterThanOrEqual(least);
    // A field is excused where the oracle itself is on the edge; most never are.
    expect(v.unsure, v.name).toBeLessThanOrEqual(Math.ceil(least / 8));
  }
}

// Some hundred chains a plate, each judged by Python: minutes on a loaded machine.
describe("ops give what numpy, scipy and scikit-image give", { timeout: 300_000 }, () => {
  needsPeer(python(), "Python");

  test("the chains below name every op but those without an oracle", () => {
    const named = [planeChains("unused.tif", 0), projections, whole, imageChains(0), objectChains(0)]
      .flatMap((c) => Object.values(c))
      .flatMap((chain) => stepsOf(chain).flatMap(([, ops]) => ops))
      .map((o) => o.name);
    // growLabels needs two channels: op-seeds.test.ts; measurePlane has a table of its own: op-planes.test.ts; register and stitch several
    // images: test/orchestrator/{register,stitch}.test.ts.
    expect(opNames.filter((name) => !named.includes(name))).toEqual([
      "growLabels",
      "measurePlane",
      "register",
      "stitch",
      "save",
      "javascript",
    ]);
  });

  test.each(["uint16", "uint8", "float32"] as const)("on a generated plate of %s", async (dtype) => {
    const root = join(folder(), "plate");
    smallPlate(root, { wells: ["A01", "C05"], sites: 2, width: 203, height: 157, dtype });
    const chains = { ...planeChains(flat(203, 157), 60), ...imageChains(60), ...objectChains(60) };
    await check(await openPlate(root), chains, 4);
    const stack = join(folder(), "plate");
    smallPlate(stack, { wells: ["A01"], sites: 2, channels: [5, 0], width: 131, height: 97, dtype });
    await check(await openPlate(stack), { ...projections, ...whole }, 4);
  });

  describe("on the human cells (PackBits and uncompressed, uint8)", () => {
    const root = shared("data", "human-cells");
    needsData(root, "human-cells");
    test("every op", async () => {
      const chains = { ...planeChains(flat(512, 512), 60), ...imageChains(60), ...objectChains(60) };
      await check(await openPlate(root as string), chains, 3);
    });
  });

  describe("on the Transfluor plate (uint8)", () => {
    const root = shared("data", "transfluor-plate");
    needsData(root, "transfluor-plate");
    test("estimates over 72 fields and the whole pipeline", async () => {
      const chains = planeChains("unused.tif", 0);
      const some = Object.fromEntries(
        Object.entries(chains).filter(([name]) => /median|otsu of integers/.test(name)),
      );
      await check(await openPlate(root as string), { ...some, ...whole }, 72);
    });
  });

  describe("on the ImageXpress plate (deflate, uint16, stacks of 10)", () => {
    const root = shared("data", "imagexpress-plate", "2023-02-21", "1334");
    needsData(root, "imagexpress-plate");
    test("projections and the whole pipeline", async () => {
      await check(await openPlate(root as string), { ...projections, ...whole }, 16);
    });
  });
});
